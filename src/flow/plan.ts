/**
 * A view as data: what `sql/` plans and the TypeScript DSL builds, and what the runtime turns into operators. Column
 * references are positions in the input's columns.
 */
import type { Columns } from '../schema/types.ts'
import type { Aggregate, Expression } from './expression.ts'

export type Plan =
  | SourcePlan
  | { readonly op: 'filter'; readonly input: Plan; readonly where: Expression; readonly columns: Columns }
  | {
      readonly op: 'project'
      readonly input: Plan
      readonly expressions: readonly Expression[]
      readonly columns: Columns
    }
  /** A filter by the clock: a row stands there from `from` on until `until`, times in µs; null = no bound. */
  | {
      readonly op: 'expire'
      readonly input: Plan
      readonly from: Expression | null
      readonly until: Expression | null
      readonly columns: Columns
    }
  | { readonly op: 'union'; readonly inputs: readonly Plan[]; readonly columns: Columns }
  /** Adds window_start and window_end (type of `time`) behind the input's columns: a row for each window it lies in. */
  | {
      readonly op: 'window'
      readonly input: Plan
      readonly window: Window
      readonly time: number
      readonly columns: Columns
    }
  /**
   * The same for windows that slide with the rows of a key: one of this size ends with each row, and one begins 1 ms behind it;
   * a row is given for each that it lies in, also for those that a later row makes.
   */
  | {
      readonly op: 'sliding-window'
      readonly input: Plan
      readonly keys: readonly number[]
      readonly time: number
      readonly sizeMs: number
      readonly columns: Columns
    }
  /** Output: keys, then aggregates. */
  | {
      readonly op: 'aggregate'
      readonly input: Plan
      readonly keys: readonly number[]
      readonly aggregates: readonly Aggregate[]
      /** Which of `keys` (position in that list) is a window's end: it bounds the state and decides what is late. */
      readonly windowEnd: number | null
      /** 'close': one row a group, when the watermark has passed the window. */
      readonly emit: 'update' | 'close'
      readonly columns: Columns
    }
  /** Rows of a key that follow one another within the gap. Output: keys, window_start, window_end, aggregates. */
  | {
      readonly op: 'session'
      readonly input: Plan
      /** The event-time column. */
      readonly time: number
      readonly gapMs: number
      readonly keys: readonly number[]
      readonly aggregates: readonly Aggregate[]
      readonly emit: 'update' | 'close'
      readonly columns: Columns
    }
  /**
   * The rows of a key as they come, aggregates over those that its window holds, given each time that the trigger fires.
   * Arguments and filters of the aggregates are columns. Output: keys, then aggregates.
   */
  | {
      readonly op: 'global-window'
      readonly input: Plan
      readonly keys: readonly number[]
      readonly aggregates: readonly Aggregate[]
      /** The event-time column, where trigger or evictor go by it. */
      readonly time: number | null
      readonly trigger: Trigger
      readonly keep: Kept
      readonly columns: Columns
    }
  /** FOR SYSTEM_TIME AS OF: each left row meets the right row that was current at its event time, and is never restated. */
  | {
      readonly op: 'temporal-join'
      readonly left: Plan
      readonly right: Plan
      readonly leftKeys: readonly Expression[]
      readonly rightKeys: readonly number[]
      readonly leftTime: number
      /** Right rows are only added, and the newest of a key by event time is its row; else the one that came last is. */
      readonly newest?: true
      readonly kind: 'inner' | 'left'
      /** Over left columns, then right columns; null = none. */
      readonly where: Expression | null
      readonly columns: Columns
    }
  /** Each left row meets the table's row of its key as it is when it is worked on, and is never restated. */
  | {
      readonly op: 'lookup'
      readonly left: Plan
      readonly right: Plan
      readonly leftKeys: readonly Expression[]
      readonly rightKeys: readonly number[]
      readonly kind: 'inner' | 'left'
      /** Over left columns, then right columns; null = none. */
      readonly where: Expression | null
      readonly columns: Columns
    }
  /**
   * Two inputs that both may change: every pair whose keys are equal and for which `where` holds. Output: left columns,
   * then right ones; of a semi and an anti join the left ones.
   */
  | {
      readonly op: 'join'
      readonly left: Plan
      readonly right: Plan
      readonly kind: 'inner' | 'left' | 'right' | 'full' | 'semi' | 'anti'
      /** Columns of equal types, pairwise; none = every pair. */
      readonly leftKeys: readonly number[]
      readonly rightKeys: readonly number[]
      /** Which of the keys is a window's end on both sides: it bounds the state. */
      readonly windowEnd: number | null
      /** Both inputs only grow, and rows meet within a time: it bounds the state, and nothing is withdrawn. */
      readonly interval?: JoinInterval
      /** Over left columns, then right columns; null = none. */
      readonly where: Expression | null
      readonly columns: Columns
    }
  /**
   * Adds a column for each call behind the input's: what it says of a row's place in its partition, or of the rows in its
   * frame. `time`: the input is append-only and ordered by this event-time column first, each row is given once, when the
   * watermark lets it; null: rows are given at once and restated.
   */
  | {
      readonly op: 'over'
      readonly input: Plan
      readonly partitionBy: readonly number[]
      readonly order: readonly Order[]
      readonly time: number | null
      readonly calls: readonly OverCall[]
      /** Which of `partitionBy` (position in that list) is a window's end: a partition goes when it closes. */
      readonly windowEnd: number | null
      /** Only rows of which this call, a rank, gives no more than that. */
      readonly keep: { readonly call: number; readonly rank: number } | null
      /** The rows of a partition are given once, when its window closes; absent: at once, and again. */
      readonly emit?: 'close'
      readonly columns: Columns
    }
  /** The first `limit` rows of each partition by order; with `rank`, row_number is the last column. Retracts. */
  | {
      readonly op: 'top'
      readonly input: Plan
      readonly partitionBy: readonly number[]
      readonly order: readonly Order[]
      readonly limit: number
      readonly rank: boolean
      readonly columns: Columns
    }
  /**
   * Rows that say in the column `code` whether they come or go; it is not among the output's. With a key (positions in the output)
   * a row that comes takes the place of the one that its key had.
   */
  | {
      readonly op: 'from-changelog'
      readonly input: Plan
      readonly code: number
      readonly kinds: Readonly<Record<string, RowKind>>
      /** A row with another code is left out; else it cannot be computed. */
      readonly skips: boolean
      readonly key: readonly number[] | null
      readonly columns: Columns
    }
  /** Rows that come and go, each as one that stays: its code, then the input's columns. What goes and comes of a key is an update. */
  | {
      readonly op: 'to-changelog'
      readonly input: Plan
      readonly key: readonly number[]
      /** Of kinds that are not among them no row is made. */
      readonly codes: Readonly<Partial<Record<RowKind, string>>>
      readonly columns: Columns
    }
  /** One row for each key, where several rows may have it: the first, the last that changed, or a failure. */
  | {
      readonly op: 'conflict'
      readonly input: Plan
      readonly key: readonly number[]
      /** What tells the input's rows apart; null: all of their columns, and equal ones are counted. */
      readonly identity: readonly number[] | null
      readonly policy: 'nothing' | 'error' | 'deduplicate'
      readonly columns: Columns
    }
  /** User code in TypeScript, one call an event, state by key. */
  | {
      readonly op: 'process'
      readonly input: Plan
      readonly key: readonly number[]
      readonly fn: ProcessFunction
      /** Instead of `fn`: named states, and timers. */
      readonly keyed?: KeyedFunction
      /** Its rows write the broadcast state of `keyed`. */
      readonly broadcast?: Plan
      readonly columns: Columns
    }

/** What happens to a row, in Flink's words. */
export const rowKinds = ['INSERT', 'UPDATE_BEFORE', 'UPDATE_AFTER', 'DELETE'] as const
export type RowKind = (typeof rowKinds)[number]

export type PlanOf<O extends Plan['op']> = Extract<Plan, { op: O }>

/**
 * Windows of one size, counted from 1970 UTC and `offsetMs` on. 'hop': one begins every `stepMs`. 'cumulate': one ends every
 * `stepMs` after the beginning of a window of the whole size, and begins there.
 */
export type Window =
  | { readonly kind: 'tumble'; readonly sizeMs: number; readonly offsetMs?: number }
  | {
      readonly kind: 'hop' | 'cumulate'
      readonly sizeMs: number
      readonly stepMs: number
      readonly offsetMs?: number
    }

/** When a global window fires: as soon as one of these holds. */
export interface Trigger {
  /** It has so many rows since it fired last. */
  readonly rows: number | null
  /** This column of a row is true. */
  readonly when: number | null
  /** So long after the first row since it fired last. */
  readonly afterMs: number | null
  /** At the first multiple of so long behind the first row since it fired last. */
  readonly everyMs: number | null
  readonly clock: TimerClock
}
/** What a global window holds when it has fired: nothing, all, the last rows, those less than so long before the newest. */
export type Kept =
  | { readonly of: 'none' | 'all' }
  | { readonly of: 'last'; readonly rows: number }
  | { readonly of: 'within'; readonly ms: number }
/** left time + low ≤ right time ≤ left time + high; both are event times of sources. */
export interface JoinInterval {
  readonly leftTime: number
  readonly rightTime: number
  readonly lowUs: number
  readonly highUs: number
}
export interface Order {
  readonly column: number
  readonly descending: boolean
  readonly nullsFirst: boolean
}
/**
 * An aggregate, row_number, rank, dense_rank, percent_rank, cume_dist, ntile, lag, lead, first_value or last_value. Its
 * arguments and its filter are columns or literals; rankings, lag and lead do not look at the frame.
 */
export type OverCall = Aggregate & { readonly frame: OverFrame }
export interface OverFrame {
  readonly unit: 'rows' | 'range'
  readonly from: FrameEnd
  readonly to: FrameEnd
}
/** `value`: rows; of a range what is added to the first column of the order, in its memory form (µs of a time). */
export type FrameEnd =
  | { readonly at: 'unbounded' | 'current' }
  | { readonly at: 'preceding' | 'following'; readonly value: number }

/** By which schema values are read. */
export interface SchemaUse {
  /** confluent: a byte 0 and the id of the writer's schema stand before each value. */
  readonly framing: 'none' | 'confluent'
  /** The schema to read by; null: the writer's, whatever it is. */
  readonly text: string | null
  /** Of a Protobuf file the message; null: the only one, or that which the value's framing names. */
  readonly message: string | null
  /** Protobuf files that the schema imports, by name. */
  readonly imports: Readonly<Record<string, string>>
}
export interface SourcePlan {
  readonly op: 'source'
  /** Catalogue name of the stream, table or view. */
  readonly name: string
  readonly topic: string
  /**
   * Rows of a stream are appended; a table or a keyed view is the newest row per key, null value = gone; a view that
   * withdraws without a key is weighted (header mr-weight).
   */
  readonly mode: 'append' | 'upsert' | 'weighted'
  readonly format: 'json' | 'raw' | 'avro' | 'protobuf'
  /** Values are change events: rows lie in their `before` and `after` (`formats/debezium.ts`); in 'append' all of them add a row. */
  readonly envelope?: 'debezium'
  /** Of avro and protobuf. */
  readonly schema?: SchemaUse
  /** Declared columns in order, then the pseudo-columns that the plan reads. */
  readonly columns: Columns
  /** For each column: a field of the value, or a pseudo-column. */
  readonly fields: readonly (
    | { readonly from: 'value'; readonly path: readonly string[] }
    | { readonly from: 'computed'; readonly expression: Expression }
    | { readonly from: 'topic' | 'partition' | 'offset' | 'timestamp' | 'key' | 'headers' }
  )[]
  /** Nothing is read: these are its rows, of constants; the path of a field is its place in them. Of queries of now alone. */
  readonly rows?: readonly (readonly Expression[])[]
  /** Positions of the key columns in an upsert source; [] in an append one without key. */
  readonly key: readonly number[]
  /**
   * Event time: the column and how far behind the newest the watermark stays. null = the record's timestamp; the
   * watermark then stays 1 ms behind, so that records of one millisecond are not late.
   */
  readonly time: { readonly column: number; readonly delayMs: number } | null
  /** The column that says the watermark, with `time.delayMs` 0; where it is NULL the watermark stays. Absent: event time says it. */
  readonly watermark?: number
  /** It is read no further than so long beyond the slowest of the view's sources of this group (`alignment.ts`). */
  readonly alignment?: { readonly group: string; readonly maxDriftMs: number }
  /** Allowed lateness: so much further behind stays the watermark. */
  readonly latenessMs?: number
  readonly onInvalid: 'reject' | 'quarantine' | 'null'
}

export type Row = { readonly [column: string]: unknown }
export interface ProcessFunction {
  /** Called with the event as an object, this key's state (undefined at first), and the way to emit rows. Returns the new state. */
  (
    event: Row,
    state: unknown,
    emit: (row: Row) => void,
    context: { readonly timeMs: number; readonly watermarkMs: number; readonly key: readonly unknown[] },
  ): unknown
}

/** Each reads and writes one key's state, as JSON; what it gives is a copy. */
export interface ValueState<V> {
  get(): V | undefined
  set(value: V | undefined): void
  clear(): void
}
export interface ListState<V> {
  get(): V[]
  readonly length: number
  /** Costs no more in a long list than in a short one. */
  push(...values: V[]): void
  set(values: readonly V[]): void
  clear(): void
}
export interface MapState<K extends string | number, V> {
  get(key: K): V | undefined
  has(key: K): boolean
  set(key: K, value: V | undefined): void
  delete(key: K): void
  /** In order: numbers by value, texts by their code units. */
  keys(): K[]
  entries(): [K, V][]
  clear(): void
}
export type TimerClock = 'event' | 'processing'
export interface Timer {
  readonly clock: TimerClock
  readonly atMs: number
  readonly name: string | null
}
/** Of one key. Without a name one of the same time is the same; with a name it takes the place of the one of that name. */
export interface Timers {
  /** When the watermark comes to it. */
  event(atMs: number, name?: string | null): void
  /** When the clock comes to it. */
  processing(atMs: number, name?: string | null): void
  /** That of a time, or of a name; nothing where there is none. */
  delete(clock: TimerClock, which: number | string): void
}
export interface KeyedAccess {
  readonly key: readonly unknown[]
  /** Event time of the event; of a timer its own time. */
  readonly timeMs: number
  readonly watermarkMs: number
  /** The clock, the same in all of a tick. */
  readonly nowMs: number
  readonly state: {
    readonly [name: string]: ValueState<unknown> | ListState<unknown> | MapState<string | number, unknown>
  }
  /** Of no key; to be read. */
  readonly broadcast: KeyedAccess['state']
  readonly timers: Timers
  emit(row: Row): void
}
export interface BroadcastAccess {
  /** Event time of the event. */
  readonly timeMs: number
  readonly nowMs: number
  readonly state: KeyedAccess['state']
}
export interface KeyedFunction {
  readonly states: readonly NamedState[]
  /** States of no key, which `onBroadcast` writes. */
  readonly broadcast?: readonly NamedState[]
  /** States of a key that had no call for so long, by the clock, go. */
  readonly ttlMs?: number
  readonly fn: {
    onEvent(event: Row, access: KeyedAccess): unknown
    onTimer?(timer: Timer, access: KeyedAccess): unknown
    onBroadcast?(event: Row, access: BroadcastAccess): unknown
  }
}
export interface NamedState {
  readonly name: string
  readonly kind: 'value' | 'list' | 'map'
}

/** When a view that has failed is started again (`restart.ts`). */
export type RestartStrategy =
  | { readonly kind: 'none' }
  | { readonly kind: 'fixed-delay'; readonly attempts: number; readonly delayMs: number }
  | {
      readonly kind: 'exponential-delay'
      readonly initialMs: number
      readonly mostMs: number
      readonly multiplier: number
      /** A share of the delay, by which it may be longer or shorter: views that fail together do not all come back at once. */
      readonly jitter: number
      /** A view that ran for so long has got over it: delay and attempts begin anew. */
      readonly resetMs: number
      /** null = no end, but for faults whose cause nobody knows. */
      readonly attempts: number | null
    }
  /** It may be started again so many times within the interval. */
  | {
      readonly kind: 'failure-rate'
      readonly failures: number
      readonly intervalMs: number
      readonly delayMs: number
    }

/** What the catalogue holds about a view, beside its text. */
export interface ViewPlan {
  readonly name: string
  readonly plan: Plan
  /** Positions of the key columns; null = no key (append, or weights). */
  readonly key: readonly number[] | null
  /** Of rows that are only added: columns of the record key, where they are others. */
  readonly recordKey?: readonly number[]
  /** Nothing is ever withdrawn. */
  readonly appendOnly: boolean
  /** Its topic holds change events; absent = rows. */
  readonly envelope?: NonNullable<SourcePlan['envelope']>
  /** Topic that late rows go to. */
  readonly lateTopic: string | null
  readonly idleMs: number
  readonly maxFutureMs: number
  readonly onError: 'stop' | 'quarantine' | 'skip'
  /** 'at least once': its rows go out before its tick commits, and may come twice. Not of rows that add up. Absent = exactly once. */
  readonly delivery?: 'at least once'
  /** What happens when it has failed; absent = as the runtime does by itself. */
  readonly restart?: RestartStrategy
  /** Which events of streams it takes in when it is made; absent = all that are there. Tables are always read whole. */
  readonly start?: Start
  /** It goes on with the state of another plan. */
  readonly adopts?: Adopts
  /** Bytes of memory that its state may take; absent = `limits.viewMemoryBytes`, and no end where it cannot spill. */
  readonly memoryBytes?: number
  /** State without a window of its own goes when it was not written for so long; absent = it stays. */
  readonly ttlMs?: number
  /** Into how many parts its steps are cut (`spread.ts`), 1 to 64; absent = 1. Not part of what its state means. */
  readonly parallelism?: number
  /** How many other processes on its log keep a copy of its state; absent = none. Not part of what its state means. */
  readonly standbys?: number
}
/** `into`: the print of the plan for which this was decided (`state-marks.ts`); `rows`: as in `PlanChange`. */
export interface Adopts {
  readonly into: string
  readonly rows: 'stay' | 'restated' | 'anew'
}
/** What comes from now on; or from the first record on whose own time is at or after that one. */
export type Start = { readonly from: 'now' } | { readonly from: 'time'; readonly timeMs: number }
