import { api, array, bool, int16, int32, nullable, or, since, string, struct, until, uuid } from '../codec/shape.ts'

export const metadataApi = api({
  key: 3,
  name: 'Metadata',
  versions: [0, 13],
  flexible: 9,
  request: struct({
    topics: nullable(array(struct({ topicId: since(10, uuid), name: nullable(string, 10) })), 1),
    allowAutoTopicCreation: since(4, or(true, bool)),
    includeClusterAuthorizedOperations: since(8, until(10, bool)),
    includeTopicAuthorizedOperations: since(8, bool),
  }),
  response: struct({
    throttleTimeMs: since(3, or(0, int32)),
    brokers: array(struct({ nodeId: int32, host: string, port: int32, rack: since(1, or(null, nullable(string))) })),
    clusterId: since(2, or(null, nullable(string))),
    controllerId: since(1, or(-1, int32)),
    topics: array(
      struct({
        errorCode: int16,
        name: nullable(string, 12),
        topicId: since(10, uuid),
        isInternal: since(1, bool),
        partitions: array(
          struct({
            errorCode: int16,
            partitionIndex: int32,
            leaderId: int32,
            leaderEpoch: since(7, or(-1, int32)),
            replicaNodes: array(int32),
            isrNodes: array(int32),
            offlineReplicas: since(5, array(int32)),
          }),
        ),
        topicAuthorizedOperations: since(8, or(-2147483648, int32)),
      }),
    ),
    errorCode: since(13, int16),
    clusterAuthorizedOperations: since(8, until(10, or(-2147483648, int32))),
  }),
})
