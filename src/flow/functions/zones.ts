/** Time zones by name, from the tables that the JavaScript engine carries. */
import { Fault } from '../../lib/fault.ts'
import { checkInstant } from '../time-text.ts'

const formats = new Map<string, Intl.DateTimeFormat>()
const formatsMax = 600

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone)
  if (known !== undefined) return known
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'iso8601',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
      era: 'short',
    })
  } catch {
    throw new Fault('value.invalid-argument', { what: `time zone "${zone}" not recognized` })
  }
  if (formats.size < formatsMax) formats.set(zone, format)
  return format
}

/** A day is left for the zone. */
const dateMsMax = 8.64e15 - 86_400_000
const fixed = /^(?:[a-z]{3,})?([+-])?(\d{1,2})(?::?(\d{2}))?$/i

/** µs to add to UTC for the clock on the wall there and then. */
export function zoneOffset(zone: string, utcMicros: number): number {
  const name = zone.trim()
  if (/^(?:utc|gmt|z|zulu|etc\/utc)$/i.test(name)) return 0
  const match = fixed.exec(name)
  if (match !== null) {
    // POSIX, as PostgreSQL reads such names: positive is west of Greenwich.
    const minutes = Number(match[2]) * 60 + Number(match[3] ?? 0)
    return (match[1] === '-' ? minutes : -minutes) * 60_000_000 + 0
  }
  if (!Number.isFinite(utcMicros)) return 0
  // Beyond what a Date can be the clocks are those of its end.
  const ms = Math.max(-dateMsMax, Math.min(dateMsMax, Math.floor(utcMicros / 1000)))
  const wall = new Map(
    formatOf(name)
      .formatToParts(new Date(ms))
      .map((part) => [part.type, part.value]),
  )
  const number = (type: Intl.DateTimeFormatPartTypes): number => Number(wall.get(type))
  const year = wall.get('era')?.startsWith('B') === true ? 1 - number('year') : number('year')
  const date = new Date(0)
  date.setUTCFullYear(year, number('month') - 1, number('day'))
  date.setUTCHours(number('hour'), number('minute'), number('second'))
  return (date.getTime() - Math.floor(ms / 1000) * 1000) * 1000
}
/** What the clock on the wall shows at an instant. */
export const toWall = (zone: string, utcMicros: number): number => checkInstant(utcMicros + zoneOffset(zone, utcMicros))
/** The instant at which the clock on the wall shows it; of two the first, in a gap the clock before it. */
export function fromWall(zone: string, wallMicros: number): number {
  const day = 86_400_000_000
  const before = zoneOffset(zone, wallMicros - day)
  const after = zoneOffset(zone, wallMicros + day)
  if (before === after) return wallMicros - before
  const early = wallMicros - before
  return zoneOffset(zone, early) === before
    ? early
    : zoneOffset(zone, wallMicros - after) === after
      ? wallMicros - after
      : early
}
