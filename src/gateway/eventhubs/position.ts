/** Where a receiver begins: the selector that clients send as a filter of their link's source. */
import { type Entries, type Value, entryOf, textOf } from '../../wire/amqp/values.ts'
import { Refused, condition } from './conditions.ts'

export type Position =
  | { readonly by: 'start' }
  | { readonly by: 'latest' }
  | { readonly by: 'offset'; readonly offset: number; readonly isInclusive: boolean }
  | { readonly by: 'time'; readonly timeMs: number; readonly isInclusive: boolean }

export const selectorFilter = 'apache.org:selector-filter:string'
const form =
  /^\s*amqp\.annotation\.(x-opt-offset|x-opt-sequence-number|x-opt-enqueued-time)\s*(>=|>)\s*'?([^']*?)'?\s*$/i

/** Throws Refused. */
export function positionOf(filters: Entries | null): Position {
  const found = entryOf(filters, selectorFilter)
  if (found === null || found.type === 'null') return { by: 'start' }
  const inner: Value = found.type === 'described' ? found.value : found
  const selector = textOf(inner)
  if (selector === null) throw refused('the selector is no text')
  return parsePosition(selector)
}
export function parsePosition(selector: string): Position {
  const [, what, comparison, given] = form.exec(selector) ?? []
  if (what === undefined || given === undefined) throw refused(`'${selector.slice(0, 200)}' is no position`)
  const isInclusive = comparison === '>='
  const name = what.toLowerCase()
  if (given.toLowerCase() === '@latest') return { by: 'latest' }
  if (!/^-?\d{1,16}$/.test(given)) throw refused(`'${given.slice(0, 100)}' is no position`)
  const value = Number(given)
  if (name === 'x-opt-enqueued-time') return { by: 'time', timeMs: value, isInclusive }
  if (value < 0) return { by: 'start' }
  return { by: 'offset', offset: value, isInclusive }
}
const refused = (why: string): Refused =>
  new Refused(condition.argument, `The filter of the source cannot be used: ${why}.`)
