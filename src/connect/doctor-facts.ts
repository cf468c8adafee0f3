/** What the doctor of a connector looks at beside its status: our topics, and what was set aside. */
import { offset } from '../lib/brand.ts'
import { decodeBatch, isControl } from '../log/batch.ts'
import type { Log } from '../log/log.ts'
import { deadLetterTopic } from './dead-letters.ts'
import type { Prepared } from './definition.ts'
import type { ConnectorInfo } from './connectors.ts'

export interface ConnectorFacts {
  readonly nowMs: number
  readonly info: ConnectorInfo
  /** null: it runs, or is not to. */
  readonly waitsFor: 'its turn' | 'the other side' | null
  /** Of a sink. */
  readonly topics: SinkTopics | null
  /** null: nothing was ever set aside. */
  readonly refused: RefusedRecords | null
}
export interface SinkTopics {
  readonly found: readonly string[]
  /** Named, and not there. */
  readonly missing: readonly string[]
  readonly pattern: string | null
}
export interface RefusedRecords {
  readonly topic: string
  /** Markers of ticks among them. */
  readonly count: number
  /** Of the newest: its topic, code and message. */
  readonly newest: { readonly topic: string; readonly reason: string; readonly error: string } | null
}

export async function foundTopics(log: Log, { named, matches, settings }: Prepared): Promise<SinkTopics> {
  const pattern = settings.text('topics.pattern')
  const all = (await log.topics.list()).map(({ name }) => name)
  if (pattern !== null) return { found: all.filter((name) => matches?.(name)), missing: [], pattern }
  const there = new Set(all)
  return {
    found: named.filter((name) => there.has(name)),
    missing: named.filter((name) => !there.has(name)),
    pattern: null,
  }
}

export async function newestRefused(log: Log, connector: string): Promise<RefusedRecords | null> {
  const topic = deadLetterTopic(connector)
  if ((await log.topics.get(topic)) === null) return null
  const partition = { topic, index: 0 }
  const [bounds] = await log.bounds([partition])
  if (bounds === undefined) return null
  const { start, stable } = bounds
  return { topic, count: Math.max(0, stable - start), newest: await newestOf(log, topic, start, stable) }
}
async function newestOf(log: Log, topic: string, start: number, stable: number): Promise<RefusedRecords['newest']> {
  const reader = log.reader({ maxBytes: 1 })
  // The last ones may be markers.
  for (let at = stable - 1; at >= Math.max(start, stable - markersMax); at--) {
    const [chunk] = await reader.read([{ partition: { topic, index: 0 }, offset: offset(at) }])
    if (chunk === undefined || 'fault' in chunk) return null
    const records = chunk.batches.filter((batch) => !isControl(batch)).flatMap((batch) => decodeBatch(batch))
    const headers = new Map(records.findLast((record) => record.offset < stable)?.headers)
    const text = (name: string): string => Buffer.from(headers.get(name) ?? []).toString('utf8')
    if (headers.size > 0) return { topic: text('mr-topic'), reason: text('mr-reason'), error: text('mr-error') }
  }
  return null
}
const markersMax = 8
