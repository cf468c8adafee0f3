/**
 * OVER (PARTITION BY … ORDER BY event time …) over an append-only input: each row once, when what its calls look at is
 * certain, and nothing is ever restated.
 *
 * A row waits until the watermark has passed it; then the rows of a partition lie in the order of (event time, the rest of
 * the order, ordinal), whatever order they came in. One that looks ahead also waits until so many rows behind it have been
 * passed, or all within the range. What goes out in one step is in the order of (event time, ordinal). A row that the
 * watermark had passed when it arrived is late. State: the rows that wait and those that frames still reach back to; one row
 * of sums and places per partition. Where all frames reach back a range of time, a partition goes when the watermark is so
 * far ahead of its last row.
 *
 * Partitions in which no row waits go to files (`spill-runs.ts`) where memory has no room for them, and come back when a row of
 * theirs comes or when it is time to forget them; rows of sums by themselves, unless they have values beside them.
 */
import { assert } from '../../lib/assert.ts'
import type { Columns } from '../../schema/types.ts'
import { type Batch, emptyBatch } from '../batch.ts'
import type { Value } from '../expression.ts'
import { KeyWriter } from '../key.ts'
import type { Operator, State, StepTime } from '../operator.ts'
import { OverCalls, reach } from '../over-calls.ts'
import { OverRows, ownAt as givenAt, placeOf } from '../over-rows.ts'
import type { PlanOf } from '../plan.ts'
import { compareOrdinals, LateCollector, Output, writeOrdinal } from '../row-store.ts'
import { SortedIds } from '../sorted.ts'
import { evictRows } from '../spill-runs.ts'
import type { StateTable } from '../state.ts'

export function over(plan: PlanOf<'over'>, input: Columns): Operator {
  assert(plan.time !== null && plan.keep === null, 'what waits is ordered by event time, and given whole')
  return new Over(plan, input, plan.time)
}

interface Partition {
  readonly key: string
  /** In order. */
  readonly ids: number[]
  /** How many of them the watermark is known to have passed, and how many of those have been given. */
  passed: number
  given: number
  /** The last row given, while it waits for its end; −1 = it does not. */
  ending: number
}

class Over implements Operator {
  readonly kind = 'over'
  readonly tables
  private readonly plan: PlanOf<'over'>
  private readonly time: number
  private readonly rows: OverRows
  private readonly calls: OverCalls
  private readonly aheadRows: number
  private readonly aheadUs: number
  private readonly key = new KeyWriter()
  private partitions = new Map<string, Partition>()
  /** Rows that the watermark has not passed; those whose range it has not passed. By event time. */
  private passing!: SortedIds
  private ranging!: SortedIds
  private waiting = 0
  /** How far all calls look back, µs; null: they count rows. */
  private readonly backUs: number | null
  /** The last row given of each partition that goes with time. */
  private ending!: SortedIds
  /** Partitions whose last rows lie within so much are in files together. */
  private readonly lotUs: number
  /** Those whose last rows lie before have been looked at. */
  private endedUs = -Infinity

  constructor(plan: PlanOf<'over'>, input: Columns, time: number) {
    this.plan = plan
    this.time = time
    this.rows = new OverRows(plan, input)
    this.calls = new OverCalls(plan.calls, plan.order, input)
    const { all, rows, range } = reach(plan.calls, 'following')
    assert(!all, 'what waits does not look at everything that may come')
    this.aheadRows = rows
    this.aheadUs = range ?? 0
    const back = reach(plan.calls, 'preceding')
    this.backUs = back.all || back.rows > 0 ? null : (back.range ?? 0)
    this.lotUs = Math.max(1_000_000, Math.ceil((this.backUs ?? 0) / lotsPerReach))
    const [sums, ...members] = this.calls.tables
    this.tables = [this.rows.spec, members.length === 0 ? { ...sums!, runs: { whole: false } } : sums!, ...members]
  }
  rebuild([table, ...folded]: State): void {
    this.partitions = new Map()
    this.passing = new SortedIds((a, b) => compareOrdinals(table!, a, b))
    this.ranging = new SortedIds((a, b) => compareOrdinals(table!, a, b))
    this.ending = new SortedIds((a, b) => compareOrdinals(table!, a, b))
    this.waiting = 0
    this.endedUs = -Infinity
    this.calls.rebuild(folded)
    for (const id of table!.all()) this.partition(table!.stateKeyOf(id).toString('latin1')).ids.push(id)
    for (const partition of this.partitions.values()) {
      partition.ids.sort((a, b) => table!.compareKeys(a, b))
      partition.given = partition.ids.findLastIndex((id) => isGiven(table!, id)) + 1
      partition.passed = partition.given
      for (const id of partition.ids.slice(partition.given)) this.wait(id)
      this.willEnd(partition)
    }
  }
  private wait(id: number): void {
    this.waiting++
    this.passing.add(id)
    if (this.aheadUs > 0) this.ranging.add(id)
  }
  waits([table]: State): boolean {
    if (this.backUs !== null && table!.runs !== null && table!.runs.rows > 0) return true
    return this.waiting + this.ending.count > 0
  }
  private partition(key: string): Partition {
    let partition = this.partitions.get(key)
    if (partition === undefined)
      this.partitions.set(key, (partition = { key, ids: [], passed: 0, given: 0, ending: -1 }))
    return partition
  }

  step([table, ...folded]: State, [batch = emptyBatch]: readonly Batch[], time: StepTime): Batch {
    const late = new LateCollector()
    this.take(table!, batch, time, late)
    const touched = new Set<string>()
    this.pass(table!, time.watermark, touched)
    if (time.watermark === Infinity)
      for (const [key, { given, ids }] of this.partitions) if (given < ids.length) touched.add(key)
    const given: { id: number; values: Value[] }[] = []
    const gone: number[] = []
    for (const key of touched) this.give(table!, folded, this.partitions.get(key)!, time.watermark, given, gone)
    const out = new Output(this.plan.columns)
    given.sort((a, b) => compareOrdinals(table!, a.id, b.id))
    for (const { id, values } of given) this.rows.push(table!, id, values, 1, out)
    for (const id of gone) table!.remove(id)
    this.end(table!, folded, time.watermark)
    return out.done(late.done())
  }
  private take(table: StateTable, batch: Batch, time: StepTime, late: LateCollector): void {
    const times = batch.columns[this.time]
    for (let row = 0; row < batch.count; row++) {
      const valid = times!.valid === null || times!.valid[row] === 1
      const micros = valid && times!.kind === 'f64' ? times!.data[row]! : NaN
      const ms = Math.floor(micros / 1000)
      if (!valid || ms <= batch.rows.watermark[row]!) late.add(batch.rows, row, false)
      else if (ms <= time.before) late.add(batch.rows, row, true)
      else this.keep(table, batch, row, micros)
    }
  }
  private keep(table: StateTable, batch: Batch, row: number, micros: number): void {
    this.rows.begin(batch, row)
    const key = this.rows.partitionKey()
    const partition = this.partitions.get(key) ?? this.bring(table, key)
    writeOrdinal(table, this.rows.writer, batch.rows, row)
    const id = this.rows.add(table, batch, row)
    // The column of the order is its time, whatever the record's was.
    table.numbers[id * table.spec.numbers] = micros
    partition.ids.splice(placeOf(table, partition.ids, id), 0, id)
    this.wait(id)
  }
  /** The partition of the row whose key is written, with what is of it in files. */
  private bring(table: StateTable, key: string): Partition {
    const partition = this.partition(key)
    if (table.runs === null || table.runs.rows === 0) return partition
    this.putBack(table, partition, table.runs.takeAll(table, this.rows.writer.bytes, this.rows.partitionLength))
    return partition
  }
  private putBack(table: StateTable, partition: Partition, ids: readonly number[]): void {
    for (const id of ids.toSorted((a, b) => table.compareKeys(a, b))) partition.ids.push(id)
    partition.passed = partition.given = ids.length
    this.willEnd(partition)
  }
  /** Those whose last rows may be out of reach. */
  private bringEnding(table: StateTable, watermark: number): void {
    const { runs } = table
    if (runs === null || this.backUs === null) return
    const reachedUs = (watermark + 1) * 1000 - this.backUs
    while (runs.rows > 0 && runs.firstLot * this.lotUs < reachedUs) {
      const back = Map.groupBy(runs.takeLot(table, runs.firstLot), (id) => table.stateKeyOf(id).toString('latin1'))
      for (const [key, ids] of back) this.putBack(table, this.partition(key), ids)
    }
    this.endedUs = reachedUs
  }
  evict([table, sums]: State, bytes: number): void {
    const used = table!.usedBytes + sums!.usedBytes
    const lotOf = new Map<number, number>()
    const letGo = (id: number): readonly number[] => {
      const partition = this.partitions.get(table!.stateKeyOf(id).toString('latin1'))
      if (partition === undefined || partition.given < partition.ids.length) return []
      const lot = this.backUs === null ? 0 : Math.floor(timeOf(table!, partition.ids.at(-1)!) / this.lotUs)
      // It is about to be forgotten.
      if (this.backUs !== null && lot * this.lotUs < this.endedUs) return []
      for (const one of partition.ids) lotOf.set(one, lot)
      if (partition.ending >= 0) this.ending.remove(partition.ending)
      this.partitions.delete(partition.key)
      return partition.ids
    }
    evictRows(table!, (bytes * table!.usedBytes) / used, letGo, (id) => lotOf.get(id)!)
    evictRows(sums!, (bytes * sums!.usedBytes) / used, (id) => [id])
  }
  /** The row of sums of the partition whose key is in `key`; −1: there is none. */
  private sumsOf(sums: StateTable): number {
    const id = sums.find(this.key)
    if (id >= 0 || sums.runs === null || sums.runs.rows === 0) return id
    return sums.runs.take(sums, this.key.bytes, this.key.length, this.key.length)
  }
  /** Counts what the watermark has passed; tells whose rows that may make certain. */
  private pass(table: StateTable, watermark: number, touched: Set<string>): void {
    const taken = (sorted: SortedIds, aheadUs: number, act: (partition: Partition) => void): void => {
      for (let id = sorted.first(); id !== undefined; id = sorted.first()) {
        if (Math.floor((timeOf(table, id) + aheadUs) / 1000) > watermark) break
        sorted.shift()
        const partition = this.partitions.get(table.stateKeyOf(id).toString('latin1'))!
        act(partition)
        touched.add(partition.key)
      }
    }
    taken(this.passing, 0, (partition) => partition.passed++)
    taken(this.ranging, this.aheadUs, () => {})
  }
  /** Gives the rows of a partition that are certain now. */
  private give(
    table: StateTable,
    folded: State,
    partition: Partition,
    watermark: number,
    given: { id: number; values: Value[] }[],
    gone: number[],
  ): void {
    const { ids, given: from, passed } = partition
    let to = from
    while (to < passed && this.isCertain(table, ids[to]!, to, passed, watermark)) to++
    if (to === from) return
    this.key.length = 0
    this.key.reserve(partition.key.length)
    this.key.length = this.key.bytes.write(partition.key, 'latin1')
    const [sums] = folded
    let id = this.sumsOf(sums!)
    if (id < 0) id = sums!.add(this.key)
    else sums!.touch(id)
    const values = this.calls.evaluate(folded, id, this.rows.list(table, ids, passed), {
      from,
      to,
      fresh: false,
    })
    for (let row = from; row < to; row++) given.push({ id: ids[row]!, values: values[row - from]! })
    this.waiting -= to - from
    const { keptFrom } = this.calls
    for (let row = Math.max(from, keptFrom); row < to; row++) {
      table.touch(ids[row]!)
      table.numbers[ids[row]! * table.spec.numbers + givenAt] = 1
    }
    for (const id of ids.splice(0, keptFrom)) gone.push(id)
    this.calls.drop(sums!, id, keptFrom)
    partition.given = to - keptFrom
    partition.passed -= keptFrom
    this.willEnd(partition)
    if (ids.length > 0) return
    this.partitions.delete(partition.key)
    if (this.backUs !== null) this.calls.forget(folded, id)
  }
  private willEnd(partition: Partition): void {
    if (this.backUs === null) return
    if (partition.ending >= 0) this.ending.remove(partition.ending)
    partition.ending = partition.ids[partition.given - 1] ?? -1
    if (partition.ending >= 0) this.ending.add(partition.ending)
  }
  /** Partitions whose last rows no later one reaches back to: they begin anew. */
  private end(table: StateTable, folded: State, watermark: number): void {
    this.bringEnding(table, watermark)
    for (let last = this.ending.first(); last !== undefined; last = this.ending.first()) {
      if (timeOf(table, last) + this.backUs! >= (watermark + 1) * 1000) return
      this.ending.shift()
      const key = Buffer.from(table.stateKeyOf(last))
      const partition = this.partitions.get(key.toString('latin1'))!
      partition.ending = -1
      // What still waits comes back here.
      if (partition.given < partition.ids.length) continue
      this.key.length = 0
      table.writeKeyOf(last, this.key)
      this.key.length = key.length
      this.calls.forget(folded, this.sumsOf(folded[0]!))
      this.partitions.delete(key.toString('latin1'))
      for (const id of partition.ids) table.remove(id)
    }
  }
  private isCertain(table: StateTable, id: number, row: number, passed: number, watermark: number): boolean {
    if (watermark === Infinity) return true
    if (row + this.aheadRows >= passed) return false
    return this.aheadUs === 0 || Math.floor((timeOf(table, id) + this.aheadUs) / 1000) <= watermark
  }
}
/** How finely partitions are put together by when they are forgotten. */
const lotsPerReach = 8
const timeOf = (table: StateTable, id: number): number => table.numbers[id * table.spec.numbers]!
const isGiven = (table: StateTable, id: number): boolean => table.numbers[id * table.spec.numbers + givenAt] === 1
