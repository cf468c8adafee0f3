import { api, array, bool, int16, int32, int8, nullable, or, since, string, struct, uuid } from '../codec/shape.ts'

const assignment = struct({
  topicPartitions: array(struct({ topicId: uuid, topicName: string, partitions: array(int32) })),
})

export const consumerGroupDescribeApi = api({
  key: 69,
  name: 'ConsumerGroupDescribe',
  versions: [0, 1],
  flexible: 0,
  request: struct({ groupIds: array(string), includeAuthorizedOperations: bool }),
  response: struct({
    throttleTimeMs: or(0, int32),
    groups: array(
      struct({
        errorCode: int16,
        errorMessage: or(null, nullable(string)),
        groupId: string,
        groupState: string,
        groupEpoch: int32,
        assignmentEpoch: int32,
        assignorName: string,
        members: array(
          struct({
            memberId: string,
            instanceId: or(null, nullable(string)),
            rackId: or(null, nullable(string)),
            memberEpoch: int32,
            clientId: string,
            clientHost: string,
            subscribedTopicNames: array(string),
            subscribedTopicRegex: or(null, nullable(string)),
            assignment,
            targetAssignment: assignment,
            memberType: since(1, or(-1, int8)),
          }),
        ),
        authorizedOperations: or(-2147483648, int32),
      }),
    ),
  }),
})
