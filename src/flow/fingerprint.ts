/**
 * What an operator's state is of, as a hash: equal ones mean that kept state may be read by it. It is taken of the sub-plan
 * in a normal form, so that what does not change rows does not change it: no names, no projections (a column is what it is
 * computed from), filters one behind the other as one set of conditions, fields of a source only where they are used.
 *
 * A form is a base, which says which rows there are, and a hash for each column, which says what of such a row it is. The
 * columns of the two sides of a join are told apart. Operators that keep whole rows of their inputs also depend on which
 * columns these have, in order, as the rows lie in the state so; GROUP BY and sessions do not. User functions are left out.
 */
import { createHash } from 'node:crypto'
import type { Expression, UserFunction } from './expression.ts'
import type { Plan, PlanOf, SourcePlan } from './plan.ts'
import { inputsOf, planText } from './plan-facts.ts'
import type { TableSpec } from './state.ts'

interface Form {
  readonly base: string
  readonly columns: readonly string[]
  /** Of a filter: what it filters, and all conditions so far. */
  readonly filtered?: { readonly base: string; readonly conditions: readonly string[] }
}
const hash = (parts: readonly unknown[]): string =>
  createHash('sha256').update(planText(parts)).digest('hex').slice(0, 32)

/** Of the steps of one plan; each is looked at once. */
export class Fingerprints {
  private readonly forms = new Map<Plan, Form>()

  /** Of what the plan gives: the rows, and in which order and under which names the columns stand. */
  ofResult(plan: Plan): string {
    const { base, columns } = this.form(plan)
    return hash([base, columns, plan.columns.map(({ name, type }) => [name, type])])
  }
  /** Of a source, whichever of its fields are read. */
  ofSource(plan: SourcePlan): string {
    return hash(['clock', this.form(plan).base])
  }
  /** Of a step with these tables. */
  ofState(plan: Plan, tables: readonly TableSpec[]): string {
    const shapes = tables.map(({ name, numbers, values, bytesAt }) => [name, numbers, values, bytesAt ?? -1])
    const rows = keepsRows(plan) ? storedOf(plan).map((one) => this.form(one).columns) : []
    return hash([this.form(plan).base, rows, shapes])
  }

  private form(plan: Plan): Form {
    let form = this.forms.get(plan)
    if (form === undefined) this.forms.set(plan, (form = this.formOf(plan)))
    return form
  }
  private formOf(plan: Plan): Form {
    switch (plan.op) {
      case 'source':
        return sourceForm(plan)
      case 'filter':
        return this.filterForm(plan)
      case 'project': {
        const { columns, ...input } = this.form(plan.input)
        return { ...input, columns: plan.expressions.map((expression) => columnOf(expression, columns)) }
      }
      case 'union':
        return made(plan, ['union', plan.inputs.map((input) => this.plain(input))])
      case 'temporal-join':
      case 'lookup':
      case 'join':
        return this.joinForm(plan)
      case 'process': {
        const input = this.form(plan.input)
        const names = plan.input.columns.map(({ name, type }) => [name, type])
        const states: unknown[] = plan.keyed === undefined ? [] : [plan.keyed.states]
        const { broadcast } = plan
        if (broadcast !== undefined)
          states.push([this.plain(broadcast), broadcast.columns.map(({ name }) => name), plan.keyed!.broadcast])
        return made(plan, ['process', input.base, input.columns, names, plan.key, plan.columns, ...states])
      }
      case 'from-changelog': {
        const { base, columns } = this.form(plan.input)
        const { code, kinds, skips, key } = plan
        const of = hash(['from-changelog', base, columns[code], Object.entries(kinds).toSorted(), skips])
        const out = columns.filter((_, c) => c !== code).map((column) => hash(['changed', of, column]))
        return { base: hash([of, key?.map((position) => out[position]), key === null ? [] : out]), columns: out }
      }
      case 'conflict': {
        const { base, columns } = this.form(plan.input)
        const of = (positions: readonly number[] | null): unknown =>
          positions?.map((position) => columns[position]) ?? null
        return { base: hash(['conflict', base, columns, of(plan.key), of(plan.identity), plan.policy]), columns }
      }
      case 'to-changelog': {
        const { base, columns } = this.form(plan.input)
        const of = [base, columns, plan.key, Object.entries(plan.codes).toSorted()]
        return made(plan, ['to-changelog', ...of])
      }
      default:
        return this.stepForm(plan)
    }
  }
  private plain(plan: Plan): readonly unknown[] {
    const { base, columns } = this.form(plan)
    return [base, columns]
  }
  private filterForm(plan: PlanOf<'filter'>): Form {
    const { columns, base, filtered = { base, conditions: [] } } = this.form(plan.input)
    const parts = plan.where.kind === 'and' ? plan.where.args : [plan.where]
    const found = parts.map((part) => expressionHash(part, columns))
    const conditions = [...new Set([...filtered.conditions, ...found])].toSorted()
    return {
      base: hash(['filter', filtered.base, conditions]),
      columns,
      filtered: { base: filtered.base, conditions },
    }
  }
  private joinForm(plan: PlanOf<'join'> | PlanOf<'temporal-join'> | PlanOf<'lookup'>): Form {
    const [left, right] = [this.form(plan.left), this.form(plan.right)]
    const both = [
      ...left.columns.map((column) => hash(['left', column])),
      ...right.columns.map((column) => hash(['right', column])),
    ]
    const { op, kind, where } = plan
    const keys = plan.leftKeys.map((key, i) => [
      typeof key === 'number' ? left.columns[key] : columnOf(key, left.columns),
      right.columns[plan.rightKeys[i]!],
    ])
    const time = plan.op === 'temporal-join' ? left.columns[plan.leftTime] : null
    const interval = plan.op === 'join' ? intervalOf(plan, left, right) : null
    const windowEnd = plan.op === 'join' ? plan.windowEnd : null
    const condition = where === null ? null : expressionHash(where, both)
    const base = hash([op, kind, left.base, right.base, keys, time, interval, windowEnd, condition])
    return { base, columns: both.slice(0, plan.columns.length) }
  }
  /** Steps over one input. */
  private stepForm(
    plan: PlanOf<'expire' | 'window' | 'sliding-window' | 'aggregate' | 'session' | 'global-window' | 'over' | 'top'>,
  ): Form {
    const { base, columns } = this.form(plan.input)
    const of = (positions: readonly number[]): unknown[] => positions.map((position) => columns[position])
    const expressions = (
      list: readonly { readonly args: readonly Expression[]; readonly filter: Expression | null }[],
    ) =>
      list.map((one) => ({
        ...one,
        args: one.args.map((arg) => columnOf(arg, columns)),
        filter: one.filter === null ? null : expressionHash(one.filter, columns),
      }))
    switch (plan.op) {
      case 'expire': {
        const bounds = [plan.from, plan.until].map((at) => (at === null ? null : columnOf(at, columns)))
        return { base: hash(['expire', base, bounds]), columns }
      }
      case 'window':
        return behind(plan, columns, ['window', base, plan.window, columns[plan.time]])
      case 'sliding-window':
        return behind(plan, columns, ['sliding-window', base, of(plan.keys), columns[plan.time], plan.sizeMs])
      case 'aggregate': {
        const { keys, windowEnd, emit, aggregates } = plan
        return made(plan, ['aggregate', base, of(keys), windowEnd, emit, expressions(aggregates)])
      }
      case 'session': {
        const { time, gapMs, keys, emit, aggregates } = plan
        return made(plan, ['session', base, columns[time], gapMs, of(keys), emit, expressions(aggregates)])
      }
      case 'global-window': {
        const { keys, aggregates, time, trigger, keep } = plan
        const when = trigger.when === null ? null : columns[trigger.when]
        const parts = [of(keys), time === null ? null : columns[time], { ...trigger, when }, keep]
        return made(plan, ['global-window', base, parts, expressions(aggregates)])
      }
      case 'over': {
        const { partitionBy, order, time, calls, windowEnd, keep, emit } = plan
        const bounds = [windowEnd, keep, ...(emit === undefined ? [] : [emit])]
        const parts = [of(partitionBy), ordered(order, columns), time === null ? null : columns[time], ...bounds]
        return behind(plan, columns, ['over', base, parts, expressions(calls)])
      }
      case 'top': {
        const { partitionBy, order, limit, rank } = plan
        return behind(plan, columns, ['top', base, of(partitionBy), ordered(order, columns), limit, rank])
      }
    }
  }
}
/** Each column is the next of what a step makes. */
function made(plan: Plan, parts: readonly unknown[]): Form {
  const base = hash(parts)
  return { base, columns: plan.columns.map(({ type }, i) => hash(['made', base, i, type])) }
}
/** The input's columns, and behind them what the step makes. */
function behind(plan: Plan, columns: readonly string[], parts: readonly unknown[]): Form {
  const own = made(plan, parts)
  return { base: own.base, columns: [...columns, ...own.columns.slice(columns.length)] }
}
function sourceForm(plan: SourcePlan): Form {
  const { topic, mode, format, envelope, columns, fields, key, time, watermark, latenessMs, onInvalid } = plan
  const found = fields.map((field, c) => hash([field.from === 'computed' ? null : field, columns[c]!.type]))
  // What is computed may name what is read, and what is computed before it.
  for (const [c, field] of fields.entries())
    if (field.from === 'computed') found[c] = hash(['computed', columnOf(field.expression, found), columns[c]!.type])
  const said = watermark === undefined ? [] : [found[watermark]]
  const event = time === null ? null : [found[time.column], time.delayMs, ...said]
  const keys = key.map((position) => found[position])
  const wrapped = envelope === undefined ? [] : [envelope]
  const base = hash(['source', topic, mode, format, keys, event, latenessMs ?? 0, onInvalid, ...wrapped])
  return { base, columns: found }
}
function intervalOf({ interval }: PlanOf<'join'>, left: Form, right: Form): readonly unknown[] | null {
  if (interval === undefined) return null
  return [left.columns[interval.leftTime], right.columns[interval.rightTime], interval.lowUs, interval.highUs]
}
const ordered = (order: PlanOf<'top'>['order'], columns: readonly string[]): readonly unknown[] =>
  order.map((one) => ({ ...one, column: columns[one.column] }))
/** A column is what it stands for. */
const columnOf = (expression: Expression, columns: readonly string[]): string =>
  expression.kind === 'column' ? columns[expression.index]! : expressionHash(expression, columns)
const expressionHash = (expression: Expression, columns: readonly string[]): string =>
  hash([shape(expression, columns)])
/** What another version of a function has computed is something else. */
const versionOf = (user: UserFunction | undefined): readonly string[] => (user === undefined ? [] : [user.version])
function shape(expression: Expression, columns: readonly string[]): readonly unknown[] {
  const of = (arg: Expression): readonly unknown[] => shape(arg, columns)
  switch (expression.kind) {
    case 'column':
      return ['column', columns[expression.index]]
    case 'literal':
      return ['literal', expression.value, expression.type]
    case 'call':
      return ['call', expression.name, expression.args.map(of), expression.type, ...versionOf(expression.user)]
    case 'case':
      return [
        'case',
        expression.branches.map(({ when, then }) => [of(when), of(then)]),
        expression.otherwise === null ? null : of(expression.otherwise),
      ]
    case 'and':
    case 'or':
      return [expression.kind, expression.args.map(of)]
    case 'not':
    case 'is-null':
      return [expression.kind, of(expression.arg)]
    case 'field':
      return ['field', of(expression.arg), expression.name]
    case 'now':
      return ['now', expression.type]
  }
}
/** What lies in its state as whole rows. */
const storedOf = (plan: Plan): readonly Plan[] => (plan.op === 'source' ? [plan] : inputsOf(plan))
const keepsRows = ({ op }: Plan): boolean => op !== 'aggregate' && op !== 'session'
