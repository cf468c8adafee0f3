import { featuresOf } from '../features.ts'
import { code, handler } from '../handler.ts'
import { apiVersionsApi } from '../../../wire/kafka/messages/18-api-versions.ts'

const firstVersionOfSoftware = 3
const softwareName = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/

/** A version that we do not speak is answered too, by the connection: in version 0, with the list. */
export const apiVersions = handler({
  api: apiVersionsApi,
  versions: [0, 4],
  access: { needs: [], open: 'clients ask before they say who they are' },
  handle(request, { session, supported, version }) {
    const isNamed = softwareName.test(request.clientSoftwareName) && softwareName.test(request.clientSoftwareVersion)
    if (version >= firstVersionOfSoftware && !isNamed) return { errorCode: code.invalidRequest, apiKeys: [] }
    if (isNamed) session.software = { name: request.clientSoftwareName, version: request.clientSoftwareVersion }
    const features = featuresOf(supported)
    return {
      errorCode: code.none,
      apiKeys: supported,
      supportedFeatures: features.map(({ name, level }) => ({ name, minVersion: level, maxVersion: level })),
      finalizedFeaturesEpoch: 0,
      finalizedFeatures: features.map(({ name, level }) => ({ name, minVersionLevel: level, maxVersionLevel: level })),
    }
  },
})
