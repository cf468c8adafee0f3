import { api, array, bool, int16, int32, nullable, or, string, struct, uuid } from '../codec/shape.ts'

export const shareGroupDescribeApi = api({
  key: 77,
  name: 'ShareGroupDescribe',
  versions: [1, 1],
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
            rackId: or(null, nullable(string)),
            memberEpoch: int32,
            clientId: string,
            clientHost: string,
            subscribedTopicNames: array(string),
            assignment: struct({
              topicPartitions: array(struct({ topicId: uuid, topicName: string, partitions: array(int32) })),
            }),
          }),
        ),
        authorizedOperations: or(-2_147_483_648, int32),
      }),
    ),
  }),
})
