import { Fault } from '../../../lib/fault.ts'
import { settingTexts } from '../../../security/audit-text.ts'
import type { ConfigEntry } from '../../../log/broker.ts'
import type { TopicSpec } from '../../../log/log.ts'
import { type Decoded, type Encoded, nullUuid } from '../../../wire/kafka/codec/shape.ts'
import {
  type Exchange,
  attempt,
  code,
  configSource,
  errorCode,
  errorMessage,
  handler,
  nodeId,
  deliveryRefusal,
  reservedName,
  resource,
  shortened,
} from '../handler.ts'
import { createTopicsApi } from '../../../wire/kafka/messages/19-create-topics.ts'
import { topicSpec } from '../topic-defaults.ts'

type Asked = Decoded<typeof createTopicsApi.request>['topics'][number]
type Topic = Encoded<typeof createTopicsApi.response>['topics'][number]
type Refusal = { readonly error: number; readonly message: string }

export const createTopics = handler({
  api: createTopicsApi,
  versions: [2, 7],
  access: { needs: [['create cluster', 'create topic']], shows: ['describe-configs topic', 'write topic'] },
  async handle(request, exchange) {
    const { broker } = exchange
    const counts = new Map<string, number>()
    for (const { name } of request.topics) counts.set(name, (counts.get(name) ?? 0) + 1)
    const plans = await exchange.turns.map(request.topics, (asked) => {
      if (!mayCreate(exchange, asked.name)) return unauthorized
      const twice = { error: code.invalidRequest, message: 'the topic is named twice in this request' }
      return counts.get(asked.name)! > 1 ? twice : specOf(asked, exchange)
    })
    const specs = plans.filter((plan): plan is TopicSpec => !('error' in plan))
    if (specs.length > 0 && !request.validateOnly) {
      const made = specs.reduce((sum, { partitions }) => sum + partitions, 0)
      if (!exchange.mutations(made, exchange.version >= firstStrictVersion))
        return { topics: request.topics.map(({ name }, i) => refused(name, refusalOf(plans[i]!) ?? throttled)) }
    }
    for (const { name, partitions, config = {} } of request.validateOnly ? [] : specs)
      exchange.access.says(settingTexts(`topic:${name}`, { partitions, ...config }))
    const outcome =
      specs.length === 0
        ? []
        : await attempt(exchange, () =>
            exchange.turns.inPieces(specs, createdAtOnce, async (some) =>
              request.validateOnly ? broker.checkCreate(some) : broker.topics.create(some),
            ),
          )
    let next = 0
    const topics = plans.map((plan, i): Topic => {
      const { name } = request.topics[i]!
      if ('error' in plan) return refused(name, plan)
      const fault = outcome instanceof Fault ? outcome : outcome[next++]!
      if (fault !== null) return refused(name, { error: errorCode(fault), message: errorMessage(fault)! })
      return created(plan, exchange, request.validateOnly)
    })
    return { topics }
  },
})

const firstStrictVersion = 6
/** They share a write. */
const createdAtOnce = 100
const refusalOf = (plan: TopicSpec | Refusal): Refusal | null => ('error' in plan ? plan : null)
const throttled: Refusal = {
  error: code.throttlingQuotaExceeded,
  message: 'The throttling quota has been exceeded.',
}
const unauthorized: Refusal = { error: code.topicAuthorizationFailed, message: 'Authorization failed.' }
const mayCreate = ({ access }: Exchange, topic: string): boolean =>
  access.seesCluster('create') ? access.onCluster('create') : access.may('create', 'topic', topic)

function specOf(asked: Asked, exchange: Exchange): TopicSpec | Refusal {
  const { topicDefaults } = exchange
  const reserved = reservedName(asked.name)
  if (reserved !== null) return { error: errorCode(reserved), message: errorMessage(reserved)! }
  const config: Record<string, string> = Object.create(null) as Record<string, string>
  for (const { name, value } of asked.configs) {
    if (value === null)
      return { error: code.invalidConfig, message: shortened(`Null value not supported for topic configs: ${name}`) }
    config[name] = value
  }
  const refusal = deliveryRefusal(exchange, config)
  if (refusal !== null) return refusal
  if (asked.assignments.length > 0) {
    if (asked.numPartitions !== -1 || asked.replicationFactor !== -1)
      return { error: code.invalidRequest, message: 'partitions are given as a count or by assignment, not both' }
    const wrong = wrongAssignment(asked.assignments)
    if (wrong !== null) return { error: code.invalidReplicaAssignment, message: wrong }
    return topicSpec(asked.name, { partitions: asked.assignments.length, config })
  }
  if (asked.replicationFactor !== -1 && asked.replicationFactor !== 1)
    return {
      error: code.invalidReplicationFactor,
      message: `Unable to replicate the partition ${asked.replicationFactor} time(s): there is one broker, so 1 (or -1) is the only replication factor`,
    }
  if (asked.numPartitions !== -1 && asked.numPartitions < 1)
    return { error: code.invalidPartitions, message: 'Number of partitions was set to an invalid non-positive value.' }
  const partitions = asked.numPartitions === -1 ? topicDefaults.partitions : asked.numPartitions
  return topicSpec(asked.name, { partitions, config })
}
function wrongAssignment(assignments: Asked['assignments']): string | null {
  const indexes = new Set(assignments.map(({ partitionIndex }) => partitionIndex))
  for (let i = 0; i < assignments.length; i++)
    if (!indexes.has(i)) return 'partitions must be numbered from 0 without a gap'
  const odd = assignments.find(({ brokerIds }) => brokerIds.length !== 1 || brokerIds[0] !== nodeId)
  return odd === undefined ? null : `partition ${odd.partitionIndex}: broker ${nodeId} is the only one there is`
}

const refused = (name: string, { error, message }: Refusal): Topic => ({
  name,
  topicId: nullUuid,
  errorCode: error,
  errorMessage: message,
  configs: [],
})

function created(spec: TopicSpec, { access, broker }: Exchange, onlyChecked: boolean): Topic {
  const { name } = spec
  const topicId = broker.catalog.byName(name)?.id ?? nullUuid
  const outcome = { name, topicId, errorCode: code.none, errorMessage: null }
  if (!access.sees('describe-configs', 'topic', name))
    return { ...outcome, configs: null, topicConfigErrorCode: code.topicAuthorizationFailed }
  const entries = onlyChecked ? [] : broker.describeConfig(name)
  return { ...outcome, numPartitions: spec.partitions, replicationFactor: 1, configs: entries.map(configOf) }
}
const configOf = (entry: ConfigEntry) => ({
  name: entry.name,
  value: entry.value,
  readOnly: false,
  configSource: configSource(entry, resource.topic),
  isSensitive: false,
})
