/** What gateways, the console and the command line ask of streams, views and alerts. Translators only: it decides, they don't. */
import type { Columns } from '../schema/types.ts'
import type { PlannedAlert } from '../sql/alert.ts'

export interface Engine {
  /**
   * Runs one or more statements; answers for the last one. `rows` streams; a statement without rows has none. SUBSCRIBE
   * goes through `subscribe`. Throws SqlFault with position.
   */
  run(sql: string, options?: RunOptions): Promise<Result>
  /** SUBSCRIBE TO view, or a bare view name: snapshot, then changes, with progress marks. Ends when the signal aborts. */
  subscribe(
    sql: string,
    options?: RunOptions & { readonly snapshot?: boolean },
  ): Promise<{ columns: Columns; changes: AsyncIterable<Change> }>
  views(): readonly RelationInfo[]
  relation(name: string): RelationInfo | null
  /** Columns that make the record key of events written to this topic, by its stream or table; [] = none. */
  keyColumns(topic: string): readonly string[]
  /** The view that alone writes this topic; null for none. Cheap: asked for every partition that a client writes to. */
  writerOf(topic: string): string | null
  /** The first stream or table over this topic; null for none. */
  readerOf(topic: string): { readonly kind: string; readonly name: string } | null
  /** Rows of a view or table as of the last committed tick, by key, or all up to `limit`. */
  rows(name: string, options?: { readonly key?: readonly unknown[]; readonly limit?: number }): Promise<Result>
  /** The dataflow of a view with what runs through its edges. */
  graph(view: string): Promise<Graph>
  /**
   * Why a view gives nothing, or not what was expected: causes, the likeliest first; [] = none is known. Without `samples` no
   * value of an event is told. Throws Fault flow.unknown-view.
   */
  doctor(view: string, options?: { readonly samples?: boolean }): Promise<readonly Diagnosis[]>
  /** A typed boolean over the pseudo-columns and JSON fields of a topic's records, for browsing: `amount > 100`. Throws SqlFault. */
  recordFilter(topic: string, where: string): (record: RecordView) => boolean
  /** Topics that a view reads; [] of a stream or table; null where the definition cannot be planned. */
  sources(name: string): readonly string[] | null
  drop(kind: RelationInfo['kind'] | 'alert', name: string, rights?: Rights): Promise<void>
  /** Of a view as it is between two ticks. Throws Fault flow.unknown-view, flow.savepoint-exists … */
  createSavepoint(view: string, name: string, rights?: Rights): Promise<SavepointInfo>
  savepoints(rights?: Rights): Promise<readonly SavepointInfo[]>
  /** Throws Fault flow.unknown-savepoint. */
  dropSavepoint(name: string, rights?: Rights): Promise<void>
  pause(view: string): Promise<void>
  resume(view: string): Promise<void>
  readonly alertRules: AlertRules
}
/**
 * Alerts that run, for `act/` to deliver: the rows of each lie in the topic `alertViewName(rule.name)`, written as any view's
 * changes are. Rules that cannot be planned are in it with status failed and no view.
 */
export interface AlertRules {
  all(): readonly {
    readonly name: string
    readonly sql: string
    readonly status: RelationInfo['status']
    readonly planned: PlannedAlert | null
  }[]
  /** Called after alerts were created, dropped, paused or resumed. Returns the way to stop. */
  onChange(call: () => void): () => void
}
export interface RunOptions {
  readonly params?: readonly unknown[]
  readonly signal?: AbortSignal
  /** Of who asks; every right unless given. */
  readonly rights?: Rights
  readonly usage?: QueryUsage
}
/** What a statement uses of who asks. */
export interface QueryUsage {
  /** This thread was busy with it for so long. */
  worked(ms: number): void
  /** Throws what is to be said while no more may be written. */
  mayWrite(): void
  wrote(bytes: number): void
}
/** What who asks may do with the topics behind names. */
export interface Rights {
  /** Whether they may know that the topic is there. */
  sees(topic: string): boolean
  seesCluster(): boolean
  /** Throws the fault that refuses it. */
  demand(operation: 'read' | 'write' | 'create' | 'alter' | 'delete', topic: string): void
  demandCluster(operation: 'describe' | 'alter'): void
  /**
   * A name was asked for that is hidden from them (its topic), or not there (null). May throw: the same in both cases.
   */
  missed(topic: string | null): void
}
export interface Result {
  /** As PostgreSQL's command tag: `SELECT`, `CREATE MATERIALIZED VIEW`, `INSERT 0 3` … */
  readonly command: string
  readonly columns: Columns
  /** Values in JSON form: numbers, text, ISO 8601 UTC; bigint and numeric beyond 2^53 as bigint or text. */
  readonly rows: AsyncIterable<readonly unknown[]>
  /** What else is to be said, a line each; of a query once its rows have ended. */
  readonly notices?: readonly string[]
}
export type Change =
  | { readonly op: '+' | '-'; readonly row: { readonly [column: string]: unknown }; readonly at: string }
  /** Everything before has been delivered, up to this tick; event-time watermark in ISO 8601 or null. */
  | { readonly op: 'progress'; readonly at: string; readonly watermark: string | null }

export interface RelationInfo {
  readonly name: string
  readonly kind: 'stream' | 'table' | 'view' | 'plain-view'
  readonly columns: Columns
  readonly key: readonly string[] | null
  readonly topic: string
  readonly sql: string | null
  /** restarting: it has failed, and starts again by itself. idle: another process runs it. */
  readonly status: 'running' | 'paused' | 'failed' | 'restarting' | 'restoring' | 'idle'
  readonly error: { readonly code: string; readonly message: string } | null
  /** Absent: it has not failed since somebody started it. */
  readonly restarts?: {
    /** Starts after a failure. */
    readonly attempts: number
    readonly lastFault: { readonly code: string; readonly message: string }
    /** ISO 8601. */
    readonly lastFaultAt: string
    /** When it starts again; null: it has been started, or stays failed. */
    readonly nextAt: string | null
  }
  readonly stats: {
    readonly rowsIn: number
    readonly rowsOut: number
    readonly late: number
    readonly invalid: number
    readonly stateBytes: number
  }
  /** ISO 8601; null before the first event. */
  readonly watermark: string | null
}

/** A named copy of a view's state, rows and input positions as of one moment. */
export interface SavepointInfo {
  readonly name: string
  readonly view: string
  /** ISO 8601. */
  readonly at: string
  readonly stateBytes: number
  readonly rowBytes: number
  /** Those with state; rows null: the view did not run, they were not counted. */
  readonly operators: readonly { readonly kind: string; readonly label: string; readonly rows: number | null }[]
  /** Where it goes on. */
  readonly positions: readonly { readonly topic: string; readonly partition: number; readonly offset: number }[]
}
export interface Diagnosis {
  /** stopped, partition-silent, time-zone … docs/query.md lists them. */
  readonly code: string
  readonly sure: 'yes' | 'likely'
  /** Id of a node of the view's graph. */
  readonly node: string | null
  readonly says: string
  readonly evidence: readonly string[]
  readonly remedy: string
}

/** Whatever can say what ails it: nothing, where it knows of nothing. */
export type Doctor = () => Promise<readonly Diagnosis[]> | readonly Diagnosis[]

export interface Graph {
  readonly nodes: readonly {
    readonly id: string
    /** source, filter, project, aggregate, …, sink */
    readonly kind: string
    readonly label: string
    readonly rowsIn: number
    readonly rowsOut: number
    readonly late: number
    readonly stateRows: number
    readonly stateBytes: number
    readonly watermark: string | null
    /** Share of the last seconds spent in this operator, 0 to 1; absent where it is not measured. */
    readonly busy?: number
    /** Into how many parts its state is cut by keys, where it is. */
    readonly parts?: number
  }[]
  readonly edges: readonly {
    readonly from: string
    readonly to: string
    readonly rows: number
    /** Mean over the last seconds. */
    readonly rowsPerSecond: number
    readonly watermark: string | null
  }[]
  /** Which source partition holds the watermark back, where one does. */
  readonly heldBackBy: string | null
}
export interface RecordView {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timeMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly (readonly [string, Uint8Array | null])[]
}
