/** Messages into a topic: checked as the service does, and by the topic's contract and schema; durable when answered. */
import { limits } from '../../lib/limits.ts'
import { Fault } from '../../lib/fault.ts'
import type { RecordInput } from '../../log/batch.ts'
import type { Target } from '../../log/placing.ts'
import type { PubsubMessage } from '../../wire/pubsub/messages.ts'
import { type Carried, messageIdOf, recordOf } from './carried.ts'
import { invalid } from './errors.ts'
import type { FoundTopic, Service } from './service.ts'
import { othersFirst } from './transforms.ts'

const countMax = 1_000
const attributesMax = 100
const attributeKeyBytesMax = 256
const attributeValueBytesMax = 1_024
const orderingKeyBytesMax = 1_024

/** The id of each, in the order given. Throws RpcError. */
export async function publish(
  service: Service,
  topic: FoundTopic,
  messages: readonly PubsubMessage[],
): Promise<readonly string[]> {
  checkCount(messages.length)
  let bytes = 0
  for (const message of messages) bytes += check(message)
  if (bytes > limits.pubsubPublishBytes)
    throw invalid(
      `Request payload size exceeds the limit: ${limits.pubsubPublishBytes} bytes. It has ${bytes} bytes of messages.`,
    )
  const nowMs = service.clock.now()
  const recordFor = recordsOf(service, topic, nowMs)
  const targets: Target[] = []
  const places: number[] = []
  for (let place = 0; place < messages.length; place++) {
    if (topic.message.messageTransforms.length > 0) await othersFirst(service.clock)
    const record = recordFor(messages[place]!)
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
/** What a transform has dropped was published all the same, as far as its publisher is concerned. */
const droppedId = ({ parts }: Service): string => `dropped-${parts.world.random.uuid()}`

/** What becomes of each: null where a transform drops it. Throws RpcError where it does not fit. */
function recordsOf(
  service: Service,
  { info, message: topic }: FoundTopic,
  nowMs: number,
): (message: PubsubMessage) => RecordInput | null {
  const transform = service.transforms.of(topic.messageTransforms)
  const revision = service.schemas.enforced(topic.schemaSettings)
  const { contracts } = service.parts
  // Most topics ask for nothing.
  if (transform === null && revision === null && contracts.get(info.name) === null)
    return (message) => recordOf(message, nowMs)
  return ({ data, attributes, orderingKey }) => {
    const given: Carried = { data, attributes, orderingKey, messageId: '', publishMs: nowMs }
    const carried = transform === null ? given : transform(given)
    if (carried === null) return null
    const record = recordOf(revision === null ? carried : revision.checked(carried), nowMs)
    const fault = contracts.refuses(info.name, record)
    if (fault !== null) throw invalid(`Invalid data in message: ${fault.message}`)
    return record
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
function check({ data, attributes, orderingKey }: PubsubMessage): number {
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
