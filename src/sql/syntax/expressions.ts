/**
 * Expressions by precedence climbing (Pratt), with PostgreSQL's levels and its non-associative operators: `a < b < c`
 * is an error there and here.
 */
import type { Expr, Query } from './ast.ts'
import type { Cursor } from './cursor.ts'
import type { Grammar } from './calls.ts'
import { parsePrimary } from './primary.ts'
import { parseType } from './types.ts'

const level = {
  or: 1,
  and: 2,
  not: 3,
  is: 4,
  comparison: 5,
  membership: 6,
  other: 7,
  additive: 8,
  multiplicative: 9,
  power: 10,
  at: 11,
  collate: 12,
  unary: 13,
  cast: 15,
} as const

const comparisons = new Set(['<', '>', '=', '<=', '>=', '<>'])

export function parseExpression(cursor: Cursor): Expr {
  return climb(cursor, 0, false)
}
/** `restricted` is PostgreSQL's b_expr: no AND, OR, NOT, IN, LIKE, BETWEEN, IS NULL. */
export function parseRestricted(cursor: Cursor): Expr {
  return climb(cursor, 0, true)
}

interface Step {
  readonly left: Expr
  /** The level whose operators may not follow, 0 when any may. */
  readonly closed: number
}

function climb(cursor: Cursor, min: number, restricted: boolean): Expr {
  return cursor.nested(() => {
    let step: Step = { left: prefix(cursor, restricted), closed: 0 }
    for (let length = 1; ; length++) {
      const next = infix(cursor, step, min, restricted)
      if (next === null) return step.left
      cursor.checkChain(length)
      step = next
    }
  })
}

function prefix(cursor: Cursor, restricted: boolean): Expr {
  const { at, token } = cursor
  if (!restricted && cursor.acceptWords('not')) {
    const arg = climb(cursor, level.not, restricted)
    return { kind: 'not', arg, ...cursor.span(at) }
  }
  if (token.kind === 'operator' && !comparisons.has(token.text)) {
    const sign = token.text === '+' || token.text === '-'
    if (!sign && (token.text === '*' || token.text === '/' || token.text === '%' || token.text === '^'))
      cursor.fail(['an expression'])
    cursor.take()
    const arg = climb(cursor, sign ? level.unary : level.other + 1, restricted)
    return { kind: 'unary', op: token.text, arg, ...cursor.span(at) }
  }
  return parsePrimary(cursor, grammar)
}

/** One more operator behind `left`; null when the expression ends here. */
function infix(cursor: Cursor, step: Step, min: number, restricted: boolean): Step | null {
  const { token } = cursor
  if (token.kind === 'operator') return operator(cursor, token.text, step, min, restricted)
  if (token.kind === 'punctuation') return token.text === '::' && level.cast >= min ? castStep(cursor, step) : null
  if (token.kind !== 'word') return null
  return wordOperator(cursor, step, min, restricted)
}

function castStep(cursor: Cursor, { left }: Step): Step {
  cursor.take()
  const type = parseType(cursor)
  return { left: { kind: 'cast', arg: left, type, ...cursor.span(left.at) }, closed: 0 }
}

function operatorLevel(text: string): number {
  if (comparisons.has(text)) return level.comparison
  if (text === '+' || text === '-') return level.additive
  if (text === '*' || text === '/' || text === '%') return level.multiplicative
  return text === '^' ? level.power : level.other
}

function operator(cursor: Cursor, op: string, step: Step, min: number, restricted: boolean): Step | null {
  const own = operatorLevel(op)
  if (own < min) return null
  const nonassociative = own === level.comparison
  if (nonassociative && step.closed === own) cursor.fail([], 'Comparisons do not chain: write a < b AND b < c.')
  const opAt = cursor.take().at
  return binary(cursor, op, own, opAt, step.left, restricted, nonassociative)
}

function binary(
  cursor: Cursor,
  op: string,
  own: number,
  opAt: number,
  left: Expr,
  restricted: boolean,
  nonassociative: boolean,
): Step {
  if (!restricted && cursor.isWord('any', 'some', 'all')) return { left: quantified(cursor, op, left), closed: 0 }
  const right = climb(cursor, own + 1, restricted)
  return { left: { kind: 'binary', op, left, right, opAt, ...cursor.span(left.at) }, closed: nonassociative ? own : 0 }
}

function quantified(cursor: Cursor, op: string, left: Expr): Expr {
  const all = cursor.take().word === 'all'
  cursor.expect('(')
  const right = queryOrExpression(cursor)
  cursor.expect(')')
  return { kind: 'quantified', op, all, left, right, ...cursor.span(left.at) }
}
function queryOrExpression(cursor: Cursor): Expr | Query {
  if (startsQuery(cursor)) return cursor.query(cursor)
  const expr = parseExpression(cursor)
  return expr.kind === 'subquery' ? expr.query : expr
}
const startsQuery = (cursor: Cursor): boolean => cursor.isWord('select', 'with', 'values', 'table')

function wordOperator(cursor: Cursor, step: Step, min: number, restricted: boolean): Step | null {
  switch (cursor.token.word) {
    case 'and':
    case 'or':
      return restricted ? null : logic(cursor, step, min)
    case 'is':
      return level.is < min ? null : isStep(cursor, step, restricted)
    case 'isnull':
    case 'notnull':
      return restricted || level.is < min ? null : nullTest(cursor, step)
    case 'between':
    case 'in':
    case 'like':
    case 'ilike':
    case 'similar':
      return restricted ? null : membership(cursor, step, min, false)
    case 'not':
      return restricted || !cursor.isWordAhead(1, 'between', 'in', 'like', 'ilike', 'similar')
        ? null
        : membership(cursor, step, min, true)
    case 'at':
      return restricted || level.at < min ? null : atZone(cursor, step)
    case 'collate':
      return restricted || level.collate < min ? null : collate(cursor, step)
    case 'operator':
      return cursor.isMarkAhead(1, '(') && level.other >= min ? namedOperator(cursor, step, restricted) : null
    case 'overlaps':
      return cursor.unsupported('OVERLAPS', cursor.at)
    default:
      return null
  }
}

/** Chains become one node, so that a thousand conditions cost no depth. */
function logic(cursor: Cursor, { left }: Step, min: number): Step | null {
  const kind = cursor.token.word === 'and' ? 'and' : 'or'
  if (level[kind] < min) return null
  const args = [left]
  while (cursor.acceptWords(kind)) args.push(climb(cursor, level[kind] + 1, false))
  return { left: { kind, args, ...cursor.span(left.at) }, closed: 0 }
}

function nullTest(cursor: Cursor, { left, closed }: Step): Step {
  if (closed === level.is) cursor.fail()
  const negated = cursor.take().word === 'notnull'
  return { left: { kind: 'is', what: 'null', negated, arg: left, ...cursor.span(left.at) }, closed: 0 }
}

function isStep(cursor: Cursor, step: Step, restricted: boolean): Step {
  const { left } = step
  const distinctAhead = cursor.isWordAhead(cursor.isWordAhead(1, 'not') ? 2 : 1, 'distinct')
  if (step.closed === level.is) cursor.fail()
  cursor.take()
  const negated = cursor.acceptWords('not')
  if (distinctAhead) {
    cursor.expectWord('distinct', 'from')
    const right = climb(cursor, level.is + 1, restricted)
    return { left: { kind: 'distinct', negated, left, right, ...cursor.span(left.at) }, closed: level.is }
  }
  if (restricted) cursor.fail(['DISTINCT FROM'])
  const what = cursor.token.word
  if (what === 'null' || what === 'true' || what === 'false' || what === 'unknown') {
    cursor.take()
    return { left: { kind: 'is', what, negated, arg: left, ...cursor.span(left.at) }, closed: 0 }
  }
  if (['document', 'normalized', 'json', 'nfc', 'nfd', 'nfkc', 'nfkd'].includes(what)) {
    cursor.unsupported(`IS ${what.toUpperCase()}`, cursor.at)
  }
  return cursor.fail(['NULL', 'TRUE', 'FALSE', 'UNKNOWN', 'DISTINCT FROM'])
}

function membership(cursor: Cursor, step: Step, min: number, negated: boolean): Step | null {
  if (level.membership < min) return null
  if (step.closed === level.membership) cursor.fail()
  const { left } = step
  if (negated) cursor.take()
  switch (cursor.take().word) {
    case 'between':
      return between(cursor, left, negated)
    case 'in':
      return inStep(cursor, left, negated)
    case 'like':
      return like(cursor, left, negated, 'like')
    case 'ilike':
      return like(cursor, left, negated, 'ilike')
    default:
      cursor.expectWord('to')
      return like(cursor, left, negated, 'similar')
  }
}
function between(cursor: Cursor, arg: Expr, negated: boolean): Step {
  const symmetric = cursor.acceptWords('symmetric')
  if (!symmetric) cursor.acceptWords('asymmetric')
  const low = climb(cursor, 0, true)
  cursor.expectWord('and')
  const high = climb(cursor, level.membership + 1, false)
  return {
    left: { kind: 'between', negated, symmetric, arg, low, high, ...cursor.span(arg.at) },
    closed: level.membership,
  }
}
function inStep(cursor: Cursor, arg: Expr, negated: boolean): Step {
  cursor.expect('(')
  const inQuery = (query: Query): Step => {
    cursor.expect(')')
    return { left: { kind: 'in-query', negated, arg, query, ...cursor.span(arg.at) }, closed: 0 }
  }
  if (startsQuery(cursor)) return inQuery(cursor.query(cursor))
  const first = parseExpression(cursor)
  if (first.kind === 'subquery' && cursor.isMark(')')) return inQuery(first.query)
  if (first.kind === 'subquery' && continuesQuery(cursor)) return inQuery(cursor.query(cursor, first.query))
  const list = [first]
  while (cursor.accept(',')) list.push(parseExpression(cursor))
  cursor.expect(')')
  return { left: { kind: 'in', negated, arg, list, ...cursor.span(arg.at) }, closed: 0 }
}
/** Behind a query in parentheses: does a larger query go on here? */
export const continuesQuery = (cursor: Cursor): boolean =>
  cursor.isWord('union', 'intersect', 'except', 'order', 'limit', 'offset', 'fetch', 'for')

function like(cursor: Cursor, arg: Expr, negated: boolean, how: 'like' | 'ilike' | 'similar'): Step {
  if (how !== 'similar' && cursor.isWord('any', 'some', 'all')) {
    const op = `${negated ? '!' : ''}~~${how === 'ilike' ? '*' : ''}`
    return { left: quantified(cursor, op, arg), closed: 0 }
  }
  const pattern = climb(cursor, level.membership + 1, false)
  const escape = cursor.acceptWords('escape') ? climb(cursor, level.membership + 1, false) : null
  return {
    left: { kind: 'like', how, negated, arg, pattern, escape, ...cursor.span(arg.at) },
    closed: level.membership,
  }
}

function atZone(cursor: Cursor, { left }: Step): Step {
  cursor.take()
  if (cursor.acceptWords('local')) return { left: { kind: 'at-local', arg: left, ...cursor.span(left.at) }, closed: 0 }
  cursor.expectWord('time', 'zone')
  const zone = climb(cursor, level.at + 1, false)
  return { left: { kind: 'at-time-zone', arg: left, zone, ...cursor.span(left.at) }, closed: 0 }
}
function collate(cursor: Cursor, { left }: Step): Step {
  cursor.take()
  const collation = cursor.qualifiedName('a collation')
  return { left: { kind: 'collate', arg: left, collation, ...cursor.span(left.at) }, closed: 0 }
}
/** OPERATOR(pg_catalog.+): always at the level of other operators, as in PostgreSQL. */
function namedOperator(cursor: Cursor, { left }: Step, restricted: boolean): Step {
  const opAt = cursor.take().at
  cursor.expect('(')
  while (cursor.token.kind === 'word' || cursor.token.kind === 'quoted') {
    cursor.take()
    cursor.expect('.')
  }
  if (cursor.token.kind !== 'operator') cursor.fail(['an operator'])
  const op = cursor.take().text
  cursor.expect(')')
  return binary(cursor, op, level.other, opAt, left, restricted, false)
}

/** What primaries need of this file. */
const grammar: Grammar = { expression: parseExpression, restricted: parseRestricted, continuesQuery }
