/**
 * Who of the other processes lives. Each listens on a peer port, says its name to whoever connects, and keeps a connection
 * to every other one that shares a group with it. A connection that breaks, and a port where nobody or somebody else
 * answers, is a death: its members are taken out of their groups at once instead of after the session timeout. Silence is
 * no death: a paused process goes on.
 */
import type { Logger } from '../../../lib/logger.ts'
import type { Address, Clock, Connection, Listener, Net } from '../../../lib/world.ts'
import { limits } from '../../../lib/limits.ts'

const greeting = 'millrace-peer 1 '
const greetingBytesMax = 128
/** For the greeting, once connected. */
const greetMs = 2_000
/** A lost connection may be the network's fault: so many tries in so long before it is left to the session timeout. */
const tries = { count: 20, pauseMs: 250 } as const
/** Deaths that are remembered: a successor may meet what they left for a while. */
const deathsKept = 1_000

export interface PeersHost {
  readonly net: Net
  readonly clock: Clock
  readonly process: string
  readonly logger: Logger
  /** Aborted when the log is closed. */
  readonly closing: AbortSignal
  died(process: string): void
}

export class Peers {
  readonly #host: PeersHost
  readonly #watched = new Map<string, 'connecting' | 'alive'>()
  readonly #wanted = new Set<string>()
  readonly #dead = new Set<string>()
  readonly #open = new Set<Connection>()
  #listener: Listener | null = null

  constructor(host: PeersHost) {
    this.#host = host
  }
  /** HOST:PORT as others reach it. */
  async listen(at: Address, advertise?: Address): Promise<string> {
    const { net, process } = this.#host
    this.#listener = await net.listen(at, (connection) => {
      if (this.#open.size >= limits.peerConnections) return connection.destroy()
      this.#open.add(connection)
      connection.onClose(() => this.#open.delete(connection))
      connection.onBytes(() => {})
      connection.write([Buffer.from(`${greeting}${process}\n`)])
    })
    const { host, port } = advertise ?? this.#listener.at
    return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  }
  known(process: string): 'dead' | 'alive' | 'unknown' {
    if (this.#dead.has(process)) return 'dead'
    return this.#watched.get(process) === 'alive' ? 'alive' : 'unknown'
  }
  /** These share groups with us now; others are not watched any more. */
  watch(peers: ReadonlyMap<string, string>): void {
    this.#wanted.clear()
    for (const [process, at] of peers) {
      this.#wanted.add(process)
      if (process === this.#host.process || this.#watched.has(process) || this.#dead.has(process)) continue
      const address = parsed(at)
      if (address === null) continue
      this.#watched.set(process, 'connecting')
      void this.#follow(process, address)
    }
  }

  async #follow(process: string, at: Address): Promise<void> {
    const { clock, closing, died, logger } = this.#host
    let left = tries.count
    while (left > 0 && this.#wanted.has(process) && !closing.aborted) {
      const met = await this.#meet(process, at, () => {
        left = tries.count
        this.#watched.set(process, 'alive')
      })
      if (closing.aborted || !this.#wanted.has(process)) break
      this.#watched.set(process, 'connecting')
      if (met === 'gone') {
        logger.warn('another process is dead', { process, at: `${at.host}:${at.port}` })
        this.#remember(process)
        died(process)
        break
      }
      if (met === 'lost') continue
      left--
      await clock.sleep(tries.pauseMs, closing).catch(() => {})
    }
    this.#watched.delete(process)
  }
  #remember(process: string): void {
    this.#dead.add(process)
    if (this.#dead.size > deathsKept) for (const oldest of this.#dead) return void this.#dead.delete(oldest)
  }
  /**
   * Until the connection ends. 'gone': nobody listens there, or somebody else. 'lost': it ended, who knows why.
   * 'unknown': nothing can be said.
   */
  async #meet(process: string, at: Address, isAlive: () => void): Promise<'gone' | 'lost' | 'unknown'> {
    const { net, clock, closing } = this.#host
    let connection: Connection
    const late = new AbortController()
    const cancel = clock.after(greetMs, () => late.abort(new Error('no answer')))
    try {
      connection = await net.connect(at, AbortSignal.any([late.signal, closing]))
    } catch (error) {
      return (error as { code?: unknown }).code === 'ECONNREFUSED' ? 'gone' : 'unknown'
    } finally {
      cancel()
    }
    return new Promise((resolve) => {
      let said = ''
      let greeted = false
      const stop = (): void => connection.destroy()
      closing.addEventListener('abort', stop, { once: true })
      const tooLate = clock.after(greetMs, () => {
        if (!greeted) connection.destroy()
      })
      connection.onBytes((bytes) => {
        if (greeted) return
        said += Buffer.from(bytes).toString('latin1')
        if (!said.includes('\n') && said.length < greetingBytesMax) return
        greeted = said === `${greeting}${process}\n`
        if (greeted) isAlive()
        else connection.destroy()
      })
      connection.onClose(() => {
        tooLate()
        closing.removeEventListener('abort', stop)
        if (greeted) resolve('lost')
        else resolve(said.includes('\n') || said.length >= greetingBytesMax ? 'gone' : 'unknown')
      })
    })
  }
  async close(): Promise<void> {
    this.#wanted.clear()
    await this.#listener?.close()
    for (const connection of this.#open) connection.destroy()
  }
}

function parsed(text: string): Address | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s/]+)):(\d{1,5})$/.exec(text)
  return match === null ? null : { host: match[1] ?? match[2]!, port: Number(match[3]) }
}
