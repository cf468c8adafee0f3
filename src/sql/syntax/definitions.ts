/** CREATE STREAM and CREATE TABLE, and the options of WITH ( … ). */
import type { ColumnDefinition, Name, Option, Statement, Watermark } from './ast.ts'
import type { Cursor } from './cursor.ts'
import { parseExpression } from './expressions.ts'
import { parseType } from './types.ts'

type Relation = Extract<Statement, { kind: 'create-stream' | 'create-table' }>

export function createRelation(cursor: Cursor, kind: 'stream' | 'table', at: number): Relation {
  cursor.take()
  const ifNotExists = cursor.acceptWords('if', 'not', 'exists')
  const name = cursor.qualifiedName(`a name for the ${kind}`)
  const elements = cursor.isMark('(') ? elementList(cursor) : noElements
  const options = withOptions(cursor)
  if (cursor.isWord('as') && cursor.isWordAhead(1, 'select', 'with', 'values', 'table', '('))
    cursor.unsupported(
      `CREATE ${kind.toUpperCase()} … AS`,
      cursor.at,
      'What a query gives is a view, and a topic of its name: CREATE MATERIALIZED VIEW name AS SELECT k FROM s.',
    )
  return { kind: `create-${kind}`, name, ifNotExists, ...elements, options, ...cursor.span(at) }
}

/** Columns then follow from the schema that is named in WITH. */
const noElements = { columns: [], primaryKey: [], watermark: null } as const

function elementList(cursor: Cursor): Pick<Relation, 'columns' | 'primaryKey' | 'watermark'> {
  const columns: ColumnDefinition[] = []
  let primaryKey: readonly Name[] = []
  let watermark: Watermark | null = null
  cursor.expect('(')
  do {
    if (cursor.isWord('watermark') && cursor.isWordAhead(1, 'for')) {
      if (watermark !== null) cursor.syntax('only one WATERMARK may be given', cursor.at)
      watermark = watermarkClause(cursor)
    } else if (cursor.isWord('primary') || (cursor.isWord('constraint') && cursor.isWordAhead(2, 'primary'))) {
      if (primaryKey.length > 0) cursor.syntax('only one PRIMARY KEY may be given', cursor.at)
      primaryKey = tableKey(cursor)
    } else if (cursor.isWord('unique', 'check', 'foreign', 'constraint', 'exclude', 'like')) {
      cursor.unsupported(`${cursor.token.text.toUpperCase()} in a definition`, cursor.at)
    } else columns.push(columnDefinition(cursor))
  } while (cursor.accept(','))
  cursor.expect(')')
  return { columns, primaryKey, watermark }
}

function watermarkClause(cursor: Cursor): Watermark {
  const { at } = cursor
  cursor.expectWord('watermark', 'for')
  const column = cursor.name('a column')
  if (!cursor.isWord('as'))
    cursor.fail(['AS'], `Say how late an event may come: WATERMARK FOR t AS t - INTERVAL '5 seconds'.`)
  cursor.take()
  const as = parseExpression(cursor)
  return { column, as, ...cursor.span(at) }
}
export function tableKey(cursor: Cursor): readonly Name[] {
  if (cursor.acceptWords('constraint')) cursor.name()
  cursor.expectWord('primary', 'key')
  const names = cursor.parenthesised(() => cursor.name('a column'))
  if (cursor.acceptWords('not')) cursor.expectWord('enforced')
  return names
}

function columnDefinition(cursor: Cursor): ColumnDefinition {
  const { at } = cursor
  const name = cursor.name('a column')
  if (cursor.isWord('as')) computedElsewhere(cursor)
  const type = parseType(cursor)
  let notNull = false
  let primaryKey = false
  let generated: ColumnDefinition['generated'] = null
  for (;;) {
    const clauseAt = cursor.at
    if (cursor.acceptWords('not', 'null')) notNull = true
    else if (cursor.acceptWords('null')) notNull = false
    else if (cursor.acceptWords('primary', 'key')) primaryKey = true
    else if (cursor.acceptWords('generated', 'always', 'as')) generated = generatedExpression(cursor)
    else if (cursor.isWord('default', 'unique', 'references', 'check', 'collate', 'constraint', 'generated')) {
      cursor.unsupported(`${cursor.token.text.toUpperCase()} of a column`, clauseAt)
    } else return { name, type, notNull, primaryKey, generated, ...cursor.span(at) }
  }
}
/** `b AS a + 1`, as Flink has it. */
function computedElsewhere(cursor: Cursor): never {
  const isClock = cursor.isWordAhead(1, 'proctime')
  return cursor.fail(
    ['a type'],
    isClock
      ? 'No column is needed for it: PROCTIME() stands where it is asked for, as in JOIN items FOR SYSTEM_TIME AS OF PROCTIME() AS i ON i.k = s.k; when an event came is _timestamp.'
      : 'Write the type, and b int GENERATED ALWAYS AS (a + 1).',
  )
}
function generatedExpression(cursor: Cursor): ColumnDefinition['generated'] {
  if (cursor.isWord('identity')) cursor.unsupported('an IDENTITY column', cursor.at)
  cursor.expect('(')
  const expr = parseExpression(cursor)
  cursor.expect(')')
  if (!cursor.acceptWords('stored')) cursor.acceptWords('virtual')
  return expr
}

/** WITH (name = value, …); [] when there is none. */
export function withOptions(cursor: Cursor): Option[] {
  if (!cursor.isWord('with') || !cursor.isMarkAhead(1, '(')) return []
  cursor.take()
  return optionList(cursor)
}
export function optionList(cursor: Cursor): Option[] {
  return cursor.parenthesised(() => {
    const { at } = cursor
    const name = optionName(cursor)
    const named = cursor.accept('=')
    const valueAt = cursor.at
    const value = named || !cursor.isMark(',') ? optionValue(cursor, named) : true
    return { name, value, valueAt, ...cursor.span(at) }
  })
}
/** `partitions`, `max.future`, `'retention.ms'`, `retention-ms`. */
function optionName(cursor: Cursor): string {
  if (cursor.token.kind === 'string') return cursor.take().text
  let name = cursor.label('an option').text
  while (cursor.isMark('.') || cursor.isMark('-')) name += cursor.take().text + cursor.label('an option').text
  return name
}
function optionValue(cursor: Cursor, named: boolean): string | number | boolean {
  const { token } = cursor
  switch (token.kind) {
    case 'string':
      return cursor.take().text
    case 'integer':
    case 'decimal':
      return Number(cursor.take().text)
    case 'word':
    case 'quoted': {
      const { text, word } = cursor.take()
      if (word === 'true' || word === 'on') return true
      return word === 'false' || word === 'off' ? false : text
    }
    default:
      if (cursor.accept('-')) {
        if (cursor.token.kind !== 'integer' && cursor.token.kind !== 'decimal') cursor.fail(['a number'])
        return -Number(cursor.take().text)
      }
      return named ? cursor.fail(['a value']) : true
  }
}
