/** Connectors over a local log on a simulated machine, and a system outside that outlives every crash of it. */
import { type OpenConnectors, openConnectors } from '../../src/connect/open.ts'
import type { Kind, Piece, Sink, Source } from '../../src/connect/kind.ts'
import { Fault } from '../../src/lib/fault.ts'
import { offset } from '../../src/lib/brand.ts'
import { silent } from '../../src/lib/logger.ts'
import type { World } from '../../src/lib/world.ts'
import { type LogRecord, decodeBatch, encodeBatch, isControl } from '../../src/log/batch.ts'
import { openCatalog } from '../../src/log/catalog.ts'
import { openCommits } from '../../src/log/commits.ts'
import { openLocalLog } from '../../src/log/local/open.ts'
import type { Log } from '../../src/log/log.ts'

/** A queue that can be read from any place, and a list that takes what it is given. */
export class Outside {
  readonly queue: string[] = []
  readonly taken: string[] = []
  /** Thrown by whoever asks next, so many times. */
  fault: Fault | null = null
  faults = 0
  opened = 0
  settled = 0
  /** It takes nothing, and says nothing, until let go. */
  hangs = false
  readonly #hanging: (() => void)[] = []

  async whileItHangs(): Promise<void> {
    if (this.hangs) await new Promise<void>((resolve) => this.#hanging.push(resolve))
  }
  letGo(): void {
    this.hangs = false
    for (const call of this.#hanging.splice(0)) call()
  }
  send(...texts: string[]): void {
    this.queue.push(...texts)
  }
  stumble(): void {
    if (this.fault === null || this.faults === 0) return
    this.faults--
    throw this.fault
  }
}
const encode = (text: string): Uint8Array => Buffer.from(text)
export const text = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString()

export function outsideKind(outside: Outside): Kind {
  return {
    name: 'outside',
    about: 'A queue of a test.',
    source: {
      fields: [
        { name: 'into', type: 'text', required: true, about: 'a topic' },
        { name: 'password', type: 'text', secret: true, about: 'a secret' },
        { name: 'size', type: 'count', default: '3', about: 'of a piece' },
      ],
      open(host, settings): Promise<Source> {
        outside.opened++
        outside.stumble()
        const into = settings.text('into')!
        const size = settings.count('size')!
        let at = (host.positions.get('at') as number | undefined) ?? 0
        return Promise.resolve({
          async *pieces(signal): AsyncIterable<Piece> {
            for (;;) {
              signal.throwIfAborted()
              outside.stumble()
              const found = outside.queue.slice(at, at + size)
              if (found.length === 0) {
                await host.world.clock.sleep(20, signal)
                continue
              }
              const timeMs = host.world.clock.now()
              const records = found.map((one) => ({
                topic: into,
                partition: null,
                record: { key: encode(one), value: encode(one), timeMs },
              }))
              at += found.length
              yield { records, positions: [['at', at]], settled: () => void (outside.settled = at) }
            }
          },
          lag: () => outside.queue.length - at,
          close: () => Promise.resolve(),
        })
      },
    },
    sink: {
      fields: [],
      open(): Promise<Sink> {
        outside.opened++
        outside.stumble()
        return Promise.resolve({
          async write(read) {
            await outside.whileItHangs()
            outside.stumble()
            const refused = read.filter(({ record }) => text(record.value) === 'bad')
            outside.taken.push(...read.filter((one) => !refused.includes(one)).map(({ record }) => text(record.value)))
            return refused.map((one) => ({
              read: one,
              fault: new Fault('json.malformed', { what: 'bad', position: null }),
            }))
          },
          close: () => Promise.resolve(),
        })
      },
    },
  }
}

export interface Started {
  readonly log: Log
  /** Another process on the same log, as over a cluster. */
  beside(): Promise<{ readonly connectors: OpenConnectors; close(): Promise<void> }>
  readonly connectors: OpenConnectors
  close(): Promise<void>
}
export async function start(
  world: World,
  outside: Outside,
  refuses: (topic: string, record: Pick<LogRecord, 'key' | 'value'>) => Fault | null = () => null,
): Promise<Started> {
  const log = await openLocalLog({ world, dir: '/data' })
  const catalog = await openCatalog(log, () => world.clock.now())
  const commits = openCommits(await log.owner(), world.clock)
  const files = {
    read(path: string): string {
      if (path === '/secret') return 'from-a-file\n'
      throw new Error('no such file')
    },
    refuses: (path: string) => (path.startsWith('/etc') ? 'it is not for everybody' : null),
  }
  const kinds = [outsideKind(outside)]
  const load = (name: string): Promise<unknown> => import(name)
  const open = (its: typeof commits): OpenConnectors =>
    openConnectors({ world, log, commits: its, catalog, logger: silent, files, load, refuses, kinds })
  const connectors = open(commits)
  const beside: Started['beside'] = async () => {
    const own = openCommits(await log.owner(), world.clock)
    const others = open(own)
    await others.ready
    return {
      connectors: others,
      close: async () => {
        await others.close()
        await own.close()
      },
    }
  }
  await connectors.ready
  const close = async (): Promise<void> => {
    await connectors.close()
    await commits.close()
    await catalog.close()
    await log.close()
  }
  return { log, connectors, beside, close }
}

export async function write(log: Log, topic: string, ...texts: string[]): Promise<boolean> {
  const batch = encodeBatch(texts.map((one) => ({ key: encode(one), value: encode(one), timeMs: 1_700_000_000_000 })))
  const [appended] = await log.writer().append([{ partition: { topic, index: 0 }, batch }])
  return appended !== undefined && 'offset' in appended
}
export async function readAll(log: Log, topic: string): Promise<LogRecord[]> {
  const info = await log.topics.get(topic)
  const out: LogRecord[] = []
  for (let index = 0; index < (info?.partitions ?? 0); index++) {
    const partition = { topic, index }
    const [bounds] = await log.bounds([partition])
    const reader = log.reader()
    for (let at = bounds!.start; at < bounds!.stable;) {
      const [chunk] = await reader.read([{ partition, offset: offset(at) }], { ms: 1_000 })
      if (chunk === undefined) break
      if ('fault' in chunk) throw chunk.fault
      for (const batch of chunk.batches)
        if (!isControl(batch)) for (const record of decodeBatch(batch)) if (record.offset >= at) out.push(record)
      at = chunk.next
    }
  }
  return out
}
