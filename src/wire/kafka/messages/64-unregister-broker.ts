import { api, int16, int32, nullable, or, string, struct } from '../codec/shape.ts'

export const unregisterBrokerApi = api({
  key: 64,
  name: 'UnregisterBroker',
  versions: [0, 0],
  flexible: 0,
  request: struct({ brokerId: int32 }),
  response: struct({ throttleTimeMs: or(0, int32), errorCode: int16, errorMessage: nullable(string) }),
})
