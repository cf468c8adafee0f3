import { Fault } from '../../../lib/fault.ts'
import { attempt, code, groupErrorCode, handler, keptGroup } from '../handler.ts'
import { joinGroupApi } from '../../../wire/kafka/messages/11-join-group.ts'

const firstVersionOfMemberId = 4
const firstVersionOfNullProtocol = 7
const firstVersionOfSkipping = 9

export const joinGroup = handler({
  api: joinGroupApi,
  versions: [0, 9],
  access: { needs: ['read group'] },
  async handle(request, exchange) {
    const failed = (errorCode: number, memberId: string) => ({
      errorCode,
      generationId: -1,
      protocolType: null,
      protocolName: exchange.version >= firstVersionOfNullProtocol ? null : '',
      leader: '',
      skipAssignment: false,
      memberId,
      members: [],
    })
    if (!exchange.access.may('read', 'group', request.groupId))
      return failed(code.groupAuthorizationFailed, request.memberId)
    const kept = keptGroup(request.groupId)
    const joined =
      kept ??
      (await attempt(exchange, () =>
        exchange.broker.coordinator.join({
          group: request.groupId,
          memberId: request.memberId,
          instanceId: request.groupInstanceId,
          clientId: exchange.clientId,
          host: exchange.clientHost,
          protocolType: request.protocolType,
          protocols: request.protocols,
          sessionTimeoutMs: request.sessionTimeoutMs,
          rebalanceTimeoutMs: request.rebalanceTimeoutMs < 0 ? request.sessionTimeoutMs : request.rebalanceTimeoutMs,
          memberIdRequired: exchange.version >= firstVersionOfMemberId,
          skipsAssignment: exchange.version >= firstVersionOfSkipping,
        }),
      ))
    const failure = joined instanceof Fault ? { fault: joined, memberId: request.memberId } : joined
    if ('fault' in failure) return failed(groupErrorCode(failure.fault), failure.memberId)
    return {
      errorCode: code.none,
      generationId: failure.generation,
      protocolType: failure.protocolType,
      protocolName: failure.protocol,
      leader: failure.leader,
      skipAssignment: failure.skipAssignment,
      memberId: failure.memberId,
      members: failure.members.map(({ id, instanceId, metadata }) => ({
        memberId: id,
        groupInstanceId: instanceId,
        metadata,
      })),
    }
  },
})
