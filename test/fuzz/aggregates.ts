/** Random aggregate calls, and how DuckDB computes the same. */
import { columnExpr, comparable, expr, kindIn, type Maker, ordered, same, type Scope } from './terms.ts'
import type { Expr, Kind } from './node.ts'
import { decimalType } from './values.ts'

const summed: readonly Kind[] = ['smallint', 'int', 'bigint', 'numeric', 'double']

export function aggregateOf(make: Maker, scope: Scope): Expr {
  const { chance } = make
  const name = chance.weighted([
    [4, 'count(*)'],
    [3, 'count'],
    [5, 'sum'],
    [3, 'avg'],
    [5, 'extreme'],
    [2, 'bool'],
    [1, 'spread'],
  ] as const)
  const distinct = chance.is(0.18) ? 'DISTINCT ' : ''
  const filter = chance.is(0.2) ? [make.condition(scope, 1)] : []
  const end = (at: number): string => (filter.length === 0 ? '' : ` FILTER (WHERE $${at})`)
  switch (name) {
    case 'count(*)':
      return same(`count(*)${end(1)}`, filter, { kind: 'bigint', bound: 1e6 })
    case 'count': {
      const rough = scope.filter((c) => !c.exact)
      const arg =
        rough.length > 0 && chance.is(0.2)
          ? columnExpr(chance.pick(rough))
          : make.of(scope, kindIn(chance, scope, comparable), 1)
      return same(`count(${arg.exact ? distinct : ''}$1)${end(2)}`, [arg, ...filter], { kind: 'bigint', bound: 1e6 })
    }
    case 'extreme': {
      const arg = make.of(scope, kindIn(chance, scope, ordered), 1)
      return same(`${chance.pick(['min', 'max'])}(${distinct}$1)${end(2)}`, [arg, ...filter], arg)
    }
    case 'bool': {
      const [ours, theirs] = chance.pick([
        ['bool_and', 'bool_and'],
        ['bool_or', 'bool_or'],
        ['every', 'bool_and'],
      ] as const)
      const arg = make.condition(scope, 1)
      return expr(`${ours}($1)${end(2)}`, `${theirs}($1)${end(2)}`, [arg, ...filter], { kind: 'boolean' })
    }
    case 'sum':
      return sum(make.of(scope, kindIn(chance, scope, summed), 1), distinct, filter, end(2))
    case 'avg':
      return average(make.of(scope, kindIn(chance, scope, summed), 1), distinct, filter, end(2))
    case 'spread': {
      const arg = make.of(scope, chance.pick<Kind>(['int', 'smallint']), 0)
      const call = chance.pick(['stddev_samp', 'stddev_pop', 'var_samp', 'var_pop', 'stddev', 'variance'])
      return same(`${call}(${distinct}$1)${end(2)}`, [arg, ...filter], {
        kind: 'numeric',
        scale: 4,
        exact: false,
        bound: 1e12,
      })
    }
  }
}
const many = 1e4
function sum(arg: Expr, distinct: string, filter: readonly Expr[], end: string): Expr {
  const parts = [arg, ...filter]
  switch (arg.kind) {
    case 'bigint':
      return expr(`sum(${distinct}$1)${end}`, `CAST(sum(${distinct}$1)${end} AS ${decimalType(0)})`, parts, {
        kind: 'numeric',
        scale: 0,
        bound: arg.bound * many,
      })
    case 'numeric':
      return expr(`sum(${distinct}$1)${end}`, `CAST(sum(${distinct}$1)${end} AS ${decimalType(arg.scale!)})`, parts, {
        kind: 'numeric',
        scale: arg.scale!,
        bound: arg.bound * many,
      })
    case 'double':
      return same(`sum(${distinct}$1)${end}`, parts, { kind: 'double', exact: false, bound: Infinity })
    default:
      return expr(`sum(${distinct}$1)${end}`, `CAST(sum(${distinct}$1)${end} AS BIGINT)`, parts, {
        kind: 'bigint',
        bound: arg.bound * many,
      })
  }
}
/** DuckDB's own average of integers is a double from the start; the exact sum divided once is right to every digit. */
function average(arg: Expr, distinct: string, filter: readonly Expr[], end: string): Expr {
  const parts = [arg, ...filter]
  if (arg.kind === 'double')
    return same(`avg(${distinct}$1)${end}`, parts, { kind: 'double', exact: false, bound: Infinity })
  const theirs = `(CAST(sum(${distinct}$1)${end} AS DOUBLE) / count(${distinct}$1)${end})`
  return expr(`avg(${distinct}$1)${end}`, theirs, parts, { kind: 'numeric', scale: 4, exact: false, bound: arg.bound })
}
