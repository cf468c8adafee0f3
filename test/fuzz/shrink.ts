/** Smaller queries and datasets that still fail in the same way. */
import type { Arena, Outcome } from './run.ts'
import type { Case } from './case.ts'
import type { Expr, From, Query, Select, SetOperation } from './node.ts'

type Different = Extract<Outcome, { kind: 'different' }>

function* replaced<T>(items: readonly T[], variants: (item: T) => Iterable<T>): Generator<readonly T[]> {
  for (const [i, item] of items.entries()) for (const other of variants(item)) yield items.with(i, other)
}
function* without<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let i = 0; i < items.length; i++) yield items.toSpliced(i, 1)
}
/** Queries that are a step smaller, the smallest first. Not all of them mean something. */
export function* smaller(q: Query): Generator<Query> {
  for (const { query } of q.ctes) yield query
  if (q.body.node === 'set')
    yield* [
      { ...q.body.left, ctes: q.ctes },
      { ...q.body.right, ctes: q.ctes },
    ]
  else for (const inner of derivedIn(q.body.from)) yield { ...inner, ctes: [...q.ctes, ...inner.ctes] }
  for (const ctes of without(q.ctes)) yield { ...q, ctes }
  if (q.limit !== null) yield { ...q, limit: null, offset: 0, orderBy: [] }
  if (q.offset > 0) yield { ...q, offset: 0 }
  if (q.orderBy.length > 1) for (const orderBy of without(q.orderBy)) yield { ...q, orderBy }
  if (q.body.node === 'set') for (const body of smallerSet(q.body)) yield { ...q, body }
  else for (const body of smallerSelect(q.body)) yield { ...q, body }
  for (const ctes of replaced(q.ctes, function* (cte) {
    for (const query of smaller(cte.query)) yield { ...cte, query }
  }))
    yield { ...q, ctes }
}
function* smallerSet(set: SetOperation): Generator<SetOperation> {
  for (const left of smaller(set.left)) yield { ...set, left }
  for (const right of smaller(set.right)) yield { ...set, right }
  // A column less on both sides.
  const { left, right } = set
  if (left.body.node !== 'select' || right.body.node !== 'select' || set.columns.length < 2) return
  for (let i = 0; i < set.columns.length; i++) {
    const cut = (q: Query, body: Select): Query => ({ ...q, body: { ...body, items: body.items.toSpliced(i, 1) } })
    yield { ...set, columns: set.columns.toSpliced(i, 1), left: cut(left, left.body), right: cut(right, right.body) }
  }
}
function* smallerSelect(s: Select): Generator<Select> {
  for (const where of without(s.where)) yield { ...s, where }
  for (const having of without(s.having)) yield { ...s, having }
  for (const from of smallerFrom(s.from)) yield { ...s, from }
  if (s.items.length > 1) for (const items of without(s.items)) yield { ...s, items }
  for (const [i, key] of s.groupBy.entries())
    yield { ...s, groupBy: s.groupBy.toSpliced(i, 1), items: s.items.filter(({ expr }) => expr !== key) }
  for (const groupBy of without(s.groupBy)) yield { ...s, groupBy }
  if (s.distinct) yield { ...s, distinct: false }
  for (const where of replaced(s.where, smallerExpr)) yield { ...s, where }
  for (const having of replaced(s.having, smallerExpr)) yield { ...s, having }
  for (const [i, { expr }] of s.items.entries())
    for (const other of smallerExpr(expr)) {
      // A key that is shown stays the key.
      const groupBy = s.groupBy.map((key) =>
        key === expr || JSON.stringify(key) === JSON.stringify(expr) ? other : key,
      )
      yield { ...s, groupBy, items: s.items.with(i, { ...s.items[i]!, expr: other }) }
    }
  for (const groupBy of replaced(s.groupBy, smallerExpr)) yield { ...s, groupBy }
}
function* derivedIn(from: From): Generator<Query> {
  if (from.node === 'derived') yield from.query
  if (from.node === 'join') yield* [...derivedIn(from.left), ...derivedIn(from.right)]
}
function* smallerFrom(from: From): Generator<From> {
  switch (from.node) {
    case 'table':
      if (from.window !== null) yield { ...from, window: null }
      return
    case 'derived':
      if (from.query.body.node === 'select' && from.query.body.from.node === 'table')
        yield { ...from.query.body.from, alias: from.alias }
      for (const query of smaller(from.query)) yield { ...from, query }
      return
    case 'temporal':
      yield { node: 'table', name: from.stream, alias: from.alias, window: null }
      return
    case 'join':
      yield from.left
      yield from.right
      if (from.kind !== 'inner' && from.on.length > 0) yield { ...from, kind: 'inner' }
      if (from.on.length > 1) for (const on of without(from.on)) yield { ...from, on }
      for (const left of smallerFrom(from.left)) yield { ...from, left }
      for (const right of smallerFrom(from.right)) yield { ...from, right }
      for (const on of replaced(from.on, smallerExpr)) yield { ...from, on }
  }
}
function* smallerExpr(e: Expr): Generator<Expr> {
  for (const arg of e.args) if (arg.node === 'expr' && arg.kind === e.kind) yield arg
  for (const args of replaced(e.args, function* (arg): Generator<Expr | Query> {
    if (arg.node === 'expr') yield* smallerExpr(arg)
    else yield* smaller(arg)
  }))
    yield { ...e, args }
}

/** The smallest found in so many tries. */
export async function shrink(
  arena: Arena,
  failing: Case,
  outcome: Different,
  tries = 1_200,
): Promise<{ found: Case; outcome: Different }> {
  const sort = (what: string): string => what.replace(/\d+/g, '#')
  let best = failing
  let last = outcome
  let left = tries
  const fails = async (next: Case): Promise<boolean> => {
    left--
    const got = await arena.check(next.dataset, next.query, next.seed)
    const same = got.kind === 'different' && sort(got.what) === sort(outcome.what)
    if (same) {
      best = next
      last = got
    }
    return same
  }
  const rows = async (): Promise<void> => {
    for (
      let size = Math.ceil(best.dataset.changes.length / 2);
      size > 0 && left > 0;
      size = size === 1 ? 0 : Math.ceil(size / 2)
    )
      for (let at = 0; at < best.dataset.changes.length && left > 0;) {
        const changes = best.dataset.changes.toSpliced(at, size)
        if (!(await fails({ ...best, dataset: { ...best.dataset, changes } }))) at += size
      }
  }
  const text = async (): Promise<void> => {
    for (let again = true; again && left > 0;) {
      again = false
      for (const query of smaller(best.query)) {
        if (left <= 0) return
        again = await fails({ ...best, query })
        if (again) break
      }
    }
  }
  await text()
  await rows()
  await text()
  return { found: best, outcome: last }
}
