/** Values and names that are meant to be equal and are not, by their spelling. */
import type { Value } from '../../flow/expression.ts'
import { isoText } from '../../flow/time-text.ts'
import { suggestion } from '../../lib/suggestion.ts'
import type { DataType } from '../../schema/types.ts'

/** Without case, spaces, separators, leading zeros and quotes. */
const plain = (value: Value): string | null =>
  value === null || typeof value === 'boolean' || typeof value === 'object'
    ? null
    : String(value)
        .normalize('NFKC')
        .toLowerCase()
        .replaceAll(/[\s"'_\-./]/g, '')
        .replace(/^0+(?=.)/, '')

/** They differ, but not in what they say. */
export function nearMiss(a: Value, b: Value): boolean {
  if (a === b || typeof a !== typeof b) return false
  const one = plain(a)
  return one !== null && one !== '' && one === plain(b)
}
/** The field that a name was meant to be; null where none is near. */
export function nearestField(name: string, fields: readonly string[]): string | null {
  const wanted = plain(name)
  return fields.find((field) => plain(field) === wanted) ?? suggestion(name, fields)
}
const shownLength = 60

export function shownValue(value: Value, type?: DataType): string {
  if (value === null) return 'NULL'
  if (typeof value === 'number' && (type?.kind === 'timestamp' || type?.kind === 'timestamptz')) return isoText(value)
  const text =
    typeof value === 'string'
      ? `'${value}'`
      : value instanceof Uint8Array
        ? `\\x${Buffer.from(value).toString('hex')}`
        : typeof value === 'object'
          ? JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part))
          : String(value)
  return text.length <= shownLength ? text : `${text.slice(0, shownLength - 1)}…`
}
