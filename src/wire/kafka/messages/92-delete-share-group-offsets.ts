import { api, array, int16, int32, nullable, or, string, struct, uuid } from '../codec/shape.ts'

export const deleteShareGroupOffsetsApi = api({
  key: 92,
  name: 'DeleteShareGroupOffsets',
  versions: [0, 0],
  flexible: 0,
  request: struct({ groupId: string, topics: array(struct({ topicName: string })) }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    errorMessage: or(null, nullable(string)),
    responses: array(
      struct({ topicName: string, topicId: uuid, errorCode: int16, errorMessage: or(null, nullable(string)) }),
    ),
  }),
})
