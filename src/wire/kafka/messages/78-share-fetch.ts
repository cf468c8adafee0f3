import {
  api,
  array,
  bool,
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
  uuid,
} from '../codec/shape.ts'

export const shareFetchApi = api({
  key: 78,
  name: 'ShareFetch',
  versions: [1, 2],
  flexible: 0,
  request: struct({
    groupId: or(null, nullable(string)),
    memberId: or('', nullable(string)),
    shareSessionEpoch: int32,
    maxWaitMs: int32,
    minBytes: int32,
    maxBytes: or(2147483647, int32),
    maxRecords: int32,
    batchSize: int32,
    shareAcquireMode: since(2, int8),
    isRenewAck: since(2, bool),
    topics: array(
      struct({
        topicId: uuid,
        partitions: array(
          struct({
            partitionIndex: int32,
            acknowledgementBatches: array(
              struct({ firstOffset: int64, lastOffset: int64, acknowledgeTypes: array(int8) }),
            ),
          }),
        ),
      }),
    ),
    forgottenTopicsData: array(struct({ topicId: uuid, partitions: array(int32) })),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    errorMessage: or(null, nullable(string)),
    acquisitionLockTimeoutMs: int32,
    responses: array(
      struct({
        topicId: uuid,
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: int16,
            errorMessage: or(null, nullable(string)),
            acknowledgeErrorCode: int16,
            acknowledgeErrorMessage: or(null, nullable(string)),
            currentLeader: struct({ leaderId: int32, leaderEpoch: int32 }),
            records,
            acquiredRecords: array(struct({ firstOffset: int64, lastOffset: int64, deliveryCount: int16 })),
          }),
        ),
      }),
    ),
    nodeEndpoints: array(struct({ nodeId: int32, host: string, port: int32, rack: or(null, nullable(string)) })),
  }),
})
