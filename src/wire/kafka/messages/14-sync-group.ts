import { api, array, bytes, int16, int32, nullable, or, since, string, struct } from '../codec/shape.ts'

export const syncGroupApi = api({
  key: 14,
  name: 'SyncGroup',
  versions: [0, 5],
  flexible: 4,
  request: struct({
    groupId: string,
    generationId: int32,
    memberId: string,
    groupInstanceId: since(3, or(null, nullable(string))),
    protocolType: since(5, or(null, nullable(string))),
    protocolName: since(5, or(null, nullable(string))),
    assignments: array(struct({ memberId: string, assignment: bytes })),
  }),
  response: struct({
    throttleTimeMs: since(1, or(0, int32)),
    errorCode: int16,
    protocolType: since(5, or(null, nullable(string))),
    protocolName: since(5, or(null, nullable(string))),
    assignment: bytes,
  }),
})
