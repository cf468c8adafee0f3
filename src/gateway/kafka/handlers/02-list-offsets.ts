import { Fault } from '../../../lib/fault.ts'
import type { Partition } from '../../../log/log.ts'
import type { Encoded } from '../../../wire/kafka/codec/shape.ts'
import { attempt, code, epochError, errorCode, handler } from '../handler.ts'
import { listOffsetsApi } from '../../../wire/kafka/messages/02-list-offsets.ts'

type PartitionAnswer = Encoded<typeof listOffsetsApi.response>['topics'][number]['partitions'][number]

const earliest = -2
const earliestLocal = -4
/** Kinds of ours: latest, earliest, largest time. The others speak of tiers, which have nothing to answer with. */
const lowestKnown = -3
const lowestKind = -6

export const listOffsets = handler({
  api: listOffsetsApi,
  versions: [1, 11],
  access: { needs: ['describe topic'] },
  async handle(request, exchange) {
    const asked: { partition: Partition; timeMs: number }[] = []
    const answers = new Map<PartitionAnswer, number>()
    const describable = new Set(
      request.topics.map(({ name }) => name).filter((name) => exchange.access.may('describe', 'topic', name)),
    )
    const topics = request.topics.map((topic) => ({
      name: topic.name,
      partitions: topic.partitions.map((one): PartitionAnswer => {
        if (!describable.has(topic.name)) return nothing(one.partitionIndex, code.topicAuthorizationFailed)
        const partition = { topic: topic.name, index: one.partitionIndex }
        const answer = nothing(one.partitionIndex, code.none)
        const known = (exchange.broker.catalog.byName(topic.name)?.partitions ?? 0) > one.partitionIndex
        if (!known || one.partitionIndex < 0) return nothing(one.partitionIndex, code.unknownTopicOrPartition)
        if (one.timestamp < lowestKind) return nothing(one.partitionIndex, code.invalidRequest)
        const wrongEpoch = epochError(exchange, partition, one.currentLeaderEpoch)
        if (wrongEpoch !== code.none) return nothing(one.partitionIndex, wrongEpoch)
        const timeMs = one.timestamp === earliestLocal ? earliest : one.timestamp
        if (timeMs < lowestKnown) return answer
        answers.set(answer, asked.length)
        asked.push({ partition, timeMs })
        return answer
      }),
    }))
    const found = await attempt(exchange, () => exchange.broker.listOffsets(asked, request.isolationLevel === 1))
    const fill = (answer: PartitionAnswer): PartitionAnswer => {
      const at = answers.get(answer)
      if (at === undefined) return answer
      const one = found instanceof Fault ? { fault: found } : found[at]!
      if ('fault' in one) return nothing(answer.partitionIndex, errorCode(one.fault))
      return { ...answer, timestamp: one.timeMs, offset: one.offset, leaderEpoch: one.leaderEpoch }
    }
    return { topics: topics.map((topic) => ({ name: topic.name, partitions: topic.partitions.map(fill) })) }
  },
})

const nothing = (partitionIndex: number, error: number): PartitionAnswer => ({
  partitionIndex,
  errorCode: error,
  timestamp: -1,
  offset: -1,
  leaderEpoch: -1,
})
