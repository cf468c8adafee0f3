/**
 * What aggregates keep of single values, in a table of its own: what DISTINCT has seen (`distinct.ts`), and the candidates
 * of a MIN or MAX whose input may shrink: bags of values per group and aggregate, with counts. An entry's key is the
 * group's key, the aggregate's number, the value's encoding.
 *
 * Where memory has no room for them, values of DISTINCT go to files one by one, and come back so. Those of extremes go with their
 * group, and are all in memory while it is.
 */
import type { DataType } from '../../schema/types.ts'
import type { Value } from '../expression.ts'
import { KeyWriter, writeKey } from '../key.ts'
import { SortedIds } from '../sorted.ts'
import { unusedFor } from '../spill-runs.ts'
import type { Distinct } from './distinct.ts'
import type { StateTable, TableSpec } from '../state.ts'

/** Of aggregates over an input that only grows. */
export const memberTable: TableSpec = { name: 'members', numbers: 1, values: 1 }

export class Members {
  readonly spec: TableSpec
  readonly distinct: Distinct
  /** Of some aggregates it keeps the extremes. */
  readonly hasExtremes: boolean
  private readonly types: readonly (DataType | null)[]
  /** Per group and aggregate, in the order of values. */
  private groups = new Map<number, (SortedIds | undefined)[]>()
  private readonly writer = new KeyWriter()

  /** `types`: of the values of extremes, by aggregate; null: it is none. */
  constructor(types: readonly (DataType | null)[], distinct: Distinct) {
    this.types = types
    this.distinct = distinct
    this.hasExtremes = types.some((type) => type !== null)
    // Values that only come are found by the indexes of DISTINCT.
    const areIndexed = distinct.grows && !this.hasExtremes
    this.spec = { ...memberTable, numbers: distinct.fields, ...(areIndexed ? { found: 'elsewhere' as const } : {}) }
  }
  /** `groupOf`: −1 where the group is still to come, as while state is restored. */
  rebuild(table: StateTable, groupOf: (stateKey: Uint8Array) => number): void {
    this.groups = new Map()
    this.distinct.clear()
    const seen = new Map<number, { id: number; group: number }[]>()
    for (const id of table.all()) {
      const stateKey = table.stateKeyOf(id)
      const aggregate = table.keyOf(id)[stateKey.length]!
      const group = groupOf(stateKey)
      if (group < 0) this.distinct.leaveOut(id)
      else if (this.types[aggregate] !== null) this.sorted(table, group, aggregate).add(id)
      else if (seen.has(aggregate)) seen.get(aggregate)!.push({ id, group })
      else seen.set(aggregate, [{ id, group }])
    }
    for (const [aggregate, rows] of seen) this.distinct.rebuild(table, aggregate, rows)
  }
  /** Counts a value of an extreme up or down. */
  add(
    { groups, members: table }: { readonly groups: StateTable; readonly members: StateTable },
    group: number,
    aggregate: number,
    value: Value,
    weight: number,
  ): void {
    const { writer } = this
    writer.length = 0
    groups.writeKeyOf(group, writer)
    const stateKey = writer.length
    writer.byte(aggregate)
    writeKey(writer, value, this.types[aggregate]!)
    let id = table.find(writer)
    const before = id < 0 ? 0 : table.numbers[id * table.spec.numbers]!
    if (id < 0) {
      id = table.add(writer, stateKey)
      table.values[id] = value instanceof Uint8Array ? Buffer.from(value) : value
      this.sorted(table, group, aggregate).add(id)
    } else table.touch(id)
    const after = before + weight
    table.numbers[id * table.spec.numbers] = after
    if (after === 0) {
      this.sorted(table, group, aggregate).remove(id)
      table.remove(id)
    }
  }
  least(table: StateTable, group: number, aggregate: number): Value {
    return this.value(table, this.groups.get(group)?.[aggregate]?.first())
  }
  greatest(table: StateTable, group: number, aggregate: number): Value {
    return this.value(table, this.groups.get(group)?.[aggregate]?.last())
  }
  /** Removes all of a group. */
  drop(groups: StateTable, table: StateTable, group: number): void {
    this.distinct.drop(table, group)
    for (const sorted of this.groups.get(group) ?? []) for (const id of sorted ?? []) table.remove(id)
    this.groups.delete(group)
    const { runs } = table
    if (runs !== null && runs.rows > 0) for (const id of runs.takeAll(table, groups.keyOf(group))) table.remove(id)
  }

  // To files and back.

  /** Values that were not used lately, for so many bytes: they are forgotten. */
  letGo(table: StateTable, bytes: number, gone: number[]): void {
    for (const id of unusedFor(table, bytes, () => gone.length)) {
      if (this.types[table.keyOf(id)[table.stateKeyOf(id).length]!] !== null) continue
      this.distinct.letGo(id)
      gone.push(id)
    }
  }
  /** All of a group that goes. */
  letGroupGo(group: number, gone: number[]): void {
    this.distinct.letGroupGo(group, gone)
    for (const sorted of this.groups.get(group) ?? []) for (const id of sorted ?? []) gone.push(id)
    this.groups.delete(group)
  }
  /** What a group has to have in memory, where it is in memory itself. */
  bring(groups: StateTable, table: StateTable, group: number): void {
    const { runs } = table
    if (!this.hasExtremes || runs === null || runs.rows === 0) return
    const seen = new Map<number, { id: number; group: number }[]>()
    for (const id of runs.takeAll(table, groups.keyOf(group))) {
      const aggregate = table.keyOf(id)[table.stateKeyOf(id).length]!
      if (this.types[aggregate] !== null) this.sorted(table, group, aggregate).add(id)
      else if (seen.has(aggregate)) seen.get(aggregate)!.push({ id, group })
      else seen.set(aggregate, [{ id, group }])
    }
    for (const [aggregate, rows] of seen) this.distinct.rebuild(table, aggregate, rows)
  }
  private value(table: StateTable, id: number | undefined): Value {
    return id === undefined ? null : table.values[id]!
  }
  private sorted(table: StateTable, group: number, aggregate: number): SortedIds {
    let all = this.groups.get(group)
    if (all === undefined) this.groups.set(group, (all = []))
    return (all[aggregate] ??= new SortedIds((a, b) => table.compareKeys(a, b)))
  }
}
