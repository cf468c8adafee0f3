/**
 * One query over one dataset, three ways: by DuckDB over the rows that are left, by a one-off SELECT over the topics, and
 * by a view, in one part or several, that was fed the changes in random pieces, with commits, steps that are undone, and
 * restarts from the changelog. A view must be right at the end and, where it does not wait for the watermark, at random prefixes.
 */
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import type { Value } from '../../src/flow/expression.ts'
import type { ViewPlan } from '../../src/flow/plan.ts'
import { Fault } from '../../src/lib/fault.ts'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { openLocalLog } from '../../src/log/local/open.ts'
import type { Log } from '../../src/log/log.ts'
import { planSelection } from '../../src/query/select.ts'
import type { DataType } from '../../src/schema/types.ts'
import { SqlFault } from '../../src/sql/fault.ts'
import type { Relation } from '../../src/sql/plan/relation.ts'
import { parseLoneQuery } from '../../src/sql/syntax/parse.ts'
import { clonedLinks } from '../flow/far-links.ts'
import { Bench, type Input } from '../flow/plans.ts'
import { plan } from '../sql/fixture.ts'
import { Chance } from './chance.ts'
import { difference, type Rows } from './compare.ts'
import { type Query, queryText } from './node.ts'
import { Served } from './served.ts'
import { changesOf, type Dataset, definitions, recordOf, theirDefinitions } from './tables.ts'
import { ourText, theirForm, theirText } from './values.ts'

export type Outcome =
  | { readonly kind: 'same'; readonly rows: number }
  | { readonly kind: 'refused'; readonly by: 'ours' | 'theirs'; readonly reason: string }
  | { readonly kind: 'different'; readonly what: string; readonly detail: string }

const rowsMax = 5_000
/** So many are also asked of a whole engine. */
const servedOften = 0.1

/** A DuckDB and, for the dataset at hand, a log that holds it. */
export class Arena implements AsyncDisposable {
  private readonly instance: DuckDBInstance
  private readonly duck: DuckDBConnection
  private dataset: Dataset | null = null
  private log: Log | null = null
  private engine: Served | null = null
  private relations: readonly Relation[] = []
  private readonly world = { ...realWorld(), disk: memoryDisk() }

  private constructor(instance: DuckDBInstance, duck: DuckDBConnection) {
    this.instance = instance
    this.duck = duck
  }
  static async open(): Promise<Arena> {
    const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
    const duck = await instance.connect()
    await duck.run("SET TimeZone = 'UTC'")
    // DuckDB 1.5.5: `row_number() OVER (ORDER BY b) … WHERE rn <= 1` of no rows is one row.
    await duck.run("SET disabled_optimizers = 'top_n_window_elimination'")
    return new Arena(instance, duck)
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine?.[Symbol.asyncDispose]()
    await this.log?.close()
    this.duck.closeSync()
    this.instance.closeSync()
  }

  /** `seed` decides how the changes are cut. */
  async check(dataset: Dataset, query: Query, seed: number): Promise<Outcome> {
    try {
      await this.load(dataset)
      const view = this.planned(query)
      const final = await this.theirs(query, view, dataset.changes.length)
      if (final.length > rowsMax) return { kind: 'same', rows: final.length }
      const rough = roughOf(query)
      await this.once(query, final, rough)
      await this.incrementally(query, view, { seed, final, rough })
      if (new Chance(seed + 1).is(servedOften) && !query.onClose && !query.waits) await this.served(query, final, rough)
      return { kind: 'same', rows: final.length }
    } catch (error) {
      if (error instanceof Stop) return error.outcome
      throw error
    }
  }

  private async load(dataset: Dataset): Promise<void> {
    if (this.dataset === dataset) return
    await this.engine?.[Symbol.asyncDispose]()
    this.engine = null
    await this.log?.close()
    this.dataset = null
    for (const statement of theirDefinitions(dataset)) await this.duck.run(statement)
    this.relations = plan(definitions(dataset)).relations
    const log = await openLocalLog({ world: { ...this.world, disk: memoryDisk() }, dir: 'data' })
    this.log = log
    this.dataset = dataset
    await log.topics.create(dataset.relations.map(({ name, partitions }) => ({ name, partitions, config: {} })))
    for (const { relation, partition, changes } of changesOf(dataset)) {
      const bytes = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text))
      const records = changes.map((c) => ({ key: bytes(c.key), value: bytes(recordOf(c)), timeMs: c.timeMs }))
      const entry = { partition: { topic: relation.name, index: partition }, batch: encodeBatch(records) }
      const [answer] = await log.writer().append([entry])
      if (answer !== undefined && 'fault' in answer) throw answer.fault
    }
  }

  private planned(query: Query): ViewPlan {
    const text = `CREATE MATERIALIZED VIEW v WITH (allow_unbounded_state = true) AS ${queryText(query, 'ours')}`
    return guarded('view', () => plan(text, this.relations).views[0]!)
  }
  /** Rows after so many changes. */
  private async theirs(query: Query, { plan: { columns } }: ViewPlan, changes: number): Promise<Rows> {
    const names = columns.map((_, i) => `o${i}`)
    const forms = columns.map(({ type }, i) => theirForm(names[i]!, type)).join(', ')
    const text = `SELECT ${forms} FROM (${queryText(query, 'theirs')}) _o(${names.join(', ')})`
    await this.duck.run(`SET VARIABLE seen = ${changes}`)
    try {
      const rows = (await this.duck.runAndReadAll(text)).getRows()
      return rows.map((row) => row.map((value, i) => theirText(value, columns[i]!.type)))
    } catch (error) {
      throw new Stop({ kind: 'refused', by: 'theirs', reason: (error as Error).message.split('\n')[0]! })
    }
  }

  private async once(query: Query, final: Rows, rough: readonly boolean[]): Promise<void> {
    const text = queryText(query, 'ours')
    const relations = this.relations
    const ctx = {
      text,
      schema: { relations: () => relations },
      parameters: [],
      mode: 'once',
      ctes: [],
      close: null,
      allowUnbounded: false,
    } as const
    const { clock } = this.world
    const selection = guarded('once', () =>
      planSelection(ctx, parseLoneQuery(text), { log: this.log!, clock, live: () => null }),
    )
    const types = selection.columns.map((c) => c.type)
    const rows: string[][] = []
    try {
      for await (const row of selection.rows()) rows.push(textsOf(row, types))
    } catch (error) {
      throw different('a one-off SELECT fails', error)
    }
    const detail = difference(rows, final, rough)
    if (detail !== null) throw new Stop({ kind: 'different', what: 'a one-off SELECT', detail })
    // Which rows are first is certain, and so is their order.
    if (query.limit !== null && JSON.stringify(rows) !== JSON.stringify(final))
      throw new Stop({
        kind: 'different',
        what: 'the order of a one-off SELECT',
        detail: `  ${JSON.stringify(rows)}\n  ${JSON.stringify(final)}`,
      })
  }

  /** Of a whole engine, where views are topics. */
  private async served(query: Query, final: Rows, rough: readonly boolean[]): Promise<void> {
    const text = queryText(query, 'ours')
    this.engine ??= await Served.open(this.dataset!)
    const compare = (what: string, rows: Rows, theirs: Rows): void => {
      const detail = difference(rows, theirs, rough)
      if (detail !== null) throw new Stop({ kind: 'different', what, detail })
    }
    try {
      const { asked, kept } = await this.engine.ask(text)
      compare('what the engine answers', asked, final)
      compare('a view of the engine', kept, final)
      compare('a view on a view', await this.engine.askThrough(text), [...final, ...final])
    } catch (error) {
      throw different('the engine fails', error)
    }
  }

  private async incrementally(
    query: Query,
    view: ViewPlan,
    { seed, final, rough }: { readonly seed: number; readonly final: Rows; readonly rough: readonly boolean[] },
  ): Promise<void> {
    const { changes, relations } = this.dataset!
    const chance = new Chance(seed)
    const feed = new Feed(view, Object.fromEntries(relations.map((r) => [r.name, r.partitions])), chance)
    const inputs = changes.map((c): Input => ({
      topic: c.relation.name,
      partition: c.partition,
      key: c.key,
      value: recordOf(c),
      timeMs: c.timeMs,
    }))
    const longest = chance.pick([1, 5, 20, 100])
    const look = query.onClose || query.waits ? 0 : Math.min(0.4, 3 / (changes.length / longest + 1))
    for (let at = 0; at < inputs.length;) {
      const count = 1 + chance.int(0, longest)
      feed.step(inputs.slice(at, at + count), inputs.slice(at, at + 2 * count), chance)
      at += count
      if (at < inputs.length && chance.is(look)) {
        const detail = difference(feed.rows(), await this.theirs(query, view, at), rough)
        if (detail !== null) throw new Stop({ kind: 'different', what: `a view after ${at} changes`, detail })
      }
    }
    if (inputs.length === 0) feed.step([], [], chance)
    if (query.onClose || query.waits) feed.finish()
    const detail = difference(feed.rows(), final, rough)
    if (detail !== null) throw new Stop({ kind: 'different', what: 'a view at the end', detail })
  }
}

/** A view's operators and what they have given so far. */
class Feed {
  private readonly bench: Bench
  private readonly view: ViewPlan
  private readonly types: readonly DataType[]

  constructor(view: ViewPlan, partitions: Readonly<Record<string, number>>, chance: Chance) {
    // In parts, some of them as on other threads.
    const parallelism = chance.pick([1, 2, 4])
    const far = parallelism > 1 && chance.is(0.7) ? { far: clonedLinks(view.plan, parallelism / 2) } : {}
    this.view = view
    this.types = view.plan.columns.map((c) => c.type)
    this.bench = attempt('a view fails to begin', () => new Bench(view.plan, partitions, { parallelism, ...far }))
  }
  /** `other`: what is tried and undone now and then. */
  step(inputs: readonly Input[], other: readonly Input[], chance: Chance): void {
    attempt('a view fails', () => {
      this.bench.step(inputs)
      if (!chance.is(0.35)) return
      this.bench.commit()
      if (chance.is(0.3)) this.bench.tryOut(() => void this.bench.step(other))
      if (chance.is(0.3)) this.bench.restart()
    })
    const { failed, invalid, late } = this.bench
    if (failed.length > 0) throw new Stop({ kind: 'different', what: 'a view fails at a row', detail: failed[0]! })
    if (invalid + late > 0)
      throw new Stop({
        kind: 'different',
        what: 'a view takes not all rows',
        detail: `${invalid} invalid, ${late} late`,
      })
  }
  finish(): void {
    attempt('a view fails at the end', () => this.bench.finish())
  }
  /** What is left of all that came and went; it must be what the view's plan promises. */
  rows(): Rows {
    const sums = new Map<string, { readonly row: readonly string[]; weight: number }>()
    for (const { weight, values } of this.bench.deltas.flat()) {
      if (this.view.appendOnly && weight < 0)
        throw new Stop({ kind: 'different', what: 'a view that only adds', detail: 'it withdrew a row' })
      const row = textsOf(values, this.types)
      const text = row.join('\u0001')
      const held = sums.get(text)
      if (held === undefined) sums.set(text, { row, weight })
      else held.weight += weight
    }
    const left = [...sums.values()].filter((held) => held.weight !== 0)
    const below = left.find((held) => held.weight < 0)
    if (below !== undefined)
      throw new Stop({
        kind: 'different',
        what: 'a view',
        detail: `it withdrew what it never gave: ${below.row.join(' | ')}`,
      })
    this.checkKey(left)
    return left.flatMap(({ row, weight }) => Array.from({ length: weight }, () => row))
  }
  private checkKey(left: readonly { readonly row: readonly string[]; readonly weight: number }[]): void {
    const { key } = this.view
    if (key === null) return
    const seen = new Set<string>()
    for (const { row, weight } of left) {
      const text = key.map((column) => row[column]).join(' | ')
      if (weight > 1 || seen.has(text))
        throw new Stop({
          kind: 'different',
          what: 'the key of a view',
          detail: `two rows of the key (${key.join(', ')}) ${text}`,
        })
      seen.add(text)
    }
  }
}

class Stop extends Error {
  readonly outcome: Outcome
  constructor(outcome: Outcome) {
    super(outcome.kind)
    this.outcome = outcome
  }
}
const different = (what: string, error: unknown): Stop =>
  error instanceof Stop
    ? error
    : new Stop({
        kind: 'different',
        what,
        detail: error instanceof Fault ? error.message : String((error as Error).stack),
      })
function attempt<T>(what: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw different(what, error)
  }
}
/** A refusal is counted; anything else is a mistake of ours. */
function guarded<T>(what: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof SqlFault || error instanceof Fault)
      throw new Stop({ kind: 'refused', by: 'ours', reason: `${what}: ${error.message.split('\n')[0]!}` })
    throw different(`planning (${what})`, error)
  }
}
const textsOf = (row: readonly Value[], types: readonly DataType[]): string[] =>
  row.map((value, i) => ourText(value, types[i]!))

/** Which columns of the result agree to some digits only. */
function roughOf({ body }: Query): readonly boolean[] {
  if (body.node === 'select') return body.items.map(({ expr }) => !expr.exact)
  const [left, right] = [roughOf(body.left), roughOf(body.right)]
  return left.map((rough, i) => rough || right[i]!)
}
