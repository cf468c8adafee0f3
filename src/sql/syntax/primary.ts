/** What an expression is made of: literals, names, calls, CASE, parentheses. */
import type { Expr, Name, Query } from './ast.ts'
import { type Grammar, callOf, parseCall, parseSpecialForm } from './calls.ts'
import { type Cursor, isSpecialFunctionWord, mayStartName } from './cursor.ts'
import { intervalFields, isKeywordType, simpleType } from './types.ts'

export function parsePrimary(cursor: Cursor, grammar: Grammar): Expr {
  const { token } = cursor
  const { at } = token
  switch (token.kind) {
    case 'integer':
    case 'decimal':
      cursor.take()
      return { kind: 'number', text: token.text, whole: token.kind === 'integer', ...cursor.span(at) }
    case 'string':
      cursor.take()
      return { kind: 'string', value: token.text, ...cursor.span(at) }
    case 'bits':
      return cursor.unsupported('a bit string', at)
    case 'parameter':
      return parameter(cursor, grammar)
    case 'word':
    case 'quoted':
      return word(cursor, grammar)
    default:
      if (cursor.isMark('(')) return parentheses(cursor, grammar)
      return cursor.fail(['an expression'])
  }
}

function parameter(cursor: Cursor, grammar: Grammar): Expr {
  const { at, text } = cursor.take()
  const index = Number(text)
  if (index > 65_535) cursor.unsupported(`$${text}`, at)
  return indirection(cursor, { kind: 'parameter', index, ...cursor.span(at) }, grammar)
}

function word(cursor: Cursor, grammar: Grammar): Expr {
  const fixed = Object.hasOwn(keywordForms, cursor.token.word)
    ? keywordForms[cursor.token.word]!(cursor, grammar)
    : null
  if (fixed !== null) return fixed
  const special = parseSpecialForm(cursor, grammar)
  if (special !== null) return special
  const literal = typedLiteral(cursor)
  if (literal !== null) return literal
  return nameOrCall(cursor, grammar)
}

const keywordForms: Readonly<Record<string, (cursor: Cursor, grammar: Grammar) => Expr | null>> = {
  null: (cursor) => ({ kind: 'null', ...taken(cursor) }),
  true: (cursor) => ({ kind: 'boolean', value: true, ...taken(cursor) }),
  false: (cursor) => ({ kind: 'boolean', value: false, ...taken(cursor) }),
  case: caseForm,
  exists: (cursor) => (cursor.isMarkAhead(1, '(') ? exists(cursor) : null),
  array: arrayForm,
  row: (cursor, grammar) => (cursor.isMarkAhead(1, '(') ? rowForm(cursor, grammar) : null),
  current_timestamp: clockForm,
  current_date: clockForm,
  current_time: clockForm,
  localtimestamp: clockForm,
  localtime: clockForm,
  current_user: clockForm,
  session_user: clockForm,
  current_role: clockForm,
  user: clockForm,
  current_catalog: clockForm,
  current_schema: (cursor) => (cursor.isMarkAhead(1, '(') ? null : clockForm(cursor)),
}
const taken = (cursor: Cursor): { at: number; end: number } => {
  const { at, end } = cursor.take()
  return { at, end }
}

/** Keywords that are calls without parentheses. */
function clockForm(cursor: Cursor): Expr {
  const { word: name, at } = cursor.take()
  if (/time/.test(name) && cursor.accept('(')) {
    if (cursor.token.kind !== 'integer') cursor.fail(['a number'])
    cursor.take()
    cursor.expect(')')
  }
  return callOf(cursor, name, at, [])
}

function caseForm(cursor: Cursor, grammar: Grammar): Expr {
  const { at } = cursor.take()
  const operand = cursor.isWord('when') ? null : grammar.expression(cursor)
  const branches = []
  while (cursor.acceptWords('when')) {
    const when = grammar.expression(cursor)
    cursor.expectWord('then')
    branches.push({ when, result: grammar.expression(cursor) })
  }
  if (branches.length === 0) cursor.fail(['WHEN'])
  const otherwise = cursor.acceptWords('else') ? grammar.expression(cursor) : null
  if (!cursor.acceptWords('end')) cursor.fail(otherwise === null ? ['WHEN', 'ELSE', 'END'] : ['END'])
  return { kind: 'case', operand, branches, otherwise, ...cursor.span(at) }
}

function exists(cursor: Cursor): Expr {
  const { at } = cursor.take()
  return { kind: 'exists', query: queryInParentheses(cursor), ...cursor.span(at) }
}
function queryInParentheses(cursor: Cursor): Query {
  cursor.expect('(')
  const query = cursor.query(cursor)
  cursor.expect(')')
  return query
}

function arrayForm(cursor: Cursor, grammar: Grammar): Expr {
  const { at } = cursor.take()
  if (cursor.isMark('(')) return { kind: 'array-query', query: queryInParentheses(cursor), ...cursor.span(at) }
  if (!cursor.isMark('[')) cursor.fail(['"["', '"("'])
  return arrayItems(cursor, grammar, at)
}
function arrayItems(cursor: Cursor, grammar: Grammar, at: number): Expr {
  return cursor.nested(() => {
    cursor.expect('[')
    const item = (): Expr => (cursor.isMark('[') ? arrayItems(cursor, grammar, cursor.at) : grammar.expression(cursor))
    const items = cursor.isMark(']') ? [] : cursor.list(item)
    cursor.expect(']')
    return { kind: 'array', items, ...cursor.span(at) }
  })
}
function rowForm(cursor: Cursor, grammar: Grammar): Expr {
  const { at } = cursor.take()
  cursor.expect('(')
  const items = cursor.isMark(')') ? [] : cursor.list(() => grammar.expression(cursor))
  cursor.expect(')')
  return { kind: 'row', items, ...cursor.span(at) }
}

/** DATE '…', INTERVAL '…' MINUTE, numeric(3,1) '…', any_type '…'. */
function typedLiteral(cursor: Cursor): Expr | null {
  const { token, at } = cursor
  const keyword = isKeywordType(token.word)
  if (!keyword && cursor.ahead(1).kind !== 'string') return null
  if (keyword && !literalFollows(cursor)) return null
  if (token.word === 'interval' && cursor.ahead(1).kind === 'string') return interval(cursor)
  if (mayStartName(token) === 'none') return null
  const type = simpleType(cursor)
  const text = cursor.string('a string')
  return { kind: 'typed', type, text, ...cursor.span(at) }
}
/** Looks over `double precision`, `timestamp(3) with time zone`, `numeric(3,1)` for the string behind. */
function literalFollows(cursor: Cursor): boolean {
  let i = 1
  while (cursor.isWordAhead(i, 'precision', 'varying', 'char', 'character')) i++
  if (cursor.isMarkAhead(i, '(')) {
    for (i++; cursor.ahead(i).kind === 'integer' || cursor.isMarkAhead(i, ',') || cursor.isMarkAhead(i, '-');) i++
    if (!cursor.isMarkAhead(i, ')')) return false
    i++
  }
  if (cursor.isWordAhead(i, 'with', 'without') && cursor.isWordAhead(i + 1, 'time')) i += 3
  return cursor.ahead(i).kind === 'string'
}
function interval(cursor: Cursor): Expr {
  const { at } = cursor.take()
  const named = { name: 'interval', modifiers: [], dimensions: 0, ...cursor.span(at) }
  const text = cursor.string('a string')
  const fields = intervalFields(cursor)
  return { kind: 'typed', type: { ...named, fields }, text, ...cursor.span(at) }
}

function nameOrCall(cursor: Cursor, grammar: Grammar): Expr {
  const { token, at } = cursor
  const start = mayStartName(token)
  if (start === 'none') cursor.fail(['an expression'])
  const special = isSpecialFunctionWord(token)
  const parts = [start === 'function' ? cursor.label() : cursor.name()]
  while (cursor.isMark('.') && !cursor.isMarkAhead(1, '*')) {
    cursor.take()
    parts.push(cursor.label())
  }
  if (cursor.isMark('(') && !(special && parts.length === 1)) {
    return parseCall(cursor, { parts, ...cursor.span(at) }, grammar)
  }
  if (parts.length > 1 && cursor.token.kind === 'string') return qualifiedLiteral(cursor, parts)
  if (start === 'function') cursor.fail(['"("'])
  if (parts.length > 4) cursor.fail()
  if (cursor.isMark('.') && cursor.isMarkAhead(1, '*')) return star(cursor, parts)
  return indirection(cursor, { kind: 'name', parts, ...cursor.span(at) }, grammar)
}
/** pg_catalog.date '…' */
function qualifiedLiteral(cursor: Cursor, parts: readonly Name[]): Expr {
  const { at } = parts[0]!
  const name = parts.at(-1)!.text.toLowerCase()
  const type = { name, modifiers: [], dimensions: 0, fields: null, ...cursor.span(at) }
  const text = cursor.string('a string')
  return { kind: 'typed', type, text, ...cursor.span(at) }
}
function star(cursor: Cursor, qualifier: readonly Name[]): Expr {
  cursor.take()
  cursor.take()
  return { kind: 'star', qualifier, ...cursor.span(qualifier[0]!.at) }
}

/** `( … )`: an expression, a row, or a query; a query in parentheses may be the start of a larger one. */
function parentheses(cursor: Cursor, grammar: Grammar): Expr {
  return cursor.nested(() => {
    const { at } = cursor.take()
    if (cursor.isWord('select', 'with', 'values', 'table')) return closeQuery(cursor, grammar, cursor.query(cursor), at)
    const first = grammar.expression(cursor)
    if (first.kind === 'subquery' && grammar.continuesQuery(cursor)) {
      return closeQuery(cursor, grammar, cursor.query(cursor, first.query), at)
    }
    if (cursor.isMark(',')) {
      cursor.take()
      const items = [first, ...cursor.list(() => grammar.expression(cursor))]
      cursor.expect(')')
      return { kind: 'row', items, ...cursor.span(at) }
    }
    cursor.expect(')')
    return indirection(cursor, { ...first, at, end: cursor.end }, grammar)
  })
}
function closeQuery(cursor: Cursor, grammar: Grammar, query: Query, at: number): Expr {
  cursor.expect(')')
  return indirection(cursor, { kind: 'subquery', query, ...cursor.span(at) }, grammar)
}

/** `[1]`, `[1:2]` and `.field` behind a name, a parameter or parentheses. */
function indirection(cursor: Cursor, base: Expr, grammar: Grammar): Expr {
  let expr = base
  for (let depth = 0; depth < 64; depth++) {
    if (cursor.accept('[')) expr = subscript(cursor, expr, grammar)
    else if (cursor.isMark('.') && cursor.isMarkAhead(1, '*')) cursor.unsupported('(…).*', cursor.at)
    else if (cursor.accept('.')) {
      const name = cursor.label()
      expr = { kind: 'field', arg: expr, name, ...cursor.span(expr.at) }
    } else return expr
  }
  return cursor.fail()
}
function subscript(cursor: Cursor, arg: Expr, grammar: Grammar): Expr {
  const from = cursor.isMark(':') ? null : grammar.expression(cursor)
  if (!cursor.accept(':')) {
    cursor.expect(']')
    return { kind: 'index', arg, index: from!, ...cursor.span(arg.at) }
  }
  const to = cursor.isMark(']') ? null : grammar.expression(cursor)
  cursor.expect(']')
  return { kind: 'slice', arg, from, to, ...cursor.span(arg.at) }
}
