import { Fault } from '../../../lib/fault.ts'
import { attempt, code, errorCode, handler } from '../handler.ts'
import { listGroupsApi } from '../../../wire/kafka/messages/16-list-groups.ts'

const groupType = 'classic'

export const listGroups = handler({
  api: listGroupsApi,
  versions: [0, 5],
  async handle(request, exchange) {
    const states = new Set(request.statesFilter.map((state) => state.toLowerCase()))
    const types = new Set(request.typesFilter.map((type) => type.toLowerCase()))
    const groups = await attempt(exchange, () => exchange.broker.coordinator.list())
    if (groups instanceof Fault) return { errorCode: errorCode(groups), groups: [] }
    return {
      errorCode: code.none,
      groups: groups
        .filter(({ state }) => states.size === 0 || states.has(state.toLowerCase()))
        .filter(() => types.size === 0 || types.has(groupType))
        .map(({ group, protocolType, state }) => ({ groupId: group, protocolType, groupState: state, groupType })),
    }
  },
})
