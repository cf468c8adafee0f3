import { Fault } from '../../../lib/fault.ts'
import type { Decoded } from '../../../wire/kafka/codec/shape.ts'
import {
  type Exchange,
  attempt,
  code,
  errorCode,
  errorMessage,
  handler,
  keptTopic,
  nodeId,
  repeated,
} from '../handler.ts'
import { createPartitionsApi } from '../../../wire/kafka/messages/37-create-partitions.ts'

const firstStrictVersion = 3

type Asked = Decoded<typeof createPartitionsApi.request>['topics'][number]

export const createPartitions = handler({
  api: createPartitionsApi,
  versions: [0, 3],
  access: { needs: ['alter topic'] },
  async handle(request, exchange) {
    const twice = repeated(request.topics.map(({ name }) => name))
    const results = await exchange.turns.map(request.topics, async (asked) => {
      const { name } = asked
      if (!exchange.access.may('alter', 'topic', name))
        return { name, errorCode: code.topicAuthorizationFailed, errorMessage: 'Topic authorization failed.' }
      if (twice.has(name))
        return { name, errorCode: code.invalidRequest, errorMessage: 'the topic is named twice in this request' }
      const wrong = wrongAssignment(asked, exchange)
      if (wrong !== null) return { name, errorCode: code.invalidReplicaAssignment, errorMessage: wrong }
      const made = asked.count - (exchange.broker.catalog.byName(name)?.partitions ?? asked.count)
      if (made > 0 && !request.validateOnly && !exchange.mutations(made, exchange.version >= firstStrictVersion))
        return {
          name,
          errorCode: code.throttlingQuotaExceeded,
          errorMessage: 'The throttling quota has been exceeded.',
        }
      const fault = await attempt(exchange, () => grow(asked, exchange, request.validateOnly))
      return { name, errorCode: errorCode(fault), errorMessage: errorMessage(fault) }
    })
    return { results }
  },
})

async function grow({ name, count }: Asked, exchange: Exchange, onlyCheck: boolean): Promise<Fault | null> {
  const { broker } = exchange
  const topic = broker.catalog.byName(name)
  if (topic === null) throw new Fault('log.unknown-topic', { topic: name })
  const kept = keptTopic(exchange, name)
  if (kept !== null) throw kept
  const why =
    count === topic.partitions
      ? `Topic already has ${count} partition(s).`
      : `The topic ${name} currently has ${topic.partitions} partition(s); ${count} would not be an increase.`
  if (count <= topic.partitions) throw new Fault('log.invalid-partitions', { partitions: count, why })
  if (onlyCheck) return broker.checkAlter(name, { partitions: count })
  exchange.access.says([`topic:${name} partitions=${count}`])
  await broker.topics.alter(name, { partitions: count })
  return null
}

function wrongAssignment({ name, count, assignments }: Asked, { broker }: Exchange): string | null {
  if (assignments === null) return null
  const added = count - (broker.catalog.byName(name)?.partitions ?? count)
  if (assignments.length !== added) return `${assignments.length} assignments for ${added} new partitions`
  const odd = assignments.some(({ brokerIds }) => brokerIds.length !== 1 || brokerIds[0] !== nodeId)
  return odd ? `broker ${nodeId} is the only one there is` : null
}
