import { api, array, bool, int16, int32, nullable, or, since, string, struct } from '../codec/shape.ts'

export const alterPartitionReassignmentsApi = api({
  key: 45,
  name: 'AlterPartitionReassignments',
  versions: [0, 1],
  flexible: 0,
  request: struct({
    timeoutMs: or(60_000, int32),
    allowReplicationFactorChange: since(1, or(true, bool)),
    topics: array(
      struct({
        name: string,
        partitions: array(struct({ partitionIndex: int32, replicas: or(null, nullable(array(int32))) })),
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    allowReplicationFactorChange: since(1, or(true, bool)),
    errorCode: int16,
    errorMessage: nullable(string),
    responses: array(
      struct({
        name: string,
        partitions: array(struct({ partitionIndex: int32, errorCode: int16, errorMessage: nullable(string) })),
      }),
    ),
  }),
})
