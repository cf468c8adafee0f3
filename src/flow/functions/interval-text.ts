/**
 * PostgreSQL's texts of intervals: `1 day 02:30`, `1 year 2 mons -3 days`, `P1DT2H`, `@ 1 hour ago`, and the standard's
 * fields behind the literal (INTERVAL '1:30' MINUTE TO SECOND).
 */
import type { Interval } from '../memory.ts'

type Part = 'months' | 'days' | 'micros'
const second = 1_000_000
const minute = 60 * second
const hour = 60 * minute
const daysPerMonth = 30

/** Each unit as a count of its part. */
const units = new Map<string, readonly [Part, number]>()
const define = (part: Part, count: number, names: string): void => {
  for (const name of names.split(' ')) units.set(name, [part, count])
}
define('micros', 1, 'us usec usecs usecond useconds microsecond microseconds microsecon')
define('micros', 1000, 'ms msec msecs msecond mseconds millisecond milliseconds millisecon')
define('micros', second, 's sec secs second seconds')
define('micros', minute, 'm min mins minute minutes')
define('micros', hour, 'h hr hrs hour hours')
define('days', 1, 'd day days')
define('days', 7, 'w week weeks')
define('months', 1, 'mon mons month months')
define('months', 12, 'y yr yrs year years')
define('months', 120, 'decade decades dec decs')
define('months', 1200, 'century centuries cent c')
define('months', 12_000, 'millennium millennia mil mils')

class Sum {
  months = 0
  days = 0
  micros = 0

  /** Fractions go down: of months into days, of days into time; never up. */
  add(part: Part, count: number, value: number): void {
    const amount = value * count
    if (part === 'micros') this.micros += Math.round(amount)
    else if (part === 'days') this.addDays(amount)
    else {
      const months = Math.trunc(Number(amount.toFixed(9)))
      this.months += months
      if (count < 12 || amount !== months) this.addDays(Number(((amount - months) * daysPerMonth).toFixed(9)))
    }
  }
  private addDays(amount: number): void {
    const days = Math.trunc(amount)
    this.days += days
    this.micros += Math.round((amount - days) * 24 * hour)
  }
  done(negated: boolean): Interval | null {
    if (![this.months, this.days, this.micros].every(Number.isSafeInteger)) return null
    const sign = negated ? -1 : 1
    // Adding 0 turns −0 into 0, so that equal intervals have equal parts.
    return { months: sign * this.months + 0, days: sign * this.days + 0, micros: sign * this.micros + 0 }
  }
}

const token =
  /([+-]?)(\d+):(\d{1,2})(?::(\d{1,2}(?:\.\d+)?))?|([+-]?)(\d+)-(\d{1,2})(?![\d.])|([+-]?(?:\d+\.?\d*|\.\d+))\s*([a-z]*)/y

/** `fields` as in `day to second`: it says what a bare number means and cuts what is finer. null: not an interval. */
export function parseInterval(text: string, fields: string | null = null): Interval | null {
  const trimmed = text.trim().toLowerCase()
  if (trimmed.length === 0 || trimmed.length > 1000) return null
  const parsed = trimmed.startsWith('p') || trimmed.startsWith('-p') ? parseIso(trimmed) : parseWords(trimmed, fields)
  return parsed === null || fields === null ? parsed : cut(parsed, fields)
}

function parseWords(text: string, fields: string | null): Interval | null {
  const body = text.replace(/^@\s*/, '')
  const ago = /\s+ago$/.test(body)
  const words = ago ? body.replace(/\s+ago$/, '') : body
  const sum = new Sum()
  const last = fields?.split(' ').at(-1) ?? 'second'
  token.lastIndex = 0
  while (token.lastIndex < words.length) {
    const from = token.lastIndex
    const match = token.exec(words)
    if (match === null || token.lastIndex === from) return null
    if (!addPart(sum, match, last, fields)) return null
    token.lastIndex += /^[\s,]*/.exec(words.slice(token.lastIndex))![0].length
  }
  return sum.done(ago)
}

function addPart(sum: Sum, match: RegExpExecArray, last: string, fields: string | null): boolean {
  const [, clockSign, hours, minutes, seconds, yearSign, years, months, amount, unit] = match
  if (hours !== undefined) return addClock(sum, clockSign!, hours, minutes!, seconds, fields)
  if (years !== undefined) {
    if (Number(months) > 11) return false
    sum.add('months', 1, (yearSign === '-' ? -1 : 1) * (Number(years) * 12 + Number(months)))
    return true
  }
  const found = units.get(unit === '' ? last : unit!)
  if (found === undefined) return false
  sum.add(found[0], found[1], Number(amount))
  return true
}
/** `2:30` is hours and minutes, but minutes and seconds where the fields say so. */
function addClock(sum: Sum, sign: string, a: string, b: string, c: string | undefined, fields: string | null): boolean {
  const short = c === undefined && fields === 'minute to second'
  const [hours, minutes, seconds] = short ? [0, Number(a), Number(b)] : [Number(a), Number(b), Number(c ?? 0)]
  if ((!short && minutes > 59) || seconds >= 60) return false
  const micros = hours * hour + minutes * minute + Math.round(seconds * second)
  sum.micros += sign === '-' ? -micros : micros
  return true
}

/** ISO 8601: P1Y2M3DT4H5M6.7S, P2W. */
function parseIso(text: string): Interval | null {
  const match =
    /^(-?)p(?:([+-]?[\d.]+)y)?(?:([+-]?[\d.]+)m)?(?:([+-]?[\d.]+)w)?(?:([+-]?[\d.]+)d)?(?:t(?:([+-]?[\d.]+)h)?(?:([+-]?[\d.]+)m)?(?:([+-]?[\d.]+)s)?)?$/.exec(
      text,
    )
  if (match === null || /[pt]$/.test(text)) return null
  const counts: readonly (readonly [Part, number])[] = [
    ['months', 12],
    ['months', 1],
    ['days', 7],
    ['days', 1],
    ['micros', hour],
    ['micros', minute],
    ['micros', second],
  ]
  const sum = new Sum()
  for (const [i, [part, count]] of counts.entries()) {
    const amount = match[i + 2]
    if (amount === undefined) continue
    if (!/^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(amount)) return null
    sum.add(part, count, Number(amount))
  }
  return sum.done(match[1] === '-')
}

/** What is finer than the last field is dropped, as PostgreSQL does. */
function cut(interval: Interval, fields: string): Interval {
  const down = (value: number, unit: number): number => Math.trunc(value / unit) * unit + 0
  switch (fields.split(' ').at(-1)) {
    case 'year':
      return { months: down(interval.months, 12), days: 0, micros: 0 }
    case 'month':
      return { months: interval.months, days: 0, micros: 0 }
    case 'day':
      return { ...interval, micros: 0 }
    case 'hour':
      return { ...interval, micros: down(interval.micros, hour) }
    case 'minute':
      return { ...interval, micros: down(interval.micros, minute) }
    default:
      return interval
  }
}

/** Milliseconds of an interval without months; null when it has some, or is finer than a millisecond. */
export function intervalMs(interval: Interval): number | null {
  const micros = interval.days * 24 * hour + interval.micros
  return interval.months === 0 && micros % 1000 === 0 ? micros / 1000 : null
}
