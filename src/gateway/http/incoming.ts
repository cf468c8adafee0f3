/**
 * Bodies that bring records: JSON value or array, records+json, CloudEvents, raw bytes. What was sent as a value stays
 * byte for byte. NDJSON is cut in `body.ts`; each line is a JSON value here.
 */
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Header } from '../../log/batch.ts'
import {
  canonicalJson,
  isJsonArray,
  isJsonNull,
  isJsonObject,
  jsonElements,
  jsonMembers,
  parseJson,
  trimJson,
} from '../../schema/json-text.ts'
import { decimalText } from '../../schema/key.ts'
import { batchEvents, binaryEvent, structuredEvent } from './cloud-events.ts'
import { type Exchange, mediaType, mediaTypes } from './exchange.ts'
import { readTime, timestamp, wholeNumber } from './parameters.ts'

export interface Parsed {
  readonly value: unknown
}
export interface Incoming {
  /** undefined: by the topic's key field. */
  readonly key?: Uint8Array | null
  /** null: the key is gone. */
  readonly value: Uint8Array | null
  readonly headers: readonly Header[]
  /** undefined: the time of arrival. */
  readonly timeMs?: number
  /** undefined: by the key. */
  readonly partition?: number
  /** What the value says, where it has been parsed as JSON. */
  readonly parsed?: Parsed
}
export interface Incomings {
  readonly records: readonly Incoming[]
  /** Several were sent: faults name which. */
  readonly several: boolean
}

/** What query and headers of the request say about every record in it. */
export type Defaults = Omit<Incoming, 'value'>

export function readDefaults({ query, headers }: Pick<Exchange, 'query' | 'headers'>): Defaults {
  const key = readKey(query.get('key'), headers['millrace-key'])
  const time = query.get('timestamp') ?? headers['millrace-timestamp']
  const partition = query.get('partition')
  return {
    headers: readHeaders(headers),
    ...(key === null ? {} : { key }),
    ...(time === undefined ? {} : { timeMs: timestamp('timestamp', time) }),
    ...(partition === null
      ? {}
      : { partition: wholeNumber('partition', partition, { min: 0, max: limits.partitionsPerTopic }) }),
  }
}
function readKey(query: string | null, header: string | undefined): Uint8Array | null {
  const fromHeader = header === undefined ? null : headerBytes(header)
  if (query === null) return fromHeader
  const fromQuery = Buffer.from(query, 'utf8')
  if (fromHeader !== null && !fromQuery.equals(fromHeader))
    throw new Fault('http.invalid-parameter', {
      name: 'key',
      value: query.slice(0, 200),
      why: 'Millrace-Key says another',
    })
  return fromQuery
}
/** Node gives header text as Latin-1: these are the bytes that were sent. */
const headerBytes = (text: string): Buffer => Buffer.from(text, 'latin1')

const recordHeader = 'millrace-header-'
const traceParent = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/
function readHeaders(headers: Exchange['headers']): Header[] {
  const out: Header[] = []
  for (const name in headers)
    if (name.startsWith(recordHeader) && name.length > recordHeader.length)
      out.push([name.slice(recordHeader.length), headerBytes(headers[name]!)])
  const trace = headers['traceparent']
  if (trace !== undefined && traceParent.test(trace)) out.push(['traceparent', headerBytes(trace)])
  return out
}

/** The records of a body that is answered as a whole. */
export function readIncoming(headers: Exchange['headers'], body: Uint8Array, defaults: Defaults): Incomings {
  const type = mediaType(headers['content-type'])
  switch (type) {
    case mediaTypes.records:
      return readEnvelopes(body, defaults)
    case mediaTypes.event:
      return one(structuredEvent(body, defaults))
    case mediaTypes.events:
      return { records: batchEvents(body, defaults), several: true }
    default:
      if (type.startsWith('application/cloudevents'))
        throw new Fault('http.unsupported-body', { what: type, takes: `${mediaTypes.event}, ${mediaTypes.events}` })
      if (headers['ce-specversion'] !== undefined) return one(binaryEvent(headers, body, defaults))
      if (/^application\/(?:[^;]+\+)?json$/.test(type)) return readValues(body, defaults)
      return one({ ...defaults, value: body })
  }
}
const one = (record: Incoming): Incomings => ({ records: [record], several: false })
function counted(incomings: Incomings): Incomings {
  const { length } = incomings.records
  if (length > limits.httpRecords)
    throw new Fault('http.over-limit', { what: 'records in one request', max: limits.httpRecords })
  return incomings
}

function readValues(body: Uint8Array, defaults: Defaults): Incomings {
  const text = trimJson(body)
  const value = parseJson(text)
  if (!Array.isArray(value)) return one(jsonValue(text, value, defaults))
  const records = jsonElements(text).map((element, i) => jsonValue(element, value[i], defaults))
  return counted({ records, several: true })
}
/** A checked JSON text as a value; JSON's null is no value. */
function jsonValue(text: Uint8Array, value: unknown, defaults: Defaults): Incoming {
  return { ...defaults, value: isJsonNull(text) ? null : text, parsed: { value } }
}
/** One line of NDJSON. Throws Fault json.malformed. */
export function readLine(line: Uint8Array, defaults: Defaults): Incoming {
  const text = trimJson(line)
  return jsonValue(text, parseJson(text), defaults)
}

function readEnvelopes(body: Uint8Array, defaults: Defaults): Incomings {
  const text = trimJson(body)
  parseJson(text)
  if (!isJsonObject(text)) throw badField('', 'is not an object with the field records')
  let list: Uint8Array | null = null
  for (const { name, value } of jsonMembers(text)) {
    if (name !== 'records') throw badField(name, 'is not a field of it; it has records')
    list = value
  }
  if (list === null || !isJsonArray(list)) throw badField('records', 'is not an array')
  const elements = jsonElements(list)
  if (elements.length > limits.httpRecords)
    throw new Fault('http.over-limit', { what: 'records in one request', max: limits.httpRecords })
  return { records: elements.map((element, i) => readEnvelope(element, `records[${i}]`, defaults)), several: true }
}
const badField = (field: string, why: string): Fault => new Fault('http.invalid-body', { field, why })

function readEnvelope(text: Uint8Array, place: string, defaults: Defaults): Incoming {
  if (!isJsonObject(text)) throw badField(place, 'is not an object')
  let record: Incoming = { ...defaults, value: null }
  for (const { name, value } of jsonMembers(text)) {
    const at = `${place}.${name}`
    switch (name) {
      case 'value':
        record = { ...record, value: readPayload(value, at) }
        break
      case 'key': {
        const key = readEnvelopeKey(value, at)
        record = key === undefined ? record : { ...record, key }
        break
      }
      case 'headers':
        record = { ...record, headers: [...defaults.headers, ...readEnvelopeHeaders(value, at)] }
        break
      case 'timestamp': {
        const timeMs = readEnvelopeTime(value, at)
        record = timeMs === undefined ? record : { ...record, timeMs }
        break
      }
      case 'partition':
        record = { ...record, partition: readEnvelopePartition(value, at) }
        break
      default:
        throw badField(at, 'is not a field of a record; it has key, value, headers, timestamp and partition')
    }
  }
  return record
}

/** JSON as it stands, `{"base64": …}` as bytes, null as none. */
function readPayload(text: Uint8Array, at: string): Uint8Array | null {
  return isJsonNull(text) ? null : (readBase64(text, at) ?? text)
}
function readBase64(text: Uint8Array, at: string): Uint8Array | null {
  if (!isJsonObject(text)) return null
  const members = jsonMembers(text)
  if (members.length !== 1 || members[0]!.name !== 'base64') return null
  return base64Bytes(parseJson(members[0]!.value), at)
}
function base64Bytes(value: unknown, at: string): Uint8Array {
  if (
    typeof value !== 'string' ||
    !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/.test(value)
  )
    throw badField(at, 'is not base64')
  return Buffer.from(value, 'base64')
}
/** undefined: null was sent, the key field decides. */
function readEnvelopeKey(text: Uint8Array, at: string): Uint8Array | undefined {
  if (isJsonNull(text)) return undefined
  const bytes = readBase64(text, at)
  if (bytes !== null) return bytes
  const value = parseJson(text)
  if (typeof value === 'string') return Buffer.from(value, 'utf8')
  if (typeof value === 'number') return Buffer.from(decimalText(Buffer.from(text).toString('latin1')))
  return Buffer.from(canonicalJson(value), 'utf8')
}
/** An object of name → value, or a list of {name, value} where names repeat. */
function readEnvelopeHeaders(text: Uint8Array, at: string): Header[] {
  if (isJsonNull(text)) return []
  if (isJsonArray(text)) return jsonElements(text).map((element, i) => readNamedHeader(element, `${at}[${i}]`))
  if (!isJsonObject(text)) throw badField(at, 'is neither an object nor an array')
  return jsonMembers(text).map(({ name, value }) => [name, readHeaderValue(value, `${at}.${name}`)])
}
function readNamedHeader(text: Uint8Array, at: string): Header {
  const parts = isJsonObject(text) ? new Map(jsonMembers(text).map(({ name, value }) => [name, value])) : null
  const name = parts?.get('name')
  const named = name === undefined ? null : parseJson(name)
  if (typeof named !== 'string') throw badField(at, 'is not an object with a name and a value')
  const value = parts?.get('value')
  return [named, value === undefined ? null : readHeaderValue(value, at)]
}
function readHeaderValue(text: Uint8Array, at: string): Uint8Array | null {
  if (isJsonNull(text)) return null
  const bytes = readBase64(text, at)
  if (bytes !== null) return bytes
  const value = parseJson(text)
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : text
}
function readEnvelopeTime(text: Uint8Array, at: string): number | undefined {
  if (isJsonNull(text)) return undefined
  const value = parseJson(text)
  const timeMs = typeof value === 'string' || typeof value === 'number' ? readTime(String(value)) : null
  if (timeMs === null || timeMs < 0) throw badField(at, 'is neither ISO 8601 nor milliseconds since 1970')
  return timeMs
}
function readEnvelopePartition(text: Uint8Array, at: string): number {
  const value = parseJson(text)
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw badField(at, 'is not a partition number')
  return value
}
