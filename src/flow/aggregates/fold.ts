/**
 * Several aggregates over one group: their fields in the group's row, their filters, their DISTINCT. What GROUP BY and
 * OVER share.
 */
import type { Batch, Column } from '../batch.ts'
import { valueAt } from '../batch.ts'
import type { Aggregate, Expression, Value } from '../expression.ts'
import type { KeyWriter } from '../key.ts'
import { type Evaluated, evaluator } from '../evaluate.ts'
import type { StateTable } from '../state.ts'
import { type Accumulator, accumulator } from './accumulator.ts'
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

  /** Fields from `numbersAt` and `valuesAt` on. `grows`: no weight is ever negative. */
  constructor(aggregates: readonly Aggregate[], grows: boolean, numbersAt: number, valuesAt: number) {
    const expressions: Expression[] = []
    const position = (e: Expression | null | undefined): number =>
      e === null || e === undefined ? -1 : expressions.push(e) - 1
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
    const kept = this.parts.map((p) => (p.role === 'plain' ? null : p.aggregate.args[0]!.type))
    this.members = kept.some((t) => t !== null) ? new Members(kept) : null
  }
  /** Computes arguments and filters of a batch's rows; `add` then refers to the rows of what it returns. */
  prepare(input: Batch, nowUs: number): Evaluated {
    const evaluated = this.evaluate(input, nowUs)
    this.columns = evaluated.columns
    return evaluated
  }
  /** Back to a batch that was prepared before another. */
  resume({ columns }: Evaluated): void {
    this.columns = columns
  }
  /** Adds a row of the prepared batch to a group. */
  add(
    table: StateTable,
    group: number,
    members: StateTable | undefined,
    key: KeyWriter,
    row: number,
    weight: number,
  ): void {
    const n = group * table.spec.numbers
    const v = group * table.spec.values
    for (let p = 0; p < this.parts.length; p++) {
      const part = this.parts[p]!
      if (part.filter >= 0 && valueAt(this.columns[part.filter]!, row, boolean) !== true) continue
      const value = part.arg < 0 ? null : valueAt(this.columns[part.arg]!, row, part.aggregate.args[0]!.type)
      if (part.arg >= 0 && value === null) continue
      let change = weight
      if (part.role !== 'plain') change = this.members!.add(members!, group, key, p, value, weight)
      if (change !== 0) part.accumulator?.add(table, n + part.numbersAt, v + part.valuesAt, value, change)
    }
  }
  /** Results into `into`, from position `at` on. */
  results(table: StateTable, group: number, members: StateTable | undefined, into: Value[], at: number): void {
    const n = group * table.spec.numbers
    const v = group * table.spec.values
    for (let p = 0; p < this.parts.length; p++) {
      const part = this.parts[p]!
      if (part.accumulator !== null)
        into[at + p] = part.accumulator.result(table, n + part.numbersAt, v + part.valuesAt)
      else if (part.aggregate.name === 'min') into[at + p] = this.members!.least(members!, group, p)
      else into[at + p] = this.members!.greatest(members!, group, p)
    }
  }
}
const boolean = { kind: 'boolean' } as const
function roleOf(aggregate: Aggregate, grows: boolean): Role {
  const isExtreme = aggregate.name === 'min' || aggregate.name === 'max'
  if (isExtreme) return grows ? 'plain' : 'extreme'
  return aggregate.distinct && aggregate.args.length > 0 ? 'distinct' : 'plain'
}
