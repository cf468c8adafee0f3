/** The answer to a one-off SELECT: planned, run to the end of what is committed, sorted and cut. */
import { compileScalar } from '../flow/compile.ts'
import type { Expression, Value } from '../flow/expression.ts'
import { toJson } from '../flow/json-value.ts'
import { KeyWriter, writeKey } from '../flow/key.ts'
import type { Plan, SourcePlan } from '../flow/plan.ts'
import { shareSteps, sourcesOf, withInputs } from '../flow/plan-facts.ts'
import { relationOf, unionOf } from '../flow/shared-topic.ts'
import type { Batch } from '../flow/batch.ts'
import type { Graph } from '../flow/graph.ts'
import { Fault } from '../lib/fault.ts'
import type { Clock } from '../lib/world.ts'
import type { Log } from '../log/log.ts'
import type { Columns } from '../schema/types.ts'
import { column, literal } from '../sql/bind/bound.ts'
import { planConstant } from '../sql/plan/constant.ts'
import type { PlanContext } from '../sql/plan/context.ts'
import type { SortKey } from '../sql/plan/select.ts'
import { planOnce } from '../sql/plan/view.ts'
import type { Query } from '../sql/syntax/ast.ts'
import { execute, type ExecuteOptions, type Row } from './execute.ts'
import { Held } from './held.ts'
import { batchOf, type LiveRows } from './live.ts'
import type { Unreadable } from './unreadable.ts'

export interface SelectHost {
  readonly log: Log
  readonly clock: Clock
  /** Told how long this thread was busy with each piece. */
  readonly worked?: (ms: number) => void
  /** Rows in memory of a table or keyed view; null where there are none for this source. */
  readonly live: (source: SourcePlan) => LiveRows | null
  /** Gets the graph of the query that runs. */
  readonly watch?: (graph: Graph) => void
}
export interface Selection {
  readonly columns: Columns
  /** What it reads. */
  readonly topics: readonly string[]
  /** Rows in memory form, each time anew. */
  readonly rows: (signal?: AbortSignal, unreadable?: Unreadable) => AsyncGenerator<Row>
}

/** Throws SqlFault; its rows throw what happens while they are computed. */
export function planSelection(ctx: PlanContext, query: Query, host: SelectHost): Selection {
  const constant = planConstant(ctx, query)
  if (constant !== null) {
    const { columns, rows, where, order, limit, offset } = constant
    const all = (): AsyncGenerator<Row> => constantRows(rows, where, host.clock.now() * 1000)
    return { columns, topics: [], rows: () => arranged(all(), columns, { order, limit, offset }, columns.length) }
  }
  const { rel, visible, order, limit, offset } = planOnce(ctx, query)
  const { plan } = rel
  const columns = plan.columns.slice(0, visible)
  return {
    columns,
    topics: sourcesOf(plan).flatMap(({ topic, rows }) => (rows === undefined ? [topic] : [])),
    rows: (signal, unreadable) => {
      const options = {
        log: host.log,
        clock: host.clock,
        ...(host.worked === undefined ? {} : { worked: host.worked }),
        ...(host.watch === undefined ? {} : { watch: host.watch }),
        ...(signal === undefined ? {} : { signal }),
        ...(unreadable === undefined
          ? {}
          : { unreadable: ((topic, events) => unreadable.add(topic, events)) satisfies ExecuteOptions['unreadable'] }),
        known: (source: SourcePlan) => knownRows(plan, source, host, unreadable),
      }
      return cancellable(arranged(execute(plan, options), plan.columns, { order, limit, offset }, visible), signal)
    },
  }
}
/**
 * Several queries as one, each row with the number of its own: what several of them read is read once. A query with ORDER BY or
 * LIMIT, and one that computes columns of what it reads, reads for itself.
 */
export function planTogether(
  asked: readonly { readonly ctx: PlanContext; readonly query: Query }[],
  host: SelectHost,
): { readonly selections: readonly Selection[]; rows(signal?: AbortSignal): AsyncGenerator<readonly [number, Row]> } {
  const selections = asked.map(({ ctx, query }) => planSelection(ctx, query, host))
  const shared: { readonly number: number; readonly plan: Plan; readonly visible: number }[] = []
  asked.forEach(({ ctx, query }, number) => {
    if (planConstant(ctx, query) !== null) return
    const { rel, visible, order, limit, offset } = planOnce(ctx, query)
    if (order.length === 0 && limit === null && offset === 0) shared.push({ number, plan: rel.plan, visible })
  })
  const alone = selections.flatMap((selection, number) =>
    shared.length > 1 && shared.some((one) => one.number === number) ? [] : [{ number, selection }],
  )
  return {
    selections,
    async *rows(signal) {
      for (const { number, selection } of alone) for await (const row of selection.rows(signal)) yield [number, row]
      if (shared.length < 2) return
      const plan = tagged(readTogether(shared.map((one) => one.plan)))
      const options = {
        log: host.log,
        clock: host.clock,
        ...(host.worked === undefined ? {} : { worked: host.worked }),
        ...(host.watch === undefined ? {} : { watch: host.watch }),
        ...(signal === undefined ? {} : { signal }),
        known: (source: SourcePlan) => knownRows(plan, source, host, undefined),
      }
      const starts = shared.map((_, i) => 1 + shared.slice(0, i).reduce((sum, one) => sum + one.plan.columns.length, 0))
      for await (const row of cancellable(execute(plan, options), signal)) {
        const i = row[0] as number
        yield [shared[i]!.number, row.slice(starts[i]!, starts[i]! + shared[i]!.visible)]
      }
    },
  }
}
/** The rows of all plans: the number of the plan, and then the columns of all of them, NULL where they are another's. */
function tagged(plans: readonly Plan[]): Plan {
  const number: Columns[number] = { name: 'plan', type: { kind: 'int' }, nullable: false }
  const columns: Columns = [number, ...plans.flatMap((plan) => plan.columns.map((one) => ({ ...one, nullable: true })))]
  const inputs = plans.map((input, i): Plan => {
    const own = plans.map((plan, other) =>
      plan.columns.map(({ type }, c) => (other === i ? column(c, type) : literal(null, type))),
    )
    return { op: 'project', input, expressions: [literal(i, number.type), ...own.flat()], columns }
  })
  return shareSteps({ op: 'union', inputs, columns })
}
/** The plans over sources that have what any of them reads. */
function readTogether(plans: readonly Plan[]): Plan[] {
  const groups = Map.groupBy(new Set(plans.flatMap(sourcesOf)), relationOf)
  const over = new Map<SourcePlan, Plan>()
  for (const mentions of groups.values()) {
    if (mentions.length < 2 || mentions.some(({ fields }) => fields.some(({ from }) => from === 'computed'))) continue
    const { union, picks } = unionOf(mentions)
    mentions.forEach((source, i) => {
      const { columns } = source
      const expressions = picks[i]!.map((from, c) => column(from, columns[c]!.type))
      over.set(source, { op: 'project', input: union, expressions, columns })
    })
  }
  const replaced = (plan: Plan): Plan => (plan.op === 'source' ? (over.get(plan) ?? plan) : withInputs(plan, replaced))
  return plans.map(replaced)
}
async function* constantRows(
  rows: readonly (readonly Expression[])[],
  where: Expression | null,
  nowUs: number,
): AsyncGenerator<Row> {
  if (where !== null && compileScalar(where)([], nowUs) !== true) return
  for (const row of rows) yield row.map((expr) => constantValue(expr, nowUs))
}
async function* cancellable(rows: AsyncGenerator<Row>, signal: AbortSignal | undefined): AsyncGenerator<Row> {
  try {
    for await (const row of rows) {
      if (signal?.aborted === true) throw new Fault('query.cancelled', {})
      yield row
    }
  } catch (error) {
    throw signal?.aborted === true ? new Fault('query.cancelled', {}, error) : error
  }
}

/** Kept rows of a source, or the one row that the query's condition names. */
async function knownRows(
  plan: Plan,
  source: SourcePlan,
  host: SelectHost,
  unreadable: Unreadable | undefined,
): Promise<Batch | null> {
  if (source.rows !== undefined) return rowsOfText(source, host.clock.now() * 1000)
  const live = host.live(source)
  if (live === null) return null
  do if (!(await isCurrent(live))) return null
  while (live.isMidway)
  unreadable?.also(live.unreadable)
  const places = source.columns.map((field) => live.source.columns.findIndex((other) => other.name === field.name))
  const key = keyLookup(plan, source)
  if (key === null) return live.batch(places)
  const row = live.find(key)
  return batchOf(
    row === null ? [] : [row],
    places,
    live.source.columns.map((field) => field.type),
  )
}
function rowsOfText({ rows, fields, columns }: SourcePlan, nowUs: number): Batch {
  const places = fields.map((field) => (field.from === 'value' ? Number(field.path[0]) : -1))
  const found = rows!.map((row) => places.map((place) => constantValue(row[place]!, nowUs)))
  const types = columns.map(({ type }) => type)
  return batchOf(found, [...types.keys()], types)
}
const constantValue = (expr: Expression, nowUs: number): Value =>
  expr.kind === 'literal' ? expr.value : compileScalar(expr)([], nowUs)
/** False: memory has no room for its rows, so that what a query needs of them is read from their topic. */
async function isCurrent(live: LiveRows): Promise<boolean> {
  try {
    await live.current()
    return true
  } catch (error) {
    if (error instanceof Fault && (error.code === 'query.too-large' || error.code === 'query.memory-full')) return false
    throw error
  }
}
/** The key's values where the plan filters this source by equality with all of them. */
export function keyLookup(plan: Plan, source: SourcePlan): readonly Value[] | null {
  if (plan.op === 'project') return keyLookup(plan.input, source)
  if (plan.op !== 'filter' || plan.input.op !== 'source' || source.mode !== 'upsert') return null
  const conditions = plan.where.kind === 'and' ? plan.where.args : [plan.where]
  const values = source.key.map((position): Value => {
    for (const condition of conditions) {
      if (condition.kind !== 'call' || condition.name !== '=') continue
      const [a, b] = condition.args
      if (a!.kind === 'column' && a!.index === position && b!.kind === 'literal' && sameKind(a!, b!)) return b!.value
      if (b!.kind === 'column' && b!.index === position && a!.kind === 'literal' && sameKind(a!, b!)) return a!.value
    }
    return null
  })
  return values.every((value) => value !== null) && values.length > 0 ? values : null
}
/** Values of one memory form: numerics of different scales are not. */
const sameKind = (a: Expression, b: Expression): boolean =>
  a.type.kind === b.type.kind &&
  (a.type.kind !== 'numeric' || (b.type.kind === 'numeric' && a.type.scale === b.type.scale))

interface Arrangement {
  readonly order: readonly SortKey[]
  readonly limit: number | null
  readonly offset: number
}
/** Sorted where asked, cut, and without the columns that only the order needed. */
async function* arranged(
  rows: AsyncGenerator<Row>,
  columns: Columns,
  { order, limit, offset }: Arrangement,
  visible: number,
): AsyncGenerator<Row> {
  if (limit === 0) return
  const source = order.length === 0 ? rows : sorted(rows, columns, order, limit === null ? Infinity : limit + offset)
  let skip = offset
  let left = limit ?? Infinity
  for await (const row of source) {
    if (skip > 0) {
      skip--
      continue
    }
    yield row.length === visible ? row : row.slice(0, visible)
    if (--left === 0) return
  }
}
interface Sorted {
  readonly row: Row
  /** Encoded, a byte a character; null = NULL. */
  readonly keys: readonly (string | null)[]
}
/** Stable; of a limited answer only about so many rows are held. */
async function* sorted(
  rows: AsyncGenerator<Row>,
  columns: Columns,
  order: readonly SortKey[],
  wanted: number,
): AsyncGenerator<Row> {
  const held: Sorted[] = []
  const memory = new Held()
  const compare = (a: Sorted, b: Sorted): number => compareKeys(a.keys, b.keys, order)
  const writer = new KeyWriter()
  const keyOf = (value: Value, column: number): string | null => {
    if (value === null) return null
    writer.length = 0
    writeKey(writer, value, columns[column]!.type)
    return writer.bytes.toString('latin1', 0, writer.length)
  }
  try {
    for await (const row of rows) {
      const one = { row, keys: order.map((key) => keyOf(row[key.column]!, key.column)) }
      memory.add(row, lengthOf(one))
      held.push(one)
      if (held.length < 2 * wanted + 1000) continue
      held.sort(compare)
      for (const { row: gone, ...rest } of held.splice(wanted)) memory.remove(gone, lengthOf(rest))
    }
    for (const { row } of held.sort(compare)) yield row
  } finally {
    memory.free()
  }
}
const lengthOf = ({ keys }: Pick<Sorted, 'keys'>): number =>
  keys.reduce((sum, key) => sum + 40 + (key?.length ?? 0), 24)
function compareKeys(a: Sorted['keys'], b: Sorted['keys'], order: readonly SortKey[]): number {
  for (const [i, { descending, nullsFirst }] of order.entries()) {
    const x = a[i]!
    const y = b[i]!
    if (x === null || y === null) {
      if (x === y) continue
      return (x === null) === nullsFirst ? -1 : 1
    }
    if (x !== y) return x < y !== descending ? -1 : 1
  }
  return 0
}

/** Rows as the interface gives them: numbers, text, ISO 8601. */
export async function* jsonRows(rows: AsyncIterable<Row>, columns: Columns): AsyncGenerator<readonly unknown[]> {
  for await (const row of rows) yield row.map((value, i) => toJson(value, columns[i]!.type))
}
