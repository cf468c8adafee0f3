/** All that a group is, and how its records change it. */
import { createHash } from 'node:crypto'
import {
  type Change,
  type MemberInfo,
  type Progress,
  type ResolvedPattern,
  type TopicPartitions,
  awayEpoch,
  noPartitions,
} from './model.ts'
import { bytesOfInfo, bytesOfPattern, bytesOfProgress, bytesOfTarget } from './size.ts'

/** The topics of the log, as groups see them. */
export interface TopicsView {
  byName(name: string): { readonly id: string; readonly partitions: number } | null
  byId(id: string): { readonly name: string; readonly partitions: number } | null
}
export type ConsumerGroupState = 'Empty' | 'Assigning' | 'Reconciling' | 'Stable'

export class GroupState {
  /** What it holds in memory. */
  bytes = 0
  readonly infos = new Map<string, MemberInfo>()
  readonly progress = new Map<string, Progress>()
  readonly targets = new Map<string, TopicPartitions>()
  readonly patterns = new Map<string, ResolvedPattern>()
  #epoch: Extract<Change, { kind: 'epoch' }>['value'] = null
  #assignment: Extract<Change, { kind: 'assignment' }>['value'] = null
  // Derived.
  readonly #instances = new Map<string, string>()
  readonly #patternUsers = new Map<string, number>()
  readonly #topicUsers = new Map<string, number>()
  #owners: Map<string, Map<number, string>> | null = null

  get epoch(): number {
    return this.#epoch?.epoch ?? 1
  }
  get hash(): number {
    return this.#epoch?.hash ?? 0
  }
  get assignmentEpoch(): number {
    return this.#assignment?.epoch ?? 0
  }
  get isStored(): boolean {
    return this.#epoch !== null || this.infos.size > 0
  }

  /** The change that undoes this one. */
  apply(change: Change): Change {
    switch (change.kind) {
      case 'epoch': {
        const before = this.#epoch
        this.#epoch = change.value
        return { kind: 'epoch', value: before }
      }
      case 'assignment': {
        const before = this.#assignment
        this.#assignment = change.value
        return { kind: 'assignment', value: before }
      }
      case 'info':
        return { ...change, value: this.#applyInfo(change.member, change.value) }
      case 'target': {
        const before = this.targets.get(change.member) ?? null
        this.bytes += bytesOfTarget(change.value) - bytesOfTarget(before)
        if (change.value === null) this.targets.delete(change.member)
        else this.targets.set(change.member, change.value)
        return { ...change, value: before }
      }
      case 'progress':
        return { ...change, value: this.#applyProgress(change.member, change.value) }
      case 'pattern': {
        const before = this.patterns.get(change.pattern) ?? null
        this.bytes += bytesOfPattern(change.value) - bytesOfPattern(before)
        this.#count(this.#topicUsers, before?.topics ?? [], -1)
        this.#count(this.#topicUsers, change.value?.topics ?? [], 1)
        if (change.value === null) this.patterns.delete(change.pattern)
        else this.patterns.set(change.pattern, change.value)
        return { ...change, value: before }
      }
    }
  }
  #applyInfo(member: string, info: MemberInfo | null): MemberInfo | null {
    const before = this.infos.get(member) ?? null
    this.bytes += bytesOfInfo(info) - bytesOfInfo(before)
    if (before !== null) {
      this.#count(this.#topicUsers, before.topics, -1)
      if (before.pattern !== '') this.#count(this.#patternUsers, [before.pattern], -1)
      if (before.instanceId !== null && this.#instances.get(before.instanceId) === member)
        this.#instances.delete(before.instanceId)
    }
    if (info === null) this.infos.delete(member)
    else {
      this.infos.set(member, info)
      this.#count(this.#topicUsers, info.topics, 1)
      if (info.pattern !== '') this.#count(this.#patternUsers, [info.pattern], 1)
      if (info.instanceId !== null) this.#instances.set(info.instanceId, member)
    }
    return before
  }
  #count(counts: Map<string, number>, keys: readonly string[], by: number): void {
    for (const key of keys) {
      const count = (counts.get(key) ?? 0) + by
      if (count === 0) counts.delete(key)
      else counts.set(key, count)
    }
  }
  #applyProgress(member: string, progress: Progress | null): Progress | null {
    const before = this.progress.get(member) ?? null
    this.bytes += bytesOfProgress(progress) - bytesOfProgress(before)
    if (progress === null) this.progress.delete(member)
    else this.progress.set(member, progress)
    if (this.#owners !== null) {
      if (before !== null) disown(this.#owners, member, before)
      if (progress !== null) own(this.#owners, member, progress)
    }
    return before
  }

  // --- members

  progressOf(member: string): Progress {
    return this.progress.get(member) ?? newProgress
  }
  targetOf(member: string): TopicPartitions {
    return this.targets.get(member) ?? noPartitions
  }
  memberOf(instanceId: string): string | null {
    return this.#instances.get(instanceId) ?? null
  }
  patternUsers(pattern: string): number {
    return this.#patternUsers.get(pattern) ?? 0
  }
  patternsUsed(): string[] {
    return [...this.#patternUsers.keys()]
  }
  classicCount(): number {
    let count = 0
    for (const info of this.infos.values()) if (info.classic !== null) count++
    return count
  }
  state(): ConsumerGroupState {
    if (this.infos.size === 0) return 'Empty'
    if (this.epoch > this.assignmentEpoch) return 'Assigning'
    for (const member of this.infos.keys()) if (!this.isReconciled(member)) return 'Reconciling'
    return 'Stable'
  }
  isReconciled(member: string): boolean {
    const { state, epoch } = this.progressOf(member)
    return state === 'stable' && epoch === this.assignmentEpoch
  }
  /** The assignor that most members ask for. */
  assignor(): string | null {
    const votes = new Map<string, number>()
    for (const { assignor } of this.infos.values()) if (assignor !== null) this.#count(votes, [assignor], 1)
    let best: string | null = null
    for (const [name, count] of votes) if (best === null || count > votes.get(best)!) best = name
    return best
  }

  // --- partitions

  /** Who holds it or has still to give it up. */
  ownerOf(topicId: string, index: number): string | null {
    if (this.#owners === null) {
      this.#owners = new Map()
      for (const [member, progress] of this.progress) own(this.#owners, member, progress)
    }
    return this.#owners.get(topicId)?.get(index) ?? null
  }

  // --- topics

  subscribesTo(topic: string): boolean {
    return this.#topicUsers.has(topic)
  }
  /** Names that a member subscribes to, by name and by pattern; a pattern that is not resolved yet means none. */
  topicsOf({ topics, pattern }: MemberInfo): readonly string[] {
    const matched = pattern === '' ? [] : (this.patterns.get(pattern)?.topics ?? [])
    if (matched.length === 0) return topics
    return topics.length === 0 ? matched : [...new Set([...topics, ...matched])]
  }
  /** Another value when a subscribed topic is there, gone, another one of the same name, or has more partitions. */
  computeHash(topics: TopicsView): number {
    const hash = createHash('sha256')
    let count = 0
    for (const name of [...this.#topicUsers.keys()].toSorted()) {
      const topic = topics.byName(name)
      if (topic === null) continue
      count++
      hash.update(`${name} ${topic.id} ${topic.partitions}\n`)
    }
    return count === 0 ? 0 : hash.digest().readUIntBE(0, 6)
  }
}

/** Of a member that has just come. */
const newProgress: Progress = {
  epoch: 0,
  previousEpoch: -1,
  state: 'stable',
  assigned: new Map(),
  revoking: new Map(),
}
export const isAway = (progress: Progress): boolean => progress.epoch === awayEpoch

function own(owners: Map<string, Map<number, string>>, member: string, { assigned, revoking }: Progress): void {
  for (const holding of [assigned, revoking])
    for (const [topicId, epochs] of holding) {
      let of = owners.get(topicId)
      if (of === undefined) owners.set(topicId, (of = new Map()))
      for (const index of epochs.keys()) of.set(index, member)
    }
}
function disown(owners: Map<string, Map<number, string>>, member: string, { assigned, revoking }: Progress): void {
  for (const holding of [assigned, revoking])
    for (const [topicId, epochs] of holding) {
      const of = owners.get(topicId)
      if (of === undefined) continue
      for (const index of epochs.keys()) if (of.get(index) === member) of.delete(index)
      if (of.size === 0) owners.delete(topicId)
    }
}
