import { code, handler, nodeId, resource } from '../handler.ts'
import { listConfigResourcesApi } from '../../../wire/kafka/messages/74-list-config-resources.ts'

const clientMetrics = 16
const brokerLogger = 8
const firstVersionOfTypes = 1

/** Version 0 asks for settings of client metrics, of which there are none; no types asked for: all there are. */
export const listConfigResources = handler({
  api: listConfigResourcesApi,
  versions: [0, 1],
  access: { needs: ['describe-configs cluster'] },
  handle(request, { access, broker, version }) {
    const refused = (errorCode: number) => ({ errorCode, configResources: [] })
    if (!access.onCluster('describe-configs')) return refused(code.clusterAuthorizationFailed)
    const types = version < firstVersionOfTypes ? [clientMetrics] : request.resourceTypes
    const known = [resource.topic, resource.broker, brokerLogger, clientMetrics, resource.group]
    if (types.some((type) => !known.includes(type))) return refused(code.unsupportedVersion)
    const namesOf = new Map<number, () => readonly string[]>([
      [resource.topic, () => broker.catalog.all().map(({ name }) => name)],
      [resource.broker, () => [String(nodeId)]],
      [resource.group, () => broker.groupConfigs.names()],
    ])
    const asked = types.length === 0 ? known : [...new Set(types)]
    return {
      errorCode: code.none,
      configResources: asked.flatMap((resourceType) =>
        (namesOf.get(resourceType)?.() ?? []).map((resourceName) => ({ resourceName, resourceType })),
      ),
    }
  },
})
