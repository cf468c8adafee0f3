/** Rows kept in memory, by relation: made when first asked for, gone with the relation. */
import type { SourcePlan } from '../flow/plan.ts'
import type { Clock } from '../lib/world.ts'
import type { Log } from '../log/log.ts'
import type { Relation } from '../sql/plan/relation.ts'
import { givesUp } from './held.ts'
import { LiveRows } from './live.ts'

/** What memory had no room for is not tried again before. */
const againMs = 10_000

interface Kept {
  readonly rows: LiveRows
  /** When it was asked for last. */
  askedMs: number
}
export class LiveStore {
  private readonly kept = new Map<string, Kept>()
  private readonly log: Log
  private readonly clock: Clock
  private readonly stopGiving: () => void

  constructor(log: Log, clock: Clock) {
    this.log = log
    this.clock = clock
    this.stopGiving = givesUp(() => this.giveUp())
  }
  /** Of a table, a keyed view, or a weighted one; null for relations that only ever gain rows. */
  of(relation: Relation): LiveRows | null {
    if (relation.source.mode === 'append') return null
    const nowMs = this.clock.monotonic()
    const known = this.kept.get(relation.name)
    if (known !== undefined && !this.isOver(known, nowMs)) {
      if (known.rows.failed === null) known.askedMs = nowMs
      return known.rows
    }
    const rows = new LiveRows(storedColumns(relation), this.log, this.clock)
    this.kept.set(relation.name, { rows, askedMs: nowMs })
    return rows
  }
  private isOver({ rows: { failed }, askedMs }: Kept, nowMs: number): boolean {
    if (failed === null) return false
    const hadNoRoom = failed.code === 'query.too-large' || failed.code === 'query.memory-full'
    return !hadNoRoom || nowMs >= askedMs + againMs
  }
  /** Of those that nobody uses the one that was asked for longest ago. */
  private giveUp(): boolean {
    let oldest: readonly [string, Kept] | null = null
    for (const entry of this.kept) {
      const [, { rows, askedMs }] = entry
      if (rows.failed !== null || rows.isUsed || rows.count === 0) continue
      if (oldest === null || askedMs < oldest[1].askedMs) oldest = entry
    }
    if (oldest === null) return false
    oldest[1].rows.letGo()
    this.kept.delete(oldest[0])
    return true
  }
  async drop(name: string): Promise<void> {
    const kept = this.kept.get(name)
    this.kept.delete(name)
    await kept?.rows.close()
  }
  async close(): Promise<void> {
    this.stopGiving()
    await Promise.all([...this.kept.keys()].map((name) => this.drop(name)))
  }
}
/** The source without its pseudo-columns. */
function storedColumns({ source, declared }: Relation): SourcePlan {
  return { ...source, columns: source.columns.slice(0, declared), fields: source.fields.slice(0, declared) }
}
