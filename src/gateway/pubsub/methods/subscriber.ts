/** google.pubsub.v1.Subscriber: subscriptions, and messages from them; snapshots are in `snapshots.ts`. */
import { limits } from '../../../lib/limits.ts'
import { empty, msOf, secondsOf } from '../../../wire/protobuf/well-known.ts'
import {
  type PushConfig,
  type RetryPolicy,
  type SubscriptionMessage,
  acknowledgeRequest,
  deleteSubscriptionRequest,
  getSubscriptionRequest,
  listSubscriptionsRequest,
  listSubscriptionsResponse,
  modifyAckDeadlineRequest,
  modifyPushConfigRequest,
  pullRequest,
  pullResponse,
  subscriptionMessage,
  updateSubscriptionRequest,
} from '../../../wire/pubsub/messages.ts'
import type { Access } from '../access.ts'
import { messageOf } from '../carried.ts'
import { checkPush, checkSubscription } from '../checks.ts'
import { alreadyExists, checkRoom, invalid, notFound } from '../errors.ts'
import { type AnyMethod, method } from '../method.ts'
import { deletedTopic, nameOf, newName, parseName, parseNewName, parseProject } from '../names.ts'
import { pageOf } from '../paging.ts'
import { type Service, nameOnly, refuseOwned } from '../service.ts'
import { acknowledged, deadlineModified, someRefused } from '../settling.ts'
import { type Subscription, backoffMaxDefaultMs, backoffMinDefaultMs, bytesOf, groupOf } from '../subscription.ts'
import { updated } from '../updates.ts'

const service = 'Subscriber' as const
const path = '{subscription=projects/*/subscriptions/*}'
const weekSeconds = 7 * 24 * 3_600
const monthSeconds = 31 * 24 * 3_600
const secretBytes = 32

/** As the service fills in what was not said. */
function withDefaults(given: SubscriptionMessage): SubscriptionMessage {
  const { pushConfig, deadLetterPolicy: dead, ackDeadlineSeconds } = given
  const isPush = (pushConfig?.pushEndpoint ?? '') !== ''
  const hasWrapper = pushConfig !== null && (pushConfig.noWrapper !== null || pushConfig.pubsubWrapper !== null)
  return {
    ...given,
    ackDeadlineSeconds: ackDeadlineSeconds === 0 ? 10 : ackDeadlineSeconds,
    messageRetentionDuration: given.messageRetentionDuration ?? { seconds: weekSeconds, nanos: 0 },
    expirationPolicy: given.expirationPolicy ?? { ttl: { seconds: monthSeconds, nanos: 0 } },
    pushConfig: isPush
      ? { ...pushConfig!, attributes: withVersion(pushConfig!), ...(hasWrapper ? {} : { pubsubWrapper: {} }) }
      : pushConfig,
    deadLetterPolicy: dead === null ? null : { ...dead, maxDeliveryAttempts: dead.maxDeliveryAttempts || 5 },
    retryPolicy: given.retryPolicy === null ? null : backoffs(given.retryPolicy),
    // They are for the service's account alone, and never shown.
    tags: new Map(),
    state: 'ACTIVE',
    topicMessageRetentionDuration: null,
    detached: false,
  }
}
function backoffs({ minimumBackoff: min, maximumBackoff: max }: RetryPolicy): RetryPolicy {
  const most = max ?? secondsOf(backoffMaxDefaultMs)
  return { minimumBackoff: min ?? secondsOf(Math.min(backoffMinDefaultMs, msOf(most))), maximumBackoff: most }
}
const withVersion = ({ attributes }: PushConfig): ReadonlyMap<string, string> =>
  attributes.has(versionAttribute) ? attributes : new Map([...attributes, [versionAttribute, 'v1']])
const versionAttribute = 'x-goog-version'
/** Throws RpcError, Fault. Who lets messages go there writes there. `before`: where they go already. */
async function checkDeadLetterTopic(
  pubsub: Service,
  access: Access,
  { deadLetterPolicy }: SubscriptionMessage,
  before: SubscriptionMessage | null = null,
): Promise<void> {
  if (deadLetterPolicy === null) return
  const { deadLetterTopic } = deadLetterPolicy
  if (before?.deadLetterPolicy?.deadLetterTopic === deadLetterTopic) return
  const { id } = parseName('topics', deadLetterTopic)
  access.demand('write', 'topic', id)
  refuseOwned(pubsub, id)
  if ((await pubsub.findTopic(deadLetterTopic)) === null) throw notFound(nameOnly(deadLetterTopic))
}
/** What is shown of it: under the name that was asked for, with what its topic keeps. */
async function shown(pubsub: Service, name: string, subscription: Subscription): Promise<SubscriptionMessage> {
  const { message } = subscription
  const isThere = (await pubsub.topicFor(subscription)) !== null
  const found = isThere ? await pubsub.findTopic(message.topic) : null
  const topicMessageRetentionDuration = found?.message.messageRetentionDuration ?? null
  const topic = isThere || message.detached ? message.topic : deletedTopic
  return { ...message, name, topic, topicMessageRetentionDuration, pushConfig: message.pushConfig ?? emptyPush }
}
const emptyPush = {
  pushEndpoint: '',
  attributes: new Map<string, string>(),
  oidcToken: null,
  pubsubWrapper: null,
  noWrapper: null,
}

const createSubscription = method({
  service,
  name: 'CreateSubscription',
  request: subscriptionMessage,
  response: subscriptionMessage,
  rest: { verb: 'PUT', path: '/v1/{name=projects/*/subscriptions/*}', body: '*' },
  async handle(request, { service: pubsub, access }) {
    if (request.topic === '') throw invalid('You have passed an invalid argument to the service (argument=topic).')
    const topic = parseName('topics', request.topic)
    const name = newName('subscriptions', request.name, topic, () => pubsub.parts.world.random.uuid())
    const { id } = parseNewName('subscriptions', name)
    access.demandChange('read', 'group', groupOf(id))
    access.demand('read', 'topic', topic.id)
    const message = withDefaults({ ...request, name })
    await checkSubscription(message, pubsub.transforms)
    return pubsub.turn('subscriptions', id, async () => {
      if (pubsub.subscriptions.has(id)) throw alreadyExists(id)
      checkRoom('subscriptions', pubsub.subscriptions.size, limits.pubsubSubscriptions)
      const { info } = await pubsub.topic(request.topic)
      await checkDeadLetterTopic(pubsub, access, message)
      const { log, world } = pubsub.parts
      const of = Array.from({ length: info.partitions }, (_, index) => ({ topic: info.name, index }))
      const bounds = await log.bounds(of)
      // Where it begins is durable before it is: messages published from its answer on are its.
      const begin = bounds.map(({ partition, end }) => ({
        of: { topicId: info.id, index: partition.index },
        offset: end,
      }))
      await log.queues.reset(groupOf(id), begin)
      const subscription = await pubsub.keepSubscription(id, {
        message,
        topicId: info.id,
        ackKey: Buffer.from(world.random.bytes(secretBytes)).toString('base64'),
        createdMs: world.clock.now(),
        activeMs: world.clock.now(),
        born: bounds.map(({ end }) => end),
      })
      return shown(pubsub, name, subscription)
    })
  },
})
const getSubscription = method({
  service,
  name: 'GetSubscription',
  request: getSubscriptionRequest,
  response: subscriptionMessage,
  rest: { verb: 'GET', path: `/v1/${path}` },
  handle({ subscription: name }, { service: pubsub, access }) {
    access.demand('describe', 'group', groupOf(parseName('subscriptions', name).id))
    return shown(pubsub, name, pubsub.subscription(name))
  },
})
const mutable = [
  ...['push_config', 'ack_deadline_seconds', 'retain_acked_messages', 'message_retention_duration', 'labels'],
  ...['expiration_policy', 'dead_letter_policy', 'retry_policy', 'enable_exactly_once_delivery', 'message_transforms'],
  ...['bigquery_config', 'cloud_storage_config', 'bigtable_config'],
]
const updateSubscription = method({
  service,
  name: 'UpdateSubscription',
  request: updateSubscriptionRequest,
  response: subscriptionMessage,
  rest: { verb: 'PATCH', path: '/v1/{subscription.name=projects/*/subscriptions/*}', body: '*' },
  async handle({ subscription: given, updateMask }, { service: pubsub, access }) {
    if (given === null) throw invalid('The subscription in the UpdateSubscriptionRequest must be set.')
    const { id } = parseName('subscriptions', given.name)
    access.demandChange('read', 'group', groupOf(id))
    return pubsub.turn('subscriptions', id, async () => {
      const { kept } = pubsub.subscription(given.name)
      const options = { old: kept.message, given, paths: updateMask?.paths ?? [], mutable }
      const next = updated(subscriptionMessage, options)
      const message = { ...withDefaults(next), detached: kept.message.detached }
      await checkSubscription(message, pubsub.transforms)
      await checkDeadLetterTopic(pubsub, access, message, kept.message)
      return shown(pubsub, given.name, await pubsub.keepSubscription(id, { ...kept, message }))
    })
  },
})
const listSubscriptions = method({
  service,
  name: 'ListSubscriptions',
  request: listSubscriptionsRequest,
  response: listSubscriptionsResponse,
  rest: { verb: 'GET', path: '/v1/{project=projects/*}/subscriptions' },
  async handle(request, { service: pubsub, access }) {
    const project = parseProject(request.project)
    const all = [...pubsub.subscriptions.values()]
      .filter(({ group }) => access.sees('describe', 'group', group))
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    const { items, nextPageToken } = pageOf(all, ({ id }) => id, request)
    const subscriptions = await Promise.all(
      items.map((one) => shown(pubsub, nameOf('subscriptions', project, one.id), one)),
    )
    return { subscriptions, nextPageToken }
  },
})
const deleteSubscription = method({
  service,
  name: 'DeleteSubscription',
  request: deleteSubscriptionRequest,
  response: empty,
  rest: { verb: 'DELETE', path: `/v1/${path}` },
  handle({ subscription: name }, { service: pubsub, access }) {
    const { id } = parseName('subscriptions', name)
    access.demand('delete', 'group', groupOf(id))
    return pubsub.turn('subscriptions', id, async () => {
      await pubsub.removeSubscription(pubsub.subscription(name))
      return {}
    })
  },
})
const modifyAckDeadline = method({
  service,
  name: 'ModifyAckDeadline',
  request: modifyAckDeadlineRequest,
  response: empty,
  rest: { verb: 'POST', path: `/v1/${path}:modifyAckDeadline`, body: '*' },
  async handle({ subscription: name, ackIds, ackDeadlineSeconds }, { service: pubsub, access }) {
    access.demand('read', 'group', groupOf(parseName('subscriptions', name).id))
    const refused = await deadlineModified(pubsub.subscription(name), ackIds, ackDeadlineSeconds)
    if (refused.size > 0) throw someRefused(refused)
    return {}
  },
})
const acknowledge = method({
  service,
  name: 'Acknowledge',
  request: acknowledgeRequest,
  response: empty,
  rest: { verb: 'POST', path: `/v1/${path}:acknowledge`, body: '*' },
  async handle({ subscription: name, ackIds }, { service: pubsub, access }) {
    access.demand('read', 'group', groupOf(parseName('subscriptions', name).id))
    const refused = await acknowledged(pubsub.subscription(name), ackIds)
    pubsub.parts.meter.acknowledged(ackIds.length - refused.size)
    if (refused.size > 0) throw someRefused(refused)
    return {}
  },
})
const pull = method({
  service,
  name: 'Pull',
  request: pullRequest,
  response: pullResponse,
  rest: { verb: 'POST', path: `/v1/${path}:pull`, body: '*' },
  async handle({ subscription: name, returnImmediately, maxMessages }, { service: pubsub, access, signal, timeoutMs }) {
    if (maxMessages <= 0)
      throw invalid(
        `The value for max_messages is too small. You passed ${maxMessages} in the request, but the minimum value is 1.`,
      )
    access.demand('read', 'group', groupOf(parseName('subscriptions', name).id))
    const subscription = pubsub.subscription(name)
    pubsub.demandRead(access, subscription)
    subscription.demandPull()
    const mostMs = Math.max(0, Math.min(limits.pubsubPullWaitMs, timeoutMs - answerMs))
    const overMs = access.overQuotaMs('consumer_byte_rate')
    if (overMs > 0) await pubsub.clock.sleep(Math.min(overMs, mostMs), signal)
    if (overMs > mostMs) return {}
    const pulled = await subscription.pull({
      messagesMax: Math.min(maxMessages, limits.pubsubPullMessages),
      bytesMax: limits.pubsubPullBytes,
      waitMs: returnImmediately ? 0 : Math.max(0, mostMs - overMs),
      deadlineMs: subscription.deadlineMs,
      holder: null,
      keyHolder: subscription.newHolder(),
      signal: AbortSignal.any([signal, subscription.changed]),
    })
    try {
      // Until the client has the answer, or is gone.
      const bytes = bytesOf(pulled.deliveries)
      access.used('consumer_byte_rate', bytes)
      const share = await pubsub.room.take(bytes, signal)
      signal.addEventListener('abort', () => share.give(), { once: true })
      const counts = subscription.message.deadLetterPolicy !== null
      // The bytes go back to the log before they are sent.
      const receivedMessages = pulled.deliveries.map(({ ackId, attempt, message }) => ({
        ackId,
        message: messageOf({ ...message, data: Buffer.from(message.data) }),
        deliveryAttempt: counts ? attempt : 0,
      }))
      pubsub.parts.meter.delivered(receivedMessages.length)
      return { receivedMessages }
    } finally {
      pulled.release()
    }
  },
})
/** Left of a client's deadline to be answered that there is nothing. */
const answerMs = 500
const modifyPushConfig = method({
  service,
  name: 'ModifyPushConfig',
  request: modifyPushConfigRequest,
  response: empty,
  rest: { verb: 'POST', path: `/v1/${path}:modifyPushConfig`, body: '*' },
  async handle({ subscription: name, pushConfig }, { service: pubsub, access }) {
    const { id } = parseName('subscriptions', name)
    access.demandChange('read', 'group', groupOf(id))
    checkPush(pushConfig)
    return pubsub.turn('subscriptions', id, async () => {
      const { kept } = pubsub.subscription(name)
      const version = kept.message.pushConfig?.attributes.get(versionAttribute)
      const next =
        version === undefined || pushConfig === null
          ? pushConfig
          : { ...pushConfig, attributes: new Map([[versionAttribute, version], ...pushConfig.attributes]) }
      const message = { ...withDefaults({ ...kept.message, pushConfig: next }), detached: kept.message.detached }
      await checkSubscription(message, pubsub.transforms)
      await pubsub.keepSubscription(id, { ...kept, message })
      return {}
    })
  },
})

export const subscriber: readonly AnyMethod[] = [
  createSubscription,
  getSubscription,
  updateSubscription,
  listSubscriptions,
  deleteSubscription,
  modifyAckDeadline,
  acknowledge,
  pull,
  modifyPushConfig,
]
