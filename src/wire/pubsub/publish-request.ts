/**
 * Publish requests, read by hand: they are what most bytes that come are. The same as `decode(publishRequest, …)`, which a
 * test holds it against.
 */
import { isUtf8 } from 'node:buffer'
import { Fault } from '../../lib/fault.ts'
import { ItemsLeft, type Of, decode } from '../protobuf/message.ts'
import { type PubsubMessage, type publishRequest, pubsubMessage } from './messages.ts'

/** A field's number and wire type: these two are all that most messages have. */
const topicTag = 0x0a
const messagesTag = 0x12
const dataTag = 0x0a
const orderingKeyTag = 0x2a
const noData: Uint8Array = new Uint8Array(0)
const noAttributes: ReadonlyMap<string, string> = new Map<string, string>()

/** null: it has what is seldom there, and is to be read as others are. Throws Fault wire.malformed. */
export function readPublishRequest(body: Buffer): Of<typeof publishRequest> | null {
  let topic = ''
  const messages: PubsubMessage[] = []
  const left = new ItemsLeft()
  let at = 0
  while (at < body.length) {
    const tag = body[at++]!
    if (tag !== topicTag && tag !== messagesTag) return null
    const length = lengthAt(body, at, body.length)
    if (length === null) return null
    at += sizeOf(length)
    if (tag === topicTag) topic = textOf(body, at, at + length)
    else {
      left.take()
      messages.push(readMessage(body, at, at + length, left))
    }
    at += length
  }
  return { topic, messages }
}
function readMessage(body: Buffer, start: number, end: number, left: ItemsLeft): PubsubMessage {
  let data = noData
  let orderingKey = ''
  for (let at = start; at < end;) {
    const tag = body[at++]!
    if (tag !== dataTag && tag !== orderingKeyTag) return whole(body, start, end, left)
    const length = lengthAt(body, at, end)
    if (length === null) return whole(body, start, end, left)
    at += sizeOf(length)
    if (tag === dataTag) data = body.subarray(at, at + length)
    else orderingKey = textOf(body, at, at + length)
    at += length
  }
  return { data, attributes: noAttributes, messageId: '', publishTime: null, orderingKey }
}
/** With attributes, for example. */
const whole = (body: Buffer, start: number, end: number, left: ItemsLeft): PubsubMessage =>
  decode(pubsubMessage, body.subarray(start, end), left)
/** A length in the fewest bytes of what is there; null: it is another one, or none. */
function lengthAt(body: Buffer, at: number, end: number): number | null {
  let length = 0
  for (let i = 0; i < 4; i++) {
    if (at + i >= end) return null
    const byte = body[at + i]!
    length |= (byte & 0x7f) << (7 * i)
    if (byte >= 0x80) continue
    return sizeOf(length) === i + 1 && length <= end - at - i - 1 ? length : null
  }
  return null
}
const sizeOf = (length: number): number => (length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : 4)
function textOf(body: Buffer, start: number, end: number): string {
  const bytes = body.subarray(start, end)
  if (!isUtf8(bytes)) throw new Fault('wire.malformed', { what: 'text that is not UTF-8' })
  return bytes.toString('utf8')
}
