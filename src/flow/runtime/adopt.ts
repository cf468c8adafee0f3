/**
 * The first tick of a changed query (`plan-change.ts`). Operators whose state was found keep it; new ones are filled with what
 * those before them have given; the rows of the view become what the plan gives of all that. It is one tick like any other:
 * with it the state is that of the new plan, before it that of the old one, so it is done again after a crash or not at all.
 */
import type { At, Bounds, Claim, Log } from '../../log/log.ts'
import { type Batch, emptyBatch } from '../batch.ts'
import type { Graph, Node, StepResult } from '../graph.ts'
import { together } from '../parts/far-parts.ts'
import type { ViewPlan } from '../plan.ts'
import { keptNodes } from '../plan-change.ts'
import { type SavedMarks, liveTopics } from '../state-marks.ts'
import { heldRows } from './snapshot.ts'

export interface Adoption {
  readonly kept: ReadonlySet<Node>
  /** Topics that have been read for this state; others begin at their beginning, whatever positions say. */
  readonly read: ReadonlySet<string>
  readonly rows: 'stay' | 'restated' | 'anew'
}
export function adoption(graph: Graph, { adopts }: ViewPlan, saved: SavedMarks): Adoption {
  return { kept: keptNodes(graph, saved), read: liveTopics(saved), rows: adopts?.rows ?? 'stay' }
}
export function readAnew({ read }: Adoption, from: At[], bounds: readonly Bounds[]): void {
  for (const [i, { partition }] of from.entries())
    if (!read.has(partition.topic)) from[i] = { partition, offset: bounds[i]!.start }
}

interface Place {
  readonly log: Log
  readonly view: ViewPlan
  readonly claim: Claim | null
  readonly nowMs: number
}
/** What is to be given: the new rows, then, so that equal ones cancel out, the old ones withdrawn. */
export async function* adopted(
  graph: Graph,
  { kept, rows }: Adoption,
  { log, view, claim, nowMs }: Place,
): AsyncGenerator<StepResult> {
  const result = fill(graph, kept, nowMs)
  yield rows === 'stay' ? { ...result, out: emptyBatch } : result
  if (rows === 'stay') return
  // Of a history taken back as it came, a row that came and went would come again.
  for await (const batch of heldRows(log, view, claim)) yield { out: withdrawn(batch), late: [], failed: [] }
}
/** Brings new operators to where they would be, and gives the rows that the plan then stands for. */
function fill(graph: Graph, kept: ReadonlySet<Node>, nowMs: number): StepResult {
  const time = { nowUs: nowMs * 1000, before: -Infinity, watermark: -Infinity, due: -Infinity }
  const given = new Map<Node, Batch>()
  const failed: StepResult['failed'][number][] = []
  for (const node of graph.nodes) {
    const { operator, tables, inputs } = node
    if (operator === null || (node.source !== null && !kept.has(node))) {
      given.set(node, emptyBatch)
      empty(node)
    } else if (kept.has(node)) given.set(node, operator.content?.(tables) ?? emptyBatch)
    else {
      empty(node)
      const batches = inputs.map((input) => given.get(input)!)
      const isIdle = batches.every(({ count }) => count === 0) && !operator.waits(tables)
      const out = isIdle ? emptyBatch : operator.step(tables, batches, time)
      if (out.failed !== null) failed.push({ node, rows: out.failed })
      given.set(node, { ...out, late: null, failed: null })
    }
  }
  return { out: given.get(graph.nodes.at(-1)!)!, late: [], failed }
}
/** State that was found, of a step whose inputs begin anew. */
function empty({ operator, tables, far }: Node): void {
  together(
    far.map((one) => one.empty()),
    () => {
      for (const table of tables) for (const id of table.all()) table.remove(id)
      if (tables.length > 0) operator?.rebuild(tables)
    },
  )
}
/** Of no record of the plan's sources: they are rows of its own topic. */
function withdrawn(batch: Batch): Batch {
  const weights = new Float64Array(batch.count)
  for (let row = 0; row < batch.count; row++) weights[row] = batch.weights === null ? -1 : -batch.weights[row]!
  const source = new Int32Array(batch.count).fill(-1)
  return { ...batch, weights, rows: { ...batch.rows, source, origins: null } }
}
