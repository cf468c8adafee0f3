/**
 * Certificates of listeners, read from files and read again when these change. What cannot be used is reported, once for
 * each change, and what was there stays.
 */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { Fault } from '../lib/fault.ts'
import type { Logger } from '../lib/logger.ts'
import type { Clock, Disk, TlsServer } from '../lib/world.ts'
import { readText } from './files.ts'

export interface TlsFiles {
  readonly cert: string
  readonly key: string
  /** Authorities of clients' certificates. */
  readonly clientCa: string | null
  readonly clientAuth: TlsServer['clientAuth']
}
const lookMs = 2_000

/** Throws Fault config.invalid naming the file that cannot be read or used. */
function readTls(disk: Disk, { cert, key, clientCa, clientAuth }: TlsFiles): TlsServer {
  const attempt = <T>(setting: string, path: string, why: string, make: () => T): T => {
    try {
      return make()
    } catch (error) {
      throw new Fault('config.invalid', { setting, value: path, why: `${why} (${(error as Error).message})` }, error)
    }
  }
  const read = (setting: string, path: string): string =>
    attempt(setting, path, 'it cannot be read', () => readText(disk, path))
  const certificate = (setting: string, path: string, text: string): X509Certificate =>
    attempt(setting, path, 'it is no certificate in PEM', () => new X509Certificate(text))
  const texts = { cert: read('tlsCert', cert), key: read('tlsKey', key) }
  const own = certificate('tlsCert', cert, texts.cert)
  const secret = attempt('tlsKey', key, 'it is no key in PEM that needs no passphrase', () =>
    createPrivateKey(texts.key),
  )
  if (!own.checkPrivateKey(secret))
    throw new Fault('config.invalid', { setting: 'tlsKey', value: key, why: `it is not the key of ${cert}` })
  const ca = clientCa === null ? {} : { ca: read('tlsClientCa', clientCa) }
  if (clientCa !== null) certificate('tlsClientCa', clientCa, ca.ca!)
  return { ...texts, clientAuth, ...ca }
}

/** A listener. Throws when the new certificate is none; then it shows the old one. */
interface Renewable {
  renew(tls: TlsServer): void
}
export class TlsWatch {
  readonly #files: TlsFiles
  readonly #world: { readonly disk: Disk; readonly clock: Clock }
  readonly #logger: Logger
  readonly #listeners: Renewable[] = []
  #seen: string
  #cancel: () => void
  /** As it was read first. */
  readonly first: TlsServer

  /** Throws Fault config.invalid. */
  constructor(files: TlsFiles, world: { disk: Disk; clock: Clock }, logger: Logger) {
    this.#files = files
    this.#world = world
    this.#logger = logger
    this.#seen = this.#versions()
    this.first = readTls(world.disk, files)
    this.#cancel = this.#later()
  }
  follow(listener: Renewable): void {
    this.#listeners.push(listener)
  }
  close(): void {
    this.#cancel()
  }
  #later(): () => void {
    return this.#world.clock.after(lookMs, () => {
      this.#look()
      this.#cancel = this.#later()
    })
  }
  #look(): void {
    const versions = this.#versions()
    if (versions === this.#seen) return
    this.#seen = versions
    const { cert: file } = this.#files
    try {
      const tls = readTls(this.#world.disk, this.#files)
      for (const listener of this.#listeners) listener.renew(tls)
      this.#logger.info('tls: the new certificate is in use', { file })
    } catch (error) {
      const why = (error as Error).message
      this.#logger.error('tls: the new certificate cannot be used, the old one stays', { file, why })
    }
  }
  #versions(): string {
    const { cert, key, clientCa } = this.#files
    return [cert, key, clientCa]
      .map((path) => {
        const found = path === null ? null : this.#world.disk.stat(path)
        return found === null ? '-' : `${found.modifiedMs}/${found.size}`
      })
      .join(' ')
  }
}
