import { Fault } from '../../../lib/fault.ts'
import type { DescribedConsumerGroup } from '../../../log/broker.ts'
import type { Encoded } from '../../../wire/kafka/codec/shape.ts'
import { shareGroupDescribeApi } from '../../../wire/kafka/messages/77-share-group-describe.ts'
import { attempt, code, errorMessage, groupErrorCode, handler, operationsUnknown } from '../handler.ts'

type Group = Encoded<typeof shareGroupDescribeApi.response>['groups'][number]

export const shareGroupDescribe = handler({
  api: shareGroupDescribeApi,
  versions: [1, 1],
  access: { needs: ['describe group', 'describe topic'] },
  async handle(request, exchange) {
    const operations = (group: string): number =>
      request.includeAuthorizedOperations ? exchange.access.operations('group', group) : operationsUnknown
    const groups = request.groupIds.map(async (groupId): Promise<Group> => {
      if (!exchange.access.may('describe', 'group', groupId))
        return absent(groupId, code.groupAuthorizationFailed, 'Group authorization failed.')
      if (groupId === '') return absent(groupId, code.invalidGroupId, null)
      const group = await attempt(exchange, () => exchange.broker.coordinator.describeShare(groupId))
      if (group instanceof Fault) return absent(groupId, groupErrorCode(group), errorMessage(group))
      if (group === null) return absent(groupId, code.groupIdNotFound, `Group ${groupId} is not a share group.`)
      const topics = group.members.flatMap((member) => [...member.topics, ...member.assigned.map(({ topic }) => topic)])
      if (!topics.every((topic) => exchange.access.may('describe', 'topic', topic)))
        return absent(
          groupId,
          code.topicAuthorizationFailed,
          'The group uses topics that the client is not authorized to describe.',
        )
      return described(group, operations(groupId))
    })
    return { groups: await Promise.all(groups) }
  },
})

const absent = (groupId: string, errorCode: number, message: string | null): Group => ({
  errorCode,
  errorMessage: message,
  groupId,
  groupState: '',
  groupEpoch: 0,
  assignmentEpoch: 0,
  assignorName: '',
  members: [],
})
const described = (group: DescribedConsumerGroup, authorizedOperations: number): Group => ({
  errorCode: code.none,
  groupId: group.group,
  groupState: group.state,
  groupEpoch: group.epoch,
  assignmentEpoch: group.assignmentEpoch,
  assignorName: group.assignor,
  members: group.members.map((member) => ({
    memberId: member.id,
    rackId: member.rackId,
    memberEpoch: member.epoch,
    clientId: member.clientId,
    clientHost: member.host,
    subscribedTopicNames: member.topics,
    assignment: {
      topicPartitions: member.assigned.map(({ topicId, topic, partitions }) => ({
        topicId,
        topicName: topic,
        partitions,
      })),
    },
  })),
  authorizedOperations,
})
