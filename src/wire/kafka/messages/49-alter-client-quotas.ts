import { api, array, bool, float64, int16, int32, nullable, or, string, struct } from '../codec/shape.ts'

const entity = array(struct({ entityType: string, entityName: nullable(string) }))

export const alterClientQuotasApi = api({
  key: 49,
  name: 'AlterClientQuotas',
  versions: [0, 1],
  flexible: 1,
  request: struct({
    entries: array(struct({ entity, ops: array(struct({ key: string, value: float64, remove: bool })) })),
    validateOnly: bool,
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    entries: array(struct({ errorCode: int16, errorMessage: nullable(string), entity })),
  }),
})
