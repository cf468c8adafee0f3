import { api, array, int16, int32, int8, nullable, or, string, struct } from '../codec/shape.ts'

export const deleteAclsApi = api({
  key: 31,
  name: 'DeleteAcls',
  versions: [1, 3],
  flexible: 2,
  request: struct({
    filters: array(
      struct({
        resourceTypeFilter: int8,
        resourceNameFilter: nullable(string),
        patternTypeFilter: or(3, int8),
        principalFilter: nullable(string),
        hostFilter: nullable(string),
        operation: int8,
        permissionType: int8,
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    filterResults: array(
      struct({
        errorCode: int16,
        errorMessage: nullable(string),
        matchingAcls: array(
          struct({
            errorCode: int16,
            errorMessage: nullable(string),
            resourceType: int8,
            resourceName: string,
            patternType: or(3, int8),
            principal: string,
            host: string,
            operation: int8,
            permissionType: int8,
          }),
        ),
      }),
    ),
  }),
})
