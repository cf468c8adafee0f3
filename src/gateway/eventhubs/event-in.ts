/**
 * AMQP messages into records. Value = the body's data; headers = application properties, and of the properties what is
 * there (`record-names.ts`). A transfer is one message, or a batch: an envelope with one message in each data section.
 */
import { ByteWriter } from '../../lib/bytes.ts'
import { limits } from '../../lib/limits.ts'
import type { Header, RecordInput } from '../../log/batch.ts'
import { ttlHeader } from '../../log/record-headers.ts'
import { header, listFields, properties } from '../../wire/amqp/composites.ts'
import { Sections, batchFormat, section } from '../../wire/amqp/sections.ts'
import { type Entries, type Value, ValueReader, malformed, textOf, writeMap } from '../../wire/amqp/values.ts'
import {
  annotationsHeader,
  bodyHeader,
  durableHeader,
  escapePrefix,
  footerHeader,
  headerOfField,
  needsEscape,
  priorityHeader,
  typesHeader,
} from './record-names.ts'
import { jsonOf, plainText } from './value-text.ts'

export const partitionKeyAnnotation = 'x-opt-partition-key'
/** Annotations that the service sets: a client that forwards an event does not carry them over. */
const serviceAnnotations = new Set([
  partitionKeyAnnotation,
  'x-opt-sequence-number',
  'x-opt-offset',
  'x-opt-enqueued-time',
  'x-opt-publisher',
])

type Types = Map<string, string>
const envelope = new Sections()
const message = new Sections()

/** Records of one transfer, views of its bytes. Throws Fault wire.malformed. */
export function recordsOf(bytes: Buffer, format: number, timeMs: number): RecordInput[] {
  if (format !== batchFormat) return [recordOf(bytes, 0, bytes.length, null, timeMs)]
  const places: number[] = []
  envelope.scan(bytes, 0, bytes.length, (from, to) => places.push(from, to))
  if (places.length === 0) throw malformed('a batch without messages')
  if (places.length > limits.amqpBatchEvents * 2) throw malformed(`a batch of ${places.length / 2} messages`)
  const key = keyIn(annotationsOf(bytes, envelope))
  const records: RecordInput[] = []
  for (let i = 0; i < places.length; i += 2) records.push(recordOf(bytes, places[i]!, places[i + 1]!, key, timeMs))
  return records
}

function annotationsOf(bytes: Buffer, of: Sections): Entries | null {
  if (!of.has(section.messageAnnotations)) return null
  return entriesAt(bytes, of, section.messageAnnotations)
}
const valueAt = (bytes: Buffer, of: Sections, code: number): Value =>
  new ValueReader(bytes, of.from(code), of.to(code)).value()
function entriesAt(bytes: Buffer, of: Sections, code: number): Entries {
  const found = valueAt(bytes, of, code)
  if (found.type === 'null') return []
  if (found.type !== 'map') throw malformed('a section of a message that is no map')
  return found.value
}
function keyIn(annotations: Entries | null): Buffer | null {
  if (annotations === null) return null
  for (const [name, value] of annotations) {
    if (textOf(name) !== partitionKeyAnnotation) continue
    const text = textOf(value)
    if (text !== null && text.length > limits.amqpKeyLength)
      throw malformed(`a partition key of ${text.length} characters`)
    if (text !== null) return Buffer.from(text)
  }
  return null
}

let dataFrom = -1
let dataTo = -1
const noteData = (from: number, to: number): void => {
  dataFrom = from
  dataTo = to
}
/** `key`: of the envelope; a message's own counts where there is none. */
function recordOf(bytes: Buffer, from: number, to: number, key: Buffer | null, timeMs: number): RecordInput {
  message.scan(bytes, from, to, noteData)
  const { bodyCount, bodyKind } = message
  if (bodyCount === 0) throw malformed('a message without a body')
  const isPlain = bodyKind === section.data && bodyCount === 1
  const value = isPlain ? bytes.subarray(dataFrom, dataTo) : otherBody(bytes)
  let own = key
  const headers: Header[] = []
  const types: Types = new Map()
  const code = section
  if (message.has(code.properties)) fromProperties(bytes, headers, types)
  if (message.has(code.applicationProperties)) fromApplication(bytes, headers, types)
  if (message.has(code.header)) fromHeader(bytes, headers)
  if (message.has(code.messageAnnotations)) {
    const annotations = entriesAt(bytes, message, code.messageAnnotations)
    own = keyIn(annotations) ?? key
    const kept = annotations.filter(([name]) => !serviceAnnotations.has(textOf(name) ?? ''))
    if (kept.length > 0) headers.push([annotationsHeader, mapBytes(kept)])
  }
  if (message.has(code.footer))
    headers.push([footerHeader, bytes.subarray(message.from(code.footer), message.to(code.footer))])
  if (!isPlain) headers.push([bodyHeader, bytes.subarray(message.bodyFrom, message.bodyTo)])
  if (types.size > 0) headers.push([typesHeader, Buffer.from(JSON.stringify(Object.fromEntries(types)))])
  if (headers.length > limits.recordHeaders) throw malformed(`a message with ${headers.length} properties`)
  return { key: own, value, headers, timeMs }
}

function mapBytes(entries: Entries): Buffer {
  const out = new ByteWriter(128)
  writeMap(out, entries)
  return out.done()
}
/** Several data sections are one value; a value or a sequence is JSON for those who know no AMQP. */
function otherBody(bytes: Buffer): Buffer | null {
  const { bodyFrom, bodyTo, bodyKind } = message
  const reader = new ValueReader(bytes, bodyFrom, bodyTo)
  const found: Value[] = []
  while (reader.left > 0) {
    const one = reader.value()
    if (one.type === 'described') found.push(one.value)
  }
  if (bodyKind === section.data)
    return Buffer.concat(found.map((one) => (one.type === 'binary' ? one.value : Buffer.alloc(0))))
  if (bodyKind === section.value)
    return found[0]?.type === 'null' ? null : Buffer.from(JSON.stringify(jsonOf(found[0]!)))
  const items = found.flatMap((one) => (one.type === 'list' ? one.value : [one]))
  return Buffer.from(JSON.stringify(items.map(jsonOf)))
}
function fromProperties(bytes: Buffer, headers: Header[], types: Types): void {
  const found = listFields(valueAt(bytes, message, section.properties), properties)
  for (const [field, name] of headerOfField) {
    const value = found[field]
    if (value === null) continue
    if (value instanceof Uint8Array) headers.push([name, value])
    else if (typeof value !== 'object') headers.push([name, Buffer.from(String(value))])
    else {
      headers.push([name, plainText(value)])
      if (value.type !== 'string') types.set(name, value.type)
    }
  }
}
function fromApplication(bytes: Buffer, headers: Header[], types: Types): void {
  for (const [key, value] of entriesAt(bytes, message, section.applicationProperties)) {
    const given = textOf(key)
    if (given === null) throw malformed('an application property whose name is no text')
    const name = needsEscape(given) ? `${escapePrefix}${given}` : given
    if (value.type === 'null') headers.push([name, null])
    else {
      headers.push([name, plainText(value)])
      if (value.type !== 'string') types.set(name, value.type)
    }
  }
}
function fromHeader(bytes: Buffer, headers: Header[]): void {
  const { ttl, durable, priority } = listFields(valueAt(bytes, message, section.header), header)
  if (ttl !== null) headers.push([ttlHeader, Buffer.from(String(ttl))])
  if (durable === true) headers.push([durableHeader, Buffer.from('true')])
  if (priority !== null && priority !== 4) headers.push([priorityHeader, Buffer.from(String(priority))])
}
