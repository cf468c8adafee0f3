import { api, array, bool, bytes, int16, int32, nullable, or, since, string, struct } from '../codec/shape.ts'

export const joinGroupApi = api({
  key: 11,
  name: 'JoinGroup',
  versions: [0, 9],
  flexible: 6,
  request: struct({
    groupId: string,
    sessionTimeoutMs: int32,
    rebalanceTimeoutMs: since(1, or(-1, int32)),
    memberId: string,
    groupInstanceId: since(5, or(null, nullable(string))),
    protocolType: string,
    protocols: array(struct({ name: string, metadata: bytes })),
    reason: since(8, or(null, nullable(string))),
  }),
  response: struct({
    throttleTimeMs: since(2, or(0, int32)),
    errorCode: int16,
    generationId: or(-1, int32),
    protocolType: since(7, or(null, nullable(string))),
    protocolName: nullable(string, 7),
    leader: string,
    skipAssignment: since(9, bool),
    memberId: string,
    members: array(
      struct({ memberId: string, groupInstanceId: since(5, or(null, nullable(string))), metadata: bytes }),
    ),
  }),
})
