/** FROM: sources, derived tables, joins; windows over streams are in `window.ts`. */
import type { Plan } from '../../flow/plan.ts'
import { inputsOf } from '../../flow/plan-facts.ts'
import { limits } from '../../lib/limits.ts'
import { matchesName, type Scope } from '../bind/scope.ts'
import { SqlFault } from '../fault.ts'
import type { Alias, Query, QualifiedName, TableRef } from '../syntax/ast.ts'
import { changelogFunctions, planChangelog } from './changelog.ts'
import type { PlanContext } from './context.ts'
import { planJoin, planTemporalJoin } from './join.ts'
import { findRelation, pickNamed, type Rel, type Relation, sourceScope } from './relation.ts'
import { planWindow } from './window.ts'

/** Ties the knot: FROM holds queries and queries hold FROM. */
export type PlanQuery = (ctx: PlanContext, query: Query) => Rel

export function planFrom(ctx: PlanContext, from: readonly TableRef[], planQuery: PlanQuery, at: number): Rel {
  const [first, ...more] = from
  if (first === undefined) {
    throw new SqlFault('sql.unsupported', 'a SELECT without FROM is not supported here', ctx.text, at, {
      hint: 'Only a SELECT on its own may leave FROM out.',
    })
  }
  let rel = planTable(ctx, first, planQuery)
  for (const right of more) {
    const cross = { kind: 'join', type: 'cross', natural: false, on: null, using: [], left: first, right } as const
    rel = planJoin(ctx, rel, planTable(ctx, right, planQuery), { ...cross, at: first.at, end: right.end })
  }
  return rel
}

function planTable(ctx: PlanContext, ref: TableRef, planQuery: PlanQuery): Rel {
  switch (ref.kind) {
    case 'table':
      if (ref.asOf !== null) {
        throw new SqlFault(
          'sql.unsupported',
          'FOR SYSTEM_TIME AS OF is supported on the right side of a JOIN',
          ctx.text,
          ref.asOf.at,
          { hint: 'Write SELECT s.k, i.name FROM s JOIN items FOR SYSTEM_TIME AS OF PROCTIME() AS i ON i.k = s.k.' },
        )
      }
      return named(ctx, ref.name, ref.alias, planQuery)
    case 'derived':
      if (ref.lateral) throw new SqlFault('sql.unsupported', 'LATERAL is not supported yet', ctx.text, ref.at)
      return aliased(ctx, planQuery({ ...ctx }, ref.query), ref.alias)
    case 'function':
      if (changelogFunctions.has(ref.name.parts.at(-1)!.text.toLowerCase())) {
        const rel = planChangelog(ctx, ref, (inner, name, alias) => named(inner, name, alias, planQuery))
        return ref.alias === null ? rel : aliased(ctx, rel, ref.alias)
      }
      return planWindow(ctx, ref, {
        named: (inner, name, alias) => named(inner, name, alias, planQuery),
        query: (inner, query) => aliased(inner, planQuery({ ...inner }, query), null),
        aliased,
      })
    case 'join':
      return join(ctx, ref, planQuery)
  }
}

/** A common table expression, stream, table or view by its name. */
function named(ctx: PlanContext, name: QualifiedName, alias: Alias | null, planQuery: PlanQuery): Rel {
  const cte = name.parts.length === 1 ? ctx.ctes.find((c) => matchesName(name.parts[0]!, c.name)) : undefined
  const rel =
    cte === undefined
      ? (plainView(ctx, name, planQuery) ?? sourceRel(findRelation(ctx.schema, name, ctx.text)))
      : { ...cte.rel, scope: renamed(cte.rel.scope, cte.name) }
  ctx.size!.steps += stepCount(rel.plan)
  if (ctx.size!.steps > limits.sqlPlanSteps)
    throw new SqlFault(
      'sql.too-complex',
      `more than ${limits.sqlPlanSteps} steps, with those of WITH queries and views at each place that names them`,
      ctx.text,
      name.at,
    )
  return alias === null ? rel : aliased(ctx, rel, alias)
}
const steps = new WeakMap<Plan, number>()
function stepCount(plan: Plan): number {
  const known = steps.get(plan)
  if (known !== undefined) return known
  const count = inputsOf(plan).reduce((sum, input) => sum + stepCount(input), 1)
  steps.set(plan, count)
  return count
}

/** The query that a plain view's name stands for; null: it names none. */
function plainView(ctx: PlanContext, name: QualifiedName, planQuery: PlanQuery): Rel | null {
  const found = pickNamed(ctx.schema.plainViews?.() ?? [], name, ctx.text)
  if (found === null) return null
  ctx.inlined?.add(found.name)
  const { text, query, columns } = found
  const rel = planQuery({ ...ctx, text, ctes: [], parameters: null }, query)
  const [relation] = renamed(rel.scope, found.name)
  const scope = [
    { ...relation!, columns: relation!.columns.map((c, i) => ({ ...c, name: columns[i]?.text ?? c.name })) },
  ]
  return { ...rel, scope }
}
/** The rows of a relation as it is stored. */
export function sourceRel(relation: Relation): Rel {
  const { source } = relation
  const timestamp = source.columns.findIndex((_, i) => source.fields[i]!.from === 'timestamp')
  const said = source.watermark === undefined ? {} : { delayMs: Infinity }
  const declared = source.time === null ? null : { ...source.time, ...said }
  const time = declared ?? (timestamp < 0 ? null : { column: timestamp, delayMs: 1 })
  return {
    plan: source,
    scope: sourceScope(relation.name, source, relation.declared),
    key: relation.key?.map((position) => [position]) ?? null,
    appendOnly: relation.appendOnly,
    time,
    windows: [],
  }
}

const renamed = (scope: Scope, name: string | null): Scope => [
  { name, schema: null, columns: scope.flatMap((relation) => relation.columns) },
]

function aliased(ctx: PlanContext, rel: Rel, alias: Alias | null): Rel {
  const [relation] = renamed(rel.scope, alias?.name.text ?? null)
  if (alias === null || alias.columns.length === 0) return { ...rel, scope: [relation!] }
  const visible = relation!.columns.filter((column) => !column.hidden)
  if (alias.columns.length > visible.length) {
    const message = `table "${alias.name.text}" has ${visible.length} columns available but ${alias.columns.length} columns specified`
    throw new SqlFault('sql.invalid-definition', message, ctx.text, alias.columns[visible.length]!.at)
  }
  const columns = visible.map((column, i) => ({ ...column, name: alias.columns[i]?.text ?? column.name }))
  return {
    ...rel,
    scope: [{ ...relation!, columns: [...columns, ...relation!.columns.filter((column) => column.hidden)] }],
  }
}

function join(ctx: PlanContext, ref: Extract<TableRef, { kind: 'join' }>, planQuery: PlanQuery): Rel {
  const { right } = ref
  const left = planTable(ctx, ref.left, planQuery)
  if (right.kind !== 'table' || right.asOf === null) return planJoin(ctx, left, planTable(ctx, right, planQuery), ref)
  if (ref.type !== 'inner' && ref.type !== 'left') {
    throw new SqlFault(
      'sql.unsupported',
      `a ${ref.type.toUpperCase()} JOIN with FOR SYSTEM_TIME AS OF has no meaning`,
      ctx.text,
      right.at,
      { hint: 'Use JOIN or LEFT JOIN.' },
    )
  }
  const table = named(ctx, right.name, right.alias, planQuery)
  return planTemporalJoin(ctx, left, table, { ...ref, type: ref.type, asOf: right.asOf })
}
