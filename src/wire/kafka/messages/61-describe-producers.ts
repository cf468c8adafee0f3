import { api, array, int16, int32, int64, nullable, or, string, struct } from '../codec/shape.ts'

export const describeProducersApi = api({
  key: 61,
  name: 'DescribeProducers',
  versions: [0, 0],
  flexible: 0,
  request: struct({ topics: array(struct({ name: string, partitionIndexes: array(int32) })) }),
  response: struct({
    throttleTimeMs: or(0, int32),
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: int16,
            errorMessage: or(null, nullable(string)),
            activeProducers: array(
              struct({
                producerId: int64,
                producerEpoch: int32,
                lastSequence: or(-1, int32),
                lastTimestamp: or(-1, int64),
                coordinatorEpoch: int32,
                currentTxnStartOffset: or(-1, int64),
              }),
            ),
          }),
        ),
      }),
    ),
  }),
})
