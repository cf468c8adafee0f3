import { Fault } from '../../../lib/fault.ts'
import type { ConfigEntry } from '../../../log/broker.ts'
import { brokerConfig } from '../broker-config.ts'
import type { Decoded, Encoded } from '../../../wire/kafka/codec/shape.ts'
import {
  type Exchange,
  attempt,
  code,
  configRefusal,
  configSource,
  configTypeNumber,
  errorCode,
  errorMessage,
  handler,
  resource,
  resourceConfigs,
  settingless,
  synonymsOf,
  shortened,
} from '../handler.ts'
import { describeConfigsApi } from '../../../wire/kafka/messages/32-describe-configs.ts'

type Request = Decoded<typeof describeConfigsApi.request>
type Asked = Request['resources'][number]
type Result = Encoded<typeof describeConfigsApi.response>['results'][number]

export const describeConfigs = handler({
  api: describeConfigsApi,
  versions: [1, 4],
  access: { needs: ['describe-configs topic', 'describe-configs group', 'describe-configs cluster'] },
  async handle(request, exchange) {
    const results = await exchange.turns.map(request.resources, async (asked): Promise<Result> => {
      const entries = await attempt(exchange, () => entriesOf(asked, exchange))
      if (entries instanceof Fault) return failed(asked, errorCode(entries), errorMessage(entries)!)
      if ('error' in entries) return failed(asked, entries.error, entries.message)
      const names = new Set(asked.configurationKeys)
      return {
        errorCode: code.none,
        errorMessage: '',
        resourceType: asked.resourceType,
        resourceName: asked.resourceName,
        configs: entries
          .filter((entry) => names.size === 0 || names.has(entry.name))
          .map((entry) => describe(entry, asked.resourceType, request)),
      }
    })
    return { results }
  },
})

type Entries = readonly ConfigEntry[] | { readonly error: number; readonly message: string }
function entriesOf({ resourceType, resourceName }: Asked, exchange: Exchange): Entries {
  const refusal = configRefusal('describe-configs', resourceType, resourceName, exchange)
  if (refusal !== null) return refusal
  if (resourceType === resource.topic) {
    if (exchange.broker.catalog.byName(resourceName) === null)
      throw new Fault('log.unknown-topic', { topic: resourceName })
    return exchange.broker.describeConfig(resourceName)
  }
  if (resourceType === resource.broker) {
    const entries = brokerConfig(resourceName, exchange)
    if (entries !== null) return entries
    return { error: code.invalidRequest, message: shortened(`there is no broker ${resourceName}`) }
  }
  const configs = resourceConfigs(exchange, resourceType)
  if (configs !== null) return configs.describe(resourceName)
  return { error: code.invalidRequest, message: settingless(resourceType) }
}

const failed = ({ resourceType, resourceName }: Asked, error: number, message: string): Result => ({
  errorCode: error,
  errorMessage: message,
  resourceType,
  resourceName,
  configs: [],
})

function describe(entry: ConfigEntry, resourceType: number, request: Request): Result['configs'][number] {
  const { name, value, type, documentation } = entry
  const source = configSource(entry, resourceType)
  return {
    name,
    value,
    readOnly: entry.readOnly === true,
    configSource: source,
    isSensitive: type === 'password',
    synonyms: request.includeSynonyms
      ? entry.synonyms === undefined
        ? [{ name, value, source }]
        : synonymsOf(entry)
      : [],
    configType: configTypeNumber[type],
    documentation: request.includeDocumentation ? documentation : null,
  }
}
