import { attempt, code, groupErrorCode, handler } from '../handler.ts'
import { heartbeatApi } from '../../../wire/kafka/messages/12-heartbeat.ts'

export const heartbeat = handler({
  api: heartbeatApi,
  versions: [0, 4],
  access: { needs: ['read group'] },
  async handle(request, exchange) {
    if (!exchange.access.may('read', 'group', request.groupId)) return { errorCode: code.groupAuthorizationFailed }
    const fault = await attempt(exchange, () =>
      exchange.broker.coordinator.heartbeat({
        group: request.groupId,
        generation: request.generationId,
        memberId: request.memberId,
        instanceId: request.groupInstanceId,
      }),
    )
    return { errorCode: groupErrorCode(fault) }
  },
})
