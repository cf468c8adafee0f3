/** The last rows of a topic that only grows: read backwards in steps, since offsets may have gaps. */
import { Graph } from '../flow/graph.ts'
import type { SourcePlan } from '../flow/plan.ts'
import type { Clock } from '../lib/world.ts'
import type { Log } from '../log/log.ts'
import { schemasOf } from '../schema/formats/registry.ts'
import { type Row, rowAt } from './execute.ts'
import { frontier, readRanges } from './topic-reader.ts'

interface Placed {
  readonly row: Row
  readonly timeMs: number
  readonly partition: number
  readonly offset: number
}

/** Oldest first; over several partitions by record time. */
export async function readNewest(log: Log, source: SourcePlan, limit: number, clock: Clock): Promise<Row[]> {
  const ends = await frontier(log, source.topic)
  const all: Placed[] = []
  for (const { partition, from, to } of ends) {
    for (let back = limit + 16; ; back *= 4) {
      const start = Math.max(from, to - back)
      const rows: Placed[] = []
      const graph = new Graph(source, { idleMs: Infinity, maxFutureMs: Infinity, schemas: schemasOf(log, clock) })
      const { decoder, clock: sourceClock } = graph.sources[0]!
      for await (const piece of readRanges(log.reader(), [{ partition, from: start, to }])) {
        const input = [{ partition: partition.index, records: piece.records }]
        await decoder.prepare(input)
        const { batch } = decoder.decode(input, sourceClock, clock.now())
        const types = source.columns.map((field) => field.type)
        for (let i = 0; i < batch.count; i++) {
          const offset = batch.rows.offset[i]!
          rows.push({
            row: rowAt(batch, i, types),
            timeMs: piece.records.timeAt(offset) ?? 0,
            partition: partition.index,
            offset,
          })
        }
      }
      if (rows.length < limit && start > from) continue
      all.push(...rows.slice(-limit))
      break
    }
  }
  const ordered = all.toSorted((a, b) => a.timeMs - b.timeMs || a.partition - b.partition || a.offset - b.offset)
  return ordered.slice(-limit).map(({ row }) => row)
}
