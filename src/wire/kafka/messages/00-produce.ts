import {
  api,
  array,
  int16,
  int32,
  int64,
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

export const produceApi = api({
  key: 0,
  name: 'Produce',
  versions: [3, 13],
  flexible: 9,
  request: struct({
    transactionalId: or(null, nullable(string)),
    acks: int16,
    timeoutMs: int32,
    topicData: array(
      struct({
        topicId: since(13, uuid),
        name: until(12, string),
        partitionData: array(struct({ index: int32, records: nullable(records) })),
      }),
    ),
  }),
  response: struct({
    responses: array(
      struct({
        topicId: since(13, uuid),
        name: until(12, string),
        partitionResponses: array(
          struct({
            index: int32,
            errorCode: int16,
            baseOffset: int64,
            logAppendTimeMs: or(-1, int64),
            logStartOffset: since(5, or(-1, int64)),
            recordErrors: since(
              8,
              array(struct({ batchIndex: int32, batchIndexErrorMessage: or(null, nullable(string)) })),
            ),
            errorMessage: since(8, or(null, nullable(string))),
            currentLeader: since(10, tagged(0, struct({ leaderId: or(-1, int32), leaderEpoch: or(-1, int32) }))),
          }),
        ),
      }),
    ),
    throttleTimeMs: or(0, int32),
    nodeEndpoints: since(
      10,
      tagged(0, array(struct({ nodeId: int32, host: string, port: int32, rack: or(null, nullable(string)) }))),
    ),
  }),
})
