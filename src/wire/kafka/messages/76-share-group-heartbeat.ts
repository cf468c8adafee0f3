import { api, array, int16, int32, nullable, or, string, struct, uuid } from '../codec/shape.ts'

export const shareGroupHeartbeatApi = api({
  key: 76,
  name: 'ShareGroupHeartbeat',
  versions: [1, 1],
  flexible: 0,
  request: struct({
    groupId: string,
    memberId: string,
    memberEpoch: int32,
    rackId: or(null, nullable(string)),
    subscribedTopicNames: or(null, nullable(array(string))),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    errorMessage: or(null, nullable(string)),
    memberId: or(null, nullable(string)),
    memberEpoch: int32,
    heartbeatIntervalMs: int32,
    assignment: or(
      null,
      nullable(struct({ topicPartitions: array(struct({ topicId: uuid, partitions: array(int32) })) })),
    ),
  }),
})
