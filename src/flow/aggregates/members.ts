/**
 * Bags of values per group and aggregate, with counts: what DISTINCT has seen, and the candidates of a MIN or MAX whose
 * input may shrink. An entry's key is the group's key, the aggregate's number, the value's encoding.
 */
import type { DataType } from '../../schema/types.ts'
import type { Value } from '../expression.ts'
import { KeyWriter, writeKey } from '../key.ts'
import { SortedIds } from '../sorted.ts'
import type { StateTable, TableSpec } from '../state.ts'

export const memberTable: TableSpec = { name: 'members', numbers: 1, values: 1 }

export class Members {
  private readonly types: readonly (DataType | null)[]
  /** Per group and aggregate, in the order of values. */
  private groups = new Map<number, (SortedIds | undefined)[]>()
  private readonly writer = new KeyWriter()

  /** Types of the values kept, by aggregate; null where an aggregate keeps none. */
  constructor(types: readonly (DataType | null)[]) {
    this.types = types
  }
  rebuild(table: StateTable, groupOf: (stateKey: Uint8Array) => number): void {
    this.groups = new Map()
    for (const id of table.all()) {
      const stateKey = table.stateKeyOf(id)
      this.sorted(table, groupOf(stateKey), table.keyOf(id)[stateKey.length]!).add(id)
    }
  }
  /**
   * Counts a value up or down. Says what became of it: 1 = came into the bag, −1 = left it, 0 = neither.
   */
  add(table: StateTable, group: number, groupKey: KeyWriter, aggregate: number, value: Value, weight: number): number {
    const { writer } = this
    writer.length = 0
    writer.reserve(groupKey.length)
    writer.bytes.set(groupKey.bytes.subarray(0, groupKey.length))
    writer.length = groupKey.length
    writer.byte(aggregate)
    writeKey(writer, value, this.types[aggregate]!)
    let id = table.find(writer)
    const before = id < 0 ? 0 : table.numbers[id]!
    if (id < 0) {
      id = table.add(writer, groupKey.length)
      table.values[id] = value instanceof Uint8Array ? Buffer.from(value) : value
      this.sorted(table, group, aggregate).add(id)
    } else table.touch(id)
    const after = before + weight
    table.numbers[id] = after
    if (after === 0) {
      this.sorted(table, group, aggregate).remove(id)
      table.remove(id)
    }
    if (before <= 0 && after > 0) return 1
    return before > 0 && after <= 0 ? -1 : 0
  }
  least(table: StateTable, group: number, aggregate: number): Value {
    return this.value(table, this.groups.get(group)?.[aggregate]?.first())
  }
  greatest(table: StateTable, group: number, aggregate: number): Value {
    return this.value(table, this.groups.get(group)?.[aggregate]?.last())
  }
  /** Removes all of a group. */
  drop(table: StateTable, group: number): void {
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
