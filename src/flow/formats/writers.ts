/**
 * By which schema a value was written: the source's own, or that which the id before the value names (Confluent's framing:
 * a byte 0, the id, and for Protobuf which message of the file it is).
 */
import { Fault } from '../../lib/fault.ts'
import type { RawRecords } from '../../log/raw-records.ts'
import { place } from '../../log/raw-records.ts'
import { type AvroNode, nodeOf, parseAvro, resolve } from '../../schema/formats/avro.ts'
import {
  type ProtoFile,
  type ProtoMessage,
  messageAt,
  messageNamed,
  parseProtobuf,
} from '../../schema/formats/protobuf.ts'
import type { Schemas } from '../../schema/formats/registry.ts'
import { Malformed, Misfit } from '../decode-value.ts'
import type { SchemaUse } from '../plan.ts'
import { BinaryReader } from './binary.ts'

export const headerBytes = 5
/** More than any message is nested. */
const indexesMax = 64

/** The id in a record's value; −1: no value, or none that is framed. */
export function idOf(records: RawRecords, number: number): number {
  const at = number * place.stride
  const from = records.places[at + place.valueFrom]!
  if (from < 0 || records.places[at + place.valueTo]! - from < headerBytes) return -1
  const bytes = records.bytesOf(number)
  return bytes[from] === 0 ? bytes.readInt32BE(from + 1) : -1
}
function checkHeader(value: Buffer): number {
  if (value.length < headerBytes || value[0] !== 0)
    throw new Malformed('there is no byte 0 with a schema id behind it', 0)
  return value.readInt32BE(1)
}
/** Ids of records that have to be known before they are read, and are not. */
export function missingIds(use: SchemaUse, isAvro: boolean, schemas: Schemas, input: readonly RawRecords[]): number[] {
  if (use.framing === 'none' || (!isAvro && use.text !== null)) return []
  const missing = new Set<number>()
  let last = -1
  for (const records of input)
    for (let number = records.from; number < records.to; number++) {
      const id = idOf(records, number)
      if (id === last || id < 0) continue
      last = id
      if (!schemas.isSettled(id)) missing.add(id)
    }
  return [...missing]
}

export class AvroWriters {
  private readonly use: SchemaUse
  private readonly schemas: Schemas | null
  private readonly known = new Map<number | null, AvroNode>()

  constructor(use: SchemaUse, schemas: Schemas | null) {
    this.use = use
    this.schemas = schemas
  }
  /** Throws Malformed; Fault schema.unknown-id, schema.invalid-schema. */
  of(value: Buffer): { readonly node: AvroNode; readonly from: number } {
    if (this.use.framing === 'none') return { node: this.byId(null), from: 0 }
    return { node: this.byId(checkHeader(value)), from: headerBytes }
  }
  /** null: of values without one. */
  private byId(id: number | null): AvroNode {
    let node = this.known.get(id)
    if (node === undefined) this.known.set(id, (node = this.make(id)))
    return node
  }
  private make(id: number | null): AvroNode {
    const { text } = this.use
    const own = text === null ? null : parseAvro(text)
    if (id === null) return nodeOf(own!)
    if (this.schemas === null) throw new Fault('schema.unknown-id', { id })
    const writer = this.schemas.avro(id)
    return own === null ? nodeOf(writer) : resolve(writer, own)
  }
}

export class ProtoWriters {
  private readonly use: SchemaUse
  private readonly schemas: Schemas | null
  private own: ProtoFile | null = null
  private readonly r = new BinaryReader()

  constructor(use: SchemaUse, schemas: Schemas | null) {
    this.use = use
    this.schemas = schemas
  }
  /** Throws Malformed, Misfit; Fault schema.unknown-id, schema.invalid-schema. */
  of(value: Buffer): { readonly message: ProtoMessage; readonly from: number } {
    const { use } = this
    if (use.framing === 'none') return { message: messageNamed(this.ownFile(), use.message), from: 0 }
    const id = checkHeader(value)
    const { indexes, from } = this.indexesOf(value)
    const file = use.text === null ? this.registered(id) : this.ownFile()
    const message = messageAt(file, indexes)
    if (message === null) throw new Misfit(`is the message [${indexes.join(', ')}], which the schema does not have`)
    if (use.message !== null && message !== messageNamed(file, use.message))
      throw new Misfit(`is a ${message.name}, expected ${use.message}`)
    return { message, from }
  }
  private ownFile(): ProtoFile {
    this.own ??= parseProtobuf(this.use.text!, new Map(Object.entries(this.use.imports)))
    return this.own
  }
  private registered(id: number): ProtoFile {
    if (this.schemas === null) throw new Fault('schema.unknown-id', { id })
    return this.schemas.protobuf(id)
  }
  private indexesOf(value: Buffer): { indexes: number[]; from: number } {
    const r = this.r.open(value, headerBytes, value.length)
    const count = Number(r.zigzag())
    if (count < 0 || count > indexesMax) r.fail('no place of a message')
    // The first message is written in short.
    const indexes = count === 0 ? [0] : Array.from({ length: count }, () => Number(r.zigzag()))
    return { indexes, from: r.at }
  }
}
