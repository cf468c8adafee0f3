/** Millrace inside another program: `start` with definitions, typed topics and views, nothing listening unless asked. */
import {
  type AnyTopic,
  type AnyView,
  type Definition,
  type SqlFunctionDefinition,
  type TopicDefinition,
  type ViewDefinition,
  isAlert,
  isTopic,
  isView,
} from '../dsl/index.ts'
import { isSqlFunction } from '../flow/user-functions.ts'
import { Placing, type Target } from '../log/placing.ts'
import { Fault } from '../lib/fault.ts'
import { type Logger, silent } from '../lib/logger.ts'
import { keepAlive } from '../lib/real/keep-alive.ts'
import { realWorld } from '../lib/real/world.ts'
import type { World } from '../lib/world.ts'
import type { Diagnosis, SavepointInfo } from '../query/engine.ts'
import { environmentSettings, protocols, resolveConfig, type Protocol, type Settings } from './config.ts'
import { type Running, startMillrace } from './millrace.ts'

export interface EmbeddedOptions extends Settings {
  readonly topics?: readonly AnyTopic[]
  readonly views?: readonly AnyView[]
  readonly alerts?: readonly Extract<Definition, { statement(): string }>[]
  /** Functions that SQL may call. */
  readonly functions?: readonly SqlFunctionDefinition[]
  /** What goes wrong where no caller can be told. Default: nothing is said. */
  readonly logger?: Logger
}
export interface SendOptions {
  /** Instead of the topic's key field. */
  readonly key?: string | null
  /** Milliseconds since 1970; default: now. */
  readonly timestamp?: number
}
export interface SqlOptions {
  /** Ends a query, or what waits (FLUSH), when it aborts. */
  readonly signal?: AbortSignal
  /** Called once the rows are there, for each thing to be said beside them: events that were left out as they cannot be read … */
  readonly onNotice?: (notice: string) => void
}
export interface Sent {
  readonly partition: number
  readonly offset: number
}
export type RowChange<Row> = { readonly op: '+' | '-'; readonly row: Row; readonly at: string }

/** A topic as a program sees it. */
export interface TopicHandle<T> {
  /** Durable when it resolves; several are all or nothing. Throws Fault when the contract refuses one. */
  send(events: T | readonly T[], options?: SendOptions): Promise<readonly Sent[]>
}
/** A view as a program sees it. */
export interface ViewHandle<Row> {
  /** As of the last committed tick. */
  rows(): Promise<Row[]>
  /** What the view holds, then every change as it is committed. Ends when the signal aborts or Millrace stops. */
  changes(options?: { readonly signal?: AbortSignal }): AsyncIterable<RowChange<Row>>
}
export interface Millrace extends AsyncDisposable {
  /** Protocol → HOST:PORT, for what was asked to listen. */
  readonly listen: Readonly<Partial<Record<Protocol, string>>>
  topic<T>(topic: TopicDefinition<T>): TopicHandle<T>
  view<Row>(view: ViewDefinition<Row>): ViewHandle<Row>
  /** One statement; `$1` … are the parameters. Throws Fault query.cancelled once the signal aborts. */
  sql<Row extends object = Record<string, unknown>>(
    text: string,
    params?: readonly unknown[],
    options?: SqlOptions,
  ): Promise<Row[]>
  /** Why a view gives nothing, or not what was expected: causes, the likeliest first; [] = none is known. */
  doctor<Row>(view: ViewDefinition<Row> | string): Promise<readonly Diagnosis[]>
  readonly savepoints: Savepoints
  close(): Promise<void>
}
/** Named copies of views: `START FROM SAVEPOINT name` goes back to one. */
export interface Savepoints {
  /** Durable when it resolves. Throws Fault flow.unknown-view, flow.savepoint-exists. */
  create<Row>(name: string, view: ViewDefinition<Row> | string): Promise<SavepointInfo>
  list(): Promise<readonly SavepointInfo[]>
  /** Throws Fault flow.unknown-savepoint. */
  drop(name: string): Promise<void>
}

/** Throws the first Fault met; then nothing is left running. */
export const start = (options: EmbeddedOptions = {}): Promise<Millrace> => startIn(realWorld(), options, keepAlive)

const makers = { functions: 'defineSqlFunction', topics: 'defineTopic', views: 'defineView', alerts: 'defineAlert' }
/** Throws Fault config.invalid: what is no definition would be left out without a word. */
function listOf<T>(setting: keyof typeof makers, given: readonly T[], is: (one: unknown) => boolean): readonly T[] {
  const maker = makers[setting]
  if (!Array.isArray(given))
    throw new Fault('config.invalid', { setting, value: typeof given, why: `it is a list: [${maker}(…)]` })
  const wrong = given.findIndex((one) => !is(one))
  if (wrong < 0) return given
  const value = given[wrong] as unknown
  const shown = typeof value === 'object' && value !== null ? (value.constructor?.name ?? 'object') : String(value)
  throw new Fault('config.invalid', { setting: `${setting}[${wrong}]`, value: shown, why: `${maker}(…) makes one` })
}

/** The same on another machine than the one we run on. */
export async function startIn(
  world: World,
  options: EmbeddedOptions,
  keep: KeepAlive = () => () => {},
): Promise<Millrace> {
  const { topics = [], views = [], alerts = [], functions = [], logger = silent, ...settings } = options
  const closed = protocols.map((protocol) => `${protocol}=off`)
  const { config } = resolveConfig(
    { ...settings, listen: [...(settings.listen ?? []), ...closed] },
    environmentSettings({}),
    {},
  )
  const definitions = {
    sql: [],
    definitions: [
      ...listOf('functions', functions, isSqlFunction),
      ...listOf('topics', topics, isTopic),
      ...listOf('views', views, isView),
      ...listOf('alerts', alerts, isAlert),
    ],
  }
  try {
    return new Embedded(await startMillrace({ config, world, logger, definitions }), keep)
  } catch (error) {
    throw traced(error)
  }
}
/** A Fault notes no stack (`lib/fault.ts`); a program wants to know which of its calls met it. */
function traced(error: unknown): unknown {
  if (error instanceof Fault && error.stack?.includes('\n    at ') !== true) Error.captureStackTrace(error)
  return error
}

/** Keeps the process from ending until the answer is called. */
type KeepAlive = () => () => void

class Embedded implements Millrace {
  readonly listen: Millrace['listen']
  readonly #running: Running
  readonly #placing: Placing
  readonly #keep: KeepAlive

  constructor(running: Running, keep: KeepAlive) {
    this.#running = running
    this.#keep = keep
    this.#placing = new Placing(running)
    this.listen = running.listening()
  }
  topic<T>({ name }: TopicDefinition<T>): TopicHandle<T> {
    return {
      send: (events, options = {}) =>
        this.#whileAlive(() => this.#send(name, Array.isArray(events) ? events : [events], options)),
    }
  }
  view<Row>({ name }: ViewDefinition<Row>): ViewHandle<Row> {
    const { engine } = this.#running
    return {
      rows: () => this.#whileAlive(async () => collect<Row>(await engine.rows(name))),
      changes: (options) => this.#changes<Row>(name, options?.signal),
    }
  }
  sql<Row extends object>(
    text: string,
    params: readonly unknown[] = [],
    { signal, onNotice }: SqlOptions = {},
  ): Promise<Row[]> {
    const options = signal === undefined ? { params } : { params, signal }
    return this.#whileAlive(async () => {
      const result = await this.#running.engine.run(text, options)
      const rows = await collect<Row>(result)
      if (onNotice !== undefined) for (const notice of result.notices ?? []) onNotice(notice)
      return rows
    })
  }
  doctor<Row>(view: ViewDefinition<Row> | string): Promise<readonly Diagnosis[]> {
    return this.#whileAlive(() => this.#running.engine.doctor(typeof view === 'string' ? view : view.name))
  }
  readonly savepoints: Savepoints = {
    create: (name, view) =>
      this.#whileAlive(() => this.#running.engine.createSavepoint(typeof view === 'string' ? view : view.name, name)),
    list: () => this.#whileAlive(() => this.#running.engine.savepoints()),
    drop: (name) => this.#whileAlive(() => this.#running.engine.dropSavepoint(name)),
  }
  close(): Promise<void> {
    return this.#whileAlive(() => this.#running.close())
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Who waits for an answer is not left by a process that has nothing else to do: no timer of ours keeps it. */
  async #whileAlive<T>(work: () => Promise<T>): Promise<T> {
    const letGo = this.#keep()
    try {
      return await work()
    } catch (error) {
      throw traced(error)
    } finally {
      letGo()
    }
  }
  async #send(name: string, events: readonly unknown[], options: SendOptions): Promise<readonly Sent[]> {
    if (events.length === 0) return []
    const topic = await this.#running.log.topics.get(name)
    if (topic === null) throw new Fault('log.unknown-topic', { topic: name })
    const targets = events.map((event): Target => ({
      topic,
      partition: null,
      record: this.#record(name, event, options),
    }))
    return (await this.#placing.place(targets, 'all')).map(({ partition, offset }) => ({ partition, offset }))
  }
  async *#changes<Row>(view: string, signal?: AbortSignal): AsyncGenerator<RowChange<Row>> {
    const name = `"${view.replaceAll('"', '""')}"`
    const options = signal === undefined ? {} : { signal }
    const subscription = await this.#whileAlive(() => this.#running.engine.subscribe(name, options))
    const all = subscription.changes[Symbol.asyncIterator]()
    try {
      for (;;) {
        const { done, value: change } = await this.#whileAlive(() => all.next())
        if (done === true) return
        if (change.op !== 'progress') yield { op: change.op, row: change.row as Row, at: change.at }
      }
    } finally {
      await all.return?.()
    }
  }
  #record(topic: string, event: unknown, { key: given, timestamp }: SendOptions): Target['record'] {
    const { contracts, world } = this.#running
    const value = Buffer.from(JSON.stringify(event), 'utf8')
    const own = contracts.keyOf(topic, value)
    const key = given === undefined ? own : given === null ? null : Buffer.from(given, 'utf8')
    const fault = contracts.check(topic, { key, value })
    if (fault !== null) throw fault
    return { key, value, timeMs: timestamp ?? world.clock.now() }
  }
}

async function collect<Row>({ columns, rows }: Awaited<ReturnType<Running['engine']['run']>>): Promise<Row[]> {
  const out: Row[] = []
  for await (const row of rows) out.push(Object.fromEntries(columns.map(({ name }, i) => [name, row[i]])) as Row)
  return out
}
