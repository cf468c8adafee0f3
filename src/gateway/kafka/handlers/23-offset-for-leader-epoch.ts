import { Fault } from '../../../lib/fault.ts'
import { type Exchange, attempt, code, epochError, errorCode, handler } from '../handler.ts'
import { offsetForLeaderEpochApi } from '../../../wire/kafka/messages/23-offset-for-leader-epoch.ts'

/** Where the records of an epoch end: by this a consumer finds out that what it read last is still there. */
export const offsetForLeaderEpoch = handler({
  api: offsetForLeaderEpochApi,
  versions: [2, 4],
  access: { needs: ['describe topic'] },
  async handle(request, exchange) {
    const { topics } = request
    const ends = await exchange.turns.mapEach(
      topics,
      ({ partitions }) => partitions,
      async (asked, { topic }) => ({ partition: asked.partition, ...(await end(exchange, topic, asked)) }),
    )
    return { topics: topics.map(({ topic }, i) => ({ topic, partitions: ends[i]! })) }
  },
})

async function end(
  exchange: Exchange,
  topic: string,
  asked: { readonly partition: number; readonly currentLeaderEpoch: number; readonly leaderEpoch: number },
): Promise<{ errorCode: number; leaderEpoch: number; endOffset: number }> {
  const { broker } = exchange
  const partition = { topic, index: asked.partition }
  const none = (error: number) => ({ errorCode: error, leaderEpoch: -1, endOffset: -1 })
  if (!exchange.access.may('describe', 'topic', topic)) return none(code.topicAuthorizationFailed)
  const known = (broker.catalog.byName(topic)?.partitions ?? 0) > asked.partition && asked.partition >= 0
  if (!known) return none(code.unknownTopicOrPartition)
  const wrongEpoch = epochError(exchange, partition, asked.currentLeaderEpoch)
  if (wrongEpoch !== code.none) return none(wrongEpoch)
  const found = await attempt(exchange, () => broker.epochEnd(partition, asked.leaderEpoch))
  if (found instanceof Fault) return none(errorCode(found))
  if (found === null) return none(code.none)
  return { errorCode: code.none, leaderEpoch: found.epoch, endOffset: found.end }
}
