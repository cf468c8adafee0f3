/**
 * One consumer group of the classic protocol (KIP-62, 345 static members, 394 member ids, 559 protocol names, 814 static
 * leaders), as a state machine: requests, the passing of time and stored records come in; answers and records to store go
 * out. No clock, no I/O.
 *
 *   empty → preparing (collects joins) → completing (waits for the leader's assignment) → stable → preparing …
 *
 * A rebalance ends when every member has joined again, or when its time is over: then dynamic members that did not come
 * are out. The first rebalance of an empty group waits a little for others, again for each that comes, up to the rebalance
 * timeout. An answer is kept as the member's `answerJoin` or `answerSync` until it can be given.
 *
 * Long because the states cannot be told apart from the requests that move them.
 */
import { Fault } from '../../../lib/fault.ts'
import type { StoredGroup } from './formats.ts'
import { type GroupMember, type Protocol, bytesOfWishes, chooseProtocol, memberFrom, storedMember } from './member.ts'
import { bytesPerGroup, bytesPerName } from './memory.ts'
import type { JoinAnswer, JoinRequest, SyncAnswer, SyncRequest } from './messages.ts'

export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable'
interface Identity {
  readonly memberId: string
  readonly instanceId: string | null
}

type Joined = Exclude<JoinAnswer, { fault: Fault }>
interface Returned {
  readonly member: GroupMember
  readonly former: GroupMember
  readonly answer: (answer: JoinAnswer) => void
  readonly skips: boolean
}

export interface GroupEffects {
  /** Wall clock, for what is stored; deadlines go by the `nowMs` of each call, which only ever rises. */
  wallMs(): number
  newMemberId(prefix: string): string
  /** Stores what the group is now; `stored` is to be called with the same generation afterwards. */
  store(group: ClassicGroup): void
}
export interface GroupOptions {
  /** The first rebalance of a group begins when nobody has come for so long. */
  readonly initialDelayMs: number
  readonly membersMax: number
}

export class ClassicGroup {
  readonly name: string
  state: GroupState = 'Empty'
  generation = 0
  protocolType: string | null = null
  protocol: string | null = null
  leader: string | null = null
  /** When it came into this state. */
  sinceMs: number
  readonly members = new Map<string, GroupMember>()
  readonly #effects: GroupEffects
  readonly #options: GroupOptions
  /** instance id → member id */
  readonly #instances = new Map<string, string>()
  /** Ids given out by a first join, waiting for the second; when they lapse. */
  readonly #promised = new Map<string, number>()
  /** When the collecting of joins ends. */
  #joinUntilMs = Infinity
  /** While the first rebalance waits for more: when it begins at the latest, whoever comes. */
  #initialUntilMs: number | null = null
  /** Static members that wait for their new member id to be stored. */
  #returned: Returned[] = []
  /** When members that have not asked for their assignment are out. */
  #syncUntilMs = Infinity

  constructor(name: string, effects: GroupEffects, options: GroupOptions) {
    this.name = name
    this.sinceMs = effects.wallMs()
    this.#effects = effects
    this.#options = options
  }

  // --- memory

  get bytes(): number {
    let sum = bytesPerGroup + this.#promised.size * bytesPerName
    for (const member of this.members.values()) sum += member.bytes
    return sum
  }
  /** What it would hold more of, with this member as it wishes to be. */
  bytesMore(request: JoinRequest): number {
    const { memberId, instanceId } = request
    const former = this.members.get(instanceId === null ? memberId : (this.#instances.get(instanceId) ?? memberId))
    return bytesOfWishes(request) - (former === undefined ? 0 : former.bytes - former.assignment.length)
  }
  /** With these assignments. */
  assignedBytesMore({ assignments }: SyncRequest): number {
    let more = 0
    for (const { assignment } of assignments) more += assignment.length
    for (const member of this.members.values()) more -= member.assignment.length
    return more
  }

  // --- joining

  join(request: JoinRequest, nowMs: number, answer: (answer: JoinAnswer) => void): void {
    const refuse = (fault: Fault): void => answer({ fault, memberId: request.memberId })
    const unfit = this.#unfit(request)
    if (unfit !== null) return refuse(unfit)
    if (request.memberId !== '') this.#joinAgain(request, nowMs, answer, refuse)
    else if (request.instanceId !== null) this.#joinStatic(request, request.instanceId, nowMs, answer)
    else this.#joinFirst(request, nowMs, answer)
  }
  #unfit(request: JoinRequest): Fault | null {
    const inconsistent = (why: string): Fault => new Fault('log.inconsistent-protocol', { group: this.name, why })
    if (request.protocolType === '' || request.protocols.length === 0) return inconsistent('it names no protocol')
    const others = [...this.members.values()].filter((member) => member.id !== request.memberId)
    if (others.length === 0) return null
    if (this.protocolType !== request.protocolType) return inconsistent(`the protocol type is ${this.protocolType}`)
    const common = request.protocols.some(({ name }) => others.every((member) => member.supports(name)))
    return common ? null : inconsistent('no strategy in common with all members')
  }
  #joinFirst(request: JoinRequest, nowMs: number, answer: (answer: JoinAnswer) => void): void {
    const memberId = this.#effects.newMemberId(request.clientId)
    if (this.members.size + this.#promised.size >= this.#options.membersMax)
      return answer({ fault: this.#full(), memberId: '' })
    if (!request.memberIdRequired) return this.#add(memberId, request, nowMs, answer)
    this.#promised.set(memberId, nowMs + request.sessionTimeoutMs)
    answer({ fault: new Fault('log.member-id-required', { member: memberId }), memberId })
  }
  #full(): Fault {
    return new Fault('log.group-full', { group: this.name, membersMax: this.#options.membersMax })
  }
  #joinStatic(request: JoinRequest, instance: string, nowMs: number, answer: (answer: JoinAnswer) => void): void {
    const memberId = this.#effects.newMemberId(instance)
    const formerId = this.#instances.get(instance)
    const former = formerId === undefined ? undefined : this.members.get(formerId)
    if (former !== undefined) return this.#replace(former, memberId, request, nowMs, answer)
    if (this.members.size >= this.#options.membersMax) return answer({ fault: this.#full(), memberId: '' })
    this.#add(memberId, request, nowMs, answer)
  }
  #joinAgain(
    request: JoinRequest,
    nowMs: number,
    answer: (answer: JoinAnswer) => void,
    refuse: (fault: Fault) => void,
  ): void {
    if (this.#promised.has(request.memberId)) {
      this.#promised.delete(request.memberId)
      return this.#add(request.memberId, request, nowMs, answer)
    }
    const found = this.#member(request)
    if (found instanceof Fault) return refuse(found)
    const changed = !found.offersSame(request.protocols)
    const isLeader = found.id === this.leader
    switch (this.state) {
      case 'Empty':
        return refuse(this.#unknown(request.memberId))
      case 'PreparingRebalance':
        break
      case 'CompletingRebalance':
        if (!changed) return this.#answerCurrent(found, nowMs, answer)
        break
      case 'Stable':
        if (!changed && !isLeader) return this.#answerCurrent(found, nowMs, answer)
        break
    }
    found.update(request)
    this.#await(found, nowMs, answer)
    this.#prepareUnlessPreparing(nowMs)
  }
  #answerCurrent(member: GroupMember, nowMs: number, answer: (answer: JoinAnswer) => void): void {
    member.heardMs = nowMs
    answer(this.#joinAnswer(member, false))
  }
  #add(memberId: string, request: JoinRequest, nowMs: number, answer: (answer: JoinAnswer) => void): void {
    const member = memberFrom(memberId, request, nowMs)
    this.members.set(memberId, member)
    if (request.instanceId !== null) this.#instances.set(request.instanceId, memberId)
    this.protocolType = request.protocolType
    this.leader ??= memberId
    if (this.#initialUntilMs !== null)
      this.#joinUntilMs = Math.min(nowMs + this.#options.initialDelayMs, this.#initialUntilMs)
    this.#await(member, nowMs, answer)
    this.#prepareUnlessPreparing(nowMs)
  }
  /** A static member came back under a new member id: it takes the place of its former self. */
  #replace(
    former: GroupMember,
    memberId: string,
    request: JoinRequest,
    nowMs: number,
    answer: (answer: JoinAnswer) => void,
  ): void {
    const fenced = new Fault('log.fenced-instance', { group: this.name, instance: request.instanceId ?? '' })
    former.answerJoin?.({ fault: fenced, memberId: former.id })
    former.answerSync?.({ fault: fenced })
    const wasLeader = this.leader === former.id
    this.members.delete(former.id)
    const member = memberFrom(memberId, request, nowMs)
    member.assign(former.assignment)
    this.members.set(memberId, member)
    this.#instances.set(request.instanceId ?? '', memberId)
    if (wasLeader) this.leader = memberId
    if (this.state === 'Stable' && this.#chooseProtocol() === this.protocol) {
      // No rebalance: it gets what its former self had, once its new id is stored.
      member.heardMs = nowMs
      member.answerJoin = answer
      this.#returned.push({ member, former, answer, skips: request.skipsAssignment })
      return this.#effects.store(this)
    }
    this.#await(member, nowMs, answer)
    this.#prepareUnlessPreparing(nowMs)
  }
  /** Static members that came back, and whether what the group then was is stored. A rebalance may have answered them. */
  #settleReturned(fault: Fault | null, nowMs: number): void {
    const waiting = this.#returned.filter(({ member, answer }) => member.answerJoin === answer)
    this.#returned = []
    for (const { member, former, answer, skips } of waiting.reverse()) {
      member.answerJoin = null
      if (fault === null) {
        member.heardMs = nowMs
        answer(this.#returnedAnswer(member, former, skips))
        continue
      }
      this.members.delete(member.id)
      this.members.set(former.id, former)
      former.heardMs = nowMs
      former.answerJoin = former.answerSync = null
      this.#instances.set(former.instanceId ?? '', former.id)
      if (this.leader === member.id) this.leader = former.id
      answer({ fault, memberId: '' })
    }
    // A later record may say otherwise by now.
    if (fault !== null && waiting.length > 0) this.#effects.store(this)
  }
  /** As Kafka's: a leader that cannot be told to skip the assignment is told that somebody else leads. */
  #returnedAnswer(member: GroupMember, former: GroupMember, skips: boolean): JoinAnswer {
    const current = this.#joinAnswer(member, true)
    if (skips) return current
    return {
      ...current,
      leader: this.leader === member.id ? former.id : current.leader,
      members: [],
      skipAssignment: false,
    }
  }
  #await(member: GroupMember, nowMs: number, answer: (answer: JoinAnswer) => void): void {
    // The same member asking twice: the newer request gets the answer.
    member.answerJoin?.({ fault: new Fault('log.rebalance-in-progress', { group: this.name }), memberId: member.id })
    member.answerJoin = answer
    member.heardMs = nowMs
  }
  #joinAnswer(member: GroupMember, skipAssignment: boolean): Joined {
    const isLeader = this.leader === member.id
    const protocol = this.protocol ?? ''
    return {
      generation: this.generation,
      protocolType: this.protocolType ?? '',
      protocol,
      leader: this.leader ?? '',
      memberId: member.id,
      members: isLeader
        ? Array.from(this.members.values(), ({ id, instanceId, protocols }) => ({
            id,
            instanceId,
            metadata: protocols.find(({ name }) => name === protocol)?.metadata ?? new Uint8Array(),
          }))
        : [],
      skipAssignment: isLeader && skipAssignment,
    }
  }

  // --- rebalancing

  /** Everybody is to join again. */
  rebalance(nowMs: number): void {
    if (this.members.size > 0) this.#prepareUnlessPreparing(nowMs)
  }
  #prepareUnlessPreparing(nowMs: number): void {
    if (this.state !== 'PreparingRebalance') this.#prepare(nowMs)
    this.#completeJoinIfAllCame(nowMs)
  }
  #prepare(nowMs: number): void {
    for (const member of this.members.values()) {
      member.answerSync?.({ fault: new Fault('log.rebalance-in-progress', { group: this.name }) })
      member.answerSync = null
    }
    this.#syncUntilMs = Infinity
    if (this.state === 'Empty') {
      const delayMs = this.#options.initialDelayMs
      this.#joinUntilMs = nowMs + delayMs
      this.#initialUntilMs = nowMs + Math.max(delayMs, this.#rebalanceTimeoutMs())
    } else this.#joinUntilMs = nowMs + this.#rebalanceTimeoutMs()
    this.#become('PreparingRebalance')
  }
  #rebalanceTimeoutMs(): number {
    let longest = 0
    for (const member of this.members.values()) longest = Math.max(longest, member.rebalanceTimeoutMs)
    return longest
  }
  #become(state: GroupState): void {
    this.state = state
    this.sinceMs = this.#effects.wallMs()
  }
  #completeJoinIfAllCame(nowMs: number): void {
    if (this.state !== 'PreparingRebalance' || this.#initialUntilMs !== null || this.#promised.size > 0) return
    for (const member of this.members.values()) if (member.answerJoin === null) return
    this.#completeJoin(nowMs)
  }
  #joinTimeOver(nowMs: number): void {
    this.#initialUntilMs = null
    this.#completeJoin(nowMs)
  }
  #completeJoin(nowMs: number): void {
    for (const member of Array.from(this.members.values()))
      if (member.answerJoin === null && member.instanceId === null) this.#forget(member)
    if (this.members.size > 0 && [...this.members.values()].every((member) => member.answerJoin === null)) {
      // Only static members that are away: they have until their session ends.
      this.#joinUntilMs = nowMs + this.#rebalanceTimeoutMs()
      return
    }
    this.#joinUntilMs = Infinity
    this.generation++
    if (this.members.size === 0) return this.#becomeEmpty()
    this.protocol = this.#chooseProtocol()
    if (this.leader === null || (this.members.get(this.leader)?.answerJoin ?? null) === null)
      this.leader = [...this.members.values()].find((member) => member.answerJoin !== null)!.id
    this.#become('CompletingRebalance')
    this.#syncUntilMs = nowMs + this.#rebalanceTimeoutMs()
    for (const member of this.members.values()) {
      const answer = member.answerJoin
      member.answerJoin = null
      member.synced = false
      if (answer === null) continue
      member.heardMs = nowMs
      answer(this.#joinAnswer(member, false))
    }
  }
  #becomeEmpty(): void {
    this.protocol = null
    this.leader = null
    this.#become('Empty')
    this.#effects.store(this)
  }
  #chooseProtocol(): string {
    return chooseProtocol(Array.from(this.members.values(), ({ protocols }) => protocols))
  }

  // --- assignments

  sync(request: SyncRequest, nowMs: number, answer: (answer: SyncAnswer) => void): void {
    const member = this.#current(request)
    if (member instanceof Fault) return answer({ fault: member })
    const odd =
      (request.protocolType !== null && request.protocolType !== this.protocolType) ||
      (request.protocol !== null && request.protocol !== this.protocol)
    if (odd) {
      const why = `the group uses ${this.protocolType} ${this.protocol}`
      return answer({ fault: new Fault('log.inconsistent-protocol', { group: this.name, why }) })
    }
    member.heardMs = nowMs
    switch (this.state) {
      case 'Empty':
        return answer({ fault: this.#unknown(request.memberId) })
      case 'PreparingRebalance':
        return answer({ fault: new Fault('log.rebalance-in-progress', { group: this.name }) })
      case 'Stable':
        return answer(this.#syncAnswer(member))
      case 'CompletingRebalance':
    }
    member.synced = true
    member.answerSync?.({ fault: new Fault('log.rebalance-in-progress', { group: this.name }) })
    member.answerSync = answer
    if (member.id !== this.leader) return
    const given = new Map(request.assignments.map((one) => [one.memberId, one.assignment]))
    for (const each of this.members.values()) each.assign(given.get(each.id) ?? new Uint8Array())
    this.#effects.store(this)
  }
  /** What `store` asked for is durable, or failed. */
  stored(generation: number, fault: Fault | null, nowMs: number): void {
    if (generation !== this.generation) return
    if (this.state === 'Stable') return this.#settleReturned(fault, nowMs)
    if (this.state !== 'CompletingRebalance') return
    if (fault !== null) {
      for (const member of this.members.values()) {
        member.assign(new Uint8Array())
        member.answerSync?.({ fault })
        member.answerSync = null
      }
      return this.#prepareUnlessPreparing(nowMs)
    }
    this.#become('Stable')
    for (const member of this.members.values()) {
      const answer = member.answerSync
      member.answerSync = null
      if (answer === null) continue
      member.heardMs = nowMs
      answer(this.#syncAnswer(member))
    }
  }
  #syncAnswer(member: GroupMember): SyncAnswer {
    return { protocolType: this.protocolType ?? '', protocol: this.protocol ?? '', assignment: member.assignment }
  }

  // --- staying and leaving

  heartbeat(request: Identity & { generation: number }, nowMs: number): Fault | null {
    const member = this.#current(request)
    if (member instanceof Fault) return member
    member.heardMs = nowMs
    if (this.state === 'Empty') return this.#unknown(request.memberId)
    return this.state === 'PreparingRebalance' ? new Fault('log.rebalance-in-progress', { group: this.name }) : null
  }
  leave(identity: Identity, nowMs: number): Fault | null {
    if (this.#promised.delete(identity.memberId)) {
      this.#completeJoinIfAllCame(nowMs)
      return null
    }
    const byInstance = identity.memberId === '' && identity.instanceId !== null
    const memberId = byInstance ? (this.#instances.get(identity.instanceId ?? '') ?? '') : identity.memberId
    const member = this.#member({ memberId, instanceId: identity.instanceId })
    if (member instanceof Fault) return member
    this.#removeMember(member, nowMs)
    return null
  }
  #removeMember(member: GroupMember, nowMs: number): void {
    this.#forget(member)
    switch (this.state) {
      case 'Empty':
        return
      case 'Stable':
      case 'CompletingRebalance':
        if (this.members.size > 0) return this.#prepareUnlessPreparing(nowMs)
        this.generation++
        this.#syncUntilMs = Infinity
        return this.#becomeEmpty()
      case 'PreparingRebalance':
        if (this.members.size > 0 || this.#promised.size > 0) return this.#completeJoinIfAllCame(nowMs)
        this.#initialUntilMs = null
        return this.#completeJoin(nowMs)
    }
  }
  #forget(member: GroupMember): void {
    member.answerJoin?.({ fault: this.#unknown(member.id), memberId: member.id })
    member.answerSync?.({ fault: this.#unknown(member.id) })
    member.answerJoin = member.answerSync = null
    this.members.delete(member.id)
    if (member.instanceId !== null && this.#instances.get(member.instanceId) === member.id)
      this.#instances.delete(member.instanceId)
    if (this.leader === member.id) this.leader = this.members.keys().next().value ?? null
  }

  /** May this member commit offsets now? Throws no Fault, answers it. */
  commits(request: Identity & { generation: number }, nowMs: number): Fault | null {
    if (request.generation < 0 && this.state === 'Empty') return null
    if (request.generation < 0 && request.memberId === '' && request.instanceId === null)
      return this.#unknown(request.memberId)
    const member = this.#current(request)
    if (member instanceof Fault) return member
    member.heardMs = nowMs
    return this.state === 'CompletingRebalance' ? new Fault('log.rebalance-in-progress', { group: this.name }) : null
  }
  /** The same for a client's transaction: older producers do not say who they commit for, and none is kept up by rebalances. */
  commitsInTransaction(request: Identity & { generation: number }): Fault | null {
    if (request.generation < 0 && this.state === 'Empty') return null
    if (request.generation < 0 && request.memberId === '' && request.instanceId === null) return null
    const member = this.#current(request)
    return member instanceof Fault ? member : null
  }

  // --- time

  /** When something happens without a request. */
  nextMs(): number {
    let next = Math.min(this.#joinUntilMs, this.#syncUntilMs)
    for (const untilMs of this.#promised.values()) next = Math.min(next, untilMs)
    for (const member of this.members.values())
      if (!member.waits) next = Math.min(next, member.heardMs + member.sessionTimeoutMs)
    return next
  }
  pass(nowMs: number): void {
    for (const [memberId, untilMs] of Array.from(this.#promised))
      if (untilMs <= nowMs) {
        this.#promised.delete(memberId)
        this.#completeJoinIfAllCame(nowMs)
      }
    for (const member of Array.from(this.members.values()))
      if (!member.waits && member.heardMs + member.sessionTimeoutMs <= nowMs && this.members.has(member.id))
        this.#removeMember(member, nowMs)
    if (this.state === 'PreparingRebalance' && this.#joinUntilMs <= nowMs) this.#joinTimeOver(nowMs)
    if (this.#syncUntilMs <= nowMs) this.#syncTimeOver(nowMs)
  }
  /** Members that joined and never asked for their assignment hold everyone up: they are out. */
  #syncTimeOver(nowMs: number): void {
    this.#syncUntilMs = Infinity
    if (this.state !== 'CompletingRebalance' && this.state !== 'Stable') return
    for (const member of Array.from(this.members.values()))
      if (!member.synced && this.members.has(member.id)) this.#removeMember(member, nowMs)
  }

  // --- who is who

  #unknown(member: string): Fault {
    return new Fault('log.unknown-member', { group: this.name, member })
  }
  #member({ memberId, instanceId }: Identity): GroupMember | Fault {
    if (instanceId !== null) {
      const current = this.#instances.get(instanceId)
      if (current === undefined) return this.#unknown(memberId)
      if (current !== memberId) return new Fault('log.fenced-instance', { group: this.name, instance: instanceId })
    }
    return this.members.get(memberId) ?? this.#unknown(memberId)
  }
  #current(request: Identity & { generation: number }): GroupMember | Fault {
    const member = this.#member(request)
    if (member instanceof Fault || request.generation === this.generation) return member
    return new Fault('log.illegal-generation', {
      group: this.name,
      found: request.generation,
      current: this.generation,
    })
  }

  // --- as a record

  toStored(): StoredGroup {
    const protocol = this.protocol
    return {
      protocolType: this.protocolType ?? '',
      generation: this.generation,
      protocol,
      leader: this.leader,
      sinceMs: this.sinceMs,
      members: Array.from(this.members.values(), (member) => storedMember(member, protocol ?? '')),
    }
  }
  /**
   * Members go on where they were; each has a whole session timeout to be heard of. `known`: all that they offer,
   * where more is known than the record says.
   */
  restore(stored: StoredGroup, nowMs: number, known?: ReadonlyMap<string, readonly Protocol[]>): void {
    this.generation = stored.generation
    this.protocolType = stored.protocolType === '' ? null : stored.protocolType
    this.protocol = stored.protocol
    this.leader = stored.leader
    if (stored.sinceMs >= 0) this.sinceMs = stored.sinceMs
    for (const one of stored.members) {
      const protocols = known?.get(one.id) ?? [{ name: stored.protocol ?? '', metadata: one.subscription }]
      const member = memberFrom(one.id, { ...one, protocols }, nowMs)
      member.assign(one.assignment)
      member.synced = true
      this.members.set(one.id, member)
      if (one.instanceId !== null) this.#instances.set(one.instanceId, one.id)
    }
    this.state = this.members.size > 0 ? 'Stable' : 'Empty'
  }
  /** Everyone who waits for an answer gets this one. */
  close(fault: Fault): void {
    for (const member of this.members.values()) {
      member.answerJoin?.({ fault, memberId: member.id })
      member.answerSync?.({ fault })
      member.answerJoin = member.answerSync = null
    }
  }
}
