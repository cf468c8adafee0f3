import { code, handler, nodeId, resource, resourceConfigs } from '../handler.ts'
import { listConfigResourcesApi } from '../../../wire/kafka/messages/74-list-config-resources.ts'

const firstVersionOfTypes = 1

/** Version 0 asks for client metrics alone; no types asked for: all there are. */
export const listConfigResources = handler({
  api: listConfigResourcesApi,
  versions: [0, 1],
  access: { needs: ['describe-configs cluster'] },
  handle(request, exchange) {
    const { access, broker, version } = exchange
    const refused = (errorCode: number) => ({ errorCode, configResources: [] })
    if (!access.onCluster('describe-configs')) return refused(code.clusterAuthorizationFailed)
    const types = version < firstVersionOfTypes ? [resource.clientMetrics] : request.resourceTypes
    const known: readonly number[] = Object.values(resource)
    if (types.some((type) => !known.includes(type))) return refused(code.unsupportedVersion)
    const namesOf = new Map<number, () => readonly string[]>([
      [resource.topic, () => broker.catalog.all().map(({ name }) => name)],
      [resource.broker, () => [String(nodeId)]],
    ])
    const asked = types.length === 0 ? known : [...new Set(types)]
    return {
      errorCode: code.none,
      configResources: asked.flatMap((resourceType) =>
        (namesOf.get(resourceType)?.() ?? resourceConfigs(exchange, resourceType)?.names() ?? []).map(
          (resourceName) => ({ resourceName, resourceType }),
        ),
      ),
    }
  },
})
