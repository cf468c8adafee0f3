/**
 * Where sources are on their other side: JSON in the compacted topic `_millrace_connect`, key `<id of the connector>/<what>`.
 * Written in the tick that writes the records; read again at each start, under the claim of who starts.
 */
import { Fault } from '../lib/fault.ts'
import { type RecordInput, Unread, encodeBatch } from '../log/batch.ts'
import type { Commits } from '../log/commits.ts'
import type { Batch, Claim, Log, Partition } from '../log/log.ts'
import type { Positions } from './kind.ts'

export const positionsTopic = '_millrace_connect'
const partition: Partition = { topic: positionsTopic, index: 0 }

export async function ensurePositions(log: Log): Promise<void> {
  if ((await log.topics.get(positionsTopic)) !== null) return
  const config = { 'cleanup.policy': 'compact' }
  const [fault] = await log.topics.create([{ name: positionsTopic, partitions: 1, config }])
  if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
}

/** What earlier holders of the claim have committed. */
export async function readPositions(log: Log, claim: Claim, id: string): Promise<Positions> {
  const found = new Map<string, unknown>()
  for await (const chunk of log.reader().restore(partition, claim)) {
    if ('fault' in chunk) throw chunk.fault
    takeIn(found, chunk.batches, id)
  }
  return found
}
function takeIn(found: Map<string, unknown>, batches: readonly Batch[], id: string): Map<string, unknown> {
  const prefix = `${id}/`
  for (const unread = new Unread(batches); !unread.isEmpty;)
    for (const { key, value } of unread.next()) {
      const name = Buffer.from(key ?? []).toString()
      if (!name.startsWith(prefix)) continue
      if (value === null) found.delete(name.slice(prefix.length))
      else found.set(name.slice(prefix.length), JSON.parse(Buffer.from(value).toString()) as unknown)
    }
  return found
}

export function positionsEntry(
  id: string,
  changes: readonly (readonly [key: string, value: unknown])[],
  timeMs: number,
): { partition: Partition; batch: Batch } {
  const records = changes.map(([key, value]): RecordInput => {
    const text = value === null ? null : Buffer.from(JSON.stringify(value))
    return { key: Buffer.from(`${id}/${key}`), value: text, timeMs }
  })
  return { partition, batch: encodeBatch(records) }
}

/** Of a connector that is gone. */
export async function forgetPositions(
  { log, commits }: { readonly log: Log; readonly commits: Commits },
  id: string,
  timeMs: number,
): Promise<void> {
  if ((await log.topics.get(positionsTopic)) === null) return
  const keys = new Set<string>()
  const reader = log.reader()
  const [bounds] = await log.bounds([partition])
  for (let offset = bounds!.start; offset < bounds!.stable;) {
    const [chunk] = await reader.read([{ partition, offset }])
    if (chunk === undefined || 'fault' in chunk) break
    for (const key of takeIn(new Map(), chunk.batches, id).keys()) keys.add(key)
    if (chunk.next <= offset) break
    offset = chunk.next
  }
  const gone = Array.from(keys, (key) => [key, null] as const)
  if (gone.length > 0) await commits.put([positionsEntry(id, gone, timeMs)], [])
}
