/**
 * FOR SYSTEM_TIME AS OF PROCTIME(): each left row meets the table's row as it is when the left row is worked on, at once,
 * and is never restated. Of one step the table's changes come first. A task reads all that a table held when it began
 * before it reads anything else, so the first rows do not meet an empty table.
 *
 * State: the table's rows by key.
 */
import type { Columns } from '../../schema/types.ts'
import { type Batch, emptyBatch, gatherBatch } from '../batch.ts'
import { columnBuilder } from '../columns.ts'
import { compileFilter } from '../compile.ts'
import { evaluator } from '../evaluate.ts'
import { KeyWriter, type KeyPart, anyNull, keyEncoder } from '../key.ts'
import { lentInts } from '../lent-arrays.ts'
import { joinFailures, keepMatches } from '../matches.ts'
import type { Operator, StepTime } from '../operator.ts'
import { PairOrigins } from '../pair-provenance.ts'
import type { Plan } from '../plan.ts'
import { rowLayout } from '../row-store.ts'
import { evictRows } from '../spill-runs.ts'
import type { StateTable } from '../state.ts'

type LookupPlan = Plan & { op: 'lookup' }

// Fields of a row: the ordinal of its change.
const sourceAt = 0
const offsetAt = 1
const ownNumbers = 2

export function lookup(plan: LookupPlan, left: Columns, right: Columns): Operator {
  return new Lookup(plan, left, right)
}

class Lookup implements Operator {
  readonly kind = 'lookup'
  readonly alone = true
  readonly asks = true
  readonly tables
  private readonly plan: LookupPlan
  private readonly left: Columns
  private readonly layout
  private readonly leftKey
  private readonly keyParts: readonly KeyPart[]
  private readonly encodeLeft
  private readonly encodeRight
  private readonly where
  private readonly writer = new KeyWriter()

  constructor(plan: LookupPlan, left: Columns, right: Columns) {
    this.plan = plan
    this.left = left
    this.layout = rowLayout(right, ownNumbers)
    this.leftKey = evaluator(plan.leftKeys)
    this.keyParts = plan.leftKeys.map((e, i) => ({ column: i, type: e.type }))
    this.encodeLeft = keyEncoder(this.keyParts)
    this.encodeRight = keyEncoder(plan.rightKeys.map((k) => ({ column: k, type: right[k]!.type })))
    this.where = plan.where === null ? null : compileFilter(plan.where)
    this.tables = [{ name: 'table', ...this.layout.fields, runs: { whole: false } }]
  }
  rebuild(): void {}
  evict([table]: readonly StateTable[], bytes: number): void {
    evictRows(table!, bytes, (id) => [id])
  }
  waits(): boolean {
    return false
  }

  step(
    [table]: readonly StateTable[],
    [left = emptyBatch, right = emptyBatch]: readonly Batch[],
    { nowUs }: StepTime,
  ): Batch {
    for (let row = 0; row < right.count; row++) this.change(table!, right, row)
    if (left.count === 0) return emptyBatch
    const { batch, columns, failed: keyless } = this.leftKey(left, nowUs)
    const { batch: pairs, matched } = this.pairs(table!, batch, { ...batch, columns })
    if (this.where === null) return { ...pairs, failed: joinFailures(keyless, null, this.left) }
    const { batch: kept, failed } = keepMatches(this.plan, this.where, { pairs, matched }, nowUs)
    return { ...kept, failed: joinFailures(keyless, failed, this.left) }
  }
  /** Left rows with what they met; those that met nothing, with NULLs, only where somebody still asks for them. */
  private pairs(table: StateTable, left: Batch, keys: Batch): { batch: Batch; matched: boolean[] } {
    const { where, plan, layout } = this
    const keepsAll = where !== null || plan.kind === 'left'
    const rights = plan.right.columns.map(({ type }) => columnBuilder(type, left.count))
    const origins = new PairOrigins(left.count)
    const matched: boolean[] = []
    const rows = lentInts(left.count)
    let count = 0
    for (let row = 0; row < left.count; row++) {
      const id = this.find(table, keys, row)
      if (where !== null) matched.push(id >= 0)
      if (id >= 0) {
        const at = id * table.spec.numbers
        layout.read(table, id, rights)
        origins.push(left.rows, row, table.numbers[at + sourceAt]!, table.numbers[at + offsetAt]!)
      } else if (keepsAll) {
        for (const builder of rights) builder.pushNull()
        origins.pushAlone(left.rows, row)
      } else continue
      rows[count++] = row
    }
    if (count === 0) return { batch: emptyBatch, matched }
    const { columns, rows: places } = count === left.count ? left : gatherBatch(left, rows, count)
    return {
      batch: {
        count,
        columns: [...columns, ...rights.map((builder) => builder.done())],
        weights: null,
        rows: { ...places, origins: origins.done() },
        late: null,
        failed: null,
      },
      matched,
    }
  }
  /** The row of a key that is withdrawn goes, unless it was replaced. */
  private change(table: StateTable, batch: Batch, row: number): void {
    const { writer } = this
    writer.length = 0
    this.encodeRight(writer, batch, row)
    let id = this.present(table)
    if (batch.weights !== null && batch.weights[row]! < 0) {
      if (id >= 0) table.remove(id)
      return
    }
    if (id >= 0) table.touch(id)
    else id = table.add(writer)
    const at = id * table.spec.numbers
    table.numbers[at + sourceAt] = batch.rows.source[row]!
    table.numbers[at + offsetAt] = batch.rows.offset[row]!
    this.layout.write(table, id, batch, row)
  }
  private find(table: StateTable, keys: Batch, row: number): number {
    if (anyNull(this.keyParts, keys, row)) return -1
    this.writer.length = 0
    this.encodeLeft(this.writer, keys, row)
    return this.present(table)
  }
  /** The row whose key is in `writer`, from a file where it lies there; −1: there is none. */
  private present(table: StateTable): number {
    const { writer } = this
    const id = table.find(writer)
    if (id >= 0 || table.runs === null || table.runs.rows === 0) return id
    return table.runs.take(table, writer.bytes, writer.length, writer.length)
  }
}
