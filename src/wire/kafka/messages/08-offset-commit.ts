import { api, array, int16, int32, int64, nullable, or, since, string, struct, until, uuid } from '../codec/shape.ts'

export const offsetCommitApi = api({
  key: 8,
  name: 'OffsetCommit',
  versions: [2, 10],
  flexible: 8,
  request: struct({
    groupId: string,
    generationIdOrMemberEpoch: or(-1, int32),
    memberId: string,
    groupInstanceId: since(7, or(null, nullable(string))),
    retentionTimeMs: until(4, or(-1, int64)),
    topics: array(
      struct({
        topicId: since(10, uuid),
        name: until(9, string),
        partitions: array(
          struct({
            partitionIndex: int32,
            committedOffset: int64,
            committedLeaderEpoch: since(6, or(-1, int32)),
            committedMetadata: nullable(string),
          }),
        ),
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: since(3, or(0, int32)),
    topics: array(
      struct({
        topicId: since(10, uuid),
        name: until(9, string),
        partitions: array(struct({ partitionIndex: int32, errorCode: int16 })),
      }),
    ),
  }),
})
