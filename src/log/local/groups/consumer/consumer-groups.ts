/**
 * The groups of the consumer protocol of one log: gives the state machines a clock and member ids, writes what they
 * change before it is answered, and trades groups with the classic protocol.
 */
import { Fault, asFault } from '../../../../lib/fault.ts'
import type { World } from '../../../../lib/world.ts'
import type { LogRecord, RecordInput } from '../../../batch.ts'
import type { ConsumerHeartbeat, ConsumerHeartbeatAnswer, GroupCoordinator } from '../../../broker.ts'
import { DeadlineTimer } from '../../../deadline-timer.ts'
import type { Journal } from '../../../journal.ts'
import type { ClassicGroup } from '../classic-group.ts'
import { type GroupMemory, bytesPerGroup } from '../memory.ts'
import type { JoinAnswer, JoinRequest, SyncAnswer, SyncRequest } from '../messages.ts'
import * as classicMembers from './classic-members.ts'
import { ConsumerGroup, type ConsumerGroupSettings } from './consumer-group.ts'
import type { Edit } from './edit.ts'
import { type ClassicSeed, classicFrom, consumerFrom, mayDowngrade } from './migration.ts'
import { type GroupKind, consumerKind } from './kind.ts'
import { awayEpoch } from './model.ts'
import { matches } from './patterns.ts'
import type { TopicsView } from './state.ts'

/** The classic groups, as far as they change their protocol. */
export interface ClassicSide {
  get(name: string): ClassicGroup | null
  /** Takes it away; its members are told to join again. Returns how to put it back. */
  take(name: string): () => void
  /** Puts one there. Returns how to take it away again. */
  put(name: string, seed: ClassicSeed, rebalance: boolean): () => void
}
export interface ConsumerGroupsHost {
  readonly topics: TopicsView & {
    /** Those that clients may subscribe to by a pattern. */
    names(): Iterable<string>
  }
  readonly classic: ClassicSide
  readonly memory: GroupMemory
  settings(group: string): ConsumerGroupSettings
  /** A member is out of its group for good. */
  left?(group: string, member: string): void
}
interface Opened {
  readonly group: ConsumerGroup
  readonly timer: DeadlineTimer
}
type Outcome<T> = Promise<T | { fault: Fault }>

/** Topics are matched with patterns for so long at a time; other things get their turn in between. */
const sliceMs = 5
const retryMs = 1_000
const leaveEpoch = -1

export class ConsumerGroups {
  readonly #world: World
  readonly #journal: Journal
  readonly #host: ConsumerGroupsHost
  readonly #kind: GroupKind
  readonly #groups = new Map<string, Opened>()
  #topicsVersion = 0
  #closed = false

  constructor(world: World, journal: Journal, host: ConsumerGroupsHost, kind: GroupKind = consumerKind) {
    this.#world = world
    this.#journal = journal
    this.#host = host
    this.#kind = kind
  }
  get(name: string): ConsumerGroup | null {
    return this.#groups.get(name)?.group ?? null
  }
  names(): Iterable<string> {
    return this.#groups.keys()
  }
  #now(): number {
    return this.#world.clock.monotonic()
  }

  // --- consumers

  heartbeat(request: ConsumerHeartbeat): Outcome<ConsumerHeartbeatAnswer> {
    const name = request.group
    if (request.epoch === leaveEpoch || request.epoch === awayEpoch) return this.#leave(request)
    const opened = this.#groups.get(name)
    if (opened !== undefined) return this.#heartbeat(opened, request, opened.group.begin())
    const classic = this.#host.classic.get(name)
    const unknown = new Fault('log.unknown-group', { group: name })
    if (request.epoch !== 0) return Promise.resolve({ fault: unknown })
    const made = this.#make(name)
    const edit = made.group.begin()
    edit.onUndo(() => this.#drop(name, made))
    try {
      if (classic !== null) this.#upgrade(classic, made.group, edit)
    } catch (error) {
      edit.undo()
      return Promise.resolve({ fault: asFault(error) })
    }
    return this.#heartbeat(made, request, edit)
  }
  #heartbeat(opened: Opened, request: ConsumerHeartbeat, edit: Edit): Outcome<ConsumerHeartbeatAnswer> {
    const memberId = request.memberId === '' ? this.#world.random.uuid() : request.memberId
    return this.#write(opened, edit, () => opened.group.heartbeat(edit, { ...request, memberId }, this.#now()))
  }
  #leave(request: ConsumerHeartbeat): Outcome<ConsumerHeartbeatAnswer> {
    const { group: name, memberId, epoch } = request
    const opened = this.#groups.get(name)
    if (opened === undefined) return Promise.resolve({ fault: new Fault('log.unknown-group', { group: name }) })
    const edit = opened.group.begin()
    return this.#write(opened, edit, () => {
      const isGone = opened.group.leave(edit, request)
      if (isGone) this.#fence(opened, edit, new Set([memberId]))
      return { memberId, epoch, heartbeatMs: 0, assignment: null }
    })
  }
  #upgrade(classic: ClassicGroup, group: ConsumerGroup, edit: Edit): void {
    const changes = classic.members.size === 0 ? [] : consumerFrom(classic, this.#host.topics)
    edit.onUndo(this.#host.classic.take(classic.name))
    edit.add({ kind: 'classic', value: null })
    for (const change of changes) edit.put(change)
    group.watches.begin(this.#now())
  }

  // --- classic members

  join(request: JoinRequest): Promise<JoinAnswer> {
    const opened = this.#groups.get(request.group)!
    const isNew = request.memberId === ''
    const memberId = isNew ? this.#world.random.uuid() : request.memberId
    const edit = opened.group.begin()
    return this.#write(opened, edit, () => {
      const joined = classicMembers.join(opened.group, edit, { ...request, memberId, isNew }, this.#now())
      if (joined.downgrade) this.#downgrade(opened, edit, { without: new Set(), rebalance: joined.rebalance })
      return joined.answer
    }).then((answer) =>
      'fault' in answer && !('memberId' in answer)
        ? { fault: answer.fault, memberId: idIn(answer.fault, request) }
        : answer,
    )
  }
  sync(request: SyncRequest): Promise<SyncAnswer> {
    const opened = this.#groups.get(request.group)!
    return this.#write(opened, opened.group.begin(), () => classicMembers.sync(opened.group, request, this.#now()))
  }
  async classicHeartbeat(request: Parameters<GroupCoordinator['heartbeat']>[0]): Promise<Fault | null> {
    const opened = this.#groups.get(request.group)!
    const answer = await this.#write(opened, opened.group.begin(), () => ({
      answer: classicMembers.heartbeat(opened.group, request, this.#now()),
    }))
    return 'fault' in answer ? answer.fault : answer.answer
  }
  async leave(
    name: string,
    members: readonly { memberId: string; instanceId: string | null }[],
  ): Promise<(Fault | null)[]> {
    const opened = this.#groups.get(name)!
    const found = members.map((member) => attempt(() => classicMembers.leaving(opened.group, member)))
    const gone = new Set(found.filter((one) => typeof one === 'string'))
    const edit = opened.group.begin()
    const answer = await this.#write(opened, edit, () => {
      if (gone.size > 0) this.#fence(opened, edit, gone)
      return {}
    })
    return found.map((one) => (one instanceof Fault ? one : 'fault' in answer ? answer.fault : null))
  }

  // --- both

  #fence(opened: Opened, edit: Edit, members: ReadonlySet<string>): void {
    if (mayDowngrade(opened.group, members)) this.#downgrade(opened, edit, { without: members, rebalance: true })
    else opened.group.fence(edit, members)
  }
  #downgrade(opened: Opened, edit: Edit, how: { without: ReadonlySet<string>; rebalance: boolean }): void {
    const { group } = opened
    const seed = classicFrom(group, how.without)
    this.#close(opened, edit)
    edit.add({ kind: 'classic', value: seed.stored })
    edit.onUndo(this.#host.classic.put(group.name, seed, how.rebalance))
  }
  /** There is a group of this name, if only an empty one. */
  ensure(name: string): Promise<Fault | null> {
    if (this.#groups.has(name)) return Promise.resolve(null)
    const refused = this.#host.memory.refuses(name, null, bytesPerGroup)
    if (refused !== null) return Promise.resolve(refused)
    const opened = this.#make(name)
    const edit = opened.group.begin()
    edit.onUndo(() => this.#drop(name, opened))
    edit.put({ kind: 'epoch', value: { epoch: opened.group.state.epoch, hash: 0 } })
    return this.#store(opened, edit)
  }
  /** The end of a group, stored with these records; it comes back when they cannot be. */
  dissolve(name: string, also: readonly RecordInput[] = []): Promise<Fault | null> {
    const opened = this.#groups.get(name)!
    const edit = opened.group.begin()
    this.#close(opened, edit)
    return this.#store(opened, edit, also)
  }
  #close(opened: Opened, edit: Edit): void {
    const { group } = opened
    group.dissolve(edit)
    this.#drop(group.name, opened)
    edit.onUndo(() => {
      this.#groups.set(group.name, opened)
      this.#count(group)
    })
  }
  async #write<T>(opened: Opened, edit: Edit, work: () => T): Outcome<T> {
    let answer: T
    try {
      answer = work()
    } catch (error) {
      edit.undo()
      this.#look(opened)
      return { fault: asFault(error) }
    }
    this.#look(opened)
    const fault = await this.#store(opened, edit)
    return fault === null ? answer : { fault }
  }
  async #store(opened: Opened, edit: Edit, also: readonly RecordInput[] = []): Promise<Fault | null> {
    const { name } = opened.group
    const timeMs = this.#world.clock.now()
    const records = edit.changes.map((change) => this.#kind.recordOf(name, change, timeMs))
    const fault = await this.#journal.write([...records, ...also], () => {
      edit.undo()
      opened.group.watches.look(this.#now() + retryMs)
      this.#look(opened)
    })
    if (fault !== null) return fault
    for (const change of edit.changes)
      if (change.kind === 'info' && change.value === null) this.#host.left?.(name, change.member)
    return null
  }
  #look({ group, timer }: Opened): void {
    if (this.#groups.get(group.name)?.group !== group) return
    this.#count(group)
    timer.set()
  }
  #count(group: ConsumerGroup): void {
    this.#host.memory.count(group, bytesPerGroup + group.state.bytes)
  }

  // --- time

  #pass(opened: Opened, nowMs: number): void {
    const over = opened.group.watches.over(nowMs)
    if (over.size === 0 || this.#closed) return
    const edit = opened.group.begin()
    void this.#write(opened, edit, () => this.#fence(opened, edit, over))
  }

  // --- topics

  /** A topic was created, changed or removed. */
  topicChanged(topic: string): void {
    this.#topicsVersion++
    for (const { group } of this.#groups.values()) if (group.state.subscribesTo(topic)) group.topicsChanged()
  }
  async #resolve(opened: Opened, patterns: readonly string[], mayFind: (topic: string) => boolean): Promise<void> {
    const { group } = opened
    const { clock } = this.#world
    const turn = (): Promise<void> => new Promise((resolve) => clock.soon(resolve))
    await turn()
    try {
      const walk = matches(patterns, [...this.#host.topics.names()], mayFind)
      let step = walk.next()
      while (step.done !== true) {
        const untilMs = clock.monotonic() + sliceMs
        while (step.done !== true && clock.monotonic() < untilMs) step = walk.next()
        if (step.done !== true) await turn()
      }
      const found = step.value
      if (this.#groups.get(group.name)?.group !== group) return
      const edit = group.begin()
      await this.#write(opened, edit, () => group.resolved(edit, found))
    } catch {
      // Patterns are checked before they are taken in: what is refused now was stored by a program with other limits.
      group.unresolved()
    }
  }

  // --- life

  restore(record: LogRecord): void {
    const said = this.#kind.changeOf(record)
    if (said === null) return
    const { group: name, change } = said
    const known = this.#groups.get(name)
    if (known === undefined && change.value === null) return
    const opened = known ?? this.#make(name)
    opened.group.state.apply(change)
    this.#count(opened.group)
    if (change.kind === 'epoch' && change.value === null && !opened.group.state.isStored) this.#drop(name, opened)
  }
  start(): void {
    for (const [name, opened] of [...this.#groups]) {
      if (!opened.group.state.isStored) this.#drop(name, opened)
      else {
        opened.group.watches.begin(this.#now())
        opened.timer.set()
      }
    }
  }
  close(): void {
    this.#closed = true
    for (const { timer } of this.#groups.values()) timer.stop()
  }
  #make(name: string): Opened {
    const host = {
      topics: this.#host.topics,
      topicsVersion: () => this.#topicsVersion,
      wallMs: () => this.#world.clock.now(),
      settings: () => this.#host.settings(name),
      refuses: (moreBytes: number) => this.#host.memory.refuses(name, group, moreBytes),
      resolve: (patterns: readonly string[], mayFind: (topic: string) => boolean) =>
        void this.#resolve(opened, patterns, mayFind),
    }
    const group = new ConsumerGroup(name, host, this.#kind)
    const timed = {
      nextMs: () => group.watches.nextMs(),
      pass: (nowMs: number) => this.#pass(opened, nowMs),
    }
    const opened: Opened = { group, timer: new DeadlineTimer(this.#world.clock, timed) }
    this.#groups.set(name, opened)
    this.#count(group)
    return opened
  }
  #drop(name: string, opened: Opened): void {
    opened.timer.stop()
    this.#host.memory.forget(opened.group)
    if (this.#groups.get(name) === opened) this.#groups.delete(name)
  }
}

function attempt<T>(call: () => T): T | Fault {
  try {
    return call()
  } catch (error) {
    return asFault(error)
  }
}
/** A first join is sent away with the id it is to come back with. */
const idIn = (fault: Fault, request: JoinRequest): string =>
  fault.code === 'log.member-id-required' ? (fault as Fault<'log.member-id-required'>).facts.member : request.memberId
