/** EXPLAIN ANALYZE: the query is run to the end, and each step of its plan says what went through it and how long it worked. */
import type { Graph, Node } from '../flow/graph.ts'
import type { Plan } from '../flow/plan.ts'
import { SqlFault } from '../sql/fault.ts'
import type { PlanContext } from '../sql/plan/context.ts'
import { planConstant } from '../sql/plan/constant.ts'
import { explainPlan } from '../sql/plan/explain.ts'
import { planOnce } from '../sql/plan/view.ts'
import type { Statement } from '../sql/syntax/ast.ts'
import type { Rights } from './engine.ts'
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
