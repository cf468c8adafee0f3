/**
 * A group of both protocols through several lives of one data folder: each ends in a kill, a power cut or a clean stop at
 * a random moment, and the disk may fail in between. Members outlive the log: each goes on from what it was last told,
 * and repeats what was not answered. Held all the time:
 * - no two members hold a partition at once;
 * - a member that keeps sending heartbeats is never thrown out, and never fenced unless two answers in a row were lost:
 *   what was answered is durable;
 * - a position that was answered never goes back, and whoever holds a partition may commit it.
 * At the end everybody has its even share.
 */
import assert from 'node:assert/strict'
import type { Offset } from '../src/lib/brand.ts'
import type { Fault } from '../src/lib/fault.ts'
import { readAssignment } from '../src/log/local/groups/embedded.ts'
import type { LocalLog } from '../src/log/local/local-log.ts'
import { Lives, failing } from './lives.ts'
import { SeededRandom } from '../src/lib/sim/random.ts'
import { type Simulation, simulate } from '../src/lib/sim/world.ts'

export interface GroupRun {
  readonly lives: number
  readonly heartbeats: number
  readonly commits: number
  readonly trace: string
}
const group = 'g'
const topics = ['a', 'b'] as const
const membersMax = 5
const rebalanceTimeoutMs = 60_000

export async function runGroup(seed: number, options: { failures?: boolean } = {}): Promise<GroupRun> {
  const machine = simulate(seed, { syncMsMax: 3 })
  const run = new Run(machine, options.failures === true)
  const lives = run.random.between(2, 6)
  for (let life = 1; life <= lives; life++) await run.live()
  await run.finish()
  return { lives, heartbeats: run.heartbeats, commits: run.commits, trace: machine.trace() }
}

/** What they have in common: places are `topic/index`. */
abstract class Member {
  readonly run: Run
  readonly held = new Set<string>()
  epoch = 0
  /** A request is under way; after a death it was perhaps done, perhaps not. */
  asking = false
  /** Answers that were lost in a row. */
  lost = 0
  memberId: string

  constructor(run: Run, memberId: string) {
    this.run = run
    this.memberId = memberId
  }
  abstract step(log: LocalLog): Promise<void>
  /** The process that asked is not there any more. */
  forsaken(): void {
    if (this.asking) this.lost++
    this.asking = false
  }
  async ask<T extends object>(call: () => Promise<T | { fault: Fault }>): Promise<T | Fault> {
    this.asking = true
    const answer = await call()
    this.asking = false
    if (!('fault' in answer)) {
      this.lost = 0
      return answer
    }
    if (answer.fault.code.startsWith('store.')) this.lost++
    return answer.fault
  }
  /** It is out: that must have had a reason. */
  abandon(fault: Fault): void {
    const isFenced = fault.code === 'log.fenced-member-epoch' || fault.code === 'log.illegal-generation'
    assert.ok(
      isFenced && this.lost > 1,
      `${this.memberId} was thrown out: ${fault.code} after ${this.lost} lost answers`,
    )
    this.#begin()
  }
  #begin(): void {
    this.held.clear()
    this.epoch = 0
    this.lost = 0
  }
}

class Consumer extends Member {
  #told: Set<string> | null = null
  #full = true

  async step(log: LocalLog): Promise<void> {
    this.#obey()
    const joins = this.epoch === 0
    // What was said in a request that was not answered is said again.
    const saysAll = joins || this.#full
    this.#full = true
    const answer = await this.ask(() =>
      log.coordinator.consumerHeartbeat({
        group,
        memberId: this.memberId,
        epoch: this.epoch,
        instanceId: null,
        rackId: null,
        rebalanceTimeoutMs: saysAll ? rebalanceTimeoutMs : -1,
        topics: saysAll ? [...topics] : null,
        pattern: saysAll ? '' : null,
        assignor: null,
        owned: joins ? [] : this.#owned(log),
        clientId: 'consumer',
        host: '/127.0.0.1',
      }),
    )
    if ('epoch' in answer) {
      this.run.heartbeats++
      this.epoch = answer.epoch
      this.#full = false
      if (answer.assignment !== null)
        this.#told = new Set(answer.assignment.flatMap(({ topicId, partitions }) => placesOf(log, topicId, partitions)))
    } else if (!answer.code.startsWith('store.')) {
      this.#told = null
      this.abandon(answer)
    }
  }
  #obey(): void {
    const told = this.#told
    if (told === null) return
    const gone = [...this.held].filter((place) => !told.has(place))
    for (const place of gone) this.held.delete(place)
    if (gone.length > 0) return
    this.#told = null
    for (const place of told) this.run.take(this, place)
  }
  #owned(log: LocalLog): { topicId: string; partitions: number[] }[] {
    return topics.map((topic) => ({
      topicId: log.catalog.byName(topic)!.id,
      partitions: [...this.held].flatMap((place) => (place.startsWith(`${topic}/`) ? [Number(place.slice(2))] : [])),
    }))
  }
}

/** Eager, as the range assignor of clients is: it gives everything up before it joins. */
class Classic extends Member {
  #joined = false

  async step(log: LocalLog): Promise<void> {
    if (!this.#joined) return this.#join(log)
    const fault = await this.ask(async () => {
      const found = await log.coordinator.heartbeat({ ...this.#identity(), group })
      return found === null ? {} : { fault: found }
    })
    this.run.heartbeats++
    if ('code' in fault) this.#hear(fault)
  }
  #identity(): { memberId: string; generation: number; instanceId: null } {
    return { memberId: this.memberId, generation: this.epoch, instanceId: null }
  }
  #hear(fault: Fault): void {
    this.#joined = false
    if (fault.code.startsWith('store.') || fault.code === 'log.rebalance-in-progress') return
    // Its join was done and the answer lost: it joins again.
    if (fault.code === 'log.illegal-generation') return
    this.abandon(fault)
    this.memberId = ''
  }
  async #join(log: LocalLog): Promise<void> {
    this.held.clear()
    const joined = await this.ask(() =>
      log.coordinator.join({
        group,
        memberId: this.memberId,
        instanceId: null,
        clientId: 'classic',
        host: '/127.0.0.1',
        protocolType: 'consumer',
        protocols: [{ name: 'range', metadata: subscription }],
        sessionTimeoutMs: 45_000,
        rebalanceTimeoutMs,
        memberIdRequired: false,
        skipsAssignment: true,
      }),
    )
    if (!('generation' in joined)) {
      // A first join that was lost leaves a member that nobody knows; it lapses.
      const isRefused = 'code' in joined && !joined.code.startsWith('store.')
      if (this.epoch === 0 || isRefused) this.memberId = ''
      return
    }
    this.memberId = joined.memberId
    this.epoch = joined.generation
    const synced = await this.ask(() =>
      log.coordinator.sync({
        group,
        ...this.#identity(),
        protocolType: null,
        protocol: null,
        assignments: joined.members.map(({ id }) => ({ memberId: id, assignment: Buffer.from([0, 0, 0, 0, 0, 0]) })),
      }),
    )
    if ('code' in synced) return this.#hear(synced)
    this.#joined = true
    for (const { topic, index } of readAssignment(synced.assignment)!.partitions)
      this.run.take(this, `${topic}/${index}`)
  }
}
const subscription = Buffer.from([0, 0, 0, 0, 0, 2, 0, 1, 97, 0, 1, 98, 255, 255, 255, 255])
const placesOf = (log: LocalLog, topicId: string, partitions: readonly number[]): string[] =>
  partitions.map((index) => `${log.catalog.byId(topicId)?.name}/${index}`)

class Run {
  readonly machine: Simulation
  readonly random: SeededRandom
  heartbeats = 0
  commits = 0
  readonly #failures: boolean
  readonly #members: Member[] = []
  readonly #committed = new Map<string, number>()
  #number = 0
  #names = 0
  readonly #lives: Lives

  constructor(machine: Simulation, failures: boolean) {
    this.machine = machine
    this.random = new SeededRandom(machine.seed, 'group workload')
    this.#failures = failures
    this.#lives = new Lives(machine, this.random, {
      log: { compactEveryMs: 1_000 },
      prepare: (log) => this.#prepare(log),
      start: (log) => this.#start(log, true),
      faultless: true,
    })
  }
  take(member: Member, place: string): void {
    for (const other of this.#members)
      assert.ok(other === member || !other.held.has(place), `${place}: ${member.memberId} and ${other.memberId}`)
    member.held.add(place)
  }

  async live(): Promise<void> {
    const { random } = this
    await this.#lives.live({
      plan: this.#failures ? failing(random, { syncs: 0.03, writes: 0.01 }) : null,
      ms: [100, 20_000],
      death: () => {
        const how = random.between(0, 9)
        if (how === 0) return 'stop'
        return how < 6 ? 'power cut' : 'kill'
      },
    })
    for (const member of this.#members) member.forsaken()
  }
  async #prepare(log: LocalLog): Promise<void> {
    // Small segments: what is compacted is never in the newest one.
    await log.topics.alter('__consumer_offsets', { config: { 'internal.segment.bytes': '2000' } })
    while (topics.some((name) => log.catalog.byName(name) === null)) {
      await log.topics.create(topics.map((name) => ({ name, partitions: 3 })))
      await this.machine.clock.sleep(5)
    }
  }
  /** `grows`: members and partitions are added. */
  #start(log: LocalLog, grows: boolean): void {
    for (const member of this.#members) this.#go(member, log)
    this.#lives.actor((alive) => this.#commit(log, alive))
    if (!grows) return
    this.#lives.actor(async (alive) => {
      while (alive()) {
        await this.machine.clock.sleep(this.random.between(100, 4_000))
        if (!alive()) return
        if (this.#members.length < membersMax && this.random.chance(0.4)) this.#go(this.#add(), log)
        else if (this.random.chance(0.2)) await this.#morePartitions(log)
      }
    })
  }
  #add(): Member {
    const name = `m${this.#names++}`
    const member = this.random.chance(0.5) ? new Consumer(this, name) : new Classic(this, '')
    this.#members.push(member)
    return member
  }
  #go(member: Member, log: LocalLog): void {
    this.#lives.actor(async (alive) => {
      while (alive()) {
        await member.step(log)
        await this.machine.clock.sleep(this.random.between(50, 700))
      }
    })
  }
  async #morePartitions(log: LocalLog): Promise<void> {
    const name = this.random.pick(topics)
    const { partitions } = log.catalog.byName(name)!
    if (partitions < 6) await log.topics.alter(name, { partitions: partitions + 1 }).catch(() => undefined)
  }
  async #commit(log: LocalLog, alive: () => boolean): Promise<void> {
    for (; alive(); await this.machine.clock.sleep(this.random.between(20, 300))) {
      const holder = this.#members.find((member) => member.held.size > 0 && !member.asking)
      if (holder === undefined) continue
      const place = this.random.pick([...holder.held])
      const offset = ++this.#number
      const partition = { topic: place[0]!, index: Number(place.slice(2)) }
      const [fault] = await log.coordinator.commit({
        group,
        generation: holder.epoch,
        memberId: holder.memberId,
        instanceId: null,
        knowsEpochs: true,
        offsets: [{ partition, offset: offset as Offset, leaderEpoch: -1, metadata: null }],
      })
      if (!alive()) return
      if (fault != null) continue
      this.commits++
      this.#committed.set(place, Math.max(offset, this.#committed.get(place) ?? 0))
      this.#checkPositions(log)
    }
  }
  #checkPositions(log: LocalLog): void {
    void log.coordinator.offsets(group, null, false).then((found) => {
      const stored = new Map(found.map(({ partition, offset }) => [`${partition.topic}/${partition.index}`, offset]))
      for (const [place, offset] of this.#committed)
        if ((stored.get(place) ?? -1) < offset) this.#lives.broken(new Error(`${place} went back from ${offset}`))
    })
  }
  /** A last life without failures and without change: everybody settles. */
  async finish(): Promise<void> {
    const { machine } = this
    const log = await machine.run(() => this.#lives.open())
    if (this.#members.length === 0) this.#add()
    this.#start(log, false)
    // A session, for members whose first join was not answered, and some heartbeats.
    await machine.advance(150_000)
    this.#lives.check()
    this.#checkPositions(log)
    const sizes = this.#members.map((member) => member.held.size)
    const total = topics.reduce((sum, name) => sum + log.catalog.byName(name)!.partitions, 0)
    const hasConsumers = this.#members.some((member) => member instanceof Consumer)
    if (hasConsumers) {
      assert.equal(
        sizes.reduce((sum, size) => sum + size, 0),
        total,
        `shares are ${sizes.join()}`,
      )
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, `shares are ${sizes.join()}`)
      assert.equal((await log.coordinator.describeConsumer(group))?.state, 'Stable')
    }
    this.#lives.number++
    await machine.run(() => log.close())
    this.#lives.check()
  }
}
