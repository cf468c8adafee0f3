/** INSERT INTO stream | table: rows as JSON records with the key that the definition names, all or nothing. */
import type { Value } from '../flow/expression.ts'
import { keyText } from '../flow/encode-key.ts'
import { jsonWriter } from '../flow/json-value.ts'
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import { keyPartition } from '../lib/murmur2.ts'
import type { World } from '../lib/world.ts'
import { encodeBatch, type RecordInput } from '../log/batch.ts'
import { openPartition } from '../log/closed-partitions.ts'
import type { Commits } from '../log/commits.ts'
import type { Batch, Partition } from '../log/log.ts'
import { type DataType, type Field, typeName } from '../schema/types.ts'
import type { Bound } from '../sql/bind/bound.ts'
import { column } from '../sql/bind/bound.ts'
import { coerce } from '../sql/bind/coerce.ts'
import { compileScalar } from '../flow/compile.ts'
import { matchesName } from '../sql/bind/scope.ts'
import { asSqlFault } from '../sql/bind/literals.ts'
import { SqlFault } from '../sql/fault.ts'
import type { PlanContext } from '../sql/plan/context.ts'
import type { Statement } from '../sql/syntax/ast.ts'
import type { Definition } from './definitions.ts'
import type { QueryUsage, Rights } from './engine.ts'
import type { Row } from './execute.ts'
import { planSelection, planTogether, type SelectHost, type Selection } from './select.ts'

type Insert = Extract<Statement, { kind: 'insert' }>

export interface InsertHost extends SelectHost {
  readonly world: World
  readonly commits: Commits
  readonly rights: Rights
  readonly usage?: QueryUsage
  /** The view whose changes the topic holds; null = none. */
  readonly writerOf: (topic: string) => string | null
  /** Why a topic's contract refuses an event; null = it does not. */
  readonly check: (topic: string, event: { key: Uint8Array | null; value: Uint8Array | null }) => Fault | null
}

/** Count of rows inserted, durable. Throws SqlFault, the fault of a value, or of the contract. */
export async function insertRows(
  ctx: PlanContext,
  statement: Insert,
  target: Definition,
  host: InsertHost,
  signal?: AbortSignal,
): Promise<number> {
  const topic = checkTarget(ctx, statement, target, host)
  const fields = targetFields(ctx, statement, target)
  const selection = planSelection(expecting(ctx, fields), statement.source, host)
  const writing = new Writing(ctx, { statement, target, fields, selection }, host)
  for await (const row of selection.rows(signal)) writing.add(row)
  await append(new Map([[topic, writing.records]]), host)
  host.usage?.wrote(writing.bytes)
  return writing.records.length
}
/** The same of several, of which all stand or none; what several of them read is read once. Counts in their order. */
export async function insertTogether(
  ctx: PlanContext,
  inserts: readonly { readonly statement: Insert; readonly target: Definition }[],
  host: InsertHost,
  signal?: AbortSignal,
): Promise<readonly number[]> {
  const topics = inserts.map(({ statement, target }) => checkTarget(ctx, statement, target, host))
  const fields = inserts.map(({ statement, target }) => targetFields(ctx, statement, target))
  const asked = inserts.map(({ statement }, i) => ({ ctx: expecting(ctx, fields[i]!), query: statement.source }))
  const { selections, rows } = planTogether(asked, host)
  const writings = inserts.map(({ statement, target }, i) => {
    return new Writing(ctx, { statement, target, fields: fields[i]!, selection: selections[i]! }, host)
  })
  let bytes = 0
  for await (const [number, row] of rows(signal)) {
    const writing = writings[number]!
    bytes -= writing.bytes
    writing.add(row)
    bytes += writing.bytes
    if (bytes > limits.insertBytes) throw tooMuch(ctx, inserts[number]!.statement)
  }
  const records = new Map<string, RecordInput[]>()
  writings.forEach((writing, i) => records.set(topics[i]!, [...(records.get(topics[i]!) ?? []), ...writing.records]))
  await append(records, host)
  host.usage?.wrote(bytes)
  return writings.map((writing) => writing.records.length)
}
/** The topic that the rows go to. Throws SqlFault where they may not. */
function checkTarget(ctx: PlanContext, statement: Insert, target: Definition, host: InsertHost): string {
  const { relation } = target
  if (relation === null || relation.kind === 'view') {
    throw new SqlFault(
      'sql.wrong-kind',
      `"${target.name}" is a view: its rows follow from its inputs`,
      ctx.text,
      statement.into.at,
      { hint: 'Insert into the stream or table that it reads.' },
    )
  }
  host.rights.demand('write', relation.source.topic)
  const view = host.writerOf(relation.source.topic)
  if (view !== null)
    throw new Fault('log.topic-kept', {
      topic: relation.source.topic,
      why: `it holds the changes of the view ${view}, which alone writes it`,
    })
  const { format, envelope } = relation.source
  if (format !== 'json' || envelope !== undefined)
    throw new SqlFault(
      'sql.unsupported',
      `INSERT writes JSON, and "${target.name}" is of the format ${envelope === undefined ? format : `${envelope}-${format}`}`,
      ctx.text,
      statement.into.at,
      { hint: 'Write such events with a Kafka client.' },
    )
  host.usage?.mayWrite()
  return relation.source.topic
}
/** Rows on their way into one topic. */
class Writing {
  readonly records: RecordInput[] = []
  bytes = 0
  private readonly ctx: PlanContext
  private readonly statement: Insert
  private readonly topic: string
  private readonly host: InsertHost
  private readonly converters: readonly ((value: Value) => Value)[]
  private readonly encode: ReturnType<typeof recordEncoder>
  private readonly checkComputed: ReturnType<typeof computedCheck>

  constructor(
    ctx: PlanContext,
    {
      statement,
      target,
      fields,
      selection,
    }: {
      readonly statement: Insert
      readonly target: Definition
      readonly fields: readonly Field[]
      readonly selection: Pick<Selection, 'columns' | 'topics'>
    },
    host: InsertHost,
  ) {
    const { columns, topics } = selection
    for (const topic of topics) host.rights.demand('read', topic)
    this.converters = columns.map((from, i) => converter(ctx, statement, from, fields[i]))
    if (columns.length > fields.length) {
      throw new SqlFault('sql.syntax', 'INSERT has more expressions than target columns', ctx.text, statement.source.at)
    }
    if (statement.columns.length > 0 && columns.length < fields.length) {
      throw new SqlFault('sql.syntax', 'INSERT has more target columns than expressions', ctx.text, statement.source.at)
    }
    const written = fields.slice(0, columns.length)
    checkRequired(ctx, statement, target, written)
    this.ctx = ctx
    this.statement = statement
    this.topic = target.relation!.source.topic
    this.host = host
    this.encode = recordEncoder(target, written)
    this.checkComputed = computedCheck(ctx, statement, target, written)
  }
  add(row: Row): void {
    const values = row.map((value, i) => this.converters[i]!(value))
    this.checkComputed(values)
    const record = this.encode(values, this.host.clock.now())
    const fault = this.host.check(this.topic, { key: record.key, value: record.value })
    if (fault !== null) throw fault
    this.bytes += record.value?.length ?? 0
    if (this.bytes > limits.insertBytes) throw tooMuch(this.ctx, this.statement)
    this.records.push(record)
  }
}
const tooMuch = (ctx: PlanContext, { at }: Insert): SqlFault =>
  new SqlFault('sql.too-complex', `one INSERT writes at most ${limits.insertBytes} bytes`, ctx.text, at, {
    hint: 'Insert in several steps.',
  })

/** The columns that are written, in the order of the source's. */
function targetFields(ctx: PlanContext, statement: Insert, target: Definition): Field[] {
  const { relation } = target
  const { source, declared } = relation!
  const stored = storedFields(target)
  if (statement.columns.length === 0) return stored
  const chosen: Field[] = []
  for (const name of statement.columns) {
    const found = source.columns.slice(0, declared).filter((field) => matchesName(name, field.name))
    const [named] = found
    if (named === undefined || found.length > 1) {
      const code = found.length > 1 ? 'sql.ambiguous-name' : 'sql.unknown-column'
      const what = found.length > 1 ? 'is ambiguous' : 'does not exist'
      throw new SqlFault(code, `column "${name.text}" of "${relation!.name}" ${what}`, ctx.text, name.at)
    }
    const field = stored.find((other) => other.name === named.name)
    if (field === undefined) {
      throw new SqlFault(
        'sql.wrong-kind',
        `column "${named.name}" is generated: it cannot be inserted`,
        ctx.text,
        name.at,
      )
    }
    if (chosen.includes(field)) {
      throw new SqlFault('sql.duplicate-column', `column "${field.name}" specified more than once`, ctx.text, name.at)
    }
    chosen.push(field)
  }
  return chosen
}

/** Bare strings take the type of the column that they go to, as in PostgreSQL; a length is checked when they are stored. */
const expecting = (ctx: PlanContext, fields: readonly Field[]): PlanContext => ({
  ...ctx,
  expected: fields.map(({ type }): DataType => (type.kind === 'varchar' ? { kind: 'text' } : type)),
})

/** Columns without a value that must have one: those of NOT NULL and of the key, and the event time. */
function checkRequired(ctx: PlanContext, statement: Insert, target: Definition, written: readonly Field[]): void {
  const missing = storedFields(target).find(
    (field) => !field.nullable && !written.some((other) => other.name === field.name),
  )
  if (missing !== undefined) throw nullIn(ctx, statement, missing)
}
const nullIn = (ctx: PlanContext, statement: Insert, { name }: Field): SqlFault =>
  new SqlFault(
    'sql.not-null',
    `null value in column "${name}" violates not-null constraint`,
    ctx.text,
    statement.source.at,
  )
/** What a record holds; the event time is as good as NOT NULL. */
function storedFields({ relation }: Definition): Field[] {
  const { source, declared } = relation!
  return source.columns
    .slice(0, declared)
    .map((field, i) => (source.time?.column === i ? { ...field, nullable: false } : field))
    .filter((_, i) => source.fields[i]!.from === 'value')
}

function converter(ctx: PlanContext, statement: Insert, from: Field, to: Field | undefined): (value: Value) => Value {
  if (to === undefined) return (value) => value
  const bound: Bound = {
    expr: column(0, from.type),
    unknown: false,
    nullable: from.nullable,
    at: statement.source.at,
    end: statement.source.end,
  }
  const stored: DataType = to.type.kind === 'varchar' ? { kind: 'varchar', length: null } : to.type
  const cast = coerce(bound, stored, 'assignment', ctx.text)
  if (cast === null) {
    throw new SqlFault(
      'sql.type-mismatch',
      `column "${to.name}" is of type ${typeName(to.type)} but expression is of type ${typeName(from.type)}`,
      ctx.text,
      statement.source.at,
      to.type.kind === 'composite'
        ? { hint: `Write ROW(…) with ${to.type.fields.map(({ name }) => name).join(', ')}, or JSON.` }
        : {},
    )
  }
  const convert = cast.expr.kind === 'column' ? null : compileScalar(cast.expr)
  const length = to.type.kind === 'varchar' ? to.type.length : null
  return (value) => {
    if (value === null) {
      if (to.nullable) return null
      throw nullIn(ctx, statement, to)
    }
    const converted = convert === null ? value : convert([value], 0)
    // A written cast cuts; storing does not.
    if (length !== null && typeof converted === 'string' && converted.length > length) checkLength(converted, length)
    return converted
  }
}
/** Whoever writes a row of which a generated column cannot be computed is told; readers would find it invalid. */
function computedCheck(
  ctx: PlanContext,
  statement: Insert,
  { relation }: Definition,
  written: readonly Field[],
): (values: Row) => void {
  const { columns, fields, time } = relation!.source
  const places = columns.map(({ name }) => written.findIndex((field) => field.name === name))
  const computed = fields.flatMap((field, c) =>
    field.from === 'computed'
      ? [{ field: columns[c]!, compute: compileScalar(field.expression), isTime: time?.column === c }]
      : [],
  )
  const { text } = ctx
  const { at } = statement.source
  return (values) => {
    const row = places.map((place) => (place < 0 ? null : values[place]!))
    for (const { field, compute, isTime } of computed) {
      let value: Value
      try {
        value = compute(row, 0)
      } catch (error) {
        const fault = asSqlFault(error, text, at)
        if (!(fault instanceof SqlFault)) throw fault
        const message = `the generated column "${field.name}" has no value: ${fault.message}`
        throw new SqlFault(fault.code, message, text, at, { hint: fault.hint })
      }
      if (value === null && (isTime || !field.nullable)) throw nullIn(ctx, statement, field)
    }
  }
}
function checkLength(text: string, length: number): void {
  const characters = Array.from(text).length
  if (characters > length) throw new Fault('value.too-long', { type: `varchar(${length})`, length: characters })
}

function recordEncoder(
  { relation, keyColumns }: Definition,
  fields: readonly Field[],
): (row: Row, timeMs: number) => RecordInput {
  const { columns } = relation!.source
  const writers = fields.map((field) => ({ label: JSON.stringify(field.name), write: jsonWriter(field.type) }))
  const keyFields = keyColumns.map((name) => columns.find((field) => field.name === name)!)
  const places = keyColumns.map((name) => fields.findIndex((field) => field.name === name))
  const text = keyText(keyFields)
  return (row, timeMs) => {
    const value = `{${writers.map(({ label, write }, i) => `${label}:${write(row[i]!)}`).join(',')}}`
    const keys = places.map((place) => (place < 0 ? null : row[place]!))
    const hasKey = keys.some((key) => key !== null)
    return { key: hasKey ? Buffer.from(text(keys)) : null, value: Buffer.from(value), timeMs }
  }
}

/** One batch where one is enough; else all of them in one tick. */
export async function append(
  topics: ReadonlyMap<string, readonly RecordInput[]>,
  { log, world, commits }: InsertHost,
): Promise<void> {
  const entries: { partition: Partition; batch: Batch }[] = []
  for (const [topic, records] of topics) {
    if (records.length === 0) continue
    const info = (await log.topics.get(topic)) ?? { partitions: 1, config: {} }
    const { partitions } = info
    const sticky = Math.floor(world.random.fraction() * partitions)
    const perPartition = Map.groupBy(records, ({ key }) =>
      openPartition(info, key === null ? sticky : keyPartition(key, partitions)),
    )
    for (const [index, list] of perPartition)
      entries.push(...batches(list).map((batch) => ({ partition: { topic, index }, batch })))
  }
  if (entries.length === 0) return
  if (entries.length === 1) {
    const [done] = await log.writer().append(entries)
    if (done !== undefined && 'fault' in done) throw done.fault
    return
  }
  await commits.run(async (tick) => {
    await tick(entries)
    return { parts: [], result: null }
  })
}
function batches(records: readonly RecordInput[]): Batch[] {
  const out: Batch[] = []
  let piece: RecordInput[] = []
  let bytes = 0
  for (const record of records) {
    const size = (record.value?.length ?? 0) + (record.key?.length ?? 0) + 32
    if (piece.length > 0 && bytes + size > limits.batchBytes / 2) {
      out.push(encodeBatch(piece))
      piece = []
      bytes = 0
    }
    piece.push(record)
    bytes += size
  }
  if (piece.length > 0) out.push(encodeBatch(piece))
  return out
}
