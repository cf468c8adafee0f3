import type { Offset } from '../../../lib/brand.ts'
import { Fault } from '../../../lib/fault.ts'
import { type Decoded, type Encoded, nullUuid } from '../../../wire/kafka/codec/shape.ts'
import { alterShareGroupOffsetsApi } from '../../../wire/kafka/messages/91-alter-share-group-offsets.ts'
import { type Exchange, attempt, code, errorMessage, groupErrorCode, handler, keptGroup } from '../handler.ts'

type Asked = Decoded<typeof alterShareGroupOffsetsApi.request>['topics'][number]
type Response = Encoded<typeof alterShareGroupOffsetsApi.response>
type Refusal = { readonly errorCode: number; readonly errorMessage: string | null }

/** A group that is not there is made. */
export const alterShareGroupOffsets = handler({
  api: alterShareGroupOffsetsApi,
  versions: [0, 0],
  access: { needs: ['read group', 'read topic'] },
  async handle(request, exchange): Promise<Response> {
    const { groupId, topics } = request
    const { access, broker } = exchange
    if (!access.may('read', 'group', groupId))
      return refused(code.groupAuthorizationFailed, 'Group authorization failed.')
    const kept = keptGroup(groupId)
    if (kept !== null) return refused(groupErrorCode(kept), errorMessage(kept))
    const checked = await Promise.all(topics.map((asked) => check(asked, exchange)))
    const to = topics.flatMap(({ topicName: topic, partitions }, i) =>
      partitions.flatMap(({ partitionIndex: index, startOffset }, place) =>
        checked[i]![place] === null ? [{ partition: { topic, index }, offset: startOffset as Offset }] : [],
      ),
    )
    const done = await attempt(exchange, () => broker.coordinator.shareOffsets.reset(groupId, to))
    if (done instanceof Fault) return refused(groupErrorCode(done), errorMessage(done))
    return {
      errorCode: code.none,
      responses: topics.map(({ topicName, partitions }, i) => ({
        topicName,
        topicId: access.may('read', 'topic', topicName) ? (broker.catalog.byName(topicName)?.id ?? nullUuid) : nullUuid,
        partitions: partitions.map(({ partitionIndex }, place) => ({
          partitionIndex,
          ...(checked[i]![place] ?? { errorCode: code.none, errorMessage: null }),
        })),
      })),
    }
  },
})
const refused = (errorCode: number, message: string | null): Response => ({
  errorCode,
  errorMessage: message,
  responses: [],
})

/** What is wrong with each of its partitions; null = nothing. */
async function check({ topicName, partitions }: Asked, exchange: Exchange): Promise<(Refusal | null)[]> {
  const { access, broker } = exchange
  if (!access.may('read', 'topic', topicName))
    return partitions.map(() => ({
      errorCode: code.topicAuthorizationFailed,
      errorMessage: 'Topic authorization failed.',
    }))
  const topic = broker.catalog.byName(topicName)
  return Promise.all(
    partitions.map(async ({ partitionIndex: index, startOffset }): Promise<Refusal | null> => {
      if (topic === null || index < 0 || index >= topic.partitions) {
        const fault = new Fault('log.unknown-partition', { topic: topicName, partition: index })
        return { errorCode: code.unknownTopicOrPartition, errorMessage: errorMessage(fault) }
      }
      const [bounds] = await broker.bounds([{ topic: topicName, index }])
      const { start: first, end: next } = bounds!
      if (startOffset >= 0 && startOffset <= next) return null
      const fault = new Fault('log.offset-out-of-range', { offset: startOffset, first, next })
      return { errorCode: code.offsetOutOfRange, errorMessage: errorMessage(fault) }
    }),
  )
}
