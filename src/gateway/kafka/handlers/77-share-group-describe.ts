import { shareGroupDescribeApi } from '../../../wire/kafka/messages/77-share-group-describe.ts'
import { describeGroups, memberOf } from '../group-description.ts'
import { handler } from '../handler.ts'

export const shareGroupDescribe = handler({
  api: shareGroupDescribeApi,
  versions: [1, 1],
  access: { needs: ['describe group', 'describe topic'] },
  handle: (request, exchange) =>
    describeGroups(request, exchange, {
      name: 'share',
      describe: (group) => exchange.broker.coordinator.describeShare(group),
      member: memberOf,
    }),
})
