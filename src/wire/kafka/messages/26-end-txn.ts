import { api, bool, int16, int32, int64, or, since, string, struct } from '../codec/shape.ts'

export const endTxnApi = api({
  key: 26,
  name: 'EndTxn',
  versions: [0, 5],
  flexible: 3,
  request: struct({ transactionalId: string, producerId: int64, producerEpoch: int16, committed: bool }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    producerId: since(5, or(-1, int64)),
    producerEpoch: since(5, or(-1, int16)),
  }),
})
