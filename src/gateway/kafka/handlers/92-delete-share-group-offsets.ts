import { Fault } from '../../../lib/fault.ts'
import { type Encoded, nullUuid } from '../../../wire/kafka/codec/shape.ts'
import { deleteShareGroupOffsetsApi } from '../../../wire/kafka/messages/92-delete-share-group-offsets.ts'
import { attempt, code, errorMessage, groupErrorCode, handler, keptGroup, shortened } from '../handler.ts'

type Response = Encoded<typeof deleteShareGroupOffsetsApi.response>

export const deleteShareGroupOffsets = handler({
  api: deleteShareGroupOffsetsApi,
  versions: [0, 0],
  access: { needs: ['delete group', 'read topic'] },
  async handle(request, exchange): Promise<Response> {
    const { groupId } = request
    const { access, broker } = exchange
    const { shareOffsets } = broker.coordinator
    if (!access.may('delete', 'group', groupId))
      return refused(code.groupAuthorizationFailed, 'Group authorization failed.')
    const kept = keptGroup(groupId)
    if (kept !== null) return refused(groupErrorCode(kept), errorMessage(kept))
    const positions = await attempt(exchange, () => shareOffsets.positions(groupId))
    if (positions instanceof Fault) return refused(groupErrorCode(positions), errorMessage(positions))
    const known = new Set(positions.map(({ partition }) => partition.topic))
    const wrong = (topic: string): { errorCode: number; errorMessage: string } | null => {
      if (!access.may('read', 'topic', topic))
        return { errorCode: code.topicAuthorizationFailed, errorMessage: 'Topic authorization failed.' }
      if (broker.catalog.byName(topic) === null)
        return { errorCode: code.unknownTopicOrPartition, errorMessage: shortened(`topic ${topic} does not exist`) }
      return known.has(topic)
        ? null
        : { errorCode: code.unknownTopicOrPartition, errorMessage: 'There is no offset information to delete.' }
    }
    const names = request.topics.map(({ topicName }) => topicName)
    const faults = names.map(wrong)
    const gone = await attempt(exchange, () =>
      shareOffsets.forget(
        groupId,
        names.filter((_, i) => faults[i] === null),
      ),
    )
    if (gone instanceof Fault) return refused(groupErrorCode(gone), errorMessage(gone))
    return {
      errorCode: code.none,
      responses: names.map((topicName, i) => ({
        topicName,
        topicId: faults[i] === null ? (broker.catalog.byName(topicName)?.id ?? nullUuid) : nullUuid,
        ...(faults[i] ?? { errorCode: code.none, errorMessage: null }),
      })),
    }
  },
})
const refused = (errorCode: number, message: string | null): Response => ({
  errorCode,
  errorMessage: message,
  responses: [],
})
