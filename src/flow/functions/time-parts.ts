/** Fields of dates and times, as EXTRACT and date_trunc name them. Instants are µs since 1970 in the zone wanted. */
import { Fault } from '../../lib/fault.ts'
import { civilFromDays, daysFromCivil, daysInMonth } from '../time-text.ts'
import type { Interval } from '../memory.ts'

export const dayMicros = 86_400_000_000
const hour = 3_600_000_000
const minute = 60_000_000
const second = 1_000_000

export interface Parts {
  readonly year: number
  readonly month: number
  readonly day: number
  /** Since 1970-01-01. */
  readonly days: number
  readonly hour: number
  readonly minute: number
  /** With its fraction, in µs. */
  readonly secondMicros: number
}
export function partsOf(micros: number): Parts {
  const days = Math.floor(micros / dayMicros)
  const clock = micros - days * dayMicros
  return {
    ...civilFromDays(days),
    days,
    hour: Math.floor(clock / hour),
    minute: Math.floor(clock / minute) % 60,
    secondMicros: clock % minute,
  }
}
/** ISO weekday, Monday 1 to Sunday 7. */
export const isoWeekday = (days: number): number => ((((days + 3) % 7) + 7) % 7) + 1
export const dayOfYear = ({ year, days }: Pick<Parts, 'year' | 'days'>): number => days - daysFromCivil(year, 1, 1) + 1
/** ISO 8601 week: the year that its Thursday lies in. */
export function isoWeek(days: number): { year: number; week: number } {
  const thursday = days - isoWeekday(days) + 4
  const { year } = civilFromDays(thursday)
  return { year, week: Math.floor((thursday - daysFromCivil(year, 1, 1)) / 7) + 1 }
}

const fieldNames = new Map<string, string>()
for (const names of [
  'microseconds us usec usecs usecond useconds microsecond microsecon',
  'milliseconds ms msec msecs msecond mseconds millisecond millisecon',
  'second s sec secs seconds',
  'minute m min mins minutes',
  'hour h hr hrs hours',
  'day d days',
  'week w weeks',
  'month mon mons months',
  'quarter qtr',
  'year y yr yrs years',
  'decade dec decs decades',
  'century c cent centuries',
  'millennium mil mils millennia',
  'dow',
  'isodow',
  'doy',
  'isoyear',
  'epoch',
  'julian j',
  'timezone',
  'timezone_hour',
  'timezone_minute',
]) {
  const [field, ...others] = names.split(' ')
  for (const name of [field!, ...others]) fieldNames.set(name, field!)
}
/** PostgreSQL's name of a field. Throws Fault value.invalid-argument. */
export function fieldOf(name: string): string {
  const field = fieldNames.get(name.trim().toLowerCase())
  if (field === undefined) throw unknownField(name)
  return field
}
export const unknownField = (name: string, of = ''): Fault =>
  new Fault('value.invalid-argument', { what: `unit "${name}" is not known${of}` })

const towardsZeroYear = (year: number, size: number): number =>
  year > 0 ? Math.floor((year + size - 1) / size) : -Math.floor((size - 1 - (year - 1)) / size)

/** In µs for seconds and below and for epoch (`scale` 6 or 3), whole otherwise. */
export interface FieldValue {
  readonly value: number
  readonly scale: number
}
/** A field of a date or timestamp. `epochMicros`: what epoch counts. */
export function extractInstant(field: string, micros: number): FieldValue {
  const p = partsOf(micros)
  const whole = (value: number): FieldValue => ({ value, scale: 0 })
  switch (field) {
    case 'year':
      return whole(p.year > 0 ? p.year : p.year - 1)
    case 'month':
      return whole(p.month)
    case 'day':
      return whole(p.day)
    case 'quarter':
      return whole(Math.floor((p.month - 1) / 3) + 1)
    case 'decade':
      return whole(Math.floor(p.year / 10))
    case 'century':
      return whole(towardsZeroYear(p.year, 100))
    case 'millennium':
      return whole(towardsZeroYear(p.year, 1000))
    case 'dow':
      return whole(isoWeekday(p.days) % 7)
    case 'isodow':
      return whole(isoWeekday(p.days))
    case 'doy':
      return whole(dayOfYear(p))
    case 'week':
      return whole(isoWeek(p.days).week)
    case 'isoyear':
      return whole(isoWeek(p.days).year)
    case 'epoch':
      return { value: micros, scale: 6 }
    case 'julian':
      return julian(p.days, micros)
    case 'timezone':
    case 'timezone_hour':
    case 'timezone_minute':
      return whole(0)
    default:
      return extractClock(field, micros - p.days * dayMicros)
  }
}
function julian(days: number, micros: number): FieldValue {
  const fraction = (micros - days * dayMicros) / dayMicros
  return fraction === 0
    ? { value: days + 2_440_588, scale: 0 }
    : { value: Math.round((days + 2_440_588 + fraction) * 1e6), scale: 6 }
}
/** A field of a time of day. */
export function extractClock(field: string, micros: number): FieldValue {
  const secondMicros = micros % minute
  switch (field) {
    case 'hour':
      return { value: Math.trunc(micros / hour), scale: 0 }
    case 'minute':
      return { value: Math.trunc(micros / minute) % 60, scale: 0 }
    case 'second':
      return { value: secondMicros, scale: 6 }
    case 'milliseconds':
      return { value: secondMicros, scale: 3 }
    case 'microseconds':
      return { value: secondMicros, scale: 0 }
    case 'epoch':
      return { value: micros, scale: 6 }
    default:
      throw unknownField(field, ' here')
  }
}
export function extractInterval(field: string, { months, days, micros }: Interval): FieldValue {
  const years = Math.trunc(months / 12)
  const whole = (value: number): FieldValue => ({ value: value + 0, scale: 0 })
  switch (field) {
    case 'year':
      return whole(years)
    case 'month':
      return whole(months % 12)
    case 'quarter':
      return whole(Math.trunc((months % 12) / 3) + (months < 0 ? -1 : 1))
    case 'decade':
      return whole(Math.trunc(years / 10))
    case 'century':
      return whole(Math.trunc(years / 100))
    case 'millennium':
      return whole(Math.trunc(years / 1000))
    case 'week':
      return whole(Math.trunc(days / 7))
    case 'day':
      return whole(days)
    case 'epoch':
      // PostgreSQL: a year is 365.25 days, a month of the rest 30.
      return {
        value: (years * 365.25 * 86_400 + (months % 12) * 30 * 86_400 + days * 86_400) * second + micros,
        scale: 6,
      }
    default:
      return extractClock(field, micros)
  }
}

/** The start of the field that the instant lies in. */
export function truncateInstant(field: string, micros: number): number {
  if (!Number.isFinite(micros)) return micros
  const p = partsOf(micros)
  const date = (year: number, month: number): number => daysFromCivil(year, month, 1) * dayMicros
  switch (field) {
    case 'microseconds':
      return micros
    case 'milliseconds':
      return Math.floor(micros / 1000) * 1000
    case 'second':
      return Math.floor(micros / second) * second
    case 'minute':
      return Math.floor(micros / minute) * minute
    case 'hour':
      return Math.floor(micros / hour) * hour
    case 'day':
      return p.days * dayMicros
    case 'week':
      return (p.days - isoWeekday(p.days) + 1) * dayMicros
    case 'month':
      return date(p.year, p.month)
    case 'quarter':
      return date(p.year, Math.floor((p.month - 1) / 3) * 3 + 1)
    case 'year':
      return date(p.year, 1)
    case 'decade':
      return date(Math.floor(p.year / 10) * 10, 1)
    case 'century':
      return date((Math.ceil(p.year / 100) - 1) * 100 + 1, 1)
    case 'millennium':
      return date((Math.ceil(p.year / 1000) - 1) * 1000 + 1, 1)
    default:
      throw unknownField(field, ' to truncate to')
  }
}
export function truncateInterval(field: string, { months, days, micros }: Interval): Interval {
  const down = (value: number, unit: number): number => Math.trunc(value / unit) * unit + 0
  const years = (count: number): Interval => ({ months: down(months, 12 * count), days: 0, micros: 0 })
  const time = (unit: number): Interval => ({ months, days, micros: down(micros, unit) })
  switch (field) {
    case 'microseconds':
      return { months, days, micros }
    case 'milliseconds':
      return time(1000)
    case 'second':
      return time(second)
    case 'minute':
      return time(minute)
    case 'hour':
      return time(hour)
    case 'day':
      return { months, days, micros: 0 }
    case 'month':
      return { months, days: 0, micros: 0 }
    case 'quarter':
      return { months: down(months, 3), days: 0, micros: 0 }
    case 'year':
      return years(1)
    case 'decade':
      return years(10)
    case 'century':
      return years(100)
    case 'millennium':
      return years(1000)
    default:
      throw unknownField(field, ' to truncate to')
  }
}

/** Months first (to the last day where the month is shorter), then days, then time. */
export function addInterval(micros: number, { months, days, micros: time }: Interval, sign: 1 | -1): number {
  if (!Number.isFinite(micros)) return micros
  let date = micros
  if (months !== 0) {
    const p = partsOf(micros)
    const count = p.year * 12 + p.month - 1 + sign * months
    const year = Math.floor(count / 12)
    const month = count - year * 12 + 1
    date =
      daysFromCivil(year, month, Math.min(p.day, daysInMonth(year, month))) * dayMicros + (micros - p.days * dayMicros)
  }
  return inRange(date + sign * (days * dayMicros + time))
}
/** What float64 holds exactly to the microsecond. */
export function inRange(micros: number): number {
  if (Math.abs(micros) <= Number.MAX_SAFE_INTEGER) return micros
  throw new Fault('value.out-of-range', { type: 'timestamp', value: String(micros) })
}
/** Whole days and the rest, both of one sign, as PostgreSQL subtracts. */
export function differenceOf(a: number, b: number): Interval {
  const micros = a - b
  if (!Number.isFinite(micros)) throw new Fault('value.out-of-range', { type: 'interval', value: String(micros) })
  const days = Math.trunc(micros / dayMicros)
  return { months: 0, days: days + 0, micros: micros - days * dayMicros + 0 }
}

/** Years, months and days between two instants, each below the next. */
export function age(a: number, b: number): Interval {
  if (a < b) return negated(age(b, a))
  const from = partsOf(b)
  const to = partsOf(a)
  let months = (to.year - from.year) * 12 + to.month - from.month
  let days = to.day - from.day
  let micros = a - to.days * dayMicros - (b - from.days * dayMicros)
  if (micros < 0) {
    micros += dayMicros
    days--
  }
  if (days < 0) {
    days += daysInMonth(from.year, from.month)
    months--
  }
  return { months, days, micros }
}
export const negated = ({ months, days, micros }: Interval): Interval => ({
  months: 0 - months,
  days: 0 - days,
  micros: 0 - micros,
})

/** Fractions of months go into days, of days into time, as PostgreSQL multiplies. */
export function scaleInterval({ months, days, micros }: Interval, factor: number): Interval {
  if (!Number.isFinite(factor)) throw new Fault('value.out-of-range', { type: 'interval', value: String(factor) })
  const exactMonths = months * factor
  const wholeMonths = Math.trunc(exactMonths)
  const monthDays = round6((exactMonths - wholeMonths) * 30)
  const exactDays = days * factor
  const wholeDays = Math.trunc(exactDays) + Math.trunc(monthDays)
  const restMicros = round6((exactDays - Math.trunc(exactDays) + (monthDays - Math.trunc(monthDays))) * 86_400) * second
  const total = micros * factor + restMicros
  return { months: wholeMonths + 0, days: wholeDays + 0, micros: Math.round(total) + 0 }
}
const round6 = (value: number): number => Number(value.toFixed(6))

/** The last start of a step, counted from the origin, at or before the instant. */
export function bin({ months, days, micros }: Interval, at: number, origin: number): number {
  const step = days * dayMicros + micros
  if (months !== 0)
    throw new Fault('value.invalid-argument', {
      what: 'timestamps cannot be binned into intervals containing months or years',
    })
  if (step <= 0) throw new Fault('value.invalid-argument', { what: 'stride must be greater than zero' })
  return Math.floor((at - origin) / step) * step + origin
}
export const addIntervals = (a: Interval, b: Interval, sign: 1 | -1): Interval => ({
  months: a.months + sign * b.months + 0,
  days: a.days + sign * b.days + 0,
  micros: a.micros + sign * b.micros + 0,
})

/** `1 year 2 mons -3 days 04:05:06.7`: PostgreSQL's text of an interval. */
export function intervalText({ months, days, micros }: Interval): string {
  const words: string[] = []
  let lastNegative = false
  const word = (value: number, name: string): void => {
    if (value === 0) return
    words.push(`${lastNegative && value > 0 ? '+' : ''}${value} ${name}${value === 1 ? '' : 's'}`)
    lastNegative = value < 0
  }
  word(Math.trunc(months / 12), 'year')
  word(months % 12, 'mon')
  word(days, 'day')
  if (micros !== 0 || words.length === 0) {
    const sign = micros < 0 ? '-' : lastNegative ? '+' : ''
    words.push(sign + clock(Math.abs(micros)))
  }
  return words.join(' ')
}
function clock(micros: number): string {
  const two = (n: number): string => String(n).padStart(2, '0')
  const fraction = micros % second
  const text = `${two(Math.floor(micros / hour))}:${two(Math.floor(micros / minute) % 60)}:${two(Math.floor(micros / second) % 60)}`
  return fraction === 0 ? text : `${text}.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`
}
