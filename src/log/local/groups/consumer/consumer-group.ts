/**
 * One group of the consumer protocol (KIP-848), as a state machine: requests and the passing of time come in; answers and
 * changes to be stored go out. No clock, no I/O. A request throws a Fault or gives its answer; its Edit says what changed.
 *
 * The group's epoch rises whenever members, subscriptions or topics change. When it is ahead of the assignment's epoch, the
 * assignor gives every member a new target. Each member then goes from what it holds to its target in steps of its own
 * (`reconcile.ts`), one a heartbeat, and takes over the assignment's epoch on the way.
 *
 * Members that speak the classic protocol take part (KIP-848's migration; `classic-members.ts`): for them the coordinator
 * does what a leader would, and a rebalance is their way to be told of a step. Long because what a request may do is one
 * state machine; what can stand alone (`edit.ts`, `reconcile.ts`, `assignors.ts`) does.
 */
import { Fault } from '../../../../lib/fault.ts'
import { limits } from '../../../../lib/limits.ts'
import type { ConsumerHeartbeat, ConsumerHeartbeatAnswer, DescribedConsumerGroup } from '../../../broker.ts'
import { type AssignedMember, assignorNames, isAssignor } from './assignors.ts'
import { Edit } from './edit.ts'
import type { GroupKind } from './kind.ts'
import {
  type Holding,
  type MemberInfo,
  type Progress,
  type ResolvedPattern,
  type TopicPartitions,
  awayEpoch,
  nothingHeld,
  sameHolding,
  sameInfo,
  sameProgress,
  sameTexts,
  samePartitions,
  sortedTexts,
} from './model.ts'
import { checkPattern } from './patterns.ts'
import { bytesOfInfo } from './size.ts'
import { GroupState, type TopicsView, isAway } from './state.ts'
import { Watches } from './watches.ts'

export interface ConsumerGroupSettings {
  readonly sessionMs: number
  /** null: short while the group is small (see `heartbeatMs`). */
  readonly heartbeatMs: number | null
  /** The least time between two assignments. */
  readonly assignmentMs: number
}
export interface ConsumerGroupHost {
  readonly topics: TopicsView
  /** Rises when topics are created. */
  topicsVersion(): number
  /** Wall clock, for what is stored; deadlines go by the `nowMs` of each call. */
  wallMs(): number
  settings(): ConsumerGroupSettings
  /** Why the group may not hold so much more; null: it may. */
  refuses(moreBytes: number): Fault | null
  /** Finds the topics of these patterns; `resolved` is to be called with them, or `unresolved`. */
  resolve(patterns: readonly string[], mayFind: (topic: string) => boolean): void
}

/** New topics are looked for this soon, and all patterns anew this often (Kafka: 10 s; the same). */
const patternsAgainMs = 1_000
const patternsRefreshMs = 10 * 60_000
/**
 * Kafka asks for a heartbeat every 5 s, however few the members are: then a third member waits 5 s for its share. A group
 * that has changed is likely to change again: members start together.
 */
const heartbeatMinMs = 500
const heartbeatMovingMs = 100
const movingMs = 3_000
const heartbeatMaxMs = 5_000
const heartbeatMsPerMember = 50

export class ConsumerGroup {
  readonly name: string
  readonly state = new GroupState()
  readonly host: ConsumerGroupHost
  readonly kind: GroupKind
  readonly watches: Watches
  /** Topics may have changed since the epoch was looked at. */
  #stale = true
  #assignedMs = -Infinity
  #raisedMs = -Infinity
  #resolving = false
  #resolvedMs = -Infinity
  #resolvedVersion = -1

  constructor(name: string, host: ConsumerGroupHost, kind: GroupKind) {
    this.name = name
    this.host = host
    this.kind = kind
    this.watches = new Watches(this.state, () => host.settings().sessionMs)
  }
  begin(): Edit {
    return new Edit(this.state)
  }
  get isEmpty(): boolean {
    return this.state.infos.size === 0
  }

  // --- heartbeats

  heartbeat(edit: Edit, request: ConsumerHeartbeat, nowMs: number): ConsumerHeartbeatAnswer {
    const { memberId, owned: said } = request
    const owned = said === null ? null : new Map(said.map((one) => [one.topicId, new Set(one.partitions)]))
    if (request.assignor !== null && !isAssignor(request.assignor))
      throw new Fault('log.unsupported-assignor', { assignor: request.assignor, offered: assignorNames.join(', ') })
    this.refuseWhenFull(memberId)
    const before = this.#member(edit, request, owned)
    const changed = this.update(edit, memberId, before, {
      instanceId: request.instanceId ?? before.instanceId,
      rackId: request.rackId ?? before.rackId,
      clientId: request.clientId,
      host: request.host,
      topics: request.topics === null ? before.topics : sortedTexts(request.topics),
      pattern: request.pattern ?? before.pattern,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs < 0 ? before.rebalanceTimeoutMs : request.rebalanceTimeoutMs,
      assignor: request.assignor ?? before.assignor,
      classic: null,
    })
    this.#refreshPatterns(nowMs, request.mayFind ?? (() => true))
    this.raiseEpoch(edit, changed.topics || changed.pattern === 'resolved')
    this.assign(edit, nowMs)
    const { assigned } = this.state.progressOf(memberId)
    const progress = this.reconcile(edit, memberId, {
      changed: changed.topics || changed.pattern !== 'same',
      owned,
      nowMs,
    })
    this.watches.heard(memberId, nowMs)
    const news = request.epoch === 0 || this.kind.saysAll(request) || !sameHolding(assigned, progress.assigned)
    return {
      memberId,
      epoch: progress.epoch,
      heartbeatMs: this.heartbeatMs(memberId, nowMs),
      assignment: news
        ? Array.from(progress.assigned, ([topicId, of]) => ({ topicId, partitions: [...of.keys()] }))
        : null,
    }
  }
  /** Until the next one of this member. */
  heartbeatMs(member: string, nowMs: number): number {
    const settings = this.host.settings().heartbeatMs
    if (settings !== null) return settings
    const isMoving = nowMs < this.#raisedMs + movingMs || !this.state.isReconciled(member)
    const least = isMoving ? heartbeatMovingMs : heartbeatMinMs
    return Math.min(heartbeatMaxMs, Math.max(least, this.state.infos.size * heartbeatMsPerMember))
  }
  refuseWhenFull(memberId: string): void {
    const membersMax = limits.groupMembers
    if (this.state.infos.size >= membersMax && !this.state.infos.has(memberId))
      throw new Fault('log.group-full', { group: this.name, membersMax })
  }
  #member(edit: Edit, request: ConsumerHeartbeat, owned: TopicPartitions | null): MemberInfo {
    const { memberId, instanceId, epoch } = request
    if (instanceId !== null)
      return this.staticMember(edit, { memberId, instanceId, joins: epoch === 0, classic: false, epoch, owned })
    const info = this.state.infos.get(memberId)
    if (info === undefined) {
      if (epoch === 0) return newMember
      throw this.unknown(memberId)
    }
    this.#refuseOddEpoch(memberId, epoch, owned)
    return info
  }
  /** A static member: the one there is, a new one, or one that takes the place of its former self. */
  staticMember(
    edit: Edit,
    by: {
      memberId: string
      instanceId: string
      joins: boolean
      classic: boolean
      epoch: number
      owned: TopicPartitions | null
    },
  ): MemberInfo {
    const { memberId, instanceId } = by
    const { state } = this
    const holder = state.memberOf(instanceId)
    if (!by.joins) {
      if (holder === null) throw this.unknown(memberId)
      if (holder !== memberId) throw new Fault('log.fenced-instance', { group: this.name, instance: instanceId })
      if (!by.classic) this.#refuseOddEpoch(memberId, by.epoch, by.owned)
      return state.infos.get(holder)!
    }
    if (holder === null) return state.infos.get(memberId) ?? newMember
    const info = state.infos.get(holder)!
    const progress = state.progressOf(holder)
    // Of two consumers, the first keeps the name until it leaves; one that speaks the classic protocol is replaced.
    if (!by.classic && info.classic === null && !isAway(progress))
      throw new Fault('log.unreleased-instance', { group: this.name, instance: instanceId, member: holder })
    const target = state.targetOf(holder)
    this.remove(edit, holder)
    edit.put({ kind: 'info', member: memberId, value: info })
    edit.put({ kind: 'target', member: memberId, value: target })
    edit.put({ kind: 'progress', member: memberId, value: { ...progress, epoch: 0, previousEpoch: 0 } })
    return info
  }
  #refuseOddEpoch(member: string, found: number, owned: TopicPartitions | null): void {
    const progress = this.state.progressOf(member)
    if (found === 0 || found === progress.epoch) return
    // The answer with the newer epoch may have been lost.
    const isKnown = found < progress.epoch && found === progress.previousEpoch
    if (isKnown && (!this.kind.isExclusive || holdsAll(progress.assigned, owned))) return
    throw new Fault('log.fenced-member-epoch', { group: this.name, member, found, current: progress.epoch })
  }

  /** Takes over what the member says of itself. */
  update(
    edit: Edit,
    member: string,
    before: MemberInfo,
    info: MemberInfo,
  ): { topics: boolean; pattern: 'same' | 'changed' | 'resolved' } {
    if (!this.state.infos.has(member) || !sameInfo(before, info)) {
      const refused = this.host.refuses(bytesOfInfo(info) - bytesOfInfo(this.state.infos.get(member) ?? null))
      if (refused !== null) throw refused
      edit.put({ kind: 'info', member, value: info })
    }
    return {
      topics: !sameTexts(before.topics, info.topics),
      pattern: before.pattern === info.pattern ? 'same' : this.#changePattern(edit, before.pattern, info.pattern),
    }
  }
  #changePattern(edit: Edit, from: string, to: string): 'changed' | 'resolved' {
    const { state } = this
    this.#dropUnused(edit, [from])
    if (to === '') return 'resolved'
    if (state.patternUsers(to) > 1) return state.patterns.has(to) ? 'resolved' : 'changed'
    checkPattern(to)
    if (state.patternsUsed().length > limits.groupPatterns)
      throw new Fault('log.invalid-pattern', {
        pattern: to.slice(0, 64),
        why: `the group has ${limits.groupPatterns} patterns already`,
      })
    return 'changed'
  }
  #dropUnused(edit: Edit, patterns: Iterable<string>): void {
    for (const pattern of patterns)
      if (this.state.patterns.has(pattern) && this.state.patternUsers(pattern) === 0)
        edit.put({ kind: 'pattern', pattern, value: null })
  }

  // --- patterns

  /** By what the member that asks may see, as in Kafka. */
  #refreshPatterns(nowMs: number, mayFind: (topic: string) => boolean): void {
    const used = this.state.patternsUsed()
    if (used.length === 0 || this.#resolving) return
    const unresolved = used.some((pattern) => !this.state.patterns.has(pattern))
    const isOld = nowMs >= this.#resolvedMs + patternsRefreshMs
    const news = this.#resolvedVersion !== this.host.topicsVersion() && nowMs >= this.#resolvedMs + patternsAgainMs
    if (!unresolved && !isOld && !news) return
    this.#resolving = true
    this.#resolvedVersion = this.host.topicsVersion()
    this.#resolvedMs = nowMs
    this.host.resolve(used, mayFind)
  }
  resolved(edit: Edit, found: ReadonlyMap<string, readonly string[]>): void {
    this.#resolving = false
    edit.onUndo(() => (this.#resolvedVersion = -1))
    let bump = false
    const timeMs = this.host.wallMs()
    for (const [pattern, topics] of found) {
      if (this.state.patternUsers(pattern) === 0) continue
      const before = this.state.patterns.get(pattern)
      if (before !== undefined && sameTexts(before.topics, topics)) continue
      bump ||= before !== undefined || topics.length > 0
      const value: ResolvedPattern = { topics, version: this.#resolvedVersion, timeMs }
      edit.put({ kind: 'pattern', pattern, value })
    }
    this.#stale ||= bump
    this.raiseEpoch(edit, bump)
  }
  unresolved(): void {
    this.#resolving = false
    this.#resolvedVersion = -1
  }
  topicsChanged(): void {
    this.#stale = true
  }

  // --- assignment

  /** Raises the group's epoch when asked to, or when its topics are not what they were. */
  raiseEpoch(edit: Edit, bump: boolean): void {
    if (!bump && !this.#stale) return
    const { state } = this
    const hash = state.computeHash(this.host.topics)
    this.#stale = false
    edit.onUndo(() => (this.#stale = true))
    if (bump || hash !== state.hash) edit.put({ kind: 'epoch', value: { epoch: state.epoch + 1, hash } })
  }
  assign(edit: Edit, nowMs: number): void {
    const { state } = this
    if (state.assignmentEpoch >= state.epoch) return
    this.#raisedMs = nowMs
    if (nowMs < this.#assignedMs + this.host.settings().assignmentMs) return
    const members = this.#assignedMembers()
    const targets = this.kind.assignor(state)(members, (id) => this.host.topics.byId(id)?.partitions ?? 0)
    members.forEach(({ id, target }, i) => {
      if (!state.targets.has(id) || !samePartitions(target, targets[i]!))
        edit.put({ kind: 'target', member: id, value: targets[i]! })
    })
    edit.put({ kind: 'assignment', value: { epoch: state.epoch, timeMs: this.host.wallMs() } })
    this.#assignedMs = nowMs
  }
  #assignedMembers(): AssignedMember[] {
    const sets = new Map<string, ReadonlySet<string>>()
    return Array.from(this.state.infos, ([id, info]) => {
      const key = `${info.topics.join()} ${info.pattern}`
      let topics = sets.get(key)
      if (topics === undefined) sets.set(key, (topics = this.#topicIds(info)))
      return { id, instanceId: info.instanceId, topics, target: this.state.targetOf(id) }
    })
  }
  #topicIds(info: MemberInfo): ReadonlySet<string> {
    const ids = new Set<string>()
    for (const name of this.state.topicsOf(info)) {
      const topic = this.host.topics.byName(name)
      if (topic !== null) ids.add(topic.id)
    }
    return ids
  }
  /** One step of the member towards its target. */
  reconcile(
    edit: Edit,
    member: string,
    by: { changed: boolean; owned: TopicPartitions | null; nowMs: number },
  ): Progress {
    const { state } = this
    const before = state.progressOf(member)
    if (!by.changed && state.isReconciled(member)) return before
    const info = state.infos.get(member)!
    const after = this.kind.reconcile(before, {
      epoch: state.assignmentEpoch,
      target: state.targetOf(member),
      subscribed: this.#topicIds(info),
      changed: by.changed,
      owned: by.owned,
      isFree: (topicId, index) => state.ownerOf(topicId, index) === null,
    })
    if (sameProgress(before, after)) return before
    edit.put({ kind: 'progress', member, value: after })
    if (info.classic === null)
      this.watches.revokes(member, after.state === 'unrevoked' ? by.nowMs + info.rebalanceTimeoutMs : Infinity)
    return after
  }

  // --- leaving

  /** A consumer leaves: for good, or for a while. True: for good, and its fencing is left to do. */
  leave(edit: Edit, request: { memberId: string; instanceId: string | null; epoch: number }): boolean {
    const { memberId, instanceId, epoch } = request
    this.memberBy(memberId, instanceId)
    if (epoch !== awayEpoch || instanceId === null) return true
    const progress = this.state.progressOf(memberId)
    const assigned = new Map(
      Array.from(progress.assigned, ([topicId, of]) => [
        topicId,
        new Map(Array.from(of.keys(), (index) => [index, 0])),
      ]),
    )
    edit.put({
      kind: 'progress',
      member: memberId,
      value: { ...progress, epoch: awayEpoch, assigned, revoking: nothingHeld },
    })
    return false
  }
  /** Takes members out; what they held is free at once. */
  fence(edit: Edit, members: ReadonlySet<string>): void {
    const patterns = new Set(Array.from(members, (member) => this.state.infos.get(member)?.pattern ?? ''))
    for (const member of members) this.remove(edit, member)
    this.#dropUnused(edit, patterns)
    const hash = this.state.computeHash(this.host.topics)
    edit.put({ kind: 'epoch', value: { epoch: this.state.epoch + 1, hash } })
  }
  remove(edit: Edit, member: string): void {
    edit.put({ kind: 'progress', member, value: null })
    edit.put({ kind: 'target', member, value: null })
    edit.put({ kind: 'info', member, value: null })
  }
  /** The end of the group. */
  dissolve(edit: Edit): void {
    const { state } = this
    for (const member of [...state.infos.keys()]) this.remove(edit, member)
    for (const pattern of [...state.patterns.keys()]) edit.put({ kind: 'pattern', pattern, value: null })
    edit.put({ kind: 'assignment', value: null })
    edit.put({ kind: 'epoch', value: null })
  }

  // --- positions

  /** May this member commit these? Throws Fault. */
  checkCommit(request: {
    memberId: string
    instanceId: string | null
    epoch: number
    transactional: boolean
    /** OffsetCommit 9 and later. */
    knowsEpochs: boolean
    partitions: readonly { topic: string; index: number }[]
  }): void {
    const { memberId, instanceId, epoch, transactional } = request
    if (epoch < 0 && this.isEmpty) return
    if (transactional && epoch < 0 && memberId === '' && instanceId === null) return
    const info = this.state.infos.get(memberId)
    if (info === undefined) throw this.unknown(memberId)
    if (!transactional && info.classic === null && !request.knowsEpochs)
      throw new Fault('log.client-too-old', {
        what: 'members of this kind of group commit with OffsetCommit 9 or later',
      })
    const progress = this.state.progressOf(memberId)
    if (epoch === progress.epoch) return
    const current = progress.epoch
    const stale =
      info.classic !== null || transactional
        ? new Fault('log.illegal-generation', { group: this.name, found: epoch, current })
        : new Fault('log.stale-member-epoch', { group: this.name, member: memberId, found: epoch, current })
    // An older epoch is good for what the member has had since then (KIP-1251).
    for (const { topic, index } of request.partitions) {
      const topicId = this.host.topics.byName(topic)?.id ?? ''
      const since = progress.assigned.get(topicId)?.get(index) ?? progress.revoking.get(topicId)?.get(index)
      if (epoch > current || since === undefined || epoch < since) throw stale
    }
  }
  /** May this member ask for positions? Throws Fault. */
  checkFetch(memberId: string | null, epoch: number): void {
    if (memberId === null && epoch < 0) return
    const info = this.state.infos.get(memberId ?? '')
    if (memberId === null || info === undefined) throw this.unknown(memberId ?? '')
    const current = this.state.progressOf(memberId).epoch
    if (epoch === current) return
    if (info.classic !== null) throw new Fault('log.illegal-generation', { group: this.name, found: epoch, current })
    throw new Fault('log.stale-member-epoch', { group: this.name, member: memberId, found: epoch, current })
  }

  // --- who is who

  unknown(member: string): Fault {
    return new Fault('log.unknown-member', { group: this.name, member })
  }
  memberBy(memberId: string, instanceId: string | null): MemberInfo {
    if (instanceId !== null) {
      const holder = this.state.memberOf(instanceId)
      if (holder === null) throw this.unknown(memberId)
      if (holder !== memberId) throw new Fault('log.fenced-instance', { group: this.name, instance: instanceId })
    }
    const info = this.state.infos.get(memberId)
    if (info === undefined) throw this.unknown(memberId)
    return info
  }
  describe(): DescribedConsumerGroup {
    const { state } = this
    return {
      group: this.name,
      state: this.kind.stateName(state),
      epoch: state.epoch,
      assignmentEpoch: state.assignmentEpoch,
      assignor: state.assignor() ?? this.kind.defaultAssignor,
      members: Array.from(state.infos, ([id, info]) => {
        const { epoch, assigned, revoking } = state.progressOf(id)
        return {
          id,
          instanceId: info.instanceId,
          rackId: info.rackId,
          epoch,
          clientId: info.clientId,
          host: info.host,
          topics: info.topics,
          pattern: info.pattern,
          isClassic: info.classic !== null,
          // It is answerable for what it has still to give up.
          assigned: this.named(assigned, revoking),
          target: this.named(state.targetOf(id)),
        }
      }),
    }
  }
  /** With the names of topics; those that are gone are left out. */
  named(...parts: readonly (TopicPartitions | Holding)[]): { topicId: string; topic: string; partitions: number[] }[] {
    const found = new Map<string, { topicId: string; topic: string; partitions: number[] }>()
    for (const part of parts)
      for (const [topicId, of] of part) {
        const topic = this.host.topics.byId(topicId)?.name
        if (topic === undefined) continue
        const known = found.get(topicId)
        if (known !== undefined) known.partitions.push(...of.keys())
        else found.set(topicId, { topicId, topic, partitions: [...of.keys()] })
      }
    return [...found.values()]
  }
}

export const newMember: MemberInfo = {
  instanceId: null,
  rackId: null,
  clientId: '',
  host: '',
  topics: [],
  pattern: '',
  rebalanceTimeoutMs: -1,
  assignor: null,
  classic: null,
}
function holdsAll(holding: Holding, owned: TopicPartitions | null): boolean {
  if (owned === null) return false
  for (const [topicId, indexes] of owned) {
    const held = holding.get(topicId)
    for (const index of indexes) if (held?.has(index) !== true) return false
  }
  return true
}
