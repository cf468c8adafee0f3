/** Rows kept in memory, by relation: made when first asked for, gone with the relation. */
import type { SourcePlan } from '../flow/plan.ts'
import type { Clock } from '../lib/world.ts'
import type { Log } from '../log/log.ts'
import type { Relation } from '../sql/plan/relation.ts'
import { LiveRows } from './live.ts'

export class LiveStore {
  private readonly kept = new Map<string, LiveRows>()
  private readonly log: Log
  private readonly clock: Clock

  constructor(log: Log, clock: Clock) {
    this.log = log
    this.clock = clock
  }
  /** Of a table, a keyed view, or a weighted one; null for relations that only ever gain rows. */
  of(relation: Relation): LiveRows | null {
    if (relation.source.mode === 'append') return null
    const known = this.kept.get(relation.name)
    if (known !== undefined && !known.failed) return known
    const rows = new LiveRows(storedColumns(relation), this.log, this.clock)
    this.kept.set(relation.name, rows)
    return rows
  }
  async drop(name: string): Promise<void> {
    const rows = this.kept.get(name)
    this.kept.delete(name)
    await rows?.close()
  }
  async close(): Promise<void> {
    await Promise.all([...this.kept.keys()].map((name) => this.drop(name)))
  }
}
/** The source without its pseudo-columns. */
function storedColumns({ source, declared }: Relation): SourcePlan {
  return { ...source, columns: source.columns.slice(0, declared), fields: source.fields.slice(0, declared) }
}
