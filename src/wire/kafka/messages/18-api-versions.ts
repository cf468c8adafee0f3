import { api, array, bool, int16, int32, int64, or, since, string, struct, tagged } from '../codec/shape.ts'

export const apiVersionsApi = api({
  key: 18,
  name: 'ApiVersions',
  versions: [0, 4],
  flexible: 3,
  request: struct({ clientSoftwareName: since(3, string), clientSoftwareVersion: since(3, string) }),
  response: struct({
    errorCode: int16,
    apiKeys: array(struct({ apiKey: int16, minVersion: int16, maxVersion: int16 })),
    throttleTimeMs: since(1, or(0, int32)),
    supportedFeatures: since(3, tagged(0, array(struct({ name: string, minVersion: int16, maxVersion: int16 })))),
    finalizedFeaturesEpoch: since(3, tagged(1, or(-1, int64))),
    finalizedFeatures: since(
      3,
      tagged(2, array(struct({ name: string, maxVersionLevel: int16, minVersionLevel: int16 }))),
    ),
    zkMigrationReady: since(3, tagged(3, bool)),
  }),
})
