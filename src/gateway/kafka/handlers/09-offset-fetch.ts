import { Fault } from '../../../lib/fault.ts'
import type { Partition } from '../../../log/log.ts'
import { type Encoded, nullUuid } from '../../../wire/kafka/codec/shape.ts'
import { type Exchange, attempt, code, groupErrorCode, findTopic, handler } from '../handler.ts'
import { offsetFetchApi } from '../../../wire/kafka/messages/09-offset-fetch.ts'

type Response = Encoded<typeof offsetFetchApi.response>
type GroupAnswer = Response['groups'][number]
type TopicAnswer = GroupAnswer['topics'][number]
type PartitionAnswer = TopicAnswer['partitions'][number]
interface AskedTopic {
  readonly topicId: string
  readonly name: string
  readonly partitionIndexes: readonly number[]
}
interface Asked {
  readonly group: string
  readonly by: { readonly memberId: string | null; readonly epoch: number }
  readonly requireStable: boolean
}
/** Before version 9 nobody says who asks. */
const nobody = { memberId: null, epoch: -1 } as const
const firstVersionOfGroups = 8
const firstVersionById = 10

/** Up to version 7 a request asks for one group; its answer is that of the first group, one level up. */
export const offsetFetch = handler({
  api: offsetFetchApi,
  versions: [1, 10],
  access: { needs: ['describe group', 'describe topic'] },
  async handle(request, exchange): Promise<Response> {
    const { requireStable } = request
    if (exchange.version >= firstVersionOfGroups) {
      const groups = await exchange.turns.map(request.groups, ({ groupId, topics, memberId, memberEpoch }) =>
        answer(exchange, { group: groupId, by: { memberId, epoch: memberEpoch }, requireStable }, topics),
      )
      return { groups, topics: [], errorCode: code.none }
    }
    const asked = request.topics?.map((topic) => ({ ...topic, topicId: nullUuid })) ?? null
    const { topics, errorCode } = await answer(exchange, { group: request.groupId, by: nobody, requireStable }, asked)
    return { groups: [], topics, errorCode }
  },
})

async function answer(
  exchange: Exchange,
  { group, by, requireStable }: Asked,
  asked: readonly AskedTopic[] | null,
): Promise<GroupAnswer> {
  const { coordinator } = exchange.broker
  if (!exchange.access.may('describe', 'group', group))
    return { groupId: group, topics: [], errorCode: code.groupAuthorizationFailed }
  if (asked === null) return all(exchange, { group, by, requireStable })
  const byId = exchange.version >= firstVersionById
  const of: Partition[] = []
  const names = asked.map((topic) =>
    byId ? (findTopic(exchange, { name: null, id: topic.topicId }, true)?.name ?? null) : topic.name,
  )
  const hidden = new Set(names.filter((name) => name !== null && !exchange.access.may('describe', 'topic', name)))
  asked.forEach((topic, t) => {
    const name = names[t]!
    if (name !== null && !hidden.has(name)) for (const index of topic.partitionIndexes) of.push({ topic: name, index })
  })
  const found = await attempt(exchange, () => coordinator.offsets(group, of, requireStable, by))
  if (found instanceof Fault) return { groupId: group, topics: [], errorCode: groupErrorCode(found) }
  let next = 0
  const topics = asked.map((topic, t): TopicAnswer => ({
    topicId: topic.topicId,
    name: topic.name,
    partitions: topic.partitionIndexes.map((index) => {
      if (names[t] === null) return nothing(index, code.unknownTopicId)
      return hidden.has(names[t]!) ? nothing(index, code.topicAuthorizationFailed) : partitionAnswer(found[next++]!)
    }),
  }))
  return { groupId: group, topics, errorCode: code.none }
}

async function all(exchange: Exchange, { group, by, requireStable }: Asked): Promise<GroupAnswer> {
  const { coordinator, catalog } = exchange.broker
  const found = await attempt(exchange, () => coordinator.offsets(group, null, requireStable, by))
  if (found instanceof Fault) return { groupId: group, topics: [], errorCode: groupErrorCode(found) }
  const topics = new Map<string, PartitionAnswer[]>()
  for (const one of found) {
    if (!exchange.access.sees('describe', 'topic', one.partition.topic)) continue
    const known = topics.get(one.partition.topic)
    if (known === undefined) topics.set(one.partition.topic, [partitionAnswer(one)])
    else known.push(partitionAnswer(one))
  }
  return {
    groupId: group,
    topics: [...topics].map(([name, partitions]) => ({
      topicId: catalog.byName(name)?.id ?? nullUuid,
      name,
      partitions,
    })),
    errorCode: code.none,
  }
}

function partitionAnswer(found: {
  partition: Partition
  offset: number
  leaderEpoch: number
  metadata: string | null
  fault: Fault | null
}): PartitionAnswer {
  return {
    partitionIndex: found.partition.index,
    committedOffset: found.fault === null ? found.offset : -1,
    committedLeaderEpoch: found.leaderEpoch,
    metadata: found.metadata ?? '',
    errorCode: groupErrorCode(found.fault),
  }
}
const nothing = (partitionIndex: number, error: number): PartitionAnswer => ({
  partitionIndex,
  committedOffset: -1,
  committedLeaderEpoch: -1,
  metadata: '',
  errorCode: error,
})
