/** Text of queries and headers → values, or Fault http.invalid-parameter. */
import { Fault } from '../../lib/fault.ts'

export const invalid = (name: string, value: string, why: string): Fault =>
  new Fault('http.invalid-parameter', { name, value: value.slice(0, 200), why })

export function wholeNumber(name: string, text: string, range: { min: number; max: number }): number {
  const value = /^-?\d{1,16}$/.test(text) ? Number(text) : NaN
  if (!Number.isSafeInteger(value)) throw invalid(name, text, 'a whole number is wanted')
  if (value < range.min || value > range.max) throw invalid(name, text, `it must lie in ${range.min}..${range.max}`)
  return value
}

export function yesOrNo(name: string, text: string): boolean {
  if (text === 'true' || text === '1' || text === '') return true
  if (text === 'false' || text === '0') return false
  throw invalid(name, text, 'true or false is wanted')
}

export function oneOf<T extends string>(name: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === text)
  if (found === undefined) throw invalid(name, text, `one of ${allowed.join(', ')} is wanted`)
  return found
}

/** The last moment that a JavaScript date can say. */
const timeMsMax = 8_640_000_000_000_000
const isoTime =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|z|[+-]\d\d(?::?\d\d)?)?)?$/

/** ISO 8601 (a missing zone is UTC) or milliseconds since 1970; null when it is neither. */
export function readTime(text: string): number | null {
  if (/^-?\d{1,16}$/.test(text)) {
    const value = Number(text)
    return Math.abs(value) <= timeMsMax ? value : null
  }
  const found = isoTime.exec(text.trim())
  if (found === null) return null
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '', zone = 'Z'] = found
  const plain = Date.parse(
    `${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.padEnd(3, '0').slice(0, 3)}Z`,
  )
  // Date.parse lets 30 February pass as 1 March.
  if (Number.isNaN(plain) || new Date(plain).getUTCDate() !== Number(day)) return null
  return plain - zoneMs(zone)
}
function zoneMs(zone: string): number {
  if (zone === 'Z' || zone === 'z') return 0
  const [, sign, hours, minutes = '0'] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone)!
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000
}
export function timestamp(name: string, text: string): number {
  const timeMs = readTime(text)
  if (timeMs === null || timeMs < 0) throw invalid(name, text, 'ISO 8601 or milliseconds since 1970 is wanted')
  return timeMs
}
