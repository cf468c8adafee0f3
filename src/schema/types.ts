/** Data types, PostgreSQL's names and meanings. */
export type DataType =
  | { readonly kind: 'boolean' | 'smallint' | 'int' | 'bigint' | 'real' | 'double' }
  /** null precision: as many digits as needed. Scale is the count of digits after the point. */
  | { readonly kind: 'numeric'; readonly precision: number | null; readonly scale: number | null }
  | { readonly kind: 'text' | 'bytea' | 'uuid' | 'json' | 'jsonb' }
  | { readonly kind: 'varchar'; readonly length: number | null }
  /** date: days since 1970; time: µs since midnight; timestamp, timestamptz: µs since 1970 UTC. */
  | { readonly kind: 'date' | 'time' | 'timestamp' | 'timestamptz' | 'interval' }
  | { readonly kind: 'array'; readonly of: DataType }
  | { readonly kind: 'composite'; readonly fields: readonly Field[] }

export interface Field {
  readonly name: string
  readonly type: DataType
  readonly nullable: boolean
}
/** The columns of a stream, table or view, in order. */
export type Columns = readonly Field[]

/** As PostgreSQL writes it: `numeric(12,2)`, `timestamptz`, `text[]`. */
export function typeName(type: DataType): string {
  switch (type.kind) {
    case 'numeric':
      return type.precision === null ? 'numeric' : `numeric(${type.precision},${type.scale ?? 0})`
    case 'varchar':
      return type.length === null ? 'varchar' : `varchar(${type.length})`
    case 'double':
      return 'double precision'
    case 'array':
      return `${typeName(type.of)}[]`
    case 'composite':
      return `struct<${type.fields.map((f) => `${f.name} ${typeName(f.type)}`).join(', ')}>`
    default:
      return type.kind
  }
}
