/** google.pubsub.v1.Publisher */
import { Fault } from '../../../lib/fault.ts'
import { empty } from '../../../wire/protobuf/well-known.ts'
import {
  type TopicMessage,
  deleteTopicRequest,
  detachSubscriptionRequest,
  detachSubscriptionResponse,
  getTopicRequest,
  listTopicSnapshotsRequest,
  listTopicSnapshotsResponse,
  listTopicSubscriptionsRequest,
  listTopicSubscriptionsResponse,
  listTopicsRequest,
  listTopicsResponse,
  publishRequest,
  publishResponse,
  topicMessage,
  updateTopicRequest,
} from '../../../wire/pubsub/messages.ts'
import { readPublishRequest } from '../../../wire/pubsub/publish-request.ts'
import { msOf } from '../../../wire/protobuf/well-known.ts'
import { checkTopic } from '../checks.ts'
import { alreadyExists, invalid } from '../errors.ts'
import { type AnyMethod, method } from '../method.ts'
import { deletedSchema, nameOf, parseName, parseNewName, parseProject } from '../names.ts'
import { pageOf } from '../paging.ts'
import { publish } from '../publish.ts'
import { type FoundTopic, named, refuseOwned } from '../service.ts'
import { retentionDefaultMs } from '../subscription.ts'
import { updated } from '../updates.ts'

const service = 'Publisher' as const
const topicPath = '{topic=projects/*/topics/*}'
/** A message of 10 MB, as the service takes them, and what a batch has around it. */
const batchBytesMax = 11 * 1024 * 1024

const createTopic = method({
  service,
  name: 'CreateTopic',
  request: topicMessage,
  response: topicMessage,
  rest: { verb: 'PUT', path: '/v1/{name=projects/*/topics/*}', body: '*' },
  async handle(request, { service: pubsub, access }) {
    const { id } = parseNewName('topics', request.name)
    if (!/^[A-Za-z0-9._-]{1,249}$/.test(id))
      throw invalid(
        `Invalid resource name given (name=${request.name}). A topic of Millrace has 1 to 249 letters, digits, dots, underscores and hyphens.`,
      )
    access.demandCreate(id)
    await checkTopic(request, pubsub.transforms)
    pubsub.schemas.checkSettings(request.schemaSettings)
    return pubsub.turn('topics', id, async () => {
      if ((await pubsub.findTopic(request.name)) !== null) throw alreadyExists(id)
      const { messageRetentionDuration: own } = request
      const retentionMs = Math.max(retentionDefaultMs, own === null ? 0 : msOf(own))
      const config = { 'retention.ms': String(retentionMs), 'max.message.bytes': String(batchBytesMax) }
      const { log, partitions } = pubsub.parts
      // Tags are for the service's account alone, and never shown.
      const message: TopicMessage = { ...request, state: 'ACTIVE', satisfiesPzs: false, tags: new Map() }
      await pubsub.beginTopic(id, message)
      const [fault] = await log.topics.create([{ name: id, partitions, config }])
      if (fault instanceof Fault) {
        await pubsub.forgetTopic(id)
        throw fault.code === 'log.topic-exists' ? alreadyExists(id) : fault
      }
      const info = await log.topics.get(id)
      if (info !== null) await pubsub.keepTopic(info, message)
      return message
    })
  },
})
const updateTopic = method({
  service,
  name: 'UpdateTopic',
  request: updateTopicRequest,
  response: topicMessage,
  rest: { verb: 'PATCH', path: '/v1/{topic.name=projects/*/topics/*}', body: '*' },
  async handle({ topic: given, updateMask }, { service: pubsub, access }) {
    if (given === null) throw invalid('The topic in the UpdateTopicRequest must be set.')
    const { id } = parseName('topics', given.name)
    access.demand('alter', 'topic', id)
    return pubsub.turn('topics', id, async () => {
      const { info, message: old } = await pubsub.topic(given.name)
      const mutable = [
        ...['labels', 'message_storage_policy', 'message_retention_duration', 'schema_settings', 'kms_key_name'],
        ...['ingestion_data_source_settings', 'message_transforms'],
      ]
      const message = updated(topicMessage, { old, given, paths: updateMask?.paths ?? [], mutable })
      await checkTopic(message, pubsub.transforms)
      const stays = old.schemaSettings?.schema === deletedSchema && message.schemaSettings?.schema === deletedSchema
      if (!stays) pubsub.schemas.checkSettings(message.schemaSettings)
      await pubsub.keepTopic(info, message)
      return message
    })
  },
})
const publishMethod = method({
  service,
  name: 'Publish',
  request: publishRequest,
  response: publishResponse,
  rest: { verb: 'POST', path: `/v1/${topicPath}:publish`, body: '*' },
  read: readPublishRequest,
  async handle(request, { service: pubsub, access }) {
    const { id } = parseName('topics', request.topic)
    access.demand('write', 'topic', id)
    const topic: FoundTopic = await pubsub.topic(request.topic)
    refuseOwned(pubsub, id)
    access.demandQuota('producer_byte_rate')
    const charge = (bytes: number): void => access.used('producer_byte_rate', bytes)
    return { messageIds: await publish(pubsub, topic, request, charge) }
  },
})
const getTopic = method({
  service,
  name: 'GetTopic',
  request: getTopicRequest,
  response: topicMessage,
  rest: { verb: 'GET', path: `/v1/${topicPath}` },
  async handle({ topic }, { service: pubsub, access }) {
    access.demand('describe', 'topic', parseName('topics', topic).id)
    return (await pubsub.topic(topic)).message
  },
})
const listTopics = method({
  service,
  name: 'ListTopics',
  request: listTopicsRequest,
  response: listTopicsResponse,
  rest: { verb: 'GET', path: '/v1/{project=projects/*}/topics' },
  async handle(request, { service: pubsub, access }) {
    const project = parseProject(request.project)
    const seen = (await pubsub.topics()).filter(({ info }) => access.sees('describe', 'topic', info.name))
    const { items, nextPageToken } = pageOf(seen, ({ info }) => info.name, request)
    return { topics: items.map(({ info, message }) => named('topics', project, info.name, message)), nextPageToken }
  },
})
const listTopicSubscriptions = method({
  service,
  name: 'ListTopicSubscriptions',
  request: listTopicSubscriptionsRequest,
  response: listTopicSubscriptionsResponse,
  rest: { verb: 'GET', path: `/v1/${topicPath}/subscriptions` },
  async handle(request, { service: pubsub, access }) {
    const { project, id } = parseName('topics', request.topic)
    access.demand('describe', 'topic', id)
    const { info } = await pubsub.topic(request.topic)
    const ids = pubsub
      .subscriptionsOf(info)
      .map((one) => one.id)
      .toSorted()
    const { items, nextPageToken } = pageOf(ids, (one) => one, request)
    return { subscriptions: items.map((one) => nameOf('subscriptions', project, one)), nextPageToken }
  },
})
const listTopicSnapshots = method({
  service,
  name: 'ListTopicSnapshots',
  request: listTopicSnapshotsRequest,
  response: listTopicSnapshotsResponse,
  rest: { verb: 'GET', path: `/v1/${topicPath}/snapshots` },
  async handle(request, { service: pubsub, access }) {
    const { project, id } = parseName('topics', request.topic)
    access.demand('describe', 'topic', id)
    const { info } = await pubsub.topic(request.topic)
    const ids = pubsub.snapshots.all().flatMap(([one, { topicId }]) => (topicId === info.id ? [one] : []))
    const { items, nextPageToken } = pageOf(ids, (one) => one, request)
    return { snapshots: items.map((one) => nameOf('snapshots', project, one)), nextPageToken }
  },
})
const deleteTopic = method({
  service,
  name: 'DeleteTopic',
  request: deleteTopicRequest,
  response: empty,
  rest: { verb: 'DELETE', path: `/v1/${topicPath}` },
  async handle({ topic: name }, { service: pubsub, access }) {
    const { id } = parseName('topics', name)
    access.demand('delete', 'topic', id)
    return pubsub.turn('topics', id, async () => {
      const { info } = await pubsub.topic(name)
      refuseOwned(pubsub, id)
      const reader = pubsub.parts.uses.readerOf(id)
      if (reader !== null) throw new Fault('log.topic-in-use', { topic: id, by: `the ${reader.kind} ${reader.name}` })
      const subscriptions = pubsub.subscriptionsOf(info)
      const [fault] = await pubsub.parts.log.topics.remove([id])
      if (fault instanceof Fault) throw fault
      await pubsub.forgetTopic(id)
      for (const one of subscriptions) await pubsub.loseTopic(one, info)
      return {}
    })
  },
})
const detachSubscription = method({
  service,
  name: 'DetachSubscription',
  request: detachSubscriptionRequest,
  response: detachSubscriptionResponse,
  rest: { verb: 'POST', path: '/v1/{subscription=projects/*/subscriptions/*}:detach' },
  async handle({ subscription: name }, { service: pubsub, access }) {
    const { id } = parseName('subscriptions', name)
    access.demand('delete', 'group', `pubsub.${id}`)
    return pubsub.turn('subscriptions', id, async () => {
      const { kept } = pubsub.subscription(name)
      await pubsub.keepSubscription(id, { ...kept, topicId: '', message: { ...kept.message, detached: true } })
      await pubsub.parts.log.queues.forget(`pubsub.${id}`, null)
      return {}
    })
  },
})

export const publisher: readonly AnyMethod[] = [
  createTopic,
  updateTopic,
  publishMethod,
  getTopic,
  listTopics,
  listTopicSubscriptions,
  listTopicSnapshots,
  deleteTopic,
  detachSubscription,
]
