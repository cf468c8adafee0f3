import { api, array, int16, int32, int64, nullable, or, string, struct, uuid } from '../codec/shape.ts'

export const alterShareGroupOffsetsApi = api({
  key: 91,
  name: 'AlterShareGroupOffsets',
  versions: [0, 0],
  flexible: 0,
  request: struct({
    groupId: string,
    topics: array(
      struct({ topicName: string, partitions: array(struct({ partitionIndex: int32, startOffset: int64 })) }),
    ),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    errorMessage: or(null, nullable(string)),
    responses: array(
      struct({
        topicName: string,
        topicId: uuid,
        partitions: array(
          struct({ partitionIndex: int32, errorCode: int16, errorMessage: or(null, nullable(string)) }),
        ),
      }),
    ),
  }),
})
