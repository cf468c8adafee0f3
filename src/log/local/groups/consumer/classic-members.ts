/**
 * Members that speak the classic protocol in a group of the consumer protocol: what JoinGroup, SyncGroup, Heartbeat and
 * LeaveGroup do there. The coordinator assigns, so nobody is leader; the member's epoch is its generation.
 */
import { Fault } from '../../../../lib/fault.ts'
import type { Partition } from '../../../log.ts'
import { type Subscription, readSubscription, writeAssignment } from '../embedded.ts'
import { ownProtocols } from '../memory.ts'
import type { JoinAnswer, JoinRequest, SyncAnswer, SyncRequest } from '../messages.ts'
import { type ConsumerGroup, newMember } from './consumer-group.ts'
import type { Edit } from './edit.ts'
import { mayDowngrade } from './migration.ts'
import { type MemberInfo, type TopicPartitions, sortedTexts } from './model.ts'

const protocolType = 'consumer'

/** Whether the group is to become a classic one: what it had of others than classic members has gone with this join. */
export function join(
  group: ConsumerGroup,
  edit: Edit,
  request: JoinRequest & { memberId: string; isNew: boolean },
  nowMs: number,
): { answer: JoinAnswer; downgrade: boolean; rebalance: boolean } {
  const { memberId, instanceId, protocols } = request
  group.refuseWhenFull(memberId)
  const subscription = subscriptionOf(group, request)
  if (request.isNew && request.memberIdRequired && instanceId === null)
    throw new Fault('log.member-id-required', { member: memberId })
  const holder = instanceId === null ? null : group.state.memberOf(instanceId)
  const replaces = holder !== null && group.state.infos.get(holder)?.classic === null
  const downgrade = replaces && mayDowngrade(group, new Set([holder]), 1)
  const before =
    instanceId === null
      ? (group.state.infos.get(memberId) ?? newMember)
      : group.staticMember(edit, { memberId, instanceId, joins: request.isNew, classic: true, epoch: -1, owned: null })
  const changed = group.update(edit, memberId, before, {
    ...before,
    instanceId: instanceId ?? before.instanceId,
    rackId: subscription.rackId === null || subscription.rackId === '' ? before.rackId : subscription.rackId,
    clientId: request.clientId,
    host: request.host,
    topics: sortedTexts(subscription.topics),
    pattern: '',
    rebalanceTimeoutMs: request.rebalanceTimeoutMs,
    classic: { sessionTimeoutMs: request.sessionTimeoutMs, protocols: ownProtocols(request) },
  })
  const isNews = changed.topics || changed.pattern !== 'same'
  group.raiseEpoch(edit, isNews)
  const rebalance = downgrade && group.state.assignmentEpoch < group.state.epoch
  if (!downgrade) group.assign(edit, nowMs)
  const progress = rebalance
    ? group.state.progressOf(memberId)
    : group.reconcile(edit, memberId, { changed: isNews, owned: byId(group, subscription.owned), nowMs })
  group.watches.heard(memberId, nowMs)
  group.watches.joined(memberId, nowMs + request.rebalanceTimeoutMs)
  const answer: JoinAnswer = {
    generation: progress.epoch,
    protocolType,
    protocol: protocols[0]!.name,
    leader: '',
    memberId,
    members: [],
    skipAssignment: false,
  }
  return { answer, downgrade, rebalance }
}
function subscriptionOf(group: ConsumerGroup, request: JoinRequest): Subscription {
  const inconsistent = (why: string): Fault => new Fault('log.inconsistent-protocol', { group: group.name, why })
  if (request.protocolType !== protocolType) throw inconsistent(`the protocol type is ${protocolType}`)
  const [first] = request.protocols
  if (first === undefined) throw inconsistent('it names no protocol')
  const others = [...group.state.infos].filter(([id, info]) => id !== request.memberId && info.classic !== null)
  const isCommon = (name: string): boolean =>
    others.every(([, info]) => info.classic!.protocols.some((one) => one.name === name))
  if (!request.protocols.some(({ name }) => isCommon(name)))
    throw inconsistent('no strategy in common with all classic members')
  const subscription = readSubscription(first.metadata)
  if (subscription === null) throw inconsistent('what it subscribes to cannot be read')
  return subscription
}
function byId(group: ConsumerGroup, partitions: readonly Partition[]): TopicPartitions {
  const found = new Map<string, Set<number>>()
  for (const { topic, index } of partitions) {
    const id = group.host.topics.byName(topic)?.id
    if (id === undefined) continue
    const known = found.get(id)
    if (known === undefined) found.set(id, new Set([index]))
    else known.add(index)
  }
  return found
}

export function sync(group: ConsumerGroup, request: SyncRequest, nowMs: number): SyncAnswer {
  const { memberId } = request
  const { info, classic } = classicMember(group, request)
  const [first] = classic.protocols
  const odd =
    (request.protocolType !== null && request.protocolType !== protocolType) ||
    (request.protocol !== null && request.protocol !== first?.name)
  if (odd)
    throw new Fault('log.inconsistent-protocol', {
      group: group.name,
      why: `the group uses ${protocolType} ${first?.name}`,
    })
  const progress = group.state.progressOf(memberId)
  // One that has still to give something up has joined for this already; the next join comes after that.
  if (group.state.assignmentEpoch > progress.epoch && progress.state !== 'unrevoked')
    throw mustJoin(group, memberId, info, nowMs)
  group.watches.synced(memberId)
  group.watches.heard(memberId, nowMs)
  const partitions = group
    .named(progress.assigned)
    .flatMap(({ topic, partitions: indexes }) => indexes.map((index) => ({ topic, index })))
  const version = readSubscription(first?.metadata ?? new Uint8Array())?.version ?? 0
  return { protocolType, protocol: first?.name ?? '', assignment: writeAssignment(version, partitions) }
}
function mustJoin(group: ConsumerGroup, memberId: string, info: MemberInfo, nowMs: number): Fault {
  group.watches.mustJoin(memberId, nowMs + info.rebalanceTimeoutMs)
  return new Fault('log.rebalance-in-progress', { group: group.name })
}

export function heartbeat(
  group: ConsumerGroup,
  request: { memberId: string; instanceId: string | null; generation: number },
  nowMs: number,
): Fault | null {
  const { memberId } = request
  const { info } = classicMember(group, request)
  group.watches.heard(memberId, nowMs)
  const { state } = group
  const progress = state.progressOf(memberId)
  const isBehind = progress.epoch < state.assignmentEpoch
  const mayHaveMore = progress.state === 'unreleased' && !waitsForOthers(group, memberId)
  if (!isBehind && progress.state !== 'unrevoked' && !mayHaveMore) return null
  return mustJoin(group, memberId, info, nowMs)
}
function waitsForOthers({ state }: ConsumerGroup, memberId: string): boolean {
  const { assigned } = state.progressOf(memberId)
  for (const [topicId, indexes] of state.targetOf(memberId))
    for (const index of indexes)
      if (assigned.get(topicId)?.has(index) !== true && state.ownerOf(topicId, index) !== null) return true
  return false
}
function classicMember(
  group: ConsumerGroup,
  request: { memberId: string; instanceId: string | null; generation: number },
): { info: MemberInfo; classic: NonNullable<MemberInfo['classic']> } {
  const info = group.memberBy(request.memberId, request.instanceId)
  if (info.classic === null) throw group.unknown(request.memberId)
  const current = group.state.progressOf(request.memberId).epoch
  if (request.generation !== current)
    throw new Fault('log.illegal-generation', { group: group.name, found: request.generation, current })
  return { info, classic: info.classic }
}

/** The member that LeaveGroup means: by its id, or its instance id alone. Throws Fault. */
export function leaving(group: ConsumerGroup, by: { memberId: string; instanceId: string | null }): string {
  const memberId =
    by.memberId === '' && by.instanceId !== null ? (group.state.memberOf(by.instanceId) ?? '') : by.memberId
  group.memberBy(memberId, by.instanceId)
  return memberId
}
