import { api, array, int16, int32, int64, nullable, or, since, string, struct } from '../codec/shape.ts'

export const listTransactionsApi = api({
  key: 66,
  name: 'ListTransactions',
  versions: [0, 2],
  flexible: 0,
  request: struct({
    stateFilters: array(string),
    producerIdFilters: array(int64),
    durationFilter: since(1, or(-1, int64)),
    transactionalIdPattern: since(2, or(null, nullable(string))),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    unknownStateFilters: array(string),
    transactionStates: array(struct({ transactionalId: string, producerId: int64, transactionState: string })),
  }),
})
