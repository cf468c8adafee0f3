/** How a message lies in the log, and a record in a message: `docs/gateways.md` has the table. */
import { isUtf8 } from 'node:buffer'
import type { Header, LogRecord, RecordInput } from '../../log/batch.ts'
import type { ByteWriter } from '../../lib/bytes.ts'
import { writeBytes, writeEntry, writeNested, writeNumber, writeText, type Input } from '../../wire/protobuf/message.ts'
import { secondsOf } from '../../wire/protobuf/well-known.ts'
import type { PubsubMessage } from '../../wire/pubsub/messages.ts'

/** A message as it is delivered. */
export interface Carried {
  readonly data: Uint8Array
  readonly attributes: ReadonlyMap<string, string>
  readonly messageId: string
  readonly publishMs: number
  readonly orderingKey: string
}
const noData = new Uint8Array(0)
const noAttributes: ReadonlyMap<string, string> = new Map<string, string>()
/** What is no text has this at the end of its name. */
const encodedSuffix = '-base64'

export const messageIdOf = (partition: number, offset: number): string => `${partition}-${offset}`

export function recordOf(
  { data, attributes, orderingKey }: Pick<Carried, 'data' | 'attributes' | 'orderingKey'>,
  timeMs: number,
): RecordInput {
  const key = orderingKey === '' ? null : Buffer.from(orderingKey, 'utf8')
  if (attributes.size === 0) return { key, value: data, timeMs }
  const headers: Header[] = []
  for (const [name, value] of attributes) headers.push([name, Buffer.from(value, 'utf8')])
  return { key, value: data, headers, timeMs }
}
const text = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
export function carriedOf(partition: number, { offset, timeMs, key, value, headers }: LogRecord): Carried {
  return {
    data: value ?? noData,
    attributes: headers.length === 0 ? noAttributes : attributesOf(headers),
    messageId: messageIdOf(partition, offset),
    publishMs: timeMs,
    orderingKey: key === null ? '' : isUtf8(key) ? text(key).toString('utf8') : text(key).toString('base64'),
  }
}
function attributesOf(headers: readonly Header[]): Map<string, string> {
  const attributes = new Map<string, string>()
  for (const [name, value] of headers)
    if (value === null) attributes.set(name, '')
    else if (isUtf8(value)) attributes.set(name, text(value).toString('utf8'))
    else attributes.set(`${name}${encodedSuffix}`, text(value).toString('base64'))
  return attributes
}
export const messageOf = ({ publishMs, ...carried }: Carried): Input<PubsubMessage> => ({
  ...carried,
  publishTime: secondsOf(publishMs),
})

/** Into a field of a ReceivedMessage, without a message in between: this is what streams send. */
export function writeReceived(
  out: ByteWriter,
  field: number,
  { ackId, attempt, message }: { ackId: string; attempt: number; message: Carried },
): void {
  writeNested(out, field, () => {
    writeText(out, 1, ackId)
    writeNested(out, 2, () => writeCarried(out, message))
    if (attempt > 0) writeNumber(out, 3, attempt)
  })
}
function writeCarried(out: ByteWriter, { data, attributes, messageId, publishMs, orderingKey }: Carried): void {
  if (data.length > 0) writeBytes(out, 1, data)
  for (const entry of attributes) writeEntry(out, 2, entry)
  writeText(out, 3, messageId)
  const { seconds, nanos } = secondsOf(publishMs)
  writeNested(out, 4, () => {
    writeNumber(out, 1, seconds)
    if (nanos > 0) writeNumber(out, 2, nanos)
  })
  if (orderingKey !== '') writeText(out, 5, orderingKey)
}
