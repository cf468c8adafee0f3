import type { TopicInfo } from '../../../log/log.ts'
import { type Encoded, nullUuid } from '../../../wire/kafka/codec/shape.ts'
import { type Exchange, code, handler, isInternal, nodeId } from '../handler.ts'
import { describeTopicPartitionsApi } from '../../../wire/kafka/messages/75-describe-topic-partitions.ts'

type Response = Encoded<typeof describeTopicPartitionsApi.response>
type Topic = Response['topics'][number]

const partitionsMax = 2000

/** Topics in the order of their names, a limited number of partitions at a time; the cursor is where to go on. */
export const describeTopicPartitions = handler({
  api: describeTopicPartitionsApi,
  versions: [0, 0],
  access: { needs: ['describe topic'] },
  handle(request, exchange): Response {
    const { access } = exchange
    const { catalog } = exchange.broker
    const { cursor } = request
    const names =
      request.topics.length > 0
        ? request.topics.map(({ name }) => name)
        : catalog
            .all()
            .map(({ name }) => name)
            .filter((name) => access.sees('describe', 'topic', name))
    const rest = [...new Set(names)].toSorted(byCodeUnit).filter((name) => cursor === null || name >= cursor.topicName)
    let left = Math.min(Math.max(1, request.responsePartitionLimit), partitionsMax)
    const topics: Topic[] = []
    for (const name of rest) {
      if (!access.may('describe', 'topic', name)) {
        topics.push(missing(name, code.topicAuthorizationFailed))
        continue
      }
      const topic = catalog.byName(name)
      if (topic === null) {
        topics.push(missing(name, code.unknownTopicOrPartition))
        continue
      }
      const from = cursor !== null && cursor.topicName === name ? Math.max(0, cursor.partitionIndex) : 0
      if (left === 0) return { topics, nextCursor: { topicName: name, partitionIndex: from } }
      const to = Math.min(topic.partitions, from + left)
      topics.push(describe(topic, exchange, from, to))
      left -= Math.max(0, to - from)
      if (to < topic.partitions) return { topics, nextCursor: { topicName: name, partitionIndex: to } }
    }
    return { topics, nextCursor: null }
  },
})

const byCodeUnit = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const missing = (name: string, errorCode: number): Topic => ({
  errorCode,
  name,
  topicId: nullUuid,
  isInternal: false,
  partitions: [],
})

function describe(topic: TopicInfo, { access, broker }: Exchange, from: number, to: number): Topic {
  const partitions: Topic['partitions'][number][] = []
  for (let index = from; index < to; index++)
    partitions.push({
      errorCode: code.none,
      partitionIndex: index,
      leaderId: nodeId,
      leaderEpoch: broker.leaderEpoch({ topic: topic.name, index }),
      replicaNodes: [nodeId],
      isrNodes: [nodeId],
      eligibleLeaderReplicas: [],
      lastKnownElr: [],
      offlineReplicas: [],
    })
  return {
    errorCode: code.none,
    name: topic.name,
    topicId: topic.id,
    isInternal: isInternal(topic.name),
    partitions,
    topicAuthorizedOperations: access.operations('topic', topic.name),
  }
}
