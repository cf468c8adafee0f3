/**
 * Expressions: names, operators, calls and forms of the tree as typed expressions over the columns of a scope. What only
 * some clauses allow (aggregates, windows) comes in as functions. Long because each kind of expression is a few lines here,
 * and all of them call one another.
 */
import { type Expression, partsOf } from '../../flow/expression.ts'
import { limits } from '../../lib/limits.ts'
import { type DataType, typeName } from '../../schema/types.ts'
import { SqlFault, type Span } from '../fault.ts'
import type { Call, Expr, Query } from '../syntax/ast.ts'
import { aggregateNames, isAggregate, rankings } from './aggregates.ts'
import { type Bound, booleanType, branch, column, isNull, literal, not, textType, treeSize } from './bound.ts'
import { coerce, explicitCast, unify } from './coerce.ts'
import { functionsElsewhere } from './elsewhere.ts'
import { resolveCall, resolveUniform, resolveUserCall } from './functions.ts'
import { asSqlFault, intervalConstant, numberLiteral, textConstant } from './literals.ts'
import {
  anyOf,
  castFunctions,
  clock,
  clocks,
  coalesce,
  extreme,
  mismatch,
  nullif,
  parameterText,
  shown,
} from './forms.ts'
import { columnField, fieldOf, findName } from './names.ts'
import { columnValue, matchesName, type Scope } from './scope.ts'
import { resolveType } from './types.ts'
import type { UserFunctions } from './user-functions.ts'

export interface BindContext {
  readonly text: string
  /** Values of $1, $2 …; null where a text may have none (definitions). */
  readonly parameters: readonly unknown[] | null
  readonly scope: Scope
  /** Names of the query around this one, where this one may use them. */
  readonly outer?: Scope
  /** A query as a value; without it there is none. */
  readonly subquery?: (query: Query) => Bound
  /** For messages: `WHERE`, `JOIN conditions` … */
  readonly clause: string
  readonly aggregate: ((call: Call, name: string) => Bound) | null
  readonly window: ((call: Call, name: string) => Bound) | null
  /** Those that a program gave; absent = none may be called. */
  readonly functions?: UserFunctions
  /** Where each column reference stands, for errors found after binding. */
  readonly places: Map<Expression, Span>
}

export function bindExpression(ctx: BindContext, expr: Expr): Bound {
  const bound = bindAny(ctx, expr)
  if (treeSize(bound.expr) > limits.sqlExpressionNodes)
    throw new SqlFault(
      'sql.too-complex',
      `an expression of more than ${limits.sqlExpressionNodes} parts, with those that are needed several times`,
      ctx.text,
      expr.at,
    )
  return bound
}
function bindAny(ctx: BindContext, expr: Expr): Bound {
  const made = (e: Expression, nullable: boolean, unknown = false): Bound => ({
    expr: e,
    nullable,
    unknown,
    at: expr.at,
    end: expr.end,
  })
  switch (expr.kind) {
    case 'null':
      return made(literal(null, textType), true, true)
    case 'boolean':
      return made(literal(expr.value, booleanType), false)
    case 'string':
      return made(literal(expr.value, textType), false, true)
    case 'number':
      return made(number(ctx, expr), false)
    case 'parameter':
      return parameter(ctx, expr)
    case 'subquery':
      return ctx.subquery === undefined ? refused(ctx, expr) : ctx.subquery(expr.query)
    case 'field':
      return field(ctx, expr)
    case 'array':
      return array(ctx, expr)
    case 'row':
      return rowValue(ctx, expr)
    case 'index': {
      const args = [bindExpression(ctx, expr.arg), bindExpression(ctx, expr.index)]
      const { kind } = args[0]!.expr.type
      return resolveCall(kind === 'jsonb' || kind === 'json' ? '->' : 'array-element', args, expr, ctx.text)
    }
    case 'slice':
      return slice(ctx, expr)
    case 'name':
      return name(ctx, expr)
    case 'typed':
      return typedLiteral(ctx, expr)
    case 'cast':
      return cast(ctx, expr)
    case 'and':
    case 'or':
      return logic(ctx, expr)
    case 'not':
      return made(not(bindBoolean(ctx, expr.arg, 'NOT').expr), true)
    case 'is':
      return is(ctx, expr)
    case 'unary':
      return unary(ctx, expr)
    case 'binary':
      return binary(ctx, expr)
    case 'distinct': {
      const args = [bindExpression(ctx, expr.left), bindExpression(ctx, expr.right)]
      return resolveUniform(expr.negated ? 'is-not-distinct' : 'is-distinct', args, expr, ctx.text)
    }
    case 'between':
      return between(ctx, expr)
    case 'in':
      return inList(ctx, expr)
    case 'like':
      return like(ctx, expr)
    case 'quantified':
      return quantified(ctx, expr)
    case 'case':
      return caseForm(ctx, expr)
    case 'call':
      return functionCall(ctx, expr)
    case 'extract':
      return extract(ctx, expr)
    case 'at-time-zone':
      return resolveCall('timezone', [bindExpression(ctx, expr.zone), bindExpression(ctx, expr.arg)], expr, ctx.text)
    default:
      return refused(ctx, expr)
  }
}

type Of<K extends Expr['kind']> = Extract<Expr, { kind: K }>

function unsupported(ctx: BindContext, what: string, span: Span, hint?: string): never {
  throw new SqlFault(
    'sql.unsupported',
    `${what} is not supported yet`,
    ctx.text,
    span.at,
    hint === undefined ? {} : { hint },
  )
}
const refusals: Partial<Record<Expr['kind'], readonly [string, string?]>> = {
  'in-query': ['IN (SELECT …) here', 'It may stand in WHERE, as a condition of its own or with AND.'],
  subquery: ['a query as a value here', 'It may stand in WHERE, and in the list of a SELECT without GROUP BY.'],
  exists: ['EXISTS (SELECT …) here', 'It may stand in WHERE, as a condition of its own or with AND.'],
  'array-query': ['ARRAY(SELECT …)'],
  bits: ['a bit string'],
  'is-other': ['this IS test'],
  'at-local': ['AT LOCAL', "Write AT TIME ZONE 'UTC'."],
  collate: ['COLLATE', 'Texts compare by code points, as COLLATE "C" does.'],
}
function refused(ctx: BindContext, expr: Expr): never {
  if (expr.kind === 'star')
    throw new SqlFault('sql.syntax', '* may stand in a select list and in count(*)', ctx.text, expr.at)
  const [what, hint] = refusals[expr.kind] ?? ['this expression']
  return unsupported(ctx, what, expr, hint)
}

/** An expression that must be boolean. */
export function bindBoolean(ctx: BindContext, expr: Expr, what: string): Bound {
  const bound = bindExpression(ctx, expr)
  const done = coerce(bound, booleanType, 'implicit', ctx.text)
  if (done !== null) return done
  const message = `argument of ${what} must be type boolean, not type ${shown(bound.expr.type)}`
  throw new SqlFault('sql.type-mismatch', message, ctx.text, expr.at)
}
function number(ctx: BindContext, expr: Of<'number'>): Expression {
  const value = numberLiteral(expr.text, expr.whole)
  if (value === null)
    throw new SqlFault('sql.out-of-range', `the number ${expr.text} is out of range`, ctx.text, expr.at)
  return value
}

/** As drivers send them: a text that takes the type of its place. */
function parameter(ctx: BindContext, expr: Of<'parameter'>): Bound {
  if (ctx.parameters === null) {
    throw new SqlFault('sql.unknown-parameter', 'a definition cannot have parameters', ctx.text, expr.at, {
      hint: 'Write the value itself.',
    })
  }
  if (expr.index < 1 || expr.index > ctx.parameters.length) {
    throw new SqlFault('sql.unknown-parameter', `there is no parameter $${expr.index}`, ctx.text, expr.at)
  }
  const value = parameterText(ctx.parameters[expr.index - 1])
  return { expr: literal(value, textType), unknown: true, nullable: value === null, at: expr.at, end: expr.end }
}
function name(ctx: BindContext, expr: Of<'name'>): Bound {
  const [first, second] = expr.parts
  if (
    second !== undefined &&
    expr.parts.length === 2 &&
    !ctx.scope.some((r) => r.name !== null && matchesName(first!, r.name))
  ) {
    const composite = ctx.scope.some((r) =>
      r.columns.some((c) => matchesName(first!, c.name) && c.type.kind === 'composite'),
    )
    if (composite) {
      const message = `missing FROM-clause entry for table "${first!.text}"`
      const hint = `Reach into the column with (${first!.text}).${second.text}.`
      throw new SqlFault('sql.unknown-relation', message, ctx.text, first!.at, { hint })
    }
  }
  const found = findName(ctx, expr.parts)
  const reference = columnValue(found)
  for (const part of [reference, ...partsOf(reference)]) ctx.places.set(part, expr)
  return { expr: reference, unknown: false, nullable: found.nullable, at: expr.at, end: expr.end }
}

function array(ctx: BindContext, expr: Of<'array'>): Bound {
  const items = expr.items.map((item) => bindExpression(ctx, item))
  if (items.length === 0)
    throw new SqlFault('sql.type-mismatch', 'cannot determine type of empty array', ctx.text, expr.at, {
      hint: "Cast a literal: '{}'::text[].",
    })
  const same = unify(items, ctx.text)
  if (same === null)
    throw new SqlFault('sql.type-mismatch', 'the elements of an array must be of one type', ctx.text, expr.at)
  return { ...resolveCall('array-of', same.items, expr, ctx.text), parts: items }
}
function rowValue(ctx: BindContext, expr: Of<'row'>): Bound {
  const parts = expr.items.map((item) => bindExpression(ctx, item))
  if (parts.length === 0) unsupported(ctx, 'a row without values', expr)
  return { ...resolveCall('row-of', parts, expr, ctx.text), parts, nullable: false }
}
function slice(ctx: BindContext, expr: Of<'slice'>): Bound {
  const bound = (side: Expr | null, missing: number): Bound =>
    side === null
      ? { expr: literal(missing, { kind: 'int' }), unknown: false, nullable: false, at: expr.at, end: expr.end }
      : bindExpression(ctx, side)
  const args = [bindExpression(ctx, expr.arg), bound(expr.from, 1), bound(expr.to, 2 ** 31 - 1)]
  return resolveCall('array-slice', args, expr, ctx.text)
}
/** `(column).field`: a column of its own where there is one, else read from the value. */
function field(ctx: BindContext, expr: Of<'field'>): Bound {
  const known = columnField(ctx, expr)
  if (known !== null) {
    const reference = column(known.index, known.type)
    ctx.places.set(reference, expr)
    return { expr: reference, unknown: false, nullable: true, at: expr.at, end: expr.end }
  }
  const arg = bindExpression(ctx, expr.arg)
  const { type } = arg.expr
  if (type.kind !== 'composite') {
    const message = `column notation .${expr.name.text} applied to type ${typeName(type)}, which is not a composite type`
    throw new SqlFault('sql.type-mismatch', message, ctx.text, expr.name.at)
  }
  const found = fieldOf(ctx, type.fields, expr.name)
  const value: Expression = { kind: 'field', arg: arg.expr, name: found.name, type: found.type }
  return { expr: value, unknown: false, nullable: true, at: expr.at, end: expr.end }
}
/** As it was declared. */
export function fieldName(ctx: BindContext, expr: Of<'field'>): string {
  const { expr: value } = field(ctx, expr)
  return value.kind === 'field' ? value.name : columnField(ctx, expr)!.name
}
function typedLiteral(ctx: BindContext, expr: Of<'typed'>): Bound {
  const type = resolveType(expr.type, ctx.text)
  const done = (e: Expression): Bound => ({ expr: e, unknown: false, nullable: false, at: expr.at, end: expr.end })
  if (type.kind !== 'interval') return done(textConstant(expr.text, type, ctx.text, expr.at))
  try {
    return done(literal(intervalConstant(expr.text, expr.type.fields), type))
  } catch (error) {
    throw asSqlFault(error, ctx.text, expr.at)
  }
}
function cast(ctx: BindContext, expr: Of<'cast'>): Bound {
  const type = resolveType(expr.type, ctx.text)
  const arg = bindExpression(ctx, expr.arg)
  return { ...explicitCast(arg, type, ctx.text), at: expr.at, end: expr.end }
}

function logic(ctx: BindContext, expr: Of<'and' | 'or'>): Bound {
  const args = expr.args.map((arg) => bindBoolean(ctx, arg, expr.kind.toUpperCase()))
  const tree: Expression = { kind: expr.kind, args: args.map((arg) => arg.expr), type: booleanType }
  return { expr: tree, unknown: false, nullable: args.some((arg) => arg.nullable), at: expr.at, end: expr.end }
}

function is(ctx: BindContext, expr: Of<'is'>): Bound {
  const done = (e: Expression): Bound => ({
    expr: expr.negated ? not(e) : e,
    unknown: false,
    nullable: false,
    at: expr.at,
    end: expr.end,
  })
  if (expr.what === 'null') return done(isNull(bindExpression(ctx, expr.arg).expr))
  const arg = bindBoolean(ctx, expr.arg, `IS ${expr.what.toUpperCase()}`)
  if (expr.what === 'unknown') return done(isNull(arg.expr))
  const constant: Bound = { ...arg, expr: literal(expr.what === 'true', booleanType), nullable: false }
  return done(resolveUniform('is-not-distinct', [arg, constant], expr, ctx.text).expr)
}

function unary(ctx: BindContext, expr: Of<'unary'>): Bound {
  if (expr.op === '-' && expr.arg.kind === 'number') {
    // The smallest integers have no positive twin: the sign belongs to the literal.
    const magnitude = number(ctx, expr.arg)
    if (magnitude.kind === 'literal') return { ...bindNegative(magnitude, expr), at: expr.at, end: expr.end }
  }
  const arg = bindExpression(ctx, expr.arg)
  if (expr.op === '+') return { ...resolveCall('neg', [arg], expr, ctx.text), expr: arg.expr }
  return resolveCall(expr.op === '-' ? 'neg' : `prefix ${expr.op}`, [arg], expr, ctx.text)
}
function bindNegative(magnitude: Extract<Expression, { kind: 'literal' }>, span: Span): Bound {
  const { value } = magnitude
  const negative = typeof value === 'bigint' ? -value : 0 - Number(value)
  const fits = (max: number | bigint): boolean => negative >= -max
  const { type } = magnitude
  let narrowed: DataType = type
  if (type.kind === 'bigint' && fits(2147483648)) narrowed = { kind: 'int' }
  else if (type.kind === 'numeric' && type.scale === 0 && typeof value === 'bigint' && fits(9223372036854775808n))
    narrowed = { kind: 'bigint' }
  return { expr: literal(negative, narrowed), unknown: false, nullable: false, ...span }
}

const uniform = new Set(['=', '<>', '<', '<=', '>', '>='])
const textual = (bound: Bound): boolean =>
  bound.unknown || bound.expr.type.kind === 'text' || bound.expr.type.kind === 'varchar'

function binary(ctx: BindContext, expr: Of<'binary'>): Bound {
  const { op } = expr
  if (expr.left.kind === 'row' || expr.right.kind === 'row') return rows(ctx, expr)
  let args = [bindExpression(ctx, expr.left), bindExpression(ctx, expr.right)]
  if (uniform.has(op)) return resolveUniform(op, args, expr, ctx.text, expr.opAt)
  if (op === '||' && args.some(textual) && !args.some((arg) => arg.expr.type.kind === 'jsonb')) {
    args = args.map((arg) => coerce(arg, textType, 'explicit', ctx.text) ?? arg)
  }
  return resolveCall(operatorNames[op] ?? op, args, expr, ctx.text, expr.opAt)
}
const operatorNames: Readonly<Record<string, string>> = {
  '~~': 'like',
  '!~~': 'not-like',
  '~~*': 'ilike',
  '!~~*': 'not-ilike',
}

/** (a, b) = (c, d) and <>, part by part. */
function rows(ctx: BindContext, expr: Of<'binary'>): Bound {
  const { left, right, op } = expr
  if (left.kind !== 'row' || right.kind !== 'row' || (op !== '=' && op !== '<>'))
    unsupported(ctx, `rows compared by ${op}`, expr, 'Write it out: a < x OR (a = x AND b < y).')
  if (left.items.length !== right.items.length || left.items.length === 0) {
    throw new SqlFault('sql.syntax', 'unequal number of entries in row expressions', ctx.text, expr.opAt)
  }
  const args = left.items.map((item, i) => {
    const pair = [bindExpression(ctx, item), bindExpression(ctx, right.items[i]!)]
    return resolveUniform(op, pair, expr, ctx.text, expr.opAt)
  })
  const tree: Expression = { kind: op === '=' ? 'and' : 'or', args: args.map((arg) => arg.expr), type: booleanType }
  return {
    expr: args.length === 1 ? args[0]!.expr : tree,
    unknown: false,
    nullable: args.some((arg) => arg.nullable),
    at: expr.at,
    end: expr.end,
  }
}

function between(ctx: BindContext, expr: Of<'between'>): Bound {
  const [arg, low, high] = [expr.arg, expr.low, expr.high].map((part) => bindExpression(ctx, part))
  const range = (from: Bound, to: Bound): Bound => {
    const parts = [resolveUniform('>=', [arg!, from], expr, ctx.text), resolveUniform('<=', [arg!, to], expr, ctx.text)]
    const tree: Expression = { kind: 'and', args: parts.map((part) => part.expr), type: booleanType }
    return { expr: tree, unknown: false, nullable: parts.some((part) => part.nullable), at: expr.at, end: expr.end }
  }
  const straight = range(low!, high!)
  let { expr: tree } = straight
  if (expr.symmetric) tree = { kind: 'or', args: [tree, range(high!, low!).expr], type: booleanType }
  return { ...straight, expr: expr.negated ? not(tree) : tree }
}

function inList(ctx: BindContext, expr: Of<'in'>): Bound {
  if (expr.arg.kind === 'row') return rowInList(ctx, expr, expr.arg)
  const arg = bindExpression(ctx, expr.arg)
  const items = expr.list.map((item) => bindExpression(ctx, item))
  return anyOf(ctx, '=', arg, items, expr, expr.negated)
}
/** Equal to one of them, part by part. */
function rowInList(ctx: BindContext, expr: Of<'in'>, left: Expr): Bound {
  const span = { at: expr.at, end: expr.end }
  const tests = expr.list.map((right): Expr => {
    if (right.kind !== 'row') return unsupported(ctx, 'a row IN a list of anything but rows', right)
    return { kind: 'binary', op: '=', opAt: right.at, left, right, ...span }
  })
  const any = tests.length === 1 ? tests[0]! : ({ kind: 'or', args: tests, ...span } as const)
  return bindExpression(ctx, expr.negated ? { kind: 'not', arg: any, ...span } : any)
}
function like(ctx: BindContext, expr: Of<'like'>): Bound {
  if (expr.how === 'similar') unsupported(ctx, 'SIMILAR TO', expr, 'Use a regular expression: text ~ pattern.')
  const arg = bindExpression(ctx, expr.arg)
  const pattern = expr.escape === null ? bindExpression(ctx, expr.pattern) : escaped(ctx, expr.pattern, expr.escape)
  return resolveCall(`${expr.negated ? 'not-' : ''}${expr.how}`, [arg, pattern], expr, ctx.text)
}
/** The pattern with its own escape character rewritten to the backslash. */
function escaped(ctx: BindContext, patternExpr: Expr, escapeExpr: Expr): Bound {
  const pattern = bindExpression(ctx, patternExpr)
  const escape = bindExpression(ctx, escapeExpr)
  if (pattern.expr.kind !== 'literal' || escape.expr.kind !== 'literal')
    unsupported(ctx, 'ESCAPE of a pattern that is not a constant', escapeExpr)
  if (pattern.expr.value === null || escape.expr.value === null) return { ...pattern, expr: literal(null, textType) }
  const by = String(escape.expr.value)
  if (Array.from(by).length > 1)
    throw new SqlFault(
      'sql.invalid-value',
      'invalid escape string: it must be empty or one character',
      ctx.text,
      escapeExpr.at,
    )
  let rewritten = ''
  const characters = Array.from(String(pattern.expr.value))
  for (let i = 0; i < characters.length; i++) {
    const c = characters[i]!
    if (c === by && i + 1 < characters.length) rewritten += `\\${characters[++i]!}`
    else rewritten += c === '\\' && by !== '\\' ? '\\\\' : c
  }
  return { ...pattern, expr: literal(rewritten, textType), unknown: false }
}

/** = ANY (ARRAY[…]) and = ANY ($1), as drivers write IN with one parameter. */
function quantified(ctx: BindContext, expr: Of<'quantified'>): Bound {
  const { right } = expr
  const items =
    right.kind === 'array'
      ? right.items.map((item) => bindExpression(ctx, item))
      : right.kind === 'parameter'
        ? parameterItems(ctx, right)
        : null
  if (items === null) return anyElement(ctx, expr)
  const arg = bindExpression(ctx, expr.left)
  if (items.length === 0)
    return { expr: literal(expr.all, booleanType), unknown: false, nullable: false, at: expr.at, end: expr.end }
  if (!expr.all && expr.op === '=') return anyOf(ctx, '=', arg, items, expr, false)
  const name = operatorNames[expr.op] ?? expr.op
  const tests = items.map((item) =>
    uniform.has(expr.op)
      ? resolveUniform(name, [arg, item], expr, ctx.text)
      : resolveCall(name, [arg, item], expr, ctx.text),
  )
  const tree: Expression = { kind: expr.all ? 'and' : 'or', args: tests.map((test) => test.expr), type: booleanType }
  return {
    expr: tests.length === 1 ? tests[0]!.expr : tree,
    unknown: false,
    nullable: true,
    at: expr.at,
    end: expr.end,
  }
}
/** = ANY (array) and <> ALL (array). */
function anyElement(ctx: BindContext, expr: Of<'quantified'>): Bound {
  const { right, all, op } = expr
  const which = `${op} ${all ? 'ALL' : 'ANY'}`
  if (right.kind === 'query')
    return unsupported(ctx, `${which} (SELECT …)`, expr, 'Write k IN (SELECT k FROM items), or NOT IN for <> ALL.')
  if (op !== (all ? '<>' : '='))
    return unsupported(
      ctx,
      `${which} of an array`,
      expr,
      'Of arrays there are = ANY (a) and <> ALL (a); a list of any comparison: n < ANY (ARRAY[1, 2]).',
    )
  const left = bindExpression(ctx, expr.left)
  const given = bindExpression(ctx, right)
  const arg = left.unknown
    ? coerce(left, given.expr.type.kind === 'array' ? given.expr.type.of : textType, 'implicit', ctx.text)!
    : left
  const items = given.unknown ? coerce(given, { kind: 'array', of: arg.expr.type }, 'implicit', ctx.text)! : given
  const { type } = items.expr
  if (type.kind !== 'array')
    throw new SqlFault(
      'sql.type-mismatch',
      `${which} needs an array or a list, not ${typeName(type)}`,
      ctx.text,
      right.at,
      {
        hint: 'Write = ANY (ARRAY[1, 2]), or IN (1, 2).',
      },
    )
  const whole = ['smallint', 'int', 'bigint']
  const areWhole = whole.includes(type.of.kind) && whole.includes(arg.expr.type.kind)
  const same = areWhole ? arg : coerce(arg, type.of, 'implicit', ctx.text)
  if (same === null) throw mismatch(ctx, which, [arg, { ...items, expr: literal(null, type.of) }])
  const found = resolveCall('equals-any', [same, items], expr, ctx.text)
  return all ? { ...found, expr: not(found.expr) } : found
}
function parameterItems(ctx: BindContext, expr: Of<'parameter'>): Bound[] | null {
  const value = ctx.parameters?.[expr.index - 1]
  if (!Array.isArray(value)) return null
  return value.map((item: unknown) => {
    const text = parameterText(item)
    return { expr: literal(text, textType), unknown: true, nullable: text === null, at: expr.at, end: expr.end }
  })
}

function caseForm(ctx: BindContext, expr: Of<'case'>): Bound {
  const operand = expr.operand === null ? null : bindExpression(ctx, expr.operand)
  const conditions = expr.branches.map((b) => {
    if (operand === null) return bindBoolean(ctx, b.when, 'CASE/WHEN').expr
    return resolveUniform('=', [operand, bindExpression(ctx, b.when)], b.when, ctx.text).expr
  })
  const results = expr.branches.map((b) => bindExpression(ctx, b.result))
  if (expr.otherwise !== null) results.push(bindExpression(ctx, expr.otherwise))
  const same = unify(results, ctx.text)
  if (same === null) throw mismatch(ctx, 'CASE', results)
  const otherwise = expr.otherwise === null ? null : same.items.at(-1)!.expr
  const branches = conditions.map((when, i) => branch(when, same.items[i]!.expr))
  const nullable = otherwise === null || same.items.some((item) => item.nullable)
  return {
    expr: { kind: 'case', branches, otherwise, type: same.type },
    unknown: false,
    nullable,
    at: expr.at,
    end: expr.end,
  }
}
function extract(ctx: BindContext, expr: Of<'extract'>): Bound {
  const field: Bound = {
    expr: literal(expr.field, textType),
    unknown: false,
    nullable: false,
    at: expr.at,
    end: expr.end,
  }
  return resolveCall('extract', [field, bindExpression(ctx, expr.arg)], expr, ctx.text)
}

/** `TIMESTAMPADD(DAY, 1, t)`: where there is no such function, that is said, and not that DAY is no column. */
function callArguments(ctx: BindContext, expr: Call, name: string): Bound[] {
  try {
    return expr.args.map((arg) => bindExpression(ctx, arg.value))
  } catch (error) {
    const hint = Object.hasOwn(functionsElsewhere, name) ? functionsElsewhere[name] : undefined
    const isUnknown = error instanceof SqlFault && error.code === 'sql.unknown-column'
    if (!isUnknown || hint === undefined) throw error
    throw new SqlFault('sql.unknown-function', `function ${name} does not exist`, ctx.text, expr.at, { hint })
  }
}
function functionCall(ctx: BindContext, expr: Call): Bound {
  const functionName = nameOf(ctx, expr)
  if (expr.over !== null) {
    if (ctx.window === null)
      throw new SqlFault('sql.windowing', `window functions are not allowed in ${ctx.clause}`, ctx.text, expr.at)
    return ctx.window(expr, functionName)
  }
  if (isAggregate(functionName)) {
    if (ctx.aggregate === null)
      throw new SqlFault('sql.grouping', `aggregate functions are not allowed in ${ctx.clause}`, ctx.text, expr.at)
    return ctx.aggregate(expr, functionName)
  }
  if (rankings.has(functionName))
    throw new SqlFault('sql.windowing', `window function ${functionName} requires an OVER clause`, ctx.text, expr.at, {
      hint: 'The last row of each key: SELECT DISTINCT ON (k) k, n FROM s ORDER BY k, t DESC.',
    })
  plainCallOnly(ctx, expr, functionName)
  const args = callArguments(ctx, expr, functionName)
  const type = Object.hasOwn(clocks, functionName) && args.length === 0 ? clocks[functionName]! : null
  if (type !== null) return clock(ctx, type, expr)
  switch (functionName) {
    case 'coalesce':
      return coalesce(ctx, args, expr)
    case 'nullif':
      return nullif(ctx, args, expr)
    case 'greatest':
    case 'least':
      return extreme(ctx, functionName, args, expr)
    case 'json_build_object':
    case 'jsonb_build_object':
      if (args.length % 2 === 1)
        throw new SqlFault(
          'sql.type-mismatch',
          `${functionName} takes a name and a value, and so on`,
          ctx.text,
          expr.at,
          {
            hint: `Write ${functionName}('a', 1, 'b', n).`,
          },
        )
      return resolveCall(
        functionName,
        args.map((arg, i) => (i % 2 === 1 ? arg : (coerce(arg, textType, 'explicit', ctx.text) ?? arg))),
        expr,
        ctx.text,
      )
    case 'concat':
    case 'concat_ws':
    case 'format':
      return resolveCall(
        functionName,
        args.map((arg) => coerce(arg, textType, 'explicit', ctx.text) ?? arg),
        expr,
        ctx.text,
      )
    default: {
      const [only] = args
      const type =
        only !== undefined && args.length === 1 && castFunctions.has(functionName)
          ? castFunctions.get(functionName)!
          : null
      if (type !== null) return { ...explicitCast(only!, type, ctx.text), at: expr.at, end: expr.end }
      const given = ctx.functions?.named(functionName) ?? []
      if (given.length > 0) return resolveUserCall(given, args, expr, ctx.text)
      return resolveCall(functionName, args, expr, ctx.text, expr.at, ctx.functions?.names())
    }
  }
}
/** The schema pg_catalog is silent; others have no functions. */
function nameOf(ctx: BindContext, { name: { parts } }: Call): string {
  const last = parts.at(-1)!
  if (parts.length > 1 && !['pg_catalog', 'public'].includes(parts[0]!.text.toLowerCase())) {
    throw new SqlFault(
      'sql.unknown-function',
      `function ${parts.map((p) => p.text).join('.')} does not exist`,
      ctx.text,
      parts[0]!.at,
    )
  }
  return last.quoted ? last.text : last.text.toLowerCase()
}
function plainCallOnly(ctx: BindContext, expr: Call, functionName: string): void {
  const wrong = expr.distinct
    ? 'DISTINCT'
    : expr.filter !== null
      ? 'FILTER'
      : expr.orderBy.length > 0 || expr.within !== null
        ? 'ORDER BY'
        : expr.star
          ? '*'
          : null
  if (wrong !== null) {
    const options = { hint: `Aggregates are ${aggregateNames.join(', ')}.` }
    throw new SqlFault(
      'sql.wrong-kind',
      `${wrong} specified, but ${functionName} is not an aggregate function`,
      ctx.text,
      expr.at,
      options,
    )
  }
  if (expr.variadic) unsupported(ctx, 'VARIADIC', expr)
  const named = expr.args.find((arg) => arg.name !== null)
  if (named !== undefined) unsupported(ctx, 'a named argument', named)
}
