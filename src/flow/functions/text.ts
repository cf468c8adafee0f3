/** Texts: lengths and positions count characters (code points), from 1. */
import type { DataType } from '../../schema/types.ts'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { invalidArgument } from './helpers.ts'
import { like } from './like.ts'
import type { ArgumentKind, FunctionRow } from './table.ts'

const text: DataType = { kind: 'text' }
const int: DataType = { kind: 'int' }
const boolean: DataType = { kind: 'boolean' }

/** True where every character is one UTF-16 unit. */
function isNarrow(s: string): boolean {
  for (let i = 0; i < s.length; i++) if ((s.charCodeAt(i) & 0xf800) === 0xd800) return false
  return true
}
export function characterCount(s: string): number {
  let count = s.length
  for (let i = 1; i < s.length; i++)
    if ((s.charCodeAt(i) & 0xfc00) === 0xdc00 && (s.charCodeAt(i - 1) & 0xfc00) === 0xd800) count--
  return count
}
/** Characters from `from` (0-based) up to `to`. */
function slice(s: string, from: number, to: number): string {
  if (to <= from) return ''
  return isNarrow(s) ? s.slice(from, to) : Array.from(s).slice(from, to).join('')
}
function substring(s: string, from: number, count: number): string {
  if (count < 0) invalidArgument('negative substring length not allowed')
  return slice(s, Math.max(0, from - 1), Math.max(0, from - 1 + count))
}
const left = (s: string, n: number): string => slice(s, 0, n >= 0 ? n : Math.max(0, characterCount(s) + n))
const right = (s: string, n: number): string => {
  const count = characterCount(s)
  return slice(s, n >= 0 ? Math.max(0, count - n) : Math.min(count, -n), count)
}
function position(s: string, part: string): number {
  const at = s.indexOf(part)
  return at < 0 ? 0 : characterCount(s.slice(0, at)) + 1
}
function checkSize(bytes: number): void {
  if (bytes > limits.textBytes)
    throw new Fault('value.invalid-argument', { what: `requested length too large: ${bytes} bytes` })
}
function repeat(s: string, n: number): string {
  checkSize(s.length * Math.max(0, n))
  return n <= 0 ? '' : s.repeat(n)
}
function replace(s: string, from: string, to: string): string {
  return timesIn(s, from, to) === 0 ? s : s.split(from).join(to)
}
/** How many occurrences `replace` replaces. Throws where what that gives would be too long. */
export function timesIn(s: string, from: string, to: string): number {
  if (from === '') return 0
  let times = 0
  for (let at = s.indexOf(from); at >= 0; at = s.indexOf(from, at + from.length)) times++
  checkSize(s.length + times * to.length)
  return times
}
function pad(s: string, length: number, fill: string, atEnd: boolean): string {
  checkSize(length)
  const count = characterCount(s)
  if (length <= count) return slice(s, 0, Math.max(0, length))
  if (fill === '') return s
  const width = characterCount(fill)
  const filling = slice(fill.repeat(Math.ceil((length - count) / width)), 0, length - count)
  return atEnd ? s + filling : filling + s
}
function trim(s: string, characters: string, start: boolean, end: boolean): string {
  const set = new Set(characters)
  const all = Array.from(s)
  let from = 0
  let to = all.length
  while (start && from < to && set.has(all[from]!)) from++
  while (end && to > from && set.has(all[to - 1]!)) to--
  return all.slice(from, to).join('')
}
function splitPart(s: string, by: string, n: number): string {
  if (n === 0) invalidArgument('field position must not be zero')
  if (by === '') return n === 1 || n === -1 ? s : ''
  return n > 0 ? partFromStart(s, by, n) : (s.split(by).at(n) ?? '')
}
function partFromStart(s: string, by: string, n: number): string {
  let from = 0
  for (let before = 1; before < n; before++) {
    const at = s.indexOf(by, from)
    if (at < 0) return ''
    from = at + by.length
  }
  const end = s.indexOf(by, from)
  return end < 0 ? s.slice(from) : s.slice(from, end)
}
const initcap = (s: string): string =>
  s.toLowerCase().replace(/[\p{L}\p{N}]+/gu, (word) => {
    const [first = '', ...rest] = word
    return first.toUpperCase() + rest.join('')
  })

const row = (
  name: string,
  args: readonly ArgumentKind[],
  returns: DataType,
  fn: (...args: never[]) => unknown,
  duckdb: string,
  about: string,
): FunctionRow => ({
  name,
  args,
  returns,
  code: (c) => `${c.use(fn)}(${c.args.join(', ')})`,
  duckdb,
  about,
})
const trims = (
  [
    ['btrim', true, true, 'trim', 'both ends'],
    ['ltrim', true, false, 'ltrim', 'the start'],
    ['rtrim', false, true, 'rtrim', 'the end'],
  ] as const
).flatMap(([name, start, end, twin, where]) => [
  row(name, ['text'], text, (s: string) => trim(s, ' ', start, end), `${twin}($1, ' ')`, `Without spaces at ${where}`),
  row(
    name,
    ['text', 'text'],
    text,
    (s: string, set: string) => trim(s, set, start, end),
    `${twin}($1, $2)`,
    `Without those characters at ${where}`,
  ),
])
const pads = (['lpad', 'rpad'] as const).flatMap((name) => [
  row(
    name,
    ['text', 'int'],
    text,
    (s: string, n: number) => pad(s, n, ' ', name === 'rpad'),
    `${name}($1, $2, ' ')`,
    'Filled with spaces to a length',
  ),
  row(
    name,
    ['text', 'int', 'text'],
    text,
    (s: string, n: number, fill: string) => pad(s, n, fill, name === 'rpad'),
    `${name}($1, $2, $3)`,
    'Filled to a length',
  ),
])
const likes = (
  [
    ['like', false, false],
    ['not-like', true, false],
    ['ilike', false, true],
    ['not-ilike', true, true],
  ] as const
).map(([name, negated, folded]): FunctionRow => ({
  name,
  args: ['text', 'text'],
  returns: boolean,
  code: (c) => {
    const a = folded ? `${c.args[0]}.toLowerCase()` : c.args[0]
    const b = folded ? `${c.args[1]}.toLowerCase()` : c.args[1]
    return `${negated ? '!' : ''}${c.use(like)}(${a}, ${b})`
  },
  duckdb: `$1 ${name.replace('not-', 'NOT ')} $2 ESCAPE '\\'`,
  about: '% stands for any text, _ for one character, \\ takes the next as it is',
}))

export const texts: readonly FunctionRow[] = [
  {
    name: '||',
    args: ['text', 'text'],
    returns: text,
    code: (c) => `(${c.args[0]} + ${c.args[1]})`,
    duckdb: '$1 || $2',
    about: 'One text after the other',
  },
  row('length', ['text'], int, characterCount, 'length($1)', 'Count of characters'),
  row('char_length', ['text'], int, characterCount, 'length($1)', 'Count of characters'),
  row('character_length', ['text'], int, characterCount, 'length($1)', 'Count of characters'),
  row('octet_length', ['text'], int, (s: string) => Buffer.byteLength(s), 'strlen($1)', 'Count of bytes in UTF-8'),
  row('lower', ['text'], text, (s: string) => s.toLowerCase(), 'lower($1)', 'In small letters'),
  row('upper', ['text'], text, (s: string) => s.toUpperCase(), 'upper($1)', 'In capital letters'),
  {
    ...row('initcap', ['text'], text, initcap, '', 'Each word with a capital letter'),
    duckdb: null,
    why: 'DuckDB has no initcap',
  },
  ...['substring', 'substr'].flatMap((name) => [
    row(
      name,
      ['text', 'int', 'int'],
      text,
      substring,
      'substring($1, CASE WHEN $2 < 1 THEN 1 ELSE $2 END, CASE WHEN $2 >= 1 THEN $3 WHEN $3 + $2 < 1 THEN 0 ELSE $3 + $2 - 1 END)',
      'Characters from a position, so many',
    ),
    row(
      name,
      ['text', 'int'],
      text,
      (s: string, from: number) => substring(s, from, 0x7fffffff + Math.max(0, -from)),
      'substring($1, CASE WHEN $2 < 1 THEN 1 ELSE $2 END)',
      'Characters from a position on',
    ),
  ]),
  row('left', ['text', 'int'], text, left, 'left($1, $2)', 'The first n characters; negative n: all but the last'),
  row('right', ['text', 'int'], text, right, 'right($1, $2)', 'The last n characters; negative n: all but the first'),
  row('strpos', ['text', 'text'], int, position, 'strpos($1, $2)', 'Where a text is found first; 0 = nowhere'),
  row(
    'position',
    ['text', 'text'],
    int,
    (part: string, s: string) => position(s, part),
    'strpos($2, $1)',
    'Where a text is found first; 0 = nowhere',
  ),
  row('replace', ['text', 'text', 'text'], text, replace, 'replace($1, $2, $3)', 'Every occurrence replaced'),
  row('repeat', ['text', 'int'], text, repeat, 'repeat($1, $2)', 'The text so many times'),
  row(
    'reverse',
    ['text'],
    text,
    (s: string) => Array.from(s).reverse().join(''),
    'reverse($1)',
    'Characters from last to first',
  ),
  row(
    'starts_with',
    ['text', 'text'],
    boolean,
    (s: string, p: string) => s.startsWith(p),
    'starts_with($1, $2)',
    'Whether it begins so',
  ),
  row(
    'split_part',
    ['text', 'text', 'int'],
    text,
    splitPart,
    "CASE WHEN $2 = '' AND $3 IS NOT NULL THEN CASE WHEN abs($3) = 1 THEN $1 ELSE left($1, 0) END ELSE split_part($1, $2, $3) END",
    'The n-th part between separators; negative n counts from the end',
  ),
  ...trims,
  ...pads,
  ...likes,
]
