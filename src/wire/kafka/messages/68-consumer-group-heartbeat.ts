import { api, array, int16, int32, nullable, or, since, string, struct, uuid } from '../codec/shape.ts'

const topicPartitions = array(struct({ topicId: uuid, partitions: array(int32) }))

export const consumerGroupHeartbeatApi = api({
  key: 68,
  name: 'ConsumerGroupHeartbeat',
  versions: [0, 1],
  flexible: 0,
  request: struct({
    groupId: string,
    memberId: string,
    memberEpoch: int32,
    instanceId: or(null, nullable(string)),
    rackId: or(null, nullable(string)),
    rebalanceTimeoutMs: or(-1, int32),
    subscribedTopicNames: or(null, nullable(array(string))),
    subscribedTopicRegex: since(1, or(null, nullable(string, 1))),
    serverAssignor: or(null, nullable(string)),
    topicPartitions: or(null, nullable(topicPartitions)),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    errorMessage: or(null, nullable(string)),
    memberId: or(null, nullable(string)),
    memberEpoch: int32,
    heartbeatIntervalMs: int32,
    assignment: or(null, nullable(struct({ topicPartitions }))),
  }),
})
