import { api, array, int16, int32, nullable, or, string, struct } from '../codec/shape.ts'

export const listPartitionReassignmentsApi = api({
  key: 46,
  name: 'ListPartitionReassignments',
  versions: [0, 0],
  flexible: 0,
  request: struct({
    timeoutMs: or(60_000, int32),
    topics: or(null, nullable(array(struct({ name: string, partitionIndexes: array(int32) })))),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    errorMessage: or('', nullable(string)),
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            replicas: array(int32),
            addingReplicas: array(int32),
            removingReplicas: array(int32),
          }),
        ),
      }),
    ),
  }),
})
