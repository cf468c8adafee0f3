import { api, array, int16, int32, int64, or, since, string, struct } from '../codec/shape.ts'

export const offsetForLeaderEpochApi = api({
  key: 23,
  name: 'OffsetForLeaderEpoch',
  versions: [2, 4],
  flexible: 4,
  request: struct({
    replicaId: since(3, or(-2, int32)),
    topics: array(
      struct({
        topic: string,
        partitions: array(struct({ partition: int32, currentLeaderEpoch: or(-1, int32), leaderEpoch: int32 })),
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    topics: array(
      struct({
        topic: string,
        partitions: array(
          struct({ errorCode: int16, partition: int32, leaderEpoch: or(-1, int32), endOffset: or(-1, int64) }),
        ),
      }),
    ),
  }),
})
