/** What ConsumerGroupDescribe and ShareGroupDescribe have in common: all but what a member is. */
import { Fault } from '../../lib/fault.ts'
import type { DescribedConsumerGroup, NamedIndexes } from '../../log/broker.ts'
import { type Exchange, attempt, code, errorMessage, groupErrorCode, operationsUnknown } from './handler.ts'

type Member = DescribedConsumerGroup['members'][number]
interface Request {
  readonly groupIds: readonly string[]
  readonly includeAuthorizedOperations: boolean
}
interface Kind<M> {
  readonly name: 'consumer' | 'share'
  /** null: the group is of another kind, or not there. */
  describe(group: string): Promise<DescribedConsumerGroup | null> | DescribedConsumerGroup | null
  member(member: Member): M
}

export async function describeGroups<M>(
  { groupIds, includeAuthorizedOperations }: Request,
  exchange: Exchange,
  kind: Kind<M>,
) {
  const { access } = exchange
  /** Asked for once in a request, and only where a group is missed. */
  let known: Promise<ReadonlySet<string>> | null = null
  const groups = await exchange.turns.map(groupIds, async (groupId) => {
    if (!access.may('describe', 'group', groupId))
      return absent(groupId, code.groupAuthorizationFailed, 'Group authorization failed.')
    if (groupId === '') return absent(groupId, code.invalidGroupId, null)
    const group = await attempt(exchange, () => kind.describe(groupId))
    if (group instanceof Fault) return absent(groupId, groupErrorCode(group), errorMessage(group))
    if (group === null) {
      known ??= exchange.broker.coordinator.list().then((list) => new Set(list.map(({ group: name }) => name)))
      const why = (await known).has(groupId) ? `is not a ${kind.name} group` : 'not found'
      return absent(groupId, code.groupIdNotFound, `Group ${groupId} ${why}.`)
    }
    if (!group.members.flatMap(topicsOf).every((topic) => access.may('describe', 'topic', topic)))
      return absent(
        groupId,
        code.topicAuthorizationFailed,
        'The group uses topics that the client is not authorized to describe.',
      )
    return {
      errorCode: code.none,
      groupId,
      groupState: group.state,
      groupEpoch: group.epoch,
      assignmentEpoch: group.assignmentEpoch,
      assignorName: group.assignor,
      members: group.members.map((member) => kind.member(member)),
      authorizedOperations: includeAuthorizedOperations ? access.operations('group', groupId) : operationsUnknown,
    }
  })
  return { groups }
}
const topicsOf = ({ topics, assigned, target }: Member): string[] => [
  ...topics,
  ...[...assigned, ...target].map(({ topic }) => topic),
]
const absent = (groupId: string, errorCode: number, message: string | null) => ({
  errorCode,
  errorMessage: message,
  groupId,
  groupState: '',
  groupEpoch: 0,
  assignmentEpoch: 0,
  assignorName: '',
  members: [],
})

/** What both say of a member. */
export const memberOf = (member: Member) => ({
  memberId: member.id,
  rackId: member.rackId,
  memberEpoch: member.epoch,
  clientId: member.clientId,
  clientHost: member.host,
  subscribedTopicNames: member.topics,
  assignment: assignmentOf(member.assigned),
})
export const assignmentOf = (of: readonly NamedIndexes[]) => ({
  topicPartitions: of.map(({ topicId, topic, partitions }) => ({ topicId, topicName: topic, partitions })),
})
