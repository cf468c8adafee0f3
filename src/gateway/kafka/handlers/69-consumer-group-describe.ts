import { consumerGroupDescribeApi } from '../../../wire/kafka/messages/69-consumer-group-describe.ts'
import { assignmentOf, describeGroups, memberOf } from '../group-description.ts'
import { handler } from '../handler.ts'

const memberType = { classic: 0, consumer: 1 } as const

/** A classic group is not found here: clients then ask DescribeGroups. */
export const consumerGroupDescribe = handler({
  api: consumerGroupDescribeApi,
  versions: [0, 1],
  access: { needs: ['describe group', 'describe topic'] },
  handle: (request, exchange) =>
    describeGroups(request, exchange, {
      name: 'consumer',
      describe: (group) => exchange.broker.coordinator.describeConsumer(group),
      member: (member) => ({
        ...memberOf(member),
        instanceId: member.instanceId,
        subscribedTopicRegex: member.pattern,
        targetAssignment: assignmentOf(member.target),
        memberType: member.isClassic ? memberType.classic : memberType.consumer,
      }),
    }),
})
