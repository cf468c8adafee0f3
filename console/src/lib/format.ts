/** Numbers, sizes and times as people read them. Times are UTC, as in SQL. */
const grouped = new Intl.NumberFormat('en-US')

/** 12,345 */
export function count(n: number): string {
  return grouped.format(Math.round(n))
}

/** 999, 1.2k, 45k, 3.4M: at most four characters and a letter. */
export function compact(n: number): string {
  const abs = Math.abs(n)
  if (abs < 1000) return abs < 10 && !Number.isInteger(n) ? n.toFixed(1) : String(Math.round(n))
  const units = ['k', 'M', 'G', 'T', 'P']
  let scaled = n
  let unit = -1
  while (Math.abs(scaled) >= 999.5 && unit < units.length - 1) {
    scaled /= 1000
    unit++
  }
  return `${Math.abs(scaled) < 9.95 ? scaled.toFixed(1) : Math.round(scaled)}${units[unit]}`
}

/** 0 B, 1.2 kB, 45 MB */
export function bytes(n: number): string {
  if (Math.abs(n) < 1000) return `${Math.round(n)} B`
  const text = compact(n)
  return `${text.slice(0, -1)} ${text.slice(-1)}B`
}

/** 320 ms, 4.2 s, 3 m 12 s, 2 h 5 m, 3 d 4 h */
export function duration(ms: number): string {
  const abs = Math.abs(ms)
  const sign = ms < 0 ? '−' : ''
  if (abs < 1000) return `${sign}${Math.round(abs)} ms`
  if (abs < 10_000) return `${sign}${(abs / 1000).toFixed(1)} s`
  const seconds = Math.round(abs / 1000)
  if (seconds < 60) return `${sign}${seconds} s`
  const steps: [number, string, number, string][] = [
    [60, 'm', 1, 's'],
    [3600, 'h', 60, 'm'],
    [86_400, 'd', 3600, 'h'],
  ]
  const [big, bigName, small, smallName] = steps.findLast(([size]) => seconds >= size)!
  const rest = Math.floor((seconds % big) / small)
  return `${sign}${Math.floor(seconds / big)} ${bigName}${rest > 0 ? ` ${rest} ${smallName}` : ''}`
}

/** 2026-01-02 03:04:05.678, from ISO 8601; what is no time stays as it is. */
export function time(iso: string): string {
  const ms = Date.parse(iso)
  return Number.isNaN(ms) ? iso : new Date(ms).toISOString().replace('T', ' ').slice(0, -1)
}

/** The same without what is zero: 1997-03-01, 1997-03-01 12:00, 1997-03-01 12:00:05 */
export function shortTime(iso: string): string {
  return time(iso)
    .replace(/\.000$/, '')
    .replace(/:00$/, '')
    .replace(/ 00:00$/, '')
}

/** now, 12 s ago, 3 m ago, 2 d ago */
export function ago(iso: string, nowMs: number): string {
  const ms = nowMs - Date.parse(iso)
  if (Number.isNaN(ms)) return ''
  if (ms < 1500) return 'now'
  const seconds = Math.floor(ms / 1000)
  const [size, unit] = (
    [
      [86_400, 'd'],
      [3600, 'h'],
      [60, 'm'],
    ] as const
  ).find(([least]) => seconds >= least) ?? [1, 's']
  return `${Math.floor(seconds / size)} ${unit} ago`
}

/** What somebody types for a time, as ISO 8601 UTC: epoch ms, a date, a date and time with or without T, zone or digits. */
export function readTime(text: string): string | null {
  const trimmed = text.trim()
  if (/^\d{11,}$/.test(trimmed)) return safeIso(Number(trimmed))
  const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?))?\s*(Z|[+-]\d\d:?\d\d)?$/i.exec(trimmed)
  if (match === null) return null
  const zone = match[3] === undefined ? 'Z' : match[3].replace(/^([+-]\d\d)(\d\d)$/, '$1:$2').toUpperCase()
  return safeIso(Date.parse(`${match[1]}T${match[2] ?? '00:00'}${zone}`))
}

function safeIso(ms: number): string | null {
  return Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString() : null
}
