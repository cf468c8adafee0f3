/**
 * What a benchmark reports. A row is declared before it is measured: one that was never filled is printed as failed, so a
 * measurement that broke cannot look like one that was not asked for.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

export interface RowSpec {
  readonly row: string
  readonly unit: string
  readonly better: 'higher' | 'lower'
  /** Of the ratio where there is a peer, else of our own figure; null = reported only. */
  readonly goal: number | null
  readonly alone?: boolean
}
/** One line of standard output. `ratio` > 1 is better for us. */
export interface Row {
  readonly bench: string
  readonly row: string
  readonly unit: string
  readonly ours: number | null
  readonly theirs: number | null
  readonly ratio: number | null
  readonly goal: number | null
  readonly ok: boolean
  readonly runs: number
}

export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Four significant digits, without turning 1234.5 into 1235. */
export const rounded = (value: number | null): number | null => (value === null ? null : Number(value.toPrecision(4)))

export class Report {
  readonly #bench: string
  /** Those that are asked for. */
  readonly #specs: readonly RowSpec[]
  readonly #samples = new Map<string, { ours: number[]; theirs: number[] }>()
  readonly #raw: object[] = []
  readonly failures: string[] = []

  /**
   * `only`: rows with this in their name are asked for, or with one of these, where commas without a blank behind them
   * separate several; others may be sampled and are left out.
   */
  constructor(bench: string, specs: readonly RowSpec[], only = '') {
    this.#bench = bench
    const wanted = only.split(/,(?! )/)
    this.#specs = specs.filter(({ row }) => wanted.some((part) => row.includes(part)))
    for (const { row } of specs) this.#samples.set(row, { ours: [], theirs: [] })
  }

  get isEmpty(): boolean {
    return this.#specs.length === 0
  }
  /** Is one of these rows asked for? */
  wantsAny(rows: readonly RowSpec[]): boolean {
    return rows.some(({ row }) => this.#specs.some((spec) => spec.row === row))
  }
  sample(row: string, side: 'ours' | 'theirs', value: number): void {
    const samples = this.#samples.get(row)
    if (samples === undefined) throw new Error(`no row is declared as ${row}`)
    if (!Number.isFinite(value)) throw new Error(`${row}: ${value} is no measurement`)
    samples[side].push(value)
    this.raw({ row, side, value })
  }
  raw(entry: object): void {
    this.#raw.push({ atMs: Math.round(performance.now()), ...entry })
  }
  failed(what: string, error: unknown): void {
    const text = `${what}: ${error instanceof Error ? error.message : String(error)}`
    this.failures.push(text)
    this.raw({ failed: text })
    console.error(`FAILED ${text}`)
  }

  rows(): Row[] {
    return this.#specs.map((spec) => this.#row(spec))
  }
  #row({ row, unit, better, goal, alone }: RowSpec): Row {
    const samples = this.#samples.get(row)!
    const ours = median(samples.ours)
    const theirs = median(samples.theirs)
    const ratio = ours === null || theirs === null ? null : better === 'higher' ? ours / theirs : theirs / ours
    const measured = ours !== null && (alone === true || theirs !== null)
    const reached = goal === null || (alone === true ? meets(ours, goal, better) : meets(ratio, goal, 'higher'))
    return {
      bench: this.#bench,
      row,
      unit,
      ours: rounded(ours),
      theirs: rounded(theirs),
      ratio: rounded(ratio),
      goal: rounded(goal),
      ok: measured && reached,
      runs: samples.ours.length,
    }
  }

  /** JSON lines on standard output, a table on standard error, every sample in `file`. True when every row is ok. */
  print(file: string): boolean {
    const rows = this.rows()
    for (const row of rows) console.log(JSON.stringify(row))
    console.error(this.#table(rows))
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, JSON.stringify({ bench: this.#bench, rows, failures: this.failures, raw: this.#raw }, null, 1))
    console.error(`samples: ${file}`)
    return rows.every(({ ok }) => ok)
  }
  #table(rows: readonly Row[]): string {
    const cells = [
      ['row', 'unit', 'ours', 'theirs', 'ratio', 'goal', 'ok', 'spread ours', 'spread theirs'],
      ...rows.map((row) => {
        const { ours, theirs } = this.#samples.get(row.row)!
        const of = [row.row, row.unit, row.ours, row.theirs, row.ratio, row.goal, row.ok ? 'ok' : 'FAILED']
        return [...of.map((cell) => String(cell ?? '–')), spread(ours), spread(theirs)]
      }),
    ]
    const widths = cells[0]!.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)))
    const lines = cells.map((line) =>
      line.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))),
    )
    return lines.map((line) => line.join('  ')).join('\n')
  }
}

function meets(value: number | null, goal: number, better: 'higher' | 'lower'): boolean {
  if (value === null) return false
  return better === 'higher' ? value >= goal : value <= goal
}
function spread(values: readonly number[]): string {
  return values.length === 0 ? '–' : `${rounded(Math.min(...values))}…${rounded(Math.max(...values))}`
}
