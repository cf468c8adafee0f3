/**
 * Definitions of topics, views and alerts in TypeScript. They are inert values: nothing happens until they are given to
 * `start` or stand in a project's folder. A schema is anything of Standard Schema that can say its JSON Schema (zod from
 * 4.2), any validator with `jsonSchema` beside it, or a JSON Schema.
 */
import { parseBytes } from '../lib/byte-size.ts'
import { parseDuration } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import type { Columns } from '../schema/types.ts'
import { timeDefaults } from '../flow/clock.ts'
import { slotCount } from '../flow/key.ts'
import type { Expression } from '../flow/expression.ts'
import type { SourcePlan, ViewPlan } from '../flow/plan.ts'
import { userFunctionsOf } from '../flow/plan-facts.ts'
import { type SqlFunctionDefinition, isSqlFunction } from '../flow/user-functions.ts'
import { readsClock } from '../sql/plan/clock-filter.ts'
import { refuseHistory } from '../sql/plan/history.ts'
import { sourceRel } from '../sql/plan/from.ts'
import { endsWindow, type Rel, withWatermark } from '../sql/plan/relation.ts'
import { rewrite } from '../sql/plan/rewrite.ts'
import { flatKey } from '../sql/plan/view.ts'
import { refuseVolatile } from '../sql/plan/volatile.ts'
import { type ColumnsOf, type Expr, type Value, columnExprs } from './expr.ts'
import { columnsOfJsonSchema, optionalFields } from './json-schema-columns.ts'
import { type JsonSchema, type Schema, jsonSchemaOf } from './standard-schema.ts'
import { type Restart, strategyOf } from './restart.ts'
import { planStep } from './step.ts'
import { Stream, type StreamShape, delayMsMin } from './stream.ts'
import { textOf } from './text.ts'

export interface TopicOptions<T> {
  readonly schema: Schema<T> | JsonSchema
  /** Where the validator cannot give it. */
  readonly jsonSchema?: object
  /** The field that the record's key is taken from. */
  readonly key?: keyof T & string
  /** The field that says when the event happened; default: when it arrived. */
  readonly eventTime?: keyof T & string
  /** How far events may come behind the newest and still count: `5s`. Default 0. */
  readonly lateness?: string
  /** Instead of `lateness`: what an event says that no event at or before it comes any more; NULL says nothing. */
  readonly watermark?: (event: ColumnsOf<T>) => Value<string | null | undefined>
  /** Views read it no further than `maxDrift` ahead, by event time, of the slowest of their sources of this group. */
  readonly alignment?: { readonly group: string; readonly maxDrift: string }
  readonly partitions?: number
  /** What to do with an event that does not fit. Default reject. */
  readonly onInvalid?: 'reject' | 'quarantine' | 'null'
  readonly config?: Readonly<Record<string, string>>
}

const kind: unique symbol = Symbol('millrace.definition')

export class TopicDefinition<T> {
  readonly [kind] = 'topic' as const
  readonly name: string
  readonly options: TopicOptions<T>
  readonly jsonSchema: object
  readonly columns: Columns

  constructor(name: string, options: TopicOptions<T>) {
    this.name = name
    this.options = options
    this.jsonSchema = options.jsonSchema ?? jsonSchemaOf(name, options.schema)
    this.columns = columnsOfJsonSchema(name, this.jsonSchema, options.eventTime)
  }
  /** The events of the topic, as they come. */
  stream(): Stream<T> {
    const optional = optionalFields(this.jsonSchema)
    return new Stream<T>({ rel: relOf(this.source('append')), optional })
  }
  /** The newest event of each key, as a table that changes; one without a value takes its row away. */
  table(): Stream<T> {
    const { key } = this.options
    if (key === undefined)
      throw new Fault('config.invalid', { setting: `topic ${this.name}`, value: 'table()', why: 'it has no key' })
    return new Stream<T>({ rel: relOf(this.source('upsert')), optional: optionalFields(this.jsonSchema) })
  }
  source(mode: 'append' | 'upsert'): SourcePlan {
    const { eventTime, lateness, key, watermark, alignment } = this.options
    const column = this.columns.findIndex(({ name }) => name === eventTime)
    const wishedMs = lateness === undefined ? 0 : parseDuration(`lateness of ${this.name}`, lateness)
    const time = column < 0 ? null : { column, delayMs: Math.max(delayMsMin, wishedMs) }
    const plain: SourcePlan = {
      op: 'source',
      name: this.name,
      topic: this.name,
      mode,
      format: 'json',
      columns: this.columns,
      fields: this.columns.map(({ name }) => ({ from: 'value', path: [name] })),
      key: mode === 'append' ? [] : [this.columns.findIndex(({ name }) => name === key)],
      time: time === null || watermark === undefined ? time : { column, delayMs: 0 },
      ...(alignment === undefined
        ? {}
        : {
            alignment: {
              group: alignment.group,
              maxDriftMs: parseDuration(`alignment.maxDrift of ${this.name}`, alignment.maxDrift),
            },
          }),
      onInvalid: this.options.onInvalid ?? 'reject',
    }
    return watermark === undefined ? plain : withWatermark(plain, this.#said(plain, watermark))
  }
  #said(source: SourcePlan, watermark: NonNullable<TopicOptions<T>['watermark']>): Expression {
    const { eventTime, lateness } = this.options
    const invalid = (why: string): Fault =>
      new Fault('config.invalid', { setting: `watermark of ${this.name}`, value: 'an expression', why })
    if (eventTime === undefined) throw invalid('it is of the eventTime, which is not given')
    if (lateness !== undefined) throw invalid('it stands in the place of lateness, which is given too')
    const names = this.columns.map(({ name }) => name)
    const said = textOf`SELECT ${watermark(columnExprs<T>('input', names))} AS "said" FROM input`
    const { plan } = planStep(said, { input: relOf(source) })
    const [expression] = plan.op === 'project' ? plan.expressions : []
    if (expression?.type.kind !== 'timestamptz') throw invalid('it is no time')
    if (readsClock(expression) || userFunctionsOf(plan).size > 0)
      throw invalid('it must follow from the event alone, by functions of SQL')
    return expression
  }
}
function relOf(source: SourcePlan): Rel {
  const isTable = source.mode === 'upsert'
  const rel = sourceRel({
    name: source.name,
    kind: isTable ? 'table' : 'stream',
    source,
    declared: source.watermark ?? source.columns.length,
    appendOnly: source.mode === 'append',
    key: isTable ? source.key : null,
  })
  return { ...rel, time: source.time === null ? null : rel.time }
}

/** SQL text of a view: what the tag `sql` gives. */
export class SqlText<Row> {
  readonly text: string
  /** Only for the type. */
  declare readonly row: Row

  constructor(text: string) {
    this.text = text
  }
}
/** Interpolated values are other definitions (their names) or numbers; nothing else becomes SQL. */
export function sql<Row extends object = Record<string, unknown>>(
  parts: TemplateStringsArray,
  ...values: readonly (TopicDefinition<never> | ViewDefinition<never> | { readonly name: string } | number)[]
): SqlText<Row> {
  const texts = values.map((value) =>
    typeof value === 'number' ? String(value) : `"${value.name.replaceAll('"', '""')}"`,
  )
  return new SqlText(parts.reduce((all, part, i) => all + texts[i - 1]! + part))
}

export interface ViewOptions {
  /** A partition without events for so long does not hold the watermark back. Default 30s. */
  readonly idle?: string
  /** Where late rows go; they are counted always. */
  readonly lateTopic?: string
  /** What an event that cannot be processed does. Default stop. */
  readonly onError?: 'stop' | 'quarantine' | 'skip'
  /** Accept a state that grows with history. Default false. */
  readonly allowUnboundedState?: boolean
  /**
   * Which events it takes in when it is made: all that are there (default), those from now on, or from a record time on.
   * 'resume': when its query has changed it goes on with the state that both have, instead of being made anew.
   */
  readonly startFrom?: 'beginning' | 'now' | 'resume' | Date
  /** How much memory its state may take, as 256MB; beyond it rows go to disk, or the view ends where they cannot. */
  readonly memoryBudget?: string
  /** State of joins, groups and first rows without windows goes when it was not written for so long. Default: it stays. */
  readonly stateTtl?: string
  /** Into how many parts steps with state are cut by their keys, at most 64. Default 1. */
  readonly parallelism?: number
  /** How many other processes on the same log keep a copy of its state, to take over at once. Default 0. */
  readonly standbys?: number
  /**
   * What happens when the view has failed. Default exponential-delay without an end. One that stopped at an event it cannot process stays failed
   * in any case: it would fail again.
   */
  readonly restart?: Restart
}
export class ViewDefinition<Row> {
  readonly [kind] = 'view' as const
  readonly name: string
  readonly from: Stream<Row> | SqlText<Row>
  readonly options: ViewOptions

  constructor(name: string, from: Stream<Row> | SqlText<Row>, options: ViewOptions) {
    this.name = name
    this.from = from
    this.options = options
  }
  /** The view's rows as the input of another. Only of a view made of streams: the type of SQL is known when it is planned. */
  stream(): Stream<Row> {
    const { rel } = this.#shape('stream()')
    const mode = rel.appendOnly ? 'append' : rel.key === null ? 'weighted' : 'upsert'
    return new Stream<Row>({ rel: { ...relOf(this.#source(mode)), key: rel.key, windows: rel.windows }, optional: [] })
  }
  /** Each row that the view comes to, as an event; that a row goes is none. */
  toStream(): Stream<Row> {
    const { rel } = this.#shape('toStream()')
    const key = flatKey(rel.key)
    if (rel.appendOnly || key === null || key.length === 0) return this.stream()
    const stream = new Stream<Row>({ rel: relOf(this.#source('append')), optional: [] })
    const names = key.map((i) => rel.plan.columns[i]!.name)
    return stream.where((row) => {
      const [first, ...more] = names.map((name) => (row as { [name: string]: Expr<unknown> })[name]!.isNotNull())
      return first!.or(...more)
    })
  }
  #shape(what: string): StreamShape {
    const { from } = this
    if (from instanceof Stream) return from.shape
    throw new Fault('config.invalid', {
      setting: `view ${this.name}`,
      value: what,
      why: 'a view in SQL is read in SQL',
    })
  }
  #source(mode: SourcePlan['mode']): SourcePlan {
    const { rel } = this.#shape('its rows')
    const { columns } = rel.plan
    return {
      op: 'source',
      name: this.name,
      topic: this.name,
      mode,
      format: 'json',
      columns,
      fields: columns.map(({ name }) => ({ from: 'value', path: [name] })),
      key: mode === 'upsert' ? (flatKey(rel.key) ?? []) : [],
      time: sourceTime(rel),
      onInvalid: 'reject',
    }
  }
  /** The column that says when a row happened, for views that read this one; null = the record's time. */
  eventTime(): Rel['time'] {
    return this.from instanceof Stream ? knownTime(this.from.shape.rel) : null
  }
  /** null for a view in SQL: its text is planned like any other. Throws SqlFault. */
  plan(): ViewPlan | null {
    if (!(this.from instanceof Stream)) return null
    const { rel, recordKey } = this.from.shape
    const { idle, memoryBudget, stateTtl, restart, allowUnboundedState = false } = this.options
    const plan = rewrite(rel.plan)
    if (!allowUnboundedState) refuseHistory(plan, stateTtl !== undefined)
    refuseVolatile(plan, '', 0)
    const names = plan.columns.map(({ name }) => name)
    return {
      name: this.name,
      plan,
      key: flatKey(rel.key),
      ...(recordKey === undefined || !rel.appendOnly
        ? {}
        : { recordKey: recordKey.map((name) => names.indexOf(name)) }),
      appendOnly: rel.appendOnly,
      lateTopic: this.options.lateTopic ?? null,
      idleMs: idle === undefined ? timeDefaults.idleMs : parseDuration(`idle of ${this.name}`, idle),
      maxFutureMs: timeDefaults.maxFutureMs,
      onError: this.options.onError ?? 'stop',
      ...(restart === undefined ? {} : { restart: strategyOf(restart) }),
      ...startOf(this.options.startFrom),
      ...(stateTtl === undefined ? {} : { ttlMs: parseDuration(`stateTtl of ${this.name}`, stateTtl) }),
      ...(memoryBudget === undefined ? {} : { memoryBytes: parseBytes(`memoryBudget of ${this.name}`, memoryBudget) }),
      ...parallelismOf(this.name, this.options),
      ...standbysOf(this.name, this.options),
    }
  }
}

/** Where rows say the watermark, what reads them as a view's would not know how late they come. */
const knownTime = ({ time }: Rel): Rel['time'] => (time !== null && time.delayMs < Infinity ? time : null)

/** Windows over it go by the last moment of its windows: 1 ms earlier, and rows of one window are not late for each other. */
function sourceTime(rel: Rel): Rel['time'] {
  const time = knownTime(rel)
  return time !== null && endsWindow(rel) ? { ...time, delayMs: time.delayMs + 1 } : time
}

function parallelismOf(view: string, { parallelism }: ViewOptions): Pick<ViewPlan, 'parallelism'> {
  if (parallelism === undefined) return {}
  if (Number.isSafeInteger(parallelism) && parallelism >= 1 && parallelism <= slotCount) return { parallelism }
  const why = `it is a whole number from 1 to ${slotCount}`
  throw new Fault('config.invalid', { setting: `parallelism of ${view}`, value: String(parallelism), why })
}
function standbysOf(view: string, { standbys }: ViewOptions): Pick<ViewPlan, 'standbys'> {
  if (standbys === undefined) return {}
  if (Number.isSafeInteger(standbys) && standbys >= 0) return { standbys }
  throw new Fault('config.invalid', {
    setting: `standbys of ${view}`,
    value: String(standbys),
    why: 'it is a whole number from 0 on',
  })
}
function startOf(from: ViewOptions['startFrom']): Pick<ViewPlan, 'start'> {
  if (from === undefined || from === 'beginning' || from === 'resume') return {}
  return { start: from === 'now' ? { from } : { from: 'time', timeMs: from.getTime() } }
}

export interface WebhookOptions {
  readonly webhook: string
  /** As Standard Webhooks has it: `whsec_…`. */
  readonly secret?: string
  /** Signs as well, while receivers change to the new one. */
  readonly previousSecret?: string
  readonly headers?: Readonly<Record<string, string>>
  /** `24h`: a delivery is given up this long after its alert fired. */
  readonly retryFor?: string
  readonly attempts?: number
  /** The DNS name under which the receiver is asked first whether it takes deliveries (CloudEvents web hooks). */
  readonly handshake?: string
}
export interface AlertOptions {
  readonly notify: readonly ('log' | 'console' | WebhookOptions)[]
  /** Columns by which a repetition is known; with `every`, the same key fires once in that time. */
  readonly key?: readonly string[]
  readonly every?: string
  /** `{column}` is replaced by the row's value. */
  readonly message?: string
}
/** As WITH ( … ) of the statement. */
function policyOf({ previousSecret, headers = {}, retryFor, attempts, handshake }: WebhookOptions): string {
  const text = (value: string): string => `'${value.replaceAll("'", "''")}'`
  const options = [
    ...(previousSecret === undefined ? [] : [`secret.previous = ${text(previousSecret)}`]),
    ...(retryFor === undefined ? [] : [`retry.for = ${text(retryFor)}`]),
    ...(attempts === undefined ? [] : [`retry.attempts = ${attempts}`]),
    ...(handshake === undefined ? [] : [`handshake = ${text(handshake)}`]),
    ...Object.entries(headers).map(([name, value]) => `${text(`header.${name}`)} = ${text(value)}`),
  ]
  return options.length === 0 ? '' : ` WITH (${options.join(', ')})`
}
export class AlertDefinition {
  readonly [kind] = 'alert' as const
  readonly name: string
  readonly on: SqlText<object>
  readonly options: AlertOptions

  constructor(name: string, on: SqlText<object>, options: AlertOptions) {
    this.name = name
    this.on = on
    this.options = options
  }
  /** As the statement that makes it. */
  statement(): string {
    const text = (value: string): string => `'${value.replaceAll("'", "''")}'`
    const name = (value: string): string => `"${value.replaceAll('"', '""')}"`
    const to = this.options.notify.map((way) =>
      typeof way === 'string'
        ? way.toUpperCase()
        : `WEBHOOK ${text(way.webhook)}${way.secret === undefined ? '' : ` SECRET ${text(way.secret)}`}${policyOf(way)}`,
    )
    const { key, every, message } = this.options
    const everyMs = every === undefined ? null : parseDuration(`every of ${this.name}`, every)
    return [
      `CREATE ALERT ${name(this.name)} AS ${this.on.text.trim()} NOTIFY ${to.join(', ')}`,
      key === undefined ? '' : `KEY (${key.map(name).join(', ')})`,
      everyMs === null ? '' : `EVERY INTERVAL '${everyMs / 1000} seconds'`,
      message === undefined ? '' : `MESSAGE ${text(message)}`,
    ]
      .filter((part) => part !== '')
      .join(' ')
  }
}

/** Any of them; what a project's files export. */
export type Definition = AnyTopic | AnyView | AlertDefinition | SqlFunctionDefinition
// A definition is invariant in its row type; here only its name and plan are read.
export type AnyTopic = Pick<TopicDefinition<never>, typeof kind | 'name' | 'jsonSchema' | 'columns' | 'source'> & {
  readonly options: Omit<TopicOptions<never>, 'schema' | 'watermark'>
}
export type AnyView = Pick<ViewDefinition<never>, typeof kind | 'name' | 'options' | 'plan' | 'eventTime'> & {
  readonly from: object
}

export const isTopic = (value: unknown): value is AnyTopic => value instanceof TopicDefinition
export const isView = (value: unknown): value is AnyView => value instanceof ViewDefinition
export const isAlert = (value: unknown): value is AlertDefinition => value instanceof AlertDefinition
export const isDefinition = (value: unknown): value is Definition =>
  isTopic(value) || isView(value) || isAlert(value) || isSqlFunction(value)

/** A topic whose events have this form. Of a JSON Schema the type is given: `defineTopic<Bid>('bids', { schema })`. */
export function defineTopic<T>(
  name: string,
  options: TopicOptions<T> & { readonly schema: Schema<T> },
): TopicDefinition<T>
export function defineTopic<T = { readonly [field: string]: unknown }>(
  name: string,
  options: TopicOptions<T> & { readonly schema: JsonSchema },
): TopicDefinition<T>
export function defineTopic<T>(name: string, options: TopicOptions<T>): TopicDefinition<T> {
  return new TopicDefinition(name, options)
}
/** A view: kept up to date by every event, and a topic of its changes. */
export const defineView = <Row>(
  name: string,
  from: Stream<Row> | SqlText<Row>,
  options: ViewOptions = {},
): ViewDefinition<Row> => new ViewDefinition(name, from, options)
/** A condition over a stream or view, and whom to tell. */
export const defineAlert = (name: string, on: SqlText<object>, options: AlertOptions): AlertDefinition =>
  new AlertDefinition(name, on, options)
