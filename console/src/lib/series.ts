/**
 * Rows of a view as lines of a chart. Either the rows carry their time in a column (windows), then each row is a point;
 * or they are standings, then the chart follows them by taking their values once a second (`History`).
 */
import type { Columns, DataType } from '../../../src/schema/types.ts'
import { ExactNumber, cellText } from './json.ts'

export interface Line {
  readonly label: string
  readonly values: readonly (number | null)[]
}
export interface ChartData {
  /** Seconds since 1970, ascending. */
  readonly x: readonly number[]
  readonly lines: readonly Line[]
  /** Lines left out because there were too many. */
  readonly omitted: number
}
export interface ChartChoice {
  /** A timestamp column, or null for the time at which values were seen. */
  readonly x: string | null
  readonly y: readonly string[]
  readonly group: string | null
}
type Row = { readonly [column: string]: unknown }
export const linesMax = 8

const numeric = new Set<DataType['kind']>(['smallint', 'int', 'bigint', 'real', 'double', 'numeric'])
const temporal = new Set<DataType['kind']>(['timestamp', 'timestamptz', 'date'])
const named = new Set<DataType['kind']>(['text', 'varchar', 'uuid', 'boolean', 'int', 'bigint', 'smallint'])

export const numericColumns = (columns: Columns): string[] =>
  columns.filter((c) => numeric.has(c.type.kind)).map((c) => c.name)
export const timeColumns = (columns: Columns): string[] =>
  columns.filter((c) => temporal.has(c.type.kind)).map((c) => c.name)
export const groupColumns = (columns: Columns): string[] =>
  columns.filter((c) => named.has(c.type.kind)).map((c) => c.name)

/** What a newcomer most likely wants to see: a measure, over the key's time, a line per key. */
export function defaultChoice(columns: Columns, key: readonly string[] | null): ChartChoice {
  const keys = new Set(key ?? [])
  const measures = numericColumns(columns).filter((name) => !keys.has(name) && !/(^|_)(id|no|nr)$/i.test(name))
  const y = measures[0] ?? numericColumns(columns).find((name) => !keys.has(name)) ?? numericColumns(columns)[0]
  const times = timeColumns(columns)
  const x = times.find((name) => name === 'window_start') ?? times.find((name) => keys.has(name)) ?? null
  const group = groupColumns(columns).find((name) => keys.has(name) && name !== y) ?? null
  return { x, y: y === undefined ? [] : [y], group }
}

export function toNumber(value: unknown): number | null {
  if (value === null || value === undefined || value === '') return null
  if (typeof value === 'boolean') return value ? 1 : 0
  const n = value instanceof ExactNumber ? Number(value.text) : Number(value)
  return Number.isFinite(n) ? n : null
}

export function toSeconds(value: unknown): number | null {
  const ms =
    typeof value === 'number'
      ? value
      : typeof value === 'string'
        ? Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(value) || value.length <= 10 ? value : `${value}Z`)
        : Number.NaN
  return Number.isFinite(ms) ? ms / 1000 : null
}

/** Lines over a timestamp column. Of two rows with one time and group the later in the list counts. */
export function overTime(rows: readonly Row[], choice: ChartChoice & { readonly x: string }): ChartData {
  const points = new Map<string, Map<number, number | null>>()
  const times = new Set<number>()
  for (const row of rows) {
    const at = toSeconds(row[choice.x])
    if (at === null) continue
    times.add(at)
    for (const [label, value] of measured(row, choice)) {
      const line = points.get(label) ?? new Map<number, number | null>()
      points.set(label, line.set(at, value))
    }
  }
  const x = [...times].sort((a, b) => a - b)
  const kept = largest(points, (line) => sumOf(line.values()))
  return {
    x,
    lines: kept.map(([label, line]) => ({ label, values: x.map((at) => line.get(at) ?? null) })),
    omitted: points.size - kept.length,
  }
}

function measured(row: Row, choice: ChartChoice): [label: string, value: number | null][] {
  const group = choice.group === null ? null : (cellText(row[choice.group]) ?? 'NULL')
  return choice.y.map((name) => {
    const label = group === null ? name : choice.y.length === 1 ? group : `${group} · ${name}`
    return [label, toNumber(row[name])]
  })
}

const sumOf = (values: Iterable<number | null>): number =>
  [...values].reduce<number>((sum, v) => sum + Math.abs(v ?? 0), 0)

function largest<T>(lines: ReadonlyMap<string, T>, weight: (line: T) => number): [string, T][] {
  const all = [...lines].map(([label, line]) => ({ label, line, weight: weight(line) }))
  const kept = all.sort((a, b) => b.weight - a.weight || compareNames(a.label, b.label)).slice(0, linesMax)
  return kept.sort((a, b) => compareNames(a.label, b.label)).map(({ label, line }) => [label, line])
}

const compareNames = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true })

/** The largest standings now, for bars. */
export function standings(rows: readonly Row[], choice: ChartChoice, barsMax = 30): { label: string; value: number }[] {
  const y = choice.y[0]
  if (y === undefined) return []
  const bars = rows.flatMap((row) => {
    const value = toNumber(row[y])
    const label = choice.group === null ? null : cellText(row[choice.group])
    return value === null ? [] : [{ label: label ?? '', value }]
  })
  return bars.sort((a, b) => b.value - a.value || compareNames(a.label, b.label)).slice(0, barsMax)
}

/** What standings were, sampled: at most `samplesMax` moments, a line per group, the groups that were largest when first sampled. */
export class History {
  readonly #samplesMax: number
  readonly #x: number[] = []
  readonly #lines = new Map<string, (number | null)[]>()
  #omitted = 0

  constructor(samplesMax = 600) {
    this.#samplesMax = samplesMax
  }

  sample(atMs: number, rows: readonly Row[], choice: ChartChoice): void {
    const values = new Map<string, number>()
    for (const row of rows)
      for (const [label, value] of measured(row, choice))
        if (value !== null) values.set(label, choice.group === null ? (values.get(label) ?? 0) + value : value)
    for (const [label] of largest(values, Math.abs))
      if (!this.#lines.has(label) && this.#lines.size < linesMax)
        this.#lines.set(
          label,
          this.#x.map(() => null),
        )
    this.#omitted = Math.max(0, values.size - this.#lines.size)
    this.#x.push(atMs / 1000)
    for (const [label, line] of this.#lines) line.push(values.get(label) ?? null)
    if (this.#x.length <= this.#samplesMax) return
    this.#x.shift()
    for (const line of this.#lines.values()) line.shift()
  }

  data(): ChartData {
    return {
      x: [...this.#x],
      lines: [...this.#lines].map(([label, values]) => ({ label, values: [...values] })),
      omitted: this.#omitted,
    }
  }
}
