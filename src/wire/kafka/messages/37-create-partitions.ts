import { api, array, bool, int16, int32, nullable, or, string, struct } from '../codec/shape.ts'

export const createPartitionsApi = api({
  key: 37,
  name: 'CreatePartitions',
  versions: [0, 3],
  flexible: 2,
  request: struct({
    topics: array(
      struct({ name: string, count: int32, assignments: nullable(array(struct({ brokerIds: array(int32) }))) }),
    ),
    timeoutMs: int32,
    validateOnly: bool,
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    results: array(struct({ name: string, errorCode: int16, errorMessage: or(null, nullable(string)) })),
  }),
})
