import { api, array, bool, int16, int32, nullable, or, string, struct, uuid } from '../codec/shape.ts'

export const describeTopicPartitionsApi = api({
  key: 75,
  name: 'DescribeTopicPartitions',
  versions: [0, 0],
  flexible: 0,
  request: struct({
    topics: array(struct({ name: string })),
    responsePartitionLimit: or(2000, int32),
    cursor: or(null, nullable(struct({ topicName: string, partitionIndex: int32 }))),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    topics: array(
      struct({
        errorCode: int16,
        name: nullable(string),
        topicId: uuid,
        isInternal: bool,
        partitions: array(
          struct({
            errorCode: int16,
            partitionIndex: int32,
            leaderId: int32,
            leaderEpoch: or(-1, int32),
            replicaNodes: array(int32),
            isrNodes: array(int32),
            eligibleLeaderReplicas: or(null, nullable(array(int32))),
            lastKnownElr: or(null, nullable(array(int32))),
            offlineReplicas: array(int32),
          }),
        ),
        topicAuthorizedOperations: or(-2147483648, int32),
      }),
    ),
    nextCursor: or(null, nullable(struct({ topicName: string, partitionIndex: int32 }))),
  }),
})
