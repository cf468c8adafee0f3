/**
 * Text of SQL with the functions that it calls. All that the TypeScript calls say becomes such text and is planned by the
 * planner of SQL, so a call means what its SQL means. A value becomes a literal; names are quoted; nothing else is text.
 */
import { Fault } from '../lib/fault.ts'
import type { SqlFunctionDefinition } from '../flow/user-functions.ts'

export class Text {
  readonly text: string
  readonly functions: readonly SqlFunctionDefinition[]

  constructor(text: string, functions: readonly SqlFunctionDefinition[] = []) {
    this.text = text
    this.functions = functions
  }
}
/** Joins parts; a string is text as it is. */
export function textOf(strings: TemplateStringsArray, ...parts: readonly (Text | string)[]): Text {
  const text = strings.reduce((all, one, i) => all + shown(parts[i - 1]!) + one)
  return new Text(text, [...new Set(parts.flatMap((part) => (typeof part === 'string' ? [] : part.functions)))])
}
const shown = (part: Text | string): string => (typeof part === 'string' ? part : part.text)
export function listOf(parts: readonly (Text | string)[], between = ', '): Text {
  return parts.reduce<Text>((all, part, i) => textOf`${all}${i === 0 ? '' : between}${part}`, new Text(''))
}
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
export const intervalText = (ms: number): string => `INTERVAL '${ms / 1000} seconds'`

export type Literal = string | number | bigint | boolean | Date
export function literalText(value: Literal): string {
  switch (typeof value) {
    case 'string':
      return `'${value.replaceAll("'", "''")}'`
    case 'boolean':
      return value ? 'TRUE' : 'FALSE'
    case 'bigint':
      return value < 0n ? `(${value})` : String(value)
    case 'number':
      if (!Number.isFinite(value)) return `'${value}'::double precision`
      return value < 0 || Object.is(value, -0)
        ? `(${Object.is(value, -0) ? '-0.0::double precision' : value})`
        : String(value)
    default:
      if (value instanceof Date && Number.isFinite(value.getTime())) return `TIMESTAMPTZ '${value.toISOString()}'`
      throw new Fault('config.invalid', {
        setting: 'value',
        value: String(value),
        why: 'it is no text, number, boolean or Date',
      })
  }
}
