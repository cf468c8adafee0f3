/**
 * Definitions of topics, views and alerts in TypeScript. They are inert values: nothing happens until they are given to
 * `start` or stand in a project's folder. A schema is anything of Standard Schema that can say its JSON Schema (zod from
 * 4.2), or any validator with `jsonSchema` beside it.
 */
import { parseBytes } from '../lib/byte-size.ts'
import { parseDuration } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import type { Columns } from '../schema/types.ts'
import { timeDefaults } from './clock.ts'
import { columnsOfJsonSchema, optionalFields } from './json-schema-columns.ts'
import type { SourcePlan, ViewPlan } from './plan.ts'
import { type Schema, jsonSchemaOf } from './standard-schema.ts'
import { type SqlFunctionDefinition, isSqlFunction } from './user-functions.ts'
import { Stream, type StreamShape, delayMsMin } from './stream.ts'

export interface TopicOptions<T> {
  readonly schema: Schema<T>
  /** Where the validator cannot give it. */
  readonly jsonSchema?: object
  /** The field that the record's key is taken from. */
  readonly key?: keyof T & string
  /** The field that says when the event happened; default: when it arrived. */
  readonly eventTime?: keyof T & string
  /** How far events may come behind the newest and still count: `5s`. Default 0. */
  readonly lateness?: string
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
    const { eventTime, lateness } = this.options
    const column = this.columns.findIndex(({ name }) => name === eventTime)
    const wishedMs = lateness === undefined ? 0 : parseDuration(`lateness of ${this.name}`, lateness)
    const time = column < 0 ? null : { column, delayMs: Math.max(delayMsMin, wishedMs) }
    const source: SourcePlan = {
      op: 'source',
      name: this.name,
      topic: this.name,
      mode: 'append',
      format: 'json',
      columns: this.columns,
      fields: this.columns.map(({ name }) => ({ from: 'value', path: [name] })),
      key: [],
      time,
      onInvalid: this.options.onInvalid ?? 'reject',
    }
    return new Stream<T>({ plan: source, time, key: null, appendOnly: true, optional: optionalFields(this.jsonSchema) })
  }
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
  /** Which events it takes in when it is made: all that are there (default), those from now on, or from a record time on. */
  readonly startFrom?: 'beginning' | 'now' | Date
  /** How much memory its state may take, as 256MB; beyond it rows go to disk, or the view ends where they cannot. */
  readonly memoryBudget?: string
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
    const { from } = this
    if (!(from instanceof Stream))
      throw new Fault('config.invalid', {
        setting: `view ${this.name}`,
        value: 'stream()',
        why: 'a view in SQL is read in SQL',
      })
    const { columns } = from.shape.plan
    const mode = from.shape.appendOnly ? 'append' : from.shape.key === null ? 'weighted' : 'upsert'
    const source: SourcePlan = {
      op: 'source',
      name: this.name,
      topic: this.name,
      mode,
      format: 'json',
      columns,
      fields: columns.map(({ name }) => ({ from: 'value', path: [name] })),
      key: mode === 'upsert' ? from.shape.key! : [],
      time: from.shape.time,
      onInvalid: 'reject',
    }
    return new Stream<Row>({ ...from.shape, plan: source })
  }
  /** The column that says when a row happened, for views that read this one; null = the record's time. */
  eventTime(): StreamShape['time'] {
    return this.from instanceof Stream ? this.from.shape.time : null
  }
  /** null for a view in SQL: its text is planned like any other. */
  plan(): ViewPlan | null {
    if (!(this.from instanceof Stream)) return null
    const { plan, key, appendOnly } = this.from.shape
    const { idle, memoryBudget } = this.options
    return {
      name: this.name,
      plan,
      key,
      appendOnly,
      lateTopic: this.options.lateTopic ?? null,
      idleMs: idle === undefined ? timeDefaults.idleMs : parseDuration(`idle of ${this.name}`, idle),
      maxFutureMs: timeDefaults.maxFutureMs,
      onError: this.options.onError ?? 'stop',
      ...startOf(this.options.startFrom),
      ...(memoryBudget === undefined ? {} : { memoryBytes: parseBytes(`memoryBudget of ${this.name}`, memoryBudget) }),
    }
  }
}

function startOf(from: ViewOptions['startFrom']): Pick<ViewPlan, 'start'> {
  if (from === undefined || from === 'beginning') return {}
  return { start: from === 'now' ? { from } : { from: 'time', timeMs: from.getTime() } }
}

export interface AlertOptions {
  readonly notify: readonly ('log' | 'console' | { readonly webhook: string; readonly secret?: string })[]
  /** Columns by which a repetition is known; with `every`, the same key fires once in that time. */
  readonly key?: readonly string[]
  readonly every?: string
  /** `{column}` is replaced by the row's value. */
  readonly message?: string
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
        : `WEBHOOK ${text(way.webhook)}${way.secret === undefined ? '' : ` SECRET ${text(way.secret)}`}`,
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
export type AnyTopic = Pick<TopicDefinition<never>, typeof kind | 'name' | 'jsonSchema' | 'columns'> & {
  stream(): { readonly shape: StreamShape }
  readonly options: Omit<TopicOptions<never>, 'schema'>
}
export type AnyView = Pick<ViewDefinition<never>, typeof kind | 'name' | 'options' | 'plan' | 'eventTime'> & {
  readonly from: object
}

export const isTopic = (value: unknown): value is AnyTopic => value instanceof TopicDefinition
export const isView = (value: unknown): value is AnyView => value instanceof ViewDefinition
export const isAlert = (value: unknown): value is AlertDefinition => value instanceof AlertDefinition
export const isDefinition = (value: unknown): value is Definition =>
  isTopic(value) || isView(value) || isAlert(value) || isSqlFunction(value)

/** A topic whose events have this form. */
export const defineTopic = <T>(name: string, options: TopicOptions<T>): TopicDefinition<T> =>
  new TopicDefinition(name, options)
/** A view: kept up to date by every event, and a topic of its changes. */
export const defineView = <Row>(
  name: string,
  from: Stream<Row> | SqlText<Row>,
  options: ViewOptions = {},
): ViewDefinition<Row> => new ViewDefinition(name, from, options)
/** A condition over a stream or view, and whom to tell. */
export const defineAlert = (name: string, on: SqlText<object>, options: AlertOptions): AlertDefinition =>
  new AlertDefinition(name, on, options)
