import type { Offset } from '../../../lib/brand.ts'
import { Fault } from '../../../lib/fault.ts'
import { type Decoded, type Encoded, nullUuid } from '../../../wire/kafka/codec/shape.ts'
import { alterShareGroupOffsetsApi } from '../../../wire/kafka/messages/91-alter-share-group-offsets.ts'
import { type Exchange, attempt, code, errorMessage, groupErrorCode, handler, keptGroup } from '../handler.ts'

type Asked = Decoded<typeof alterShareGroupOffsetsApi.request>['topics'][number]
type Response = Encoded<typeof alterShareGroupOffsetsApi.response>
/** They share a write. */
const resetAtOnce = 100

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
    const readable = new Set(topics.filter(({ topicName }) => access.may('read', 'topic', topicName)))
    const checked = await exchange.turns.mapEach(
      topics,
      ({ partitions }) => partitions,
      (asked, topic) => (readable.has(topic) ? wrongWith(topic.topicName, asked, exchange) : unauthorized),
    )
    const to = topics.flatMap(({ topicName: topic, partitions }, i) =>
      partitions.flatMap(({ partitionIndex: index, startOffset }, place) =>
        checked[i]![place] === null ? [{ partition: { topic, index }, offset: startOffset as Offset }] : [],
      ),
    )
    const { shareOffsets } = broker.coordinator
    // The first, which may be empty, makes the group.
    const done = await attempt(exchange, async () => {
      await shareOffsets.reset(groupId, to.slice(0, resetAtOnce))
      await exchange.turns.inPieces(to.slice(resetAtOnce), resetAtOnce, async (some) => {
        await shareOffsets.reset(groupId, some)
        return []
      })
    })
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

const unauthorized: Refusal = {
  errorCode: code.topicAuthorizationFailed,
  errorMessage: 'Topic authorization failed.',
}

/** What is wrong with one of its partitions; null = nothing. */
async function wrongWith(
  topic: string,
  asked: Asked['partitions'][number],
  exchange: Exchange,
): Promise<Refusal | null> {
  const { broker } = exchange
  const { partitionIndex: index, startOffset } = asked
  if (index < 0 || index >= (broker.catalog.byName(topic)?.partitions ?? 0)) {
    const fault = new Fault('log.unknown-partition', { topic, partition: index })
    return { errorCode: code.unknownTopicOrPartition, errorMessage: errorMessage(fault) }
  }
  const [bounds] = await broker.bounds([{ topic, index }])
  const { start: first, end: next } = bounds!
  if (startOffset >= 0 && startOffset <= next) return null
  const fault = new Fault('log.offset-out-of-range', { offset: startOffset, first, next })
  return { errorCode: code.offsetOutOfRange, errorMessage: errorMessage(fault) }
}
