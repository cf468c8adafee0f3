import { Fault } from '../../../lib/fault.ts'
import type { DescribedGroup } from '../../../log/broker.ts'
import type { Encoded } from '../../../wire/kafka/codec/shape.ts'
import { attempt, code, groupErrorCode, errorMessage, handler, operationsUnknown } from '../handler.ts'
import { describeGroupsApi } from '../../../wire/kafka/messages/15-describe-groups.ts'

type Group = Encoded<typeof describeGroupsApi.response>['groups'][number]

const firstVersionOfNotFound = 6

/** A group that is not there is Dead, and from version 6 on also an error. */
export const describeGroups = handler({
  api: describeGroupsApi,
  versions: [0, 6],
  access: { needs: ['describe group'] },
  async handle(request, exchange) {
    const operations = (group: string): number =>
      request.includeAuthorizedOperations ? exchange.access.operations('group', group) : operationsUnknown
    const groups = await exchange.turns.map(request.groups, async (groupId): Promise<Group> => {
      if (!exchange.access.may('describe', 'group', groupId))
        return absent(groupId, code.groupAuthorizationFailed, null)
      const group = await attempt(exchange, () => exchange.broker.coordinator.describe(groupId))
      if (group instanceof Fault) return absent(groupId, groupErrorCode(group), errorMessage(group))
      if (group !== null) return describe(group, operations(groupId))
      return exchange.version >= firstVersionOfNotFound
        ? absent(groupId, code.groupIdNotFound, `Group ${groupId} not found.`)
        : { ...absent(groupId, code.none, null), authorizedOperations: operations(groupId) }
    })
    return { groups }
  },
})

const absent = (groupId: string, error: number, message: string | null): Group => ({
  errorCode: error,
  errorMessage: message,
  groupId,
  groupState: error === code.none || error === code.groupIdNotFound ? 'Dead' : '',
  protocolType: '',
  protocolData: '',
  members: [],
})

const describe = (group: DescribedGroup, authorizedOperations: number): Group => ({
  errorCode: code.none,
  groupId: group.group,
  groupState: group.state,
  protocolType: group.protocolType,
  protocolData: group.protocol,
  members: group.members.map((member) => ({
    memberId: member.id,
    groupInstanceId: member.instanceId,
    clientId: member.clientId,
    clientHost: member.host,
    memberMetadata: member.metadata,
    memberAssignment: member.assignment,
  })),
  authorizedOperations,
})
