import { api, array, int16, int32, int8, or, since, string, struct } from '../codec/shape.ts'

export const listConfigResourcesApi = api({
  key: 74,
  name: 'ListConfigResources',
  versions: [0, 1],
  flexible: 0,
  request: struct({ resourceTypes: since(1, array(int8)) }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    configResources: array(struct({ resourceName: string, resourceType: since(1, or(16, int8)) })),
  }),
})
