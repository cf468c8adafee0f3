/**
 * to_char, to_timestamp and to_date: the patterns of PostgreSQL that people use (YYYY YY MM MON Mon mon MONTH Month month DD
 * DDD D ID DAY Day day DY Dy dy WW IW IYYY Q HH24 HH12 HH MI SS MS US SSSS AM PM am pm A.M. P.M. TZ OF J CC BC, FM, quoted
 * text). What is none of them stands for itself.
 */
import { Fault } from '../../lib/fault.ts'
import type { Interval } from '../memory.ts'
import { checkInstant, dateMin, dateMax, daysFromCivil, daysInMonth } from '../time-text.ts'
import { dayMicros, dayOfYear, isoWeek, isoWeekday, type Parts, partsOf } from './time-parts.ts'

const months = 'January February March April May June July August September October November December'.split(' ')
const weekdays = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ')

interface Piece {
  /** A pattern, or text between patterns. */
  readonly kind: 'pattern' | 'text'
  readonly text: string
  /** FM: without padding. */
  readonly fill: boolean
  /** TH or th behind it. */
  readonly ordinal: '' | 'TH' | 'th'
}
const patterns =
  'SSSSS SSSS HH24 HH12 HH MI SS MS US FF1 FF2 FF3 FF4 FF5 FF6 A.M. P.M. a.m. p.m. AM PM am pm Y,YYY YYYY YYY YY Y IYYY IYY IY I B.C. A.D. b.c. a.d. BC AD bc ad MONTH Month month MON Mon mon MM DAY Day day DY Dy dy DDD IDDD DD ID D WW IW W CC J Q RM rm TZH TZM TZ tz OF'
    .split(' ')
    .toSorted((a, b) => b.length - a.length)
const cache = new Map<string, readonly Piece[]>()
const cacheMax = 200
/** What instants of one second look like in a format that shows no part of it; the newest second of each. */
const shownLast = new Map<string, { second: number; text: string }>()
const fractions = /MS|US|FF/i

function piecesOf(format: string): readonly Piece[] {
  const known = cache.get(format)
  if (known !== undefined) return known
  const pieces: Piece[] = []
  let at = 0
  let fill = true
  while (at < format.length) {
    const rest = format.slice(at, at + 8)
    if (/^fm/i.test(rest)) {
      fill = false
      at += 2
    } else if (/^tm/i.test(rest)) at += 2
    else if (format[at] === '"') {
      const end = format.indexOf('"', at + 1)
      pieces.push({ kind: 'text', text: format.slice(at + 1, end < 0 ? format.length : end), fill, ordinal: '' })
      at = end < 0 ? format.length : end + 1
    } else at = takePiece(format, at, rest, fill, pieces, () => (fill = true))
  }
  if (cache.size < cacheMax) cache.set(format, pieces)
  return pieces
}
function takePiece(format: string, at: number, rest: string, fill: boolean, into: Piece[], used: () => void): number {
  const found =
    patterns.find((pattern) => rest.startsWith(pattern)) ??
    patterns.find((pattern) => rest.toUpperCase().startsWith(pattern))
  if (found === undefined) {
    const text = String.fromCodePoint(format.codePointAt(at)!)
    into.push({ kind: 'text', text, fill, ordinal: '' })
    return at + text.length
  }
  const end = at + found.length
  const suffix = format.slice(end, end + 2)
  const ordinal = suffix === 'TH' || suffix === 'th' ? suffix : ''
  into.push({ kind: 'pattern', text: found, fill, ordinal })
  used()
  return end + ordinal.length
}

export function formatInstant(micros: number, format: string): string {
  if (!Number.isFinite(micros)) return micros > 0 ? 'infinity' : '-infinity'
  const second = Math.floor(micros / 1_000_000)
  const last = shownLast.get(format)
  if (last?.second === second) return last.text
  const text = shownInstant(micros, format)
  if (last !== undefined) {
    last.second = second
    last.text = text
  } else if (shownLast.size < cacheMax && !fractions.test(format)) shownLast.set(format, { second, text })
  return text
}
function shownInstant(micros: number, format: string): string {
  const parts = partsOf(micros)
  return piecesOf(format)
    .map((piece) => (piece.kind === 'text' ? piece.text : shown(piece, parts)))
    .join('')
}
export function formatInterval({ months: count, days, micros }: Interval, format: string): string {
  const sign = micros < 0 ? -1 : 1
  const abs = Math.abs(micros)
  const parts: Parts = {
    year: Math.trunc(count / 12),
    month: count % 12,
    day: days,
    days: 0,
    hour: sign * Math.floor(abs / 3_600_000_000),
    minute: Math.floor(abs / 60_000_000) % 60,
    secondMicros: abs % 60_000_000,
  }
  return piecesOf(format)
    .map((piece) => (piece.kind === 'text' ? piece.text : shown(piece, parts)))
    .join('')
}

function shown(piece: Piece, parts: Parts): string {
  const text = patternText(piece, parts)
  if (piece.ordinal === '' || !/\d$/.test(text)) return text
  const suffix = ordinalSuffix(Number(text))
  return text + (piece.ordinal === 'TH' ? suffix.toUpperCase() : suffix)
}
function ordinalSuffix(n: number): string {
  const tens = Math.abs(n) % 100
  if (tens >= 11 && tens <= 13) return 'th'
  return ['th', 'st', 'nd', 'rd'][tens % 10] ?? 'th'
}
function patternText({ text, fill }: Piece, p: Parts): string {
  const digits = (value: number, width: number): string =>
    fill ? (value < 0 ? '-' : '') + String(Math.abs(value)).padStart(width, '0') : String(value)
  const name = (value: string, width: number): string => {
    const cased =
      text === text.toUpperCase() ? value.toUpperCase() : text === text.toLowerCase() ? value.toLowerCase() : value
    return fill ? cased.padEnd(width) : cased
  }
  const hour12 = p.hour % 12 === 0 ? 12 : p.hour % 12
  const year = p.year > 0 ? p.year : 1 - p.year
  const fraction = p.secondMicros % 1_000_000
  switch (text) {
    case 'HH24':
      return digits(p.hour, 2)
    case 'HH12':
    case 'HH':
      return digits(hour12, 2)
    case 'MI':
      return digits(p.minute, 2)
    case 'SS':
      return digits(Math.floor(p.secondMicros / 1_000_000), 2)
    case 'MS':
      return digits(Math.floor(fraction / 1000), 3)
    case 'US':
      return digits(fraction, 6)
    case 'FF1':
    case 'FF2':
    case 'FF3':
    case 'FF4':
    case 'FF5':
    case 'FF6':
      return String(fraction).padStart(6, '0').slice(0, Number(text[2]))
    case 'SSSS':
    case 'SSSSS':
      return String(p.hour * 3600 + p.minute * 60 + Math.floor(p.secondMicros / 1_000_000))
    case 'AM':
    case 'PM':
      return p.hour < 12 ? 'AM' : 'PM'
    case 'am':
    case 'pm':
      return p.hour < 12 ? 'am' : 'pm'
    case 'A.M.':
    case 'P.M.':
      return p.hour < 12 ? 'A.M.' : 'P.M.'
    case 'a.m.':
    case 'p.m.':
      return p.hour < 12 ? 'a.m.' : 'p.m.'
    case 'Y,YYY':
      return `${Math.floor(year / 1000)},${String(year % 1000).padStart(3, '0')}`
    case 'YYYY':
      return digits(year, 4)
    case 'YYY':
      return digits(year % 1000, 3)
    case 'YY':
      return digits(year % 100, 2)
    case 'Y':
      return String(year % 10)
    case 'IYYY':
      return digits(isoWeek(p.days).year, 4)
    case 'IYY':
      return digits(isoWeek(p.days).year % 1000, 3)
    case 'IY':
      return digits(isoWeek(p.days).year % 100, 2)
    case 'I':
      return String(isoWeek(p.days).year % 10)
    case 'BC':
    case 'AD':
      return p.year > 0 ? 'AD' : 'BC'
    case 'bc':
    case 'ad':
      return p.year > 0 ? 'ad' : 'bc'
    case 'B.C.':
    case 'A.D.':
      return p.year > 0 ? 'A.D.' : 'B.C.'
    case 'b.c.':
    case 'a.d.':
      return p.year > 0 ? 'a.d.' : 'b.c.'
    case 'MONTH':
    case 'Month':
    case 'month':
      return name(months[p.month - 1] ?? '', 9)
    case 'MON':
    case 'Mon':
    case 'mon':
      return name((months[p.month - 1] ?? '').slice(0, 3), 3)
    case 'MM':
      return digits(p.month, 2)
    case 'RM':
    case 'rm':
      return name('I II III IV V VI VII VIII IX X XI XII'.split(' ')[p.month - 1] ?? '', 4)
    case 'DAY':
    case 'Day':
    case 'day':
      return name(weekdays[isoWeekday(p.days) % 7]!, 9)
    case 'DY':
    case 'Dy':
    case 'dy':
      return name(weekdays[isoWeekday(p.days) % 7]!.slice(0, 3), 3)
    case 'DDD':
      return digits(dayOfYear(p), 3)
    case 'IDDD':
      return digits((isoWeek(p.days).week - 1) * 7 + isoWeekday(p.days), 3)
    case 'DD':
      return digits(p.day, 2)
    case 'D':
      return String((isoWeekday(p.days) % 7) + 1)
    case 'ID':
      return String(isoWeekday(p.days))
    case 'W':
      return String(Math.floor((p.day - 1) / 7) + 1)
    case 'WW':
      return digits(Math.floor((dayOfYear(p) - 1) / 7) + 1, 2)
    case 'IW':
      return digits(isoWeek(p.days).week, 2)
    case 'CC':
      return digits(Math.ceil(year / 100), 2)
    case 'J':
      return String(p.days + 2_440_588)
    case 'Q':
      return String(Math.floor((p.month - 1) / 3) + 1)
    case 'TZ':
      return 'UTC'
    case 'tz':
      return 'utc'
    case 'TZH':
      return '+00'
    case 'TZM':
      return '00'
    case 'OF':
      return '+00'
    default:
      return ''
  }
}

interface Read {
  year: number
  month: number
  day: number
  dayOfYear: number | null
  hour: number
  minute: number
  second: number
  micros: number
  afternoon: boolean | null
  twelve: boolean
  beforeChrist: boolean
  zoneMinutes: number
}
const widths: Readonly<Record<string, number>> = {
  YYYY: 4,
  YYY: 3,
  YY: 2,
  Y: 1,
  MM: 2,
  DD: 2,
  DDD: 3,
  HH24: 2,
  HH12: 2,
  HH: 2,
  MI: 2,
  SS: 2,
  MS: 3,
  US: 6,
  TZH: 2,
  TZM: 2,
  J: 7,
  SSSS: 5,
  SSSSS: 5,
}

function readBy(text: string, format: string): Read {
  const read: Read = {
    year: 1,
    month: 1,
    day: 1,
    dayOfYear: null,
    hour: 0,
    minute: 0,
    second: 0,
    micros: 0,
    afternoon: null,
    twelve: false,
    beforeChrist: false,
    zoneMinutes: 0,
  }
  const pieces = piecesOf(format)
  let at = /^\s*/.exec(text)![0].length
  for (const [i, piece] of pieces.entries()) {
    if (piece.kind === 'text') {
      // Any separator stands for any other; blanks are free.
      if (/^\s+$/.test(piece.text)) at += /^\s*/.exec(text.slice(at))![0].length
      else if (/^[^A-Za-z0-9]$/.test(piece.text)) at += /^\s*[^A-Za-z0-9\s]?\s*/.exec(text.slice(at))![0].length
      else at += piece.text.length
    } else at += readPiece(text.slice(at), piece, read, pieces[i + 1], text)
  }
  return read
}
function readPiece(rest: string, { text: pattern }: Piece, read: Read, next: Piece | undefined, whole: string): number {
  const word = readWord(rest, pattern, read)
  if (word !== null) return word
  const width = widths[pattern]
  if (width === undefined)
    throw new Fault('value.invalid-argument', { what: `${pattern} cannot be read by to_timestamp and to_date` })
  // Digits run on where no other number follows at once.
  const most = pattern === 'YYYY' && next?.kind !== 'pattern' ? 6 : width
  const match = new RegExp(`^\\s*([+-]?\\d{1,${most}})`).exec(rest)
  if (match === null) throw new Fault('value.invalid-time', { type: pattern, text: whole.slice(0, 80) })
  setNumber(read, pattern, Number(match[1]), match[1]!.length)
  return match[0].length
}
function setNumber(read: Read, pattern: string, value: number, digits: number): void {
  switch (pattern) {
    case 'YYYY':
      read.year = value
      return
    case 'YYY':
    case 'YY':
    case 'Y':
      read.year = value < 70 ? 2000 + value : value < 100 ? 1900 + value : value < 520 ? 2000 + value : 1000 + value
      return
    case 'MM':
      read.month = value
      return
    case 'DD':
      read.day = value
      return
    case 'DDD':
      read.dayOfYear = value
      return
    case 'HH24':
      read.hour = value
      return
    case 'HH12':
    case 'HH':
      read.hour = value
      read.twelve = true
      return
    case 'MI':
      read.minute = value
      return
    case 'SS':
      read.second = value
      return
    case 'MS':
      read.micros += value * 10 ** (6 - digits)
      return
    case 'US':
      read.micros += value * 10 ** (6 - digits)
      return
    case 'TZH':
      read.zoneMinutes += value * 60
      return
    case 'TZM':
      read.zoneMinutes += value
      return
    default:
      throw new Fault('value.invalid-argument', { what: `${pattern} cannot be read by to_timestamp and to_date` })
  }
}
function readWord(rest: string, pattern: string, read: Read): number | null {
  const upper = pattern.toUpperCase()
  const lower = rest.toLowerCase()
  const find = (names: readonly string[], short: boolean): number =>
    names.findIndex((name) => lower.startsWith((short ? name.slice(0, 3) : name).toLowerCase()))
  if (upper === 'MONTH' || upper === 'MON') {
    const short = upper === 'MON'
    const found = find(months, short)
    if (found < 0) throw new Fault('value.invalid-time', { type: 'month', text: rest.slice(0, 20) })
    read.month = found + 1
    return short ? 3 : months[found]!.length
  }
  if (upper === 'DAY' || upper === 'DY') {
    const found = find(weekdays, upper === 'DY')
    return found < 0 ? 0 : upper === 'DY' ? 3 : weekdays[found]!.length
  }
  const half = /^(?:AM|PM|A\.M\.|P\.M\.)$/.test(upper) ? /^(a|p)\.?m\.?/i.exec(rest) : null
  if (half !== null) {
    read.afternoon = half[1]!.toLowerCase() === 'p'
    read.twelve = true
    return half[0].length
  }
  const era = /^(?:BC|AD|B\.C\.|A\.D\.)$/.test(upper) ? /^(?:b\.?c\.?|a\.?d\.?)/i.exec(rest) : null
  if (era === null) return null
  read.beforeChrist = era[0][0]!.toLowerCase() === 'b'
  return era[0].length
}
function daysOf(read: Read, text: string): number {
  const days = calendarDaysOf(read, text)
  if (days >= dateMin && days <= dateMax) return days
  throw new Fault('value.out-of-range', { type: 'date', value: text.slice(0, 80) })
}
function calendarDaysOf(read: Read, text: string): number {
  const year = read.beforeChrist ? 1 - read.year : read.year
  if (read.dayOfYear !== null) return daysFromCivil(year, 1, 1) + read.dayOfYear - 1
  if (read.month < 1 || read.month > 12 || read.day < 1 || read.day > daysInMonth(year, read.month)) {
    throw new Fault('value.out-of-range', { type: 'date', value: text.slice(0, 80) })
  }
  return daysFromCivil(year, read.month, read.day)
}
export const parseDateBy = (text: string, format: string): number => daysOf(readBy(text, format), text)
export function parseInstantBy(text: string, format: string): number {
  const read = readBy(text, format)
  const hour = read.twelve ? (read.hour % 12) + (read.afternoon === true ? 12 : 0) : read.hour
  if (hour > 24 || read.minute > 59 || read.second > 60 || (read.twelve && (read.hour < 1 || read.hour > 12))) {
    throw new Fault('value.out-of-range', { type: 'timestamp', value: text.slice(0, 80) })
  }
  const clock = ((hour * 60 + read.minute - read.zoneMinutes) * 60 + read.second) * 1e6 + read.micros
  return checkInstant(daysOf(read, text) * dayMicros + clock)
}
