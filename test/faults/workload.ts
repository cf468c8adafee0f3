/**
 * Producers and consumers that go on through every crash and note what they were told (`history.ts`).
 *
 * Three kinds of producer, each with a partition and a connection of its own:
 *   idempotent  acks=all, up to 5 batches on their way; after a lost connection or a retriable error it sends again,
 *               in order, all that was not acknowledged
 *   all         acks=all, one batch at a time, never sends anything twice
 *   leader      acks=1, likewise; its acknowledgements count as promises only where the process alone dies
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { History } from './history.ts'
import { batchOf, readBatch, recordId } from './records.ts'
import { ConnectionLost, createTopic, fetch, initProducer, kafkaError, produce, Wire } from './wire.ts'

export interface Place {
  readonly topic: string
  readonly partition: number
}
export const placeName = (place: Place): string => `${place.topic}/${place.partition}`
export type ProducerKind = 'idempotent' | 'all' | 'leader'

export interface WorkloadOptions {
  readonly address: string
  readonly topic: string
  readonly partitions: number
  /** Whether what was acknowledged with acks=1 must stay. */
  readonly leaderCounts: boolean
  readonly random: () => number
  readonly config?: Readonly<Record<string, string>>
}

const inFlightMax = 5
const retryMs = 25
/** Errors after which a client asks again: unknown server error, leadership, time-outs, storage. */
const retriable = new Set([-1, 3, 5, 6, 7, 13, 14, 15, 16, 19, 20, kafkaError.storage])

export class Workload {
  readonly history = new History()
  readonly places: readonly Place[]
  readonly options: WorkloadOptions
  /** Error codes that producers and consumers were answered, with their counts. */
  readonly errors = new Map<number, number>()
  /** Acknowledged batches: the sign of life that a case waits for. */
  acknowledgedBatches = 0
  /** Answers that no correct broker gives; each fails the case. */
  readonly complaints: string[] = []
  #state: 'running' | 'paused' | 'stopped' = 'running'
  /** Called once when the state changes; a loop without work waits here. */
  #changed: (() => void)[] = []
  #loops: Promise<void>[] = []
  readonly #wires = new Set<Wire>()
  #resting = 0

  constructor(options: WorkloadOptions) {
    this.options = options
    this.places = Array.from({ length: options.partitions }, (_, partition) => ({ topic: options.topic, partition }))
  }

  async start(): Promise<void> {
    const { address, topic, partitions, config } = this.options
    const wire = await Wire.open(address)
    await createTopic(wire, topic, partitions, config)
    wire.close()
    const kinds: readonly ProducerKind[] = ['all', 'leader']
    for (const place of this.places) {
      const plain = kinds[place.partition % kinds.length]!
      this.#run(new ProducerLoop(this, place.partition * 2, 'idempotent', place))
      this.#run(new ProducerLoop(this, place.partition * 2 + 1, plain, place))
      this.#run(new ConsumerLoop(this, place))
    }
  }

  async stop(): Promise<void> {
    this.#enter('stopped')
    // What is on its way may never be answered: the process may hang, which is what is being tested.
    for (const wire of this.#wires) wire.close()
    await Promise.all(this.#loops)
  }

  /** Does `work` while nothing is sent or read; what was on its way is answered or lost before. */
  async whilePaused<T>(work: () => Promise<T>): Promise<T> {
    this.#enter('paused')
    while (this.#resting < this.#loops.length) await sleep(2)
    try {
      return await work()
    } finally {
      this.#enter('running')
    }
  }

  get running(): boolean {
    return this.#state === 'running'
  }

  #enter(state: 'running' | 'paused' | 'stopped'): void {
    if (this.#state === 'stopped') return
    this.#state = state
    for (const call of this.#changed.splice(0)) call()
  }

  /** Waits until `batches` more were acknowledged. */
  async progress(batches: number, withinMs: number): Promise<number> {
    const start = performance.now()
    const goal = this.acknowledgedBatches + batches
    while (this.acknowledgedBatches < goal) {
      if (performance.now() - start > withinMs) {
        const errors = [...this.errors].map(([code, count]) => `${count} × ${code}`).join(', ')
        throw new Error(`nothing was acknowledged within ${withinMs} ms; errors so far: ${errors || 'none'}`)
      }
      await sleep(2)
    }
    return performance.now() - start
  }

  /** Counts an error and says whether a client would go on. */
  error(code: number, who: string): boolean {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1)
    if (retriable.has(code)) return true
    this.complain(`${who}: error ${code}`)
    return false
  }
  complain(what: string): void {
    if (this.complaints.length < 20) this.complaints.push(what)
  }

  #run(loop: { session(wire: Wire): Promise<void> }): void {
    this.#loops.push(this.#loop(loop))
  }

  async #loop(loop: { session(wire: Wire): Promise<void> }): Promise<void> {
    while (this.#state !== 'stopped') {
      if (this.#state === 'paused') {
        this.#resting++
        await new Promise<void>((go) => this.#changed.push(go))
        this.#resting--
        continue
      }
      let wire: Wire | null = null
      try {
        wire = await Wire.open(this.options.address)
        this.#wires.add(wire)
        await loop.session(wire)
      } catch (error) {
        if (!(error instanceof ConnectionLost)) this.complain(error instanceof Error ? error.message : String(error))
      }
      if (wire !== null) this.#wires.delete(wire)
      wire?.close()
      if (this.running) await sleep(retryMs)
    }
  }
}

interface Outstanding {
  readonly first: number
  readonly count: number
  readonly batch: Buffer
}

class ProducerLoop {
  readonly #load: Workload
  readonly #producer: number
  readonly #kind: ProducerKind
  readonly #place: Place
  #next = 0
  #owner: { producerId: number; epoch: number } | null = null
  /** Sent and not acknowledged, oldest first; only the idempotent producer has any after its connection is gone. */
  #outstanding: Outstanding[] = []
  /** A broker that knows nothing of a producer takes any first sequence: nothing follows the first batch unanswered. */
  #inFlightMax = 1

  constructor(load: Workload, producer: number, kind: ProducerKind, place: Place) {
    this.#load = load
    this.#producer = producer
    this.#kind = kind
    this.#place = place
    load.history.sender(producer, placeName(place), kind === 'idempotent')
  }

  async session(wire: Wire): Promise<void> {
    if (this.#kind !== 'idempotent') return this.#oneByOne(wire)
    if (this.#owner === null && !(await this.#getOwner(wire))) return
    // All that was not acknowledged goes out again before anything new.
    const onTheirWay = this.#outstanding.map((batch) => ({ batch, answer: this.#send(wire, batch) }))
    while (this.#load.running) {
      while (onTheirWay.length < this.#inFlightMax) {
        const batch = this.#newBatch()
        this.#outstanding.push(batch)
        onTheirWay.push({ batch, answer: this.#send(wire, batch) })
      }
      const { answer } = onTheirWay.shift()!
      if (!(await answer)) {
        await Promise.allSettled(onTheirWay.map((other) => other.answer))
        return
      }
      this.#outstanding.shift()
      this.#inFlightMax = inFlightMax
      await this.#pause()
    }
    await Promise.allSettled(onTheirWay.map((other) => other.answer))
  }

  async #getOwner(wire: Wire): Promise<boolean> {
    const { error, producerId, epoch } = await initProducer(wire)
    if (error === kafkaError.none) this.#owner = { producerId, epoch }
    else this.#load.error(error, `producer ${this.#producer} asking for its id`)
    return error === kafkaError.none
  }

  async #oneByOne(wire: Wire): Promise<void> {
    while (this.#load.running) {
      await this.#send(wire, this.#newBatch())
      await this.#pause()
    }
  }

  /** True when acknowledged. A failed answer is never awaited twice, so it must not be an unhandled rejection. */
  #send(wire: Wire, { first, count, batch }: Outstanding): Promise<boolean> {
    const answered = this.#ask(wire, first, count, batch)
    answered.catch(() => {})
    return answered
  }

  async #ask(wire: Wire, first: number, count: number, batch: Buffer): Promise<boolean> {
    const { history } = this.#load
    const { error, offset } = await produce(wire, this.#place, batch, this.#kind === 'leader' ? 1 : -1)
    const repeated = error === kafkaError.duplicateSequence && this.#kind === 'idempotent'
    if (error !== kafkaError.none && !repeated) {
      // Behind a batch that was refused for a passing reason, the next ones are out of order: that is no fault.
      const follows = error === kafkaError.outOfOrderSequence && this.#outstanding[0]?.first !== first
      if (!follows) this.#load.error(error, `producer ${this.#producer} (${this.#kind}) at sequence ${first % 2 ** 32}`)
      return false
    }
    this.#load.acknowledgedBatches++
    const counts = this.#kind !== 'leader' || this.#load.options.leaderCounts
    if (counts) history.acknowledged(first, count, repeated ? null : offset)
    return true
  }

  #newBatch(): Outstanding {
    const { random } = this.#load.options
    // One batch in 50 is big: it is what a crash tears.
    const count = random() < 0.02 ? 300 : 1 + Math.floor(random() * 12)
    const first = recordId(this.#producer, this.#next)
    this.#next += count
    this.#load.history.sent(first, count)
    return { first, count, batch: batchOf(first, count, this.#owner) }
  }

  #pause(): Promise<void> {
    return sleep(this.#load.options.random() * 8)
  }
}

/** Reads its partition's end for ever and notes what it is given. */
class ConsumerLoop {
  readonly #load: Workload
  readonly #place: Place
  #offset = 0

  constructor(load: Workload, place: Place) {
    this.#load = load
    this.#place = place
  }

  async session(wire: Wire): Promise<void> {
    const { history } = this.#load
    const name = placeName(this.#place)
    while (this.#load.running) {
      const { error, highWatermark, batches } = await fetch(
        wire,
        { ...this.#place, offset: this.#offset },
        { waitMs: 100 },
      )
      if (error !== kafkaError.none) {
        this.#load.error(error, `consumer of ${name} at ${this.#offset}`)
        await sleep(retryMs)
        continue
      }
      if (highWatermark < this.#offset)
        this.#load.complain(`${name}: watermark ${highWatermark} below ${this.#offset}, which was read`)
      history.watermark(name, highWatermark)
      for (const batch of batches) this.#take(name, batch)
    }
  }

  #take(name: string, batch: Buffer): void {
    for (const record of readBatch(batch)) {
      if (record.offset < this.#offset) continue
      this.#load.history.seen(name, record)
      this.#offset = record.offset + 1
    }
  }
}
