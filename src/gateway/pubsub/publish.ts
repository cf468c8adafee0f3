/** Messages into a topic: checked as the service does, and by the topic's contract and schema; durable when answered. */
import { limits } from '../../lib/limits.ts'
import { Fault } from '../../lib/fault.ts'
import type { RecordInput } from '../../log/batch.ts'
import type { PlacedInPlace, Target } from '../../log/placing.ts'
import { headerNumbers, placeNumbers } from '../../log/records-in-place.ts'
import type { Of } from '../../wire/protobuf/message.ts'
import type { PubsubMessage, publishRequest } from '../../wire/pubsub/messages.ts'
import { PlacedPublishRequest } from '../../wire/pubsub/publish-request.ts'
import { type Carried, messageIdOf, recordOf } from './carried.ts'
import { invalid } from './errors.ts'
import type { FoundTopic, Service } from './service.ts'
import type { SchemaStore } from './schema-store.ts'
import type { Transforms } from './transforms.ts'

const countMax = 1_000
const attributesMax = 100
const attributeKeyBytesMax = 256
const attributeValueBytesMax = 1_024
const orderingKeyBytesMax = 1_024

/** Fewer of them share batches with others'. */
const inPlaceMin = 16

/** The id of each, in the order given. Throws RpcError, Fault. */
export async function publish(
  service: Service,
  topic: FoundTopic,
  request: Of<typeof publishRequest>,
  charge: (bytes: number) => void,
): Promise<readonly string[]> {
  const inPlace = request instanceof PlacedPublishRequest ? publishInPlace(service, topic, request, charge) : null
  if (inPlace !== null) return inPlace
  const { messages } = request
  checkCount(messages.length)
  let bytes = 0
  for (const message of messages) bytes += check(message)
  if (bytes > limits.pubsubPublishBytes)
    throw invalid(
      `Request payload size exceeds the limit: ${limits.pubsubPublishBytes} bytes. It has ${bytes} bytes of messages.`,
    )
  charge(bytes)
  const nowMs = service.clock.now()
  const recordFor = recordsOf(service, topic, nowMs)
  const targets: Target[] = []
  const places: number[] = []
  for (let place = 0; place < messages.length; place++) {
    const made = recordFor(messages[place]!)
    const record = made instanceof Promise ? await made : made
    if (record === null) continue
    targets.push({ topic: topic.info, partition: null, record })
    places.push(place)
  }
  const placed = await service.placing.placeEach(targets, 'all')
  const ids = Array.from<string>({ length: messages.length })
  placed.forEach((one, i) => {
    if (one instanceof Fault) throw one
    ids[places[i]!] = messageIdOf(one.partition, one.offset)
  })
  if (placed.length < ids.length) for (let i = 0; i < ids.length; i++) ids[i] ??= droppedId(service)
  service.parts.meter.published(placed.length, bytes)
  return ids
}
/** null: something is to be looked at that needs the messages one by one. */
function publishInPlace(
  service: Service,
  topic: FoundTopic,
  request: PlacedPublishRequest,
  charge: (bytes: number) => void,
): Promise<readonly string[]> | null {
  const { count, mayRepeat } = request
  if (count < inPlaceMin || count > countMax || mayRepeat || asksFor(service, topic) !== null) return null
  const bytes = bytesInPlace(request)
  if (bytes === null || bytes > limits.pubsubPublishBytes) return null
  const placing = service.placing.placeInPlace(topic.info, request, service.clock.now(), 'all')
  if (placing === null) return null
  charge(bytes)
  return idsOf(service, placing, { count, bytes })
}
async function idsOf(
  { parts }: Service,
  placing: Promise<PlacedInPlace>,
  { count, bytes }: { count: number; bytes: number },
): Promise<readonly string[]> {
  const ids = Array.from<string>({ length: count })
  for (const { partition, offset, at } of await placing)
    for (let i = 0; i < at.length; i++) ids[at[i]!] = messageIdOf(partition, offset + i)
  parts.meter.published(count, bytes)
  return ids
}
/** What all of them have, as `check` counts it; null: one is at fault. */
function bytesInPlace({ count, places, headers }: PlacedPublishRequest): number | null {
  let bytes = 0
  for (let message = 0, at = 0, first = 0; message < count; message++, at += placeNumbers) {
    const key = places[at + 1]! - places[at]!
    const data = places[at + 3]! - places[at + 2]!
    const end = places[at + 4]!
    if (key > orderingKeyBytesMax || end - first > attributesMax || (data === 0 && end === first)) return null
    bytes += key + data
    for (; first < end; first++) {
      const i = first * headerNumbers
      const name = headers[i + 1]! - headers[i]!
      const value = headers[i + 3]! - headers[i + 2]!
      if (name === 0 || name > attributeKeyBytesMax || value > attributeValueBytesMax) return null
      bytes += name + value
    }
  }
  return bytes
}
/** What a topic does with messages before they are taken; null: nothing. */
function asksFor(
  service: Service,
  { info, message: topic }: FoundTopic,
): { transform: ReturnType<Transforms['of']>; revision: ReturnType<SchemaStore['enforced']> } | null {
  const transform = service.transforms.of(topic.messageTransforms)
  const revision = service.schemas.enforced(topic.schemaSettings)
  const isPlain = transform === null && revision === null && service.parts.contracts.get(info.name) === null
  return isPlain ? null : { transform, revision }
}
/** What a transform has dropped was published all the same, as far as its publisher is concerned. */
const droppedId = ({ parts }: Service): string => `dropped-${parts.world.random.uuid()}`

/** What becomes of each: null where a transform drops it. Throws RpcError where it does not fit. */
function recordsOf(
  service: Service,
  topic: FoundTopic,
  nowMs: number,
): (message: PubsubMessage) => RecordInput | Promise<RecordInput | null> {
  const asked = asksFor(service, topic)
  if (asked === null) return (message) => recordOf(message, nowMs)
  const { transform, revision } = asked
  const { contracts } = service.parts
  const { info } = topic
  const recordFor = (carried: Carried): RecordInput => {
    const record = recordOf(revision === null ? carried : revision.checked(carried), nowMs)
    const fault = contracts.refuses(info.name, record)
    if (fault !== null) throw invalid(`Invalid data in message: ${fault.message}`)
    return record
  }
  return ({ data, attributes, orderingKey }) => {
    const given: Carried = { data, attributes, orderingKey, messageId: '', publishMs: nowMs }
    if (transform === null) return recordFor(given)
    return transform(given).then((carried) => {
      if (carried === null) return null
      check(carried)
      return recordFor(carried)
    })
  }
}
function checkCount(count: number): void {
  if (count === 0)
    throw invalid('The value for message_count is too small. You passed 0 in the request, but the minimum value is 1.')
  if (count > countMax)
    throw invalid(
      `The value for message_count is too large. You passed ${count} in the request, but the maximum value is ${countMax}.`,
    )
}
/** Answers how large it is. */
function check({ data, attributes, orderingKey }: Pick<PubsubMessage, 'data' | 'attributes' | 'orderingKey'>): number {
  if (data.length === 0 && attributes.size === 0)
    throw invalid(
      'One or more messages in the publish request is empty. Each message must contain either non-empty data, or at least one attribute.',
    )
  let bytes = data.length
  if (orderingKey !== '') {
    const size = Buffer.byteLength(orderingKey)
    if (size > orderingKeyBytesMax)
      throw invalid(`The value for ordering_key is too large: ${size} bytes, and the limit is ${orderingKeyBytesMax}.`)
    bytes += size
  }
  if (attributes.size === 0) return bytes
  if (attributes.size > attributesMax)
    throw invalid(`A message has ${attributes.size} attributes, and the limit is ${attributesMax}.`)
  for (const [key, value] of attributes) {
    const [keyBytes, valueBytes] = [Buffer.byteLength(key), Buffer.byteLength(value)]
    if (keyBytes === 0 || keyBytes > attributeKeyBytesMax)
      throw invalid(`An attribute's key has ${keyBytes} bytes: it must have from 1 to ${attributeKeyBytesMax}.`)
    if (valueBytes > attributeValueBytesMax)
      throw invalid(
        `The value of the attribute ${key} has ${valueBytes} bytes, and the limit is ${attributeValueBytesMax}.`,
      )
    bytes += keyBytes + valueBytes
  }
  return bytes
}
