/** CREATE STREAM and CREATE TABLE as relations: columns, key, event time, topic. */
import type { Expression } from '../../flow/expression.ts'
import type { SourcePlan } from '../../flow/plan.ts'
import type { Columns, DataType, Field } from '../../schema/types.ts'
import type { Bound } from '../bind/bound.ts'
import { type BindContext, bindExpression } from '../bind/expressions.ts'
import { coerceOrFail } from '../bind/coerce.ts'
import { intervalMs } from '../bind/durations.ts'
import { isVolatile } from '../bind/bound.ts'
import { emptyScope, matchesName } from '../bind/scope.ts'
import { resolveType } from '../bind/types.ts'
import { SqlFault } from '../fault.ts'
import type { Expr, Name, Statement } from '../syntax/ast.ts'
import { readsClock } from './clock-filter.ts'
import { bindContext, type PlanContext } from './context.ts'
import { type ValueFormat, formatOptions, valueFormat } from './format.ts'
import { Options, type OptionSpecs } from './options.ts'
import { catalogName, pseudoColumns, type Relation, sourceScope, withFields, withWatermark } from './relation.ts'

type Create = Extract<Statement, { kind: 'create-stream' | 'create-table' }>

export interface TopicWish {
  readonly name: string
  /** null: as many as the topic has, or the default for a new one. */
  readonly partitions: number | null
  readonly config: Readonly<Record<string, string>>
}
export interface PlannedRelation {
  readonly relation: Relation
  readonly topic: TopicWish
  /** Columns whose values make the record's key; [] = no key. */
  readonly keyColumns: readonly string[]
  readonly ifNotExists: boolean
}

export const relationOptions: OptionSpecs = {
  topic: { kind: 'text', about: 'the topic that holds the events; default: the name' },
  ...formatOptions,
  key: { kind: 'names', about: 'the column, or columns, that the record key is taken from' },
  partitions: { kind: 'count', about: 'partitions of the topic when it is created; default 1' },
  on_invalid: {
    kind: 'choice',
    choices: ['reject', 'quarantine', 'null'],
    about: 'what happens to an event that does not fit; default quarantine',
  },
  watermark_alignment_group: {
    kind: 'text',
    about: 'views read it no further ahead of others of this group than watermark_alignment_max_drift',
  },
  watermark_alignment_max_drift: {
    kind: 'duration',
    about: 'how far its watermark may be ahead of the slowest of its watermark_alignment_group',
  },
}

export function planRelation(ctx: PlanContext, statement: Create): PlannedRelation {
  const kind = statement.kind === 'create-stream' ? 'stream' : 'table'
  const name = catalogName(statement.name)
  const options = new Options(statement.options, relationOptions, ctx.text)
  const format = valueFormat(ctx, options)
  const definitions = definitionsOf(ctx, statement, format)
  const declared = declaredColumns(ctx, statement, definitions)
  const key = keyPositions(ctx, statement, { columns: declared.columns, definitions }, format.envelope ?? kind)
  const isWeighted = kind === 'table' && key.length === 0
  // Of rows that add up: those that go would have other values than those that came.
  const pseudo = isWeighted ? [] : pseudoColumns
  const event = eventTime(ctx, statement, declared.columns)
  const plain: SourcePlan = {
    op: 'source',
    name,
    topic: options.textOf('topic') ?? name,
    mode: isWeighted ? 'weighted' : kind === 'table' ? 'upsert' : 'append',
    format: format.format,
    ...(format.envelope === null ? {} : { envelope: format.envelope }),
    ...(format.schema === null ? {} : { schema: format.schema }),
    columns: [...declared.columns, ...pseudo.map((p) => p.field)],
    fields: [...declared.fields, ...pseudo.map((p) => ({ from: p.from }))],
    key,
    time: event === null ? null : { column: event.column, delayMs: event.delayMs ?? 0 },
    ...alignmentOf(ctx, options),
    onInvalid: (options.textOf('on_invalid')?.toLowerCase() as SourcePlan['onInvalid'] | undefined) ?? 'quarantine',
  }
  if (format.envelope !== null) checkEnvelope(ctx, statement, options, plain)
  // Rows of tables are kept whole.
  const whole = kind === 'stream' ? withFields(plain) : plain
  const source = withWatermark(
    whole,
    event === null ? null : saidWatermark(ctx, statement, whole, { ...event, declared: declared.columns.length }),
  )
  const keyColumns =
    format.envelope !== null
      ? []
      : kind === 'table'
        ? source.key.map((i) => declared.columns[i]!.name)
        : streamKey(ctx, options, declared.columns)
  return {
    relation: {
      name,
      kind,
      source: kind === 'table' ? source : { ...source, key: [] },
      declared: declared.columns.length,
      appendOnly: kind === 'stream',
      key: kind === 'table' && !isWeighted ? source.key : null,
    },
    topic: {
      name: source.topic,
      partitions: options.count('partitions'),
      // Change events have keys as whoever writes them makes them.
      config: {
        ...(kind === 'table' && format.envelope === null ? { 'cleanup.policy': 'compact' } : {}),
        ...options.topicConfig(),
      },
    },
    keyColumns,
    ifNotExists: statement.ifNotExists,
  }
}

function checkEnvelope(ctx: PlanContext, { kind, name }: Create, options: Options, { onInvalid }: SourcePlan): void {
  const fail = (message: string, at: number, hint: string): never => {
    throw new SqlFault('sql.invalid-definition', message, ctx.text, at, { hint })
  }
  if (kind === 'create-stream')
    fail(
      'change events make a table: rows of a stream never go',
      name.at,
      "Write CREATE TABLE; as plain events they are a stream of format = 'json' with the columns before, after and op.",
    )
  if (onInvalid === 'null')
    fail(
      "on_invalid = 'null' has no meaning here: an event that cannot be read says no change",
      options.at('on_invalid'),
      "Write 'quarantine' or 'reject'.",
    )
  if (options.has('key'))
    fail(
      'option key has no meaning here: change events are not written',
      options.at('key'),
      'Leave it out; PRIMARY KEY says which row an event is of.',
    )
}

function alignmentOf(ctx: PlanContext, options: Options): Pick<SourcePlan, 'alignment'> {
  const [group, drift] = ['watermark_alignment_group', 'watermark_alignment_max_drift'] as const
  const [name, maxDriftMs] = [options.textOf(group), options.duration(drift)]
  if (name !== null && maxDriftMs !== null) return { alignment: { group: name, maxDriftMs } }
  if (name === null && maxDriftMs === null) return {}
  const [given, missing] = name === null ? [drift, group] : [group, drift]
  throw new SqlFault('sql.invalid-definition', `${given} is given without ${missing}`, ctx.text, options.at(given), {
    hint: `WITH (${group} = 'g', ${drift} = '1m')`,
  })
}

/** A source of which only the columns matter. */
const unplanned: Omit<SourcePlan, 'columns' | 'fields'> = {
  op: 'source',
  name: '',
  topic: '',
  mode: 'append',
  format: 'json',
  key: [],
  time: null,
  onInvalid: 'quarantine',
}
interface Declared {
  readonly columns: Columns
  readonly fields: SourcePlan['fields'][number][]
}
/** A column as it is declared, or as it follows from the schema of the values. */
interface ColumnOf {
  readonly name: string
  readonly at: number
  readonly type: DataType
  readonly nullable: boolean
  readonly generated: Expr | null
  readonly primaryKey: boolean
}
function definitionsOf(ctx: PlanContext, statement: Create, format: ValueFormat): ColumnOf[] {
  const inKey = (name: string): boolean => statement.primaryKey.some((part) => matchesName(part, name))
  const written = statement.columns.map(({ name: { text: name, at }, type, notNull, generated, primaryKey }) => ({
    ...{ name, at, type: resolveType(type, ctx.text), nullable: !notNull && !primaryKey && !inKey(name) },
    ...{ generated, primaryKey },
  }))
  if (written.some(({ generated }) => generated === null)) return written
  const { at } = statement.name
  const derived = format.columns().map(({ name, type, nullable }) => ({
    ...{ name, at, type, nullable: nullable && !inKey(name), generated: null, primaryKey: false },
  }))
  if (derived.length > 0) return [...derived, ...written]
  const kind = statement.kind === 'create-stream' ? 'stream' : 'table'
  throw new SqlFault('sql.invalid-definition', `a ${kind} needs columns`, ctx.text, at, {
    hint: "Declare them in parentheses; with format = 'avro' or 'protobuf' and a schema they may follow from that.",
  })
}
function declaredColumns(ctx: PlanContext, statement: Create, definitions: readonly ColumnOf[]): Declared {
  const columns: Field[] = []
  for (const { name, at, type, nullable } of definitions) {
    if (columns.some((field) => field.name === name)) {
      throw new SqlFault('sql.duplicate-column', `column "${name}" specified more than once`, ctx.text, at)
    }
    if (pseudoColumns.some((p) => p.field.name === name)) {
      throw new SqlFault('sql.invalid-definition', `"${name}" is the name of a pseudo-column`, ctx.text, at, {
        hint: 'It is there without being declared.',
      })
    }
    columns.push({ name, type, nullable })
  }
  const values = columns.map((field): Declared['fields'][number] => ({ from: 'value', path: [field.name] }))
  const all: SourcePlan = {
    ...unplanned,
    columns: [...columns, ...pseudoColumns.map((p) => p.field)],
    fields: [...values, ...pseudoColumns.map((p) => ({ from: p.from }))],
  }
  const [named] = sourceScope(null, statement.kind === 'create-stream' ? withFields(all) : all, columns.length)
  const scope = named!.columns.filter(({ index }) => definitions[index]?.generated === null || index >= columns.length)
  const fields = definitions.map((definition, i): Declared['fields'][number] => {
    const { generated } = definition
    if (generated === null) return { from: 'value', path: [columns[i]!.name] }
    const bind = bindContext(ctx, [{ name: null, schema: null, columns: scope }], 'a generated column')
    const what = `column "${columns[i]!.name}" is computed by an expression that`
    return {
      from: 'computed',
      expression: coerceOrFail(
        bindGenerated(ctx, bind, generated, definitions),
        columns[i]!.type,
        'assignment',
        ctx.text,
        what,
      ).expr,
    }
  })
  return { columns, fields }
}

/** A generated column is computed from what was written alone. */
function bindGenerated(ctx: PlanContext, bind: BindContext, expr: Expr, definitions: readonly ColumnOf[]): Bound {
  try {
    return bindExpression(bind, expr)
  } catch (error) {
    if (!(error instanceof SqlFault) || error.code !== 'sql.unknown-column') throw error
    const [, name = ''] = /^column "(.*)" does not exist$/.exec(error.facts.message) ?? []
    const other = definitions.find((one) => one.generated !== null && one.name.toLowerCase() === name.toLowerCase())
    if (other === undefined) throw error
    const how = ctx.text.slice(other.generated!.at, other.generated!.end)
    const { line, column } = error.position
    const lines = ctx.text.split('\n')
    const at = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + column - 1
    throw new SqlFault(
      'sql.unsupported',
      `column "${other.name}" is generated: another generated column cannot use it`,
      ctx.text,
      at,
      { hint: `Write what it is computed by in its place: (${how}).` },
    )
  }
}

function findDeclared(ctx: PlanContext, columns: Columns, name: Name): number {
  const found = columns.flatMap((field, i) => (matchesName(name, field.name) ? [i] : []))
  if (found.length === 1) return found[0]!
  if (found.length > 1)
    throw new SqlFault('sql.ambiguous-name', `column "${name.text}" is ambiguous`, ctx.text, name.at)
  throw new SqlFault('sql.unknown-column', `column "${name.text}" is not among the columns`, ctx.text, name.at)
}

function keyPositions(
  ctx: PlanContext,
  statement: Create,
  { columns, definitions }: { columns: Columns; definitions: readonly ColumnOf[] },
  kind: 'stream' | 'table' | 'debezium',
): number[] {
  const inline = definitions.flatMap((definition, i) => (definition.primaryKey ? [i] : []))
  const separate = statement.primaryKey.map((name) => findDeclared(ctx, columns, name))
  const at = statement.primaryKey[0]?.at ?? statement.columns.find((c) => c.primaryKey)?.at ?? statement.name.at
  if (kind === 'stream') {
    if (inline.length + separate.length === 0) return []
    throw new SqlFault('sql.invalid-definition', 'a stream has no PRIMARY KEY: all its events are kept', ctx.text, at, {
      hint: "CREATE TABLE keeps the latest row per key; WITH (key = 'column') chooses what a stream is partitioned by.",
    })
  }
  if (inline.length > 1 || (inline.length > 0 && separate.length > 0)) {
    throw new SqlFault(
      'sql.invalid-definition',
      `multiple primary keys for table "${catalogName(statement.name)}" are not allowed`,
      ctx.text,
      at,
    )
  }
  const key = [...inline, ...separate]
  if (key.length === 0 && kind === 'table') {
    throw new SqlFault('sql.invalid-definition', 'a table needs a PRIMARY KEY', ctx.text, statement.name.at, {
      hint: 'Add PRIMARY KEY to a column, or PRIMARY KEY (a, b); for plain events use CREATE STREAM.',
    })
  }
  for (const position of key) {
    if (definitions[position]!.generated !== null)
      throw new SqlFault('sql.unsupported', 'a generated column cannot be part of a key', ctx.text, at)
  }
  return key
}
function streamKey(ctx: PlanContext, options: Options, columns: Columns): string[] {
  return options.names('key').map((text) => {
    const at = options.at('key')
    const name: Name = { text, quoted: false, at, end: at }
    return columns[findDeclared(ctx, columns, name)]!.name
  })
}

interface EventTime {
  readonly column: number
  /** null: rows say the watermark. */
  readonly delayMs: number | null
}
/** WATERMARK FOR col AS col, or col - INTERVAL '…', or what a row says. */
function eventTime(ctx: PlanContext, { watermark }: Create, columns: Columns): EventTime | null {
  if (watermark === null) return null
  const column = findDeclared(ctx, columns, watermark.column)
  const { kind } = columns[column]!.type
  if (kind !== 'timestamp' && kind !== 'timestamptz') {
    throw new SqlFault(
      'sql.type-mismatch',
      'event time must be of type timestamptz or timestamp',
      ctx.text,
      watermark.column.at,
    )
  }
  return { column, delayMs: delayOf(ctx, watermark.as, watermark.column) }
}
/** The expression over a row that says the watermark; where it is NULL the watermark stays. */
function saidWatermark(
  ctx: PlanContext,
  { watermark, kind }: Create,
  source: SourcePlan,
  { column, delayMs, declared }: EventTime & { readonly declared: number },
): Expression | null {
  if (watermark === null || delayMs !== null) return null
  const scope = sourceScope(null, source, declared)
  const bound = bindExpression(bindContext(ctx, scope, 'WATERMARK'), watermark.as)
  const what = `the watermark of this ${kind === 'create-stream' ? 'stream' : 'table'} is said by an expression that`
  const { expr } = coerceOrFail(bound, source.columns[column]!.type, 'assignment', ctx.text, what)
  if (readsClock(expr) || isVolatile(expr))
    throw new SqlFault('sql.unsupported', 'a watermark that does not follow from the row', ctx.text, watermark.as.at, {
      hint: 'What is late must not depend on when a row is read: compute it from columns of the row.',
    })
  return expr
}
/** null: it is no delay behind the event time. */
function delayOf(ctx: PlanContext, as: Expr, name: Name): number | null {
  const isColumn = (expr: Expr): boolean =>
    expr.kind === 'name' && expr.parts.length === 1 && matchesName(expr.parts[0]!, name.text)
  if (isColumn(as)) return 0
  if (as.kind !== 'binary' || as.op !== '-' || !isColumn(as.left) || as.right.kind === 'name') return null
  const ms = intervalMs(bindExpression(bindContext(ctx, emptyScope, 'WATERMARK'), as.right), ctx.text)
  if (ms === null || ms < 0) {
    throw new SqlFault(
      'sql.invalid-value',
      'the delay of a watermark is an interval of whole milliseconds, without months',
      ctx.text,
      as.right.at,
    )
  }
  return ms
}
