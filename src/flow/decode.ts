/**
 * Records of a topic into columnar batches, as a source's plan says. Every row gets its provenance, with the watermark
 * that stood before it; the partition's clock moves after it. A record that does not parse or fit is handed back with
 * its reason (or becomes NULLs, where the source says so) and moves no clock.
 */
import { assert } from '../lib/assert.ts'
import { Fault } from '../lib/fault.ts'
import type { LogRecord } from '../log/batch.ts'
import { type RawRecords, place } from '../log/raw-records.ts'
import type { Schemas } from '../schema/formats/registry.ts'
import type { DataType } from '../schema/types.ts'
import {
  type Batch,
  type Column,
  type NumberColumn,
  type Provenance,
  type RowFailure,
  gatherColumn,
  sourcePartition,
} from './batch.ts'
import type { PartitionClock, SourceClock } from './clock.ts'
import { type ColumnBuilder, columnBuilder } from './columns.ts'
import { compileProject } from './compile.ts'
import type { Value } from './expression.ts'
import { KeyWriter, writeKey } from './key.ts'
import { Malformed, Misfit, misfitOf } from './decode-value.ts'
import { keyReader } from './encode-key.ts'
import { ChangeEvents, type Image } from './formats/debezium.ts'
import { type Payload, payloadOf } from './formats/payload.ts'
import { missingIds } from './formats/writers.ts'
import { JsonSyntax } from './json-scan.ts'
import { lentDoubles, lentInts } from './lent-arrays.ts'
import type { SourcePlan } from './plan.ts'
import { type FastReader, fastReaderOf } from './schema-reader.ts'

export interface InvalidRecord {
  readonly partition: number
  readonly record: LogRecord
  readonly fault: Fault
}
export interface Decoded {
  readonly batch: Batch
  readonly invalid: readonly InvalidRecord[]
}
/** A partition may come several times, one after the other. */
export interface PartitionRecords {
  readonly partition: number
  readonly records: RawRecords
}
export interface Decoder {
  /**
   * Waits until what is needed to read the records is known, or was waited for long enough; null: it is. Throws what the
   * log throws, and when aborted.
   */
  prepare(input: readonly PartitionRecords[], signal?: AbortSignal): Promise<void> | null
  /** Rows in the order given: partition by partition, by offset. */
  decode(input: readonly PartitionRecords[], clock: SourceClock, nowMs: number): Decoded
  /** The first half: what the records hold, whoever asks. */
  read(input: readonly PartitionRecords[]): ReadRecords
  /** The second half, over columns in the order of this source's: what is computed, and where the clock stood. */
  rows(read: ReadRecords, clock: SourceClock, nowMs: number): Decoded
  /** Rows read by generated code, and by the complete parser. */
  readonly stats: { readonly fast: number; readonly slow: number }
}

/** Which records became rows. */
export interface Kept {
  readonly count: number
  /** For each row the number of its record. */
  readonly numbers: Int32Array
  /** For each piece of the input the row behind its last one. */
  readonly until: Int32Array
  readonly weights: Float64Array | null
  /** Of change events by a key, 1 where the row's key is gone; null: where the record has no value. */
  readonly deleted: Float64Array | null
}
export interface ReadRecords {
  readonly input: readonly PartitionRecords[]
  /** Places of computed columns hold nothing yet. */
  readonly columns: readonly Column[]
  readonly kept: Kept
  readonly invalid: readonly InvalidRecord[]
}
/** Header of a record of a view that withdraws without a key. */
export const weightHeader = 'mr-weight'

type Pseudo = Exclude<SourcePlan['fields'][number]['from'], 'value' | 'computed'>
/** Of a change event without a key. */
const rowsOfEvent = 2
const valueOf = ({ value }: LogRecord): Buffer | null => (value === null ? null : bufferOf(value))
const keyA = new KeyWriter()
const keyB = new KeyWriter()

export interface DecoderOptions {
  /** False: the complete parser reads everything, as the oracle of what is generated. */
  readonly generate?: boolean
  /** Where the schemas are that ids of framed values name; none: every id is unknown. */
  readonly schemas?: Schemas | null
}
export function createDecoder(
  plan: SourcePlan,
  source: number,
  { generate = true, schemas = null }: DecoderOptions = {},
): Decoder {
  return new RecordDecoder(plan, source, { fast: generate ? fastReaderOf(plan, schemas) : null, schemas })
}

class RecordDecoder implements Decoder {
  private readonly plan: SourcePlan
  private readonly source: number
  private readonly types: readonly DataType[]
  private readonly payload: Payload
  /** The same as `payload`, where that is of change events. */
  private readonly changes: ChangeEvents | null
  private readonly schemas: Schemas | null
  private readonly keys: ReturnType<typeof keyReader> | null
  private readonly computed: { column: number; project: ReturnType<typeof compileProject> }[] = []
  /** Columns that are neither of the payload nor computed. */
  private readonly pseudo: number[] = []
  private readonly fast: FastReader | null

  constructor(
    plan: SourcePlan,
    source: number,
    { fast, schemas }: { fast: FastReader | null; schemas: Schemas | null },
  ) {
    assert(plan.columns.length === plan.fields.length, 'a field for each column')
    this.plan = plan
    this.source = source
    this.fast = fast
    this.types = plan.columns.map((c) => c.type)
    this.schemas = schemas
    this.changes = plan.envelope === undefined ? null : new ChangeEvents(plan, schemas)
    this.payload = this.changes ?? payloadOf(plan, schemas)
    this.keys = plan.key.length === 0 || this.changes !== null ? null : keyReader(plan.key.map((k) => plan.columns[k]!))
    for (let c = 0; c < plan.fields.length; c++) {
      const field = plan.fields[c]!
      if (field.from === 'computed') this.computed.push({ column: c, project: compileProject([field.expression]) })
      else if (field.from !== 'value') this.pseudo.push(c)
    }
  }
  get stats(): Decoder['stats'] {
    return this.fast?.stats ?? { fast: 0, slow: 0 }
  }
  prepare(input: readonly PartitionRecords[], signal?: AbortSignal): Promise<void> | null {
    const { schemas } = this
    const { schema, format } = this.plan
    if (schemas === null || schema === undefined) return null
    const missing = missingIds(
      schema,
      format === 'avro',
      schemas,
      input.map(({ records }) => records),
    )
    return missing.length === 0 ? null : schemas.settle(missing, signal)
  }
  decode(input: readonly PartitionRecords[], clock: SourceClock, nowMs: number): Decoded {
    return this.rows(this.read(input), clock, nowMs)
  }
  read(input: readonly PartitionRecords[]): ReadRecords {
    const { changes } = this
    const total = input.reduce((sum, { records }) => sum + records.count, 0) * (changes === null ? 1 : rowsOfEvent)
    const flat = this.fast?.begin(input.map(({ records }) => records)) ?? null
    const builders = this.types.map((type, c) =>
      columnBuilder(type, this.plan.fields[c]!.from === 'computed' ? 1 : total, flat?.bytes ?? null),
    )
    const numbers = lentInts(total)
    const until = new Int32Array(input.length)
    const weights = this.plan.mode === 'weighted' ? new Float64Array(total).fill(1) : null
    const deleted = changes !== null && this.plan.mode === 'upsert' ? new Float64Array(total) : null
    const invalid: InvalidRecord[] = []
    const loop = flat?.to(builders, numbers) ?? null
    let count = 0
    for (const [piece, { partition, records }] of input.entries()) {
      for (let number = records.from; number < records.to; number++) {
        if (loop !== null) {
          loop.rows = count
          number = this.fast!.read(loop, piece, number, records.to)
          this.fillPseudo(builders, { partition, records }, numbers.subarray(count, loop.rows))
          count = loop.rows
          if (number === records.to) break
        }
        const record = records.record(number)
        const before = count
        try {
          if (changes === null) {
            this.readRecord(partition, record, builders)
            if (weights !== null) weights[count] = this.weight(record)
            numbers[count++] = number
            this.fast?.learn(record.value === null ? null : bufferOf(record.value))
          } else
            for (const image of changes.images(valueOf(record), record.key === null ? null : bufferOf(record.key))) {
              changes.turnTo(image)
              this.readImage(image, partition, record, builders)
              if (weights !== null) weights[count] = image.weight
              if (deleted !== null) deleted[count] = image.isDeleted ? 1 : 0
              numbers[count++] = number
            }
        } catch (error) {
          count = before
          for (const builder of builders) builder.truncate(count)
          invalid.push({ partition, record, fault: this.fault(error) })
        }
      }
      until[piece] = count
    }
    return { input, columns: builders.map((b) => b.done()), kept: { count, numbers, until, weights, deleted }, invalid }
  }
  rows({ input, columns, kept, invalid: unread }: ReadRecords, clock: SourceClock, nowMs: number): Decoded {
    for (const { partition } of input) clock.woke(clock.partition(partition, nowMs), nowMs)
    const invalid = [...unread]
    const computed = this.compute([...columns], kept, input, { nowMs, invalid })
    return { batch: this.finish(computed.columns, computed.rows, input, { clock, nowMs }), invalid }
  }
  private finish(
    columns: readonly Column[],
    kept: Kept,
    input: readonly PartitionRecords[],
    { clock, nowMs }: { clock: SourceClock; nowMs: number },
  ): Batch {
    const { count, numbers, until, weights } = kept
    const source = lentInts(count)
    const offset = lentDoubles(count)
    const watermark = lentDoubles(count)
    const times = this.plan.time === null ? null : timeColumn(columns[this.plan.time.column]!)
    const said = this.plan.watermark === undefined ? null : timeColumn(columns[this.plan.watermark]!)
    // A column without NULLs is the time of its rows as it is.
    const time = times !== null && times.valid === null ? times.data : lentDoubles(count)
    let row = 0
    for (const [piece, { partition, records }] of input.entries()) {
      const partitionClock = clock.partition(partition, nowMs)
      const id = sourcePartition(this.source, partition)
      const { offsets, timesMs } = records
      const end = until[piece]!
      if (times !== null && times.valid === null && said === null) {
        clock.sawAll(partitionClock, { times: times.data, timesMs, numbers, from: row, to: end }, watermark)
        for (; row < end; row++) {
          source[row] = id
          offset[row] = offsets[numbers[row]!]!
        }
      }
      for (; row < end; row++) {
        const number = numbers[row]!
        const arrivalMs = timesMs[number]!
        const known = times === null || times.valid === null || times.valid[row] === 1
        const micros = known
          ? times === null
            ? arrivalMs * 1000
            : times.data[row]!
          : unknownTime(partitionClock, arrivalMs)
        source[row] = id
        offset[row] = offsets[number]!
        time[row] = micros
        watermark[row] = clock.watermarkOf(partitionClock)
        if (said === null) {
          if (known) clock.saw(partitionClock, Math.floor(micros / 1000), arrivalMs)
        } else if (said.valid === null || said.valid[row] === 1)
          clock.saw(partitionClock, Math.floor(said.data[row]! / 1000), arrivalMs)
      }
    }
    const rows: Provenance = { source, offset, time, watermark, origins: null }
    const deleted = this.plan.mode === 'upsert' ? [deletedColumn(kept, input)] : []
    return { count, columns: [...columns, ...deleted], weights, rows, late: null, failed: null }
  }
  /** Computed columns, in order; rows that have no value for one of them are invalid. */
  private compute(
    columns: Column[],
    rows: Kept,
    input: readonly PartitionRecords[],
    { nowMs, invalid }: { nowMs: number; invalid: InvalidRecord[] },
  ): { columns: Column[]; rows: Kept } {
    for (const { column, project } of this.computed) {
      const builder = columnBuilder(this.types[column]!, rows.count)
      const failures: RowFailure[] = []
      project(columns, rows.count, nowMs * 1000, [builder], failures)
      if (failures.length > 0) {
        const bad = new Map(failures.map((f) => [f.row, f.fault]))
        for (const [row, fault] of bad) {
          const { partition, records } = input[rows.until.findIndex((end) => row < end)]!
          invalid.push({ partition, record: records.record(rows.numbers[row]!), fault })
        }
        const good = Int32Array.from(Array.from({ length: rows.count }, (_, row) => row).filter((row) => !bad.has(row)))
        columns = columns.map((c) => gatherColumn(c, good, good.length))
        rows = keptOnly(rows, good)
      }
      columns[column] = builder.done()
    }
    return { columns, rows }
  }
  private fault(error: unknown): Fault {
    if (error instanceof Misfit)
      return new Fault('schema.invalid', { topic: this.plan.topic, field: error.field, why: error.message }, error)
    if (error instanceof JsonSyntax) return new Fault('json.malformed', { what: error.what, position: error.at }, error)
    const { topic, format } = this.plan
    if (error instanceof Malformed)
      return new Fault('schema.malformed', { topic, format, what: error.what, position: error.at }, error)
    if (isUnread(error)) return error
    throw error
  }
  private weight(record: LogRecord): number {
    if (this.plan.mode !== 'weighted') return 1
    const header = record.headers.find(([name]) => name === weightHeader)?.[1]
    if (header === undefined || header === null) return 1
    const weight = Number(Buffer.from(header).toString('latin1'))
    if (!Number.isSafeInteger(weight) || weight === 0) throw new Misfit('is no weight', weightHeader)
    return weight
  }

  private readRecord(partition: number, record: LogRecord, builders: readonly ColumnBuilder[]): void {
    this.payload.clear()
    const value = record.value === null ? null : bufferOf(record.value)
    if (value === null) this.checkTombstone(record)
    else this.scanOrNull(value)
    const fromKey = this.keys === null || record.key === null ? null : this.keyColumns(record.key)
    for (let c = 0; c < builders.length; c++) {
      const field = this.plan.fields[c]!
      if (field.from === 'value') this.readValue(c, value, builders[c]!, fromKey)
      else if (field.from !== 'computed') this.readPseudo(field.from, partition, record, builders[c]!, this.types[c]!)
    }
  }
  /** Of a row whose key is gone only the key counts. */
  private readImage(image: Image, partition: number, record: LogRecord, builders: readonly ColumnBuilder[]): void {
    for (let c = 0; c < builders.length; c++) {
      const field = this.plan.fields[c]!
      const isWanted = !image.isDeleted || this.plan.key.includes(c)
      if (field.from === 'value' && isWanted) this.readValue(c, valueOf(record), builders[c]!, image.fromKey)
      else if (field.from === 'value') this.pushMissing(c, builders[c]!, true)
      else if (field.from !== 'computed') this.readPseudo(field.from, partition, record, builders[c]!, this.types[c]!)
    }
  }
  /** For rows that are there in the other columns. */
  private fillPseudo(
    builders: readonly ColumnBuilder[],
    { partition, records }: PartitionRecords,
    numbers: Int32Array,
  ): void {
    for (const c of this.pseudo) {
      const { from } = this.plan.fields[c]! as { from: Pseudo }
      const builder = builders[c]!
      if (from === 'offset') for (const number of numbers) builder.push(records.offsets[number]!)
      else
        for (const number of numbers) this.readPseudo(from, partition, records.record(number), builder, this.types[c]!)
    }
  }
  private scanOrNull(value: Buffer): void {
    try {
      this.payload.locate(value)
    } catch (error) {
      const isInvalid =
        error instanceof Misfit || error instanceof JsonSyntax || error instanceof Malformed || isUnread(error)
      if (this.plan.onInvalid !== 'null' || !isInvalid) throw error
      this.payload.clear()
    }
  }
  private checkTombstone(record: LogRecord): void {
    if (this.plan.mode !== 'upsert') throw new Misfit('is null')
    if (record.key === null) throw new Misfit('is null, and so is the key')
  }
  /** Values of the key columns from the record's key. */
  private keyColumns(key: Uint8Array): readonly Value[] {
    try {
      return this.keys!(bufferOf(key))
    } catch (error) {
      if (!(error instanceof Misfit || error instanceof JsonSyntax || error instanceof Fault)) throw error
      throw new Misfit(`cannot be read from the record's key: ${error.message}`, this.keyNames())
    }
  }
  private keyNames(): string {
    return this.plan.key.map((k) => this.plan.columns[k]!.name).join(', ')
  }
  private readValue(c: number, value: Buffer | null, builder: ColumnBuilder, fromKey: readonly Value[] | null): void {
    const field = this.plan.columns[c]!
    const keyAt = this.plan.key.indexOf(c)
    if (value === null || this.payload.isMissing(c)) {
      if (keyAt >= 0 && fromKey !== null) return builder.push(fromKey[keyAt]!)
      return this.pushMissing(c, builder, value === null)
    }
    try {
      this.payload.read(c, builder)
    } catch (error) {
      const misfit = misfitOf(error)
      if (misfit === null) throw error
      if (this.plan.onInvalid !== 'null') throw new Misfit(misfit.message, field.name)
      builder.pushNull()
    }
    // A value may say null in its own way, as an enum does with a number that it does not have.
    if (this.plan.format !== 'json' && builder.last(this.types[c]!) === null) {
      builder.truncate(builder.count - 1)
      return this.pushMissing(c, builder, false)
    }
    if (keyAt >= 0 && fromKey !== null) this.checkKey(c, fromKey[keyAt]!, builder)
  }
  /** The payload's value, just pushed, must be that of the record's key. */
  private checkKey(c: number, expected: Value, builder: ColumnBuilder): void {
    const type = this.types[c]!
    const last = builder.count - 1
    keyA.length = keyB.length = 0
    writeKey(keyA, builder.last(type), type)
    writeKey(keyB, expected, type)
    if (Buffer.compare(keyA.done(), keyB.done()) === 0) return
    builder.truncate(last)
    throw new Misfit(
      `the record's key says ${String(expected)}, the payload something else`,
      this.plan.columns[c]!.name,
    )
  }
  private pushMissing(c: number, builder: ColumnBuilder, tombstone: boolean): void {
    const field = this.plan.columns[c]!
    const needed = !field.nullable && !tombstone && this.plan.onInvalid !== 'null'
    if (needed) throw new Misfit('is required', field.name)
    if (this.plan.time?.column === c && !tombstone && this.plan.onInvalid !== 'null')
      throw new Misfit('is missing, and it is the event time', field.name)
    builder.pushNull()
  }
  private readPseudo(from: Pseudo, partition: number, record: LogRecord, builder: ColumnBuilder, type: DataType): void {
    switch (from) {
      case 'topic':
        return builder.push(this.plan.topic)
      case 'partition':
        return builder.push(partition)
      case 'offset':
        return builder.push(record.offset)
      case 'timestamp':
        return builder.push(type.kind === 'bigint' ? record.timeMs : record.timeMs * 1000)
      case 'key':
        if (record.key === null) return builder.pushNull()
        return builder.push(type.kind === 'bytea' ? record.key : bufferOf(record.key).toString('utf8'))
      case 'headers':
        return builder.push(headersJson(record))
    }
  }
}

export const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/**
 * Of a row without its event time (a key that is gone): as late as what its partition has seen. It moves no clock: when
 * the record arrived says nothing about event time.
 */
const unknownTime = (clock: PartitionClock, arrivalMs: number): number =>
  (clock.maxTimeMs === -Infinity ? arrivalMs : clock.maxTimeMs) * 1000
/** Behind an upsert source's columns: 1 where the record's value is null. */
function deletedColumn({ count, numbers, until, deleted }: Kept, input: readonly PartitionRecords[]): NumberColumn {
  if (deleted !== null) return { kind: 'f64', data: deleted, valid: null }
  const data = new Float64Array(count)
  let row = 0
  for (const [piece, { records }] of input.entries())
    for (const end = until[piece]!; row < end; row++)
      data[row] = records.places[numbers[row]! * place.stride + place.valueFrom]! < 0 ? 1 : 0
  return { kind: 'f64', data, valid: null }
}
/** These rows, in order. */
const keptOnly = ({ numbers, until, weights, deleted }: Kept, rows: Int32Array): Kept => ({
  count: rows.length,
  numbers: rows.map((row) => numbers[row]!),
  until: until.map((end) => countBelow(rows, end)),
  weights: weights === null ? null : Float64Array.from(rows, (row) => weights[row]!),
  deleted: deleted === null ? null : Float64Array.from(rows, (row) => deleted[row]!),
})
function countBelow(rows: Int32Array, end: number): number {
  const first = rows.findIndex((row) => row >= end)
  return first < 0 ? rows.length : first
}
function timeColumn(column: Column): NumberColumn {
  assert(column.kind === 'f64', 'event time is a timestamp')
  return column
}
/** The schema that a value was written by cannot be had. */
const isUnread = (error: unknown): error is Fault =>
  error instanceof Fault && (error.code === 'schema.unknown-id' || error.code === 'schema.invalid-schema')
/** Header names and their values as text; of equal names the last one. */
function headersJson(record: LogRecord): string {
  return JSON.stringify(
    Object.fromEntries(record.headers.map(([name, v]) => [name, v === null ? null : bufferOf(v).toString('utf8')])),
  )
}
