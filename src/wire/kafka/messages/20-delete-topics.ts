import { api, array, int16, int32, nullable, or, since, string, struct, until, uuid } from '../codec/shape.ts'

export const deleteTopicsApi = api({
  key: 20,
  name: 'DeleteTopics',
  versions: [1, 6],
  flexible: 4,
  request: struct({
    topics: since(6, array(struct({ name: or(null, nullable(string)), topicId: uuid }))),
    topicNames: until(5, array(string)),
    timeoutMs: int32,
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    responses: array(
      struct({
        name: nullable(string, 6),
        topicId: since(6, uuid),
        errorCode: int16,
        errorMessage: since(5, or(null, nullable(string))),
      }),
    ),
  }),
})
