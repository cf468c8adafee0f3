import { Fault } from '../../../lib/fault.ts'
import type { Decoded, Encoded } from '../../../wire/kafka/codec/shape.ts'
import { shareGroupHeartbeatApi } from '../../../wire/kafka/messages/76-share-group-heartbeat.ts'
import { attempt, code, errorMessage, groupErrorCode, handler, keptGroup } from '../handler.ts'
import { isMemberId } from '../share-acknowledge.ts'

type Request = Decoded<typeof shareGroupHeartbeatApi.request>
type Response = Encoded<typeof shareGroupHeartbeatApi.response>

const leaves = -1

export const shareGroupHeartbeat = handler({
  api: shareGroupHeartbeatApi,
  versions: [1, 1],
  access: { needs: ['read group', 'describe topic'] },
  async handle(request, exchange): Promise<Response> {
    const { access } = exchange
    if (!access.may('read', 'group', request.groupId))
      return refused(code.groupAuthorizationFailed, 'Group authorization failed.')
    const topics = request.subscribedTopicNames ?? []
    if (!topics.every((topic) => access.may('describe', 'topic', topic)))
      return refused(code.topicAuthorizationFailed, 'Topic authorization failed.')
    const wrong = wrongWith(request)
    if (wrong !== null) return refused(code.invalidRequest, wrong)
    const kept = keptGroup(request.groupId)
    if (kept !== null) return refused(groupErrorCode(kept), errorMessage(kept))
    const answer = await attempt(exchange, () =>
      exchange.broker.coordinator.shareHeartbeat({
        group: request.groupId,
        memberId: request.memberId,
        epoch: request.memberEpoch,
        rackId: request.rackId,
        topics: request.subscribedTopicNames,
        clientId: exchange.clientId,
        host: exchange.clientHost,
      }),
    )
    const fault = answer instanceof Fault ? answer : 'fault' in answer ? answer.fault : null
    if (answer instanceof Fault || 'fault' in answer) return refused(groupErrorCode(fault), errorMessage(fault))
    return {
      errorCode: code.none,
      memberId: answer.memberId,
      memberEpoch: answer.epoch,
      heartbeatIntervalMs: answer.heartbeatMs,
      assignment: answer.assignment === null ? null : { topicPartitions: answer.assignment },
    }
  },
})
const refused = (errorCode: number, message: string | null): Response => ({
  errorCode,
  errorMessage: message,
  memberEpoch: 0,
  heartbeatIntervalMs: 0,
})

/** What Kafka refuses as INVALID_REQUEST before it looks at the group. */
function wrongWith(request: Request): string | null {
  const { memberEpoch: epoch } = request
  if (!isMemberId(request.memberId)) return 'MemberId must have 1 to 36 characters.'
  if (request.groupId.trim() === '') return "GroupId can't be empty."
  if (request.rackId !== null && request.rackId.trim() === '') return "RackId can't be empty."
  if (epoch < leaves) return 'MemberEpoch is invalid.'
  if (epoch === 0 && (request.subscribedTopicNames ?? []).length === 0)
    return 'SubscribedTopicNames must be set in first request.'
  return null
}
