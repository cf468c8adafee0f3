/**
 * Groups that change their protocol while their members run (KIP-848, Kafka's default policy: both ways). A classic group
 * becomes one of the consumer protocol when the first consumer of that protocol joins; it becomes classic again when the
 * last of them has gone. Pure.
 */
import { Fault } from '../../../../lib/fault.ts'
import { limits } from '../../../../lib/limits.ts'
import type { Partition } from '../../../log.ts'
import type { ClassicGroup } from '../classic-group.ts'
import { readAssignment, readSubscription, writeAssignment } from '../embedded.ts'
import type { StoredGroup, StoredMember } from '../formats.ts'
import { type Protocol, chooseProtocol } from '../member.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import { type Change, type Holding, type TopicPartitions, sortedTexts } from './model.ts'
import type { TopicsView } from './state.ts'

/** Would the group consist of classic members alone, and of some, without these and with so many that join? */
export function mayDowngrade({ state }: ConsumerGroup, leaving: ReadonlySet<string>, joining = 0): boolean {
  let left = joining
  for (const [member, info] of state.infos) {
    if (leaving.has(member)) continue
    if (info.classic === null) return false
    left++
  }
  return left > 0 && left <= limits.groupMembers
}

/** The classic group of the members that are there; their protocols beside what a record says of them. */
export interface ClassicSeed {
  readonly stored: StoredGroup
  readonly protocols: ReadonlyMap<string, readonly Protocol[]>
}
export function classicFrom(group: ConsumerGroup, without: ReadonlySet<string>): ClassicSeed {
  const { state, host } = group
  const staying = [...state.infos].filter(([member]) => !without.has(member))
  const protocols = new Map(staying.map(([member, info]) => [member, info.classic?.protocols ?? []]))
  const protocol = chooseProtocol([...protocols.values()])
  const members = staying.map(([id, info]): StoredMember => {
    const subscription = info.classic?.protocols.find(({ name }) => name === protocol)?.metadata ?? new Uint8Array()
    const partitions = group
      .named(state.targetOf(id))
      .flatMap(({ topic, partitions: indexes }) => indexes.map((index): Partition => ({ topic, index })))
    return {
      id,
      instanceId: info.instanceId,
      clientId: info.clientId,
      host: info.host,
      rebalanceTimeoutMs: info.rebalanceTimeoutMs,
      sessionTimeoutMs: info.classic?.sessionTimeoutMs ?? host.settings().sessionMs,
      subscription,
      assignment: writeAssignment(readSubscription(subscription)?.version ?? 0, partitions),
    }
  })
  const stored = {
    protocolType: 'consumer',
    generation: state.epoch,
    protocol,
    leader: members[0]?.id ?? null,
    sinceMs: host.wallMs(),
    members,
  }
  return { stored, protocols }
}

/** What a classic group is as one of the consumer protocol. Throws Fault log.unknown-group, as Kafka, when it cannot be. */
export function consumerFrom(classic: ClassicGroup, topics: TopicsView): Change[] {
  const refuse = (): Fault => new Fault('log.unknown-group', { group: classic.name })
  if (classic.protocolType !== 'consumer') throw refuse()
  const epoch = classic.generation
  const changes: Change[] = []
  for (const member of classic.members.values()) {
    const used = member.protocols.find(({ name }) => name === classic.protocol) ?? member.protocols[0]
    const subscription = used === undefined ? null : readSubscription(used.metadata)
    const assignment = member.assignment.length === 0 ? nothingAssigned : readAssignment(member.assignment)
    // What an assignor of the client's own says to its members would be lost.
    const isForeign = assignment === null || (assignment.userData !== null && assignment.userData.length > 0)
    if (subscription === null || isForeign) throw refuse()
    const target = byId(assignment.partitions, topics)
    const assigned: Holding = new Map(
      Array.from(target, ([id, indexes]) => [id, new Map(Array.from(indexes, (index) => [index, epoch]))]),
    )
    changes.push(
      {
        kind: 'info',
        member: member.id,
        value: {
          instanceId: member.instanceId,
          rackId: subscription.rackId === '' ? null : subscription.rackId,
          clientId: member.clientId,
          host: member.host,
          topics: sortedTexts(subscription.topics),
          pattern: '',
          rebalanceTimeoutMs: member.rebalanceTimeoutMs,
          assignor: null,
          classic: { sessionTimeoutMs: member.sessionTimeoutMs, protocols: member.protocols },
        },
      },
      { kind: 'target', member: member.id, value: target },
      {
        kind: 'progress',
        member: member.id,
        value: { epoch, previousEpoch: epoch, state: 'stable', assigned, revoking: new Map() },
      },
    )
  }
  changes.push({ kind: 'epoch', value: { epoch, hash: 0 } }, { kind: 'assignment', value: { epoch, timeMs: 0 } })
  return changes
}
const nothingAssigned = { partitions: [] as readonly Partition[], userData: null }
function byId(partitions: readonly Partition[], topics: TopicsView): TopicPartitions {
  const found = new Map<string, Set<number>>()
  for (const [topic, of] of Map.groupBy(partitions, (partition) => partition.topic)) {
    const id = topics.byName(topic)?.id
    if (id !== undefined) found.set(id, new Set(of.map(({ index }) => index)))
  }
  return found
}
