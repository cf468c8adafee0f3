/**
 * The live rows of a view, from its changes. With a key, `+` sets the row of that key and `-` removes it if it is still
 * the row withdrawn (a tick may deliver the two in either order); without one, equal rows are counted. Bounded: beyond
 * `rowsMax` the rows whose last change is oldest are let go, while `total` goes on counting the whole view.
 */
import type { Change } from '../../../src/query/engine.ts'
import { compactJson } from './json.ts'

export type RowValues = { readonly [column: string]: unknown }
export interface LiveRow {
  readonly id: string
  readonly row: RowValues
  /** How many rows are equal to this one; always 1 with a key. */
  readonly copies: number
  /** The batch of changes that touched it last, and when that came. */
  readonly changedAt: number
  readonly changedMs: number
  /** Columns whose value the last change altered; null: the row is new. */
  readonly columns: readonly string[] | null
}

export class KeyedRows {
  /** Rows in the view: arrived minus withdrawn. */
  total = 0
  /** Rows let go because there were too many to hold. */
  dropped = 0
  generation = 0
  readonly #key: readonly string[] | null
  readonly #rowsMax: number
  #nowMs = 0
  readonly #rows = new Map<string, LiveRow>()
  /** Rows withdrawn in the batch at hand: their return is a change of that row, in its place, not a new one. */
  readonly #gone = new Set<string>()

  constructor(key: readonly string[] | null, rowsMax: number) {
    this.#key = key === null || key.length === 0 ? null : key
    this.#rowsMax = rowsMax
  }

  /** Applies a batch that came at `nowMs`; what it touched carries the generation that this call begins. */
  apply(changes: readonly Change[], nowMs: number): void {
    this.generation++
    this.#nowMs = nowMs
    for (const change of changes) {
      if (change.op === 'progress') continue
      this.total += change.op === '+' ? 1 : -1
      if (change.op === '+') this.#arrive(change.row)
      else this.#withdraw(change.row)
    }
    this.#shrink()
  }

  /** In the order in which they first came. */
  list(): LiveRow[] {
    return [...this.#rows.values()]
  }

  get size(): number {
    return this.#rows.size
  }

  #arrive(row: RowValues): void {
    const id = this.#idOf(row)
    const before = this.#rows.get(id)
    const present = before !== undefined && !this.#gone.delete(id)
    const copies = this.#key === null && present ? before.copies + 1 : 1
    const columns = before === undefined ? null : this.#altered(before, row)
    this.#rows.set(id, { id, row, copies, changedAt: this.generation, changedMs: this.#nowMs, columns })
  }

  #withdraw(row: RowValues): void {
    const id = this.#idOf(row)
    const held = this.#rows.get(id)
    if (held === undefined || this.#gone.has(id)) return
    if (this.#key !== null && compactJson(held.row) !== compactJson(row)) return
    if (held.copies === 1) this.#gone.add(id)
    else
      this.#rows.set(id, {
        ...held,
        copies: held.copies - 1,
        changedAt: this.generation,
        changedMs: this.#nowMs,
        columns: [],
      })
  }

  /** Columns altered since the batch began; null stays null: a row that is new in this batch is new. */
  #altered(before: LiveRow, row: RowValues): readonly string[] | null {
    const again = before.changedAt === this.generation
    if (again && before.columns === null) return null
    const altered = Object.keys(row).filter((name) => compactJson(before.row[name]) !== compactJson(row[name]))
    return again ? [...new Set([...before.columns!, ...altered])] : altered
  }

  #idOf(row: RowValues): string {
    return this.#key === null ? compactJson(row) : compactJson(this.#key.map((name) => row[name] ?? null))
  }

  #shrink(): void {
    for (const id of this.#gone) this.#rows.delete(id)
    this.#gone.clear()
    const over = this.#rows.size - this.#rowsMax
    if (over <= 0) return
    const oldest = this.list().sort((a, b) => a.changedAt - b.changedAt)
    for (const { id } of oldest.slice(0, over)) this.#rows.delete(id)
    this.dropped += over
  }
}
