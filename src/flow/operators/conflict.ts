/**
 * One row for each key, out of rows of which several may have it (ON CONFLICT): the first that came, the last that changed, or an
 * error where there are two.
 *
 * All rows are kept by (key, what tells them apart), with the place in which they came to their key: a row that changes keeps
 * its place where the first counts, and takes the last where that does. What goes uncovers the next. Within a step a row that
 * comes and goes again did not happen, and what goes does so before anything comes.
 * Over an input that only grows nothing is uncovered: there the row that counts is all that is kept.
 * Rows that memory has no room for go to files (`spill-runs.ts`), all of a key.
 */
import { Fault } from '../../lib/fault.ts'
import type { Columns } from '../../schema/types.ts'
import { type Batch, type RowFailure, emptyBatch, valueAt, withoutRows } from '../batch.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import type { Operator, State } from '../operator.ts'
import type { PlanOf } from '../plan.ts'
import { Output, rowLayout } from '../row-store.ts'
import { evictRows } from '../spill-runs.ts'
import type { StateTable } from '../state.ts'

const copiesAt = 0
const placeAt = 1
const sourceAt = 2
const offsetAt = 3
const watermarkAt = 4
const timeAt = 5
const ownNumbers = 6

type ConflictPlan = PlanOf<'conflict'>

/** `grows`: the input never withdraws. */
export const conflict = (plan: ConflictPlan, grows: boolean): Operator => new Conflict(plan, grows)

interface Touched {
  /** The row of the key before the step; −1: it had none. */
  readonly before: number
  readonly ids: number[]
  /** The last place that was given; also one whose row has gone in this step, for that may come back to it. */
  lastPlace: number
  /** Rows of the batch that came to it: id → row. */
  readonly came: Map<number, number>
}

class Conflict implements Operator {
  readonly kind = 'conflict'
  readonly tables
  private readonly plan: ConflictPlan
  private readonly columns: Columns
  private readonly grows: boolean
  private readonly layout
  private readonly encodeKey
  private readonly encodeIdentity
  private readonly encodeRow
  private readonly writer = new KeyWriter()
  /** Ids of a key's rows by their places, of keys that are in memory. */
  private keys = new Map<string, number[]>()

  constructor(plan: ConflictPlan, grows: boolean) {
    const { columns } = plan
    this.plan = plan
    this.columns = columns
    this.grows = grows
    this.layout = rowLayout(columns, ownNumbers)
    const parts = (positions: readonly number[]) => positions.map((column) => ({ column, type: columns[column]!.type }))
    const all = columns.map((_, i) => i)
    this.encodeKey = keyEncoder(parts(plan.key))
    this.encodeIdentity = keyEncoder(parts(plan.identity ?? all))
    this.encodeRow = keyEncoder(parts(all))
    this.tables = [{ name: 'rows', ...this.layout.fields, runs: { whole: true } }]
  }
  rebuild([table]: State): void {
    this.keys = new Map()
    for (const id of table!.all()) {
      const key = table!.stateKeyOf(id).toString('latin1')
      const ids = this.keys.get(key)
      if (ids === undefined) this.keys.set(key, [id])
      else ids.push(id)
    }
    for (const ids of this.keys.values()) ids.sort((a, b) => this.place(table!, a) - this.place(table!, b))
  }
  evict([table]: State, bytes: number): void {
    evictRows(table!, bytes, (id) => {
      const key = table!.stateKeyOf(id).toString('latin1')
      const ids = this.keys.get(key) ?? []
      this.keys.delete(key)
      return ids
    })
  }
  waits(): boolean {
    return false
  }
  content([table]: State): Batch {
    const out = new Output(this.columns)
    for (const ids of this.keys.values()) this.push(table!, this.shown(ids), 1, out)
    return out.done()
  }

  step([table]: State, [batch = emptyBatch]: readonly Batch[]): Batch {
    if (batch.count === 0) return emptyBatch
    const touched = new Map<string, Touched>()
    /** Places of rows that went, by what tells rows apart. */
    const left = new Map<string, number>()
    const changes = this.net(batch)
    for (const { row, weight } of changes) if (weight < 0) this.go(table!, batch, row, { weight, touched, left })
    for (const { row, weight } of changes) if (weight > 0) this.come(table!, batch, row, { weight, touched, left })
    const failures = this.plan.policy === 'error' ? this.refuse(table!, batch, touched) : []
    const out = new Output(this.columns)
    for (const [key, { before, ids }] of touched) {
      const after = this.shown(ids)
      if (ids.length === 0) this.keys.delete(key)
      if (before === after) continue
      if (before >= 0) this.push(table!, before, -1, out)
      if (after >= 0) this.push(table!, after, 1, out)
    }
    return out.done(null, withoutRows(batch, failures).failed)
  }
  /** What a step does to each row, in the order of the batch. */
  private net(batch: Batch): { row: number; weight: number }[] {
    const { weights, count } = batch
    if (weights === null) return Array.from({ length: count }, (_, row) => ({ row, weight: 1 }))
    const rows = new Map<string, { row: number; weight: number }>()
    for (let row = 0; row < count; row++) {
      this.writer.length = 0
      this.encodeRow(this.writer, batch, row)
      const text = this.writer.done().toString('latin1')
      const known = rows.get(text)
      if (known === undefined) rows.set(text, { row, weight: weights[row]! })
      else {
        known.weight += weights[row]!
        known.row = row
      }
    }
    return [...rows.values()].filter(({ weight }) => weight !== 0)
  }
  /** Writes the row's key and what tells it apart; gives the key as text. */
  private locate(table: StateTable, batch: Batch, row: number, touched: Map<string, Touched>) {
    const { writer } = this
    writer.length = 0
    this.encodeKey(writer, batch, row)
    const keyLength = writer.length
    const key = writer.done().toString('latin1')
    let one = touched.get(key)
    if (one === undefined) {
      let ids = this.keys.get(key)
      if (ids === undefined) this.keys.set(key, (ids = this.away(table)))
      const last = ids.at(-1)
      const lastPlace = last === undefined ? 0 : this.place(table, last)
      touched.set(key, (one = { before: this.shown(ids), ids, lastPlace, came: new Map() }))
    }
    this.encodeIdentity(writer, batch, row)
    return { one, keyLength, name: writer.done().toString('latin1'), id: table.find(writer) }
  }
  /** Rows of the key in `writer` that are in files. */
  private away(table: StateTable): number[] {
    const { writer } = this
    if (table.runs === null || table.runs.rows === 0) return []
    const ids = table.runs.takeAll(table, writer.bytes, writer.length)
    return ids.sort((a, b) => this.place(table, a) - this.place(table, b))
  }
  private go(
    table: StateTable,
    batch: Batch,
    row: number,
    { weight, touched, left }: { weight: number; touched: Map<string, Touched>; left: Map<string, number> },
  ): void {
    const { one, id, name } = this.locate(table, batch, row, touched)
    // It was left out when it came.
    if (id < 0) return
    const copies = (table.numbers[id * table.spec.numbers + copiesAt]! += weight)
    if (copies > 0) return table.touch(id)
    left.set(name, this.place(table, id))
    one.ids.splice(one.ids.indexOf(id), 1)
    table.remove(id)
  }
  private come(
    table: StateTable,
    batch: Batch,
    row: number,
    { weight, touched, left }: { weight: number; touched: Map<string, Touched>; left: Map<string, number> },
  ): void {
    const { one, keyLength, id: known, name } = this.locate(table, batch, row, touched)
    const { ids } = one
    const isFirst = this.plan.policy !== 'deduplicate'
    let id = known
    if (id >= 0) {
      table.touch(id)
      table.numbers[id * table.spec.numbers + copiesAt]! += weight
      if (isFirst) return
      ids.splice(ids.indexOf(id), 1)
    } else {
      if (this.grows && this.plan.policy === 'nothing' && ids.length > 0) return
      id = table.add(this.writer, keyLength)
      this.layout.write(table, id, batch, row)
      table.numbers[id * table.spec.numbers + copiesAt] = weight
      one.came.set(id, row)
    }
    const place = (isFirst ? left.get(name) : undefined) ?? ++one.lastPlace
    const at = id * table.spec.numbers
    table.numbers[at + placeAt] = place
    table.numbers[at + sourceAt] = batch.rows.source[row]!
    table.numbers[at + offsetAt] = batch.rows.offset[row]!
    table.numbers[at + watermarkAt] = batch.rows.watermark[row]!
    table.numbers[at + timeAt] = batch.rows.time[row]!
    // What only grows never uncovers them.
    if (this.grows && !isFirst) for (const old of ids.splice(0)) table.remove(old)
    const before = ids.findIndex((other) => this.place(table, other) > place)
    if (before < 0) ids.push(id)
    else ids.splice(before, 0, id)
  }
  /** Rows that came to a key which has one already: they cannot be. */
  private refuse(table: StateTable, batch: Batch, touched: Map<string, Touched>): RowFailure[] {
    const failures: RowFailure[] = []
    for (const { ids, came } of touched.values()) {
      while (ids.length > 1) {
        const id = ids.at(-1)!
        const row = came.get(id)
        if (row === undefined) break
        const key = this.plan.key.map((k) => String(valueAt(batch.columns[k]!, row, this.columns[k]!.type))).join(', ')
        failures.push({ row, fault: new Fault('value.duplicate-key', { key }) })
        ids.pop()
        table.remove(id)
      }
    }
    return failures
  }
  private place(table: StateTable, id: number): number {
    return table.numbers[id * table.spec.numbers + placeAt]!
  }
  private shown(ids: readonly number[]): number {
    return (this.plan.policy === 'deduplicate' ? ids.at(-1) : ids[0]) ?? -1
  }
  private push(table: StateTable, id: number, weight: number, out: Output): void {
    // A row removed in this step is still readable: ids are not used again before the tick ends.
    this.layout.read(table, id, out.builders)
    const at = id * table.spec.numbers
    const { numbers } = table
    out.end(weight, numbers[at + sourceAt]!, numbers[at + offsetAt]!, numbers[at + timeAt]!, numbers[at + watermarkAt]!)
  }
}
