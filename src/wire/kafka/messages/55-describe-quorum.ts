import { api, array, int16, int32, int64, nullable, or, since, string, struct, uint16, uuid } from '../codec/shape.ts'

const replica = struct({
  replicaId: int32,
  replicaDirectoryId: since(2, uuid),
  logEndOffset: int64,
  lastFetchTimestamp: since(1, or(-1, int64)),
  lastCaughtUpTimestamp: since(1, or(-1, int64)),
})

export const describeQuorumApi = api({
  key: 55,
  name: 'DescribeQuorum',
  versions: [0, 2],
  flexible: 0,
  request: struct({
    topics: array(struct({ topicName: string, partitions: array(struct({ partitionIndex: int32 })) })),
  }),
  response: struct({
    errorCode: int16,
    errorMessage: since(2, or('', nullable(string))),
    topics: array(
      struct({
        topicName: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: int16,
            errorMessage: since(2, or('', nullable(string))),
            leaderId: int32,
            leaderEpoch: int32,
            highWatermark: int64,
            currentVoters: array(replica),
            observers: array(replica),
          }),
        ),
      }),
    ),
    nodes: since(
      2,
      array(struct({ nodeId: int32, listeners: array(struct({ name: string, host: string, port: uint16 })) })),
    ),
  }),
})
