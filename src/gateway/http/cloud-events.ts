/**
 * CloudEvents 1.0 over HTTP (binary, structured and batched content mode) into records of the Kafka binding's binary
 * mode: attributes as `ce_…` headers, data as the value byte for byte, `partitionkey` as the key. Strict: an attribute that
 * the specification does not allow is a Fault that names it.
 */
import { type Facts, Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Header } from '../../log/batch.ts'
import { isJsonArray, isJsonObject, jsonElements, jsonMembers, parseJson, trimJson } from '../../schema/json-text.ts'
import type { Exchange } from './exchange.ts'
import type { Defaults, Incoming } from './incoming.ts'
import { readTime } from './parameters.ts'

/** What a fault names that is not about one attribute. */
const whole = 'the event'
const wrong = (field: string, why: string): Fault =>
  new Fault('http.invalid-event', { field: field.slice(0, 100), why })

/** Attributes in the headers `ce-…`, data in the body, its type in Content-Type. */
export function binaryEvent(headers: Exchange['headers'], body: Uint8Array, defaults: Defaults): Incoming {
  const attributes = new Map<string, string>()
  for (const name in headers)
    if (name.startsWith('ce-')) attributes.set(name.slice(3), decodeHeader(name, headers[name]!))
  const type = headers['content-type']
  if (attributes.has('datacontenttype')) throw wrong('datacontenttype', 'stands in Content-Type in binary mode')
  if (type !== undefined) attributes.set('datacontenttype', type)
  return toRecord(attributes, body.length === 0 && type === undefined ? null : body, defaults)
}
/** Section 3.1.3.2 of the HTTP binding: percent-encoded UTF-8. Senders that do not encode are met half-way. */
function decodeHeader(name: string, text: string): string {
  const plain = utf8OrLatin1(text)
  try {
    return decodeURIComponent(plain.replaceAll(/%(?![0-9a-fA-F]{2})/g, '%25'))
  } catch (error) {
    throw new Fault('http.invalid-event', { field: name, why: 'is not percent-encoded UTF-8' }, error)
  }
}

function utf8OrLatin1(text: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(text, 'latin1'))
  } catch {
    return text
  }
}

/** An event in JSON. */
export function structuredEvent(body: Uint8Array, defaults: Defaults): Incoming {
  const text = trimJson(body)
  parseJson(text)
  return readEvent(text, defaults)
}
/** A JSON array of events. */
export function batchEvents(body: Uint8Array, defaults: Defaults): Incoming[] {
  const text = trimJson(body)
  parseJson(text)
  if (!isJsonArray(text)) throw wrong('the batch', 'is not an array')
  const elements = jsonElements(text)
  if (elements.length > limits.httpRecords)
    throw new Fault('http.over-limit', { what: 'records in one request', max: limits.httpRecords })
  return elements.map((element, i) => named(i, () => readEvent(element, defaults)))
}

/** A fault of one event of several says which. */
function named<T>(index: number, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'http.invalid-event') throw error
    const { field, why } = error.facts as Facts<'http.invalid-event'>
    throw new Fault('http.invalid-event', { field: field === whole ? `[${index}]` : `[${index}].${field}`, why })
  }
}

function readEvent(text: Uint8Array, defaults: Defaults): Incoming {
  if (!isJsonObject(text)) throw wrong(whole, 'is not an object')
  const attributes = new Map<string, string>()
  let data: Uint8Array | null = null
  let encoded: Uint8Array | null = null
  for (const { name, value } of jsonMembers(text)) {
    if (name === 'data') data = value
    else if (name === 'data_base64') encoded = decodeBase64(value)
    else {
      const attribute = readAttribute(name, parseJson(value))
      if (attribute !== null) attributes.set(name, attribute)
    }
  }
  if (data !== null && encoded !== null) throw wrong('data', 'and data_base64 are both there')
  if (encoded !== null) return toRecord(attributes, encoded, defaults)
  if (data === null) return toRecord(attributes, null, defaults)
  const type = attributes.get('datacontenttype')
  if (type === undefined) attributes.set('datacontenttype', 'application/json')
  return toRecord(attributes, type === undefined || isJsonType(type) ? data : textData(data), defaults)
}
/** Section 3.1.1 of the JSON format: a string is the data itself where the type is not JSON. */
function textData(data: Uint8Array): Uint8Array {
  const value = parseJson(data)
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : data
}
const isJsonType = (type: string): boolean => /^[^/;]+\/(?:[^;]*\+)?json\s*(?:;|$)/i.test(type)
function decodeBase64(text: Uint8Array): Uint8Array {
  const value = parseJson(text)
  if (typeof value !== 'string' || !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value))
    throw wrong('data_base64', 'is not base64')
  return Buffer.from(value, 'base64')
}
/** Text of an attribute's value; null = as if it were not there. */
function readAttribute(name: string, value: unknown): string | null {
  if (value === null) return null
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 2_147_483_648) return String(value)
  throw wrong(name, 'is not text, a truth value or a whole number of 32 bits')
}

const attributesMax = 100
function toRecord(attributes: ReadonlyMap<string, string>, data: Uint8Array | null, defaults: Defaults): Incoming {
  checkAttributes(attributes)
  const headers: Header[] = [...defaults.headers]
  for (const [name, value] of attributes)
    headers.push([name === 'datacontenttype' ? 'content-type' : `ce_${name}`, Buffer.from(value, 'utf8')])
  const partitionKey = attributes.get('partitionkey')
  return {
    ...defaults,
    headers,
    // An event without data is still an event: only a null value would remove its key.
    value: data ?? Buffer.alloc(0),
    ...(defaults.key === undefined && partitionKey !== undefined ? { key: Buffer.from(partitionKey, 'utf8') } : {}),
  }
}

function checkAttributes(attributes: ReadonlyMap<string, string>): void {
  if (attributes.size > attributesMax) throw wrong(whole, `has more than ${attributesMax} attributes`)
  for (const name of ['specversion', 'id', 'source', 'type']) if (!attributes.has(name)) throw wrong(name, 'is missing')
  for (const [name, value] of attributes) {
    if (!/^[a-z0-9]+$/.test(name)) throw wrong(name, 'is not a name of lower-case letters and digits')
    if (hasForbidden(value)) throw wrong(name, 'holds control characters')
    const why = checks.get(name)?.(value)
    if (why !== undefined && why !== null) throw wrong(name, why)
  }
}
/** Characters that section 3.1 of the specification keeps out of text. */
function hasForbidden(text: string): boolean {
  for (const char of text) {
    const code = char.codePointAt(0)!
    if (
      code < 0x20 ||
      (code >= 0x7f && code <= 0x9f) ||
      (code >= 0xd800 && code <= 0xdfff) ||
      (code & 0xfffe) === 0xfffe
    )
      return true
  }
  return false
}

const uriCharacters = /^(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9a-fA-F]{2}|[\u00a0-\u{10ffff}])+$/u
const isEmpty = (value: string): string | null => (value === '' ? 'is empty' : null)
const checks: ReadonlyMap<string, (value: string) => string | null> = new Map([
  ['specversion', (value: string) => (value === '1.0' ? null : 'is not 1.0')],
  ['id', isEmpty],
  ['type', isEmpty],
  ['source', (value: string) => isEmpty(value) ?? (uriCharacters.test(value) ? null : 'is not a URI reference')],
  ['subject', isEmpty],
  [
    'dataschema',
    (value: string) =>
      /^[A-Za-z][A-Za-z0-9+.-]*:/.test(value) && uriCharacters.test(value) ? null : 'is not an absolute URI',
  ],
  ['time', (value: string) => (isRfc3339(value) ? null : 'is not a time as in RFC 3339')],
  [
    'datacontenttype',
    (value: string) =>
      /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+\s*(?:;.*)?$/.test(value)
        ? null
        : 'is not a media type',
  ],
])
const isRfc3339 = (value: string): boolean =>
  /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/.test(value) &&
  readTime(
    value
      .toUpperCase()
      .replace(/(\.\d{9})\d+/, '$1')
      .replace(':60', ':59'),
  ) !== null
