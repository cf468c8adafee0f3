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
export function fused(call: Call): Call {
  const [only] = call.args
  if (call.user !== undefined || !lengths.has(call.name) || only?.kind !== 'call' || only.user !== undefined)
    return call
  if (only.name !== 'replace' || only.args.length !== 3 || !only.args.every(isText)) return call
  return { ...call, args: only.args, user: { version: '', volatile: false, fn: lengthReplaced } }
}
