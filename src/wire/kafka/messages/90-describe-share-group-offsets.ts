import { api, array, int16, int32, int64, nullable, or, since, string, struct, uuid } from '../codec/shape.ts'

export const describeShareGroupOffsetsApi = api({
  key: 90,
  name: 'DescribeShareGroupOffsets',
  versions: [0, 1],
  flexible: 0,
  request: struct({
    groups: array(
      struct({ groupId: string, topics: nullable(array(struct({ topicName: string, partitions: array(int32) }))) }),
    ),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    groups: array(
      struct({
        groupId: string,
        topics: array(
          struct({
            topicName: string,
            topicId: uuid,
            partitions: array(
              struct({
                partitionIndex: int32,
                startOffset: int64,
                leaderEpoch: int32,
                lag: since(1, or(-1, int64)),
                errorCode: int16,
                errorMessage: or(null, nullable(string)),
              }),
            ),
          }),
        ),
        errorCode: int16,
        errorMessage: or(null, nullable(string)),
      }),
    ),
  }),
})
