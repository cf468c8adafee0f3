/** EXPLAIN ANALYZE: the query is run to the end, and each step of its plan says what went through it and how long it worked. */
import type { Graph, Node } from '../flow/graph.ts'
import type { Plan, ViewPlan } from '../flow/plan.ts'
import { sourcesOf } from '../flow/plan-facts.ts'
import type { ExaminedNode } from '../flow/runtime/examine.ts'
import { SqlFault } from '../sql/fault.ts'
import type { PlanContext } from '../sql/plan/context.ts'
import { planConstant } from '../sql/plan/constant.ts'
import { explainPlan, explainView } from '../sql/plan/explain.ts'
import { planOnce } from '../sql/plan/view.ts'
import type { Statement } from '../sql/syntax/ast.ts'
import { type EngineParts, timeText } from './engine-parts.ts'
import type { Graph as ViewGraph, Rights } from './engine.ts'
import { type SelectHost, planSelection } from './select.ts'
import { type Table, explainArrangement, planTable } from './show.ts'

interface Analyst {
  readonly context: PlanContext
  readonly rights: Rights
  readonly host: SelectHost
}

/** Throws SqlFault, and what the query throws. */
export async function analyze(
  { context, rights, host }: Analyst,
  { statement, at }: Extract<Statement, { kind: 'explain' }>,
  signal: AbortSignal,
): Promise<Table> {
  if (statement.kind !== 'query')
    throw new SqlFault('sql.unsupported', 'EXPLAIN ANALYZE takes a query: it is run to the end', context.text, at, {
      hint: 'What runs through a view shows its graph, and millrace doctor VIEW says why it gives nothing.',
    })
  const { query } = statement
  let graph: Graph | null = null
  const watched: SelectHost = { ...host, watch: (running) => (graph = running) }
  const { topics, rows } = planSelection(context, query, watched)
  for (const topic of topics) rights.demand('read', topic)
  const startedMs = host.clock.monotonic()
  let count = 0
  for await (const _ of rows(signal)) count++
  const tookMs = host.clock.monotonic() - startedMs
  const head = planConstant(context, query) === null ? explainArrangement(planOnce(context, query)) : ['Constant rows']
  return planTable([
    ...head,
    ...(graph === null ? [] : stepsOf(graph)),
    `Rows: ${count}`,
    `Time: ${tookMs.toFixed(1)} ms`,
  ])
}
/** Of a view that runs: what went through each of its steps since the program started, and what they hold. */
export async function analyzeView({ runner, rights }: EngineParts, view: ViewPlan): Promise<Table> {
  for (const { topic } of sourcesOf(view.plan)) rights.demand('read', topic)
  const [examined, graph, state] = [
    await runner.examine(view.name),
    await runner.graph(view.name),
    runner.state(view.name),
  ]
  const [head, ...plan] = explainView(view)
  if (examined === null || graph === null || state === null) return planTable([head!, '  does not run here', ...plan])
  const { rowsIn, rowsOut, late, invalid } = state.stats
  const counts = counted([
    ['in', rowsIn],
    ['out', rowsOut],
    ['late', late],
    ['invalid', invalid],
  ])
  const steps = new Map(examined.nodes.map((node) => [node.plan, node]))
  const shown = new Map(graph.nodes.map((node) => [node.id, node]))
  const lines = explainPlan(examined.nodes.at(-1)!.plan, (step) => {
    const node = steps.get(step)
    return node === undefined ? null : liveLine(node, shown.get(node.id))
  })
  return planTable([
    head!,
    `  ${state.status}${state.fault === null ? '' : `: ${state.fault.message}`}; rows ${counts}`,
    ...(graph.heldBackBy === null ? [] : [`  the watermark is held back by ${graph.heldBackBy}`]),
    ...lines.map((line) => `  ${line}`),
  ])
}
/** Those of the first two even where there are none. */
const counted = (counts: readonly (readonly [string, number])[]): string =>
  counts.flatMap(([name, count], i) => (i < 2 || count > 0 ? [`${name} ${count}`] : [])).join(', ')
function liveLine(node: ExaminedNode, shown: ViewGraph['nodes'][number] | undefined): string {
  const rows = counted([
    ['in', node.rowsIn],
    ['out', node.rowsOut],
    ['late', node.late + node.lateAfterIdle],
    ['failed', node.failed],
  ])
  const watermark = timeText(node.watermarkMs)
  return [
    node.plan.op === 'source' ? `rows ${node.rowsOut}` : `rows ${rows}`,
    ...(node.stateRows > 0 ? [`state ${node.stateRows} entries, ${shown?.stateBytes ?? 0} bytes`] : []),
    ...(watermark === null ? [] : [`watermark ${watermark}`]),
    ...(shown?.busy === undefined ? [] : [`busy ${(shown.busy * 100).toFixed(0)} %`]),
  ].join('; ')
}
function stepsOf({ nodes }: Graph): string[] {
  const byPlan = new Map<Plan, Node>(nodes.map((node) => [node.plan, node]))
  return explainPlan(nodes.at(-1)!.plan, (plan) => {
    const node = byPlan.get(plan)
    return node === undefined ? null : measured(node)
  })
}
function measured({ source, counts, tables, meter }: Node): string {
  const held = tables.reduce((sum, table) => sum + table.rows, 0)
  const bytes = tables.reduce((sum, table) => sum + table.bytes, 0)
  return [
    source === null ? `rows in ${counts.rowsIn}, out ${counts.rowsOut}` : `rows ${counts.rowsOut}`,
    ...(tables.length === 0 ? [] : [`state ${held} entries, ${bytes} bytes`]),
    ...(meter === null ? [] : [`${meter.busyMs.total.toFixed(1)} ms`]),
  ].join('; ')
}
