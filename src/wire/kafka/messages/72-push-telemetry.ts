import { api, bool, bytes, int16, int32, int8, or, struct, uuid } from '../codec/shape.ts'

export const pushTelemetryApi = api({
  key: 72,
  name: 'PushTelemetry',
  versions: [0, 0],
  flexible: 0,
  request: struct({
    clientInstanceId: uuid,
    subscriptionId: int32,
    terminating: bool,
    compressionType: int8,
    metrics: bytes,
  }),
  response: struct({ throttleTimeMs: or(0, int32), errorCode: int16 }),
})
