import { Fault } from '../../../lib/fault.ts'
import { attempt, code, groupErrorCode, handler } from '../handler.ts'
import { listGroupsApi } from '../../../wire/kafka/messages/16-list-groups.ts'

/** As Kafka writes it, which its tools compare with. */
const groupType = { classic: 'classic', consumer: 'consumer', share: 'share' } as const

export const listGroups = handler({
  api: listGroupsApi,
  versions: [0, 5],
  access: { needs: [], shows: ['describe cluster', 'describe group'], open: 'it lists what the client may see' },
  async handle(request, exchange) {
    const states = new Set(request.statesFilter.map((state) => state.trim().toLowerCase()))
    const types = new Set(request.typesFilter.map((type) => type.trim().toLowerCase()))
    const seesAll = exchange.access.seesCluster('describe')
    const groups = await attempt(exchange, () => exchange.broker.coordinator.list())
    if (groups instanceof Fault) return { errorCode: groupErrorCode(groups), groups: [] }
    return {
      errorCode: code.none,
      groups: groups
        .filter(({ group }) => seesAll || exchange.access.sees('describe', 'group', group))
        .filter(({ state }) => states.size === 0 || states.has(state.toLowerCase()))
        .filter(({ type }) => types.size === 0 || types.has(type))
        .map(({ group, protocolType, state, type }) => ({
          groupId: group,
          protocolType,
          groupState: state,
          groupType: groupType[type],
        })),
    }
  },
})
