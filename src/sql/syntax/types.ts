/** Type names as PostgreSQL's grammar spells them, with the standard's words turned into PostgreSQL's own names. */
import { limits } from '../../lib/limits.ts'
import type { TypeRef } from './ast.ts'
import type { Cursor } from './cursor.ts'
import { columnName, reserved, words } from './keywords.ts'

const aliases = new Map([
  ['int', 'int'],
  ['integer', 'int'],
  ['int4', 'int'],
  ['int2', 'smallint'],
  ['smallint', 'smallint'],
  ['int8', 'bigint'],
  ['bigint', 'bigint'],
  ['float4', 'real'],
  ['real', 'real'],
  ['float8', 'double precision'],
  ['decimal', 'numeric'],
  ['dec', 'numeric'],
  ['numeric', 'numeric'],
  ['bool', 'boolean'],
  ['boolean', 'boolean'],
  ['string', 'text'],
  ['bytes', 'bytea'],
])

/** Types whose names are keywords: behind them a string is a literal of the type. */
const keywordTypes = words(`
  int integer smallint bigint real float double decimal dec numeric boolean char character varchar nchar national bit
  timestamp time interval json`)
export const isKeywordType = (word: string): boolean => keywordTypes.has(word)

export function parseType(cursor: Cursor): TypeRef {
  const { at } = cursor
  if (cursor.acceptWords('setof')) cursor.unsupported('SETOF', at)
  const base = simpleType(cursor)
  let dimensions = 0
  while (cursor.accept('[')) {
    if (cursor.token.kind === 'integer') cursor.take()
    cursor.expect(']')
    dimensions++
    if (dimensions > 6) cursor.unsupported('an array of more than 6 dimensions', at)
  }
  if (dimensions === 0 && cursor.acceptWords('array')) {
    if (cursor.accept('[')) {
      if (cursor.token.kind !== 'integer') cursor.fail(['a number'])
      cursor.take()
      cursor.expect(']')
    }
    dimensions = 1
  }
  return { ...base, dimensions, ...cursor.span(at) }
}

/** A type without array brackets: what may stand before a literal. */
export function simpleType(cursor: Cursor): TypeRef {
  const { at, token } = cursor
  const made = (name: string, modifiers: readonly number[] = [], fields: string | null = null): TypeRef => ({
    name,
    modifiers,
    fields,
    dimensions: 0,
    ...cursor.span(at),
  })
  if (token.kind === 'quoted') {
    cursor.take()
    return made(token.text, modifiers(cursor))
  }
  if (token.kind !== 'word') cursor.fail(['a type'])
  const { word } = token
  if ((word === 'struct' && cursor.isMarkAhead(1, '<')) || (word === 'row' && cursor.isMarkAhead(1, '(')))
    return composite(cursor)
  if (columnName.has(word) && !keywordTypes.has(word)) cursor.fail(['a type'])
  if (reserved.has(word)) cursor.fail(['a type'])
  cursor.take()
  switch (word) {
    case 'double':
      cursor.acceptWords('precision')
      return made('double precision')
    case 'float':
      return made(floatName(cursor))
    case 'char':
    case 'character':
    case 'nchar':
    case 'varchar':
      return made(...characterType(cursor, word))
    case 'national':
      if (!cursor.isWord('char', 'character')) cursor.fail(['CHARACTER'])
      return made(...characterType(cursor, cursor.take().word))
    case 'bit':
      cursor.unsupported('the type bit', at)
    case 'time':
    case 'timestamp':
      return made(...timeType(cursor, word))
    case 'interval':
      return cursor.isMark('(') ? made('interval', modifiers(cursor)) : made('interval', [], intervalFields(cursor))
    case 'int':
    case 'integer':
    case 'smallint':
    case 'bigint':
    case 'real':
    case 'boolean':
    case 'json':
      return made(aliases.get(word) ?? word)
    default:
      return generic(cursor, word, made)
  }
}

/** STRUCT<a int, b text>, or as the standard has it ROW(a int, b text). */
function composite(cursor: Cursor): TypeRef {
  const { at } = cursor
  const { word } = cursor.take()
  cursor.take()
  const members = cursor.nested(() => cursor.list(() => ({ name: cursor.label('a field'), type: parseType(cursor) })))
  if (word === 'row') cursor.expect(')')
  else cursor.expectClosing()
  return { name: 'struct', modifiers: [], fields: null, dimensions: 0, members, ...cursor.span(at) }
}

function generic(cursor: Cursor, word: string, made: (name: string, modifiers: readonly number[]) => TypeRef): TypeRef {
  let name = word
  while (!keywordTypes.has(word) && cursor.accept('.')) name = cursor.label('a type').text.toLowerCase()
  return made(aliases.get(name) ?? name, modifiers(cursor))
}

function modifiers(cursor: Cursor): number[] {
  if (!cursor.accept('(')) return []
  const list = cursor.list(() => {
    const sign = cursor.accept('-') ? -1 : 1
    if (cursor.token.kind !== 'integer') cursor.fail(['a number'])
    const value = Number(cursor.take().text)
    if (value > limits.sqlBytes * 64) cursor.fail(['a smaller number'])
    return sign * value
  })
  cursor.expect(')')
  return list
}

function floatName(cursor: Cursor): string {
  const { at } = cursor
  const [digits] = modifiers(cursor)
  if (digits === undefined) return 'double precision'
  if (digits < 1 || digits > 53) cursor.unsupported(`float(${digits}): the precision must be 1 to 53; it`, at)
  return digits <= 24 ? 'real' : 'double precision'
}
function characterType(cursor: Cursor, word: string): [string, number[]] {
  const varying = word === 'varchar' || cursor.acceptWords('varying')
  const length = modifiers(cursor)
  return [varying ? 'varchar' : 'char', length]
}
function timeType(cursor: Cursor, word: string): [string, number[]] {
  const precision = modifiers(cursor)
  if (cursor.isWord('with') && cursor.isWordAhead(1, 'time')) {
    cursor.expectWord('with', 'time', 'zone')
    return [`${word}tz`, precision]
  }
  if (cursor.isWord('without') && cursor.isWordAhead(1, 'time')) cursor.expectWord('without', 'time', 'zone')
  return [word, precision]
}

const unitEnds: Readonly<Record<string, readonly string[]>> = {
  year: ['month'],
  month: [],
  day: ['hour', 'minute', 'second'],
  hour: ['minute', 'second'],
  minute: ['second'],
  second: [],
}
/** MINUTE, DAY TO SECOND(3), …; null when none follow. */
export function intervalFields(cursor: Cursor): string | null {
  const first = unitWord(cursor.token.word)
  const ends = unitEnds[first]
  if (ends === undefined) return null
  cursor.take()
  if (cursor.isWord('to') && ends.some((end) => end === unitWord(cursor.ahead(1).word))) {
    cursor.take()
    const last = unitWord(cursor.take().word)
    if (last === 'second') modifiers(cursor)
    return `${first} to ${last}`
  }
  if (first === 'second') modifiers(cursor)
  return first
}
/** Flink writes the plural too. */
const unitWord = (word: string): string =>
  /^(?:year|month|day|hour|minute|second)s$/.test(word) ? word.slice(0, -1) : word
