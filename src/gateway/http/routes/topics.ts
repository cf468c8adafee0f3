/** Topics: list, show, create, change, delete. A topic's contract is part of it here. */
import { Fault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import type { Bounds, TopicInfo } from '../../../log/log.ts'
import { compileSchema } from '../../../schema/json-schema.ts'
import { parseJson } from '../../../schema/json-text.ts'
import type { ContractChange, OnInvalid } from '../../../schema/contracts.ts'
import { settingTexts } from '../../../security/audit-text.ts'
import { onCluster, onTopic, open } from '../access.ts'
import type { TopicChange, TopicDetail, TopicSummary } from '../api.ts'
import { type Answer, type Exchange, mediaTypes } from '../exchange.ts'
import { jsonAnswer } from '../answers.ts'
import { yesOrNo } from '../parameters.ts'
import type { Parts } from '../parts.ts'
import type { Route } from '../route.ts'
import { listOf, schemas } from '../schemas.ts'
import { existingTopic, isInternal } from './topic-lookup.ts'

const path = '/v1/topics/{topic}'
const one = { says: 'The topic.', as: { [mediaTypes.json]: schemas.TopicDetail } }
const takes = { [mediaTypes.json]: schemas.TopicChange }

export function topicRoutes(parts: Parts): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/topics',
      id: 'listTopics',
      access: open,
      says: 'All topics, by name.',
      query: { internal: { says: 'Also what Millrace keeps for itself.', schema: { type: 'boolean' } } },
      gives: { 200: { says: 'The topics.', as: { [mediaTypes.json]: listOf(schemas.TopicSummary) } } },
      handle: async ({ query, sees }) => {
        const internal = yesOrNo('internal', query.get('internal') ?? 'false')
        return jsonAnswer(await listTopics(parts, internal, ({ name }) => sees('describe', 'topic', name)))
      },
    },
    {
      method: 'GET',
      path,
      id: 'getTopic',
      access: onTopic('describe'),
      says: 'One topic with its settings, contract and partitions.',
      gives: { 200: one },
      handle: async ({ params }) => jsonAnswer(await describe(parts, params['topic']!)),
    },
    {
      method: 'GET',
      path: `${path}/readers`,
      id: 'listTopicReaders',
      access: onCluster('describe'),
      says: 'Who reads the topic through a gateway and is no group: sessions of MQTT, subscriptions of Pub/Sub, consumers of Kinesis, receivers of Event Hubs.',
      gives: { 200: { says: 'The readers.', as: { [mediaTypes.json]: listOf(schemas.TopicReader) } } },
      handle: async ({ params }) => {
        const { name } = await existingTopic(parts, params['topic']!)
        return jsonAnswer(await parts.readersOf(name))
      },
    },
    {
      method: 'PUT',
      path,
      id: 'putTopic',
      access: onTopic('create', 'alter', 'alter-configs'),
      says: 'Creates the topic, or changes what is named of an existing one; with `If-None-Match: *` an existing one is a conflict.',
      takes,
      gives: { 200: one, 201: { ...one, says: 'Created.' } },
      handle: async (exchange) => {
        const change = await readChange(exchange)
        refuseDelivery(parts, exchange, change)
        const name = exchange.params['topic']!
        exchange.says(changeTexts(name, change))
        const isThere = (await parts.log.topics.get(name)) !== null
        if (isThere || !(await created(parts, name, change))) {
          if (exchange.headers['if-none-match'] === '*') throw new Fault('log.topic-exists', { topic: name })
          return changed(parts, name, change)
        }
        const headers = { location: `/v1/topics/${encodeURIComponent(name)}` }
        return jsonAnswer(await describe(parts, name), { status: 201, headers })
      },
    },
    {
      method: 'PATCH',
      path,
      id: 'changeTopic',
      access: onTopic('alter', 'alter-configs'),
      says: 'Changes what is named; a setting of null goes back to its default.',
      takes,
      gives: { 200: one },
      handle: async (exchange) => {
        const change = await readChange(exchange)
        refuseDelivery(parts, exchange, change)
        exchange.says(changeTexts(exchange.params['topic']!, change))
        return changed(parts, exchange.params['topic']!, change)
      },
    },
    {
      method: 'DELETE',
      path,
      id: 'deleteTopic',
      access: onTopic('delete'),
      says: 'Deletes the topic, its records and its contract.',
      gives: { 204: { says: 'Deleted.' } },
      handle: async ({ params }) => {
        const name = params['topic']!
        await existingTopic(parts, name)
        refuseOwned(parts, name)
        const reader = parts.engine.readerOf(name)
        if (reader !== null)
          throw new Fault('log.topic-in-use', { topic: name, by: `the ${reader.kind} ${reader.name}` })
        const [fault] = await parts.log.topics.remove([name])
        if (fault instanceof Fault) throw fault
        await parts.contracts.remove(name)
        return { status: 204, body: null }
      },
    },
  ]
}

function changeTexts(name: string, { partitions, config = {}, schema, onInvalid, keyField }: TopicChange): string[] {
  const texts = partitions === undefined ? [] : [`topic:${name} partitions=${partitions}`]
  texts.push(...settingTexts(`topic:${name}`, config))
  if (schema !== undefined) texts.push(`topic:${name} ${schema === null ? 'no schema' : 'another schema'}`)
  if (onInvalid !== undefined) texts.push(...settingTexts(`topic:${name}`, { onInvalid }))
  if (keyField !== undefined) texts.push(...settingTexts(`topic:${name}`, { keyField }))
  return texts
}

function refuseOwned(parts: Parts, name: string): void {
  if (isInternal(name)) throw new Fault('log.topic-kept', { topic: name, why: 'Millrace keeps it for itself' })
  if (parts.engine.writerOf(name) !== null)
    throw new Fault('log.topic-kept', { topic: name, why: 'it holds the changes of a view, which alone writes it' })
}

/** Who has records delivered to a topic writes there. */
function refuseDelivery(parts: Parts, { demand }: Pick<Exchange, 'demand'>, { config }: TopicChange): void {
  const to = config?.['deliver.to'] ?? ''
  if (to === '') return
  demand('write', 'topic', to)
  refuseOwned(parts, to)
}

async function listTopics(
  parts: Parts,
  internal: boolean,
  isShown: (topic: TopicInfo) => boolean,
): Promise<readonly TopicSummary[]> {
  const all = (await parts.log.topics.list()).filter(isShown)
  const topics = all.filter(({ name }) => internal || !isInternal(name)).toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const bounds = await parts.log.bounds(topics.flatMap(partitionsOf))
  const byTopic = Map.groupBy(bounds, ({ partition }) => partition.topic)
  return topics.map((topic) => summary(parts, topic, byTopic.get(topic.name) ?? []))
}
const partitionsOf = ({ name, partitions }: TopicInfo): { topic: string; index: number }[] =>
  Array.from({ length: partitions }, (_, index) => ({ topic: name, index }))

function summary(parts: Parts, topic: TopicInfo, bounds: readonly Bounds[]): TopicSummary {
  const speed = parts.telemetry.traffic.speed(topic.name)
  const setting = (name: string): string =>
    topic.config[name] ??
    parts.local?.describeConfig(topic.name).find((entry) => entry.name === name)?.value ??
    defaults[name]!
  return {
    name: topic.name,
    id: topic.id,
    partitions: topic.partitions,
    records: bounds.reduce((sum, { start, stable }) => sum + (stable - start), 0),
    bytes: bounds.reduce((sum, { partition }) => sum + (parts.local?.sizeBytes(partition) ?? 0), 0),
    recordsPerSecond: speed.recordsInPerSecond,
    bytesPerSecond: speed.bytesInPerSecond,
    retentionMs: Number(setting('retention.ms')),
    cleanupPolicy: setting('cleanup.policy'),
    hasSchema: (parts.contracts.get(topic.name)?.schema ?? null) !== null,
  }
}
/** Kafka's: those of a cluster, for topics made without saying. */
const defaults: Readonly<Record<string, string>> = { 'retention.ms': '604800000', 'cleanup.policy': 'delete' }

async function describe(parts: Parts, name: string): Promise<TopicDetail> {
  const topic = await existingTopic(parts, name)
  const bounds = await parts.log.bounds(partitionsOf(topic))
  const contract = parts.contracts.get(name)
  return {
    ...summary(parts, topic, bounds),
    config: topic.config,
    schema: contract?.schema ?? null,
    onInvalid: contract?.onInvalid ?? null,
    keyField: contract?.keyField ?? null,
    partitionDetails: bounds.map(({ partition, start, stable, end }) => ({
      partition: partition.index,
      start,
      stable,
      end,
      bytes: parts.local?.sizeBytes(partition) ?? 0,
    })),
  }
}

/** False when someone else was faster. The contract stands before the topic does: nothing unchecked slips in. */
async function created(parts: Parts, name: string, change: TopicChange): Promise<boolean> {
  if (isInternal(name)) throw new Fault('log.invalid-topic', { topic: name, why: 'such names belong to Millrace' })
  const contract = contractOf(change)
  const hadContract = parts.contracts.get(name) !== null
  if (contract !== null) await parts.contracts.change(name, contract)
  const config: Record<string, string> = { 'retention.ms': '-1' }
  for (const [setting, value] of Object.entries(change.config ?? {})) if (value !== null) config[setting] = value
  const [fault] = await parts.log.topics.create([{ name, partitions: change.partitions ?? 1, config }])
  if (fault === null || fault === undefined) return true
  if (fault.code === 'log.topic-exists') return false
  if (contract !== null && !hadContract) await parts.contracts.remove(name)
  throw fault
}

async function changed(parts: Parts, name: string, change: TopicChange): Promise<Answer> {
  const topic = await existingTopic(parts, name)
  refuseOwned(parts, name)
  const contract = contractOf(change)
  if (contract?.schema !== undefined && contract.schema !== null) compileSchema(contract.schema)
  const wider = change.partitions !== undefined && change.partitions !== topic.partitions
  if (wider || change.config !== undefined)
    await parts.log.topics.alter(name, {
      ...(wider ? { partitions: change.partitions! } : {}),
      ...(change.config === undefined ? {} : { config: change.config }),
    })
  if (contract !== null) await parts.contracts.change(name, contract)
  return jsonAnswer(await describe(parts, name))
}

function contractOf({
  schema,
  onInvalid,
  keyField,
}: TopicChange & { onInvalid?: OnInvalid | null }): ContractChange | null {
  if (schema === undefined && onInvalid === undefined && keyField === undefined) return null
  return {
    ...(schema === undefined ? {} : { schema }),
    ...(onInvalid === undefined ? {} : { onInvalid }),
    ...(keyField === undefined ? {} : { keyField }),
  }
}

const wrong = (field: string, why: string): Fault => new Fault('http.invalid-body', { field, why })
async function readChange({ body, headers }: Exchange): Promise<TopicChange & { onInvalid?: OnInvalid | null }> {
  const type = headers['content-type']
  if (type !== undefined && !/^application\/json\s*(;|$)/i.test(type))
    throw new Fault('http.unsupported-body', { what: type.slice(0, 100), takes: mediaTypes.json })
  const bytes = await body.whole(limits.schemaBytes * 2)
  if (bytes.length === 0) return {}
  const value = parseJson(bytes)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('', 'is not an object')
  const change: { -readonly [K in keyof TopicChange]: TopicChange[K] } & { onInvalid?: OnInvalid | null } = {}
  for (const [field, content] of Object.entries(value) as [string, unknown][]) readField(change, field, content)
  return change
}
function readField(
  change: { -readonly [K in keyof TopicChange]: TopicChange[K] } & { onInvalid?: OnInvalid | null },
  field: string,
  content: unknown,
): void {
  switch (field) {
    case 'partitions':
      if (typeof content !== 'number' || !Number.isSafeInteger(content)) throw wrong(field, 'is not a whole number')
      change.partitions = content
      return
    case 'config':
      change.config = readConfig(content)
      return
    case 'schema':
      change.schema = content
      return
    case 'onInvalid':
      if (content !== null && content !== 'reject' && content !== 'quarantine' && content !== 'null')
        throw wrong(field, 'is none of reject, quarantine, "null" and null')
      change.onInvalid = content as OnInvalid
      return
    case 'keyField':
      if (content !== null && (typeof content !== 'string' || content === ''))
        throw wrong(field, 'is no name of a field')
      change.keyField = content as string | null
      return
    default:
      throw wrong(field, 'is not a field of a topic; it has partitions, config, schema, onInvalid and keyField')
  }
}
function readConfig(content: unknown): Record<string, string | null> {
  if (typeof content !== 'object' || content === null || Array.isArray(content))
    throw wrong('config', 'is not an object')
  const config: Record<string, string | null> = Object.create(null) as Record<string, string | null>
  for (const [name, value] of Object.entries(content) as [string, unknown][]) {
    if (value === null || typeof value === 'string') config[name] = value
    else if (typeof value === 'number' || typeof value === 'boolean') config[name] = String(value)
    else throw wrong(`config.${name}`, 'is not text')
  }
  return config
}
