/**
 * What an operator is: a pure step over explicit state. It declares its tables, so that the runtime can bound, save,
 * undo, move and show them, and nothing else touches them. No clock, promise or I/O inside.
 *
 * A step takes one batch per input (possibly empty), changes the tables, and gives the rows that this changes in its
 * output. Rows that came too late are not taken; they are handed along in `late`.
 */
import type { Batch } from './batch.ts'
import type { StateTable, TableSpec } from './state.ts'

export interface StepTime {
  /** Drawn once per tick and recorded, µs. */
  readonly nowUs: number
  /** Watermark (ms) as of the end of the step before; −Infinity before the first. */
  readonly before: number
  /** As of the end of this step's batches: no row that is not late has event time ≤ watermark any more. */
  readonly watermark: number
  /** Of the inputs that are not idle; at least `watermark`, Infinity where all are: how far rows may go that only wait. */
  readonly due: number
}
export type State = readonly StateTable[]
/** How much one piece of what a step gives may hold: rows, and bytes of texts that it copies out of state. */
export interface Room {
  readonly rows: number
  readonly bytes: number
}
export const allRoom: Room = { rows: Infinity, bytes: Infinity }
/** Pieces of a step: what comes before the last are those that a piece had no more room for. */
export type Pieces = Generator<Batch, Batch>

export interface Operator {
  /** filter, project, aggregate … */
  readonly kind: string
  readonly tables: readonly TableSpec[]
  /** It is cut by slots into so many (`spread.ts`). Absent = 1. */
  readonly parts?: number
  /** Which of them are here: `tables` are those of the first of them, then of the second … Absent = all. */
  readonly here?: readonly number[]
  /** Its rows are those of its first input, the others are waited for: its watermark never passes that input's. */
  readonly leads?: boolean
  /** Its watermark is that of its first input alone: the others hold nothing back. */
  readonly alone?: boolean
  /** Its rows lie so far behind the watermark of its inputs: so much later is its own. */
  readonly delayMs?: number
  /** What it has done is known by its watermark: that is saved beside its state, also where it has but one input. */
  readonly keepsWatermark?: boolean
  step(state: State, batches: readonly Batch[], time: StepTime): Batch
  /** `step`, where few rows may give very many: what it gives comes piece by piece, and its state is between two of them as it may be. */
  pieces?(state: State, batches: readonly Batch[], time: StepTime, room: Room): Pieces
  /** Rows of its first input look up what the others hold: those of one step come before them. */
  readonly asks?: boolean
  /** Makes what is derived from the tables anew (orders, timers): called before the first step and after an undo. */
  rebuild(state: State): void
  /** Puts what it keeps beside the tables into them: the last call of a tick, before its changes are listed. */
  save?(state: State): void
  /** Lets rows go that were not written for the view's `state_ttl` (`StateTable.takeOld`), without a word: before a step. */
  forgetOld?(state: State): void
  /** Moves some of its rows to files (`spill.ts`), some so many bytes of them. Between ticks; of tables that say `spills`. */
  evict?(state: State, bytes: number): void
  /** When the clock alone changes the output, in whole ms since 1970; Infinity = never. */
  due?(state: State): number
  /**
   * All that it has given and not withdrawn again, read from its tables: what begins behind it later begins with that. Absent
   * where they do not say, as that of windows that have closed.
   */
  content?(state: State): Batch
  /** True while a later watermark alone may change the output: the runtime then steps without rows. */
  waits(state: State): boolean
}

/**
 * Thrown by `step` and `save`: this tick cannot be finished as it was begun. Whoever runs it undoes it and does all of it
 * again; the operator knows what to do otherwise then.
 */
export class TickAgain extends Error {}

/** For operators without state. */
export const stateless = { tables: [] as readonly TableSpec[], rebuild: (): void => {}, waits: (): boolean => false }
