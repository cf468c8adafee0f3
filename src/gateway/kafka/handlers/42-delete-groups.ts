import { Fault } from '../../../lib/fault.ts'
import { attempt, errorCode, handler } from '../handler.ts'
import { deleteGroupsApi } from '../../../wire/kafka/messages/42-delete-groups.ts'

export const deleteGroups = handler({
  api: deleteGroupsApi,
  versions: [0, 2],
  async handle(request, exchange) {
    const groups = request.groupsNames
    const faults = await attempt(exchange, () => exchange.broker.coordinator.remove(groups))
    return {
      results: groups.map((groupId, i) => ({
        groupId,
        errorCode: errorCode(faults instanceof Fault ? faults : (faults[i] ?? null)),
      })),
    }
  },
})
