/** CREATE STREAM and CREATE TABLE as relations: columns, key, event time, topic. */
import type { SourcePlan } from '../../flow/plan.ts'
import type { Columns, Field } from '../../schema/types.ts'
import { bindExpression } from '../bind/expressions.ts'
import { coerceOrFail } from '../bind/coerce.ts'
import { intervalMs } from '../bind/durations.ts'
import { emptyScope, matchesName } from '../bind/scope.ts'
import { resolveType } from '../bind/types.ts'
import { SqlFault } from '../fault.ts'
import type { Expr, Name, Statement } from '../syntax/ast.ts'
import { bindContext, type PlanContext } from './context.ts'
import { Options, type OptionSpecs } from './options.ts'
import { catalogName, pseudoColumns, type Relation, sourceScope, withFields } from './relation.ts'

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
  format: { kind: 'choice', choices: ['json'], about: 'how values are written' },
  key: { kind: 'names', about: 'the column, or columns, that the record key is taken from' },
  partitions: { kind: 'count', about: 'partitions of the topic when it is created; default 1' },
  on_invalid: {
    kind: 'choice',
    choices: ['reject', 'quarantine', 'null'],
    about: 'what happens to an event that does not fit; default quarantine',
  },
}

export function planRelation(ctx: PlanContext, statement: Create): PlannedRelation {
  const kind = statement.kind === 'create-stream' ? 'stream' : 'table'
  const name = catalogName(statement.name)
  const options = new Options(statement.options, relationOptions, ctx.text)
  const declared = declaredColumns(ctx, statement)
  const plain: SourcePlan = {
    op: 'source',
    name,
    topic: options.textOf('topic') ?? name,
    mode: kind === 'table' ? 'upsert' : 'append',
    format: 'json',
    columns: [...declared.columns, ...pseudoColumns.map((p) => p.field)],
    fields: [...declared.fields, ...pseudoColumns.map((p) => ({ from: p.from }))],
    key: keyPositions(ctx, statement, declared.columns, kind),
    time: eventTime(ctx, statement, declared.columns),
    onInvalid: (options.textOf('on_invalid')?.toLowerCase() as SourcePlan['onInvalid'] | undefined) ?? 'quarantine',
  }
  // Rows of tables are kept whole.
  const source = kind === 'stream' ? withFields(plain) : plain
  const keyColumns =
    kind === 'table' ? source.key.map((i) => declared.columns[i]!.name) : streamKey(ctx, options, declared.columns)
  return {
    relation: {
      name,
      kind,
      source: kind === 'table' ? source : { ...source, key: [] },
      declared: declared.columns.length,
      appendOnly: kind === 'stream',
      key: kind === 'table' ? source.key : null,
    },
    topic: {
      name: source.topic,
      partitions: options.count('partitions'),
      config: { ...(kind === 'table' ? { 'cleanup.policy': 'compact' } : {}), ...options.topicConfig() },
    },
    keyColumns,
    ifNotExists: statement.ifNotExists,
  }
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
function declaredColumns(ctx: PlanContext, statement: Create): Declared {
  const columns: Field[] = []
  for (const definition of statement.columns) {
    const { text: name, at } = definition.name
    if (columns.some((field) => field.name === name)) {
      throw new SqlFault('sql.duplicate-column', `column "${name}" specified more than once`, ctx.text, at)
    }
    if (pseudoColumns.some((p) => p.field.name === name)) {
      throw new SqlFault('sql.invalid-definition', `"${name}" is the name of a pseudo-column`, ctx.text, at, {
        hint: 'It is there without being declared.',
      })
    }
    const key = definition.primaryKey || statement.primaryKey.some((part) => matchesName(part, name))
    columns.push({ name, type: resolveType(definition.type, ctx.text), nullable: !definition.notNull && !key })
  }
  const values = columns.map((field): Declared['fields'][number] => ({ from: 'value', path: [field.name] }))
  const all: SourcePlan = {
    ...unplanned,
    columns: [...columns, ...pseudoColumns.map((p) => p.field)],
    fields: [...values, ...pseudoColumns.map((p) => ({ from: p.from }))],
  }
  const [named] = sourceScope(null, statement.kind === 'create-stream' ? withFields(all) : all, columns.length)
  const scope = named!.columns.filter(
    ({ index }) => statement.columns[index]?.generated === null || index >= columns.length,
  )
  const fields = statement.columns.map((definition, i): Declared['fields'][number] => {
    const { generated } = definition
    if (generated === null) return { from: 'value', path: [columns[i]!.name] }
    const bind = bindContext(ctx, [{ name: null, schema: null, columns: scope }], 'a generated column')
    const what = `column "${columns[i]!.name}" is computed by an expression that`
    return {
      from: 'computed',
      expression: coerceOrFail(bindExpression(bind, generated), columns[i]!.type, 'assignment', ctx.text, what).expr,
    }
  })
  return { columns, fields }
}

function findDeclared(ctx: PlanContext, columns: Columns, name: Name): number {
  const found = columns.flatMap((field, i) => (matchesName(name, field.name) ? [i] : []))
  if (found.length === 1) return found[0]!
  if (found.length > 1)
    throw new SqlFault('sql.ambiguous-name', `column "${name.text}" is ambiguous`, ctx.text, name.at)
  throw new SqlFault('sql.unknown-column', `column "${name.text}" is not among the columns`, ctx.text, name.at)
}

function keyPositions(ctx: PlanContext, statement: Create, columns: Columns, kind: 'stream' | 'table'): number[] {
  const inline = statement.columns.flatMap((definition, i) => (definition.primaryKey ? [i] : []))
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
  if (key.length === 0) {
    throw new SqlFault('sql.invalid-definition', 'a table needs a PRIMARY KEY', ctx.text, statement.name.at, {
      hint: 'Add PRIMARY KEY to a column, or PRIMARY KEY (a, b); for plain events use CREATE STREAM.',
    })
  }
  for (const position of key) {
    if (statement.columns[position]!.generated !== null)
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

/** WATERMARK FOR col AS col, or col - INTERVAL '…'. */
function eventTime(ctx: PlanContext, { watermark }: Create, columns: Columns): SourcePlan['time'] {
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
function delayOf(ctx: PlanContext, as: Expr, name: Name): number {
  const fail = (): never => {
    throw new SqlFault(
      'sql.invalid-definition',
      `a watermark is ${name.text}, or ${name.text} - INTERVAL '…'`,
      ctx.text,
      as.at,
    )
  }
  const isColumn = (expr: Expr): boolean =>
    expr.kind === 'name' && expr.parts.length === 1 && matchesName(expr.parts[0]!, name.text)
  if (isColumn(as)) return 0
  if (as.kind !== 'binary' || as.op !== '-' || !isColumn(as.left)) return fail()
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
