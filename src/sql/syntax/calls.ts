/** Function calls: plain ones with all their clauses, and the standard's forms with words between the arguments. */
import { SqlFault } from '../fault.ts'
import type { Argument, Call, Expr, Frame, FrameBound, Name, OrderItem, QualifiedName, WindowSpec } from './ast.ts'
import type { Cursor } from './cursor.ts'
import { formHints } from './elsewhere.ts'
import { words } from './keywords.ts'
import { parseType } from './types.ts'

/** What calls and primaries need of the expression grammar above them. */
export interface Grammar {
  readonly expression: (cursor: Cursor) => Expr
  readonly restricted: (cursor: Cursor) => Expr
  readonly continuesQuery: (cursor: Cursor) => boolean
}

const bareCall = {
  star: false,
  distinct: false,
  orderBy: [],
  within: null,
  filter: null,
  over: null,
  variadic: false,
} as const

export function callOf(cursor: Cursor, nameText: string, nameAt: number, args: readonly Expr[]): Call {
  const span = { at: nameAt, end: nameAt + nameText.length }
  const name = { parts: [{ text: nameText, quoted: false, ...span }], ...span }
  const list = args.map((value) => ({ name: null, value, at: value.at, end: value.end }))
  return { kind: 'call', name, args: list, ...bareCall, ...cursor.span(nameAt) }
}

/** From the opening parenthesis on. */
export function parseCall(cursor: Cursor, name: QualifiedName, grammar: Grammar): Call {
  cursor.expect('(')
  const head = callArguments(cursor, grammar)
  cursor.expect(')')
  const within = cursor.isWord('within') && cursor.isWordAhead(1, 'group') ? withinGroup(cursor, grammar) : null
  const filter = cursor.isWord('filter') && cursor.isMarkAhead(1, '(') ? filterClause(cursor, grammar) : null
  if (cursor.isWord('respect', 'ignore') && cursor.isWordAhead(1, 'nulls'))
    cursor.unsupported('IGNORE NULLS', cursor.at)
  const over = cursor.acceptWords('over') ? overClause(cursor, grammar) : null
  return { kind: 'call', name, ...head, within, filter, over, ...cursor.span(name.at) }
}

function callArguments(
  cursor: Cursor,
  grammar: Grammar,
): Pick<Call, 'args' | 'star' | 'distinct' | 'orderBy' | 'variadic'> {
  const none = { args: [], star: false, distinct: false, orderBy: [], variadic: false }
  if (cursor.isMark(')')) return none
  if (cursor.isMark('*') && cursor.isMarkAhead(1, ')')) {
    cursor.take()
    return { ...none, star: true }
  }
  const distinct = cursor.acceptWords('distinct')
  if (!distinct) cursor.acceptWords('all')
  let variadic = false
  const args = cursor.list(() => {
    if (variadic) cursor.fail(['")"'])
    variadic = cursor.acceptWords('variadic')
    return argument(cursor, grammar)
  })
  const orderBy = cursor.isWord('order') ? orderClause(cursor, grammar) : []
  return { args, star: false, distinct, orderBy, variadic }
}

/** `value`, `name => value`, `name := value`. */
function argument(cursor: Cursor, grammar: Grammar): Argument {
  const { at } = cursor
  const named = cursor.isMarkAhead(1, '=>') || cursor.isMarkAhead(1, ':=')
  const name: Name | null = named ? cursor.label('a name') : null
  if (named) cursor.take()
  const value = grammar.expression(cursor)
  return { name, value, ...cursor.span(at) }
}

function withinGroup(cursor: Cursor, grammar: Grammar): readonly OrderItem[] {
  cursor.expectWord('within', 'group')
  cursor.expect('(')
  const items = orderClause(cursor, grammar)
  cursor.expect(')')
  return items
}
function filterClause(cursor: Cursor, grammar: Grammar): Expr {
  cursor.expectWord('filter')
  cursor.expect('(')
  cursor.expectWord('where')
  const where = grammar.expression(cursor)
  cursor.expect(')')
  return where
}
function overClause(cursor: Cursor, grammar: Grammar): WindowSpec | Name {
  return cursor.isMark('(') ? windowSpec(cursor, grammar) : cursor.name('a window')
}

/** ORDER BY item, item … */
export function orderClause(cursor: Cursor, grammar: Pick<Grammar, 'expression'>): OrderItem[] {
  cursor.expectWord('order', 'by')
  return cursor.list(() => {
    const { at } = cursor
    const expr = grammar.expression(cursor)
    if (cursor.isWord('using')) cursor.unsupported('ORDER BY … USING', cursor.at)
    const descending = cursor.acceptWords('desc')
    if (!descending) cursor.acceptWords('asc')
    let nullsFirst: boolean | null = null
    if (cursor.isWord('nulls') && cursor.isWordAhead(1, 'first', 'last')) {
      cursor.take()
      nullsFirst = cursor.take().word === 'first'
    }
    return { expr, descending, nullsFirst, ...cursor.span(at) }
  })
}

/** ( [name] [PARTITION BY …] [ORDER BY …] [frame] ) */
export function windowSpec(cursor: Cursor, grammar: Pick<Grammar, 'expression'>): WindowSpec {
  const { at } = cursor
  cursor.expect('(')
  const clause = cursor.isWord('partition', 'order', 'rows', 'range', 'groups') || cursor.isMark(')')
  const base = clause ? null : cursor.name('PARTITION BY, ORDER BY or a frame')
  const partitionBy = cursor.acceptWords('partition', 'by') ? cursor.list(() => grammar.expression(cursor)) : []
  const orderBy = cursor.isWord('order') ? orderClause(cursor, grammar) : []
  const frame = cursor.isWord('rows', 'range', 'groups') ? frameClause(cursor, grammar) : null
  cursor.expect(')')
  return { kind: 'window', base, partitionBy, orderBy, frame, ...cursor.span(at) }
}

function frameClause(cursor: Cursor, grammar: Pick<Grammar, 'expression'>): Frame {
  const { at } = cursor
  const unit = cursor.take().word as Frame['unit']
  const between = cursor.acceptWords('between')
  const fromAt = cursor.at
  const from = frameBound(cursor, grammar)
  let to: FrameBound = { kind: 'current-row' }
  if (between) {
    cursor.expectWord('and')
    to = frameBound(cursor, grammar)
  }
  checkFrame(cursor, from, to, fromAt)
  let exclude: string | null = null
  if (cursor.acceptWords('exclude')) {
    if (cursor.acceptWords('no', 'others')) exclude = null
    else if (cursor.acceptWords('current', 'row')) exclude = 'current row'
    else if (cursor.isWord('group', 'ties')) exclude = cursor.take().word
    else cursor.fail(['CURRENT ROW', 'GROUP', 'TIES', 'NO OTHERS'])
  }
  return { unit, from, to, exclude, ...cursor.span(at) }
}
function frameBound(cursor: Cursor, grammar: Pick<Grammar, 'expression'>): FrameBound {
  if (cursor.acceptWords('unbounded', 'preceding')) return { kind: 'unbounded-preceding' }
  if (cursor.acceptWords('unbounded', 'following')) return { kind: 'unbounded-following' }
  if (cursor.acceptWords('current', 'row')) return { kind: 'current-row' }
  const offset = grammar.expression(cursor)
  if (cursor.acceptWords('preceding')) return { kind: 'preceding', offset }
  if (cursor.acceptWords('following')) return { kind: 'following', offset }
  return cursor.fail(['PRECEDING', 'FOLLOWING'])
}
const frameOrder = { 'unbounded-preceding': 0, preceding: 1, 'current-row': 2, following: 3, 'unbounded-following': 4 }
function checkFrame(cursor: Cursor, from: FrameBound, to: FrameBound, at: number): void {
  const wrong =
    from.kind === 'unbounded-following'
      ? 'a frame cannot start at UNBOUNDED FOLLOWING'
      : to.kind === 'unbounded-preceding'
        ? 'a frame cannot end at UNBOUNDED PRECEDING'
        : frameOrder[from.kind] > frameOrder[to.kind]
          ? 'a frame cannot end before it starts'
          : null
  if (wrong !== null) throw new SqlFault('sql.windowing', wrong, cursor.text, at)
}

/** Forms whose arguments have words between them; each starts behind `name (`. */
const specialForms: Readonly<Record<string, (cursor: Cursor, grammar: Grammar, at: number) => Expr>> = {
  cast(cursor, grammar, at) {
    const arg = grammar.expression(cursor)
    cursor.expectWord('as')
    const type = parseType(cursor)
    cursor.expect(')')
    return { kind: 'cast', arg, type, ...cursor.span(at) }
  },
  extract(cursor, grammar, at) {
    if (cursor.token.kind !== 'string' && cursor.token.kind !== 'word' && cursor.token.kind !== 'quoted')
      cursor.fail(['a field'])
    const field = cursor.take().text.toLowerCase()
    cursor.expectWord('from')
    const arg = grammar.expression(cursor)
    cursor.expect(')')
    return { kind: 'extract', field, arg, ...cursor.span(at) }
  },
  position(cursor, grammar, at) {
    const needle = grammar.restricted(cursor)
    cursor.expectWord('in')
    const text = grammar.restricted(cursor)
    cursor.expect(')')
    return callOf(cursor, 'position', at, [needle, text])
  },
  substring(cursor, grammar, at) {
    return substring(cursor, grammar, at)
  },
  overlay(cursor, grammar, at) {
    const text = grammar.expression(cursor)
    if (cursor.isMark(',')) return restOfArguments(cursor, grammar, 'overlay', at, [text])
    cursor.expectWord('placing')
    const args = [text, grammar.expression(cursor)]
    cursor.expectWord('from')
    args.push(grammar.expression(cursor))
    if (cursor.acceptWords('for')) args.push(grammar.expression(cursor))
    cursor.expect(')')
    return callOf(cursor, 'overlay', at, args)
  },
  trim(cursor, grammar, at) {
    return trim(cursor, grammar, at)
  },
  coalesce: (cursor, grammar, at) => restOfArguments(cursor, grammar, 'coalesce', at),
  greatest: (cursor, grammar, at) => restOfArguments(cursor, grammar, 'greatest', at),
  least: (cursor, grammar, at) => restOfArguments(cursor, grammar, 'least', at),
  nullif(cursor, grammar, at) {
    const left = grammar.expression(cursor)
    cursor.expect(',')
    const right = grammar.expression(cursor)
    cursor.expect(')')
    return callOf(cursor, 'nullif', at, [left, right])
  },
}
const unsupportedForms = words(`
  treat normalize grouping xmlconcat xmlelement xmlexists xmlforest xmlparse xmlpi xmlroot xmlserialize json
  json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_value
  merge_action`)

/** COALESCE(…), CAST(… AS …), EXTRACT(… FROM …) and their like; null when the word is none of them. */
export function parseSpecialForm(cursor: Cursor, grammar: Grammar): Expr | null {
  const { word, at } = cursor.token
  if (!cursor.isMarkAhead(1, '(')) return null
  if (unsupportedForms.has(word)) cursor.unsupported(`${word.toUpperCase()}()`, at, formHints[word])
  if (!Object.hasOwn(specialForms, word)) return null
  cursor.take()
  cursor.take()
  return specialForms[word]!(cursor, grammar, at)
}

function restOfArguments(cursor: Cursor, grammar: Grammar, name: string, at: number, first: Expr[] = []): Expr {
  if (first.length > 0) cursor.expect(',')
  const args = [...first, ...cursor.list(() => grammar.expression(cursor))]
  cursor.expect(')')
  return callOf(cursor, name, at, args)
}

function substring(cursor: Cursor, grammar: Grammar, at: number): Expr {
  if (cursor.accept(')')) return callOf(cursor, 'substring', at, [])
  const text = grammar.expression(cursor)
  if (cursor.isMark(',')) return restOfArguments(cursor, grammar, 'substring', at, [text])
  const args = [text]
  if (cursor.isWord('similar')) cursor.unsupported('SUBSTRING … SIMILAR', cursor.at)
  if (cursor.isWord('for')) {
    const forAt = cursor.take().at
    const count = grammar.expression(cursor)
    args.push(
      cursor.acceptWords('from')
        ? grammar.expression(cursor)
        : { kind: 'number', text: '1', whole: true, at: forAt, end: forAt },
    )
    args.push(count)
  } else if (cursor.acceptWords('from')) {
    args.push(grammar.expression(cursor))
    if (cursor.acceptWords('for')) args.push(grammar.expression(cursor))
  }
  cursor.expect(')')
  return callOf(cursor, 'substring', at, args)
}

/** TRIM([LEADING|TRAILING|BOTH] [characters] FROM text), or a plain list of arguments. */
function trim(cursor: Cursor, grammar: Grammar, at: number): Expr {
  const side = cursor.isWord('leading', 'trailing', 'both') ? cursor.take().word : 'both'
  const name = side === 'leading' ? 'ltrim' : side === 'trailing' ? 'rtrim' : 'btrim'
  const first = cursor.isWord('from') ? [] : [grammar.expression(cursor)]
  let args = first
  if (cursor.acceptWords('from')) args = [...cursor.list(() => grammar.expression(cursor)), ...first]
  else while (cursor.accept(',')) args.push(grammar.expression(cursor))
  cursor.expect(')')
  return callOf(cursor, name, at, args)
}
