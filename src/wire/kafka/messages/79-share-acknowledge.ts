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
  since,
  string,
  struct,
  uuid,
} from '../codec/shape.ts'

export const shareAcknowledgeApi = api({
  key: 79,
  name: 'ShareAcknowledge',
  versions: [1, 2],
  flexible: 0,
  request: struct({
    groupId: or(null, nullable(string)),
    memberId: or('', nullable(string)),
    shareSessionEpoch: int32,
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
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    errorMessage: or(null, nullable(string)),
    acquisitionLockTimeoutMs: since(2, or(0, int32)),
    responses: array(
      struct({
        topicId: uuid,
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: int16,
            errorMessage: or(null, nullable(string)),
            currentLeader: struct({ leaderId: int32, leaderEpoch: int32 }),
          }),
        ),
      }),
    ),
    nodeEndpoints: array(struct({ nodeId: int32, host: string, port: int32, rack: or(null, nullable(string)) })),
  }),
})
