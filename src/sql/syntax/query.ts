/** Queries: WITH, set operations, SELECT, FROM with joins and window functions of streams. */
import type {
  Alias,
  Cte,
  Expr,
  Name,
  OrderItem,
  Query,
  QueryBody,
  Select,
  SelectItem,
  TableRef,
  WindowSpec,
} from './ast.ts'
import { orderClause, windowSpec } from './calls.ts'
import type { Cursor } from './cursor.ts'
import { continuesQuery, parseExpression } from './expressions.ts'
import { hintOfEmit } from './elsewhere.ts'
import { parseTableFunction } from './table-functions.ts'

const grammar = { expression: parseExpression }

/** A whole query. With `first`, a query in parentheses was read already and this one begins with it. */
export function parseQuery(cursor: Cursor, first?: Query): Query {
  return cursor.nested(() => {
    const at = first?.at ?? cursor.at
    const recursive = first === undefined && cursor.isWord('with') && cursor.isWordAhead(1, 'recursive')
    const ctes = first === undefined && cursor.acceptWords('with') ? withClause(cursor) : []
    const body = setExpression(cursor, 0, first)
    const tail = queryTail(cursor)
    return { kind: 'query', with: ctes, recursive, body, ...tail, ...cursor.span(at) }
  })
}

function withClause(cursor: Cursor): Cte[] {
  cursor.acceptWords('recursive')
  return cursor.list(() => {
    const { at } = cursor
    const name = cursor.name()
    const columns = cursor.isMark('(') ? cursor.parenthesised(() => cursor.name()) : []
    cursor.expectWord('as')
    if (cursor.acceptWords('not')) cursor.expectWord('materialized')
    else cursor.acceptWords('materialized')
    cursor.expect('(')
    const query = parseQuery(cursor)
    cursor.expect(')')
    return { name, columns, query, ...cursor.span(at) }
  })
}

type Tail = Pick<Query, 'orderBy' | 'limit' | 'offset' | 'ties' | 'locking' | 'emit'>

function queryTail(cursor: Cursor): Tail {
  const orderBy: OrderItem[] = cursor.isWord('order') ? orderClause(cursor, grammar) : []
  let tail: Tail = { orderBy, limit: null, offset: null, ties: false, locking: null, emit: null }
  const seen = new Set<string>()
  for (;;) {
    const { word } = cursor.token
    if (word === 'for' && cursor.isWordAhead(1, 'update', 'share', 'no', 'key', 'read')) {
      tail = { ...tail, locking: lockingClause(cursor) }
      continue
    }
    const clause = word === 'fetch' ? 'limit' : word
    if ((clause !== 'limit' && clause !== 'offset') || seen.has(clause)) break
    seen.add(clause)
    cursor.take()
    tail = {
      ...tail,
      ...(word === 'limit' ? limitClause(cursor) : word === 'fetch' ? fetchClause(cursor) : offsetClause(cursor)),
    }
  }
  if (tail.ties && orderBy.length === 0) cursor.syntax('WITH TIES needs an ORDER BY', cursor.at)
  return { ...tail, emit: emitClause(cursor) }
}
function limitClause(cursor: Cursor): Partial<Tail> {
  if (cursor.acceptWords('all')) return { limit: null }
  const limit = parseExpression(cursor)
  if (cursor.isMark(',')) cursor.fail([], 'Write LIMIT count OFFSET start.')
  return { limit }
}
function offsetClause(cursor: Cursor): Partial<Tail> {
  const offset = parseExpression(cursor)
  if (!cursor.acceptWords('row')) cursor.acceptWords('rows')
  return { offset }
}
function fetchClause(cursor: Cursor): Partial<Tail> {
  const { at } = cursor
  if (!cursor.acceptWords('first') && !cursor.acceptWords('next')) cursor.fail(['FIRST', 'NEXT'])
  const one: Expr = { kind: 'number', text: '1', whole: true, ...cursor.span(at) }
  const limit = cursor.isWord('row', 'rows') ? one : fetchCount(cursor)
  if (!cursor.acceptWords('row') && !cursor.acceptWords('rows')) cursor.fail(['ROW', 'ROWS'])
  if (cursor.acceptWords('only')) return { limit }
  cursor.expectWord('with', 'ties')
  return { limit, ties: true }
}
/** A number, with a sign if need be, or an expression in parentheses: what follows is not part of it. */
function fetchCount(cursor: Cursor): Expr {
  const { at } = cursor
  if (cursor.accept('+')) return numberLiteral(cursor)
  if (!cursor.accept('-'))
    return cursor.isMark('(') || cursor.token.kind === 'parameter' ? parseExpression(cursor) : numberLiteral(cursor)
  return { kind: 'unary', op: '-', arg: numberLiteral(cursor), ...cursor.span(at) }
}
function numberLiteral(cursor: Cursor): Expr {
  const { kind, text, at } = cursor.token
  if (kind !== 'integer' && kind !== 'decimal') cursor.fail(['a number'])
  cursor.take()
  return { kind: 'number', text, whole: kind === 'integer', ...cursor.span(at) }
}
function lockingClause(cursor: Cursor): Query['locking'] {
  const { at } = cursor.take()
  if (cursor.acceptWords('read')) {
    cursor.expectWord('only')
    return cursor.span(at)
  }
  if (cursor.acceptWords('no')) cursor.expectWord('key', 'update')
  else if (cursor.acceptWords('key')) cursor.expectWord('share')
  else if (!cursor.acceptWords('update')) cursor.expectWord('share')
  if (cursor.acceptWords('of')) cursor.list(() => cursor.qualifiedName())
  if (!cursor.acceptWords('nowait') && cursor.acceptWords('skip')) cursor.expectWord('locked')
  return cursor.span(at)
}
function emitClause(cursor: Cursor): Query['emit'] {
  if (!cursor.startsClause() || !cursor.isWord('emit')) return null
  const { at } = cursor.take()
  const hint = hintOfEmit(cursor.token.word)
  if (hint !== undefined) cursor.fail([], hint)
  cursor.expectWord('on', 'window', 'close')
  return { on: 'window-close', ...cursor.span(at) }
}

/** UNION and EXCEPT are equal and lean left; INTERSECT binds tighter. */
function setExpression(cursor: Cursor, min: number, first?: Query): QueryBody {
  const at = first?.at ?? cursor.at
  let left: QueryBody = first === undefined ? operand(cursor) : { kind: 'nested', query: first, at, end: first.end }
  for (let length = 1; ; length++) {
    cursor.checkChain(length)
    const { word } = cursor.token
    const level = word === 'intersect' ? 2 : word === 'union' || word === 'except' ? 1 : 0
    if (level === 0 || level <= min) return left
    const op = word as 'union' | 'intersect' | 'except'
    cursor.take()
    const all = cursor.acceptWords('all')
    if (!all) cursor.acceptWords('distinct')
    const right = setExpression(cursor, level)
    left = { kind: 'set', op, all, left: wrap(left), right: wrap(right), ...cursor.span(at) }
  }
}
const wrap = (body: QueryBody): Query => ({
  kind: 'query',
  with: [],
  recursive: false,
  body,
  orderBy: [],
  limit: null,
  offset: null,
  ties: false,
  locking: null,
  emit: null,
  at: body.at,
  end: body.end,
})

function operand(cursor: Cursor): QueryBody {
  const { at, word } = cursor.token
  if (cursor.accept('(')) {
    const query = parseQuery(cursor)
    cursor.expect(')')
    return { kind: 'nested', query, ...cursor.span(at) }
  }
  switch (word) {
    case 'select':
      return select(cursor)
    case 'values':
      return values(cursor)
    case 'table':
      return tableQuery(cursor)
    default:
      return cursor.fail(['SELECT', 'VALUES', 'WITH'])
  }
}

function values(cursor: Cursor): QueryBody {
  const { at } = cursor.take()
  const rows = cursor.list(() => {
    const rowAt = cursor.at
    const row = cursor.parenthesised(() => valueOrDefault(cursor))
    return { row, rowAt }
  })
  const width = rows[0]!.row.length
  for (const { row, rowAt } of rows) {
    if (row.length !== width) cursor.syntax('VALUES lists must all be the same length', rowAt)
  }
  return { kind: 'values', rows: rows.map(({ row }) => row), ...cursor.span(at) }
}
/** DEFAULT stands for the column's default, which is NULL. */
function valueOrDefault(cursor: Cursor): Expr {
  const { at } = cursor
  return cursor.acceptWords('default') ? { kind: 'null', ...cursor.span(at) } : parseExpression(cursor)
}

/** TABLE t = SELECT * FROM t */
function tableQuery(cursor: Cursor): QueryBody {
  const { at } = cursor.take()
  if (cursor.isWord('only')) cursor.unsupported('ONLY', cursor.at)
  const name = cursor.qualifiedName('a table')
  if (cursor.accept('*')) cursor.unsupported('TABLE t *', at)
  const from: TableRef = { kind: 'table', name, alias: null, asOf: null, at: name.at, end: name.end }
  const span = cursor.span(at)
  const star: SelectItem = { expr: { kind: 'star', qualifier: [], ...span }, alias: null, ...span }
  return { kind: 'select', ...emptySelect, items: [star], from: [from], ...span }
}
const emptySelect = {
  distinct: false,
  where: null,
  groupBy: [],
  groupDistinct: false,
  having: null,
  windows: [],
} as const

function select(cursor: Cursor): Select {
  const { at } = cursor.take()
  const distinct = distinctClause(cursor)
  const items = distinct === false && selectEnds(cursor) ? [] : cursor.list(() => selectItem(cursor))
  if (cursor.isWord('into')) cursor.unsupported('SELECT INTO', cursor.at, 'Use CREATE MATERIALIZED VIEW … AS SELECT.')
  const from = cursor.acceptWords('from') ? cursor.list(() => tableRef(cursor)) : []
  const where = cursor.acceptWords('where') ? parseExpression(cursor) : null
  let groupBy: Expr[] = []
  let groupDistinct = false
  if (cursor.acceptWords('group', 'by')) {
    groupDistinct = cursor.acceptWords('distinct')
    if (!groupDistinct) cursor.acceptWords('all')
    groupBy = cursor.list(() => groupItem(cursor))
  }
  const having = cursor.acceptWords('having') ? parseExpression(cursor) : null
  const windows = cursor.acceptWords('window') ? cursor.list(() => namedWindow(cursor)) : []
  return { kind: 'select', distinct, items, from, where, groupBy, groupDistinct, having, windows, ...cursor.span(at) }
}
function distinctClause(cursor: Cursor): Select['distinct'] {
  if (cursor.acceptWords('all') || !cursor.acceptWords('distinct')) return false
  return cursor.acceptWords('on') ? cursor.parenthesised(() => parseExpression(cursor)) : true
}
const selectEnds = (cursor: Cursor): boolean =>
  cursor.atEnd() ||
  cursor.isMark(')') ||
  cursor.isMark(';') ||
  cursor.isWord('from', 'where', 'group', 'having', 'window', 'into') ||
  continuesQuery(cursor)

function selectItem(cursor: Cursor): SelectItem {
  const { at } = cursor
  if (cursor.accept('*'))
    return { expr: { kind: 'star', qualifier: [], ...cursor.span(at) }, alias: null, ...cursor.span(at) }
  const expr = parseExpression(cursor)
  if (expr.kind === 'star') return { expr, alias: null, ...cursor.span(at) }
  const alias = cursor.acceptWords('as') ? cursor.label() : cursor.bareLabel()
  return { expr, alias, ...cursor.span(at) }
}
function groupItem(cursor: Cursor): Expr {
  const { at } = cursor
  if (cursor.isMark('(') && cursor.isMarkAhead(1, ')')) {
    cursor.unsupported('an empty grouping set', at, 'Leave GROUP BY out: aggregates then cover all rows.')
  }
  const sets = cursor.isWord('grouping') && cursor.isWordAhead(1, 'sets')
  if (sets || (cursor.isWord('rollup', 'cube') && cursor.isMarkAhead(1, '('))) {
    cursor.unsupported(
      sets ? 'GROUPING SETS' : cursor.token.text.toUpperCase(),
      at,
      'Write one query a grouping and join them with UNION ALL.',
    )
  }
  return parseExpression(cursor)
}
function namedWindow(cursor: Cursor): { name: Name; spec: WindowSpec } {
  const name = cursor.name('a window')
  cursor.expectWord('as')
  return { name, spec: windowSpec(cursor, grammar) }
}

const joinWords = ['join', 'inner', 'left', 'right', 'full', 'cross', 'natural'] as const

export function tableRef(cursor: Cursor): TableRef {
  return cursor.nested(() => {
    return moreJoins(cursor, tableFactor(cursor))
  })
}

/** One deeper for each join that waits for its condition. */
function join(cursor: Cursor, left: TableRef): TableRef {
  return cursor.nested(() => joinOne(cursor, left))
}
function joinOne(cursor: Cursor, left: TableRef): TableRef {
  const natural = cursor.acceptWords('natural')
  const type = joinType(cursor)
  if (type === 'cross') {
    if (natural) cursor.fail()
    return {
      kind: 'join',
      type,
      natural,
      left,
      right: tableFactor(cursor),
      on: null,
      using: [],
      ...cursor.span(left.at),
    }
  }
  // The condition of `a JOIN b JOIN c ON … ON …` belongs to the innermost join first.
  let right = tableFactor(cursor)
  if (!natural) while (cursor.isWord(...joinWords)) right = join(cursor, right)
  if (natural) return { kind: 'join', type, natural, left, right, on: null, using: [], ...cursor.span(left.at) }
  if (cursor.acceptWords('using')) {
    const using = cursor.parenthesised(() => cursor.name('a column'))
    if (cursor.isWord('as')) cursor.unsupported('an alias of USING', cursor.at)
    return { kind: 'join', type, natural, left, right, on: null, using, ...cursor.span(left.at) }
  }
  if (!cursor.acceptWords('on')) cursor.fail(['ON', 'USING'])
  const on = parseExpression(cursor)
  return { kind: 'join', type, natural, left, right, on, using: [], ...cursor.span(left.at) }
}
function joinType(cursor: Cursor): 'inner' | 'left' | 'right' | 'full' | 'cross' {
  if (cursor.acceptWords('cross')) {
    cursor.expectWord('join')
    return 'cross'
  }
  let type: 'inner' | 'left' | 'right' | 'full' = 'inner'
  if (cursor.isWord('left', 'right', 'full')) {
    type = cursor.take().word as 'left' | 'right' | 'full'
    cursor.acceptWords('outer')
  } else cursor.acceptWords('inner')
  cursor.expectWord('join')
  return type
}

function tableFactor(cursor: Cursor): TableRef {
  const { at } = cursor
  const lateral = cursor.acceptWords('lateral')
  if (cursor.isMark('(')) return derivedOrJoin(cursor, lateral, at)
  if (cursor.isWord('only')) cursor.unsupported('ONLY', at)
  if (cursor.isWord('rows') && cursor.isWordAhead(1, 'from')) cursor.unsupported('ROWS FROM', at)
  const call = parseTableFunction(cursor, lateral)
  if (call !== null) return { ...call, alias: tableAlias(cursor), ...cursor.span(at) }
  if (lateral) cursor.fail(['"("'])
  const name = cursor.qualifiedName('a stream, table or view')
  if (name.parts.length > 3) cursor.syntax('a table has at most a database, a schema and a name', name.at)
  if (cursor.accept('*')) cursor.unsupported('t *', at)
  let asOf = systemTime(cursor)
  const alias = tableAlias(cursor)
  asOf ??= systemTime(cursor)
  if (cursor.isWord('tablesample')) cursor.unsupported('TABLESAMPLE', cursor.at)
  if (cursor.isWord('match_recognize')) cursor.unsupported('MATCH_RECOGNIZE', cursor.at)
  return { kind: 'table', name, alias, asOf, ...cursor.span(at) }
}
/** FOR SYSTEM_TIME AS OF time, before or behind the alias. */
function systemTime(cursor: Cursor): Expr | null {
  if (!cursor.isWord('for') || !cursor.isWordAhead(1, 'system_time')) return null
  cursor.expectWord('for', 'system_time', 'as', 'of')
  return parseExpression(cursor)
}

/** `(SELECT …) t`, `(a JOIN b …)`, or a larger query that starts with a query in parentheses. */
function derivedOrJoin(cursor: Cursor, lateral: boolean, at: number): TableRef {
  const inner = queryOrTable(cursor)
  if (inner.kind === 'query') {
    return { kind: 'derived', query: inner, alias: tableAlias(cursor), lateral, ...cursor.span(at) }
  }
  if (lateral) cursor.fail(['SELECT'])
  const alias = tableAlias(cursor)
  if (alias !== null) cursor.unsupported('an alias of a join in parentheses', alias.at)
  return { ...inner, ...cursor.span(at) }
}
function queryOrTable(cursor: Cursor): Query | TableRef {
  return cursor.nested(() => {
    const { at } = cursor
    cursor.expect('(')
    if (cursor.isWord('select', 'with', 'values') || (cursor.isWord('table') && !cursor.isMarkAhead(1, '(')))
      return closed(cursor, parseQuery(cursor))
    if (!cursor.isMark('(')) return joinInParentheses(cursor, tableRef(cursor))
    const first = queryOrTable(cursor)
    if (first.kind !== 'query') return joinInParentheses(cursor, moreJoins(cursor, first))
    if (cursor.isMark(')')) return closed(cursor, first)
    if (continuesQuery(cursor)) return closed(cursor, parseQuery(cursor, first))
    const derived: TableRef = {
      kind: 'derived',
      query: first,
      alias: tableAlias(cursor),
      lateral: false,
      ...cursor.span(at),
    }
    return joinInParentheses(cursor, moreJoins(cursor, derived))
  })
}
function moreJoins(cursor: Cursor, first: TableRef): TableRef {
  let left = first
  for (let length = 1; cursor.isWord(...joinWords); length++) {
    cursor.checkChain(length)
    left = join(cursor, left)
  }
  return left
}
function closed(cursor: Cursor, query: Query): Query {
  cursor.expect(')')
  return query
}
function joinInParentheses(cursor: Cursor, table: TableRef): TableRef {
  if (table.kind !== 'join') cursor.fail(['JOIN'])
  cursor.expect(')')
  return table
}

function tableAlias(cursor: Cursor): Alias | null {
  const { at } = cursor
  if (cursor.isWord('match_recognize') && cursor.isMarkAhead(1, '(')) return null
  const explicit = cursor.acceptWords('as')
  if (!explicit && (cursor.startsClause() || !cursor.startsName())) return null
  const name = cursor.name('an alias')
  const columns = cursor.isMark('(') ? cursor.parenthesised(() => aliasColumn(cursor)) : []
  return { name, columns, ...cursor.span(at) }
}
function aliasColumn(cursor: Cursor): Name {
  const name = cursor.name('a column')
  if (!cursor.isMark(',') && !cursor.isMark(')')) cursor.unsupported('a column list with types', cursor.at)
  return name
}
