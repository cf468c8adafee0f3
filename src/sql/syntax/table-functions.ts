/** Functions in FROM: TUMBLE(t, col, size), TUMBLE(TABLE t, DESCRIPTOR(col), size), and TABLE( … ) around either. */
import type { Name, TableArgument, TableFunction } from './ast.ts'
import type { Cursor } from './cursor.ts'
import { parseExpression } from './expressions.ts'
import { columnName, words } from './keywords.ts'

const clockWords = words(`
  current_date current_time current_timestamp localtime localtimestamp current_user current_role session_user user
  current_catalog`)

/** Without its alias; null when no call follows. */
export function parseTableFunction(cursor: Cursor, lateral: boolean): TableFunction | null {
  const { at } = cursor
  if (cursor.isWord('table') && cursor.isMarkAhead(1, '(')) {
    cursor.take()
    cursor.take()
    const inner = parseTableFunction(cursor, lateral)
    if (inner === null) cursor.fail(['TUMBLE, HOP, CUMULATE or SESSION'])
    cursor.expect(')')
    return { ...inner, ...cursor.span(at) }
  }
  if (clockWords.has(cursor.token.word) || (columnName.has(cursor.token.word) && cursor.isMarkAhead(1, '('))) {
    cursor.unsupported(`${cursor.token.text.toUpperCase()} in FROM`, at)
  }
  if (!callFollows(cursor)) return null
  const name = cursor.functionName()
  cursor.expect('(')
  const args = cursor.isMark(')') ? [] : cursor.list(() => tableArgument(cursor))
  cursor.expect(')')
  if (cursor.isWord('with') && cursor.isWordAhead(1, 'ordinality')) cursor.unsupported('WITH ORDINALITY', cursor.at)
  return { kind: 'function', name, args, alias: null, lateral, ...cursor.span(at) }
}
/** `name (` or `schema.name (`. */
function callFollows(cursor: Cursor): boolean {
  let i = 1
  while (cursor.isMarkAhead(i, '.')) i += 2
  const { kind } = cursor.token
  return (kind === 'word' || kind === 'quoted') && cursor.isMarkAhead(i, '(')
}

function tableArgument(cursor: Cursor): TableArgument {
  const { at } = cursor
  const named = cursor.isMarkAhead(1, '=>') || cursor.isMarkAhead(1, ':=')
  const name: Name | null = named ? cursor.label() : null
  if (named) cursor.take()
  if (cursor.isWord('table') && cursor.isMarkAhead(1, '(')) cursor.take()
  if (cursor.acceptWords('table')) {
    const table = cursor.qualifiedName('a stream, table or view')
    const partitionBy = cursor.acceptWords('partition', 'by') ? partitionColumns(cursor) : []
    return { kind: 'table', name, table, partitionBy, ...cursor.span(at) }
  }
  if (cursor.isWord('descriptor') && cursor.isMarkAhead(1, '(')) {
    cursor.take()
    const columns = cursor.parenthesised(() => cursor.name('a column'))
    return { kind: 'descriptor', name, columns, ...cursor.span(at) }
  }
  if (cursor.isWord('map') && cursor.isMarkAhead(1, '[')) {
    cursor.take()
    return { kind: 'map', name, entries: mapEntries(cursor), ...cursor.span(at) }
  }
  const value = parseExpression(cursor)
  if (value.kind === 'subquery') {
    const partitionBy = cursor.acceptWords('partition', 'by') ? partitionColumns(cursor) : []
    return { kind: 'query', name, query: value.query, partitionBy, ...cursor.span(at) }
  }
  return { kind: 'value', name, value, ...cursor.span(at) }
}
/** MAP['key', 'value', …]: texts alone. */
function mapEntries(cursor: Cursor): [string, string][] {
  const text = (): string => (cursor.token.kind === 'string' ? cursor.take().text : cursor.fail(["a text in '…'"]))
  cursor.expect('[')
  const entries: [string, string][] = []
  if (!cursor.isMark(']'))
    do {
      const key = text()
      cursor.expect(',')
      entries.push([key, text()])
    } while (cursor.accept(','))
  cursor.expect(']')
  return entries
}
/** Up to the comma behind which DESCRIPTOR(…), or another named argument, stands. */
function partitionColumns(cursor: Cursor): Name[] {
  const names = [cursor.name('a column')]
  while (cursor.isMark(',') && !cursor.isMarkAhead(2, '(') && !cursor.isMarkAhead(2, '=>')) {
    cursor.take()
    names.push(cursor.name('a column'))
  }
  return names
}
