/**
 * Publish requests, read by hand: they are what most bytes that come are. The same as `decode(publishRequest, …)`, which a
 * test holds it against. What it found are places in the request: messages as objects are made for who asks for them.
 */
import { isUtf8 } from 'node:buffer'
import { Fault } from '../../lib/fault.ts'
import { ItemsLeft, type Of } from '../protobuf/message.ts'
import type { PubsubMessage, publishRequest } from './messages.ts'

/** A field's number and wire type: what most messages have. */
const topicTag = 0x0a
const messagesTag = 0x12
const dataTag = 0x0a
const attributesTag = 0x12
const orderingKeyTag = 0x2a
const nameTag = 0x0a
const valueTag = 0x12
const noData: Uint8Array = new Uint8Array(0)
const noAttributes: ReadonlyMap<string, string> = new Map<string, string>()
/** Of each message: its ordering key (−1: none) from and to, its data from and to, where its attributes end. */
const placeNumbers = 5
/** Of each attribute: its name from and to, its value from and to. */
const attributeNumbers = 4
/** Of one message with more of them it is not looked whether a name is there twice. */
const comparedAttributes = 8

/** Its places are those of `log/records-in-place.ts`: ordering keys are keys, attributes headers. */
export class PlacedPublishRequest implements Of<typeof publishRequest> {
  readonly topic: string
  readonly bytes: Buffer
  readonly count: number
  readonly places: Int32Array
  readonly headers: number[] = []
  /** An attribute of a message has the name of another, as far as is known: the last one counts. */
  mayRepeat = false
  readonly #left: ItemsLeft

  constructor(topic: string, bytes: Buffer, count: number, left: ItemsLeft) {
    this.topic = topic
    this.bytes = bytes
    this.count = count
    this.places = new Int32Array(count * placeNumbers)
    this.#left = left
  }
  get messages(): readonly PubsubMessage[] {
    const { bytes, places, count } = this
    return Array.from({ length: count }, (_, message) => {
      const at = message * placeNumbers
      const keyAt = places[at]!
      return {
        data: places[at + 2] === places[at + 3] ? noData : bytes.subarray(places[at + 2], places[at + 3]),
        attributes: this.#attributes(message === 0 ? 0 : places[at - 1]!, places[at + 4]!),
        messageId: '',
        publishTime: null,
        orderingKey: keyAt < 0 ? '' : bytes.toString('utf8', keyAt, places[at + 1]),
      }
    })
  }
  #attributes(first: number, end: number): ReadonlyMap<string, string> {
    if (first === end) return noAttributes
    const { bytes, headers } = this
    const attributes = new Map<string, string>()
    for (let i = first * attributeNumbers; i < end * attributeNumbers; i += attributeNumbers)
      attributes.set(
        bytes.toString('utf8', headers[i], headers[i + 1]),
        bytes.toString('utf8', headers[i + 2], headers[i + 3]),
      )
    return attributes
  }
  /** False: it has what is seldom there. Throws Fault wire.malformed. */
  read(message: number, start: number, end: number): boolean {
    const { bytes: body, places, headers } = this
    const before = headers.length
    let keyAt = -1
    let keyEnd = -1
    let dataAt = start
    let dataEnd = start
    for (let at = start; at < end;) {
      const tag = body[at++]!
      const length = lengthAt(body, at, end)
      if (length < 0) return false
      at += sizeOf(length)
      const to = at + length
      if (tag === dataTag) {
        dataAt = at
        dataEnd = to
      } else if (tag === orderingKeyTag) {
        checkText(body, at, to)
        keyAt = length === 0 ? -1 : at
        keyEnd = length === 0 ? -1 : to
      } else if (tag !== attributesTag || !this.#readAttribute(at, to)) return false
      at = to
    }
    if (headers.length > before + attributeNumbers) this.#compare(before)
    const at = message * placeNumbers
    places[at] = keyAt
    places[at + 1] = keyEnd
    places[at + 2] = dataAt
    places[at + 3] = dataEnd
    places[at + 4] = headers.length / attributeNumbers
    return true
  }
  #readAttribute(start: number, end: number): boolean {
    const { bytes: body } = this
    let nameAt = start
    let nameEnd = start
    let valueAt = start
    let valueEnd = start
    this.#left.take()
    for (let at = start; at < end;) {
      const tag = body[at++]!
      const length = lengthAt(body, at, end)
      if (length < 0) return false
      at += sizeOf(length)
      const to = at + length
      checkText(body, at, to)
      if (tag === nameTag) {
        nameAt = at
        nameEnd = to
      } else if (tag === valueTag) {
        valueAt = at
        valueEnd = to
      } else return false
      at = to
    }
    this.headers.push(nameAt, nameEnd, valueAt, valueEnd)
    return true
  }
  /** Whether two of those from a place on have one name. */
  #compare(from: number): void {
    const { headers } = this
    if (headers.length - from > comparedAttributes * attributeNumbers) this.mayRepeat = true
    for (let a = from; a < headers.length && !this.mayRepeat; a += attributeNumbers)
      for (let b = a + attributeNumbers; b < headers.length; b += attributeNumbers)
        this.mayRepeat ||= isSame(this.bytes, [headers[a]!, headers[a + 1]!], [headers[b]!, headers[b + 1]!])
  }
}

/** null: it has what is seldom there, and is to be read as others are. Throws Fault wire.malformed. */
export function readPublishRequest(body: Buffer): PlacedPublishRequest | null {
  const left = new ItemsLeft()
  let topic = ''
  let count = 0
  for (let at = 0; at < body.length;) {
    const tag = body[at++]!
    if (tag !== topicTag && tag !== messagesTag) return null
    const length = lengthAt(body, at, body.length)
    if (length < 0) return null
    at += sizeOf(length)
    if (tag === topicTag) topic = textOf(body, at, at + length)
    else {
      left.take()
      count++
    }
    at += length
  }
  const request = new PlacedPublishRequest(topic, body, count, left)
  for (let at = 0, message = 0; at < body.length;) {
    const isMessage = body[at++] === messagesTag
    const length = lengthAt(body, at, body.length)
    at += sizeOf(length)
    if (isMessage && !request.read(message++, at, at + length)) return null
    at += length
  }
  return request
}
function isSame(body: Buffer, [a, aEnd]: readonly [number, number], [b, bEnd]: readonly [number, number]): boolean {
  if (aEnd - a !== bEnd - b) return false
  for (let i = 0; i < aEnd - a; i++) if (body[a + i] !== body[b + i]) return false
  return true
}
/** A length in the fewest bytes of what is there; −1: it is another one, or none. */
function lengthAt(body: Buffer, at: number, end: number): number {
  let length = 0
  for (let i = 0; i < 4; i++) {
    if (at + i >= end) return -1
    const byte = body[at + i]!
    length |= (byte & 0x7f) << (7 * i)
    if (byte >= 0x80) continue
    return sizeOf(length) === i + 1 && length <= end - at - i - 1 ? length : -1
  }
  return -1
}
const sizeOf = (length: number): number => (length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : 4)
function checkText(body: Buffer, start: number, end: number): void {
  for (let at = start; at < end; at++)
    if (body[at]! >= 0x80) {
      if (isUtf8(body.subarray(at, end))) return
      throw new Fault('wire.malformed', { what: 'text that is not UTF-8' })
    }
}
function textOf(body: Buffer, start: number, end: number): string {
  checkText(body, start, end)
  return body.toString('utf8', start, end)
}
