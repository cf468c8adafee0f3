import { api, array, int16, int32, int64, or, string, struct } from '../codec/shape.ts'

export const describeTransactionsApi = api({
  key: 65,
  name: 'DescribeTransactions',
  versions: [0, 0],
  flexible: 0,
  request: struct({ transactionalIds: array(string) }),
  response: struct({
    throttleTimeMs: or(0, int32),
    transactionStates: array(
      struct({
        errorCode: int16,
        transactionalId: string,
        transactionState: string,
        transactionTimeoutMs: int32,
        transactionStartTimeMs: int64,
        producerId: int64,
        producerEpoch: int16,
        topics: array(struct({ topic: string, partitions: array(int32) })),
      }),
    ),
  }),
})
