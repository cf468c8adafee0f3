import { api, array, bool, float64, int16, int32, int8, nullable, or, string, struct } from '../codec/shape.ts'

export const describeClientQuotasApi = api({
  key: 48,
  name: 'DescribeClientQuotas',
  versions: [0, 1],
  flexible: 1,
  request: struct({
    components: array(struct({ entityType: string, matchType: int8, match: nullable(string) })),
    strict: bool,
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    entries: nullable(
      array(
        struct({
          entity: array(struct({ entityType: string, entityName: nullable(string) })),
          values: array(struct({ key: string, value: float64 })),
        }),
      ),
    ),
  }),
})
