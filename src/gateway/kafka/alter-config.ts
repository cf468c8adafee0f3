/** Changing the settings of a topic or a group: what the two APIs for it share. */
import { Fault } from '../../lib/fault.ts'
import { settingTexts } from '../../security/audit-text.ts'
import {
  type Exchange,
  attempt,
  code,
  configRefusal,
  deliveryRefusal,
  errorCode,
  errorMessage,
  keptTopic,
  resource,
  resourceConfigs,
  settingless,
} from './handler.ts'

type Config = Readonly<Record<string, string>>
export type ConfigChange = Readonly<Record<string, string | null>>
/** A change, or what is wrong with the request. */
export type MakeChange = (current: Config, effective: (name: string) => string | null) => ConfigChange | Fault

export async function alterConfig(
  exchange: Exchange,
  asked: { readonly resourceType: number; readonly resourceName: string },
  onlyCheck: boolean,
  make: MakeChange,
): Promise<{ errorCode: number; errorMessage: string | null; resourceType: number; resourceName: string }> {
  const { resourceType, resourceName } = asked
  const answer = (error: number, message: string | null) => ({
    errorCode: error,
    errorMessage: message,
    resourceType,
    resourceName,
  })
  const refusal = configRefusal('alter-configs', resourceType, resourceName, exchange)
  if (refusal !== null) return answer(refusal.error, refusal.message)
  const { access, broker } = exchange
  const configs = resourceConfigs(exchange, resourceType)
  if (configs !== null) {
    const fault = await attempt(exchange, async () => {
      const config = make(
        configs.current(resourceName),
        (name) => configs.describe(resourceName).find((entry) => entry.name === name)?.value ?? null,
      )
      if (config instanceof Fault) throw config
      if (onlyCheck) return configs.check(resourceName, config)
      access.says(settingTexts(`${kindOf(resourceType)}:${resourceName}`, config))
      await configs.alter(resourceName, config)
      return null
    })
    return answer(errorCode(fault), errorMessage(fault))
  }
  if (resourceType !== resource.topic) return answer(code.invalidRequest, settingless(resourceType))
  const fault = await attempt(exchange, async () => {
    const topic = broker.catalog.byName(resourceName)
    if (topic === null) throw new Fault('log.unknown-topic', { topic: resourceName })
    const kept = keptTopic(exchange, resourceName)
    if (kept !== null) throw kept
    const config = make(
      topic.config,
      (name) => broker.describeConfig(resourceName).find((entry) => entry.name === name)?.value ?? null,
    )
    if (config instanceof Fault) throw config
    const refused = deliveryRefusal(exchange, config)
    if (refused !== null) return refused
    if (onlyCheck) return broker.checkAlter(resourceName, { config })
    access.says(settingTexts(`topic:${resourceName}`, config))
    await broker.topics.alter(resourceName, { config })
    return null
  })
  if (fault !== null && 'error' in fault) return answer(fault.error, fault.message)
  return answer(errorCode(fault), errorMessage(fault))
}
const kindOf = (resourceType: number): string =>
  Object.entries(resource).find(([, number]) => number === resourceType)?.[0] ?? String(resourceType)
