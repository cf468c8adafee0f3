/** The complete parsers by format: what a payload has for each column of a source. */
import { isUtf8 } from 'node:buffer'
import type { Schemas } from '../../schema/formats/registry.ts'
import type { AvroNode } from '../../schema/formats/avro.ts'
import type { ProtoField, ProtoMessage } from '../../schema/formats/protobuf.ts'
import type { DataType } from '../../schema/types.ts'
import type { ColumnBuilder } from '../columns.ts'
import { Misfit, type ValueReader, readerOf } from '../decode-value.ts'
import { FieldLocator } from '../payload.ts'
import type { SchemaUse, SourcePlan } from '../plan.ts'
import { AvroLocator, avroReader } from './avro.ts'
import { type Wants, wantsOf } from './binary.ts'
import { ProtoLocator, type WantedMessage, protoReader, wantedOf } from './protobuf.ts'
import { AvroWriters, ProtoWriters } from './writers.ts'

export interface Payload {
  /** There is none. */
  clear(): void
  /** Checks all of it. Throws JsonSyntax, Malformed, Misfit; Fault schema.unknown-id, schema.invalid-schema. */
  locate(value: Buffer): void
  /** The last one has no value for the column, or null. */
  isMissing(column: number): boolean
  /** Appends the value. Throws Misfit, Malformed and the faults of values. */
  read(column: number, builder: ColumnBuilder): void
  /** Of a value that is not missing; absent: what is read by a schema is what that says. */
  isObject?(column: number): boolean
}

/** `schemas`: where those are found that ids name; null: nowhere. */
export function payloadOf(plan: SourcePlan, schemas: Schemas | null): Payload {
  const paths = plan.fields.map((field) => (field.from === 'value' ? field.path : null))
  const types = plan.columns.map(({ type }) => type)
  switch (plan.format) {
    case 'json':
      return new JsonPayload(paths, types)
    case 'raw':
      return new RawPayload(types)
    case 'avro':
      return new AvroPayload(wantsOf(paths), types, new AvroWriters(plan.schema ?? unframed, schemas))
    case 'protobuf':
      return new ProtoPayload(wantsOf(paths), types, new ProtoWriters(plan.schema ?? unframed, schemas))
  }
}
const unframed: SchemaUse = { framing: 'confluent', text: null, message: null, imports: {} }

class JsonPayload implements Payload {
  private readonly locator: FieldLocator
  private readonly readers: readonly (ValueReader | null)[]
  private value: Buffer = Buffer.alloc(0)

  constructor(paths: readonly (readonly string[] | null)[], types: readonly DataType[]) {
    this.locator = new FieldLocator(paths)
    this.readers = paths.map((path, c) => (path === null ? null : readerOf(types[c]!)))
  }
  clear(): void {
    this.locator.clear()
  }
  locate(value: Buffer): void {
    this.locator.clear()
    this.value = value
    this.locator.locate(value)
  }
  isMissing(c: number): boolean {
    const from = this.locator.places.from[c]!
    return from < 0 || this.value[from] === 110
  }
  isObject(c: number): boolean {
    return this.value[this.locator.places.from[c]!] === 123
  }
  read(c: number, builder: ColumnBuilder): void {
    const { from, to } = this.locator.places
    this.readers[c]!(this.value, from[c]!, to[c]!, builder)
  }
}
/** One value as a whole, text or bytes. */
class RawPayload implements Payload {
  private readonly types: readonly DataType[]
  private value: Buffer | null = null

  constructor(types: readonly DataType[]) {
    this.types = types
  }
  clear(): void {
    this.value = null
  }
  locate(value: Buffer): void {
    this.value = value
  }
  isMissing(): boolean {
    return this.value === null
  }
  read(c: number, builder: ColumnBuilder): void {
    const value = this.value!
    if (this.types[c]!.kind === 'bytea') return builder.push(value)
    if (!isUtf8(value)) throw new Misfit('is not UTF-8')
    builder.push(value.toString('utf8'))
  }
}
/** By the way that a value is written, as its schema's objects are; schemas of a topic are few. */
class Readers<K extends object> {
  private readonly made = new WeakMap<K, ValueReader>()
  private readonly type: DataType
  private readonly make: (how: K, type: DataType) => ValueReader

  constructor(type: DataType, make: (how: K, type: DataType) => ValueReader) {
    this.type = type
    this.make = make
  }
  of(how: K): ValueReader {
    let reader = this.made.get(how)
    if (reader === undefined) this.made.set(how, (reader = this.make(how, this.type)))
    return reader
  }
}
class AvroPayload implements Payload {
  private readonly locator: AvroLocator
  private readonly writers: AvroWriters
  private readonly readers: readonly Readers<AvroNode>[]

  constructor(wants: Wants, types: readonly DataType[], writers: AvroWriters) {
    this.locator = new AvroLocator(wants, types.length)
    this.writers = writers
    this.readers = types.map((type) => new Readers(type, avroReader))
  }
  clear(): void {
    this.locator.clear()
  }
  locate(value: Buffer): void {
    this.locator.clear()
    const { node, from } = this.writers.of(value)
    this.locator.locate(value, from, node)
  }
  isMissing(c: number): boolean {
    return this.locator.places[c] === null
  }
  read(c: number, builder: ColumnBuilder): void {
    const { node, bytes, from, to } = this.locator.places[c]!
    this.readers[c]!.of(node)(bytes, from, to, builder)
  }
}
class ProtoPayload implements Payload {
  private readonly wants: Wants
  private readonly locator: ProtoLocator
  private readonly writers: ProtoWriters
  private readonly wanted = new WeakMap<ProtoMessage, WantedMessage>()
  private readonly readers: readonly Readers<ProtoField>[]

  constructor(wants: Wants, types: readonly DataType[], writers: ProtoWriters) {
    this.wants = wants
    this.locator = new ProtoLocator(types.length)
    this.writers = writers
    this.readers = types.map((type) => new Readers(type, protoReader))
  }
  clear(): void {
    this.locator.clear()
  }
  locate(value: Buffer): void {
    this.locator.clear()
    const { message, from } = this.writers.of(value)
    let wanted = this.wanted.get(message)
    if (wanted === undefined) this.wanted.set(message, (wanted = wantedOf(message, this.wants)))
    this.locator.locate(value, from, wanted)
  }
  isMissing(c: number): boolean {
    return this.locator.found[c] === null
  }
  read(c: number, builder: ColumnBuilder): void {
    const { field, bytes } = this.locator.found[c]!
    this.readers[c]!.of(field)(bytes, 0, bytes.length, builder)
  }
}
