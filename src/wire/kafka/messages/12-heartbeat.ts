import { api, int16, int32, nullable, or, since, string, struct } from '../codec/shape.ts'

export const heartbeatApi = api({
  key: 12,
  name: 'Heartbeat',
  versions: [0, 4],
  flexible: 4,
  request: struct({
    groupId: string,
    generationId: int32,
    memberId: string,
    groupInstanceId: since(3, or(null, nullable(string))),
  }),
  response: struct({ throttleTimeMs: since(1, or(0, int32)), errorCode: int16 }),
})
