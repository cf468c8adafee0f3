/** A log and an engine for tests, and short ways to write to and read from topics. */
import { offset } from '../../src/lib/brand.ts'
import type { Fault } from '../../src/lib/fault.ts'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import type { World } from '../../src/lib/world.ts'
import { type Flow, type FlowOptions, type LocalFlow, openFlow } from '../../src/flow/runtime/flow.ts'
import { Quarantine } from '../../src/flow/runtime/quarantine.ts'
import { type LogRecord, decodeBatch, encodeBatch } from '../../src/log/batch.ts'
import { type Commits, openCommits } from '../../src/log/commits.ts'
import { openLocalLog } from '../../src/log/local/open.ts'
import type { Log } from '../../src/log/log.ts'

export interface House<F extends Flow = Flow> extends AsyncDisposable {
  readonly world: World
  readonly log: Log
  readonly commits: Commits
  readonly flow: F
  readonly faults: Fault[]
  topic(name: string, partitions?: number, config?: Record<string, string>): Promise<void>
  send(
    topic: string,
    values: readonly unknown[],
    options?: { partition?: number; timeMs?: number; key?: (v: never) => string | null },
  ): Promise<void>
  /** Everything committed in a topic. */
  read(topic: string): Promise<LogRecord[]>
  close(): Promise<void>
}
export const memoryWorld = (): World => ({ ...realWorld(), disk: memoryDisk() })

export type OpenHouse = (world?: World, dir?: string) => Promise<House>
export const openHouse = (world: World = memoryWorld(), dir = 'data'): Promise<House<LocalFlow>> =>
  openHouseWith(world, dir, openFlow)

export async function openHouseWith<F extends Flow>(
  world: World,
  dir: string,
  open: (options: FlowOptions) => F,
): Promise<House<F>> {
  const log = await openLocalLog({ world, dir })
  const commits = openCommits(await log.owner())
  const faults: Fault[] = []
  const flow = open({
    log,
    commits,
    clock: world.clock,
    quarantine: new Quarantine(log),
    onFault: (_, fault) => void faults.push(fault),
    commitMs: 20,
  })
  const close = async (): Promise<void> => {
    await flow.close()
    await commits.close()
    await log.close()
  }
  return {
    world,
    log,
    commits,
    flow,
    faults,
    close,
    [Symbol.asyncDispose]: close,
    async topic(name, partitions = 1, config = {}) {
      const [fault] = await log.topics.create([{ name, partitions, config }])
      if (fault !== null && fault !== undefined) throw fault
    },
    async send(topic, values, { partition = 0, timeMs = Number(world.clock.now()), key } = {}) {
      if (values.length === 0) return
      const records = values.map((value) => ({
        key: toBytes(key?.(value as never) ?? null),
        value: toBytes(value === null || typeof value === 'string' ? value : JSON.stringify(value)),
        timeMs,
      }))
      const [answer] = await log
        .writer()
        .append([{ partition: { topic, index: partition }, batch: encodeBatch(records) }])
      if (answer !== undefined && 'fault' in answer) throw answer.fault
    },
    read: (topic) => readAll(log, topic),
  }
}
const toBytes = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text))

export async function readAll(log: Log, topic: string): Promise<LogRecord[]> {
  const info = await log.topics.get(topic)
  if (info === null) return []
  const records: LogRecord[] = []
  for (let index = 0; index < info.partitions; index++) {
    const [bounds] = await log.bounds([{ topic, index }])
    for (let at: number = bounds!.start; at < bounds!.stable;) {
      const [chunk] = await log.reader().read([{ partition: { topic, index }, offset: offset(at) }], { ms: 1000 })
      if (chunk === undefined || 'fault' in chunk) throw chunk?.fault ?? new Error('no chunk')
      for (const batch of chunk.batches) records.push(...decodeBatch(batch).filter((r) => r.offset >= at))
      at = chunk.next
    }
  }
  return records
}
export const textOf = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString()
/** Newest value per key of an upsert topic. */
export function newest(records: readonly LogRecord[]): Map<string, unknown> {
  const rows = new Map<string, unknown>()
  for (const { key, value } of records)
    if (value === null) rows.delete(textOf(key)!)
    else rows.set(textOf(key)!, JSON.parse(textOf(value)!))
  return rows
}
/** Waits until a condition holds. */
export async function until(holds: () => boolean | Promise<boolean>, what: string, ms = 10_000): Promise<void> {
  const end = performance.now() + ms
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
