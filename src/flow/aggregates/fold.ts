/**
 * Several aggregates over one group: their fields in the group's row, their filters, their DISTINCT. What GROUP BY and
 * OVER share.
 */
import type { Batch, Column } from '../batch.ts'
import type { ColumnBuilder, NumberBuilder } from '../columns.ts'
import { valueAt } from '../batch.ts'
import type { Aggregate, Expression, Value } from '../expression.ts'
import { type Evaluated, evaluator } from '../evaluate.ts'
import { lentDoubles } from '../lent-arrays.ts'
import type { StateTable } from '../state.ts'
import { type Accumulator, type Fields, type RowFields, accumulator, addOneByOne } from './accumulator.ts'
import { Distinct } from './distinct.ts'
import { Members } from './members.ts'

type Role = 'plain' | 'distinct' | 'extreme'
interface Part {
  readonly aggregate: Aggregate
  readonly role: Role
  /** null: an extreme, its values are members. */
  readonly accumulator: Accumulator | null
  /** Positions of argument and filter among the evaluated columns; −1 = none. */
  readonly arg: number
  readonly filter: number
  /** First fields in the row. */
  readonly numbersAt: number
  readonly valuesAt: number
}

export class Fold {
  readonly numbers: number
  readonly values: number
  readonly members: Members | null
  private readonly parts: readonly Part[]
  private readonly evaluate: (batch: Batch, nowUs: number) => Evaluated
  private columns: readonly Column[] = []
  private readonly passes: (part: number, row: number) => boolean
  // Where the fields of each row's group begin.
  private at = new Int32Array(0)
  private valuesAt = new Int32Array(0)
  private bits = new Int32Array(0)

  /** Fields from `numbersAt` and `valuesAt` on. `grows`: no weight is ever negative. */
  constructor(aggregates: readonly Aggregate[], grows: boolean, numbersAt: number, valuesAt: number) {
    const expressions: Expression[] = []
    const known = new Map<string, number>()
    const position = (e: Expression | null | undefined): number => {
      if (e === null || e === undefined) return -1
      // The same column again: DISTINCTs of it share what they keep.
      const name = e.kind === 'column' ? `${e.index}` : null
      const at = (name === null ? undefined : known.get(name)) ?? expressions.push(e) - 1
      if (name !== null) known.set(name, at)
      return at
    }
    let numbers = numbersAt
    let values = valuesAt
    this.parts = aggregates.map((aggregate) => {
      const role = roleOf(aggregate, grows)
      const part: Part = {
        aggregate,
        role,
        accumulator: role === 'extreme' ? null : accumulator(aggregate, role === 'plain' && grows),
        arg: position(aggregate.args[0]),
        filter: position(aggregate.filter),
        numbersAt: numbers,
        valuesAt: values,
      }
      numbers += part.accumulator?.numbers ?? 0
      values += part.accumulator?.values ?? 0
      return part
    })
    this.numbers = numbers
    this.values = values
    this.evaluate = evaluator(expressions)
    const extremes = this.parts.map((p) => (p.role === 'extreme' ? p.aggregate.args[0]!.type : null))
    const distinct = this.parts.flatMap(({ role, aggregate, arg }, part) =>
      role === 'distinct' ? [{ part, arg, type: aggregate.args[0]!.type }] : [],
    )
    this.members =
      distinct.length > 0 || extremes.some((type) => type !== null)
        ? new Members(extremes, new Distinct(distinct, grows, this.parts.length))
        : null
    this.passes = (part, row) => {
      const { filter } = this.parts[part]!
      return filter < 0 || isTrue(this.columns[filter]!, row)
    }
  }
  /** Computes arguments and filters of a batch's rows; `add` then refers to the rows of what it returns. */
  prepare(input: Batch, nowUs: number): Evaluated {
    const evaluated = this.evaluate(input, nowUs)
    this.resume(evaluated)
    return evaluated
  }
  /** Back to a batch that was prepared before another. */
  resume({ columns, batch }: Evaluated): void {
    this.columns = columns
    this.members?.distinct.use(columns, batch.count)
  }
  /** Adds a row of the prepared batch to a group. */
  add(table: StateTable, group: number, members: StateTable | undefined, row: number, weight: number): void {
    const n = group * table.spec.numbers
    const v = group * table.spec.values
    if (members !== undefined)
      for (const set of this.members!.distinct.sets)
        this.members!.distinct.take(set, { groups: table, members, group, row, weight, passes: this.passes })
    for (let p = 0; p < this.parts.length; p++) {
      const part = this.parts[p]!
      if (part.filter >= 0 && !this.passes(p, row)) continue
      const value = part.arg < 0 ? null : valueAt(this.columns[part.arg]!, row, part.aggregate.args[0]!.type)
      if (part.arg >= 0 && value === null) continue
      if (part.role === 'extreme') this.members!.add({ groups: table, members: members! }, group, p, value, weight)
      const change = part.role === 'distinct' ? this.members!.distinct.changes[p]! : weight
      if (change !== 0) part.accumulator?.add(table, n + part.numbersAt, v + part.valuesAt, value, change)
    }
  }
  /**
   * Adds one group to another, over an input that only grows; the other stays as it is. The prepared batch must be resumed
   * then.
   */
  merge(table: StateTable, members: StateTable | undefined, into: number, from: number): void {
    this.mergeRows(table, into, table, from)
    const { numbers, values } = table.spec
    if (members === undefined) return
    this.members!.distinct.merge(table, members, into, from, (p, value) => {
      const part = this.parts[p]!
      part.accumulator!.add(table, into * numbers + part.numbersAt, into * values + part.valuesAt, value, 1)
    })
  }
  /** The same of what is in the groups' rows alone, which may lie apart. */
  mergeRows(to: RowFields, into: number, of: RowFields, from: number): void {
    const { numbers, values } = to.spec
    for (const { accumulator: one, role, numbersAt, valuesAt } of this.parts) {
      if (role !== 'plain') continue
      const [n, v] = [into * numbers + numbersAt, into * values + valuesAt]
      one!.merge(to, n, v, of, from * numbers + numbersAt, from * values + valuesAt)
    }
  }
  /** Adds rows of the prepared batch, aggregate by aggregate: row i to the group `groups[i]`, −1 = to none. */
  addAll(
    table: StateTable,
    groups: Int32Array,
    members: StateTable | undefined,
    count: number,
    weights: Float64Array | null,
  ): void {
    if (this.at.length < count) {
      this.at = new Int32Array(count)
      this.valuesAt = new Int32Array(count)
    }
    const { at, valuesAt } = this
    const { numbers, values } = table.spec
    const changes = members === undefined ? null : this.takeDistinct(table, groups, members, count, weights)
    for (let p = 0; p < this.parts.length; p++) {
      const part = this.parts[p]!
      const type = part.aggregate.args[0]?.type ?? null
      const column = part.arg < 0 ? null : this.columns[part.arg]!
      const change = changes?.[p] ?? null
      const filter = part.filter < 0 ? null : this.columns[part.filter]!
      for (let i = 0; i < count; i++) {
        const group = groups[i]!
        const passes = group >= 0 && (filter === null || isTrue(filter, i)) && (change === null || change[i] !== 0)
        at[i] = passes ? group * numbers + part.numbersAt : -1
        valuesAt[i] = group * values + part.valuesAt
      }
      if (part.accumulator === null) {
        for (let i = 0; i < count; i++) {
          if (at[i]! < 0) continue
          const value = valueAt(column!, i, type!)
          const weight = weights === null ? 1 : weights[i]!
          if (value !== null) this.members!.add({ groups: table, members: members! }, groups[i]!, p, value, weight)
        }
        continue
      }
      const additions = { fields: table, at, valuesAt, count, column, type, weights: change ?? weights }
      if (part.accumulator.addAll === undefined) addOneByOne(part.accumulator, additions)
      else part.accumulator.addAll(additions)
    }
  }
  /** For each row a bit for each of the parts whose filter lets it pass. */
  private passing(parts: readonly number[], count: number): Int32Array {
    if (this.bits.length < count) this.bits = new Int32Array(count)
    const { bits } = this
    bits.fill(0, 0, count)
    for (let b = 0; b < parts.length; b++) {
      const { filter } = this.parts[parts[b]!]!
      const column = filter < 0 ? null : this.columns[filter]!
      for (let i = 0; i < count; i++) if (column === null || isTrue(column, i)) bits[i]! |= 1 << b
    }
    return bits
  }
  /** What became of the values of DISTINCTs, by aggregate and row. */
  private takeDistinct(
    groups: StateTable,
    groupOf: Int32Array,
    members: StateTable,
    count: number,
    weights: Float64Array | null,
  ): (Float64Array | null)[] {
    const { distinct } = this.members!
    const changes = this.parts.map(({ role }) => (role === 'distinct' ? lentDoubles(count).fill(0, 0, count) : null))
    const taking = { groups, members, group: 0, row: 0, weight: 1, passes: this.passes }
    for (const set of distinct.sets) {
      if (distinct.grows) {
        distinct.takeAll(set, { groups, members, groupOf, count, passing: this.passing(set.parts, count), changes })
        continue
      }
      for (let row = 0; row < count; row++) {
        const group = groupOf[row]!
        if (group < 0) continue
        taking.group = group
        taking.row = row
        taking.weight = weights === null ? 1 : weights[row]!
        distinct.take(set, taking)
        for (let b = 0; b < set.parts.length; b++) {
          const part = set.parts[b]!
          changes[part]![row] = distinct.changes[part]!
        }
      }
    }
    return changes
  }
  /** A result of the row whose fields begin at `n` and `v`. */
  result(p: number, fields: Fields, n: number, v: number): Value {
    const part = this.parts[p]!
    return part.accumulator!.result(fields, n + part.numbersAt, v + part.valuesAt)
  }
  /** Results into `into`, from position `at` on. */
  results(table: StateTable, group: number, members: StateTable | undefined, into: Value[], at: number): void {
    this.resultsOf(table, group * table.spec.numbers, group * table.spec.values, into, at)
    for (let p = 0; p < this.parts.length; p++) {
      const part = this.parts[p]!
      if (part.accumulator !== null) continue
      into[at + p] =
        part.aggregate.name === 'min'
          ? this.members!.least(members!, group, p)
          : this.members!.greatest(members!, group, p)
    }
  }
  /** The same of fields that lie elsewhere; extremes that may shrink are not in them and stay as they are in `into`. */
  resultsOf(fields: Fields, n: number, v: number, into: Value[], at: number): void {
    for (let p = 0; p < this.parts.length; p++)
      if (this.parts[p]!.accumulator !== null) into[at + p] = this.result(p, fields, n, v)
  }
  /** The same put into builders, from the one at position `at` on; there are no extremes that may shrink. */
  pushResults(fields: Fields, n: number, v: number, into: readonly ColumnBuilder[], at: number): void {
    for (let p = 0; p < this.parts.length; p++) {
      const { accumulator: one, numbersAt, valuesAt } = this.parts[p]!
      // A count is a bigint, for which there are number builders.
      if (one!.isNumber === true) (into[at + p] as NumberBuilder).pushNumber(fields.numbers[n + numbersAt]!)
      else into[at + p]!.push(one!.result(fields, n + numbersAt, v + valuesAt))
    }
  }
  /** True where a result of one row is surely another than that of the other. */
  differs(a: Float64Array, n: number, b: Float64Array, other: number): boolean {
    for (let p = 0; p < this.parts.length; p++) {
      const { accumulator: one, numbersAt } = this.parts[p]!
      if (one?.isNumber === true && a[n + numbersAt] !== b[other + numbersAt]) return true
    }
    return false
  }
  /** Some of its results are not made of the group's row alone. */
  get hasExtremes(): boolean {
    return this.parts.some((p) => p.role === 'extreme')
  }
}
/** Of a column of booleans. */
function isTrue(column: Column, row: number): boolean {
  if (column.valid !== null && column.valid[row] === 0) return false
  return column.kind === 'f64' && column.data[row] === 1
}
function roleOf(aggregate: Aggregate, grows: boolean): Role {
  const isExtreme = aggregate.name === 'min' || aggregate.name === 'max'
  if (isExtreme) return grows ? 'plain' : 'extreme'
  return aggregate.distinct && aggregate.args.length > 0 ? 'distinct' : 'plain'
}
