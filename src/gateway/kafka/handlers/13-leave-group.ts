import { Fault } from '../../../lib/fault.ts'
import { attempt, code, groupErrorCode, handler } from '../handler.ts'
import { leaveGroupApi } from '../../../wire/kafka/messages/13-leave-group.ts'

const firstVersionOfSeveral = 3

/** Up to version 2 one member leaves, and its error is that of the answer. */
export const leaveGroup = handler({
  api: leaveGroupApi,
  versions: [0, 5],
  access: { needs: ['read group'] },
  async handle(request, exchange) {
    if (!exchange.access.may('read', 'group', request.groupId))
      return { errorCode: code.groupAuthorizationFailed, members: [] }
    const several = exchange.version >= firstVersionOfSeveral
    const members = several ? request.members : [{ memberId: request.memberId, groupInstanceId: null, reason: null }]
    const faults = await attempt(exchange, () =>
      exchange.broker.coordinator.leave(
        request.groupId,
        members.map(({ memberId, groupInstanceId, reason }) => ({ memberId, instanceId: groupInstanceId, reason })),
      ),
    )
    if (faults instanceof Fault) return { errorCode: groupErrorCode(faults), members: [] }
    return {
      errorCode: several ? code.none : groupErrorCode(faults[0] ?? null),
      members: members.map(({ memberId, groupInstanceId }, i) => ({
        memberId,
        groupInstanceId,
        errorCode: groupErrorCode(faults[i] ?? null),
      })),
    }
  },
})
