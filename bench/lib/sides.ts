/** The two brokers of a comparison: started alike, asked alike, measured from outside. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { batchOf, recordId } from '../../test/faults/records.ts'
import { partitionsOf, produce, Wire } from '../../test/faults/wire.ts'
import { cacheDir, freePorts, startKafka, startMillrace } from '../../test/interop/setup/index.ts'

export type Side = 'ours' | 'theirs'
export const sides: readonly Side[] = ['ours', 'theirs']

export interface Running {
  readonly side: Side
  readonly address: string
  /** PEM file of the authority where the listener is encrypted. */
  readonly ca: string | null
  readonly pid: number
  /** Of its data. */
  readonly folder: string
  /** From the start of its process (its data folder was formatted before) to a first acks=all record acknowledged. */
  readonly firstProduceMs: number
  wire(): Promise<Wire>
  /** Stops it in order and starts it again: milliseconds from then to a record acknowledged on this topic. */
  restart(topic: string): Promise<number>
  stop(): Promise<void>
}

/** Starts a side in a folder that was used once before, and times its first acknowledged record. */
export async function startSide(side: Side, options: { readonly tls: boolean }): Promise<Running> {
  // Not the system's folder for temporary files: that may be memory.
  mkdirSync(cacheDir, { recursive: true })
  const folder = mkdtempSync(join(cacheDir, `bench-${side}-`))
  const [port, controllerPort] = await freePorts()
  const address = `127.0.0.1:${port}`
  const certificate = options.tls ? makeCertificate(folder) : null
  const ca = certificate?.cert ?? null
  const open = (withinMs?: number): Promise<Wire> =>
    Wire.open(address, withinMs, ca === null ? undefined : readFileSync(ca, 'utf8'))
  const start = async (): Promise<{ pid: number; stop: () => Promise<void> }> => {
    if (side === 'ours') return startMillrace({ data: folder, kafka: address, args: ourTls(certificate) })
    // Deleted segments go at once on both sides; Kafka otherwise keeps them for a minute.
    const settings = ['log.segment.delete.delay.ms=0', ...theirTls(certificate, port, controllerPort)]
    return startKafka(folder, settings, [port, controllerPort])
  }
  const timed = async (topic: string) => {
    const startedAt = performance.now()
    const [started, firstMs] = await Promise.all([start(), firstAcknowledged(open, topic, startedAt)])
    return { started, firstMs }
  }
  const formatted = await start()
  await formatted.stop()
  const first = await timed('first')
  let process = first.started
  return {
    side,
    address,
    ca,
    get pid() {
      return process.pid
    },
    folder,
    firstProduceMs: first.firstMs,
    wire: () => open(),
    restart: async (topic) => {
      await process.stop()
      const { started, firstMs } = await timed(topic)
      process = started
      return firstMs
    },
    stop: async () => {
      await process.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const startWithinMs = 180_000
const askEveryMs = 10

/** Asks until a topic that is created on its first use has taken a record with acks=all. */
async function firstAcknowledged(
  open: (withinMs: number) => Promise<Wire>,
  topic: string,
  startedAt: number,
): Promise<number> {
  const place = { topic, partition: 0 }
  while (performance.now() - startedAt < startWithinMs) {
    const wire = await open(1_000).catch(() => null)
    try {
      if (wire !== null && (await partitionsOf(wire, place.topic, true)) === 1) {
        const { error } = await produce(wire, place, batchOf(recordId(0, 0), 1, null), -1)
        if (error === 0) return performance.now() - startedAt
      }
    } catch {
      // Not yet serving: ask again.
    } finally {
      wire?.close()
    }
    await sleep(askEveryMs)
  }
  throw new Error(`the ${topic} of a broker took nothing within ${startWithinMs} ms`)
}

interface Certificate {
  readonly cert: string
  readonly key: string
  /** Key and certificate in one file, as Kafka wants a key store in PEM. */
  readonly both: string
}
/** One that vouches for itself. */
function makeCertificate(folder: string): Certificate {
  const [cert, key, both] = [join(folder, 'tls.crt'), join(folder, 'tls.key'), join(folder, 'tls.pem')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  execFileSync('openssl', ['req', '-x509', '-days', '2', ...curve, '-keyout', key, '-out', cert, ...names], {
    stdio: 'pipe',
  })
  writeFileSync(both, `${readFileSync(key, 'utf8')}${readFileSync(cert, 'utf8')}`)
  return { cert, key, both }
}
const ourTls = (files: Certificate | null): string[] =>
  files === null ? [] : ['--tls-cert', files.cert, '--tls-key', files.key, '--tls', 'kafka']
function theirTls(files: Certificate | null, port: number, controllerPort: number): string[] {
  if (files === null) return []
  return [
    `listeners=SSL://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'listener.security.protocol.map=SSL:SSL,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name=SSL',
    'ssl.keystore.type=PEM',
    `ssl.keystore.location=${files.both}`,
    'ssl.truststore.type=PEM',
    `ssl.truststore.location=${files.cert}`,
  ]
}
