/**
 * The local log under clients, tasks and consumers, through several lives of one data folder. Each life ends in a kill, a
 * power cut or a clean stop at a random moment; the disk may fail in between. Moments that chance hardly ever brings about
 * are sought: a tick that loses a part while its commit record is written; a decided tick whose markers cannot reach one of
 * its partitions, while ticks and compaction of the others go on and the process then dies.
 *
 * Those outside (producers, observers) outlive the log: a producer has up to five batches on their way and repeats what was
 * not acknowledged with the same sequences, an observer remembers what it was shown. Held at the end, and wherever it can be
 * seen earlier:
 * - what was acknowledged with acks=all is there, in the producer's order, once, where the answer said;
 * - a producer that repeats its newest five hears of no duplicate, and of a gap only behind a batch that was refused;
 * - what a reader was shown, at an offset, is still shown there;
 * - a tick is in all of its partitions or in none, in the order of ticks, with nothing of an aborted one;
 * - a compacted topic holds the newest value of every key, whatever compaction and deaths have done to it;
 * - outputs stand exactly for the inputs before the committed position: the sum is that of a run without a crash;
 * - a committed group position that was answered never goes back.
 */
import assert from 'node:assert/strict'
import type { Offset } from '../src/lib/brand.ts'
import { Fault } from '../src/lib/fault.ts'
import { ownBatch } from '../src/store/batch-header.ts'
import type { Store } from '../src/store/store.ts'
import { decodeBatch, encodeBatch } from '../src/log/batch.ts'
import type { LocalLog } from '../src/log/local/local-log.ts'
import type { At, Claim, Owner, Partition } from '../src/log/log.ts'
import type { DiskCall, DiskFailure } from '../src/lib/sim/disk.ts'
import { Lives, failing } from './lives.ts'
import { SeededRandom } from '../src/lib/sim/random.ts'
import { type Simulation, simulate } from '../src/lib/sim/world.ts'

export interface LogRun {
  readonly lives: number
  readonly acknowledged: number
  readonly repeated: number
  readonly ticks: number
  readonly retries: number
  /** Records of the compacted topic that compaction has taken away. */
  readonly compacted: number
  readonly faults: readonly string[]
  readonly trace: string
}
export interface LogRunOptions {
  /** Syncs and writes fail now and then. */
  readonly failures?: boolean
  readonly lives?: number
  /** Puts something between the log and its store: a fault of the log, planted. */
  readonly tamper?: (store: Store) => Store
}

/** A life ends between two of these. */
const stepMs = 5
const input = 'input'
const outputs = ['left', 'right'] as const
/** Newest tick for each of some keys. */
const state = 'state'
const inputPartitions = 2
const producerCount = 3
const inputOf = (index: number): Partition => ({ topic: input, index })
const outputOf = (topic: string): Partition => ({ topic, index: 0 })
const every: readonly Partition[] = [
  ...Array.from({ length: inputPartitions }, (_, index) => inputOf(index)),
  ...outputs.map(outputOf),
]
const keyOf = ({ topic, index }: Partition): string => `${topic}/${index}`

export async function runLog(seed: number, options: LogRunOptions = {}): Promise<LogRun> {
  const machine = simulate(seed, { syncMsMax: 3 })
  const run = new Run(machine, options)
  const lives = options.lives ?? run.random.between(2, 6)
  for (let life = 1; life <= lives; life++) await run.live()
  await run.finish()
  return { lives, ...run.report(), trace: machine.trace() }
}

/** A client: numbers its values, keeps what is not acknowledged. */
interface Producer {
  readonly name: number
  identity: { producerId: number; epoch: number } | null
  readonly partition: Partition
  sequence: number
  next: number
  /** Sent and not acknowledged, oldest first: repeated as they are. */
  pending: Sent[]
  readonly acknowledged: string[]
  /** Where the log said that a value is. */
  readonly places: Map<string, number>
}
interface Sent {
  readonly values: readonly string[]
  readonly sequence: number
}
/** Kafka's clients have no more on their way, since a log remembers no more. */
const onTheirWayMax = 5

class Run {
  readonly machine: Simulation
  readonly random: SeededRandom
  readonly #options: LogRunOptions
  readonly #producers: Producer[]
  /** What observers were shown: partition → offset → value. */
  readonly #shown = new Map<string, Map<number, string>>(every.map((partition) => [keyOf(partition), new Map()]))
  #positionAnswered = 0
  #repeated = 0
  #ticks = 0
  #retries = 0
  #compacted = 0
  #tickNumber = 0
  readonly #lives: Lives
  readonly #fails: (call: DiskCall) => DiskFailure | null
  /** A topic whose files cannot be synced, for a while or once. */
  #stranded: string | null = null
  #failsOnce: string | null = null
  #isDying = false

  constructor(machine: Simulation, options: LogRunOptions) {
    this.machine = machine
    this.random = new SeededRandom(machine.seed, 'log workload')
    this.#options = options
    this.#fails = failing(this.random)
    const { tamper } = options
    this.#lives = new Lives(machine, this.random, {
      log: { snapshotBytes: this.random.pick([300, 2_000, 20_000, 2 ** 26]), compactEveryMs: 15 },
      ...(tamper === undefined ? {} : { tamper }),
      start: () => this.#start(),
    })
    this.#producers = Array.from({ length: producerCount }, (_, name) => ({
      name,
      identity: null,
      partition: inputOf(name % inputPartitions),
      sequence: 0,
      next: 0,
      pending: [],
      acknowledged: [],
      places: new Map(),
    }))
  }
  report(): Omit<LogRun, 'lives' | 'trace'> {
    const acknowledged = this.#producers.reduce((sum, producer) => sum + producer.acknowledged.length, 0)
    return {
      acknowledged,
      repeated: this.#repeated,
      ticks: this.#ticks,
      retries: this.#retries,
      compacted: this.#compacted,
      faults: [...this.#lives.faults],
    }
  }

  async live(): Promise<void> {
    const { random } = this
    this.#isDying = false
    await this.#lives.live({
      plan: this.#options.failures === true ? (call) => this.#failure(call) : null,
      stillborn: 0.2,
      ms: [20, 500],
      stepMs,
      isDying: () => this.#isDying,
      death: () => {
        this.#stranded = this.#failsOnce = null
        const how = random.between(this.#isDying ? 1 : 0, 9)
        if (how === 0) return 'stop'
        return how < 6 ? 'power cut' : 'kill'
      },
    })
  }
  #failure(call: DiskCall): DiskFailure | null {
    const { operation, path } = call
    const isSync = operation === 'datasync' || operation === 'syncDirectory'
    if (isSync && this.#stranded !== null && path.includes(`/topics/${this.#stranded}~`)) return { code: 'EIO' }
    if (isSync && this.#failsOnce !== null && path.includes(`/topics/${this.#failsOnce}~`)) {
      this.#failsOnce = null
      return { code: 'EIO' }
    }
    if (operation === 'rename' && this.random.chance(0.02)) return { code: 'EIO' }
    return this.#fails(call)
  }

  #start(): void {
    for (const producer of this.#producers) this.#lives.actor((alive) => this.#produce(producer, alive))
    this.#lives.actor((alive) => this.#task(alive))
    this.#lives.actor((alive) => this.#observe(alive))
    this.#lives.actor((alive) => this.#commitPositions(alive))
  }
  async #ready(alive: () => boolean): Promise<LocalLog> {
    const log = this.#lives.log!
    const topics = [
      { name: input, partitions: inputPartitions, config: { 'internal.segment.bytes': '2000' } },
      ...outputs.map((name) => ({ name, partitions: 1, config: { 'internal.segment.bytes': '2000' } })),
      {
        name: state,
        partitions: 1,
        config: { 'cleanup.policy': 'compact', 'internal.segment.bytes': '1000', 'delete.retention.ms': '50' },
      },
    ]
    while (alive() && topics.some(({ name }) => log.catalog.byName(name) === null)) {
      await log.topics.create(topics)
      await this.machine.clock.sleep(5)
    }
    // What the log keeps for itself is compacted as well.
    for (const name of ['__consumer_offsets', '__transaction_state', '_millrace_catalog'])
      if (alive() && log.catalog.byName(name)?.config['internal.segment.bytes'] === undefined)
        await log.topics.alter(name, { config: { 'internal.segment.bytes': '1500' } }).catch(() => undefined)
    return log
  }

  // --- a client with an idempotent producer

  async #produce(producer: Producer, alive: () => boolean): Promise<void> {
    const log = await this.#ready(alive)
    while (alive()) {
      try {
        producer.identity ??= await log.initProducer()
      } catch {
        await this.machine.clock.sleep(10)
        continue
      }
      if (producer.pending.length === 0 && this.random.chance(0.02)) {
        // The client is started anew: another producer id, from the first sequence on.
        producer.identity = null
        producer.sequence = 0
        continue
      }
      this.#repeated += producer.pending.length
      const count = this.random.chance(0.7) ? 1 : this.random.between(1, onTheirWayMax)
      while (producer.pending.length < count) this.#next(producer)
      const sending = [...producer.pending]
      let refused = false
      const answers = sending.map(async (sent) => {
        const [answer] = await log.produce({
          acks: 'all',
          transactionalId: null,
          entries: [{ partition: producer.partition, records: this.#batch(producer, sent) }],
        })
        if (!alive() || answer === undefined) return
        if ('fault' in answer) this.#refused(answer.fault, refused)
        else this.#acknowledged(producer, sent, answer.baseOffset)
        refused ||= 'fault' in answer
      })
      await Promise.all(answers)
      await this.machine.clock.sleep(this.random.between(0, 8))
    }
  }
  #next(producer: Producer): void {
    const values = Array.from({ length: this.random.between(1, 4) }, () => `${producer.name}:${producer.next++}`)
    producer.pending.push({ values, sequence: producer.sequence })
    producer.sequence += values.length
  }
  #acknowledged(producer: Producer, sent: Sent, at: number): void {
    assert.equal(producer.pending[0], sent, `producer ${producer.name}: acknowledged before what was sent before it`)
    producer.pending.shift()
    producer.acknowledged.push(...sent.values)
    sent.values.forEach((value, i) => producer.places.set(value, at + i))
  }
  #refused({ code, retry, message }: Fault, isBehindRefused: boolean): void {
    this.#lives.faults.add(code)
    const isGap = code === 'log.out-of-order-sequence' && isBehindRefused
    assert.ok(isGap || retry, `a producer met ${code}: ${message}`)
  }
  #batch(producer: Producer, { values, sequence: baseSequence }: Sent): Uint8Array {
    const timeMs = this.machine.clock.now()
    const batch = encodeBatch(values.map((value) => ({ key: null, value: Buffer.from(value), timeMs })))
    const { producerId, epoch } = producer.identity!
    ownBatch(batch, { producerId, producerEpoch: epoch, baseSequence, transactional: false })
    return batch
  }

  // --- a task: each tick copies some input to both outputs and moves the positions

  async #task(alive: () => boolean): Promise<void> {
    const log = await this.#ready(alive)
    const membership = log.join('task', { topics: [input], warm: () => [] })
    const owner = await log.owner()
    const changes = membership.changes()[Symbol.asyncIterator]()
    const { value: change } = (await changes.next()) as { value: { claim: Claim; accept(): void } }
    change.accept()
    const parts = Array.from({ length: inputPartitions }, (_, index) => inputOf(index))
    const settled = await membership.positions(change.claim, parts)
    const positions = settled.map((offset) => offset ?? (0 as Offset))
    const reader = log.reader({ maxBytes: this.random.between(100, 5_000) })
    while (alive()) {
      const from = positions.map((offset, index) => ({ partition: inputOf(index), offset }))
      const chunks = await reader.read(from, { ms: 50 })
      if (!alive()) return
      const values: string[] = []
      const next = [...positions]
      for (const chunk of chunks) {
        if ('fault' in chunk) throw chunk.fault
        const { index } = chunk.partition
        for (const batch of chunk.batches)
          for (const record of decodeBatch(batch))
            if (record.offset >= positions[index]!) values.push(Buffer.from(record.value!).toString())
        next[index] = chunk.next
      }
      if (values.length === 0) continue
      const moved = next.map((offset, index) => ({ partition: inputOf(index), offset }))
      if (await this.#tick(owner, values, { claim: change.claim, positions: moved }, alive))
        next.forEach((offset, index) => (positions[index] = offset))
    }
  }
  async #tick(
    owner: Owner,
    values: readonly string[],
    part: { claim: Claim; positions: readonly At[] },
    alive: () => boolean,
  ): Promise<boolean> {
    const tick = owner.begin()
    const number = this.#tickNumber++
    const timeMs = this.machine.clock.now()
    const key = Buffer.from(String(number))
    try {
      for (const topic of outputs) {
        const batch = encodeBatch(values.map((value) => ({ key, value: Buffer.from(value), timeMs })))
        await tick.append([{ partition: outputOf(topic), batch }])
        if (this.random.chance(0.3)) await this.machine.clock.sleep(this.random.between(0, 5))
      }
      const records = stateOf(number).map(([name, newest]) => ({
        key: Buffer.from(name),
        value: newest === null ? null : Buffer.from(newest),
        timeMs,
      }))
      await tick.append([{ partition: outputOf(state), batch: encodeBatch(records) }])
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      this.#lives.faults.add(error.code)
      await tick.abort()
      await this.machine.clock.sleep(10)
      return false
    }
    if (this.random.chance(0.05)) await this.#dawdle()
    if (this.random.chance(0.1)) {
      await tick.abort()
      return false
    }
    const isHarassed = this.machine.disk.plan !== null && this.random.chance(0.15)
    if (isHarassed && this.random.chance(0.5)) this.#failsOnce = state
    const outcome = await tick.commit([part])
    if (!alive()) return false
    if (isHarassed) await this.#strand(owner)
    if (!alive()) return false
    assert.ok(outcome === 'committed' || outcome === 'retry', 'the only claim is never lost')
    if (outcome === 'retry') this.#retries++
    else this.#ticks++
    return outcome === 'committed'
  }

  /**
   * The markers of the tick just decided do not get into one of its partitions; the same owner may commit elsewhere
   * meanwhile, others roll and compact what they wrote to; then mostly the process dies.
   */
  async #strand(owner: Owner): Promise<void> {
    this.#stranded = outputs[0]
    if (this.random.chance(0.5)) {
      const tick = owner.begin()
      const value = Buffer.from('x')
      const batch = encodeBatch([{ key: Buffer.from('filler aside'), value, timeMs: this.machine.clock.now() }])
      const written = await tick.append([{ partition: outputOf(state), batch }]).catch(() => null)
      if (written === null) await tick.abort()
      else await tick.commit([])
    }
    if (this.random.chance(0.7)) await this.#dawdle()
    if (this.random.chance(0.7)) this.#isDying = true
    await this.machine.clock.sleep(2 * stepMs)
    this.#stranded = null
  }
  /** A tick stays open while others roll the compacted topic's segments over it. */
  async #dawdle(): Promise<void> {
    const timeMs = this.machine.clock.now()
    for (let i = 0; i < 12; i++) {
      const batch = encodeBatch([{ key: Buffer.from(`filler${i % 3}`), value: Buffer.from('x'.repeat(100)), timeMs }])
      await this.#lives.log?.writer().append([{ partition: outputOf(state), batch }])
    }
    await this.machine.clock.sleep(40)
  }

  // --- someone who remembers what was shown

  async #observe(alive: () => boolean): Promise<void> {
    const log = await this.#ready(alive)
    const reader = log.reader()
    const positions = new Map(every.map((partition) => [keyOf(partition), 0 as Offset]))
    while (alive()) {
      const from = every.map((partition) => ({ partition, offset: positions.get(keyOf(partition))! }))
      const chunks = await reader.read(from, { ms: 20 })
      if (!alive()) return
      for (const chunk of chunks) {
        if ('fault' in chunk) throw chunk.fault
        const key = keyOf(chunk.partition)
        const shown = this.#shown.get(key)!
        for (const batch of chunk.batches)
          for (const record of decodeBatch(batch)) {
            const value = `${record.key === null ? '' : Buffer.from(record.key).toString()}=${Buffer.from(record.value!).toString()}`
            const before = shown.get(record.offset)
            assert.ok(before === undefined || before === value, `${key}@${record.offset}: ${before}, now ${value}`)
            shown.set(record.offset, value)
          }
        positions.set(key, chunk.next)
      }
    }
  }

  // --- a consumer that assigns its partitions itself

  async #commitPositions(alive: () => boolean): Promise<void> {
    const log = await this.#ready(alive)
    const partition = inputOf(0)
    while (alive()) {
      const [found] = await log.coordinator.offsets('consumer', [partition], true)
      assert.ok(found !== undefined)
      const current = Math.max(0, found.offset)
      assert.ok(current >= this.#positionAnswered, `position ${current} after ${this.#positionAnswered} was answered`)
      const offset = (current + 1) as Offset
      const committed = { partition, offset, leaderEpoch: -1, metadata: null }
      const [fault] = await log.coordinator.commit({
        group: 'consumer',
        generation: -1,
        memberId: '',
        instanceId: null,
        offsets: [committed],
      })
      if (!alive()) return
      if (fault === null) this.#positionAnswered = offset
      else if (fault !== undefined) this.#lives.faults.add(fault.code)
      await this.machine.clock.sleep(this.random.between(1, 30))
    }
  }

  // --- the reckoning

  /** A last life without accidents: everyone comes to an end, then everything is compared. */
  async finish(): Promise<void> {
    const { machine } = this
    const log = await machine.run(() => this.#lives.open())
    const isAlive = this.#lives.number
    this.#start()
    await machine.advance(700)
    this.#lives.check()
    // Producers stop; the task goes on until it has caught up.
    const contents = await machine.run(async () => {
      this.#lives.number++
      await machine.clock.sleep(200)
      return this.#contents(log)
    })
    assert.equal(isAlive, this.#lives.number - 1)
    const committed = await machine.run(() => log.groups.positions('task'))
    const ticks = contents.get(keyOf(outputOf('left')))!.map(({ key }) => Number(key))
    await machine.run(() => this.#checkState(log, ticks))
    this.#check(contents, committed)
    await machine.run(() => log.close())
  }
  async #contents(log: LocalLog): Promise<Map<string, { offset: number; key: string; value: string }[]>> {
    const contents = new Map<string, { offset: number; key: string; value: string }[]>()
    for (const partition of every) {
      const [bounds] = await log.bounds([partition])
      assert.equal(bounds!.stable, bounds!.end, `${keyOf(partition)} holds an open transaction`)
      const records: { offset: number; key: string; value: string }[] = []
      for (let offset = bounds!.start; offset < bounds!.stable;) {
        const [chunk] = await log.reader({ maxBytes: 3_000 }).read([{ partition, offset }])
        if (chunk === undefined || 'fault' in chunk) throw chunk?.fault ?? new Error('no answer')
        assert.ok(chunk.next > offset, 'a read below the stable end goes on')
        for (const batch of chunk.batches)
          for (const record of decodeBatch(batch))
            if (record.offset >= offset)
              records.push({
                offset: record.offset,
                key: record.key === null ? '' : Buffer.from(record.key).toString(),
                value: Buffer.from(record.value!).toString(),
              })
        offset = chunk.next
      }
      contents.set(keyOf(partition), records)
    }
    return contents
  }
  async #checkState(log: LocalLog, ticks: readonly number[]): Promise<void> {
    const expected = new Map<string, string>()
    const numbers = [...new Set(ticks)]
    for (const number of numbers)
      for (const [name, newest] of stateOf(number))
        if (newest === null) expected.delete(name)
        else expected.set(name, newest)
    const found = new Map<string, string>()
    const partition = outputOf(state)
    const [bounds] = await log.bounds([partition])
    let records = 0
    for (let offset = bounds!.start; offset < bounds!.stable;) {
      const [chunk] = await log.reader({ maxBytes: 3_000 }).read([{ partition, offset }])
      if (chunk === undefined || 'fault' in chunk) throw chunk?.fault ?? new Error('no answer')
      assert.ok(chunk.next > offset, 'a read below the stable end goes on')
      for (const batch of chunk.batches)
        for (const { key, value, offset: at } of decodeBatch(batch)) {
          if (at < offset) continue
          const name = Buffer.from(key!).toString()
          if (name.startsWith('filler')) continue
          records++
          if (value === null) found.delete(name)
          else found.set(name, Buffer.from(value).toString())
        }
      offset = chunk.next
    }
    assert.deepEqual(sorted(found), sorted(expected), 'the newest of each key')
    this.#compacted = numbers.flatMap(stateOf).length - records
  }
  #check(contents: Map<string, { offset: number; key: string; value: string }[]>, committed: readonly At[]): void {
    for (const producer of this.#producers) {
      const there = contents
        .get(keyOf(producer.partition))!
        .map(({ value }) => value)
        .filter((value) => value.startsWith(`${producer.name}:`))
      // What was sent last may be there without an answer.
      const expected = [...producer.acknowledged, ...producer.pending.flatMap(({ values }) => values)]
      assert.ok(there.length >= producer.acknowledged.length, `producer ${producer.name}: acknowledged is lost`)
      assert.deepEqual(there, expected.slice(0, there.length), `producer ${producer.name}`)
      const values = new Map(contents.get(keyOf(producer.partition))!.map(({ offset, value }) => [offset, value]))
      for (const [value, offset] of producer.places)
        assert.equal(values.get(offset), value, `acknowledged at ${offset}`)
    }
    for (const [key, shown] of this.#shown) {
      const now = new Map(contents.get(key)!.map((record) => [record.offset, `${record.key}=${record.value}`]))
      for (const [offset, value] of shown) assert.equal(now.get(offset), value, `shown at ${key}@${offset}`)
    }
    const [left, right] = outputs.map((topic) =>
      contents.get(keyOf(outputOf(topic)))!.map(({ key, value }) => `${key}=${value}`),
    )
    assert.deepEqual(left, right, 'a torn tick')
    const ticks = contents.get(keyOf(outputOf('left')))!.map(({ key }) => Number(key))
    assert.deepEqual(
      ticks,
      [...ticks].sort((a, b) => a - b),
      'ticks out of order',
    )
    const produced = contents.get(keyOf(outputOf('left')))!.map(({ value }) => value)
    const consumed: string[] = []
    for (const { partition, offset } of committed)
      consumed.push(
        ...contents
          .get(keyOf(partition))!
          .filter((record) => record.offset < offset)
          .map(({ value }) => value),
      )
    assert.deepEqual([...produced].sort(), consumed.sort(), 'outputs stand for the inputs before the position')
  }
}
const sorted = (map: ReadonlyMap<string, string>): [string, string][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1))
/** What a tick says of some keys; null = the key is gone. Some are written again and again, some once and then taken away. */
const stateOf = (tick: number): [name: string, value: string | null][] => [
  [`k${tick % 5}`, tick % 7 === 0 ? null : String(tick)],
  [`once${tick}`, String(tick)],
  [`once${tick - 4}`, null],
]
