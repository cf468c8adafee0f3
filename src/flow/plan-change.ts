/**
 * What a change of a view's query does to what the view has, said before anything is done and done then (`runtime/adopt.ts`):
 * which operators keep their state, which are filled from what others hold, which begin with nothing; and what becomes of
 * the rows that are there.
 *
 * Of each step it is known what it has given so far, as far as that matters for those behind it:
 * - `rows`: it stands in state, and can be read (`Operator.content`);
 * - `nothing`: it will only add to it, so who begins now begins now;
 * - `unknown`: it may withdraw what nobody can name any more. Nothing new can stand behind that.
 */
import type { Columns } from '../schema/types.ts'
import { timeDefaults } from './clock.ts'
import { Fingerprints } from './fingerprint.ts'
import { Graph, type Node } from './graph.ts'
import type { Plan, ViewPlan } from './plan.ts'
import { neverWithdraws } from './plan-facts.ts'
import { type OutputMode, outputMode } from './output-mode.ts'
import { type Mark, type SavedMarks, isAmong, liveTopics, missing } from './state-marks.ts'

export interface OperatorChange {
  readonly does: 'keeps' | 'rebuilds' | 'starts empty' | 'goes'
  readonly kind: string
  readonly label: string
  /** Its number in the state. */
  readonly number: number
  /** Of what rebuilds: what it is filled from. */
  readonly from: readonly string[]
}
export interface PlanChange {
  readonly operators: readonly OperatorChange[]
  /** Topics that are read from their beginning. */
  readonly readAnew: readonly string[]
  /**
   * `stay`: as they are, and new ones come. `restated`: what does not hold any more is withdrawn, what is new comes. `anew`: into
   * a topic made anew.
   */
  readonly rows: 'stay' | 'restated' | 'anew'
  /** Why it cannot be done so. */
  readonly refusal: string | null
}

/** How the rows of a view lie in its topic. */
export type ViewRows = Pick<ViewPlan, 'key' | 'appendOnly' | 'envelope'> & { readonly columns: Columns }
export const viewRowsOf = ({ plan: { columns }, key, appendOnly, envelope }: ViewPlan): ViewRows => ({
  columns,
  key,
  appendOnly,
  ...(envelope === undefined ? {} : { envelope }),
})

/** They give the same rows out of the same state, now and later. */
export function isSamePlan(before: Plan, next: Plan): boolean {
  const of = (plan: Plan): string => new Fingerprints().ofResult(plan)
  const [a, b] = [graphOf(before).marks, graphOf(next).marks]
  return of(before) === of(next) && missing(a, b.saved).length === 0 && missing(b, a.saved).length === 0
}
const graphOf = (plan: Plan): Graph => new Graph(plan, timeDefaults)

/** `before` null: what it was is not known, but for its state. */
export function planChange(saved: SavedMarks, before: ViewRows | null, next: ViewPlan): PlanChange {
  const graph = graphOf(next.plan)
  const kept = keptNodes(graph, saved)
  const read = liveTopics(saved)
  const given = new Map<Node, Given>()
  const operators: OperatorChange[] = []
  let refusal: string | null = null
  for (const node of graph.nodes) {
    const mark = graph.marks.operators.get(node)
    const behind = givenTo(node, given)
    if (mark !== undefined) {
      operators.push(changeOf(node, mark, kept.has(node), given))
      if (!kept.has(node)) refusal ??= whyNot(node, behind, read)
    }
    given.set(node, givenBy(node, behind, { isKept: kept.has(node), read }))
  }
  // Rows in one topic are read in one way.
  if (before !== null && before.envelope !== next.envelope) refusal = 'its rows lie in their topic in another format'
  const rows = rowsOf(before, viewRowsOf(next))
  const output = graph.nodes.at(-1)!
  if (rows !== 'stay' && given.get(output) === 'unknown')
    refusal ??= `what ${nameOf(output)} has given is not all in its state, so its rows cannot be made again`
  const gone = saved.operators
    .filter((mark) => !isAmong(mark, graph.marks.saved))
    .map(({ kind, label, number }): OperatorChange => ({ does: 'goes', kind, label, number, from: [] }))
  const readAnew = [...new Set(graph.sources.map(({ plan }) => plan.topic))].filter((topic) => !read.has(topic))
  return { operators: [...operators, ...gone], readAnew, rows, refusal }
}
/**
 * Nodes whose state is there, and that of all before them: what an operator gave to those behind it must be what it still
 * knows of.
 */
export function keptNodes(graph: Graph, saved: SavedMarks): Set<Node> {
  const kept = new Set<Node>()
  const whole = new Set<Node>()
  for (const node of graph.nodes) {
    const mark = graph.marks.operators.get(node)
    if (!node.inputs.every((input) => whole.has(input)) || (mark !== undefined && !isAmong(mark, saved))) continue
    whole.add(node)
    if (mark !== undefined) kept.add(node)
  }
  return kept
}

type Given = 'rows' | 'nothing' | 'unknown'
const nameOf = ({ kind, label }: Pick<Node, 'kind' | 'label'>): string => `${kind} ${label}`

function givenTo({ inputs }: Node, given: ReadonlyMap<Node, Given>): Given {
  const all = inputs.map((input) => given.get(input)!)
  if (all.includes('unknown')) return 'unknown'
  return all.includes('rows') ? 'rows' : 'nothing'
}
function givenBy(
  { plan, operator, tables }: Node,
  behind: Given,
  { isKept, read }: { readonly isKept: boolean; readonly read: ReadonlySet<string> },
): Given {
  if (isKept) return operator?.content !== undefined ? 'rows' : neverWithdraws(plan) ? 'nothing' : 'unknown'
  // Of what adds up nobody knows what was before; changes begin with the next.
  if (plan.op === 'from-changelog' && plan.key === null) return 'unknown'
  if (plan.op === 'to-changelog') return 'nothing'
  if (plan.op === 'source') return plan.mode === 'weighted' && read.has(plan.topic) ? 'unknown' : 'nothing'
  // Without tables it holds nothing itself.
  return tables.length === 0 || behind !== 'nothing' ? behind : 'nothing'
}
function whyNot({ plan, kind, label, inputs }: Node, behind: Given, read: ReadonlySet<string>): string | null {
  if (plan.op === 'source')
    return read.has(plan.topic) ? `table ${plan.name} would have to be read again, and what is kept has read it` : null
  if (behind !== 'unknown') return null
  return `${kind} ${label} would be new, and of what ${inputs.map(nameOf).join(' and ')} has given not all is in its state`
}
function changeOf(node: Node, { number }: Mark, isKept: boolean, given: ReadonlyMap<Node, Given>): OperatorChange {
  const { kind, label, plan, inputs } = node
  if (isKept) return { does: 'keeps', kind, label, number, from: [] }
  const from =
    plan.op === 'source' ? [`topic ${plan.topic}`] : inputs.filter((input) => fills(input, given)).map(nameOf)
  return { does: from.length > 0 ? 'rebuilds' : 'starts empty', kind, label, number, from }
}
/** Rows of a new table come when it is read. */
const fills = (input: Node, given: ReadonlyMap<Node, Given>): boolean =>
  given.get(input) === 'rows' || (input.plan.op === 'source' && input.plan.mode !== 'append')

function rowsOf(before: ViewRows | null, next: ViewRows): PlanChange['rows'] {
  if (before === null) return 'anew'
  if (before.appendOnly && next.appendOnly && sameKey(before, next)) return 'stay'
  const mode: OutputMode = outputMode(next)
  return mode !== 'append' && outputMode(before) === mode && sameColumns(before, next) && sameKey(before, next)
    ? 'restated'
    : 'anew'
}
const sameKey = (a: ViewRows, b: ViewRows): boolean => JSON.stringify(a.key) === JSON.stringify(b.key)
export function sameColumns(a: ViewRows, b: ViewRows): boolean {
  const shape = ({ columns }: ViewRows): string => JSON.stringify(columns.map(({ name, type }) => [name, type]))
  return shape(a) === shape(b)
}
