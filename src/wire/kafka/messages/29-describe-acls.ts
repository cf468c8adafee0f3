import { api, array, int16, int32, int8, nullable, or, string, struct } from '../codec/shape.ts'

export const describeAclsApi = api({
  key: 29,
  name: 'DescribeAcls',
  versions: [1, 3],
  flexible: 2,
  request: struct({
    resourceTypeFilter: int8,
    resourceNameFilter: nullable(string),
    patternTypeFilter: or(3, int8),
    principalFilter: nullable(string),
    hostFilter: nullable(string),
    operation: int8,
    permissionType: int8,
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    resources: array(
      struct({
        resourceType: int8,
        resourceName: string,
        patternType: or(3, int8),
        acls: array(struct({ principal: string, host: string, operation: int8, permissionType: int8 })),
      }),
    ),
  }),
})
