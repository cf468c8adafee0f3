import { Fault } from '../../../lib/fault.ts'
import type { Partition } from '../../../log/log.ts'
import { type Exchange, attempt, code, errorCode, errorMessage, handler } from '../handler.ts'
import { describeProducersApi } from '../../../wire/kafka/messages/61-describe-producers.ts'

export const describeProducers = handler({
  api: describeProducersApi,
  versions: [0, 0],
  access: { needs: ['read topic'] },
  async handle(request, exchange) {
    const { topics } = request
    const readable = new Set(topics.filter(({ name }) => exchange.access.may('read', 'topic', name)))
    const described = await exchange.turns.mapEach(
      topics,
      ({ partitionIndexes }) => partitionIndexes,
      (index, topic) =>
        readable.has(topic)
          ? describe({ topic: topic.name, index }, exchange)
          : refused(index, code.topicAuthorizationFailed, 'Topic authorization failed.'),
    )
    return { topics: topics.map(({ name }, i) => ({ name, partitions: described[i]! })) }
  },
})

const refused = (partitionIndex: number, error: number, message: string | null) => ({
  partitionIndex,
  errorCode: error,
  errorMessage: message,
  activeProducers: [],
})
async function describe(partition: Partition, exchange: Exchange) {
  const found = await attempt(exchange, () => exchange.broker.transactions.producers(partition))
  if (found instanceof Fault) return refused(partition.index, errorCode(found), errorMessage(found))
  const activeProducers = found.map(({ producerId, epoch, lastSequence, lastSeenMs, coordinatorEpoch, openFrom }) => ({
    producerId,
    producerEpoch: epoch,
    lastSequence,
    lastTimestamp: lastSeenMs,
    coordinatorEpoch,
    currentTxnStartOffset: openFrom,
  }))
  return { partitionIndex: partition.index, errorCode: code.none, errorMessage: null, activeProducers }
}
