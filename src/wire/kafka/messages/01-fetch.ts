import {
  api,
  array,
  int16,
  int32,
  int64,
  int8,
  nullable,
  or,
  records,
  since,
  string,
  struct,
  tagged,
  until,
  uuid,
} from '../codec/shape.ts'

export const fetchApi = api({
  key: 1,
  name: 'Fetch',
  versions: [4, 18],
  flexible: 12,
  request: struct({
    replicaId: until(14, or(-1, int32)),
    maxWaitMs: int32,
    minBytes: int32,
    maxBytes: or(2147483647, int32),
    isolationLevel: int8,
    sessionId: since(7, int32),
    sessionEpoch: since(7, or(-1, int32)),
    topics: array(
      struct({
        topicId: since(13, uuid),
        topic: until(12, string),
        partitions: array(
          struct({
            partition: int32,
            currentLeaderEpoch: since(9, or(-1, int32)),
            fetchOffset: int64,
            lastFetchedEpoch: since(12, or(-1, int32)),
            logStartOffset: since(5, or(-1, int64)),
            partitionMaxBytes: int32,
            replicaDirectoryId: since(17, tagged(0, uuid)),
            highWatermark: since(18, tagged(1, or(Number.MAX_SAFE_INTEGER, int64))),
          }),
        ),
      }),
    ),
    forgottenTopicsData: since(
      7,
      array(struct({ topicId: since(13, uuid), topic: until(12, string), partitions: array(int32) })),
    ),
    rackId: since(11, string),
    clusterId: since(12, tagged(0, or(null, nullable(string)))),
    replicaState: since(15, tagged(1, struct({ replicaId: or(-1, int32), replicaEpoch: or(-1, int64) }))),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: since(7, int16),
    sessionId: since(7, int32),
    responses: array(
      struct({
        topicId: since(13, uuid),
        topic: until(12, string),
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: int16,
            highWatermark: int64,
            lastStableOffset: or(-1, int64),
            logStartOffset: since(5, or(-1, int64)),
            abortedTransactions: nullable(array(struct({ producerId: int64, firstOffset: int64 }))),
            preferredReadReplica: since(11, or(-1, int32)),
            records: nullable(records),
            divergingEpoch: since(12, tagged(0, struct({ epoch: or(-1, int32), endOffset: or(-1, int64) }))),
            currentLeader: since(12, tagged(1, struct({ leaderId: or(-1, int32), leaderEpoch: or(-1, int32) }))),
            snapshotId: since(12, tagged(2, struct({ endOffset: or(-1, int64), epoch: or(-1, int32) }))),
          }),
        ),
      }),
    ),
    nodeEndpoints: since(
      16,
      tagged(0, array(struct({ nodeId: int32, host: string, port: int32, rack: or(null, nullable(string)) }))),
    ),
  }),
})
