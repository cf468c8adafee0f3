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
  /** Rows withdrawn in the batch at hand: their return is a change of that row, not a new one. */
  readonly #gone = new Map<string, LiveRow>()

  constructor(key: readonly string[] | null, rowsMax: number) {
    this.#key = key === null || key.length === 0 ? null : key
    this.#rowsMax = rowsMax
  }

  /** Applies a batch that came at `nowMs`; what it touched carries the generation that this call begins. */
  apply(changes: readonly Change[], nowMs: number): void {
    this.generation++
    this.#nowMs = nowMs
    this.#gone.clear()
    for (const change of changes) {
      if (change.op === 'progress') continue
      this.total += change.op === '+' ? 1 : -1
      if (change.op === '+') this.#arrive(change.row)
      else this.#withdraw(change.row)
    }
    this.#shrink()
  }

  list(): LiveRow[] {
    return [...this.#rows.values()]
  }

  get size(): number {
    return this.#rows.size
  }

  #arrive(row: RowValues): void {
    const id = this.#idOf(row)
    const held = this.#rows.get(id)
    const before = held ?? this.#gone.get(id)
    const copies = this.#key === null ? (held?.copies ?? 0) + 1 : 1
    const columns = before === undefined ? null : this.#altered(before, row)
    // Behind all others: the order of the map is the order of the last change.
    this.#rows.delete(id)
    this.#rows.set(id, { id, row, copies, changedAt: this.generation, changedMs: this.#nowMs, columns })
  }

  #withdraw(row: RowValues): void {
    const id = this.#idOf(row)
    const held = this.#rows.get(id)
    if (held === undefined) return
    if (this.#key !== null && compactJson(held.row) !== compactJson(row)) return
    if (held.copies > 1) {
      this.#rows.set(id, {
        ...held,
        copies: held.copies - 1,
        changedAt: this.generation,
        changedMs: this.#nowMs,
        columns: [],
      })
      return
    }
    this.#rows.delete(id)
    this.#gone.set(id, held)
  }

  #altered(before: LiveRow, row: RowValues): readonly string[] | null {
    const altered = Object.keys(row).filter((name) => compactJson(before.row[name]) !== compactJson(row[name]))
    if (before.changedAt < this.generation || before.columns === null)
      return before.changedAt === this.generation ? null : altered
    return [...new Set([...before.columns, ...altered])]
  }

  #idOf(row: RowValues): string {
    return this.#key === null ? compactJson(row) : compactJson(this.#key.map((name) => row[name] ?? null))
  }

  #shrink(): void {
    for (const id of this.#rows.keys()) {
      if (this.#rows.size <= this.#rowsMax) return
      this.#rows.delete(id)
      this.dropped++
    }
  }
}
