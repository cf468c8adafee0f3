import { api, array, int16, int32, int64, int8, or, since, string, struct } from '../codec/shape.ts'

export const listOffsetsApi = api({
  key: 2,
  name: 'ListOffsets',
  versions: [1, 11],
  flexible: 6,
  request: struct({
    replicaId: int32,
    isolationLevel: since(2, int8),
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({ partitionIndex: int32, currentLeaderEpoch: since(4, or(-1, int32)), timestamp: int64 }),
        ),
      }),
    ),
    timeoutMs: since(10, int32),
  }),
  response: struct({
    throttleTimeMs: since(2, or(0, int32)),
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: int16,
            timestamp: or(-1, int64),
            offset: or(-1, int64),
            leaderEpoch: since(4, or(-1, int32)),
          }),
        ),
      }),
    ),
  }),
})
