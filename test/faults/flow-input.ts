/** A known input for views: clicks of a few keys over an hour of event time, slightly out of order, and what must come out. */
import { encodeBatch } from '../../src/log/batch.ts'
import { type FedRecord, feed } from './feed.ts'
import { kafkaError, produce, type Wire } from './wire.ts'

export interface Click {
  readonly k: string
  readonly n: number
  readonly atMs: number
}
export const clicksTopic = 'clicks'
export const clickPartitions = 3
const keys = 24
const startMs = Date.UTC(2020, 0, 1)
const spanMs = 3_600_000
/** Below the watermark's delay: nothing is late. */
const disorderMs = 1_500
const batchRecords = 15

/** Per partition, in the order sent: the first opens it, the last is a marker that closes every window before it. */
export function clicks(count: number, random: () => number): readonly Click[][] {
  const partitions: Click[][] = Array.from({ length: clickPartitions }, (_, i) => [{ k: `k${i}`, n: 1, atMs: startMs }])
  for (let i = 0; i < count; i++) {
    const key = Math.floor(random() * keys)
    const atMs = startMs + Math.floor((i / count) * spanMs + random() * disorderMs)
    partitions[key % clickPartitions]!.push({ k: `k${key}`, n: Math.floor(random() * 100), atMs })
  }
  for (const [i, partition] of partitions.entries()) partition.push({ k: `end${i}`, n: 0, atMs: startMs + 24 * spanMs })
  return partitions
}

/**
 * Sends the first click of each partition. Before the views start: a partition that never held a record does not hold the
 * watermark back, and what came to it later would rightly be late.
 */
export async function open(wire: Wire, partitions: readonly Click[][]): Promise<void> {
  for (const [partition, [first]] of partitions.entries()) {
    const { error } = await produce(
      wire,
      { topic: clicksTopic, partition },
      Buffer.from(encodeBatch([recordOf(first!)])),
      -1,
    )
    if (error !== kafkaError.none) throw new Error(`the first click of partition ${partition}: error ${error}`)
  }
}

/** Sends the other clicks of one partition. */
export const feedClicks = (
  addressNow: () => string,
  partition: number,
  input: readonly Click[],
  pause: () => Promise<void>,
): Promise<void> =>
  feed(addressNow, { topic: clicksTopic, partition }, input.slice(1).map(recordOf), { batchRecords, pause })

const recordOf = ({ k, n, atMs }: Click): FedRecord => ({
  key: Buffer.from(k),
  value: Buffer.from(JSON.stringify({ k, n, at: new Date(atMs).toISOString() })),
  timeMs: atMs,
})

export const viewStatements = [
  `CREATE STREAM clicks (k text, n int, at timestamptz, WATERMARK FOR at AS at - INTERVAL '2 seconds')
     WITH (topic = 'clicks', format = 'json', key = 'k', partitions = ${clickPartitions})`,
  `CREATE MATERIALIZED VIEW totals AS SELECT k, count(*) AS c, sum(n) AS s FROM clicks GROUP BY k`,
  `CREATE MATERIALIZED VIEW minutes AS SELECT window_start, k, count(*) AS c, sum(n) AS s
     FROM TUMBLE(clicks, at, INTERVAL '1 minute') GROUP BY window_start, window_end, k`,
  `CREATE MATERIALIZED VIEW closed AS SELECT window_start, k, count(*) AS c, sum(n) AS s, max(n) AS m
     FROM TUMBLE(clicks, at, INTERVAL '1 minute') GROUP BY window_start, window_end, k EMIT ON WINDOW CLOSE`,
  `CREATE MATERIALIZED VIEW running AS SELECT k, n, at,
     sum(n) OVER (PARTITION BY k ORDER BY at ROWS UNBOUNDED PRECEDING) AS total FROM clicks`,
] as const
/** Views whose topic holds the latest row of a key, and those whose topic only grows. */
export const upsertViews = ['totals', 'minutes'] as const
export const appendViews = ['closed', 'running'] as const

/** What the views must hold, as sorted lines; windows by their start in milliseconds. */
export function expectedOutputs(partitions: readonly Click[][]): Readonly<Record<string, readonly string[]>> {
  const all = partitions.flat()
  const isMarker = (click: Click): boolean => click.k.startsWith('end')
  const totals = grouped(all, ({ k }) => k)
  const windows = grouped(all, ({ k, atMs }) => `${Math.floor(atMs / 60_000) * 60_000} ${k}`)
  const line = (group: string, of: readonly Click[]): string => `${group} ${of.length} ${sum(of)}`
  const closed = [...windows].filter(([, of]) => !isMarker(of[0]!))
  return {
    totals: [...totals].map(([group, of]) => line(group, of)).sort(),
    minutes: [...windows].map(([group, of]) => line(group, of)).sort(),
    closed: closed.map(([group, of]) => `${line(group, of)} ${Math.max(...of.map(({ n }) => n))}`).sort(),
    running: runningTotals(all.filter((click) => !isMarker(click))),
  }
}

function runningTotals(all: readonly Click[]): string[] {
  const lines: string[] = []
  for (const of of grouped(all, ({ k }) => k).values()) {
    let total = 0
    // Rows of one time are ordered as they came.
    for (const { k, n, atMs } of of.toSorted((a, b) => a.atMs - b.atMs)) lines.push(`${atMs} ${k} ${n} ${(total += n)}`)
  }
  return lines.sort()
}
function grouped(all: readonly Click[], by: (click: Click) => string): Map<string, Click[]> {
  const groups = new Map<string, Click[]>()
  for (const click of all) {
    const group = groups.get(by(click))
    if (group === undefined) groups.set(by(click), [click])
    else group.push(click)
  }
  return groups
}
const sum = (of: readonly Click[]): number => of.reduce((total, { n }) => total + n, 0)
