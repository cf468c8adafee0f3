/**
 * The rows of one input of a join: in a table by (key, row), and in lists by key. A list is read in the order of its rows'
 * key bytes. Over an input that only grows, a row's key ends with its ordinal, so rows nearly always come in that order;
 * a list that got one out of order is sorted when it is read next.
 */
import type { Columns } from '../schema/types.ts'
import { type Batch, type Column, gatherColumn } from './batch.ts'
import { columnBuilder } from './columns.ts'
import { instead } from '../lib/free.ts'
import { KeyIndex, longerInts } from './key-index.ts'
import { KeyWriter, type KeyPart, anyNull, keyEncoder } from './key.ts'
import { lentBytes, lentInts } from './lent-arrays.ts'
import { closeMsOfRow, OpenWindows } from './open-windows.ts'
import type { Room } from './operator.ts'
import type { Ordinal } from './pair-provenance.ts'
import { Output, type RowLayout, newestOffsets, rowLayout, writeOrdinal } from './row-store.ts'
import { evictKeys, keepAway } from './spill.ts'
import type { StateTable, TableSpec } from './state.ts'

// Fields of a row: time (µs) and ordinal of what it came from last, the watermark that stood before it; then, where they
// matter, its copies, those of its partners, and the watermark that lets it go.
const timeAt = 0
const sourceAt = 1
const offsetAt = 2
const watermarkAt = 3
const restAt = 4
const none = -1
const rebuiltRows = 4096

export interface SideOptions {
  readonly columns: Columns
  readonly keys: readonly number[]
  readonly grows: boolean
  /** Which of its rows stand in the result by themselves: those with partners, those without, or none. */
  readonly alone: 'with' | 'without' | 'never'
  readonly windowEnd: number | null
}
interface Taken {
  /** The stored row of each row of the batch; −1: its key holds a NULL. */
  readonly ids: Int32Array
  readonly isNew: Uint8Array
}
/** Rows of a batch of the other side. */
interface Others {
  readonly keys: readonly Column[]
  readonly ids: Int32Array
  readonly count: number
}
/** A row of a batch, and which of its partners. */
export interface PairPlace {
  row: number
  partner: number
}
export const firstPair = (): PairPlace => ({ row: 0, partner: none })
interface Partners {
  /** Rows of the batch, and who is a partner of each; one pair after the other. */
  readonly rows: Int32Array
  readonly partners: Int32Array
  readonly count: number
}

export class JoinSide {
  readonly spec: TableSpec
  readonly columns: Columns
  readonly layout: RowLayout
  private readonly options: SideOptions
  private readonly keyParts: readonly KeyPart[]
  private readonly encodeKey
  private readonly encodeRow
  private readonly writer = new KeyWriter()
  // Where the fields are that not every side has; −1 = it has none.
  private readonly copiesAt: number
  private readonly partnersAt: number
  private readonly closeAt: number
  /** Which rows wait for which watermark to go. */
  private open = new OpenWindows()
  /** Keys with rows in files, by the same. */
  private awayOpen = new OpenWindows()
  /** Rows touched in this step: how many times each stood in the result before. */
  private touched = new Map<number, number>()
  private readonly newest = newestOffsets()

  // By key: the first and last row of its list, and whether that is in order. By row: its neighbours and its key.
  private readonly index: KeyIndex
  private first = new Int32Array(16).fill(none)
  private last = new Int32Array(16)
  private unordered = new Int32Array(16)
  // The ordinal of the last row that was appended or sorted there: no row of a list that is in order has a larger one.
  private lastSource = new Int32Array(16)
  private lastOffset = new Float64Array(16)
  private next = new Int32Array(64)
  private previous = new Int32Array(64)
  private entryOf = new Int32Array(64)
  // Pairs found; used again and again.
  private rows = new Int32Array(256)
  private partners = new Int32Array(256)
  /** By row: which of the partners read last it was, if it was one. */
  private readAs = new Int32Array(64)

  constructor(name: string, options: SideOptions) {
    const { columns, keys, grows, alone, windowEnd } = options
    this.options = options
    this.columns = columns
    let own = restAt
    this.copiesAt = grows && alone === 'never' ? none : own++
    this.partnersAt = alone === 'never' ? none : own++
    this.closeAt = windowEnd === null ? none : own++
    this.layout = rowLayout(columns, own)
    this.spec = {
      name,
      ...this.layout.fields,
      ...(grows ? { found: 'elsewhere' as const } : {}),
      spills: true,
    }
    this.keyParts = keys.map((k) => ({ column: k, type: columns[k]!.type }))
    this.index = new KeyIndex(this.keyParts.map(({ type }) => type))
    this.encodeKey = keyEncoder(this.keyParts)
    this.encodeRow = keyEncoder(columns.map((c, i) => ({ column: i, type: c.type })))
  }
  rebuild(table: StateTable): void {
    this.touched = new Map()
    this.open = new OpenWindows()
    if (table.spill === null || table.spill.rows === 0) this.awayOpen = new OpenWindows()
    keepAway(this.index, table)
    this.first.fill(none)
    // Rows in files are not looked at.
    if (table.spill === null || table.spill.rows === 0) this.newest.clear()
    let ids: number[] = []
    for (const id of table.all()) {
      const at = id * table.spec.numbers
      this.newest.saw(table.numbers[at + sourceAt]!, table.numbers[at + offsetAt]!)
      if (this.closeAt >= 0) this.open.add(table.numbers[at + this.closeAt]!, id)
      if (ids.push(id) === rebuiltRows) {
        this.indexAll(table, ids)
        ids = []
      }
    }
    this.indexAll(table, ids)
  }
  private indexAll(table: StateTable, ids: readonly number[]): void {
    const builders = this.columns.map(({ type }) => columnBuilder(type, ids.length))
    for (const id of ids) this.layout.read(table, id, builders)
    this.index.use(this.keysOf({ columns: builders.map((builder) => builder.done()) }))
    for (let i = 0; i < ids.length; i++) this.append(table, this.index.add(i), ids[i]!)
  }
  /** The key's columns of a batch of this side. */
  keysOf(batch: Pick<Batch, 'columns'>): readonly Column[] {
    return this.options.keys.map((k) => batch.columns[k]!)
  }
  /** Rows that wait for a watermark. */
  get waiting(): number {
    return this.open.count + this.awayOpen.count
  }

  // Lists.

  private append(table: StateTable, entry: number, id: number): void {
    if (entry >= this.first.length) {
      const before = this.first.length
      this.first = longerInts(this.first, entry + 1).fill(none, before)
      this.last = longerInts(this.last, entry + 1)
      this.unordered = longerInts(this.unordered, entry + 1)
      this.lastSource = longerInts(this.lastSource, entry + 1)
      this.lastOffset = instead(new Float64Array(this.lastSource.length), this.lastOffset)
    }
    if (id >= this.next.length) {
      this.next = longerInts(this.next, id + 1)
      this.previous = longerInts(this.previous, id + 1)
      this.entryOf = longerInts(this.entryOf, id + 1)
    }
    this.entryOf[id] = entry
    this.next[id] = none
    const isFirst = this.first[entry] === none
    this.previous[id] = isFirst ? none : this.last[entry]!
    if (isFirst) {
      this.first[entry] = id
      this.unordered[entry] = 0
    } else {
      const last = this.last[entry]!
      this.next[last] = id
      if (this.unordered[entry] === 0 && !this.isInOrder(table, entry, last, id)) this.unordered[entry] = 1
    }
    this.isLast(table, entry, id)
  }
  private isLast({ numbers, spec }: StateTable, entry: number, id: number): void {
    this.last[entry] = id
    this.lastSource[entry] = numbers[id * spec.numbers + sourceAt]!
    this.lastOffset[entry] = numbers[id * spec.numbers + offsetAt]!
  }
  /** What memory had no room for comes back behind the others: the list is sorted when it is read. */
  private takeBack(table: StateTable, entry: number): void {
    const ids = table.spill!.take(table, entry)
    for (const id of ids) {
      this.append(table, entry, id)
      if (this.closeAt < 0) continue
      this.awayOpen.remove(this.closeOf(table, id), entry)
      this.open.add(this.closeOf(table, id), id)
    }
    if (this.closeAt >= 0) return
    for (const id of ids) if (table.isOld(id)) this.forget(table, id)
  }
  /** Moves rows of keys that were not asked for lately to files, until so many bytes are gone. Only between ticks. */
  evict(table: StateTable, bytes: number): void {
    evictKeys(table, this.index, bytes, (entry) => {
      const ids: number[] = []
      for (let id = this.first[entry]!; id !== none; id = this.next[id]!) ids.push(id)
      this.first[entry] = none
      if (this.closeAt >= 0 && ids.length > 0) this.closesAway(table, entry, ids)
      return ids
    })
  }
  /** Rows of a key go together with their window, also from files. */
  private closesAway(table: StateTable, entry: number, ids: readonly number[]): void {
    const closeMs = this.closeOf(table, ids[0]!)
    // Older rows of it may be there already.
    this.awayOpen.remove(closeMs, entry)
    this.awayOpen.add(closeMs, entry)
    for (const id of ids) this.open.remove(this.closeOf(table, id), id)
  }
  private closeOf(table: StateTable, id: number): number {
    return table.numbers[id * table.spec.numbers + this.closeAt]!
  }
  private isInOrder(table: StateTable, entry: number, last: number, id: number): boolean {
    const { numbers, spec } = table
    const at = id * spec.numbers
    // The last row itself may lie anywhere in memory.
    const isBehind =
      this.lastSource[entry] === numbers[at + sourceAt] && this.lastOffset[entry]! < numbers[at + offsetAt]!
    return (this.options.grows && isBehind) || table.compareKeys(last, id) < 0
  }
  private unlink(id: number): void {
    const entry = this.entryOf[id]!
    const next = this.next[id]!
    const previous = this.previous[id]!
    if (next === none && previous === none) {
      this.first[entry] = none
      return this.index.remove(entry)
    }
    if (previous === none) this.first[entry] = next
    else this.next[previous] = next
    if (next === none) this.last[entry] = previous
    else this.previous[next] = previous
  }
  private order(table: StateTable, entry: number): void {
    const ids: number[] = []
    for (let id = this.first[entry]!; id !== none; id = this.next[id]!) ids.push(id)
    ids.sort((a, b) => table.compareKeys(a, b))
    for (let i = 0; i < ids.length; i++) {
      this.previous[ids[i]!] = ids[i - 1] ?? none
      this.next[ids[i]!] = ids[i + 1] ?? none
    }
    this.first[entry] = ids[0]!
    this.isLast(table, entry, ids.at(-1)!)
    this.unordered[entry] = 0
  }
  /** Rows here whose key is that of a row of a batch of the other side, from a place on, which moves; valid until asked again. */
  partnersOf(table: StateTable, { keys, ids, count: rows }: Others, place: PairPlace, room: Room): Partners {
    let count = 0
    let bytes = 0
    this.index.use(keys)
    if (place.row === 0 && place.partner === none) this.index.bringNear(rows)
    for (; place.row < rows; place.row++) {
      if (ids[place.row]! < 0) continue
      let id = place.partner === none ? this.firstPartner(table, place.row) : place.partner
      place.partner = none
      for (; id !== none; id = this.next[id]!) {
        if (this.copiesAt >= 0 && this.copiesOf(table, id) === 0) continue
        if (count >= room.rows || bytes >= room.bytes) {
          place.partner = id
          return { rows: this.rows, partners: this.partners, count }
        }
        if (count === this.rows.length) {
          this.rows = longerInts(this.rows, count + 1)
          this.partners = longerInts(this.partners, count + 1)
        }
        this.rows[count] = place.row
        this.partners[count++] = id
        if (room.bytes < Infinity) bytes += table.bytesOf(id)
      }
    }
    return { rows: this.rows, partners: this.partners, count }
  }
  /**
   * Columns of stored rows, one row for each partner. Many rows of a batch have the same few partners: each is read once, and
   * its texts are shared.
   */
  columnsOf(table: StateTable, partners: Int32Array, count: number): Column[] {
    const unique = lentInts(count)
    const which = lentInts(count)
    let uniques = 0
    for (let i = 0; i < count; i++) {
      const id = partners[i]!
      if (id >= this.readAs.length) this.readAs = longerInts(this.readAs, id + 1)
      let at = this.readAs[id]!
      if (at >= uniques || unique[at] !== id) {
        at = this.readAs[id] = uniques++
        unique[at] = id
      }
      which[i] = at
    }
    const builders = this.columns.map(({ type }) => columnBuilder(type, uniques))
    for (let i = 0; i < uniques; i++) this.layout.read(table, unique[i]!, builders)
    const columns = builders.map((builder) => builder.done())
    return uniques === count ? columns : columns.map((column) => gatherColumn(column, which, count))
  }
  private firstPartner(table: StateTable, row: number): number {
    const entry = this.index.find(row)
    if (entry < 0) return none
    if (table.spill !== null) this.ask(table, entry)
    // What lay in files may all have been removed since.
    if (this.unordered[entry] === 1 && this.first[entry] !== none) this.order(table, entry)
    return this.first[entry]!
  }

  private ask(table: StateTable, entry: number): void {
    if (table.spill!.isAway(entry)) this.takeBack(table, entry)
    else table.spill!.use(entry)
  }
  /** Keeps the rows; those whose key holds a NULL are told to `keyless` if they count without partner. */
  take(table: StateTable, batch: Batch, keyless: (row: number, weight: number) => void): Taken {
    const { grows, alone } = this.options
    const ids = lentInts(batch.count)
    const isNew = lentBytes(batch.count).fill(0, 0, batch.count)
    this.index.use(this.keysOf(batch))
    this.index.bringNear(batch.count)
    const tracks = this.copiesAt >= 0
    for (let row = 0; row < batch.count; row++) {
      const weight = batch.weights === null ? 1 : batch.weights[row]!
      if (anyNull(this.keyParts, batch, row)) {
        ids[row] = -1
        if (alone === 'without') keyless(row, weight)
        continue
      }
      this.writer.length = 0
      this.encodeKey(this.writer, batch, row)
      const stateKey = this.writer.length
      // Where rows are only added, those of one record are told apart by a number: the others need not be there for a new record's.
      const isBeside = grows && this.newest.isBeyond(batch.rows.source[row]!, batch.rows.offset[row]!)
      if (!isBeside && table.spill !== null && table.spill.rows > 0) this.askFor(table, row)
      let id = none
      if (grows) writeOrdinal(table, this.writer, batch.rows, row, this.newest)
      else {
        this.encodeRow(this.writer, batch, row)
        id = table.find(this.writer)
      }
      if (id < 0 && weight < 0 && table.ages !== null) {
        // It has gone already.
        ids[row] = -1
        continue
      }
      if (id < 0) {
        id = this.create(table, batch, row, stateKey)
        isNew[row] = 1
      } else table.touch(id)
      if (tracks) this.note(table, id)
      ids[row] = id
      this.stamp(table, id, batch, row, weight)
      if (isNew[row] === 1) {
        const entry = this.index.add(row)
        this.append(table, entry, id)
        table.spill?.use(entry)
      }
    }
    return { ids, isNew }
  }
  private askFor(table: StateTable, row: number): void {
    const entry = this.index.find(row)
    if (entry >= 0) this.ask(table, entry)
  }
  private create(table: StateTable, batch: Batch, row: number, stateKey: number): number {
    const id = table.add(this.writer, stateKey)
    this.layout.write(table, id, batch, row)
    const { windowEnd, keys } = this.options
    if (windowEnd === null) return id
    const closeMs = closeMsOfRow(batch, keys[windowEnd]!, row)
    table.numbers[id * table.spec.numbers + this.closeAt] = closeMs
    this.open.add(closeMs, id)
    return id
  }
  private stamp(table: StateTable, id: number, { rows }: Batch, row: number, weight: number): void {
    const at = id * table.spec.numbers
    const { numbers } = table
    numbers[at + timeAt] = rows.time[row]!
    numbers[at + sourceAt] = rows.source[row]!
    numbers[at + offsetAt] = rows.offset[row]!
    numbers[at + watermarkAt] = rows.watermark[row]!
    if (this.copiesAt >= 0) numbers[at + this.copiesAt]! += weight
  }
  private readonly ordinal: Ordinal = { time: 0, source: 0, offset: 0, watermark: 0 }
  /** Valid until asked again. */
  ordinalOf({ numbers, spec }: StateTable, id: number): Ordinal {
    const { ordinal } = this
    const at = id * spec.numbers
    ordinal.time = numbers[at + timeAt]!
    ordinal.source = numbers[at + sourceAt]!
    ordinal.offset = numbers[at + offsetAt]!
    ordinal.watermark = numbers[at + watermarkAt]!
    return ordinal
  }
  /** All that it keeps. */
  allRows(table: StateTable): Batch {
    const out = new Output(this.columns)
    for (const id of table.all()) {
      this.layout.read(table, id, out.builders)
      const { source, offset, time, watermark } = this.ordinalOf(table, id)
      out.end(this.copiesOf(table, id), source, offset, time, watermark)
    }
    return out.done()
  }
  copiesOf(table: StateTable, id: number): number {
    return this.copiesAt < 0 ? 1 : table.numbers[id * table.spec.numbers + this.copiesAt]!
  }
  addPartners(table: StateTable, id: number, copies: number): void {
    if (this.partnersAt < 0) return
    table.touch(id)
    this.note(table, id)
    table.numbers[id * table.spec.numbers + this.partnersAt]! += copies
  }
  /** Remembers how it stood before the step. */
  private note(table: StateTable, id: number): void {
    if (!this.touched.has(id)) this.touched.set(id, this.standing(table, id))
  }
  /** How many times the row stands in the result by itself. */
  private standing(table: StateTable, id: number): number {
    if (this.partnersAt < 0) return 0
    const hasPartner = table.numbers[id * table.spec.numbers + this.partnersAt]! > 0
    return hasPartner !== (this.options.alone === 'with') ? 0 : this.copiesOf(table, id)
  }
  /** Ends a step: tells what stands in the result more or fewer times than before, and lets go what is over. */
  settle(table: StateTable, watermark: number, changed: (id: number, weight: number) => void): void {
    for (const [id, before] of this.touched) {
      const weight = this.standing(table, id) - before
      if (weight !== 0) changed(id, weight)
    }
    for (const id of this.touched.keys())
      if (this.copiesOf(table, id) === 0) {
        if (this.closeAt >= 0) this.open.remove(this.closeOf(table, id), id)
        this.forget(table, id)
      }
    if (this.touched.size > 0) this.touched.clear()
    // A key that has come back since is in memory, or another's by now.
    for (
      let entries = this.awayOpen.takeClosed(watermark);
      entries !== null;
      entries = this.awayOpen.takeClosed(watermark)
    )
      for (const entry of entries) if (table.spill!.isAway(entry)) this.takeBack(table, entry)
    for (let ids = this.open.takeClosed(watermark); ids !== null; ids = this.open.takeClosed(watermark))
      for (const id of ids) this.forget(table, id)
  }
  /** Rows that were not written for too long; those of the other side that they met stay as they are. */
  forgetOld(table: StateTable): void {
    for (const id of table.takeOld()) {
      const entry = this.entryOf[id]!
      if (table.spill?.isAway(entry) === true) this.takeBack(table, entry)
      this.forget(table, id)
    }
  }
  private forget(table: StateTable, id: number): void {
    this.unlink(id)
    table.remove(id)
  }
}
