/** Settings of topics: what was set, read back; and set. */
import { Fault } from '../../lib/fault.ts'
import { describeConfigsApi } from '../../wire/kafka/messages/32-describe-configs.ts'
import { incrementalAlterConfigsApi } from '../../wire/kafka/messages/44-incremental-alter-configs.ts'
import { code, faultOf } from './errors.ts'
import type { Broker } from './net/broker.ts'
import type { Network } from './net/network.ts'

const topicResource = 2
/** Where Kafka says a value comes from: set for the topic itself. */
const setForTopic = 1
/** An answer holds every setting of each topic: so many at once stay well below the limit of a message. */
const topicsAtOnce = 500
const operations = { set: 0, delete: 1 } as const

/** What was set for each of these; a topic that is not there any more is left out. */
export async function configsOf(
  network: Network,
  names: readonly string[],
): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
  const found = new Map<string, Record<string, string>>()
  for (let from = 0; from < names.length; from += topicsAtOnce) {
    const { results } = await network.askAny(describeConfigsApi, {
      resources: names
        .slice(from, from + topicsAtOnce)
        .map((resourceName) => ({ resourceType: topicResource, resourceName, configurationKeys: null })),
      includeSynonyms: false,
      includeDocumentation: false,
    })
    for (const { errorCode, errorMessage, resourceName, configs } of results) {
      if (errorCode === code.unknownTopicOrPartition) continue
      if (errorCode !== code.none)
        throw faultOf(errorCode, { what: `reading the settings of ${resourceName}` }, errorMessage)
      const set = configs.filter(({ configSource, value }) => configSource === setForTopic && value !== null)
      found.set(resourceName, Object.fromEntries(set.map(({ name, value }) => [name, value!])))
    }
  }
  return found
}
/** Whether the broker sees the topic's settings so; null = taken back. */
export async function seesConfig(
  broker: Broker,
  topic: string,
  config: Readonly<Record<string, string | null>>,
): Promise<boolean> {
  const names = Object.keys(config)
  const { results } = await broker.ask('quick', describeConfigsApi, {
    resources: [{ resourceType: topicResource, resourceName: topic, configurationKeys: names }],
    includeSynonyms: false,
    includeDocumentation: false,
  })
  const configs = results[0]?.configs ?? []
  return names.every((name) => {
    const found = configs.find((one) => one.name === name)
    return (found?.configSource === setForTopic ? found.value : null) === config[name]
  })
}
/** The value in force, wherever it was set. */
export async function configInForce(network: Network, topic: string, name: string): Promise<string | null> {
  const { results } = await network.askAny(describeConfigsApi, {
    resources: [{ resourceType: topicResource, resourceName: topic, configurationKeys: [name] }],
    includeSynonyms: false,
    includeDocumentation: false,
  })
  return results[0]?.configs.find((config) => config.name === name)?.value ?? null
}

/** null takes a setting back to its default. Throws a Fault. */
export async function changeConfigs(
  network: Network,
  topic: string,
  config: Readonly<Record<string, string | null>>,
  validateOnly: boolean,
): Promise<void> {
  const entries = Object.entries(config)
  if (entries.length === 0) return
  const configs = entries.map(([name, value]) => ({
    name,
    configOperation: value === null ? operations.delete : operations.set,
    value,
  }))
  const { responses } = await network.askAny(incrementalAlterConfigsApi, {
    resources: [{ resourceType: topicResource, resourceName: topic, configs }],
    validateOnly,
  })
  for (const { errorCode, errorMessage } of responses)
    if (errorCode !== code.none) throw configFault(errorCode, errorMessage, topic, config)
}

export function configFault(
  error: number,
  message: string | null,
  topic: string,
  config: Readonly<Record<string, string | null>>,
): Fault {
  if (error !== code.invalidConfig) return faultOf(error, { what: `the settings of topic ${topic}`, topic }, message)
  // Kafka names the setting in its text alone.
  const named = Object.keys(config).find((name) => message?.includes(name) === true)
  const [first = ''] = Object.keys(config)
  const name = named ?? first
  return new Fault('log.invalid-config', { name, value: config[name] ?? '', why: message ?? 'the cluster refuses it' })
}
