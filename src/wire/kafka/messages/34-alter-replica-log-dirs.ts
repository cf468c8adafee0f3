import { api, array, int16, int32, or, string, struct } from '../codec/shape.ts'

export const alterReplicaLogDirsApi = api({
  key: 34,
  name: 'AlterReplicaLogDirs',
  versions: [1, 2],
  flexible: 2,
  request: struct({
    dirs: array(struct({ path: string, topics: array(struct({ name: string, partitions: array(int32) })) })),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    results: array(
      struct({ topicName: string, partitions: array(struct({ partitionIndex: int32, errorCode: int16 })) }),
    ),
  }),
})
