/**
 * Dates and times as text, in the proleptic Gregorian calendar, UTC. In memory: dates are days, times of day and instants
 * microseconds (since midnight, since 1970). ±Infinity are PostgreSQL's infinite dates.
 */
import { Fault } from '../lib/fault.ts'

const dayMicros = 86_400_000_000
/** Up to 294277 AD, as in PostgreSQL, and as far before 1970: what is written is read again, and no microsecond is left over. */
const instantMax = 9_224_318_016_000_000_000
const isInstant = (micros: number): boolean => Math.abs(micros) <= instantMax
/** Throws Fault value.out-of-range; ±Infinity are instants. */
export function checkInstant(micros: number): number {
  if (isInstant(micros) || Math.abs(micros) === Infinity) return micros
  throw new Fault('value.out-of-range', { type: 'timestamp', value: String(micros) })
}
/** Of milliseconds; NaN: there is no such instant. */
export function instantOfMs(ms: number): number {
  const micros = Math.round(ms * 1000)
  return isInstant(micros) ? micros : NaN
}
/** PostgreSQL's first and last date: 4713 BC, 5874897 AD. */
export const dateMin = -2_440_588
export const dateMax = 2_145_042_905

/** Days since 1970-01-01 (Howard Hinnant's days_from_civil). */
export function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}
export interface Civil {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  readonly day: number
}
export function civilFromDays(days: number): Civil {
  const z = days + 719_468
  const era = Math.floor(z / 146_097)
  const dayOfEra = z - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  return { year, month, day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1 }
}
const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
export const isLeapYear = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
export const daysInMonth = (year: number, month: number): number =>
  month === 2 && isLeapYear(year) ? 29 : monthDays[month - 1]!

const pattern =
  /^\s*([+-]?\d{4,7})-(\d{1,2})-(\d{1,2})(?:(?:[Tt]|\s+)(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,12}))?)?)?\s*(Z|z|UTC|[+-]\d{1,2}(?::?\d{2}(?::?\d{2})?)?)?\s*$/

/** Parts of an ISO 8601 text. `zoneMicros` is null where no zone is written. */
function parse(text: string): { days: number; micros: number; zoneMicros: number | null } | null {
  const m = pattern.exec(text)
  if (m === null) return null
  const year = Number(m[1])
  const month = Number(m[2])
  const day = Number(m[3])
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return null
  const micros = m[4] === undefined ? 0 : clockMicros(m[4], m[5]!, m[6], m[7])
  if (micros === null) return null
  const zoneMicros = m[8] === undefined ? null : parseZone(m[8])
  return { days: daysFromCivil(year, month, day), micros, zoneMicros }
}
/** Up to 24:00:00; a second 60 counts into the next minute, as PostgreSQL has it. Digits beyond µs are rounded. */
function clockMicros(hour: string, minute: string, second = '0', fraction = ''): number | null {
  const h = Number(hour)
  const m = Number(minute)
  const s = Number(second)
  if (h > 24 || m > 59 || s > 60) return null
  const part = fraction === '' ? 0 : Math.round(Number(`0.${fraction}`) * 1e6)
  const micros = ((h * 60 + m) * 60 + s) * 1e6 + part
  return micros > dayMicros ? null : micros
}
function parseZone(zone: string): number {
  if (zone === 'Z' || zone === 'z' || zone === 'UTC') return 0
  const digits = zone.slice(1).replaceAll(':', '')
  const hours = digits.length <= 2 ? digits : digits.length % 2 === 0 ? digits.slice(0, 2) : digits.slice(0, 1)
  const rest = digits.slice(hours.length)
  const minutes = Number(hours) * 60 + Number(rest.slice(0, 2) || 0)
  const micros = (minutes * 60 + Number(rest.slice(2, 4) || 0)) * 1e6
  return zone.startsWith('-') ? -micros : micros
}
function infinite(text: string): number | null {
  const word = text.trim().toLowerCase()
  if (word === 'infinity') return Infinity
  return word === '-infinity' ? -Infinity : null
}
/** µs since 1970 UTC; a missing zone is UTC. null: not a time. */
export function parseInstant(text: string): number | null {
  const parts = parse(text)
  if (parts === null) return infinite(text)
  return instantOf(parts.days * dayMicros + parts.micros - (parts.zoneMicros ?? 0))
}
const instantOf = (micros: number): number | null => (isInstant(micros) ? micros : null)
/** µs of the clock on the wall: a zone is read and ignored, as PostgreSQL does for timestamp. */
export function parseTimestamp(text: string): number | null {
  const parts = parse(text)
  return parts === null ? infinite(text) : instantOf(parts.days * dayMicros + parts.micros)
}
/** Days since 1970; a time of day is ignored. */
export function parseDate(text: string): number | null {
  const parts = parse(text)
  if (parts === null) return infinite(text)
  return parts.days >= dateMin && parts.days <= dateMax ? parts.days : null
}
let lastDay = -1
let lastDays = 0
/** −1 where there are others than digits. */
function twoDigits(b: Uint8Array, at: number): number {
  const tens = b[at]! - 48
  const ones = b[at + 1]! - 48
  // Negative where one of them is below 0 or above 9.
  return (tens | ones | (9 - tens) | (9 - ones)) < 0 ? -1 : tens * 10 + ones
}
/**
 * The commonest forms of an instant, `YYYY-MM-DDThh:mm:ss` with up to 6 digits of a fraction, a space for the T, and `Z` or
 * nothing, from its bytes. NaN: another form, or no instant: `parseInstant` knows.
 */
export function readPlainInstant(b: Uint8Array, from: number, to: number): number {
  if (b[to - 1] === 90) to--
  const length = to - from
  if (length < 19 || length > 26 || (b[from + 10] !== 84 && b[from + 10] !== 32)) return NaN
  if (b[from + 4] !== 45 || b[from + 7] !== 45 || b[from + 13] !== 58 || b[from + 16] !== 58) return NaN
  const century = twoDigits(b, from)
  const year = twoDigits(b, from + 2)
  const month = twoDigits(b, from + 5)
  const date = twoDigits(b, from + 8)
  const h = twoDigits(b, from + 11)
  const m = twoDigits(b, from + 14)
  const s = twoDigits(b, from + 17)
  if ((century | year | month | date | h | m | s) < 0 || h > 23 || m > 59 || s > 59) return NaN
  const day = (century * 100 + year) * 10_000 + month * 100 + date
  if (day !== lastDay) {
    if (!isDay(day)) return NaN
    lastDays = daysFromCivil(century * 100 + year, month, date)
    lastDay = day
  }
  let micros = 0
  if (length > 19) {
    if (b[from + 19] !== 46 || length === 20) return NaN
    let at = from + 20
    for (; at < to; at++) {
      const digit = b[at]! - 48
      if (digit < 0 || digit > 9) return NaN
      micros = micros * 10 + digit
    }
    for (; at < from + 26; at++) micros *= 10
  }
  return lastDays * dayMicros + ((h * 60 + m) * 60 + s) * 1e6 + micros
}
function isDay(day: number): boolean {
  const month = Math.floor(day / 100) % 100
  return month >= 1 && month <= 12 && day % 100 >= 1 && day % 100 <= daysInMonth(Math.floor(day / 10_000), month)
}
const clockPattern = /^\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,12}))?)?\s*$/
/** µs since midnight. */
export function parseClock(text: string): number | null {
  const m = clockPattern.exec(text)
  return m === null ? null : clockMicros(m[1]!, m[2]!, m[3], m[4])
}

const two = (n: number): string => (n < 10 ? `0${n}` : String(n))
function yearText(year: number): string {
  if (year >= 0 && year <= 9999) return String(year).padStart(4, '0')
  return (year < 0 ? '-' : '+') + String(Math.abs(year)).padStart(6, '0')
}
export function dateText(days: number): string {
  if (!Number.isFinite(days)) return days > 0 ? 'infinity' : '-infinity'
  const { year, month, day } = civilFromDays(days)
  return `${yearText(year)}-${two(month)}-${two(day)}`
}
/** HH:MM:SS and as many digits as needed. */
export function clockText(micros: number): string {
  const seconds = Math.floor(micros / 1e6)
  const fraction = micros - seconds * 1e6
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return fraction === 0 ? clock : `${clock}.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`
}
function instantText(micros: number, between: string, zone: string): string {
  if (!Number.isFinite(micros)) return micros > 0 ? 'infinity' : '-infinity'
  const days = Math.floor(micros / dayMicros)
  return `${dateText(days)}${between}${clockText(micros - days * dayMicros)}${zone}`
}
/** 2026-01-31T12:00:00.5Z: how JSON carries an instant. */
export const isoText = (micros: number): string => instantText(micros, 'T', 'Z')
/** 2026-01-31 12:00:00.5: PostgreSQL's text of a timestamp. */
export const timestampText = (micros: number): string => instantText(micros, ' ', '')
/** 2026-01-31 12:00:00.5+00: PostgreSQL's text of a timestamptz in a session whose zone is UTC. */
export const timestamptzText = (micros: number): string => instantText(micros, ' ', '+00')
