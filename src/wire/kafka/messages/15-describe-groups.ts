import { api, array, bool, bytes, int16, int32, nullable, or, since, string, struct } from '../codec/shape.ts'

export const describeGroupsApi = api({
  key: 15,
  name: 'DescribeGroups',
  versions: [0, 6],
  flexible: 5,
  request: struct({ groups: array(string), includeAuthorizedOperations: since(3, bool) }),
  response: struct({
    throttleTimeMs: since(1, or(0, int32)),
    groups: array(
      struct({
        errorCode: int16,
        errorMessage: since(6, or(null, nullable(string))),
        groupId: string,
        groupState: string,
        protocolType: string,
        protocolData: string,
        members: array(
          struct({
            memberId: string,
            groupInstanceId: since(4, or(null, nullable(string))),
            clientId: string,
            clientHost: string,
            memberMetadata: bytes,
            memberAssignment: bytes,
          }),
        ),
        authorizedOperations: since(3, or(-2147483648, int32)),
      }),
    ),
  }),
})
