/** Messages of google.protobuf that others use, with their forms in JSON. */
import { int32, int64, list, message, string, type Message } from './message.ts'

export interface Seconds {
  readonly seconds: number
  readonly nanos: number
}
const fields = { seconds: int64(1), nanos: int32(2) }
const fraction = (nanos: number): string => {
  if (nanos === 0) return ''
  const digits = String(nanos).padStart(9, '0')
  return `.${digits.endsWith('000000') ? digits.slice(0, 3) : digits.endsWith('000') ? digits.slice(0, 6) : digits}`
}
const nanosOf = (digits: string | undefined): number => Number((digits ?? '').padEnd(9, '0'))

export const timestamp: Message<Seconds> = message('google.protobuf.Timestamp', fields, {
  to(value) {
    const { seconds, nanos } = value as Seconds
    const date = new Date(seconds * 1000)
    return Number.isNaN(date.getTime()) ? null : `${date.toISOString().slice(0, 19)}${fraction(nanos)}Z`
  },
  from(json) {
    const found = typeof json === 'string' ? timeForm.exec(json) : null
    const ms = found === null ? NaN : Date.parse(`${found[1]}${found[3]!.toUpperCase()}`)
    if (Number.isNaN(ms)) throw new TypeError(`${JSON.stringify(json)} is no time such as 2026-01-31T10:00:00Z`)
    return { seconds: Math.floor(ms / 1000), nanos: nanosOf(found![2]) }
  },
})
const timeForm = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/

export const duration: Message<Seconds> = message('google.protobuf.Duration', fields, {
  to(value) {
    const { seconds, nanos } = value as Seconds
    const sign = seconds < 0 || nanos < 0 ? '-' : ''
    return `${sign}${Math.abs(seconds)}${fraction(Math.abs(nanos))}s`
  },
  from(json) {
    const found = typeof json === 'string' ? /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/.exec(json) : null
    if (found === null) throw new TypeError(`${JSON.stringify(json)} is no duration such as 600s`)
    const sign = found[1] === '-' ? -1 : 1
    return { seconds: sign * Number(found[2]), nanos: sign * nanosOf(found[3]) }
  },
})
export const fieldMask = message(
  'google.protobuf.FieldMask',
  { paths: list(string(1)) },
  {
    to: (value) => (value as { paths: readonly string[] }).paths.join(','),
    from(json) {
      if (typeof json !== 'string') throw new TypeError('a field mask is a text such as "labels,ackDeadlineSeconds"')
      const snake = (path: string): string => path.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
      return { paths: json === '' ? [] : json.split(',').map((path) => snake(path.trim())) }
    },
  },
)
export const empty = message('google.protobuf.Empty', {})

export const secondsOf = (ms: number): Seconds => {
  const seconds = Math.floor(ms / 1000)
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) }
}
export const msOf = ({ seconds, nanos }: Seconds): number => seconds * 1000 + nanos / 1e6
