/**
 * What aggregates keep of single values, in a table of its own: what DISTINCT has seen (`distinct.ts`), and the candidates
 * of a MIN or MAX whose input may shrink: bags of values per group and aggregate, with counts. An entry's key is the
 * group's key, the aggregate's number, the value's encoding.
 */
import type { DataType } from '../../schema/types.ts'
import type { Value } from '../expression.ts'
import { KeyWriter, writeKey } from '../key.ts'
import { SortedIds } from '../sorted.ts'
import type { Distinct } from './distinct.ts'
import type { StateTable, TableSpec } from '../state.ts'

/** Of aggregates over an input that only grows. */
export const memberTable: TableSpec = { name: 'members', numbers: 1, values: 1 }

export class Members {
  readonly spec: TableSpec
  readonly distinct: Distinct
  private readonly types: readonly (DataType | null)[]
  /** Per group and aggregate, in the order of values. */
  private groups = new Map<number, (SortedIds | undefined)[]>()
  private readonly writer = new KeyWriter()

  /** `types`: of the values of extremes, by aggregate; null: it is none. */
  constructor(types: readonly (DataType | null)[], distinct: Distinct) {
    this.types = types
    this.distinct = distinct
    // Values that only come are found by the indexes of DISTINCT.
    const areIndexed = distinct.grows && types.every((type) => type === null)
    this.spec = { ...memberTable, numbers: distinct.fields, ...(areIndexed ? { found: 'elsewhere' as const } : {}) }
  }
  rebuild(table: StateTable, groupOf: (stateKey: Uint8Array) => number): void {
    this.groups = new Map()
    this.distinct.clear()
    const seen = new Map<number, { id: number; group: number }[]>()
    for (const id of table.all()) {
      const stateKey = table.stateKeyOf(id)
      const aggregate = table.keyOf(id)[stateKey.length]!
      const group = groupOf(stateKey)
      if (this.types[aggregate] !== null) this.sorted(table, group, aggregate).add(id)
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
  drop(table: StateTable, group: number): void {
    this.distinct.drop(table, group)
    for (const sorted of this.groups.get(group) ?? []) for (const id of sorted ?? []) table.remove(id)
    this.groups.delete(group)
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
