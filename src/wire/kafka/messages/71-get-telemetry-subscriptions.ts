import { api, array, bool, int16, int32, int8, or, string, struct, uuid } from '../codec/shape.ts'

export const getTelemetrySubscriptionsApi = api({
  key: 71,
  name: 'GetTelemetrySubscriptions',
  versions: [0, 0],
  flexible: 0,
  request: struct({ clientInstanceId: uuid }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    clientInstanceId: uuid,
    subscriptionId: int32,
    acceptedCompressionTypes: array(int8),
    pushIntervalMs: int32,
    telemetryMaxBytes: int32,
    deltaTemporality: bool,
    requestedMetrics: array(string),
  }),
})
