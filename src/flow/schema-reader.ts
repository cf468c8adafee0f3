/**
 * Reads most records of a source of Avro or Protobuf by generated loops, one for each schema that values were written by.
 * Whatever a loop leaves is read by the complete parser; results are the same with and without it.
 */
import { Fault } from '../lib/fault.ts'
import type { RawRecords } from '../log/raw-records.ts'
import type { Schemas } from '../schema/formats/registry.ts'
import { Malformed, Misfit } from './decode-value.ts'
import { type Wants, wantsOf } from './formats/binary.ts'
import { wantedOf } from './formats/protobuf.ts'
import { AvroWriters, ProtoWriters } from './formats/writers.ts'
import { avroLoop } from './generate/avro.ts'
import { protoLoop } from './generate/protobuf.ts'
import { keyIsText } from './generate/json.ts'
import type { LoopColumn, RecordLoop } from './generate/loop.ts'
import { FlatInput, LearntReader, type OpenInput } from './learnt-reader.ts'
import type { SourcePlan } from './plan.ts'

/** What reads records faster than the complete parser, and leaves some of them. */
export interface FastReader {
  /** Rows that were read, and those left to the complete parser. */
  readonly stats: { readonly fast: number; readonly slow: number }
  /** Before a batch is read; null: it is not worth it yet. */
  begin(input: readonly RawRecords[]): FlatInput | null
  /** Reads on from this record of a piece; gives the first that is left, and has added rows to `input`. */
  read(input: OpenInput, piece: number, at: number, to: number): number
  /** A record that the complete parser made a row of. */
  learn(value: Buffer | null): void
}
/** null: of such a source everything is read by the complete parser. */
export function fastReaderOf(plan: SourcePlan, schemas: Schemas | null): FastReader | null {
  if (plan.envelope !== undefined) return null
  return plan.format === 'json' ? LearntReader.of(plan) : SchemaReader.of(plan, schemas)
}

/** Records read by the complete parser before code is generated: it would not pay for a few. */
const warmUp = 64
/** Schemas, or messages, that loops are made for; more are read by the complete parser. */
const loopsMax = 64

interface Written {
  /** What stands before each value of its kind. */
  readonly header: Buffer
  loop(): RecordLoop | null
}
class SchemaReader implements FastReader {
  readonly stats = { fast: 0, slow: 0 }
  /** How a value was written. Throws where that cannot be told. */
  private readonly writtenOf: (value: Buffer) => Written
  private readonly loops = new Map<string, RecordLoop | null>()
  private pieces: readonly RawRecords[] = []

  private constructor(writtenOf: (value: Buffer) => Written) {
    this.writtenOf = writtenOf
  }
  static of(plan: SourcePlan, schemas: Schemas | null): SchemaReader | null {
    const { key, columns, fields, time, mode, format, schema } = plan
    if (schema === undefined || key.length > 1 || key.some((c) => !keyIsText(columns[c]!.type))) return null
    const paths = fields.map((field) => (field.from === 'value' ? field.path : null))
    const known = paths.filter((path) => path !== null)
    const isAbove = (a: readonly string[], b: readonly string[]): boolean => a.every((name, i) => b[i] === name)
    if (known.some((a, i) => known.some((b, j) => i !== j && isAbove(a, b)))) return null
    const wanted = columns.map(({ type, nullable }, c): LoopColumn => ({
      type,
      isRead: fields[c]!.from === 'value',
      isNeeded: !nullable || time?.column === c || key.includes(c),
      isKey: key.includes(c),
    }))
    const wants = wantsOf(paths)
    const weighted = mode === 'weighted'
    if (format === 'avro')
      return new SchemaReader(avroWritten(wanted, wants, weighted, new AvroWriters(schema, schemas)))
    return new SchemaReader(protoWritten(wanted, wants, weighted, new ProtoWriters(schema, schemas)))
  }
  begin(input: readonly RawRecords[]): FlatInput | null {
    const total = input.reduce((sum, { count }) => sum + count, 0)
    this.pieces = input
    return this.stats.slow + total < warmUp ? null : new FlatInput(input)
  }
  read(input: OpenInput, piece: number, at: number, to: number): number {
    const before = input.rows
    while (at < to) {
      const until = Math.min(to, input.enter(piece, at))
      const loop = this.loopOf(this.pieces[piece]!, at)
      const next = loop === null ? at : loop(input, at, until)
      // Behind it may be a value of another schema.
      if (next === at) break
      at = next
    }
    this.stats.fast += input.rows - before
    return at
  }
  learn(): void {
    this.stats.slow++
  }
  /** For values like that of the record. */
  private loopOf(records: RawRecords, number: number): RecordLoop | null {
    const { value } = records.record(number)
    if (value === null) return null
    try {
      const written = this.writtenOf(value as Buffer)
      const key = written.header.toString('latin1')
      const known = this.loops.get(key)
      if (known !== undefined) return known
      const loop = this.loops.size < loopsMax ? written.loop() : null
      if (this.loops.size < loopsMax) this.loops.set(key, loop)
      return loop
    } catch (error) {
      // The complete parser says what is wrong.
      if (error instanceof Malformed || error instanceof Misfit || error instanceof Fault) return null
      throw error
    }
  }
}
function avroWritten(
  columns: readonly LoopColumn[],
  wants: Wants,
  weighted: boolean,
  writers: AvroWriters,
): (value: Buffer) => Written {
  return (value) => {
    const { node, from } = writers.of(value)
    const header = value.subarray(0, from)
    return { header, loop: () => avroLoop(columns, wants, node, { header, weighted }) }
  }
}
function protoWritten(
  columns: readonly LoopColumn[],
  wants: Wants,
  weighted: boolean,
  writers: ProtoWriters,
): (value: Buffer) => Written {
  return (value) => {
    const { message, from } = writers.of(value)
    const header = value.subarray(0, from)
    return { header, loop: () => protoLoop(columns, wantedOf(message, wants), { header, weighted }) }
  }
}
