/**
 * The tree of a SQL text, as written: names unresolved, types unchecked. Every node carries its place (offsets into the
 * text), for errors, completion and lineage.
 */
import type { Span } from '../fault.ts'

/** `quoted` names match exactly, others ignoring case. */
export interface Name extends Span {
  readonly text: string
  readonly quoted: boolean
}
/** `schema.table`, `table.column`, … */
export interface QualifiedName extends Span {
  readonly parts: readonly Name[]
}
export interface TypeRef extends Span {
  /** PostgreSQL's own name, in lower case: `double precision`, `timestamptz`, `varchar`. */
  readonly name: string
  readonly modifiers: readonly number[]
  /** Dimensions of an array; 0 = none. */
  readonly dimensions: number
  /** INTERVAL DAY TO SECOND and the like; null otherwise. */
  readonly fields: string | null
  /** Of STRUCT<…> and ROW(…). */
  readonly members?: readonly { readonly name: Name; readonly type: TypeRef }[]
}

export type Expr = Span &
  (
    | { readonly kind: 'null' }
    | { readonly kind: 'boolean'; readonly value: boolean }
    | { readonly kind: 'number'; readonly text: string; readonly whole: boolean }
    | { readonly kind: 'string'; readonly value: string }
    | { readonly kind: 'bits'; readonly value: string }
    | { readonly kind: 'parameter'; readonly index: number }
    | { readonly kind: 'name'; readonly parts: readonly Name[] }
    /** `*` or `t.*`, in a select list. */
    | { readonly kind: 'star'; readonly qualifier: readonly Name[] }
    /** TYPE 'text', and INTERVAL 'text' FIELDS. */
    | { readonly kind: 'typed'; readonly type: TypeRef; readonly text: string }
    | { readonly kind: 'cast'; readonly arg: Expr; readonly type: TypeRef }
    | { readonly kind: 'unary'; readonly op: string; readonly arg: Expr }
    | { readonly kind: 'binary'; readonly op: string; readonly left: Expr; readonly right: Expr; readonly opAt: number }
    | { readonly kind: 'and' | 'or'; readonly args: readonly Expr[] }
    | { readonly kind: 'not'; readonly arg: Expr }
    | {
        readonly kind: 'is'
        readonly what: 'null' | 'true' | 'false' | 'unknown'
        readonly negated: boolean
        readonly arg: Expr
      }
    /** IS DOCUMENT, IS NORMALIZED, IS JSON … : read, so that the refusal can say what it is. */
    | { readonly kind: 'is-other'; readonly what: string; readonly arg: Expr }
    | { readonly kind: 'distinct'; readonly negated: boolean; readonly left: Expr; readonly right: Expr }
    | {
        readonly kind: 'between'
        readonly negated: boolean
        readonly symmetric: boolean
        readonly arg: Expr
        readonly low: Expr
        readonly high: Expr
      }
    | { readonly kind: 'in'; readonly negated: boolean; readonly arg: Expr; readonly list: readonly Expr[] }
    | { readonly kind: 'in-query'; readonly negated: boolean; readonly arg: Expr; readonly query: Query }
    | {
        readonly kind: 'like'
        readonly how: 'like' | 'ilike' | 'similar'
        readonly negated: boolean
        readonly arg: Expr
        readonly pattern: Expr
        readonly escape: Expr | null
      }
    | {
        readonly kind: 'quantified'
        readonly op: string
        readonly all: boolean
        readonly left: Expr
        readonly right: Expr | Query
      }
    | {
        readonly kind: 'case'
        readonly operand: Expr | null
        readonly branches: readonly CaseBranch[]
        readonly otherwise: Expr | null
      }
    | Call
    /** EXTRACT(field FROM arg). */
    | { readonly kind: 'extract'; readonly field: string; readonly arg: Expr }
    | { readonly kind: 'at-time-zone'; readonly arg: Expr; readonly zone: Expr }
    | { readonly kind: 'at-local'; readonly arg: Expr }
    | { readonly kind: 'collate'; readonly arg: Expr; readonly collation: QualifiedName }
    | { readonly kind: 'array'; readonly items: readonly Expr[] }
    | { readonly kind: 'array-query'; readonly query: Query }
    | { readonly kind: 'row'; readonly items: readonly Expr[] }
    | { readonly kind: 'subquery'; readonly query: Query }
    | { readonly kind: 'exists'; readonly query: Query }
    | { readonly kind: 'index'; readonly arg: Expr; readonly index: Expr }
    | { readonly kind: 'slice'; readonly arg: Expr; readonly from: Expr | null; readonly to: Expr | null }
    | { readonly kind: 'field'; readonly arg: Expr; readonly name: Name }
  )
export interface CaseBranch {
  readonly when: Expr
  readonly result: Expr
}
/** A function call; the SQL standard's special forms (SUBSTRING … FROM, POSITION … IN, TRIM …) arrive as plain calls. */
export interface Call extends Span {
  readonly kind: 'call'
  readonly name: QualifiedName
  readonly args: readonly Argument[]
  /** count(*) */
  readonly star: boolean
  readonly distinct: boolean
  readonly orderBy: readonly OrderItem[]
  /** WITHIN GROUP (ORDER BY …) */
  readonly within: readonly OrderItem[] | null
  readonly filter: Expr | null
  readonly over: WindowSpec | Name | null
  /** RESPECT/IGNORE NULLS are refused when bound. */
  readonly variadic: boolean
}
export interface Argument extends Span {
  readonly name: Name | null
  readonly value: Expr
}
export interface OrderItem extends Span {
  readonly expr: Expr
  readonly descending: boolean
  /** null = PostgreSQL's default: last when ascending, first when descending. */
  readonly nullsFirst: boolean | null
}
export interface WindowSpec extends Span {
  readonly kind: 'window'
  readonly base: Name | null
  readonly partitionBy: readonly Expr[]
  readonly orderBy: readonly OrderItem[]
  readonly frame: Frame | null
}
export interface Frame extends Span {
  readonly unit: 'rows' | 'range' | 'groups'
  readonly from: FrameBound
  readonly to: FrameBound
  readonly exclude: string | null
}
export type FrameBound =
  | { readonly kind: 'unbounded-preceding' | 'current-row' | 'unbounded-following' }
  | { readonly kind: 'preceding' | 'following'; readonly offset: Expr }

export interface Query extends Span {
  readonly kind: 'query'
  readonly with: readonly Cte[]
  readonly recursive: boolean
  readonly body: QueryBody
  readonly orderBy: readonly OrderItem[]
  readonly limit: Expr | null
  readonly offset: Expr | null
  /** FETCH FIRST … WITH TIES */
  readonly ties: boolean
  /** FOR UPDATE and the like, which no stream can hold; null = none. */
  readonly locking: Span | null
  /** EMIT ON WINDOW CLOSE */
  readonly emit: (Span & { readonly on: 'window-close' | 'update' }) | null
}
export interface Cte extends Span {
  readonly name: Name
  readonly columns: readonly Name[]
  readonly query: Query
}
export type QueryBody =
  | Select
  | (Span & {
      readonly kind: 'set'
      readonly op: 'union' | 'intersect' | 'except'
      readonly all: boolean
      readonly left: Query
      readonly right: Query
    })
  | (Span & { readonly kind: 'values'; readonly rows: readonly (readonly Expr[])[] })
  | (Span & { readonly kind: 'nested'; readonly query: Query })

export interface Select extends Span {
  readonly kind: 'select'
  /** false; true; or the expressions of DISTINCT ON. */
  readonly distinct: boolean | readonly Expr[]
  readonly items: readonly SelectItem[]
  readonly from: readonly TableRef[]
  readonly where: Expr | null
  readonly groupBy: readonly Expr[]
  readonly groupDistinct: boolean
  readonly having: Expr | null
  readonly windows: readonly { readonly name: Name; readonly spec: WindowSpec }[]
}
export interface SelectItem extends Span {
  readonly expr: Expr
  readonly alias: Name | null
}

export interface Alias extends Span {
  readonly name: Name
  readonly columns: readonly Name[]
}
export type TableRef = Span &
  (
    | { readonly kind: 'table'; readonly name: QualifiedName; readonly alias: Alias | null; readonly asOf: Expr | null }
    | { readonly kind: 'derived'; readonly query: Query; readonly alias: Alias | null; readonly lateral: boolean }
    | TableFunction
    | {
        readonly kind: 'join'
        readonly type: 'inner' | 'left' | 'right' | 'full' | 'cross'
        readonly natural: boolean
        readonly left: TableRef
        readonly right: TableRef
        readonly on: Expr | null
        readonly using: readonly Name[]
      }
  )
export interface TableFunction extends Span {
  readonly kind: 'function'
  readonly name: QualifiedName
  readonly args: readonly TableArgument[]
  readonly alias: Alias | null
  readonly lateral: boolean
}
export type TableArgument = Span & {
  readonly name: Name | null
} & (
    | { readonly kind: 'value'; readonly value: Expr }
    /** TABLE t, TABLE t PARTITION BY a, b */
    | { readonly kind: 'table'; readonly table: QualifiedName; readonly partitionBy: readonly Name[] }
    /** (SELECT …), TABLE (SELECT …) PARTITION BY a */
    | { readonly kind: 'query'; readonly query: Query; readonly partitionBy: readonly Name[] }
    /** DESCRIPTOR(a, b) */
    | { readonly kind: 'descriptor'; readonly columns: readonly Name[] }
    /** MAP['a', 'b', 'c', 'd'] */
    | { readonly kind: 'map'; readonly entries: readonly (readonly [string, string])[] }
  )

/** WITH (topic = 'x', partitions = 6, flag) */
/** START FROM BEGINNING | NOW | TIMESTAMP '…' | RESUME | SAVEPOINT name */
export interface StartFrom extends Span {
  readonly from: 'beginning' | 'now' | 'timestamp' | 'resume' | 'savepoint'
  /** Of a timestamp; the name of a savepoint. */
  readonly text: string
}
/** ON CONFLICT DO NOTHING | ERROR | DEDUPLICATE */
export interface OnConflict extends Span {
  readonly does: 'nothing' | 'error' | 'deduplicate'
}
export interface Option extends Span {
  readonly name: string
  readonly value: string | number | boolean
  readonly valueAt: number
}
export interface ColumnDefinition extends Span {
  readonly name: Name
  readonly type: TypeRef
  readonly notNull: boolean
  readonly primaryKey: boolean
  /** GENERATED ALWAYS AS (…) STORED */
  readonly generated: Expr | null
}
export interface Watermark extends Span {
  readonly column: Name
  readonly as: Expr
}

export type Statement = Span &
  (
    | { readonly kind: 'query'; readonly query: Query }
    | { readonly kind: 'subscribe'; readonly query: Query; readonly options: readonly Option[] }
    /** All or nothing, with one reading of what several of them read. */
    | {
        readonly kind: 'statement-set'
        readonly inserts: readonly Extract<Statement, { kind: 'insert' }>[]
      }
    | {
        readonly kind: 'insert'
        readonly into: QualifiedName
        readonly columns: readonly Name[]
        readonly source: Query
      }
    | {
        readonly kind: 'create-stream' | 'create-table'
        readonly name: QualifiedName
        readonly ifNotExists: boolean
        readonly columns: readonly ColumnDefinition[]
        readonly primaryKey: readonly Name[]
        readonly watermark: Watermark | null
        readonly options: readonly Option[]
      }
    | {
        readonly kind: 'create-view'
        readonly name: QualifiedName
        readonly ifNotExists: boolean
        readonly columns: readonly Name[]
        /** [] = the key that follows from the query. */
        readonly primaryKey: readonly Name[]
        readonly onConflict: OnConflict | null
        readonly query: Query
        readonly options: readonly Option[]
        readonly orReplace: boolean
        readonly start: StartFrom | null
      }
    /** Its text stands for its name wherever it is read. */
    | {
        readonly kind: 'create-plain-view'
        readonly name: QualifiedName
        readonly ifNotExists: boolean
        readonly columns: readonly Name[]
        readonly query: Query
      }
    | {
        readonly kind: 'create-alert'
        readonly name: QualifiedName
        readonly ifNotExists: boolean
        readonly query: Query
        readonly destinations: readonly Destination[]
        readonly key: readonly Name[]
        readonly every: (Span & { readonly text: string; readonly fields: string | null }) | null
        readonly message: (Span & { readonly text: string }) | null
      }
    | {
        readonly kind: 'alter-alert'
        readonly name: QualifiedName
        readonly destinations: readonly Destination[]
      }
    | {
        readonly kind: 'drop'
        readonly object: ObjectKind
        readonly names: readonly QualifiedName[]
        readonly ifExists: boolean
        readonly cascade: boolean
      }
    | {
        readonly kind: 'alter'
        readonly object: ObjectKind
        readonly name: QualifiedName
        readonly action: 'pause' | 'resume'
      }
    | {
        readonly kind: 'create-connector'
        readonly direction: 'source' | 'sink'
        readonly name: QualifiedName
        readonly ifNotExists: boolean
        /** What a sink carries out. */
        readonly topics: readonly QualifiedName[]
        /** The kind of system. */
        readonly of: Name
        readonly options: readonly Option[]
      }
    | {
        readonly kind: 'drop-connector'
        readonly direction: 'source' | 'sink'
        readonly names: readonly QualifiedName[]
        readonly ifExists: boolean
      }
    | {
        readonly kind: 'alter-connector'
        readonly direction: 'source' | 'sink'
        readonly name: QualifiedName
        readonly action: 'pause' | 'resume'
      }
    | { readonly kind: 'create-savepoint'; readonly name: QualifiedName; readonly view: QualifiedName }
    | { readonly kind: 'drop-savepoint'; readonly names: readonly QualifiedName[]; readonly ifExists: boolean }
    /** Another query, and where it begins; without one the query stays. */
    | {
        readonly kind: 'alter-view'
        readonly name: QualifiedName
        readonly query: Query | null
        readonly start: StartFrom | null
      }
    | { readonly kind: 'delete'; readonly from: QualifiedName; readonly where: Expr | null }
    | { readonly kind: 'show'; readonly what: string }
    | { readonly kind: 'show-create'; readonly name: QualifiedName }
    /** Waits until all views have caught up. */
    | { readonly kind: 'flush' }
    | { readonly kind: 'describe'; readonly name: QualifiedName }
    | {
        readonly kind: 'explain'
        readonly analyze: boolean
        readonly statement: Statement
        /** Of a name alone, which may be that of a view. */
        readonly named: QualifiedName | null
      }
    /** Read so that the refusal names it. */
    | { readonly kind: 'unsupported'; readonly what: string }
  )
export type ObjectKind = 'stream' | 'table' | 'view' | 'alert' | 'topic'
export type Destination = Span &
  (
    | {
        readonly kind: 'webhook'
        readonly url: string
        readonly secret: string | null
        readonly options: readonly Option[]
      }
    | { readonly kind: 'log' }
    | { readonly kind: 'console' }
  )
