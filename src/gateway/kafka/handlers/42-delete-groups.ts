import { Fault } from '../../../lib/fault.ts'
import { attempt, code, groupErrorCode, handler, keptGroup } from '../handler.ts'
import { deleteGroupsApi } from '../../../wire/kafka/messages/42-delete-groups.ts'

/** They share a write. */
const removedAtOnce = 100

export const deleteGroups = handler({
  api: deleteGroupsApi,
  versions: [0, 2],
  access: { needs: ['delete group'] },
  async handle(request, exchange) {
    const groups = request.groupsNames
    const allowed = new Set(groups.filter((group) => exchange.access.may('delete', 'group', group)))
    const free = groups.filter((group) => allowed.has(group) && keptGroup(group) === null)
    const faults = await attempt(exchange, () =>
      exchange.turns.inPieces(free, removedAtOnce, (some) => exchange.broker.coordinator.remove(some)),
    )
    let next = 0
    return {
      results: groups.map((groupId) => ({
        groupId,
        errorCode: !allowed.has(groupId)
          ? code.groupAuthorizationFailed
          : groupErrorCode(keptGroup(groupId) ?? (faults instanceof Fault ? faults : (faults[next++] ?? null))),
      })),
    }
  },
})
