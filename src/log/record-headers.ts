/** Headers by which a record says when it is over and when it is to be delivered. */
import type { LogRecord } from './batch.ts'

export const ttlHeader = 'mr-ttl'
export const deliverAtHeader = 'mr-deliver-at'
export const deliverAfterHeader = 'mr-deliver-after'

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
/** As far as dates go: what is longer is a mistake, and would never end. */
const daysMsMax = 100_000_000 * unitMs['d']!
/** `30s`, `1500ms`, or a plain number of milliseconds; null when it is none of these. */
export function durationOf(text: string): number | null {
  const [, digits, unit = 'ms'] = /^(\d{1,13})(ms|s|m|h|d)?$/.exec(text.trim()) ?? []
  const ms = digits === undefined ? Infinity : Number(digits) * unitMs[unit]!
  return ms <= daysMsMax ? ms : null
}
const isoTime = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?$/
/** ISO 8601 (UTC where it names no zone), or milliseconds since 1970. */
export function timeOf(text: string): number | null {
  const trimmed = text.trim()
  if (/^\d{1,15}$/.test(trimmed)) return Number(trimmed)
  const [, , , zone] = isoTime.exec(trimmed) ?? []
  if (!isoTime.test(trimmed)) return null
  const ms = Date.parse(`${trimmed.replace(' ', 'T')}${zone === undefined ? 'Z' : ''}`)
  return Number.isNaN(ms) ? null : ms
}

type Headed = Pick<LogRecord, 'headers' | 'timeMs'>
/** The last of this name, as Kafka's clients have it. */
function textOf({ headers }: Headed, header: string): string | null {
  const found = headers.findLast(([name]) => name === header)
  return found === undefined ? null : Buffer.from(found[1] ?? []).toString()
}
/** When its time is over; Infinity for a record that lives as long as its topic keeps it. */
export function expiryMs(record: Headed): number {
  const text = textOf(record, ttlHeader)
  const ttl = text === null ? null : durationOf(text)
  return ttl === null ? Infinity : record.timeMs + ttl
}
/** When it is to be delivered; a time that has passed, or none that can be understood, is now. */
export function deliveryMs(record: Headed): number {
  const at = textOf(record, deliverAtHeader)
  const after = textOf(record, deliverAfterHeader)
  const waitMs = after === null ? null : durationOf(after)
  return (at === null ? null : timeOf(at)) ?? (waitMs === null ? -Infinity : record.timeMs + waitMs)
}

/** Those that a topic gives a meaning, by what is set on it. */
export function meaningfulHeaders(config: Readonly<Record<string, string>>): readonly string[] {
  const hasTtl = config['record.ttl.enable']?.trim().toLowerCase() === 'true'
  const delivers = (config['deliver.to'] ?? '').trim() !== ''
  if (!hasTtl && !delivers) return none
  return [...(hasTtl ? [ttlHeader] : []), ...(delivers ? [deliverAtHeader, deliverAfterHeader] : [])]
}
const none: readonly string[] = []

/** What is wrong with one of these headers; null = nothing. `keptMs`: for so long after their time its topic keeps records. */
export function oddHeader(record: Headed, names: readonly string[], keptMs = Infinity): string | null {
  for (const name of names) {
    const text = textOf(record, name)
    if (text === null) continue
    const isTime = name === deliverAtHeader
    if ((isTime ? timeOf(text) : durationOf(text)) !== null) continue
    const wanted = isTime ? 'a time such as 2026-01-31T10:00:00Z' : 'a duration such as 30s'
    return `the header ${name} is ${JSON.stringify(text.slice(0, 32))}, not ${wanted} or a number of milliseconds`
  }
  if (!names.includes(deliverAtHeader)) return null
  const waitMs = deliveryMs(record) - record.timeMs
  return waitMs > keptMs
    ? `it is to be delivered ${waitMs} ms after its time, and its topic keeps records for ${keptMs} ms (retention.ms)`
    : null
}
