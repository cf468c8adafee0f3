/**
 * Sliding windows: all spans of one length whose rows of a key differ, as Kafka Streams has them. One ends with each row's time
 * t: [t − d, t]; and one begins right behind it: [t + 1 ms, t + 1 ms + d], if there are rows in it. Adds window_start and
 * window_end (1 ms behind the last moment that it takes in, as of any window); GROUP BY them and the key does the rest.
 *
 * A row is given once for each window that it is in: for those there are when it comes, and for those that a later row makes.
 * It counts in windows that had not closed by the watermark that stood before it, nor by that before the row which made them:
 * so over whichever interleaving of partitions the same rows are in the same windows. It is late when no window that it could
 * be in is open.
 *
 * State: the rows of open windows. Which windows there are follows from their times, for one that a row made stays open
 * no longer than the row is kept. What is given for a row has its ordinal and its event time, also where it is a row from
 * before in a window that it has made.
 */
import { assert } from '../../lib/assert.ts'
import type { Columns } from '../../schema/types.ts'
import { type Batch, emptyBatch } from '../batch.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import { allRoom, type Operator, type Pieces, type Room, type State, type StepTime } from '../operator.ts'
import { placeOf } from '../over-rows.ts'
import type { PlanOf } from '../plan.ts'
import { LateCollector, Output, newestOffsets, ordinalInKey, rowLayout, writeOrdinal } from '../row-store.ts'
import { SortedIds } from '../sorted.ts'
import type { StateTable } from '../state.ts'

// Fields of a row: event time (ms), ordinal, the watermark that stood before it.
const timeAt = 0
const sourceAt = 1
const offsetAt = 2
const watermarkAt = 3
const ownNumbers = 4

export function slidingWindow(plan: PlanOf<'sliding-window'>, input: Columns): Operator {
  return new SlidingWindows(plan, input)
}

class SlidingWindows implements Operator {
  readonly kind = 'sliding-window'
  readonly tables
  private readonly plan: PlanOf<'sliding-window'>
  private readonly sizeMs: number
  private readonly encode
  private readonly layout
  private readonly writer = new KeyWriter()
  private readonly newest = newestOffsets()
  /** Rows of a key, by time. */
  private readonly keys = new Map<string, number[]>()
  /** All rows, by time. */
  private leaving!: SortedIds

  constructor(plan: PlanOf<'sliding-window'>, input: Columns) {
    this.plan = plan
    this.sizeMs = plan.sizeMs
    this.encode = keyEncoder(plan.keys.map((k) => ({ column: k, type: input[k]!.type })))
    this.layout = rowLayout(input, ownNumbers)
    this.tables = [{ name: 'rows', ...this.layout.fields }]
  }
  rebuild([rows]: State): void {
    this.keys.clear()
    this.newest.clear()
    this.leaving = new SortedIds((a, b) => timeOf(rows!, a) - timeOf(rows!, b) || rows!.compareKeys(a, b))
    for (const id of rows!.all()) {
      const stateKey = rows!.stateKeyOf(id)
      // Behind it the key has the time.
      const { source, offset } = ordinalInKey(rows!.keyOf(id), stateKey.length + 8)
      this.newest.saw(source, offset)
      this.rowsOf(stateKey.toString('latin1')).push(id)
      this.leaving.add(id)
    }
    for (const ids of this.keys.values()) ids.sort((a, b) => rows!.compareKeys(a, b))
  }
  waits(): boolean {
    return this.leaving.count > 0
  }
  private rowsOf(key: string): number[] {
    let ids = this.keys.get(key)
    if (ids === undefined) this.keys.set(key, (ids = []))
    return ids
  }

  step(state: State, batches: readonly Batch[], time: StepTime): Batch {
    const { done, value } = this.pieces(state, batches, time, allRoom).next()
    assert(done === true, 'all has room in one piece')
    return value
  }
  *pieces([rows]: State, [batch = emptyBatch]: readonly Batch[], time: StepTime, room: Room): Pieces {
    const late = new LateCollector()
    let out = new Output(this.plan.columns)
    for (let row = 0; row < batch.count; row++) {
      if (out.count >= room.rows) {
        yield out.done()
        out = new Output(this.plan.columns)
      }
      const column = batch.columns[this.plan.time]!
      const isThere = column.kind === 'f64' && (column.valid === null || column.valid[row] === 1)
      const timeMs = isThere ? Math.floor(column.data[row]! / 1000) : NaN
      const last = timeMs + this.sizeMs
      if (!Number.isFinite(timeMs) || last <= batch.rows.watermark[row]!) late.add(batch.rows, row, false)
      else if (last <= time.before) late.add(batch.rows, row, true)
      else this.take(rows!, batch, row, timeMs, time.before, out)
    }
    this.leave(rows!, time.watermark)
    return out.done(late.done())
  }
  /** What no open window can have any more, nor be made by. */
  private leave(rows: StateTable, watermark: number): void {
    // How many go of each key: they are its first ones, and go at once.
    const gone = new Map<string, number>()
    for (let id = this.leaving.first(); id !== undefined; id = this.leaving.first()) {
      if (this.endBehind(timeOf(rows, id)) > watermark) break
      this.leaving.shift()
      const key = rows.stateKeyOf(id).toString('latin1')
      const count = gone.get(key) ?? 0
      assert(this.keys.get(key)?.[count] === id, 'rows go in the order of their times')
      gone.set(key, count + 1)
      rows.remove(id)
    }
    for (const [key, count] of gone) {
      const ids = this.keys.get(key)!
      if (count === ids.length) this.keys.delete(key)
      else ids.splice(0, count)
    }
  }
  /** Of the window that begins behind a time. */
  private endBehind(timeMs: number): number {
    return timeMs + 1 + this.sizeMs
  }

  private take(rows: StateTable, batch: Batch, row: number, timeMs: number, before: number, out: Output): void {
    const { writer, sizeMs } = this
    writer.length = 0
    this.encode(writer, batch, row)
    const stateKey = writer.length
    const ids = this.rowsOf(writer.bytes.toString('latin1', 0, stateKey))
    const watermark = batch.rows.watermark[row]!
    const isOpen = (end: number): boolean => end > watermark && end > before
    const ends = this.endsFrom(rows, ids, timeMs)
    const behind = this.endBehind(timeMs)
    const makesOwn = isOpen(timeMs) && !ends.has(timeMs)
    const makesNext = isOpen(behind) && !this.hasEnd(rows, ids, behind)
    if (makesOwn) ends.add(timeMs)
    const id = this.add(rows, ids, batch, row, timeMs, stateKey)
    const give = (one: number, end: number): void => this.give(rows, one, end, { batch, row, id }, out)
    for (const end of [...ends].toSorted((a, b) => a - b)) if (isOpen(end)) give(id, end)
    const fill = (end: number): void => {
      for (let i = firstFrom(rows, ids, end - sizeMs); i < ids.length && timeOf(rows, ids[i]!) <= end; i++)
        if (ids[i] !== id && end > watermarkOf(rows, ids[i]!)) give(ids[i]!, end)
    }
    if (makesOwn) fill(timeMs)
    if (makesNext) fill(behind)
  }
  /** Ends of the windows that a row of this time is in. */
  private endsFrom(rows: StateTable, ids: readonly number[], timeMs: number): Set<number> {
    const ends = new Set<number>()
    for (let i = firstFrom(rows, ids, timeMs - 1 - this.sizeMs); i < ids.length; i++) {
      const time = timeOf(rows, ids[i]!)
      if (time > timeMs + this.sizeMs) break
      if (time < timeMs) ends.add(this.endBehind(time))
      else if (time > watermarkOf(rows, ids[i]!)) ends.add(time)
    }
    return ends
  }
  /** Whether a row has made the window of this end. */
  private hasEnd(rows: StateTable, ids: readonly number[], end: number): boolean {
    const before = ids[firstFrom(rows, ids, end - 1 - this.sizeMs)]
    if (before !== undefined && this.endBehind(timeOf(rows, before)) === end) return true
    for (let i = firstFrom(rows, ids, end); i < ids.length && timeOf(rows, ids[i]!) === end; i++)
      if (end > watermarkOf(rows, ids[i]!)) return true
    return false
  }
  private add(rows: StateTable, ids: number[], batch: Batch, row: number, timeMs: number, stateKey: number): number {
    const { writer } = this
    writer.double(timeMs)
    writeOrdinal(rows, writer, batch.rows, row, this.newest)
    const id = rows.add(writer, stateKey)
    const at = id * rows.spec.numbers
    rows.numbers[at + timeAt] = timeMs
    rows.numbers[at + sourceAt] = batch.rows.source[row]!
    rows.numbers[at + offsetAt] = batch.rows.offset[row]!
    rows.numbers[at + watermarkAt] = batch.rows.watermark[row]!
    this.layout.write(rows, id, batch, row)
    ids.splice(placeOf(rows, ids, id), 0, id)
    this.leaving.add(id)
    return id
  }
  /** The row `one` in a window, because of the row that has come. */
  private give(
    rows: StateTable,
    one: number,
    end: number,
    { batch, row, id }: { readonly batch: Batch; readonly row: number; readonly id: number },
    out: Output,
  ): void {
    this.layout.read(rows, one, out.builders)
    const width = this.plan.columns.length
    out.builders[width - 2]!.push((end - this.sizeMs) * 1000)
    out.builders[width - 1]!.push((end + 1) * 1000)
    if (one === id) return out.endFrom(1, batch.rows, row)
    const { source, offset, time, watermark } = batch.rows
    out.end(1, source[row]!, offset[row]!, time[row]!, Math.max(watermark[row]!, watermarkOf(rows, one)))
    const at = one * rows.spec.numbers
    const places = [rows.numbers[at + sourceAt]!, rows.numbers[at + offsetAt]!]
    const own = [source[row]!, offset[row]!, offset[row]!]
    out.rows.origins(
      [...(places[0]! < 0 ? [] : [places[0]!, places[1]!, places[1]!]), ...(own[0]! < 0 ? [] : own)],
      false,
    )
  }
}
/** The first of the rows that is of this time, or later. */
function firstFrom(rows: StateTable, ids: readonly number[], timeMs: number): number {
  let low = 0
  let high = ids.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (timeOf(rows, ids[middle]!) < timeMs) low = middle + 1
    else high = middle
  }
  return low
}
const timeOf = (rows: StateTable, id: number): number => rows.numbers[id * rows.spec.numbers + timeAt]!
const watermarkOf = (rows: StateTable, id: number): number => rows.numbers[id * rows.spec.numbers + watermarkAt]!
