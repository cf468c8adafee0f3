import { Fault } from '../../../lib/fault.ts'
import type { Decoded, Encoded } from '../../../wire/kafka/codec/shape.ts'
import { attempt, code, errorMessage, groupErrorCode, handler, keptGroup } from '../handler.ts'
import { consumerGroupHeartbeatApi } from '../../../wire/kafka/messages/68-consumer-group-heartbeat.ts'

type Request = Decoded<typeof consumerGroupHeartbeatApi.request>
type Response = Encoded<typeof consumerGroupHeartbeatApi.response>

const firstVersionOfOwnMemberId = 1
const leaves = -1
const leavesForAWhile = -2

export const consumerGroupHeartbeat = handler({
  api: consumerGroupHeartbeatApi,
  versions: [0, 1],
  access: { needs: ['read group', 'describe topic'] },
  async handle(request, exchange): Promise<Response> {
    const { access } = exchange
    if (!access.may('read', 'group', request.groupId))
      return refused(code.groupAuthorizationFailed, 'Group authorization failed.')
    const topics = request.subscribedTopicNames ?? []
    if (!topics.every((topic) => access.may('describe', 'topic', topic)))
      return refused(code.topicAuthorizationFailed, 'Topic authorization failed.')
    const wrong = wrongWith(request, exchange.version)
    if (wrong !== null) return refused(code.invalidRequest, wrong)
    const kept = keptGroup(request.groupId)
    if (kept !== null) return refused(groupErrorCode(kept), errorMessage(kept))
    const answer = await attempt(exchange, () =>
      exchange.broker.coordinator.consumerHeartbeat({
        group: request.groupId,
        memberId: request.memberId,
        epoch: request.memberEpoch,
        instanceId: request.instanceId,
        rackId: request.rackId,
        rebalanceTimeoutMs: request.rebalanceTimeoutMs,
        topics: request.subscribedTopicNames,
        pattern: request.subscribedTopicRegex,
        mayFind: (topic) => access.may('describe', 'topic', topic),
        assignor: request.serverAssignor,
        owned: request.topicPartitions,
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
function wrongWith(request: Request, version: number): string | null {
  const { memberEpoch: epoch } = request
  const isBlank = (text: string | null): boolean => text !== null && text.trim() === ''
  const needsId = version >= firstVersionOfOwnMemberId || epoch > 0 || epoch === leaves
  if (needsId && isBlank(request.memberId)) return "MemberId can't be empty."
  if (isBlank(request.groupId)) return "GroupId can't be empty."
  if (isBlank(request.instanceId)) return "InstanceId can't be empty."
  if (isBlank(request.rackId)) return "RackId can't be empty."
  if (epoch === leavesForAWhile && request.instanceId === null) return "InstanceId can't be null."
  if (epoch < leavesForAWhile) return 'MemberEpoch is invalid.'
  if (epoch !== 0) return null
  if (request.rebalanceTimeoutMs === -1) return 'RebalanceTimeoutMs must be provided in first request.'
  if (request.topicPartitions === null || request.topicPartitions.length > 0)
    return 'TopicPartitions must be empty when (re-)joining.'
  if (request.subscribedTopicNames === null && request.subscribedTopicRegex === null)
    return 'Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.'
  return null
}
