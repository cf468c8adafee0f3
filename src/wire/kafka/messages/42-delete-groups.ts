import { api, array, int16, int32, or, string, struct } from '../codec/shape.ts'

export const deleteGroupsApi = api({
  key: 42,
  name: 'DeleteGroups',
  versions: [0, 2],
  flexible: 2,
  request: struct({ groupsNames: array(string) }),
  response: struct({ throttleTimeMs: or(0, int32), results: array(struct({ groupId: string, errorCode: int16 })) }),
})
