/** What a topic of rows holds: of a view to begin observing it, of everything up to now for one-off queries. */
import { offset as asOffset } from '../../lib/brand.ts'
import { rawRecords } from '../../log/batch.ts'
import type { Claim, Log, Partition } from '../../log/log.ts'
import type { RawRecords } from '../../log/raw-records.ts'
import type { Batch } from '../batch.ts'
import { Graph } from '../graph.ts'
import type { SourcePlan, ViewPlan } from '../plan.ts'
import { outputMode } from '../output-mode.ts'

/** A view's topic as a source. */
export function viewSource(view: ViewPlan): SourcePlan {
  const mode = outputMode(view)
  return {
    op: 'source',
    name: view.name,
    topic: view.name,
    mode,
    format: 'json',
    ...(view.envelope === undefined ? {} : { envelope: view.envelope }),
    columns: view.plan.columns,
    fields: view.plan.columns.map((c) => ({ from: 'value', path: [c.name] })),
    key: mode === 'upsert' ? (view.key ?? []) : [],
    time: null,
    onInvalid: 'null',
  }
}
/** Deltas that add up to what the view's topic holds; `claim`: also what is committed and not yet visible to others. */
export async function* viewRows(log: Log, view: ViewPlan, claim: Claim | null): AsyncIterable<Batch> {
  yield* deltasOf(log, view, claim, new Graph(viewSource(view), forever))
}
/** The same without what came and went, where the view has a key: a row for each. */
export async function* heldRows(log: Log, view: ViewPlan, claim: Claim | null): AsyncIterable<Batch> {
  const graph = new Graph(viewSource(view), forever)
  const { operator, tables } = graph.sources[0]!.node
  for await (const delta of deltasOf(log, view, claim, graph)) if (operator === null) yield delta
  const held = operator?.content?.(tables)
  if (held !== undefined && held.count > 0) yield held
}
const forever = { idleMs: Infinity, maxFutureMs: Infinity }
async function* deltasOf(log: Log, view: ViewPlan, claim: Claim | null, graph: Graph): AsyncIterable<Batch> {
  const source = graph.sources[0]!
  const partition = { topic: view.name, index: 0 }
  const chunks = claim === null ? recordsUpTo(log, partition) : restored(log, partition, claim)
  for await (const records of chunks) {
    const { batch } = source.decoder.decode([{ partition: 0, records }], source.clock, 0)
    const { out } = graph.step(new Map([[0, batch]]), 0)
    graph.commit()
    if (out.count > 0) yield out
  }
}
async function* restored(log: Log, partition: Partition, claim: Claim): AsyncIterable<RawRecords> {
  for await (const chunk of log.reader().restore(partition, claim)) {
    if ('fault' in chunk) throw chunk.fault
    for (const batch of chunk.batches) yield rawRecords([batch])
  }
}
/** Committed records of a partition up to its end as it is now. */
export async function* recordsUpTo(log: Log, partition: Partition, signal?: AbortSignal): AsyncIterable<RawRecords> {
  const [bounds] = await log.bounds([partition])
  const reader = log.reader()
  for (let at: number = bounds!.start; at < bounds!.stable;) {
    const [chunk] = await reader.read([{ partition, offset: asOffset(at) }], { ms: 1_000 }, signal)
    if (chunk === undefined) return
    if ('fault' in chunk) throw chunk.fault
    for (const batch of chunk.batches) yield rawRecords([batch]).between(at, bounds!.stable)
    at = chunk.next
  }
}
