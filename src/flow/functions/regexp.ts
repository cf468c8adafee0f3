/** Regular expressions over texts. Where several matches are possible the leftmost one that Perl would find is taken. */
import { limits } from '../../lib/limits.ts'
import { invalidArgument } from './helpers.ts'
import { cachedRegex, compileRegex, type Match, type Regex } from './regex.ts'
import { chosen, row, type } from './rows.ts'
import type { CallSite, FunctionRow } from './table.ts'

/** A pattern that is a literal is compiled with the query. */
function regexCode(c: CallSite, flags: string): string {
  const literal = c.literal(1)
  if (literal !== null && typeof literal.value === 'string') return c.use(compileRegex(literal.value, flags))
  return `${c.use(cachedRegex)}(${c.args[1]}, '${flags}')`
}
const tests: readonly (readonly [string, string, boolean, string])[] = [
  ['~', '', false, 'Matches a regular expression somewhere'],
  ['~*', 'i', false, 'Matches a regular expression somewhere, ignoring case'],
  ['!~', '', true, 'Matches a regular expression nowhere'],
  ['!~*', 'i', true, 'Matches a regular expression nowhere, ignoring case'],
]
const operators = tests.map(([name, flags, negated, about]): FunctionRow => ({
  name,
  args: ['text', 'text'],
  returns: type.boolean,
  code: (c) => `${negated ? '!' : ''}${regexCode(c, flags)}.test(${c.args[0]})`,
  duckdb: null,
  why: chosen,
  about,
}))

function* matches(regex: Regex, text: string, from = 0): Generator<Match> {
  for (let at = from; at <= text.length;) {
    const match = regex.match(text, at)
    if (match === null) return
    yield match
    at = match.end > match.start ? match.end : match.end + (text.codePointAt(match.end)! > 0xffff ? 2 : 1)
  }
}
/** \1 … \9 are groups, \& the whole match, \\ a backslash. */
function filledIn(template: string, text: string, match: Match): string {
  if (!template.includes('\\')) return template
  return template.replace(/\\(.)/gs, (whole, c: string) => {
    if (c === '&') return text.slice(match.start, match.end)
    if (c >= '1' && c <= '9') return match.groups[Number(c) - 1] ?? ''
    return c === '\\' ? '\\' : whole
  })
}
function replace(text: string, pattern: string, template: string, flags = ''): string {
  return replaced(text, cachedRegex(pattern, flags.replaceAll('g', '')), template, 0, flags.includes('g') ? 0 : 1)
}
/** `which` 0: every match; else the n-th. */
function replaced(text: string, regex: Regex, template: string, from: number, which: number): string {
  let out = ''
  let at = 0
  let count = 0
  for (const match of matches(regex, text, from)) {
    count++
    if (which !== 0 && count !== which) continue
    out += text.slice(at, match.start) + filledIn(template, text, match)
    at = match.end
    if (out.length > limits.textBytes) invalidArgument('the text made by regexp_replace is too long')
    if (which !== 0) break
  }
  return out + text.slice(at)
}
function groupsOf(text: string, pattern: string, flags = ''): readonly (string | null)[] | null {
  if (flags.includes('g')) return invalidArgument('regexp_match() does not support the "global" option')
  const match = cachedRegex(pattern, flags).match(text, 0)
  if (match === null) return null
  return match.groups.length === 0 ? [text.slice(match.start, match.end)] : match.groups
}
/** The part that matches, or its first group. */
function part(text: string, pattern: string): string | null {
  const match = cachedRegex(pattern).match(text, 0)
  if (match === null) return null
  return match.groups.length === 0 ? text.slice(match.start, match.end) : match.groups[0]!
}
function whole(text: string, pattern: string): string | null {
  const match = cachedRegex(pattern).match(text, 0)
  return match === null ? null : text.slice(match.start, match.end)
}
function count(text: string, pattern: string): number {
  let found = 0
  for (const _ of matches(cachedRegex(pattern), text)) found++
  return found
}
function place(text: string, pattern: string): number {
  const match = cachedRegex(pattern).match(text, 0)
  return match === null ? 0 : Array.from(text.slice(0, match.start)).length + 1
}
/** An empty match at a place where something was just cut is none. */
function split(text: string, pattern: string): string[] {
  const out: string[] = []
  let at = 0
  for (const match of matches(cachedRegex(pattern), text)) {
    if (match.end === match.start && (match.start === at || match.start >= text.length)) continue
    out.push(text.slice(at, match.start))
    at = match.end
  }
  out.push(text.slice(at))
  return out
}

export const regexps: readonly FunctionRow[] = [
  ...operators,
  row(
    'regexp_like',
    ['text', 'text'],
    type.boolean,
    (s: string, p: string) => cachedRegex(p).test(s),
    'Whether it matches somewhere',
  ),
  row(
    'regexp_like',
    ['text', 'text', 'text'],
    type.boolean,
    (s: string, p: string, f: string) => cachedRegex(p, f).test(s),
    'Whether it matches somewhere; flags like i',
  ),
  row(
    'regexp_replace',
    ['text', 'text', 'text'],
    type.text,
    replace,
    'The first match replaced; \\1 is the first group, \\& all of it',
  ),
  row(
    'regexp_replace',
    ['text', 'text', 'text', 'text'],
    type.text,
    replace,
    'Matches replaced; flag g: all of them, i: ignoring case',
  ),
  row('regexp_match', ['text', 'text'], type.texts, groupsOf, 'The groups of the first match, or all of it', {
    mayBeNull: true,
  }),
  row('regexp_match', ['text', 'text', 'text'], type.texts, groupsOf, 'The groups of the first match; flags like i', {
    mayBeNull: true,
  }),
  row('regexp_substr', ['text', 'text'], type.text, whole, 'The first match', { mayBeNull: true }),
  row('regexp_count', ['text', 'text'], type.int, count, 'How many matches there are'),
  row('regexp_instr', ['text', 'text'], type.int, place, 'Where the first match begins; 0 = nowhere'),
  row('regexp_split_to_array', ['text', 'text'], type.texts, split, 'The parts between matches'),
  row('substring', ['text', 'text'], type.text, part, 'The first match, or its first group', { mayBeNull: true }),
]
