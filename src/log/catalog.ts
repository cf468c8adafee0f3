/**
 * Definitions are data: streams, tables, views, alerts, contracts, … live as JSON in the compacted topic
 * `_millrace_catalog`, key `kind/name`, null = gone. Topics are entries of kind `topic` that the local log keeps itself;
 * this class leaves them alone.
 */
export type CatalogKind = 'contract' | 'stream' | 'table' | 'view' | 'alert'
export interface CatalogEntry {
  readonly kind: CatalogKind
  readonly name: string
  /** JSON; what it means is the business of the layer that owns the kind, which checks it when reading. */
  readonly value: unknown
}
export interface Catalog {
  all(kind: CatalogKind): readonly CatalogEntry[]
  get(kind: CatalogKind, name: string): CatalogEntry | null
  /** All or nothing; durable and visible here when it resolves. A value of null removes. Throws Fault. */
  change(entries: readonly { kind: CatalogKind; name: string; value: unknown | null }[]): Promise<void>
  /** Called after each change, in order. Returns the way to stop. */
  onChange(call: (changed: readonly { kind: CatalogKind; name: string }[]) => void): () => void
}
