/** google.pubsub.v1.Subscriber: snapshots, and seek. */
import type { Offset } from '../../../lib/brand.ts'
import { limits } from '../../../lib/limits.ts'
import type { QueueState } from '../../../log/queues/queues.ts'
import { empty, msOf, secondsOf } from '../../../wire/protobuf/well-known.ts'
import {
  type SnapshotMessage,
  createSnapshotRequest,
  deleteSnapshotRequest,
  getSnapshotRequest,
  listSnapshotsRequest,
  listSnapshotsResponse,
  seekRequest,
  seekResponse,
  snapshotMessage,
  updateSnapshotRequest,
} from '../../../wire/pubsub/messages.ts'
import { checkLabels } from '../checks.ts'
import { alreadyExists, checkRoom, invalid, notFound, precondition } from '../errors.ts'
import { type AnyMethod, method } from '../method.ts'
import { deletedTopic, newName, parseName, parseNewName, parseProject } from '../names.ts'
import { pageOf } from '../paging.ts'
import { type Service, named, nameOnly } from '../service.ts'
import type { Snapshot } from '../snapshot-store.ts'
import { type Subscription, groupOf, topicOf } from '../subscription.ts'
import { updated } from '../updates.ts'

const service = 'Subscriber' as const
const path = '{snapshot=projects/*/snapshots/*}'
const weekMs = 7 * 24 * 3_600_000
const hourMs = 3_600_000

function found(pubsub: Service, name: string): Snapshot {
  const snapshot = pubsub.snapshots.get(parseName('snapshots', name).id)
  if (snapshot === null) throw notFound(nameOnly(name))
  return snapshot
}
/** A topic of the same name that was made since is another one. */
async function shown(pubsub: Service, { message, topicId }: Snapshot): Promise<SnapshotMessage> {
  const topic = await pubsub.findTopic(message.topic)
  return topic?.info.id === topicId ? message : { ...message, topic: deletedTopic }
}
const createSnapshot = method({
  service,
  name: 'CreateSnapshot',
  request: createSnapshotRequest,
  response: snapshotMessage,
  rest: { verb: 'PUT', path: '/v1/{name=projects/*/snapshots/*}', body: '*' },
  async handle({ name: given, subscription: of, labels }, { service: pubsub, access }) {
    const source = parseName('subscriptions', of)
    const name = newName('snapshots', given, source, () => pubsub.parts.world.random.uuid())
    const { id } = parseNewName('snapshots', name)
    access.demandChange('read', 'group', groupOf(source.id))
    checkLabels(labels)
    // In the subscription's turn as well: a seek that is under way may come to nothing.
    return pubsub.turn('snapshots', id, () =>
      pubsub.turn('subscriptions', parseName('subscriptions', of).id, async () => {
        if (pubsub.snapshots.get(id) !== null) throw alreadyExists(id)
        checkRoom('snapshots', pubsub.snapshots.count, limits.pubsubSnapshots)
        const subscription = pubsub.subscription(of)
        await subscription.partitions()
        if ((await pubsub.topicFor(subscription)) === null)
          throw precondition(`The topic of the subscription was deleted (resource=${nameOnly(of)}).`)
        const nowMs = pubsub.clock.now()
        // It lives for as long as the oldest message in it would.
        const leftMs = weekMs - (nowMs - ((await subscription.oldestUnackedMs()) ?? nowMs))
        if (leftMs < hourMs)
          throw precondition('The snapshot would expire in less than an hour: its backlog is too old.')
        const { topic } = subscription.message
        const snapshot = { name, topic, labels, expireTime: secondsOf(nowMs + leftMs) }
        const { topicId } = subscription.kept
        await pubsub.snapshots.put(id, { message: snapshot, topicId, states: subscription.states() })
        return snapshot
      }),
    )
  },
})
const getSnapshot = method({
  service,
  name: 'GetSnapshot',
  request: getSnapshotRequest,
  response: snapshotMessage,
  rest: { verb: 'GET', path: `/v1/${path}` },
  async handle({ snapshot: name }, { service: pubsub, access }) {
    const snapshot = found(pubsub, name)
    access.demand('describe', 'topic', nameOnly(snapshot.message.topic))
    return { ...(await shown(pubsub, snapshot)), name }
  },
})
const listSnapshots = method({
  service,
  name: 'ListSnapshots',
  request: listSnapshotsRequest,
  response: listSnapshotsResponse,
  rest: { verb: 'GET', path: '/v1/{project=projects/*}/snapshots' },
  async handle(request, { service: pubsub, access }) {
    const project = parseProject(request.project)
    const all = pubsub.snapshots
      .all()
      .filter(([, { message }]) => access.sees('describe', 'topic', nameOnly(message.topic)))
    const { items, nextPageToken } = pageOf(all, ([id]) => id, request)
    const snapshots = await Promise.all(
      items.map(async ([id, one]) => named('snapshots', project, id, await shown(pubsub, one))),
    )
    return { snapshots, nextPageToken }
  },
})
const updateSnapshot = method({
  service,
  name: 'UpdateSnapshot',
  request: updateSnapshotRequest,
  response: snapshotMessage,
  rest: { verb: 'PATCH', path: '/v1/{snapshot.name=projects/*/snapshots/*}', body: '*' },
  async handle({ snapshot: given, updateMask }, { service: pubsub, access }) {
    if (given === null) throw invalid('The snapshot in the UpdateSnapshotRequest must be set.')
    const { id } = parseName('snapshots', given.name)
    return pubsub.turn('snapshots', id, async () => {
      const old = found(pubsub, given.name)
      access.demandChange('read', 'topic', nameOnly(old.message.topic))
      const options = { old: old.message, given, paths: updateMask?.paths ?? [], mutable: ['labels', 'expire_time'] }
      const message = updated(snapshotMessage, options)
      checkLabels(message.labels)
      const { expireTime } = message
      const nowMs = pubsub.clock.now()
      if (expireTime === null || msOf(expireTime) <= nowMs || msOf(expireTime) > nowMs + weekMs)
        throw invalid('Invalid expire_time given. It must lie within the next seven days.')
      await pubsub.snapshots.put(id, { ...old, message })
      return { ...(await shown(pubsub, { ...old, message })), name: given.name }
    })
  },
})
const deleteSnapshot = method({
  service,
  name: 'DeleteSnapshot',
  request: deleteSnapshotRequest,
  response: empty,
  rest: { verb: 'DELETE', path: `/v1/${path}` },
  async handle({ snapshot: name }, { service: pubsub, access }) {
    const { id } = parseName('snapshots', name)
    return pubsub.turn('snapshots', id, async () => {
      access.demandChange('read', 'topic', nameOnly(found(pubsub, name).message.topic))
      await pubsub.snapshots.remove(id)
      return {}
    })
  },
})

// --- seek

type Place = { readonly of: QueueState['of']; readonly offset: Offset; readonly over?: QueueState['over'] }

const seek = method({
  service,
  name: 'Seek',
  request: seekRequest,
  response: seekResponse,
  rest: { verb: 'POST', path: '/v1/{subscription=projects/*/subscriptions/*}:seek', body: '*' },
  async handle({ subscription: name, time, snapshot: snapshotName }, { service: pubsub, access }) {
    const { id } = parseName('subscriptions', name)
    access.demandChange('read', 'group', groupOf(id))
    if (time === null && snapshotName === '') throw invalid('A seek needs a time or a snapshot.')
    return pubsub.turn('subscriptions', id, async () => {
      const subscription = pubsub.subscription(name)
      const to =
        time === null
          ? await snapshotPlaces(pubsub, subscription, snapshotName)
          : await timePlaces(pubsub, subscription, msOf(time))
      await pubsub.parts.log.queues.reset(subscription.group, to)
      subscription.leases.clear()
      return {}
    })
  },
})
async function snapshotPlaces(pubsub: Service, subscription: Subscription, name: string): Promise<Place[]> {
  const { topicId, states } = found(pubsub, name)
  if (topicId !== subscription.kept.topicId)
    throw invalid(`The snapshot ${nameOnly(name)} is not one of the topic of this subscription.`)
  const there = new Map(states.map((state) => [state.of.index, state]))
  const of = await subscription.partitions()
  return of.map((ref) => {
    const state = there.get(ref.index)
    return { of: ref, offset: state?.start ?? (0 as Offset), over: state?.over ?? [] }
  })
}
/**
 * What was published from then on is to be delivered: what was acknowledged comes back where it is kept, by the subscription
 * since it was made, or by the topic for as long as it keeps messages.
 */
async function timePlaces(pubsub: Service, subscription: Subscription, timeMs: number): Promise<Place[]> {
  const { log } = pubsub.parts
  const { message, kept } = subscription
  const topic = topicOf(message)
  const of = await subscription.partitions()
  if (of.length === 0) return []
  const partitions = of.map(({ index }) => ({ topic, index }))
  const { messageRetentionDuration: topicKeeps } = (await pubsub.topic(message.topic)).message
  const fromMs = topicKeeps === null ? timeMs : Math.max(timeMs, pubsub.clock.now() - msOf(topicKeeps))
  const [found, bounds] = await Promise.all([
    log.findTime(partitions, Math.max(0, Math.floor(fromMs))),
    log.bounds(partitions),
  ])
  const states = new Map(subscription.states().map((state) => [state.of.index, state]))
  return of.map((ref, i) => {
    const wanted = found[i]?.offset ?? bounds[i]!.end
    if (topicKeeps !== null) return { of: ref, offset: wanted }
    const born = kept.born[ref.index] ?? 0
    if (message.retainAckedMessages) return { of: ref, offset: Math.max(wanted, born) as Offset }
    const state = states.get(ref.index)
    const start = Math.max(wanted, state?.start ?? born) as Offset
    return { of: ref, offset: start, over: state?.over ?? [] }
  })
}

export const snapshots: readonly AnyMethod[] = [
  createSnapshot,
  getSnapshot,
  listSnapshots,
  updateSnapshot,
  deleteSnapshot,
  seek,
]
