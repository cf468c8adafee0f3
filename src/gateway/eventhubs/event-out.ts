/**
 * Records into AMQP messages, written straight from the bytes of their batch: nothing is made for an event that has no
 * headers. What `event-in.ts` took apart is put together again; other protocols' records get what they have.
 */
import { isUtf8 } from 'node:buffer'
import { ByteReader, type ByteWriter } from '../../lib/bytes.ts'
import { type RawRecords, place } from '../../log/raw-records.ts'
import { durationOf, ttlHeader } from '../../log/record-headers.ts'
import { header, properties, write } from '../../wire/amqp/composites.ts'
import { section } from '../../wire/amqp/sections.ts'
import {
  type Entries,
  type Value,
  ValueReader,
  symbol,
  writeCompound,
  writeSize,
  writeText,
  writeValue,
} from '../../wire/amqp/values.ts'
import {
  annotationsHeader,
  bodyHeader,
  durableHeader,
  escapePrefix,
  fieldOfHeader,
  footerHeader,
  headerOfField,
  priorityHeader,
  typesHeader,
} from './record-names.ts'
import { asIs, valueOfText } from './value-text.ts'

/** Constructor, length and text of a symbol. */
const key = (name: string): Buffer => Buffer.concat([Buffer.from([0xa3, name.length]), Buffer.from(name)])
const sequenceNumber = key('x-opt-sequence-number')
const offsetName = key('x-opt-offset')
const enqueuedTime = key('x-opt-enqueued-time')
const partitionKey = key('x-opt-partition-key')
/** What stands in a message beside key, value and headers. */
const overheadMax = 256

/** What is told of the partition with each event, where the client asked for it. */
export interface RuntimeFacts {
  readonly lastSequence: number
  readonly lastTimeMs: number
  readonly readMs: number
}

/** Writes record `number`, all its sections. */
export function writeEvent(out: ByteWriter, from: RawRecords, number: number, facts: RuntimeFacts | null): void {
  const bytes = from.bytesOf(number)
  const at = number * place.stride
  const { places } = from
  const valueFrom = places[at + place.valueFrom]!
  const valueTo = places[at + place.valueTo]!
  const headersAt = places[at + place.headers]!
  const keyFrom = places[at + place.keyFrom]!
  const keyTo = places[at + place.keyTo]!
  const known = headersAt < 0 ? null : readHeaders(bytes, headersAt)
  if (known !== null) writeHeader(out, known)
  if (facts !== null) writeFacts(out, facts)
  const keyBytes = keyFrom < 0 ? null : bytes.subarray(keyFrom, keyTo)
  writeAnnotations(out, from.offsets[number]!, from.timesMs[number]!, keyBytes, known?.annotations ?? null)
  if (known !== null) {
    writeProperties(out, known)
    writeApplication(out, known)
  }
  if (known?.body != null) return finish(out, known.body, known.footer)
  out.reserve(16 + valueTo - valueFrom)
  descriptor(out, section.data)
  const length = valueFrom < 0 ? 0 : valueTo - valueFrom
  writeSize(out, 0xa0, length)
  if (length > 0) {
    bytes.copy(out.buffer, out.at, valueFrom, valueTo)
    out.at += length
  }
  if (known?.footer != null) finish(out, null, known.footer)
}
function finish(out: ByteWriter, body: Buffer | null, footer: Buffer | null): void {
  if (body !== null) out.raw(body)
  if (footer === null) return
  out.reserve(3)
  descriptor(out, section.footer)
  out.raw(footer)
}
function descriptor(out: ByteWriter, code: number): void {
  const { buffer } = out
  buffer[out.at++] = 0
  buffer[out.at++] = 0x53
  buffer[out.at++] = code
}
function copy(out: ByteWriter, bytes: Buffer): void {
  bytes.copy(out.buffer, out.at)
  out.at += bytes.length
}
function writeLong(out: ByteWriter, code: number, value: number): void {
  const { buffer } = out
  buffer[out.at] = code
  const high = Math.floor(value / 0x1_0000_0000)
  buffer.writeInt32BE(high, out.at + 1)
  buffer.writeUInt32BE(value - high * 0x1_0000_0000, out.at + 5)
  out.at += 9
}

function writeAnnotations(
  out: ByteWriter,
  offset: number,
  timeMs: number,
  keyBytes: Buffer | null,
  own: Buffer | null,
): void {
  out.reserve(overheadMax + (keyBytes?.length ?? 0) * 2 + (own?.length ?? 0))
  descriptor(out, section.messageAnnotations)
  const start = out.at
  // The long form whatever its size: nothing need be moved when it is known.
  out.buffer[start] = 0xd1
  out.at += 9
  let count = 6
  copy(out, sequenceNumber)
  writeLong(out, 0x81, offset)
  copy(out, offsetName)
  const digits = String(offset)
  out.buffer[out.at++] = 0xa1
  out.buffer[out.at++] = digits.length
  out.at += out.buffer.write(digits, out.at, 'latin1')
  copy(out, enqueuedTime)
  writeLong(out, 0x83, timeMs)
  if (keyBytes !== null) {
    copy(out, partitionKey)
    if (isUtf8(keyBytes)) {
      writeSize(out, 0xa1, keyBytes.length)
      copy(out, keyBytes)
    } else writeText(out, keyBytes.toString('base64'))
    count += 2
  }
  const entries = own === null ? null : mapIn(own)
  if (entries !== null)
    for (const [name, value] of entries) {
      writeValue(out, name)
      writeValue(out, value)
      count += 2
    }
  const { buffer } = out
  buffer.writeUInt32BE(out.at - start - 5, start + 1)
  buffer.writeUInt32BE(count, start + 5)
}
/** null: somebody else wrote the header. */
function mapIn(bytes: Buffer): Entries | null {
  try {
    const found = new ValueReader(bytes).value()
    return found.type === 'map' ? found.value : null
  } catch {
    return null
  }
}
function writeFacts(out: ByteWriter, { lastSequence, lastTimeMs, readMs }: RuntimeFacts): void {
  out.reserve(3)
  descriptor(out, section.deliveryAnnotations)
  const entries: Entries = [
    [symbol('last_enqueued_sequence_number'), { type: 'long', value: BigInt(lastSequence) }],
    [symbol('last_enqueued_offset'), { type: 'string', value: String(lastSequence) }],
    [symbol('last_enqueued_time_utc'), { type: 'timestamp', value: BigInt(lastTimeMs) }],
    [symbol('runtime_info_retrieval_time_utc'), { type: 'timestamp', value: BigInt(Math.trunc(readMs)) }],
  ]
  writeValue(out, { type: 'map', value: entries })
}

/** The headers of one record, sorted out. */
interface Known {
  readonly fields: Map<string, Buffer>
  readonly application: (readonly [name: string, value: Buffer | null])[]
  types: Readonly<Record<string, unknown>>
  ttlMs: number | null
  isDurable: boolean
  priority: number | null
  annotations: Buffer | null
  body: Buffer | null
  footer: Buffer | null
}
function readHeaders(bytes: Buffer, at: number): Known {
  const input = new ByteReader(bytes, at)
  const known: Known = {
    fields: new Map(),
    application: [],
    types: {},
    ttlMs: null,
    isDurable: false,
    priority: null,
    annotations: null,
    body: null,
    footer: null,
  }
  for (let left = input.varint(); left > 0; left--) {
    const length = input.varint()
    const name = input.buffer.toString('utf8', input.at, (input.at += length))
    const valueLength = input.varint()
    const value = valueLength < 0 ? null : input.raw(valueLength)
    if (!isSpecial(known, name, value)) known.application.push([name, value])
  }
  return known
}
/** Takes what is not an application property. */
function isSpecial(known: Known, name: string, value: Buffer | null): boolean {
  if (value === null) return false
  const field = fieldOfHeader.get(name)
  if (field !== undefined) {
    known.fields.set(field, value)
    return true
  }
  if (name === ttlHeader) {
    known.ttlMs = durationOf(value.toString())
    return known.ttlMs !== null
  }
  if (!name.startsWith('amqp-')) return false
  switch (name) {
    case typesHeader:
      known.types = typesIn(value)
      return true
    case annotationsHeader:
      known.annotations = value
      return true
    case bodyHeader:
      known.body = isBody(value) ? value : null
      return true
    case footerHeader:
      known.footer = mapIn(value) === null ? null : value
      return true
    case durableHeader:
      known.isDurable = value.toString() === 'true'
      return true
    case priorityHeader:
      known.priority = Number(value.toString()) & 0xff
      return true
    default:
      return false
  }
}
function typesIn(value: Buffer): Readonly<Record<string, unknown>> {
  try {
    const found: unknown = JSON.parse(value.toString())
    return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
/** Anybody may write a header of this name: a body that is none would break the client's decoder. */
function isBody(bytes: Buffer): boolean {
  try {
    const reader = new ValueReader(bytes)
    while (reader.left > 0) {
      const one = reader.value()
      if (one.type !== 'described' || one.descriptor.type !== 'ulong') return false
      const code = Number(one.descriptor.value)
      if (code < section.data || code > section.value) return false
    }
    return bytes.length > 0
  } catch {
    return false
  }
}

function writeHeader(out: ByteWriter, { ttlMs, isDurable, priority }: Known): void {
  if (ttlMs === null && !isDurable && priority === null) return
  write(out, header, {
    durable: isDurable,
    priority,
    ttl: ttlMs === null ? null : Math.min(ttlMs, 0xffff_ffff),
  })
}
function writeProperties(out: ByteWriter, known: Known): void {
  if (known.fields.size === 0) return
  const found: Record<string, unknown> = {}
  for (const [field, kind] of properties.fields) {
    const bytes = known.fields.get(field)
    if (bytes === undefined) continue
    if (kind === 'any') found[field] = typed(known, headerOf.get(field)!, bytes)
    else {
      const value = valueOfText(bytes, kind === 'string' ? 'symbol' : kind)
      // What is not of the field's type cannot stand in it.
      if (value.type === (kind === 'string' ? 'symbol' : kind)) found[field] = value.value
    }
  }
  write(out, properties, found)
}
const headerOf: ReadonlyMap<string, string> = new Map(headerOfField)
function writeApplication(out: ByteWriter, known: Known): void {
  const { application } = known
  if (application.length === 0) return
  out.reserve(3)
  descriptor(out, section.applicationProperties)
  writeCompound(out, 0xc1, application.length * 2, () => {
    for (const [name, value] of application) {
      writeText(out, name.startsWith(escapePrefix) ? name.slice(escapePrefix.length) : name)
      writeValue(out, value === null ? { type: 'null', value: null } : typed(known, name, value))
    }
  })
}
function typed({ types }: Known, name: string, bytes: Buffer): Value {
  const type = Object.hasOwn(types, name) ? types[name] : undefined
  return typeof type === 'string' ? valueOfText(bytes, type) : asIs(bytes)
}
