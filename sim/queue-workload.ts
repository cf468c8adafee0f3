/**
 * Queues under producers and consumers, through several lives of one data folder, on a disk that may fail. Each life ends
 * in a kill, a power cut or a clean stop at a random moment. Consumers accept, release, reject, renew, forget about what
 * they hold, or leave. Held all the time:
 * - what was accepted or rejected, and answered so, is never delivered again;
 * - no record is with two consumers while the lock of the first holds;
 * - a delivery's count is above every one that was answered as over, and never above the limit;
 * - where the group orders by key, of one key only the oldest record that is not done with is out;
 * and at the end: every record that was written was accepted, or is among the dead letters.
 */
import assert from 'node:assert/strict'
import type { Offset } from '../src/lib/brand.ts'
import { Fault } from '../src/lib/fault.ts'
import { decodeBatch, encodeBatch } from '../src/log/batch.ts'
import type { LocalLog } from '../src/log/local/local-log.ts'
import type { Partition } from '../src/log/log.ts'
import type { Outcome, ReceivedRecord } from '../src/log/queues/queues.ts'
import { Lives, failing } from './lives.ts'
import { SeededRandom } from '../src/lib/sim/random.ts'
import { type Simulation, simulate } from '../src/lib/sim/world.ts'

export interface QueueRun {
  readonly lives: number
  readonly written: number
  readonly accepted: number
  readonly deliveries: number
  readonly again: number
  readonly dead: number
  readonly faults: readonly string[]
  readonly trace: string
}
export interface QueueRunOptions {
  readonly failures?: boolean
}

const group = 'workers'
const topic = 'work'
const deadLetters = 'dlq.work'
const partitions = 2
const deliveriesMax = 4
const lockMs = 1_000
const consumers = 3
/** Of changes, after which states are written anew: often. */
const rewriteBytes = 2_000
const place = (index: number, offset: number): string => `${index}/${offset}`

/** What is known of one record. */
interface Known {
  readonly key: string | null
  /** Finished for good, and answered so. */
  isOver: boolean
  /** Somebody tried to accept or reject it: whether that stands, no answer said. */
  mayBeAccepted: boolean
  mayBeRejected: boolean
  /** Deliveries that were answered as ended. */
  ended: number
  holder: string | null
  heldUntilMs: number
}

export async function runQueue(seed: number, options: QueueRunOptions = {}): Promise<QueueRun> {
  const machine = simulate(seed, { syncMsMax: 3 })
  const run = new Run(machine, options)
  const lives = run.random.between(2, 5)
  for (let life = 1; life <= lives; life++) await run.live()
  await run.finish()
  return { lives, ...run.report(), trace: machine.trace() }
}

class Run {
  readonly machine: Simulation
  readonly random: SeededRandom
  readonly #options: QueueRunOptions
  readonly #orderByKey: boolean
  readonly #buries: boolean
  readonly #delayMs: number
  readonly #known = new Map<string, Known>()
  /** By partition and key. */
  readonly #byKey = new Map<string, Map<number, Known>>()
  readonly #lives: Lives
  #written = 0
  #accepted = 0
  #deliveries = 0
  #again = 0
  #dead = 0

  constructor(machine: Simulation, options: QueueRunOptions) {
    this.machine = machine
    this.random = new SeededRandom(machine.seed, 'queue workload')
    this.#options = options
    this.#lives = new Lives(machine, this.random, {
      log: { queueRewriteBytes: rewriteBytes },
      start: () => this.#start(),
    })
    this.#orderByKey = this.random.chance(0.4)
    this.#buries = this.random.chance(0.6)
    this.#delayMs = this.random.chance(0.3) ? 50 : 0
  }
  report(): Omit<QueueRun, 'lives' | 'trace'> {
    return {
      written: this.#written,
      accepted: this.#accepted,
      deliveries: this.#deliveries,
      again: this.#again,
      dead: this.#dead,
      faults: [...this.#lives.faults],
    }
  }
  async live(): Promise<void> {
    const { random } = this
    await this.#lives.live({
      plan: this.#options.failures === true ? failing(random) : null,
      ms: [20, 4_000],
      death: () => {
        if (random.chance(0.2)) return 'stop'
        return random.chance(0.6) ? 'power cut' : 'kill'
      },
    })
    for (const known of this.#known.values()) known.holder = null
  }
  #start(): void {
    this.#lives.actor((alive) => this.#produce(alive))
    for (let i = 0; i < consumers; i++) this.#lives.actor((alive) => this.#consume(`${this.#lives.number}-${i}`, alive))
  }
  async #ready(alive: () => boolean): Promise<LocalLog> {
    const log = this.#lives.log!
    while (alive() && log.catalog.byName(topic) === null) {
      await log.topics.create([{ name: topic, partitions, config: { 'internal.segment.bytes': '2000' } }])
      await this.machine.clock.sleep(5)
    }
    const config = {
      'share.auto.offset.reset': 'earliest',
      'share.record.lock.duration.ms': String(lockMs),
      'share.delivery.count.limit': String(deliveriesMax),
      'share.partition.max.record.locks': '100',
      'share.order.by.key': String(this.#orderByKey),
      'share.release.delay.ms': String(this.#delayMs),
      'errors.deadletterqueue.topic.name': this.#buries ? deadLetters : '',
    }
    while (alive() && log.groupConfigs.current(group)['share.record.lock.duration.ms'] === undefined)
      try {
        await log.groupConfigs.alter(group, config)
      } catch {
        await this.machine.clock.sleep(5)
      }
    return log
  }

  // --- who writes

  async #produce(alive: () => boolean): Promise<void> {
    const log = await this.#ready(alive)
    while (alive()) {
      const index = this.random.between(0, partitions - 1)
      const keys = Array.from({ length: this.random.between(1, 6) }, () =>
        this.random.chance(0.2) ? null : `k${this.random.between(0, 3)}`,
      )
      const timeMs = this.machine.clock.now()
      const batch = encodeBatch(
        keys.map((key) => ({ key: key === null ? null : Buffer.from(key), value: null, timeMs })),
      )
      const [answer] = await log.writer().append([{ partition: { topic, index }, batch }])
      if (!alive()) return
      if (answer !== undefined && 'offset' in answer)
        keys.forEach((key, i) => this.#note(index, answer.offset + i, key))
      await this.machine.clock.sleep(this.random.between(1, 60))
    }
  }
  #note(index: number, offset: number, key: string | null): Known {
    const known = this.#known.get(place(index, offset))
    if (known !== undefined) return known
    this.#written++
    const made = {
      key,
      isOver: false,
      mayBeAccepted: false,
      mayBeRejected: false,
      ended: 0,
      holder: null,
      heldUntilMs: -1,
    }
    this.#known.set(place(index, offset), made)
    if (key !== null) this.#keyed(index, key).set(offset, made)
    return made
  }

  // --- who works

  async #consume(member: string, alive: () => boolean): Promise<void> {
    const log = await this.#ready(alive)
    const topicId = log.catalog.byName(topic)!.id
    const of = Array.from({ length: partitions }, (_, index) => ({ topicId, index }))
    while (alive()) {
      const request = { group, member, of, bytesMax: this.random.between(1, 3_000), waitMs: 100 }
      // The lock begins no earlier than this.
      const askedMs = this.machine.clock.monotonic()
      const records = await log.queues
        .receive({ ...request, recordsMax: this.random.between(1, 8) })
        .catch((error: unknown) => this.#failed(error))
      if (!alive()) return
      for (const record of records) this.#delivered(record, member, askedMs)
      await this.machine.clock.sleep(this.random.between(0, 30))
      if (!alive()) return
      if (this.random.chance(0.1)) await this.machine.clock.sleep(this.random.between(0, 2 * lockMs))
      if (!alive()) return
      if (this.random.chance(0.05)) {
        for (const known of this.#known.values()) if (known.holder === member) known.holder = null
        await log.queues.release(group, member)
      } else if (this.random.chance(0.9)) await this.#settle(log, { member, records }, alive)
    }
  }
  #failed(error: unknown): readonly ReceivedRecord[] {
    if (!(error instanceof Fault)) throw error
    this.#lives.faults.add(error.code)
    return []
  }
  #delivered(record: ReceivedRecord, member: string, askedMs: number): void {
    const { index } = record.of
    const at = place(index, record.offset)
    const known = this.#note(index, record.offset, record.key === null ? null : Buffer.from(record.key).toString())
    const nowMs = this.machine.clock.monotonic()
    this.#deliveries++
    if (record.deliveries > 1) this.#again++
    assert.ok(!known.isOver, `${at} was done with, and is delivered again`)
    assert.ok(
      known.holder === null || known.heldUntilMs <= nowMs,
      `${at} is with ${known.holder} until ${known.heldUntilMs}, and is delivered to ${member} at ${nowMs}`,
    )
    assert.ok(record.deliveries > known.ended, `${at}: delivery ${record.deliveries} after ${known.ended} that ended`)
    assert.ok(record.deliveries <= deliveriesMax, `${at}: delivery ${record.deliveries}`)
    if (this.#orderByKey && known.key !== null) this.#checkOrder(index, record.offset, known.key, nowMs)
    known.holder = member
    known.heldUntilMs = askedMs + lockMs
  }
  #checkOrder(index: number, offset: number, key: string, nowMs: number): void {
    const keyed = this.#keyed(index, key)
    for (const [before, known] of keyed) {
      if (known.isOver) keyed.delete(before)
      if (before === offset || known.isOver || known.mayBeAccepted || known.mayBeRejected) continue
      const at = place(index, before)
      const isOut = known.holder !== null && known.heldUntilMs > nowMs
      assert.ok(!isOut, `${at} and ${place(index, offset)} of key ${key} are out at once`)
      assert.ok(before > offset || known.ended > 0 || this.#wasGivenUp(known), `${at} of key ${key} was passed over`)
    }
  }
  #keyed(index: number, key: string): Map<number, Known> {
    const name = `${index}/${key}`
    let found = this.#byKey.get(name)
    if (found === undefined) this.#byKey.set(name, (found = new Map()))
    return found
  }
  /** Its lock may have ended by itself for the last time: nobody is told. */
  #wasGivenUp(known: Known): boolean {
    return known.heldUntilMs >= 0
  }
  async #settle(
    log: LocalLog,
    { member, records }: { member: string; records: readonly ReceivedRecord[] },
    alive: () => boolean,
  ): Promise<void> {
    for (const [index, some] of Map.groupBy(records, ({ of }) => of.index)) {
      const settlements = some.map(({ offset }) => ({ first: offset, last: offset, outcomes: [this.#outcome()] }))
      const settled = settlements.map(({ first, outcomes }) => {
        const known = this.#known.get(place(index, first))!
        return { known, isMine: known.holder === member, outcome: outcomes[0]! }
      })
      for (const { known, outcome } of settled) this.#settling(known, outcome)
      const one = { of: some[0]!.of, settlements }
      let fault = await this.#settleOnce(log, member, one)
      for (let tries = 0; fault?.code.startsWith('store.') === true && tries < 3 && alive(); tries++) {
        this.#stillHeld(settled, member)
        await this.machine.clock.sleep(5)
        if (!alive()) return
        const nowMs = this.machine.clock.monotonic()
        const isHeld = settled.every(({ known, isMine }) => isMine && known.heldUntilMs > nowMs)
        for (const { known, outcome } of settled) this.#settling(known, outcome)
        fault = await this.#settleOnce(log, member, one)
        if (!alive()) return
        assert.ok(!isHeld || fault?.code !== 'log.record-not-held', 'what could not be stored is with its member still')
      }
      if (!alive()) return
      if (fault === null) settled.forEach(({ known, outcome }, i) => this.#settled(known, outcome, some[i]!.deliveries))
    }
  }
  async #settleOnce(
    log: LocalLog,
    member: string,
    one: Parameters<LocalLog['queues']['settle']>[2][number],
  ): Promise<Fault | null> {
    const [fault = null] = await log.queues.settle(group, member, [one])
    if (fault !== null) this.#lives.faults.add(fault.code)
    return fault
  }
  /** It was answered that nothing changed: nobody else was given any of it meanwhile. */
  #stillHeld(settled: readonly { known: Known; isMine: boolean; outcome: Outcome }[], member: string): void {
    for (const { known, isMine, outcome } of settled) {
      if (!isMine || outcome !== 'release') continue
      const isOver = known.heldUntilMs <= this.machine.clock.monotonic()
      assert.ok(isOver || known.holder === null, `released in vain, and with ${known.holder} already`)
      if (!isOver) known.holder = member
    }
  }
  #outcome(): Outcome {
    const dice = this.random.fraction()
    if (dice < 0.55) return 'accept'
    if (dice < 0.85) return 'release'
    return dice < 0.95 ? 'reject' : 'renew'
  }
  /** It may be so before the answer says so. */
  #settling(known: Known, outcome: Outcome): void {
    if (outcome === 'accept') known.mayBeAccepted = true
    if (outcome === 'reject') known.mayBeRejected = true
    if (outcome === 'release') known.holder = null
  }
  #settled(known: Known, outcome: Outcome, deliveries: number): void {
    switch (outcome) {
      case 'accept':
      case 'reject':
        if (outcome === 'accept') {
          this.#accepted++
          known.mayBeAccepted = true
        }
        known.isOver = true
        known.holder = null
        return
      case 'release':
        known.ended = Math.max(known.ended, deliveries)
        return
      case 'renew':
      case 'gap':
    }
  }

  // --- the end

  /** A last life in which nothing fails and everybody accepts. */
  async finish(): Promise<void> {
    const { machine } = this
    await machine.run(async () => {
      const log = await this.#lives.open()
      await this.#ready(() => true)
      const topicId = log.catalog.byName(topic)!.id
      const of = Array.from({ length: partitions }, (_, index) => ({ topicId, index }))
      for (let idle = 0; idle < 3;) {
        const request = { group, member: 'last', of, bytesMax: 100_000, waitMs: 2 * lockMs }
        const askedMs = machine.clock.monotonic()
        const records = await log.queues.receive({ ...request, recordsMax: 100 })
        idle = records.length === 0 ? idle + 1 : 0
        for (const record of records) this.#delivered(record, 'last', askedMs)
        for (const { of: ref, offset } of records) {
          const settlements = [{ first: offset, last: offset, outcomes: ['accept' as const] }]
          const [fault] = await log.queues.settle(group, 'last', [{ of: ref, settlements }])
          assert.equal(fault, null)
          this.#settled(this.#known.get(place(ref.index, offset))!, 'accept', 1)
        }
      }
      await this.#checkAll(log)
      await log.close()
    })
    machine.kill()
  }
  async #checkAll(log: LocalLog): Promise<void> {
    const buried = await this.#buried(log)
    this.#dead = buried.size
    const isGivenUp = (at: string): boolean => (this.#buries ? buried.has(at) : true)
    for (const [at, known] of this.#known) {
      // Without a topic for them, records that were given up leave no trace but deliveries that ended.
      const mayBeGivenUp = isGivenUp(at) && (this.#buries || known.mayBeRejected || known.heldUntilMs >= 0)
      assert.ok(known.mayBeAccepted || mayBeGivenUp, `${at} was lost`)
    }
    for (const at of buried) assert.ok(this.#known.has(at), `${at} is a dead letter and was never written`)
    const positions = await log.queues.positions(group)
    for (const { of, start, lag } of positions) {
      assert.equal(lag, 0, 'everything is done with')
      const [bounds] = await log.bounds([{ topic, index: of.index }])
      assert.equal(start, bounds!.end)
    }
    await this.#checkSize(log)
  }
  /** States are small by now: what is kept of them is, too. */
  async #checkSize(log: LocalLog): Promise<void> {
    const state: Partition = { topic: '__share_group_state', index: 0 }
    const [bounds] = await log.bounds([state])
    const kept = bounds!.end - bounds!.start
    assert.ok(kept < 1_000, `${kept} records of states are kept`)
  }
  async #buried(log: LocalLog): Promise<Set<string>> {
    const found = new Set<string>()
    if (log.catalog.byName(deadLetters) === null) return found
    const reader = log.reader()
    for (let offset = 0 as Offset; ;) {
      const [chunk] = await reader.read([{ partition: { topic: deadLetters, index: 0 }, offset }])
      assert.ok(chunk !== undefined && !('fault' in chunk))
      if (chunk.next === offset) return found
      offset = chunk.next
      for (const batch of chunk.batches)
        for (const { headers } of decodeBatch(batch)) {
          const header = (name: string): string =>
            Buffer.from(headers.find(([one]) => one === `__dlq.errors.${name}`)![1]!).toString()
          assert.equal(header('group'), group)
          assert.notEqual(header('message'), '')
          found.add(place(Number(header('partition')), Number(header('offset'))))
        }
    }
  }
}
