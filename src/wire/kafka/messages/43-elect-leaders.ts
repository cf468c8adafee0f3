import { api, array, int16, int32, int8, nullable, or, since, string, struct } from '../codec/shape.ts'

export const electLeadersApi = api({
  key: 43,
  name: 'ElectLeaders',
  versions: [0, 2],
  flexible: 2,
  request: struct({
    electionType: since(1, or(0, int8)),
    topicPartitions: nullable(array(struct({ topic: string, partitions: array(int32) }))),
    timeoutMs: or(60_000, int32),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: since(1, or(0, int16)),
    replicaElectionResults: array(
      struct({
        topic: string,
        partitionResult: array(struct({ partitionId: int32, errorCode: int16, errorMessage: nullable(string) })),
      }),
    ),
  }),
})
