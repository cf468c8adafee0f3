/** JOIN t FOR SYSTEM_TIME AS OF s.time ON t.key = s.key: each row meets the table's row as it was at its event time. */
import type { Expression } from '../../flow/expression.ts'
import type { Columns } from '../../schema/types.ts'
import { type Bound, column, columnsOf, conjunction, conjuncts } from '../bind/bound.ts'
import { bindBoolean, bindExpression } from '../bind/expressions.ts'
import { resolveUniform } from '../bind/functions.ts'
import { findColumn, type Scope, type ScopeColumn } from '../bind/scope.ts'
import { SqlFault } from '../fault.ts'
import type { Expr, Name, TableRef } from '../syntax/ast.ts'
import { bindContext, type PlanContext } from './context.ts'
import { notEventTime } from './event-time.ts'
import { refuseUnlimited } from './over.ts'
import type { Rel } from './relation.ts'

type Join = Omit<Extract<TableRef, { kind: 'join' }>, 'type'> & { readonly type: 'inner' | 'left'; readonly asOf: Expr }

export function planTemporalJoin(ctx: PlanContext, left: Rel, right: Rel, join: Join): Rel {
  checkSides(ctx, left, right, join)
  refuseUnlimited(ctx, left)
  const width = left.plan.columns.length
  const scope = joinedScope(ctx, left, right, join)
  const conditions = joinConditions(ctx, scope, left, right, join)
  const keys = right.key!.map((part) => part[0]!)
  const { leftKeys, rest } = matchKeys(conditions, keys, width)
  const missing = leftKeys.findIndex((key) => key === null)
  if (missing >= 0) {
    const name = right.plan.columns[keys[missing]!]!.name
    throw new SqlFault(
      'sql.unsupported',
      `the join must say what the key column "${name}" of the table equals`,
      ctx.text,
      join.on?.at ?? join.right.at,
      {
        hint: `Add ON … = ${name}, for every column of the table's key.`,
      },
    )
  }
  const outer = join.type === 'left'
  const rightColumns = right.plan.columns.map((field) => (outer ? { ...field, nullable: true } : field))
  const columns: Columns = [...left.plan.columns, ...rightColumns]
  return {
    plan: {
      op: 'temporal-join',
      left: left.plan,
      right: right.plan,
      leftKeys: leftKeys as Expression[],
      rightKeys: keys,
      leftTime: left.time!.column,
      kind: join.type,
      where: conjunction(rest),
      columns,
    },
    scope: outer
      ? scope.map((relation, i) =>
          i < left.scope.length ? relation : { ...relation, columns: relation.columns.map(asNullable) },
        )
      : scope,
    key: left.key,
    appendOnly: left.appendOnly,
    time: left.time,
    windows: left.windows,
    rank: null,
  }
}
const asNullable = (column: ScopeColumn): ScopeColumn => ({ ...column, nullable: true })

function checkSides(ctx: PlanContext, left: Rel, right: Rel, join: Join): void {
  const fail = (message: string, at: number, hint: string): never => {
    throw new SqlFault('sql.unsupported', message, ctx.text, at, { hint })
  }
  if (!left.appendOnly)
    fail(
      'the left side of a temporal join must only ever gain rows',
      join.left.at,
      'Put the stream on the left and the table on the right.',
    )
  if (right.key === null || right.key.length === 0 || right.plan.op !== 'source' || right.plan.mode !== 'upsert') {
    fail(
      'the right side of a temporal join is a table, or a view with a key',
      join.right.at,
      'CREATE TABLE … (… PRIMARY KEY) declares one.',
    )
  }
  if (left.time === null) throw notEventTime(ctx, left, join.asOf.at)
  const asOf = bindExpression(bindContext(ctx, left.scope, 'FOR SYSTEM_TIME AS OF'), join.asOf)
  if (asOf.expr.kind !== 'column' || asOf.expr.index !== left.time.column) throw notEventTime(ctx, left, join.asOf.at)
}

/** Left columns, then right ones; those merged by USING or NATURAL show once. */
function joinedScope(ctx: PlanContext, left: Rel, right: Rel, join: Join): Scope {
  const width = left.plan.columns.length
  const merged = mergedNames(ctx, left, right, join)
  const isMerged = (column: ScopeColumn): boolean => merged.some(([, r]) => r.index === column.index)
  const shifted = right.scope.map((relation) => ({
    ...relation,
    columns: relation.columns.map((column) => ({
      ...column,
      index: column.index + width,
      hidden: column.hidden || isMerged(column),
    })),
  }))
  const names = left.scope.map((relation) => relation.name)
  for (const { name } of shifted) {
    if (name !== null && names.includes(name)) {
      throw new SqlFault(
        'sql.duplicate-alias',
        `table name "${name}" specified more than once`,
        ctx.text,
        join.right.at,
      )
    }
  }
  return [...left.scope, ...shifted]
}
function mergedNames(ctx: PlanContext, left: Rel, right: Rel, join: Join): [ScopeColumn, ScopeColumn][] {
  const using: readonly Name[] = join.natural ? naturalNames(left, right, join) : join.using
  return using.map((name) => [findColumn(left.scope, [name], ctx.text), findColumn(right.scope, [name], ctx.text)])
}
function naturalNames(left: Rel, right: Rel, { at, end }: Join): Name[] {
  const names = (rel: Rel): string[] => rel.scope.flatMap((r) => r.columns.filter((c) => !c.hidden).map((c) => c.name))
  const here = new Set(names(left))
  return names(right)
    .filter((name) => here.has(name))
    .map((text) => ({ text, quoted: true, at, end }))
}

function joinConditions(ctx: PlanContext, scope: Scope, left: Rel, right: Rel, join: Join): readonly Expression[] {
  const bind = bindContext(ctx, scope, 'JOIN conditions')
  if (join.on !== null) return conjuncts(bindBoolean(bind, join.on, 'JOIN/ON').expr)
  const width = left.plan.columns.length
  return mergedNames(ctx, left, right, join).map(([l, r]) => {
    const args = [reference(l, 0, join), reference(r, width, join)]
    return resolveUniform('=', args, join, ctx.text).expr
  })
}
const reference = ({ index, type, nullable }: ScopeColumn, shift: number, { at, end }: Join): Bound => ({
  expr: column(index + shift, type),
  unknown: false,
  nullable,
  at,
  end,
})

/** For each key column of the right side the left expression that equals it; all other conditions are `rest`. */
function matchKeys(
  conditions: readonly Expression[],
  keys: readonly number[],
  width: number,
): { leftKeys: (Expression | null)[]; rest: Expression[] } {
  const leftKeys: (Expression | null)[] = keys.map(() => null)
  const rest: Expression[] = []
  for (const condition of conditions) {
    const match = equality(condition, keys, width)
    if (match !== null && leftKeys[match.key] === null) leftKeys[match.key] = match.value
    else rest.push(condition)
  }
  return { leftKeys, rest }
}
function equality(
  condition: Expression,
  keys: readonly number[],
  width: number,
): { key: number; value: Expression } | null {
  if (condition.kind !== 'call' || condition.name !== '=') return null
  const [a, b] = condition.args
  for (const [side, value] of [
    [b!, a!],
    [a!, b!],
  ] as const) {
    if (side.kind !== 'column' || side.index < width) continue
    const key = keys.indexOf(side.index - width)
    if (key >= 0 && [...columnsOf(value)].every((index) => index < width)) return { key, value }
  }
  return null
}
