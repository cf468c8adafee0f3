import { api, array, bool, int16, int32, int8, nullable, or, since, string, struct, until } from '../codec/shape.ts'

export const updateFeaturesApi = api({
  key: 57,
  name: 'UpdateFeatures',
  versions: [0, 2],
  flexible: 0,
  request: struct({
    timeoutMs: or(60_000, int32),
    featureUpdates: array(
      struct({
        feature: string,
        maxVersionLevel: int16,
        allowDowngrade: until(0, or(false, bool)),
        upgradeType: since(1, or(1, int8)),
      }),
    ),
    validateOnly: since(1, or(false, bool)),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    results: until(1, or([], array(struct({ feature: string, errorCode: int16, errorMessage: nullable(string) })))),
  }),
})
