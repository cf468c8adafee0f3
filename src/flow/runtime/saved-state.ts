/** What is kept of a view that does not run here: read from its changelog. */
import { offset as asOffset } from '../../lib/brand.ts'
import { type LogRecord, decodeBatch } from '../../log/batch.ts'
import type { Log, Partition } from '../../log/log.ts'
import { graphOperator, metaKey, metaNumber, metaTable } from '../graph.ts'
import { hashKey, slotOf } from '../key.ts'
import { type SavedMarks, keyOfChangelog, readMarks } from '../state-marks.ts'
import { StateTable } from '../state.ts'
import { stateTopic } from './names.ts'

/** null: nothing that this program reads has been committed. */
export async function savedMarks(log: Log, view: string): Promise<SavedMarks | null> {
  const topic = stateTopic(view)
  const info = await log.topics.get(topic)
  if (info === null) return null
  const meta = new StateTable(metaTable)
  const name = metaKey('marks')
  const index = slotOf(hashKey(name.bytes, 0, name.length)) % info.partitions
  for await (const { key, value } of committedRecords(log, { topic, index })) {
    if (key === null) continue
    const { operator, table, rest } = keyOfChangelog(key)
    if (operator === graphOperator && table === metaNumber) meta.restore(rest, value)
  }
  const row = meta.find(name)
  return row < 0 ? null : readMarks(meta.values[row])
}
/** Of a partition, by default up to its end as it is now. */
export async function* committedRecords(
  log: Log,
  partition: Partition,
  from = 0,
  until = Infinity,
): AsyncGenerator<LogRecord> {
  const [bounds] = await log.bounds([partition])
  const end = Math.min(bounds!.stable, until)
  const reader = log.reader()
  for (let at: number = Math.max(bounds!.start, from); at < end;) {
    const [chunk] = await reader.read([{ partition, offset: asOffset(at) }], { ms: 1_000 })
    if (chunk === undefined) return
    if ('fault' in chunk) throw chunk.fault
    for (const batch of chunk.batches)
      for (const record of decodeBatch(batch)) if (record.offset >= at && record.offset < end) yield record
    at = chunk.next
  }
}
