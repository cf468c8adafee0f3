/**
 * Rows of state that memory has no room for, found in files by their keys alone: of a row that is away nothing is in memory
 * but some bits of a filter. For tables of many small rows, whose keys would take as much memory as the rows do.
 *
 * What goes at a time is a run: rows in the order of the hashes of their state keys, then of their keys, in pages that are
 * read one by one; in memory are where each page begins and a filter of the hashes (Bloom filters in blocks of eight words,
 * one bit of each: Putze, Sanders and Singler, 2007). A row that comes back is dead in its run. Where there are many runs
 * some are merged into one, without the dead (as an LSM tree does: O'Neil et al., 1996). A key is in memory or in one run,
 * never in two, so runs have no order among themselves.
 *
 * Rows may be put together in lots by a number, as the time at which they close: each lot has runs of its own, and all of a lot
 * can be asked for.
 */
import { ByteReader, ByteWriter } from '../lib/bytes.ts'
import { hashKey, mixEnd } from './key.ts'
import { type SpillFiles, TableSpill } from './spill.ts'
import type { StateTable, TableSpec } from './state.ts'

/** What a table says of its rows in runs. */
export interface RunsSpec {
  /** All rows of a state key are in memory, or none is. */
  readonly whole: boolean
}
/** The lot of a row. */
export type LotOf = (id: number) => number

const pageBytes = 4096
/** Of a row in a page, before what the table writes: its place in the order (float64), its length (uint32). */
const headBytes = 12
/** A lot with more runs has so many of the smallest merged. */
const runsMax = 8
const mergedRuns = 6
const oneLot = 0
const keyBits = 20
const keysPerState = 2 ** keyBits
const none = -1

/** State keys by their hashes, keys within one by theirs. */
const orderOf = (stateHash: number, hash: number): number =>
  (stateHash >>> 0) * keysPerState + (hash >>> (32 - keyBits))

class Filter {
  readonly words: Int32Array
  private readonly mask: number

  /** For so many hashes, some 16 to 32 bits each. */
  constructor(hashes: number) {
    let blocks = 1
    while (blocks * 16 < hashes) blocks *= 2
    this.words = new Int32Array(blocks * 8)
    this.mask = blocks - 1
  }
  add(hash: number): void {
    const { words } = this
    const at = (mixEnd(hash) & this.mask) * 8
    for (let i = 0; i < 8; i++) words[at + i]! |= bitOf(hash, i)
  }
  has(hash: number): boolean {
    const { words } = this
    const at = (mixEnd(hash) & this.mask) * 8
    for (let i = 0; i < 8; i++) if ((words[at + i]! & bitOf(hash, i)) === 0) return false
    return true
  }
}
const salts = Int32Array.of(
  0x47b6137b,
  0x44974d91,
  0x8824ad5b,
  0xa2b7289d,
  0x705495c7,
  0x2df1424b,
  0x9efc4947,
  0x5c6bfb31,
)
const bitOf = (hash: number, i: number): number => 1 << (Math.imul(hash, salts[i]!) >>> 27)

interface Run {
  readonly lot: number
  readonly filter: Filter
  // By page: where it lies, how long it is, the first row's place in the order and its number.
  readonly at: Float64Array
  readonly length: Int32Array
  readonly first: Float64Array
  readonly firstRow: Int32Array
  /** A bit for each row that is not there any more. */
  readonly dead: Uint8Array
  rows: number
  bytes: number
}
interface RowPlace {
  readonly run: Run
  readonly row: number
  readonly order: number
  readonly page: Buffer
  /** What the table wrote. */
  readonly from: number
  readonly to: number
}
const isDead = ({ dead }: Run, row: number): boolean => (dead[row >>> 3]! & (1 << (row & 7))) !== 0

/** Writes rows in order as a run. */
class RunWriter {
  private readonly files: SpillFiles
  private readonly lot: number
  private readonly filter: Filter
  private readonly page = new ByteWriter(pageBytes * 2)
  private readonly at: number[] = []
  private readonly length: number[] = []
  private readonly first: number[] = []
  private readonly firstRow: number[] = []
  private rows = 0
  private bytes = 0
  private stateHash = 0

  constructor(files: SpillFiles, lot: number, hashes: number) {
    this.files = files
    this.lot = lot
    this.filter = new Filter(hashes)
  }
  /** `write` appends what the table says of the row. */
  add(order: number, hash: number, stateHash: number, write: (out: ByteWriter) => void): void {
    const { page } = this
    if (page.at >= pageBytes) this.flush()
    if (page.at === 0) {
      this.first.push(order)
      this.firstRow.push(this.rows)
    }
    page.float64(order)
    const at = page.at
    page.int32(0)
    write(page)
    page.buffer.writeUInt32BE(page.at - at - 4, at)
    this.filter.add(hash)
    if (stateHash !== hash && (stateHash !== this.stateHash || this.rows === 0)) this.filter.add(stateHash)
    this.stateHash = stateHash
    this.rows++
  }
  private flush(): void {
    const { page } = this
    this.at.push(this.files.write(page.buffer.subarray(0, page.at)))
    this.length.push(page.at)
    this.bytes += page.at
    page.at = 0
  }
  done(): Run {
    if (this.page.at > 0) this.flush()
    const { lot, filter, rows, bytes } = this
    return {
      ...{ lot, filter, rows, bytes },
      at: Float64Array.from(this.at),
      length: Int32Array.from(this.length),
      first: Float64Array.from(this.first),
      firstRow: Int32Array.from(this.firstRow),
      dead: new Uint8Array((rows >>> 3) + 1),
    }
  }
  /** What was written is of no use. */
  giveUp(): void {
    this.files.free(this.bytes)
  }
}

/** Of one table. */
export class RunSpill {
  /** Rows in files. */
  rows = 0
  private readonly files: SpillFiles
  private readonly spec: RunsSpec
  private runs: Run[] = []
  /** Rows that this tick took back, as the table wrote them. */
  private taken: Buffer[] = []
  private hand = 0
  private tick = 0

  constructor(files: SpillFiles, spec: RunsSpec) {
    this.files = files
    this.spec = spec
    files.add(this)
  }
  /** In memory, of rows that are not. */
  get bytes(): number {
    return this.runs.reduce((sum, run) => sum + run.filter.words.byteLength + run.dead.length + run.at.length * 24, 0)
  }
  /** The smallest number of a lot that has rows here; Infinity: there is none. */
  get firstLot(): number {
    let first = Infinity
    for (const { lot } of this.runs) if (lot < first) first = lot
    return first
  }
  get lots(): Set<number> {
    return new Set(this.runs.map(({ lot }) => lot))
  }

  /** Rows in memory, those that were not written or taken back lately first. Between ticks. */
  *unused(table: StateTable): IterableIterator<number> {
    const { tick } = this
    this.tick = table.tick
    for (const wanted of [false, true])
      for (let looked = 0, end = table.idEnd; looked < end; looked++) {
        if (this.hand >= end) this.hand = 0
        const id = this.hand++
        if (table.isLive(id) && table.isTouchedSince(id, tick) === wanted) yield id
      }
  }
  /** Writes rows and takes them out of the table. Only between ticks. Throws DiskError; the rows are then still there. */
  put(table: StateTable, ids: readonly number[], lotOf?: LotOf): void {
    if (ids.length === 0) return
    const lots = lotOf === undefined ? [[oneLot, ids] as const] : Map.groupBy(ids, lotOf)
    const made: Run[] = []
    for (const [lot, of] of lots) made.push(this.write(table, lot, of))
    for (const id of ids) table.evict(id)
    for (const run of made) {
      this.runs.push(run)
      this.rows += run.rows
      this.mergeSome(run.lot)
    }
  }
  private write(table: StateTable, lot: number, ids: readonly number[]): Run {
    const stateHashes = Int32Array.from(ids, (id) => table.stateHashOf(id))
    const orders = Float64Array.from(ids, (id, i) => orderOf(stateHashes[i]!, table.hashOf(id)))
    const places = Uint32Array.from(ids.keys()).sort((a, b) => orders[a]! - orders[b]!)
    let hashes = ids.length
    for (let i = 0; i < places.length; i++) {
      const place = places[i]!
      const isNext = i === 0 || stateHashes[place] !== stateHashes[places[i - 1]!]
      if (isNext && stateHashes[place] !== table.hashOf(ids[place]!)) hashes++
    }
    const writer = new RunWriter(this.files, lot, hashes)
    try {
      for (const place of places) {
        const id = ids[place]!
        writer.add(orders[place]!, table.hashOf(id), stateHashes[place]!, (out) => table.writeWhole(out, id))
      }
      return writer.done()
    } catch (error) {
      writer.giveUp()
      throw error
    }
  }

  /** The row with this key, back in the table; −1: there is none. `lot`: where it is, if that is known. */
  take(table: StateTable, key: Uint8Array, length: number, stateKeyLength: number, lot?: number): number {
    const place = this.find(key, length, stateKeyLength, lot)
    if (place === null) return none
    return this.bring(table, place)
  }
  /** All rows of a state key, back in the table. */
  takeAll(table: StateTable, stateKey: Uint8Array, length = stateKey.length): number[] {
    const hash = hashKey(stateKey, 0, length)
    const from = orderOf(hash, 0)
    const found: RowPlace[] = []
    for (const run of this.runs)
      if (run.filter.has(hash))
        for (const place of rowsIn(run, this.files, from, from + keysPerState - 1)) {
          const { key, stateKeyLength } = keyAt(place)
          if (stateKeyLength === length && startsWith(key, stateKey, length)) found.push(place)
        }
    return found.map((place) => this.bring(table, place))
  }
  /** All rows of a lot, back in the table. */
  takeLot(table: StateTable, lot: number): number[] {
    const ids: number[] = []
    for (const run of this.runs.filter((one) => one.lot === lot))
      for (const place of rowsIn(run, this.files)) ids.push(this.bring(table, place))
    return ids
  }
  /** All rows of a lot, one after another in another table: they stay here. */
  *visit(table: StateTable, visitors: StateTable, lot: number): IterableIterator<number> {
    for (const run of this.runs.filter((one) => one.lot === lot))
      for (const { page, from, to } of rowsIn(run, this.files)) yield takeRow(visitors, page.subarray(from, to), table)
  }
  private find(key: Uint8Array, length: number, stateKeyLength: number, lot?: number): RowPlace | null {
    const hash = hashKey(key, 0, length)
    for (const run of this.runs) {
      if ((lot !== undefined && run.lot !== lot) || !run.filter.has(hash)) continue
      const order = orderOf(stateKeyLength === length ? hash : hashKey(key, 0, stateKeyLength), hash)
      for (const place of rowsIn(run, this.files, order, order)) {
        const one = keyAt(place).key
        if (one.length === length && startsWith(one, key, length)) return place
      }
    }
    return null
  }
  private bring(table: StateTable, place: RowPlace): number {
    const { page, from, to } = place
    // The page itself would be kept for the sake of one row.
    const row = Buffer.from(page.subarray(from, to))
    this.lose(place)
    this.taken.push(row)
    return takeRow(table, row)
  }
  private lose({ run, row, from, to }: RowPlace): void {
    const length = headBytes + to - from
    run.dead[row >>> 3]! |= 1 << (row & 7)
    run.rows--
    run.bytes -= length
    this.rows--
    this.files.free(length)
    if (run.rows === 0) this.runs.splice(this.runs.indexOf(run), 1)
  }

  // Of the table, in the course of ticks.

  commit(): void {
    if (this.taken.length > 0) this.taken = []
  }
  /** After the table went back: what was taken is taken again, and stays. */
  undo(table: StateTable): void {
    for (const row of this.taken) takeRow(table, row)
    this.commit()
  }
  clear(): void {
    this.runs = []
    this.rows = 0
    this.taken = []
    this.hand = 0
    this.files.clear()
  }
  /** The changelog is about to give a row, or its removal: what is here of it, or of all its state key, is not away any more. */
  restoring(table: StateTable, key: Uint8Array, stateKeyLength: number): void {
    if (this.rows === 0) return
    if (this.spec.whole) {
      this.takeAll(table, key, stateKeyLength)
      this.commit()
      return
    }
    const place = this.find(key, key.length, stateKeyLength)
    if (place !== null) this.lose(place)
  }

  // Merging.

  private mergeSome(lot: number): void {
    const runs = this.runs.filter((run) => run.lot === lot)
    if (runs.length <= runsMax) return
    const smallest = runs.sort((a, b) => a.rows - b.rows).slice(0, mergedRuns)
    this.replace(smallest, this.merged(lot, smallest))
    for (const { bytes } of smallest) this.files.free(bytes)
  }
  /** For `SpillFiles.compact`, which counts anew: what is dead is left out. */
  writeAnew(): void {
    for (const lot of this.lots) {
      const runs = this.runs.filter((run) => run.lot === lot)
      this.replace(runs, this.merged(lot, runs))
    }
  }
  private replace(old: readonly Run[], run: Run): void {
    this.runs = [...this.runs.filter((one) => !old.includes(one)), run]
  }
  private merged(lot: number, runs: readonly Run[]): Run {
    // At most as many hashes of state keys as there are rows.
    const hashes = runs.reduce((sum, { rows }) => sum + rows, 0) * (this.hasStateKeys(runs) ? 2 : 1)
    const writer = new RunWriter(this.files, lot, hashes)
    const heads = runs.map((run) => rowsIn(run, this.files)).map((rows) => ({ rows, next: rows.next() }))
    for (;;) {
      let least: { readonly rows: Rows; next: IteratorResult<RowPlace, void> } | null = null
      for (const head of heads)
        if (head.next.done !== true && (least === null || head.next.value.order < least.next.value!.order)) least = head
      if (least === null) return writer.done()
      const place = least.next.value!
      const { key, stateKeyLength } = keyAt(place)
      const hash = hashKey(key, 0, key.length)
      const stateHash = stateKeyLength === key.length ? hash : hashKey(key, 0, stateKeyLength)
      writer.add(place.order, hash, stateHash, (out) => out.raw(place.page.subarray(place.from, place.to)))
      least.next = least.rows.next()
    }
  }
  private hasStateKeys(runs: readonly Run[]): boolean {
    return runs.some((run) => {
      const first = rowsIn(run, this.files).next()
      if (first.done === true) return false
      const { key, stateKeyLength } = keyAt(first.value)
      return stateKeyLength < key.length
    })
  }
}

type Rows = Generator<RowPlace, void, void>
/** Rows of a run that are not dead, of places in the order between these, both included. */
function* rowsIn(run: Run, files: SpillFiles, from = -Infinity, to = Infinity): Rows {
  const { first } = run
  for (let n = pageBefore(first, from); n < first.length && first[n]! <= to; n++) {
    const page = files.read(run.at[n]!, run.length[n]!)
    let row = run.firstRow[n]!
    for (let at = 0; at < page.length; row++) {
      const order = page.readDoubleBE(at)
      const end = at + headBytes + page.readUInt32BE(at + 8)
      if (order > to) return
      if (order >= from && !isDead(run, row)) yield { run, row, order, page, from: at + headBytes, to: end }
      at = end
    }
  }
}
/** The last page that begins before this place: equal ones may begin in it. */
function pageBefore(first: Float64Array, order: number): number {
  let low = 0
  let high = first.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (first[middle]! < order) low = middle + 1
    else high = middle
  }
  return Math.max(0, low - 1)
}
function keyAt({ page, from, to }: Pick<RowPlace, 'page' | 'from' | 'to'>) {
  const input = new ByteReader(page, from, to)
  const stateKeyLength = input.uvarint()
  return { stateKeyLength, key: input.raw(input.uvarint()) }
}
function startsWith(bytes: Uint8Array, by: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[i] !== by[i]) return false
  return true
}
/** `of`: the table that wrote it. */
function takeRow(table: StateTable, bytes: Buffer, of = table): number {
  const input = new ByteReader(bytes)
  const stateKeyLength = input.uvarint()
  const key = input.raw(input.uvarint())
  const row = input.raw(input.uint32())
  return table.takeBack(key, stateKeyLength, row, of.ages === null ? null : input.float64())
}

/** Gives a table the files that it may put rows into. */
export function spillTo(files: SpillFiles, table: StateTable): void {
  const { spills, runs } = table.spec
  if (spills === true) table.spill = new TableSpill(files)
  if (runs !== undefined) table.runs = new RunSpill(files, runs)
}
/** Its rows go to files where memory has no room for them. */
export const maySpill = ({ spills, runs }: TableSpec): boolean => spills === true || runs !== undefined
/**
 * Moves rows that were not used lately to files until so many bytes are gone. `letGo` forgets a row and gives all rows that go
 * with it; none, where it has gone with another already or has to stay.
 */
export function evictRows(
  table: StateTable,
  bytes: number,
  letGo: (id: number) => Iterable<number>,
  lotOf?: LotOf,
): void {
  const { runs } = table
  if (runs === null) return
  const ids: number[] = []
  for (const id of unusedFor(table, bytes, () => ids.length)) for (const one of letGo(id)) ids.push(one)
  runs.put(table, ids, lotOf)
  table.shrink()
}
/** Rows to let go for so many bytes, while those that `count` says have gone are too few. */
export function* unusedFor(table: StateTable, bytes: number, count: () => number): IterableIterator<number> {
  if (table.runs === null || table.count === 0) return
  const wanted = Math.ceil(bytes / (table.usedBytes / table.count))
  for (const id of table.runs.unused(table)) {
    if (count() >= wanted) return
    yield id
  }
}
