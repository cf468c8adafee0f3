import { type Feature, featuresOf } from '../features.ts'
import { code, handler, nodeId, shortened } from '../handler.ts'
import { updateFeaturesApi } from '../../../wire/kafka/messages/57-update-features.ts'

const upgradeTypes = [1, 2, 3]
const firstVersionWithTypes = 1

/** Levels follow from what this program can do: asking for the level that stands is fine, any other is refused. */
export const updateFeatures = handler({
  api: updateFeaturesApi,
  versions: [0, 2],
  access: { needs: ['alter cluster'] },
  handle({ featureUpdates }, { access, supported, version }) {
    if (!access.onCluster('alter')) {
      const errorMessage = 'Cluster authorization failed.'
      return { errorCode: code.clusterAuthorizationFailed, errorMessage, results: [] }
    }
    const features = featuresOf(supported)
    for (const { feature, maxVersionLevel, upgradeType } of featureUpdates) {
      const isKnownType = version < firstVersionWithTypes || upgradeTypes.includes(upgradeType)
      const why = isKnownType
        ? whyNot(
            maxVersionLevel,
            features.find(({ name }) => name === feature),
          )
        : 'The controller does not support the given upgrade type.'
      if (why !== null)
        return {
          errorCode: code.invalidUpdateVersion,
          errorMessage: shortened(
            'The update failed for all features since the following feature had an error: ' +
              `Invalid update version ${maxVersionLevel} for feature ${feature}. ${why}`,
          ),
          results: [],
        }
    }
    const results = featureUpdates.map(({ feature }) => ({ feature, errorCode: code.none, errorMessage: 'NONE' }))
    return { errorCode: code.none, errorMessage: null, results }
  },
})

function whyNot(level: number, feature: Feature | undefined): string | null {
  if (feature === undefined) return `Local controller ${nodeId} does not support this feature.`
  if (level === feature.level) return null
  return `Local controller ${nodeId} only supports versions ${feature.level}-${feature.level}`
}
