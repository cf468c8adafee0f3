/** A message of MQTT as a record of the log, and back (the table of `docs/gateways.md`). */
import { isUtf8 } from 'node:buffer'
import type { Header, LogRecord, RecordInput } from './batch.ts'
import { durationOf, ttlHeader } from './record-headers.ts'
import type { Properties } from '../wire/mqtt/properties.ts'
import type { Qos } from '../wire/mqtt/packets.ts'
import { isTopicName } from '../wire/mqtt/topics.ts'

/** Where its record lies. */
export interface Place {
  readonly topic: string
  readonly index: number
  readonly offset: number
}
export interface Message {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: Qos
  readonly retain: boolean
  /** What goes along as it is: format, content type, response topic, correlation data, user properties. */
  readonly properties: Properties | null
  readonly timeMs: number
  /** By the wall clock; Infinity: it does not end. */
  readonly expiresMs: number
  /** Who sent it, where that matters to somebody. */
  readonly publisher: string | null
  /** null: it lies nowhere (`$SYS`). */
  readonly place: Place | null
}
/** What of it a client sends. */
export interface Sent {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: Qos
  readonly retain: boolean
  readonly properties: Properties | null
}

const header = {
  qos: 'mqtt-qos',
  retain: 'mqtt-retain',
  publisher: 'mqtt-client-id',
  format: 'mqtt-payload-format',
  contentType: 'content-type',
  correlation: 'correlation-id',
  replyTo: 'reply-to',
} as const
/** A user property of one of these names must not be taken for what it is not. */
const taken: ReadonlySet<string> = new Set(Object.values(header))
const userPrefix = 'mqtt-user-'
const isTaken = (name: string): boolean => taken.has(name) || name.startsWith('mr-') || name.startsWith(userPrefix)

const qos0 = Buffer.from('0')
const qos2 = Buffer.from('2')
const yes = Buffer.from('1')
const none: readonly Header[] = []

/** `payload` and `correlationData` are taken as they are: they must outlive their packet. QoS 1 is what a record has that says nothing. */
export function recordOf(sent: Sent, timeMs: number, publisher: string | null): RecordInput {
  const { topic, payload, qos, retain, properties } = sent
  const key = Buffer.from(topic)
  if (qos === 1 && !retain && properties === null && publisher === null)
    return { key, value: payload, headers: none, timeMs }
  const headers: Header[] = []
  if (qos !== 1) headers.push([header.qos, qos === 0 ? qos0 : qos2])
  if (retain) headers.push([header.retain, yes])
  if (publisher !== null) headers.push([header.publisher, Buffer.from(publisher)])
  if (properties !== null) headersOf(properties, headers)
  return { key, value: payload, headers, timeMs }
}
function headersOf(properties: Properties, headers: Header[]): void {
  const { messageExpiryS, payloadFormat, contentType, responseTopic, correlationData, userProperties } = properties
  if (messageExpiryS !== undefined) headers.push([ttlHeader, Buffer.from(`${messageExpiryS}s`)])
  if (payloadFormat !== undefined && payloadFormat !== 0) headers.push([header.format, yes])
  if (contentType !== undefined) headers.push([header.contentType, Buffer.from(contentType)])
  if (responseTopic !== undefined) headers.push([header.replyTo, Buffer.from(responseTopic)])
  if (correlationData !== undefined) headers.push([header.correlation, correlationData])
  for (const [name, value] of userProperties ?? [])
    headers.push([isTaken(name) ? `${userPrefix}${name}` : name, Buffer.from(value)])
}

const empty = Buffer.alloc(0)
export function messageOf(record: LogRecord, topic: string, place: Place): Message {
  const { value, timeMs, headers } = record
  const payload = value ?? empty
  if (headers.length === 0)
    return {
      topic,
      payload,
      qos: 1,
      retain: false,
      properties: null,
      timeMs,
      expiresMs: Infinity,
      publisher: null,
      place,
    }
  let qos: Qos = 1
  let retain = false
  let publisher: string | null = null
  let expiresMs = Infinity
  const properties: Properties = {}
  const users: (readonly [string, string])[] = []
  for (const [name, content] of headers) {
    const bytes = content ?? empty
    const text = (): string => Buffer.from(bytes).toString()
    switch (name) {
      case header.qos:
        qos = bytes[0] === 0x30 ? 0 : bytes[0] === 0x32 ? 2 : 1
        break
      case header.retain:
        retain = true
        break
      case header.publisher:
        publisher = text()
        break
      case ttlHeader: {
        const ms = durationOf(text())
        if (ms !== null) expiresMs = timeMs + ms
        break
      }
      case header.format:
        properties.payloadFormat = 1
        break
      case header.contentType:
        if (isText(bytes)) properties.contentType = text()
        else users.push(userProperty(name, bytes))
        break
      case header.replyTo:
        if (isText(bytes) && isTopicName(text())) properties.responseTopic = text()
        else users.push(userProperty(name, bytes))
        break
      case header.correlation:
        if (bytes.length <= 0xffff) properties.correlationData = bytes
        else users.push(userProperty(name, bytes))
        break
      default:
        if (!name.startsWith('mr-')) users.push(userProperty(name, bytes))
    }
  }
  if (users.length > 0) properties.userProperties = users
  return { topic, payload, qos, retain, properties, timeMs, expiresMs, publisher, place }
}
/** As MQTT has texts: UTF-8 without U+0000, and not longer than its length can say. */
const isText = (bytes: Uint8Array): boolean => bytes.length <= 0xffff && isUtf8(bytes) && !bytes.includes(0)
const base64Suffix = '-base64'
function userProperty(name: string, bytes: Uint8Array): readonly [string, string] {
  const plain = name.startsWith(userPrefix) ? name.slice(userPrefix.length) : name
  const short = plain.replaceAll('\0', '').slice(0, 0x3fff)
  if (isText(bytes)) return [short, Buffer.from(bytes).toString()]
  // What is longer than a text may be is cut where base64 can be.
  return [`${short}${base64Suffix}`, Buffer.from(bytes.subarray(0, 0xbffc)).toString('base64')]
}

/** Of what a client sends with a message that which goes along with it, with bytes of its own. */
export function carriedProperties(sent: Properties | null): Properties | null {
  if (sent === null) return null
  const carried = { ...sent }
  delete carried.topicAlias
  if (carried.correlationData !== undefined) carried.correlationData = Buffer.from(carried.correlationData)
  return Object.keys(carried).length === 0 ? null : carried
}

/** As it is delivered now: with what is left of its time. */
export function deliveredProperties(
  { properties, expiresMs }: Message,
  nowMs: number,
  ids: readonly number[] | null,
): Properties | null {
  if (expiresMs === Infinity && ids === null) return properties
  return {
    ...properties,
    ...(expiresMs === Infinity ? {} : { messageExpiryS: Math.max(1, Math.ceil((expiresMs - nowMs) / 1_000)) }),
    ...(ids === null ? {} : { subscriptionIds: ids }),
  }
}
export function bytesOfMessage({ topic, payload, properties }: Message): number {
  let bytes = topic.length + payload.length + 200
  if (properties === null) return bytes
  bytes += (properties.correlationData?.length ?? 0) + (properties.responseTopic?.length ?? 0)
  for (const [name, value] of properties.userProperties ?? []) bytes += name.length + value.length + 50
  return bytes
}
/** With bytes of its own where it would hold many more: those of the batch that it came in. */
export function ownMessage(message: Message): Message {
  const { payload, properties } = message
  if (payload.buffer.byteLength <= 4 * payload.length + 4096) return message
  const correlation = properties?.correlationData
  return {
    ...message,
    payload: Buffer.from(payload),
    properties: correlation === undefined ? properties : { ...properties, correlationData: Buffer.from(correlation) },
  }
}
