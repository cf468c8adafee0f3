/** Dates, times and intervals: arithmetic, fields, truncation, zones. The session's zone is UTC. */
import { Fault } from '../../lib/fault.ts'
import type { Decimal } from '../decimal.ts'
import { isExact, type Interval } from '../memory.ts'
import { checkInstant, daysFromCivil, daysInMonth, dateMin, dateMax } from '../time-text.ts'
import { checkInt } from './helpers.ts'
import { parseInterval } from './interval-text.ts'
import { chosen, row, twin, type } from './rows.ts'
import type { CallSite, FunctionRow, Kind } from './table.ts'
import { formatInstant, formatInterval, parseDateBy, parseInstantBy } from './time-format.ts'
import * as parts from './time-parts.ts'
import { fromWall, toWall } from './zones.ts'

const { dayMicros } = parts
const instants = ['timestamp', 'timestamptz'] as const satisfies readonly Kind[]

function toInterval(text: string): Interval {
  const parsed = parseInterval(text)
  if (parsed === null) throw new Fault('value.invalid-time', { type: 'interval', text: text.slice(0, 80) })
  return parsed
}
const timeOfDay = (micros: number): number => micros - Math.floor(micros / dayMicros) * dayMicros
function plusDays(days: number, n: number): number {
  const sum = days + n
  if (Number.isFinite(days) && (sum < dateMin || sum > dateMax)) throw outOfRange('date', `${sum} days since 1970`)
  return sum
}

const arithmetic: FunctionRow[] = [
  ...instants.flatMap((kind) => [
    row(
      '+',
      [kind, 'interval'],
      type[kind],
      (at: number, i: Interval) => parts.addInterval(at, i, 1),
      'Later by an interval',
    ),
    row(
      '+',
      ['interval', kind],
      type[kind],
      (i: Interval, at: number) => parts.addInterval(at, i, 1),
      'Later by an interval',
    ),
    row(
      '-',
      [kind, 'interval'],
      type[kind],
      (at: number, i: Interval) => parts.addInterval(at, i, -1),
      'Earlier by an interval',
    ),
    row('-', [kind, kind], type.interval, parts.differenceOf, 'Days and time between'),
  ]),
  row('+', ['date', 'int'], type.date, plusDays, 'So many days later'),
  row('+', ['int', 'date'], type.date, (n: number, days: number) => plusDays(days, n), 'So many days later'),
  row('-', ['date', 'int'], type.date, (days: number, n: number) => plusDays(days, -n), 'So many days earlier'),
  twin('-', ['date', 'date'], type.int, (a: number, b: number) => checkInt(a - b), '$1 - $2', 'Days between'),
  row(
    '+',
    ['date', 'interval'],
    type.timestamp,
    (days: number, i: Interval) => parts.addInterval(days * dayMicros, i, 1),
    'Later by an interval',
  ),
  row(
    '+',
    ['interval', 'date'],
    type.timestamp,
    (i: Interval, days: number) => parts.addInterval(days * dayMicros, i, 1),
    'Later by an interval',
  ),
  row(
    '-',
    ['date', 'interval'],
    type.timestamp,
    (days: number, i: Interval) => parts.addInterval(days * dayMicros, i, -1),
    'Earlier by an interval',
  ),
  twin(
    '+',
    ['date', 'time'],
    type.timestamp,
    (days: number, at: number) => checkInstant(days * dayMicros + at),
    '$1 + $2',
    'That time of that day',
  ),
  row(
    '+',
    ['time', 'interval'],
    type.time,
    (at: number, i: Interval) => timeOfDay(at + i.micros),
    'Later, around the clock',
  ),
  row(
    '-',
    ['time', 'interval'],
    type.time,
    (at: number, i: Interval) => timeOfDay(at - i.micros),
    'Earlier, around the clock',
  ),
  row(
    '-',
    ['time', 'time'],
    type.interval,
    (a: number, b: number) => ({ months: 0, days: 0, micros: a - b }),
    'Time between',
  ),
  row('+', ['interval', 'interval'], type.interval, (a: Interval, b: Interval) => parts.addIntervals(a, b, 1), 'Sum'),
  row(
    '-',
    ['interval', 'interval'],
    type.interval,
    (a: Interval, b: Interval) => parts.addIntervals(a, b, -1),
    'Difference',
  ),
  row('*', ['interval', 'double'], type.interval, parts.scaleInterval, 'So many times'),
  row(
    '*',
    ['double', 'interval'],
    type.interval,
    (n: number, i: Interval) => parts.scaleInterval(i, n),
    'So many times',
  ),
  row('/', ['interval', 'double'], type.interval, divide, 'The n-th part'),
  row('neg', ['interval'], type.interval, parts.negated, 'The other direction'),
]
function divide(interval: Interval, by: number): Interval {
  if (by === 0) throw new Fault('value.division-by-zero', {})
  return parts.scaleInterval(interval, 1 / by)
}

/** Cheap where the field is a literal: its name is looked up once. */
const fieldName = (c: CallSite): string => {
  const literal = c.literal(0)
  return literal === null || typeof literal.value !== 'string'
    ? `${c.use(parts.fieldOf)}(${c.args[0]})`
    : JSON.stringify(parts.fieldOf(literal.value))
}
const toDecimal = ({ value, scale }: parts.FieldValue): Decimal => ({ digits: BigInt(value), scale })
const toDouble = ({ value, scale }: parts.FieldValue): number => value / 10 ** scale
const dateFields = new Set([
  'hour',
  'minute',
  'second',
  'milliseconds',
  'microseconds',
  'timezone',
  'timezone_hour',
  'timezone_minute',
])
function extractDate(field: string, days: number): parts.FieldValue {
  if (dateFields.has(field)) throw parts.unknownField(field, ' for type date')
  return parts.extractInstant(field, days * dayMicros)
}
function extractTimestamp(field: string, micros: number): parts.FieldValue {
  if (field.startsWith('timezone')) throw parts.unknownField(field, ' for type timestamp without time zone')
  return parts.extractInstant(field, micros)
}
const extractors: readonly (readonly [Kind, (field: string, value: never) => parts.FieldValue])[] = [
  ['timestamptz', parts.extractInstant],
  ['timestamp', extractTimestamp],
  ['date', extractDate],
  ['time', parts.extractClock],
  ['interval', parts.extractInterval],
]
/** Of an infinite time no field is known. */
const ifFinite = (c: CallSite, code: string): string =>
  c.types[1]!.kind === 'interval' ? code : `(Number.isFinite(${c.args[1]}) ? ${code} : null)`
const fields: FunctionRow[] = extractors.flatMap(([kind, read]): FunctionRow[] =>
  (['extract', 'date_part'] as const).map((name) => ({
    name,
    args: ['text', kind],
    returns: name === 'extract' ? type.numeric : type.double,
    mayBeNull: true,
    code: (c) =>
      ifFinite(c, `${c.use(name === 'extract' ? toDecimal : toDouble)}(${c.use(read)}(${fieldName(c)}, ${c.args[1]}))`),
    duckdb: null,
    why: chosen,
    about: 'A field: year, month, day, hour, minute, second, dow, doy, week, quarter, epoch …',
  })),
)

const truncations: FunctionRow[] = [
  ...instants.map((kind) => truncation(kind, parts.truncateInstant)),
  truncation('interval', parts.truncateInterval),
  row(
    'date_trunc',
    ['text', 'date'],
    type.timestamptz,
    (field: string, days: number) => parts.truncateInstant(parts.fieldOf(field), days * dayMicros),
    'The start of the field',
  ),
  row(
    'date_trunc',
    ['text', 'timestamptz', 'text'],
    type.timestamptz,
    (field: string, at: number, zone: string) =>
      fromWall(zone, parts.truncateInstant(parts.fieldOf(field), toWall(zone, at))),
    'The start of the field, in a zone',
  ),
  ...instants.map((kind) =>
    row('date_bin', ['interval', kind, kind], type[kind], parts.bin, 'The start of the step that the time lies in'),
  ),
]
function truncation(
  kind: 'timestamp' | 'timestamptz' | 'interval',
  fn: (field: string, value: never) => unknown,
): FunctionRow {
  return {
    name: 'date_trunc',
    args: ['text', kind],
    returns: type[kind],
    code: (c) => `${c.use(fn)}(${fieldName(c)}, ${c.args[1]})`,
    duckdb: null,
    why: chosen,
    about: 'The start of the field: of the hour, day, week, month …',
  }
}

function makeDate(year: number, month: number, day: number): number {
  if (year === 0 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month))
    throw outOfRange('date', `${year}-${month}-${day}`)
  return plusDays(daysFromCivil(year < 0 ? year + 1 : year, month, day), 0)
}
function makeTime(hour: number, minute: number, seconds: number): number {
  const micros = Math.round(seconds * 1e6)
  if (hour < 0 || hour > 24 || minute < 0 || minute > 59 || micros < 0 || micros > 60e6)
    throw outOfRange('time', `${hour}:${minute}:${seconds}`)
  const total = (hour * 60 + minute) * 60e6 + micros
  if (total > dayMicros) throw outOfRange('time', `${hour}:${minute}:${seconds}`)
  return total
}
const outOfRange = (what: string, value: string): Fault => new Fault('value.out-of-range', { type: what, value })
const makeTimestamp = (y: number, mo: number, d: number, h: number, mi: number, s: number): number =>
  checkInstant(makeDate(y, mo, d) * dayMicros + makeTime(h, mi, s))
function fromEpoch(seconds: number): number {
  if (seconds !== seconds) throw outOfRange('timestamptz', 'NaN')
  if (!Number.isFinite(seconds)) return seconds
  const micros = Math.round(seconds * 1e6)
  return isExact(micros) ? micros : parts.inRange(micros)
}

const others: FunctionRow[] = [
  ...instants.map((kind) => row('age', [kind, kind], type.interval, parts.age, 'Years, months and days between')),
  twin(
    'make_date',
    ['int', 'int', 'int'],
    type.date,
    makeDate,
    // Negative years are those before Christ; DuckDB counts a year 0 among them.
    'make_date(CASE WHEN $1 < 0 THEN $1 + 1 ELSE $1 END, $2, $3)',
    'A date of year, month and day',
  ),
  row('make_time', ['int', 'int', 'double'], type.time, makeTime, 'A time of hour, minute and seconds'),
  row(
    'make_timestamp',
    ['int', 'int', 'int', 'int', 'int', 'double'],
    type.timestamp,
    makeTimestamp,
    'A timestamp of its parts',
  ),
  row(
    'make_timestamptz',
    ['int', 'int', 'int', 'int', 'int', 'double'],
    type.timestamptz,
    makeTimestamp,
    'A timestamptz of its parts, UTC',
  ),
  row('to_timestamp', ['double'], type.timestamptz, fromEpoch, 'Seconds since 1970'),
  row(
    'to_timestamp',
    ['text', 'text'],
    type.timestamptz,
    parseInstantBy,
    'A text read by a pattern like YYYY-MM-DD HH24:MI:SS',
  ),
  row('to_date', ['text', 'text'], type.date, parseDateBy, 'A text read by a pattern like DD.MM.YYYY'),
  ...instants.map((kind) =>
    row('to_char', [kind, 'text'], type.text, formatInstant, 'A text by a pattern like YYYY-MM-DD HH24:MI:SS'),
  ),
  row('to_char', ['interval', 'text'], type.text, formatInterval, 'A text by a pattern like HH24:MI:SS'),
  twin('isfinite', ['date'], type.boolean, Number.isFinite, 'isfinite($1)', 'Not infinite'),
  ...instants.map((kind) => twin('isfinite', [kind], type.boolean, Number.isFinite, 'isfinite($1)', 'Not infinite')),
  row('timezone', ['text', 'timestamptz'], type.timestamp, toWall, 'AT TIME ZONE: what the clock shows there'),
  row(
    'timezone',
    ['text', 'timestamp'],
    type.timestamptz,
    fromWall,
    'AT TIME ZONE: the instant at which the clock there shows it',
  ),
  row('justify_hours', ['interval'], type.interval, justifyHours, '24 hours as a day'),
  row('justify_days', ['interval'], type.interval, justifyDays, '30 days as a month'),
  row('justify_interval', ['interval'], type.interval, justifyAll, 'Hours as days, days as months'),
]
function justifyHours({ months, days, micros }: Interval): Interval {
  const carried = Math.trunc(micros / dayMicros)
  return sameSign(months, days + carried, micros - carried * dayMicros)
}
/** Days and time of one sign, as PostgreSQL leaves them. */
function sameSign(months: number, days: number, micros: number): Interval {
  if (days > 0 && micros < 0) return { months, days: days - 1, micros: micros + dayMicros }
  if (days < 0 && micros > 0) return { months, days: days + 1, micros: micros - dayMicros }
  return { months, days: days + 0, micros: micros + 0 }
}
function justifyDays({ months, days, micros }: Interval): Interval {
  const carried = Math.trunc(days / 30)
  const total = months + carried
  const rest = days - carried * 30
  if (total > 0 && rest < 0) return { months: total - 1, days: rest + 30, micros }
  if (total < 0 && rest > 0) return { months: total + 1, days: rest - 30, micros }
  return { months: total + 0, days: rest + 0, micros }
}

/** PostgreSQL's `interval_justify_interval`: all parts get one sign. */
function justifyAll({ months, days, micros }: Interval): Interval {
  const wholeDays = Math.trunc(micros / dayMicros)
  let m = months
  let d = days + wholeDays
  let t = micros - wholeDays * dayMicros
  const wholeMonths = Math.trunc(d / 30)
  m += wholeMonths
  d -= wholeMonths * 30
  if (m > 0 && (d < 0 || (d === 0 && t < 0))) {
    d += 30
    m--
  } else if (m < 0 && (d > 0 || (d === 0 && t > 0))) {
    d -= 30
    m++
  }
  if (d > 0 && t < 0) {
    t += dayMicros
    d--
  } else if (d < 0 && t > 0) {
    t -= dayMicros
    d++
  }
  return { months: m + 0, days: d + 0, micros: t + 0 }
}

const casts: FunctionRow[] = [
  row('cast', ['text'], type.interval, toInterval, 'text as interval', { to: 'interval' }),
  row('cast', ['interval'], type.text, parts.intervalText, 'interval as text', { to: 'text' }),
  row('cast', ['time'], type.interval, (micros: number) => ({ months: 0, days: 0, micros }), 'time as interval', {
    to: 'interval',
  }),
  row('cast', ['interval'], type.time, ({ micros }: Interval) => timeOfDay(micros), 'interval as time', { to: 'time' }),
]

export const times: readonly FunctionRow[] = [...arithmetic, ...fields, ...truncations, ...others, ...casts]
