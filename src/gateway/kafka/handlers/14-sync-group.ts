import { Fault } from '../../../lib/fault.ts'
import { attempt, code, groupErrorCode, handler } from '../handler.ts'
import { syncGroupApi } from '../../../wire/kafka/messages/14-sync-group.ts'

const nothing = new Uint8Array(0)

export const syncGroup = handler({
  api: syncGroupApi,
  versions: [0, 5],
  access: { needs: ['read group'] },
  async handle(request, exchange) {
    if (!exchange.access.may('read', 'group', request.groupId))
      return {
        errorCode: code.groupAuthorizationFailed,
        protocolType: null,
        protocolName: null,
        assignment: nothing,
      }
    const synced = await attempt(exchange, () =>
      exchange.broker.coordinator.sync({
        group: request.groupId,
        generation: request.generationId,
        memberId: request.memberId,
        instanceId: request.groupInstanceId,
        protocolType: request.protocolType,
        protocol: request.protocolName,
        assignments: request.assignments,
      }),
    )
    const fault = synced instanceof Fault ? synced : 'fault' in synced ? synced.fault : null
    if (synced instanceof Fault || 'fault' in synced)
      return { errorCode: groupErrorCode(fault), protocolType: null, protocolName: null, assignment: nothing }
    return {
      errorCode: code.none,
      protocolType: synced.protocolType,
      protocolName: synced.protocol,
      assignment: synced.assignment,
    }
  },
})
