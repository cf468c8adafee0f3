import { api, array, int16, int32, int8, nullable, or, string, struct } from '../codec/shape.ts'

export const createAclsApi = api({
  key: 30,
  name: 'CreateAcls',
  versions: [1, 3],
  flexible: 2,
  request: struct({
    creations: array(
      struct({
        resourceType: int8,
        resourceName: string,
        resourcePatternType: or(3, int8),
        principal: string,
        host: string,
        operation: int8,
        permissionType: int8,
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    results: array(struct({ errorCode: int16, errorMessage: nullable(string) })),
  }),
})
