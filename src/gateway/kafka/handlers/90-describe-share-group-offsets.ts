import { Fault } from '../../../lib/fault.ts'
import type { ShareOffset } from '../../../log/broker.ts'
import { type Decoded, type Encoded, nullUuid } from '../../../wire/kafka/codec/shape.ts'
import { describeShareGroupOffsetsApi } from '../../../wire/kafka/messages/90-describe-share-group-offsets.ts'
import { type Exchange, attempt, code, errorMessage, groupErrorCode, handler } from '../handler.ts'

type Asked = Decoded<typeof describeShareGroupOffsetsApi.request>['groups'][number]
type Group = Encoded<typeof describeShareGroupOffsetsApi.response>['groups'][number]
type Topic = Group['topics'][number]

/** Where a group has not begun, and for one that is not there, the answer is −1, as in Kafka. */
export const describeShareGroupOffsets = handler({
  api: describeShareGroupOffsetsApi,
  versions: [0, 1],
  access: { needs: ['describe group', 'describe topic'] },
  async handle(request, exchange) {
    return { groups: await exchange.turns.map(request.groups, (asked) => describe(asked, exchange)) }
  },
  firstError: ({ groups }) => groups.find(({ errorCode }) => errorCode !== code.none)?.errorCode ?? code.none,
})

async function describe({ groupId, topics }: Asked, exchange: Exchange): Promise<Group> {
  const { access, broker } = exchange
  if (!access.may('describe', 'group', groupId))
    return refused(groupId, code.groupAuthorizationFailed, 'Group authorization failed.')
  if (groupId === '') return refused(groupId, code.invalidGroupId, null)
  const found = await attempt(exchange, () => broker.coordinator.shareOffsets.positions(groupId))
  if (found instanceof Fault && found.code !== 'log.unknown-group')
    return refused(groupId, groupErrorCode(found), errorMessage(found))
  const known = Map.groupBy(found instanceof Fault ? [] : found, ({ partition }) => partition.topic)
  const answer = (topicName: string, indexes: readonly number[] | null): Topic => {
    const offsets = known.get(topicName) ?? []
    const topicId = broker.catalog.byName(topicName)?.id ?? nullUuid
    const asked = indexes ?? offsets.map(({ partition }) => partition.index)
    const byIndex = new Map(offsets.map((one) => [one.partition.index, one]))
    return { topicName, topicId, partitions: asked.map((index) => partitionOf(index, byIndex.get(index))) }
  }
  const shown =
    topics === null
      ? [...known.keys()].filter((topic) => access.sees('describe', 'topic', topic)).map((topic) => answer(topic, null))
      : topics.map(({ topicName, partitions }) =>
          access.may('describe', 'topic', topicName) ? answer(topicName, partitions) : hidden(topicName, partitions),
        )
  return { groupId, topics: shown, errorCode: code.none, errorMessage: null }
}
const partitionOf = (partitionIndex: number, offset: ShareOffset | undefined): Topic['partitions'][number] => ({
  partitionIndex,
  startOffset: offset?.start ?? -1,
  leaderEpoch: 0,
  lag: offset?.lag ?? -1,
  errorCode: code.none,
})
const hidden = (topicName: string, indexes: readonly number[]): Topic => ({
  topicName,
  topicId: nullUuid,
  partitions: indexes.map((partitionIndex) => ({
    partitionIndex,
    startOffset: -1,
    leaderEpoch: 0,
    errorCode: code.topicAuthorizationFailed,
    errorMessage: 'Topic authorization failed.',
  })),
})
const refused = (groupId: string, errorCode: number, message: string | null): Group => ({
  groupId,
  topics: [],
  errorCode,
  errorMessage: message,
})
