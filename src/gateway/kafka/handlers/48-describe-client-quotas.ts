import { type QuotaDefinition, entityTypes } from '../../../security/quotas.ts'
import type { Decoded } from '../../../wire/kafka/codec/shape.ts'
import { code, handler } from '../handler.ts'
import { describeClientQuotasApi } from '../../../wire/kafka/messages/48-describe-client-quotas.ts'

type Component = Decoded<typeof describeClientQuotasApi.request>['components'][number]
const matching = { exact: 0, default: 1, any: 2 } as const

export const describeClientQuotas = handler({
  api: describeClientQuotasApi,
  versions: [0, 1],
  access: { needs: ['describe-configs cluster'] },
  handle({ components, strict }, { access, security }) {
    const refused = (errorCode: number, errorMessage: string) => ({ errorCode, errorMessage, entries: null })
    if (!access.onCluster('describe-configs'))
      return refused(code.clusterAuthorizationFailed, 'Cluster authorization failed.')
    const wrong = wrongWith(components)
    if (wrong !== null) return refused(code.invalidRequest, wrong)
    const found = security.quotas.all().filter(({ entity }) => {
      const isMore = Object.keys(entity).length > components.length
      return !(strict && isMore) && components.every((component) => holds(component, entity))
    })
    const entries = found.map(({ entity, values }) => ({
      entity: inOrder(Object.entries(entity)).map(([entityType, entityName]) => ({ entityType, entityName })),
      values: inOrder(Object.entries(values)).map(([key, value]) => ({ key, value })),
    }))
    return { errorCode: code.none, errorMessage: null, entries }
  },
})

/** As Kafka's hash tables have them: some clients compare lists. */
const order = ['client-id', 'user', 'ip', 'consumer_byte_rate', 'request_percentage', 'producer_byte_rate']
const inOrder = <T>(entries: [string, T][]): [string, T][] =>
  entries.toSorted(([a], [b]) => order.indexOf(a) - order.indexOf(b))

function wrongWith(components: readonly Component[]): string | null {
  const types = components.map(({ entityType }) => entityType)
  const unknown = types.find((type) => !(entityTypes as readonly string[]).includes(type))
  if (unknown !== undefined) return `Custom entity type '${unknown}' not supported`
  if (new Set(types).size < types.length) return 'Entity types are named twice'
  const isWrong = components.some(
    ({ matchType, match }) =>
      matchType < matching.exact || matchType > matching.any || (matchType === matching.exact) !== (match !== null),
  )
  return isWrong ? 'A component has a name where it is matched exactly, and there alone' : null
}
function holds({ entityType, matchType, match }: Component, entity: QuotaDefinition['entity']): boolean {
  const name = entity[entityType as keyof typeof entity]
  if (name === undefined) return false
  if (matchType === matching.any) return true
  return matchType === matching.default ? name === null : name === match
}
