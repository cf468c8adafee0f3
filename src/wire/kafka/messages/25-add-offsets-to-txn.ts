import { api, int16, int32, int64, or, string, struct } from '../codec/shape.ts'

export const addOffsetsToTxnApi = api({
  key: 25,
  name: 'AddOffsetsToTxn',
  versions: [0, 4],
  flexible: 3,
  request: struct({ transactionalId: string, producerId: int64, producerEpoch: int16, groupId: string }),
  response: struct({ throttleTimeMs: or(0, int32), errorCode: int16 }),
})
