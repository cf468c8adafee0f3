import { api, bool, int16, int32, int64, nullable, or, since, string, struct } from '../codec/shape.ts'

export const initProducerIdApi = api({
  key: 22,
  name: 'InitProducerId',
  versions: [0, 6],
  flexible: 2,
  request: struct({
    transactionalId: nullable(string),
    transactionTimeoutMs: int32,
    producerId: since(3, or(-1, int64)),
    producerEpoch: since(3, or(-1, int16)),
    enable2Pc: since(6, bool),
    keepPreparedTxn: since(6, bool),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    producerId: or(-1, int64),
    producerEpoch: int16,
    ongoingTxnProducerId: since(6, or(-1, int64)),
    ongoingTxnProducerEpoch: since(6, or(-1, int16)),
  }),
})
