/**
 * Transactions of clients through several lives of one data folder. Each life ends in a kill, a power cut or a clean stop at
 * a random moment; the disk may fail in between. The clients outlive the log, as clients do: they repeat what was not
 * acknowledged with the same sequences, ask again for an end until they know, leave transactions open over a death, take
 * too long, and are replaced by another producer of their id. Two take the next epoch at every end, one keeps its own.
 *
 * Held at the end, and wherever it can be seen earlier:
 * - a transaction is in both topics or in neither, whole, once, in the order of its client;
 * - what was answered as committed is there; what was not asked to be committed, or refused, is not;
 * - the position of the client's group is that of its last transaction that is there and moved it;
 * - what a committed reader was shown, at an offset, is still shown there;
 * - nothing stays open: committed readers come to the end.
 */
import assert from 'node:assert/strict'
import type { Offset } from '../src/lib/brand.ts'
import { Fault } from '../src/lib/fault.ts'
import { ownBatch } from '../src/store/batch-header.ts'
import type { Store } from '../src/store/store.ts'
import { decodeBatch, encodeBatch } from '../src/log/batch.ts'
import type { ProducerIdentity } from '../src/log/broker.ts'
import type { LocalLog } from '../src/log/local/local-log.ts'
import type { Partition } from '../src/log/log.ts'
import { Lives, failing } from './lives.ts'
import { SeededRandom } from '../src/lib/sim/random.ts'
import { type Simulation, simulate } from '../src/lib/sim/world.ts'

export interface TransactionRun {
  readonly lives: number
  readonly committed: number
  readonly aborted: number
  /** Ends of which no answer ever came. */
  readonly unknown: number
  /** Transactions that were open when their log died, and went on in the next life. */
  readonly survived: number
  readonly faults: readonly string[]
  readonly trace: string
}
export interface TransactionRunOptions {
  readonly failures?: boolean
  readonly tamper?: (store: Store) => Store
}

const topics = ['left', 'right'] as const
const of = (topic: string): Partition => ({ topic, index: 0 })
const clientCount = 3
const stepMs = 1

type Fate = 'open' | 'committed' | 'aborted' | 'unknown'
interface Transaction {
  readonly number: number
  readonly commits: boolean
  /** What each topic gets, a batch each, in this order. */
  readonly batches: readonly { readonly topic: string; readonly values: readonly string[] }[]
  /** Batches that were acknowledged. */
  written: number
  readonly moves: boolean
  moved: boolean
  /** The commit was asked for, and the answer did not come. */
  asked: boolean
  fate: Fate
  life: number
}
interface Client {
  readonly name: number
  readonly id: string
  readonly bumps: boolean
  identity: ProducerIdentity | null
  readonly sequences: Map<string, number>
  current: Transaction | null
  readonly all: Transaction[]
}
/** A client asks again after these. */
const passing = (fault: Fault): boolean => fault.retry || fault.code === 'log.closed'

export async function runTransactions(seed: number, options: TransactionRunOptions = {}): Promise<TransactionRun> {
  const machine = simulate(seed, { syncMsMax: 3 })
  const run = new Run(machine, options)
  const lives = run.random.between(2, 7)
  for (let life = 1; life <= lives; life++) await run.live()
  await run.finish()
  return { lives, ...run.report(), trace: machine.trace() }
}

class Run {
  readonly machine: Simulation
  readonly random: SeededRandom
  readonly #options: TransactionRunOptions
  readonly #clients: readonly Client[]
  readonly #shown = new Map<string, Map<number, string>>(topics.map((topic) => [topic, new Map()]))
  readonly #lives: Lives
  #isEnding = false
  /** A commit was just answered, and its markers are not on disk yet: a moment that chance hardly ever meets. */
  #isDying = false
  #survived = 0

  constructor(machine: Simulation, options: TransactionRunOptions) {
    this.machine = machine
    this.random = new SeededRandom(machine.seed, 'transactions')
    this.#options = options
    const { tamper } = options
    this.#lives = new Lives(machine, this.random, {
      log: { snapshotBytes: this.random.pick([300, 3_000, 2 ** 26]), compactEveryMs: 15 },
      ...(tamper === undefined ? {} : { tamper }),
      start: () => this.#start(),
    })
    this.#clients = Array.from({ length: clientCount }, (_, name) => ({
      name,
      id: `client-${name}`,
      bumps: name < clientCount - 1,
      identity: null,
      sequences: new Map(),
      current: null,
      all: [],
    }))
  }
  report(): Omit<TransactionRun, 'lives' | 'trace'> {
    const count = (fate: Fate): number =>
      this.#clients.reduce((sum, { all }) => sum + all.filter((one) => one.fate === fate).length, 0)
    const [committed, aborted, unknown] = [count('committed'), count('aborted'), count('unknown')]
    return { committed, aborted, unknown, survived: this.#survived, faults: [...this.#lives.faults] }
  }

  async live(): Promise<void> {
    const { random } = this
    await this.#lives.live({
      plan: this.#options.failures === true ? failing(random) : null,
      stillborn: 0.2,
      ms: [20, 600],
      stepMs,
      isDying: () => this.#isDying,
      death: () => {
        const how = random.between(this.#isDying ? 5 : 0, 9)
        this.#isDying = false
        if (how < 2) return 'stop'
        return how < 6 ? 'kill' : 'power cut'
      },
    })
  }
  #start(): void {
    for (const client of this.#clients) this.#lives.actor((alive) => this.#work(client, alive))
    this.#lives.actor((alive) => this.#observe(alive))
  }
  async #ready(alive: () => boolean): Promise<LocalLog> {
    const log = this.#lives.log!
    const config = { 'internal.segment.bytes': '2000' }
    while (alive() && topics.some((name) => log.catalog.byName(name) === null)) {
      await log.topics.create(topics.map((name) => ({ name, partitions: 1, config })))
      await this.machine.clock.sleep(5)
    }
    for (const name of ['__consumer_offsets', '__transaction_state'])
      if (alive() && log.catalog.byName(name)?.config['internal.segment.bytes'] === undefined)
        await log.topics.alter(name, { config: { 'internal.segment.bytes': '1500' } }).catch(() => undefined)
    return log
  }

  // --- clients

  async #work(client: Client, alive: () => boolean): Promise<void> {
    const log = await this.#ready(alive)
    const { clock } = this.machine
    if (client.current !== null && client.current.life < this.#lives.number) this.#survived++
    while (alive()) {
      if (client.current === null) {
        if (this.#isEnding) return
        if (this.random.chance(0.03)) client.identity = null
        if (client.identity !== null) this.#begin(client)
      }
      const step = client.identity === null ? this.#init(client, log) : this.#step(client, log)
      const outcome = await step
      if (!alive()) return
      if (outcome instanceof Fault) this.#refused(client, outcome)
      await clock.sleep(this.random.chance(0.02) ? this.random.between(50, 300) : this.random.between(0, 6))
    }
  }
  async #init(client: Client, log: LocalLog): Promise<Fault | null> {
    try {
      // What it had open, if anything, is lost with its former self.
      client.identity = await log.transactions.init({
        transactionalId: client.id,
        timeoutMs: this.random.pick([100, 60_000]),
        expected: null,
      })
      client.sequences.clear()
      this.#lose(client)
      return null
    } catch (error) {
      if (error instanceof Fault) return error
      throw error
    }
  }
  /** It will never be ended by its client: visible only if its commit may have been decided. */
  #lose(client: Client): void {
    if (client.current !== null) client.current.fate = client.current.asked ? 'unknown' : 'aborted'
    client.current = null
  }
  #begin(client: Client): void {
    const number = client.all.length
    const count = this.random.between(1, 3)
    const batches = Array.from({ length: count }, (_, i) =>
      topics.map((topic) => ({ topic, values: [`${client.name}:${number}:${i}`] })),
    ).flat()
    const transaction: Transaction = {
      number,
      commits: this.random.chance(0.7),
      batches: this.random.chance(0.5) ? batches : batches.toReversed(),
      written: 0,
      moves: this.random.chance(0.6),
      moved: false,
      asked: false,
      fate: 'open',
      life: this.#lives.number,
    }
    client.current = transaction
    client.all.push(transaction)
  }
  async #step(client: Client, log: LocalLog): Promise<Fault | null> {
    const { current, identity } = client
    if (current === null || identity === null) return null
    const producer = { transactionalId: client.id, ...identity }
    try {
      if (current.written < current.batches.length) return await this.#write(client, log)
      if (current.moves && !current.moved) {
        if (!client.bumps) await log.transactions.addOffsets(producer)
        const offset = (current.number + 1) as Offset
        const offsets = [{ partition: of('left'), offset, leaderEpoch: -1, metadata: null }]
        const member = { generation: -1, memberId: '', instanceId: null }
        const asked = { ...producer, ...member, joins: client.bumps, group: client.id, offsets }
        const [fault] = await log.transactions.commitOffsets(asked)
        if (fault != null) return fault
        current.moved = true
        return null
      }
      const commit = current.commits
      current.asked ||= commit
      const life = this.#lives.number
      const next = await log.transactions.end(producer, { commit, bumps: client.bumps })
      // Whoever died meanwhile has not answered.
      if (life !== this.#lives.number) return null
      current.fate = commit ? 'committed' : 'aborted'
      if (commit && !this.#isEnding && this.random.chance(0.02)) this.#isDying = true
      client.current = null
      if (next.epoch !== identity.epoch || next.producerId !== identity.producerId) client.sequences.clear()
      client.identity = next
      return null
    } catch (error) {
      if (error instanceof Fault) return error
      throw error
    }
  }
  async #write(client: Client, log: LocalLog): Promise<Fault | null> {
    const current = client.current!
    const { topic, values } = current.batches[current.written]!
    const producer = { transactionalId: client.id, ...client.identity! }
    if (!client.bumps) await log.transactions.addPartitions(producer, [of(topic)], false)
    const timeMs = this.machine.clock.now()
    const records = encodeBatch(values.map((value) => ({ key: null, value: Buffer.from(value), timeMs })))
    const baseSequence = client.sequences.get(topic) ?? 0
    const { producerId, epoch: producerEpoch } = producer
    ownBatch(records, { producerId, producerEpoch, baseSequence, transactional: true })
    const life = this.#lives.number
    const entries = [{ partition: of(topic), records }]
    const [answer] = await log.produce({ acks: 'all', transactionalId: client.id, joins: client.bumps, entries })
    if ('fault' in answer!) return answer.fault
    if (life !== this.#lives.number) return null
    client.sequences.set(topic, baseSequence + values.length)
    current.written++
    return null
  }
  /** A client that is told no: what passes is asked again, else it begins anew under its id. */
  #refused(client: Client, fault: Fault): void {
    this.#lives.faults.add(fault.code)
    if (passing(fault)) return
    const isOver = ['log.invalid-transaction', 'log.transaction-abortable'].includes(fault.code)
    // The first answer to its commit says no: it is certain.
    if (isOver && client.current !== null) client.current.asked = false
    const known = [
      'log.producer-fenced',
      'log.invalid-producer-epoch',
      'log.out-of-order-sequence',
      'log.invalid-producer-mapping',
    ]
    assert.ok(isOver || known.includes(fault.code), `a client met ${fault.code}: ${fault.message}`)
    this.#lose(client)
    client.identity = null
  }

  // --- a committed reader

  async #observe(alive: () => boolean): Promise<void> {
    const log = await this.#ready(alive)
    const reader = log.reader()
    const positions = new Map<string, Offset>(topics.map((topic) => [topic, 0 as Offset]))
    while (alive()) {
      const from = topics.map((topic) => ({ partition: of(topic), offset: positions.get(topic)! }))
      const chunks = await reader.read(from, { ms: 20 })
      if (!alive()) return
      for (const chunk of chunks) {
        if ('fault' in chunk) throw chunk.fault
        const { topic } = chunk.partition
        for (const batch of chunk.batches)
          for (const { offset, value } of decodeBatch(batch)) this.#show(topic, offset, Buffer.from(value!).toString())
        positions.set(topic, chunk.next)
      }
    }
  }
  #show(topic: string, offset: number, value: string): void {
    const shown = this.#shown.get(topic)!
    const before = shown.get(offset)
    assert.ok(before === undefined || before === value, `${topic}@${offset}: ${before}, now ${value}`)
    shown.set(offset, value)
    const [name, number] = value.split(':').map(Number) as [number, number]
    assert.notEqual(this.#clients[name]!.all[number]!.fate, 'aborted', `${value} was shown, and is aborted`)
  }

  // --- the reckoning

  async finish(): Promise<void> {
    const { machine } = this
    const log = await machine.run(() => this.#lives.open())
    this.#isEnding = true
    this.#start()
    await machine.advance(2_000)
    this.#lives.check()
    await machine.run(async () => {
      // Nobody comes back for what is still open: the next producer of the id ends it.
      for (const client of this.#clients) while ((await this.#init(client, log)) !== null) await machine.clock.sleep(10)
      this.#lives.number++
      await machine.clock.sleep(200)
      const contents = new Map<string, string[]>()
      for (const topic of topics) contents.set(topic, await this.#contents(log, topic))
      for (const client of this.#clients) await this.#check(client, contents, log)
      await log.close()
    })
  }
  async #contents(log: LocalLog, topic: string): Promise<string[]> {
    const [bounds] = await log.bounds([of(topic)])
    assert.equal(bounds!.stable, bounds!.end, `${topic} holds an open transaction`)
    const found: string[] = []
    const shown = this.#shown.get(topic)!
    const offsets = new Set<number>()
    for (let offset = bounds!.start; offset < bounds!.stable;) {
      const [chunk] = await log.reader({ maxBytes: 3_000 }).read([{ partition: of(topic), offset }])
      if (chunk === undefined || 'fault' in chunk) throw chunk?.fault ?? new Error('no answer')
      assert.ok(chunk.next > offset, 'a read below the stable end goes on')
      for (const batch of chunk.batches)
        for (const record of decodeBatch(batch)) {
          if (record.offset < offset) continue
          const value = Buffer.from(record.value!).toString()
          this.#show(topic, record.offset, value)
          found.push(value)
          offsets.add(record.offset)
        }
      offset = chunk.next
    }
    for (const offset of shown.keys()) assert.ok(offsets.has(offset), `${topic}@${offset} was shown, and is gone`)
    return found
  }
  async #check(client: Client, contents: ReadonlyMap<string, readonly string[]>, log: LocalLog): Promise<void> {
    const valuesOf = (topic: string): string[] =>
      contents.get(topic)!.filter((value) => value.startsWith(`${client.name}:`))
    const expected = new Map<string, string[]>(topics.map((topic) => [topic, []]))
    let last: Transaction | null = null
    for (const transaction of client.all) {
      const prefix = `${client.name}:${transaction.number}:`
      const isThere = topics.map((topic) => contents.get(topic)!.some((value) => value.startsWith(prefix)))
      const what = `transaction ${prefix} (${transaction.fate})`
      assert.equal(isThere[0], isThere[1], `${what} is torn`)
      if (transaction.fate === 'committed') assert.ok(isThere[0], `${what} is lost`)
      if (transaction.fate === 'aborted') assert.ok(!isThere[0], `${what} is visible`)
      if (!isThere[0]) continue
      for (const { topic, values } of transaction.batches) expected.get(topic)!.push(...values)
      if (transaction.moves) last = transaction
    }
    for (const topic of topics) assert.deepEqual(valuesOf(topic), expected.get(topic), `client ${client.name}`)
    const [position] = await log.coordinator.offsets(client.id, [of('left')], true)
    assert.equal(position!.fault, null, 'a position is held for ever')
    assert.equal(position!.offset, last === null ? -1 : last.number + 1, `the position of client ${client.name}`)
  }
}
