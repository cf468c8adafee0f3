/** Calls of calls that need no text in between: the same values, faults and NULLs as one by one. */
import type { Expression } from './expression.ts'
import type { FunctionRow } from './functions/table.ts'
import { characterCount, timesIn } from './functions/text.ts'

type Call = Expression & { readonly kind: 'call' }
const lengths: ReadonlySet<string> = new Set(['length', 'char_length', 'character_length'])
const isText = ({ type }: Expression): boolean => type.kind === 'text' || type.kind === 'varchar'

/** `length(replace(s, from, to))`, with which occurrences are counted. */
const lengthReplaced: FunctionRow = {
  name: 'length of replace',
  args: ['text', 'text', 'text'],
  returns: { kind: 'int' },
  code: (c) =>
    `${c.use((s: string, from: string, to: string): number => characterCount(s) + timesIn(s, from, to) * (characterCount(to) - characterCount(from)))}(${c.args.join(', ')})`,
  duckdb: 'length(replace($1, $2, $3))',
  about: 'Count of characters after every occurrence is replaced',
}
/** `length(s) - length(replace(s, part, ''))`: how SQL counts occurrences. */
const lengthTaken: FunctionRow = {
  name: 'length of occurrences',
  args: ['text', 'text'],
  returns: { kind: 'int' },
  code: (c) =>
    `${c.use((s: string, part: string): number => timesIn(s, part, '') * characterCount(part))}(${c.args.join(', ')})`,
  duckdb: "length($1) - length(replace($1, $2, ''))",
  about: 'Count of characters in all occurrences of a part',
}
const asCallOf = (call: Call, args: readonly Expression[], fn: FunctionRow): Call => ({
  ...call,
  args,
  user: { version: '', volatile: false, fn },
})

export function fused(call: Call): Call {
  if (call.user !== undefined) return call
  const replaced = replacedIn(call)
  if (replaced !== null) return asCallOf(call, replaced, lengthReplaced)
  const [all, rest] = call.args
  if (call.name !== '-' || rest === undefined) return call
  const [text] = lengthOf(all!) ?? []
  const [from, part, to] = replacedIn(rest) ?? []
  const isSame = text?.kind === 'column' && from?.kind === 'column' && text.index === from.index
  return isSame && to?.kind === 'literal' && to.value === '' ? asCallOf(call, [text, part!], lengthTaken) : call
}
/** Of a length of something: its arguments. */
const lengthOf = (expression: Expression): readonly Expression[] | null =>
  expression.kind === 'call' && expression.user === undefined && lengths.has(expression.name) ? expression.args : null
/** Of a length of a text in which another is replaced: that text, the other, and what comes in its place. */
function replacedIn(expression: Expression): readonly Expression[] | null {
  const [only] = lengthOf(expression) ?? []
  if (only?.kind !== 'call' || only.user !== undefined || only.name !== 'replace') return null
  return only.args.length === 3 && only.args.every(isText) ? only.args : null
}
