import { api, array, int16, int32, nullable, or, since, string, struct, until } from '../codec/shape.ts'

export const leaveGroupApi = api({
  key: 13,
  name: 'LeaveGroup',
  versions: [0, 5],
  flexible: 4,
  request: struct({
    groupId: string,
    members: since(
      3,
      array(
        struct({
          memberId: string,
          groupInstanceId: or(null, nullable(string)),
          reason: since(5, or(null, nullable(string))),
        }),
      ),
    ),
    memberId: until(2, string),
  }),
  response: struct({
    throttleTimeMs: since(1, or(0, int32)),
    errorCode: int16,
    members: since(3, array(struct({ memberId: string, groupInstanceId: nullable(string), errorCode: int16 }))),
  }),
})
