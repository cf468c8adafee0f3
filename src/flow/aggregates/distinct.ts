/**
 * Which values DISTINCT has seen: an entry per group, argument and value. Aggregates over the same argument share it: over
 * an input that only grows it holds a bit for each of them, else a count for each. A value counts for an aggregate when
 * its bit is set, or its count comes above zero. An entry's key is the group's key, the set's number, the value's encoding.
 *
 * Entries that memory has no room for are in files (`spill-runs.ts`): a value that is not in memory is looked for there.
 */
import type { DataType } from '../../schema/types.ts'
import { type Column, valueAt } from '../batch.ts'
import { columnBuilder } from '../columns.ts'
import type { Value } from '../expression.ts'
import { KeyIndex, longerInts } from '../key-index.ts'
import { KeyWriter, writeColumn } from '../key.ts'
import type { StateTable } from '../state.ts'

/** So many bits a number holds that is an int32 to the engine. */
const bitsPerSet = 31
const groupType: DataType = { kind: 'double' }

export interface DistinctPart {
  /** The aggregate's position. */
  readonly part: number
  /** Position of the argument among the evaluated columns. */
  readonly arg: number
  readonly type: DataType
}
interface ValueSet {
  readonly number: number
  readonly arg: number
  readonly type: DataType
  readonly parts: readonly number[]
  readonly index: KeyIndex
  /** Entry of the index → row of the table. */
  rows: Int32Array
  column: Column
}

export class Distinct {
  /** Number fields of an entry. */
  readonly fields: number
  readonly sets: readonly ValueSet[]
  /** No value ever goes. */
  readonly grows: boolean
  private readonly writer = new KeyWriter()
  /**
   * Rows of the table: the entry of the index (−1: it is in no list), the set, the row behind it in the list of its group (−1 = none)
   * and before it (of the first: −1 − the group).
   */
  private entryOf = new Int32Array(64)
  private setOf = new Int32Array(64)
  private next = new Int32Array(64)
  private previous = new Int32Array(64)
  /** Group → the first of its rows + 1. */
  private first = new Int32Array(64)
  /** The group of each row of the batch: what the indexes see as a column. */
  groups = new Float64Array(0)
  /** What became of the value of the row asked about, by aggregate. */
  readonly changes: Float64Array

  constructor(parts: readonly DistinctPart[], grows: boolean, count: number) {
    this.grows = grows
    this.changes = new Float64Array(count)
    const empty: Column = { kind: 'value', data: [], valid: null }
    const sets = [...Map.groupBy(parts, (p) => p.arg).values()].flatMap((of) => (grows ? chunks(of, bitsPerSet) : [of]))
    this.sets = sets.map((of) => ({
      number: of[0]!.part,
      arg: of[0]!.arg,
      type: of[0]!.type,
      parts: of.map((p) => p.part),
      index: new KeyIndex([groupType, of[0]!.type]),
      rows: new Int32Array(16),
      column: empty,
    }))
    this.fields = grows ? 1 : Math.max(1, ...this.sets.map((set) => set.parts.length))
  }
  /** The columns of the rows that `take` is about from now on. */
  use(columns: readonly Column[], count: number): void {
    if (this.groups.length < count) this.groups = new Float64Array(Math.max(count, this.groups.length * 2))
    const groups: Column = { kind: 'f64', data: this.groups, valid: null }
    for (const set of this.sets) {
      set.column = columns[set.arg]!
      set.index.use([groups, set.column])
    }
  }
  /**
   * Takes a row's value for those aggregates of the set whose filters let it pass, and says in `changes` what became of it
   * for each: 1 = came, −1 = went, 0 = neither.
   */
  take(set: ValueSet, { groups, members, group, row, weight, passes }: Taking): void {
    this.groups[row] = group
    const { index, parts } = set
    const isNull = set.column.valid !== null && set.column.valid[row] === 0
    let id = -1
    for (let b = 0; b < parts.length; b++) {
      const part = parts[b]!
      this.changes[part] = 0
      if (isNull || !passes(part, row)) continue
      if (id < 0) {
        const entry = index.add(row)
        id = index.isNew ? this.insert(set, entry, groups, members, group, row) : set.rows[entry]!
      }
      this.changes[part] = this.grows ? this.setBit(members, id, b) : this.count(members, id, b, weight)
    }
    if (id >= 0 && !this.grows && this.isEmpty(members, id)) {
      this.letGo(id)
      members.remove(id)
    }
  }
  /** The same for rows of an input that only grows. */
  takeAll(set: ValueSet, { groups, members, groupOf, count, passing, changes }: TakingAll): void {
    const { index, parts, column } = set
    const { valid } = column
    for (let row = 0; row < count; row++) this.groups[row] = groupOf[row]!
    index.bringNear(count)
    for (let row = 0; row < count; row++) {
      const group = groupOf[row]!
      const bits = passing[row]!
      if (group < 0 || bits === 0 || (valid !== null && valid[row] === 0)) continue
      const entry = index.add(row)
      const id = index.isNew ? this.insert(set, entry, groups, members, group, row) : set.rows[entry]!
      const at = id * members.spec.numbers
      const known = members.numbers[at]!
      const fresh = bits & ~known
      if (fresh === 0) continue
      members.touch(id)
      members.numbers[at] = known | fresh
      for (let b = 0; b < parts.length; b++) if ((fresh & (1 << b)) !== 0) changes[parts[b]!]![row] = 1
    }
  }
  private setBit(members: StateTable, id: number, bit: number): number {
    const at = id * members.spec.numbers
    const mask = members.numbers[at]!
    if ((mask & (1 << bit)) !== 0) return 0
    members.touch(id)
    members.numbers[at] = mask | (1 << bit)
    return 1
  }
  private count(members: StateTable, id: number, of: number, weight: number): number {
    const at = id * members.spec.numbers + of
    const before = members.numbers[at]!
    members.touch(id)
    members.numbers[at] = before + weight
    if (before <= 0) return before + weight > 0 ? 1 : 0
    return before + weight > 0 ? 0 : -1
  }
  private isEmpty(members: StateTable, id: number): boolean {
    for (let f = 0; f < this.fields; f++) if (members.numbers[id * members.spec.numbers + f] !== 0) return false
    return true
  }
  private insert(
    set: ValueSet,
    entry: number,
    groups: StateTable,
    members: StateTable,
    group: number,
    row: number,
  ): number {
    const { writer } = this
    writer.length = 0
    groups.writeKeyOf(group, writer)
    const stateKey = writer.length
    writer.byte(set.number)
    writeColumn(writer, set.column, row, set.type)
    const { runs } = members
    let id = runs !== null && runs.rows > 0 ? runs.take(members, writer.bytes, writer.length, stateKey) : -1
    if (id < 0) {
      id = members.add(writer, stateKey)
      const value = valueAt(set.column, row, set.type)
      members.values[id * members.spec.values] = value instanceof Uint8Array ? Buffer.from(value) : value
    }
    this.link(set, entry, id, group)
    return id
  }
  private link(set: ValueSet, entry: number, id: number, group: number): void {
    if (entry >= set.rows.length) set.rows = longerInts(set.rows, entry + 1)
    set.rows[entry] = id
    if (id >= this.next.length) this.growRows(id)
    if (group >= this.first.length) this.first = longerInts(this.first, group + 1)
    this.entryOf[id] = entry
    this.setOf[id] = set.number
    const first = this.first[group]! - 1
    this.next[id] = first
    this.previous[id] = -1 - group
    if (first >= 0) this.previous[first] = id
    this.first[group] = id + 1
  }
  /** A row that goes, from the table or to a file. */
  letGo(id: number): void {
    if (this.entryOf[id]! < 0) return
    const next = this.next[id]!
    const previous = this.previous[id]!
    if (previous >= 0) this.next[previous] = next
    else this.first[-1 - previous] = next + 1
    if (next >= 0) this.previous[next] = previous
    this.forget(id)
  }
  private forget(id: number): void {
    this.sets.find(({ number }) => number === this.setOf[id])!.index.remove(this.entryOf[id]!)
    this.entryOf[id] = -1
  }
  /** Lets all rows of a group go. */
  letGroupGo(group: number, gone: number[]): void {
    if (group >= this.first.length) return
    for (let id = this.first[group]! - 1; id >= 0; id = this.next[id]!) {
      this.forget(id)
      gone.push(id)
    }
    this.first[group] = 0
  }
  /** Takes the values of one group for another, over an input that only grows; `tell` of those that are new to it. */
  merge(
    groups: StateTable,
    members: StateTable,
    into: number,
    from: number,
    tell: (part: number, value: Value) => void,
  ): void {
    if (from >= this.first.length) return
    const group: Column = { kind: 'f64', data: Float64Array.of(into), valid: null }
    for (let id = this.first[from]! - 1; id >= 0; id = this.next[id]!) {
      const set = this.sets.find(({ number }) => number === this.setOf[id])!
      const value = members.values[id * members.spec.values]!
      const bits = members.numbers[id * members.spec.numbers]!
      const column = columnBuilder(set.type)
      column.push(value)
      set.column = column.done()
      set.index.use([group, set.column])
      const entry = set.index.add(0)
      const other = set.index.isNew ? this.insert(set, entry, groups, members, into, 0) : set.rows[entry]!
      for (let b = 0; b < set.parts.length; b++)
        if ((bits & (1 << b)) !== 0 && this.setBit(members, other, b) === 1) tell(set.parts[b]!, value)
    }
  }
  /** Removes all of a group. */
  drop(members: StateTable, group: number): void {
    const gone: number[] = []
    this.letGroupGo(group, gone)
    for (const id of gone) members.remove(id)
  }

  /** Before rows of the table are told to `rebuild`. */
  clear(): void {
    this.first.fill(0)
    for (const set of this.sets) set.index.clear()
  }
  /** Rows of the table of one set, with their groups. */
  rebuild(members: StateTable, number: number, rows: readonly { readonly id: number; readonly group: number }[]): void {
    const set = this.sets.find((one) => one.number === number)!
    const values = columnBuilder(set.type, rows.length)
    for (const { id } of rows) values.push(members.values[id * members.spec.values] as Value)
    const groups: Column = { kind: 'f64', data: Float64Array.from(rows, ({ group }) => group), valid: null }
    set.index.use([groups, values.done()])
    for (let i = 0; i < rows.length; i++) this.link(set, set.index.add(i), rows[i]!.id, rows[i]!.group)
    // A step may be on its way.
    set.index.use([{ kind: 'f64', data: this.groups, valid: null }, set.column])
  }
  /** A row of the table whose group is not there yet. */
  leaveOut(id: number): void {
    if (id >= this.entryOf.length) this.growRows(id)
    this.entryOf[id] = -1
  }
  private growRows(id: number): void {
    this.entryOf = longerInts(this.entryOf, id + 1)
    this.setOf = longerInts(this.setOf, id + 1)
    this.next = longerInts(this.next, id + 1)
    this.previous = longerInts(this.previous, id + 1)
  }
}
export interface Taking {
  readonly groups: StateTable
  readonly members: StateTable
  readonly group: number
  readonly row: number
  readonly weight: number
  /** Whether an aggregate's filter lets the row pass. */
  readonly passes: (part: number, row: number) => boolean
}
interface TakingAll {
  readonly groups: StateTable
  readonly members: StateTable
  /** By row; −1 = none. */
  readonly groupOf: Int32Array
  readonly count: number
  /** By row a bit for each aggregate of the set whose filter lets it pass. */
  readonly passing: Int32Array
  /** By aggregate and row, all 0: becomes 1 where a value came. */
  readonly changes: readonly (Float64Array | null)[]
}
function chunks<T>(list: readonly T[], size: number): T[][] {
  const pieces: T[][] = []
  for (let at = 0; at < list.length; at += size) pieces.push(list.slice(at, at + size))
  return pieces
}
