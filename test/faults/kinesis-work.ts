/**
 * Clients of the Kinesis gateway that write down what they were told. A slot is a name for a stream that comes and goes: one at
 * a time asks for changes of it, several write to it, and one reads parents to their ends before their children.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Answered, Json } from '../gateway/kinesis/fixture.ts'
import {
  type ShardRow,
  Written,
  changedProblems,
  openRows,
  recordProblems,
  shardProblems,
  shardRows,
} from './kinesis-checks.ts'
import { QueueWork } from './kinesis-queue.ts'
import { Follower, type ReaderOptions, Subscriber, fanOutName } from './kinesis-reader.ts'

/** What is there of a stream; the ranges of its open shards in order. */
interface Facts {
  readonly ranges: readonly string[]
  readonly hours: number
  readonly maxRecordKiB: number
  /** Of the topic: what it really takes. */
  readonly bytesMax: number
  readonly tags: Readonly<Record<string, string>>
  readonly consumers: readonly string[]
}
interface Act {
  readonly operation: string
  readonly input: object
  /** null: the stream is gone. */
  readonly next: Facts | null
}
/** Until the process is killed. */
export interface Life {
  dead: boolean
  readonly changeMs: number
}
interface Options extends ReaderOptions {
  /** HOST:PORT of the HTTP API. */
  readonly http: string
}
const hashKeys = 2n ** 128n
const settledWithinMs = 15_000
const readWithinMs = 60_000
const shardsAtCreation = 4
const openMax = 6
const reshardings: ReadonlySet<string> = new Set(['SplitShard', 'MergeShards', 'UpdateShardCount'])
/** Beside what is in the way of being changed just now. */
const expectedRefusals: ReadonlySet<string> = new Set(['ResourceInUseException', 'ResourceNotFoundException'])
const rangeText = (from: bigint, to: bigint): string => `${from}-${to}`
const evenRanges = (count: number): string[] => {
  const size = hashKeys / BigInt(count)
  return Array.from({ length: count }, (_, i) =>
    rangeText(size * BigInt(i), (i === count - 1 ? hashKeys : size * BigInt(i + 1)) - 1n),
  )
}
const bytesMaxOf = (kib: number): number => kib * 1_024 + 8_192

/** A stream from its creation to its end. */
class Generation {
  readonly written = new Written()
  readonly reader: Follower
  /** Made when it is first found, as the queue. */
  subscriber: Subscriber | null = null
  queue: QueueWork | null = null
  rows: readonly ShardRow[] = []
  constructor(options: Options, name: string, dies: boolean) {
    this.reader = new Follower(options, name, dies)
  }
}

export class Slot {
  readonly name: string
  readonly #options: Options
  readonly #reads: boolean
  #facts: Facts | null = null
  /** Asked for, and not answered. */
  #attempt: Act | null = null
  #generation: Generation | null = null
  #writing = 0
  #serial = 0
  #settledAtMs = 0
  readonly #numbers = new Map<string, number>()
  /** Called when a change of shards is sent. */
  onReshard: (() => void) | null = null
  readonly figures = {
    records: 0,
    acts: 0,
    reshardings: 0,
    streams: 0,
    verified: 0,
    unknown: 0,
    'queue records acknowledged': 0,
  }
  /** How long changes of shards took of late. */
  reshardMs = 10

  /** `reads`: it is read all the time, and removed only when everything was found. */
  constructor(name: string, reads: boolean, options: Options) {
    this.name = name
    this.#reads = reads
    this.#options = options
  }
  get shards(): number {
    return this.#generation?.rows.length ?? 0
  }
  get exists(): boolean {
    return this.#facts !== null
  }
  /** A change of shards is not answered, or not done yet. */
  get isResharding(): boolean {
    return (this.#attempt !== null && reshardings.has(this.#attempt.operation)) || performance.now() < this.#settledAtMs
  }
  #problem(text: string): void {
    this.#options.problems.push(`${this.name}: ${text}`)
  }
  #call(operation: string, input: object): Promise<Answered | null> {
    return this.#options.f.call(operation, input).catch(() => null)
  }

  // --- changes, one after another

  async change(life: Life): Promise<void> {
    while (!life.dead) {
      await sleep(this.#options.random() * 15)
      const act = await this.#choose()
      if (life.dead) return
      if (act !== null) await this.#do(act, life)
    }
  }
  async #do(act: Act, life: Life): Promise<void> {
    this.#attempt = act
    const isReshard = reshardings.has(act.operation)
    if (isReshard) this.onReshard?.()
    const startMs = performance.now()
    const answer = await this.#call(act.operation, act.input)
    // It is not known whether it was done: the next check says.
    if (answer === null) return
    this.#attempt = null
    if (answer.status === 200) {
      this.#take(act.next)
      this.figures.acts++
      if (!isReshard && act.next !== null && act.operation !== 'CreateStream') return
      if (isReshard) {
        this.figures.reshardings++
        this.reshardMs = 0.8 * this.reshardMs + 0.2 * (performance.now() - startMs)
        this.#settledAtMs = performance.now() + life.changeMs
      }
      // Now and then the next is asked for while this takes its time.
      if (life.changeMs > 0 && this.#options.random() < 0.8) await sleep(life.changeMs + 5)
    } else if (answer.status >= 500 || !expectedRefusals.has(answer.body.__type))
      this.#problem(`${act.operation} ${JSON.stringify(act.input)} was answered ${JSON.stringify(answer.body)}`)
  }
  #take(facts: Facts | null): void {
    if (this.#facts === null && facts !== null) {
      this.#generation = new Generation(this.#options, this.name, this.#reads)
      this.figures.streams++
      if (this.#reads) this.#generation.reader.start()
    }
    if (facts === null) {
      this.stop()
      this.#generation = null
    }
    this.#facts = facts
  }
  async #choose(): Promise<Act | null> {
    const { random } = this.#options
    const StreamName = this.name
    const facts = this.#facts
    if (facts === null) {
      while (this.#writing > 0) await sleep(1)
      const count = 1 + Math.floor(random() * shardsAtCreation)
      const tags = { serial: String(this.#serial++), of: 'faults' }
      const kib = random() < 0.5 ? 1_024 : 2_048
      return {
        operation: 'CreateStream',
        input: { StreamName, ShardCount: count, Tags: tags, MaxRecordSizeInKiB: kib },
        next: {
          ranges: evenRanges(count),
          hours: 24,
          maxRecordKiB: kib,
          bytesMax: bytesMaxOf(kib),
          tags,
          consumers: [],
        },
      }
    }
    if (!this.#reads && random() < 0.3)
      return { operation: 'DeleteStream', input: { StreamName, EnforceConsumerDeletion: true }, next: null }
    if (random() < 0.6) return this.#resharding(facts)
    return this.#setting(facts)
  }
  async #resharding(facts: Facts): Promise<Act | null> {
    const { random } = this.#options
    const StreamName = this.name
    const listed = await this.#call('ListShards', { StreamName })
    if (listed?.status !== 200) return null
    const open = openRows(shardRows(listed.body.Shards))
    // It is still changing: what comes of it is not known.
    if (open.map(({ from, to }) => rangeText(from, to)).join() !== facts.ranges.join()) return null
    const choice = random()
    if (choice < 0.4 && open.length < openMax) {
      const i = Math.floor(random() * open.length)
      const { id, from, to } = open[i]!
      const at = from + 2n + BigInt(Math.floor((0.1 + 0.8 * random()) * 1_000_000)) * ((to - from) / 1_000_000n)
      if (at >= to) return null
      return {
        operation: 'SplitShard',
        input: { StreamName, ShardToSplit: id, NewStartingHashKey: String(at) },
        next: { ...facts, ranges: facts.ranges.toSpliced(i, 1, rangeText(from, at - 1n), rangeText(at, to)) },
      }
    }
    if (choice < 0.7 && open.length > 1) {
      const i = Math.floor(random() * (open.length - 1))
      const [first, second] = [open[i]!, open[i + 1]!]
      return {
        operation: 'MergeShards',
        input: { StreamName, ShardToMerge: first.id, AdjacentShardToMerge: second.id },
        next: { ...facts, ranges: facts.ranges.toSpliced(i, 2, rangeText(first.from, second.to)) },
      }
    }
    const count = 1 + Math.floor(random() * openMax)
    return {
      operation: 'UpdateShardCount',
      input: { StreamName, TargetShardCount: count, ScalingType: 'UNIFORM_SCALING' },
      next: { ...facts, ranges: evenRanges(count) },
    }
  }
  #setting(facts: Facts): Act {
    const { random } = this.#options
    const StreamName = this.name
    const StreamARN = `arn:aws:kinesis:us-east-1:000000000000:stream/${this.name}`
    const choice = random()
    if (choice < 0.3) {
      const hours = 24 + Math.floor(random() * 48)
      const operation = hours >= facts.hours ? 'IncreaseStreamRetentionPeriod' : 'DecreaseStreamRetentionPeriod'
      return { operation, input: { StreamName, RetentionPeriodHours: hours }, next: { ...facts, hours } }
    }
    if (choice < 0.5) {
      const kib = 1_024 + Math.floor(random() * 1_024)
      const next = { ...facts, maxRecordKiB: kib, bytesMax: bytesMaxOf(kib) }
      return { operation: 'UpdateMaxRecordSize', input: { StreamARN, MaxRecordSizeInKiB: kib }, next }
    }
    if (choice < 0.6) {
      const tags = { ...facts.tags, [`t${Math.floor(random() * 5)}`]: String(this.#serial++) }
      return { operation: 'AddTagsToStream', input: { StreamName, Tags: tags }, next: { ...facts, tags } }
    }
    const [oldest] = facts.consumers
    if (facts.consumers.length > 3) {
      const next = { ...facts, consumers: facts.consumers.slice(1) }
      return { operation: 'DeregisterStreamConsumer', input: { StreamARN, ConsumerName: oldest }, next }
    }
    const ConsumerName = `c${String(this.#serial++).padStart(6, '0')}`
    const next = { ...facts, consumers: [...facts.consumers, ConsumerName].toSorted() }
    return { operation: 'RegisterStreamConsumer', input: { StreamARN, ConsumerName }, next }
  }

  // --- records

  /** Each key's records one after another, several keys in a request or one. */
  async write(writer: string, life: Life): Promise<void> {
    const { random } = this.#options
    const keys = Array.from({ length: 4 }, (_, i) => `${writer}-${i}`)
    while (!life.dead) {
      const generation = this.#generation
      if (generation === null || this.#attempt?.next === null) {
        await sleep(5)
        continue
      }
      const count = random() < 0.4 ? 1 : 1 + Math.floor(random() * 8)
      const texts = Array.from({ length: count }, () => {
        const key = keys[Math.floor(random() * keys.length)]!
        const number = this.#numbers.get(key) ?? 0
        this.#numbers.set(key, number + 1)
        return `${key}:${number}`
      })
      this.#writing++
      try {
        if (!(await this.#put(generation, texts))) await sleep(5)
      } finally {
        this.#writing--
      }
    }
  }
  /** False: not all were taken. */
  async #put({ written }: Generation, texts: readonly string[]): Promise<boolean> {
    const Records = texts.map((text) => ({ PartitionKey: text.split(':')[0], Data: Buffer.from(text) }))
    const answer = await (texts.length === 1
      ? this.#call('PutRecord', { StreamName: this.name, ...Records[0] })
      : this.#call('PutRecords', { StreamName: this.name, Records }))
    const isGoing = this.#attempt?.next === null || this.#facts === null
    if (answer === null || (answer.status !== 200 && isGoing)) {
      for (const text of texts) written.unknown.add(text)
      this.figures.unknown += texts.length
      return false
    }
    if (answer.status !== 200) {
      for (const text of texts) written.refused.add(text)
      if (answer.status >= 500 || !expectedRefusals.has(answer.body.__type))
        this.#problem(`a put was answered ${JSON.stringify(answer.body)}`)
      return false
    }
    const each: Json[] = texts.length === 1 ? [answer.body] : answer.body.Records
    let all = true
    texts.forEach((text, i) => {
      const { ShardId: shard, SequenceNumber, ErrorCode, ErrorMessage } = each[i]
      if (ErrorCode === undefined) {
        written.acknowledged.set(text, { shard, sequence: BigInt(SequenceNumber) })
        this.figures.records++
        return
      }
      all = false
      written[isGoing ? 'unknown' : 'refused'].add(text)
      if (!isGoing) this.#problem(`${text} was answered ${ErrorCode} ${ErrorMessage}`)
    })
    return all
  }

  // --- what must be true after a start

  async check(): Promise<void> {
    const { f } = this.#options
    // At once, while a change may still be finished.
    const first = await f.call('ListShards', { StreamName: this.name })
    if (first.status === 200 && first.body.Shards.length > 0) this.#checkShards(shardRows(first.body.Shards))
    const status = await this.#settled()
    const found = status === null ? null : await this.#factsOf(status)
    const attempt = this.#attempt
    this.#attempt = null
    this.#settledAtMs = 0
    const [text, before, after] = [found, this.#facts, attempt?.next].map((one) => JSON.stringify(one))
    if (text === after && attempt !== null) this.#take(found)
    else if (text !== before) {
      const asked = attempt === null ? '' : `, or after ${attempt.operation} ${after}`
      this.#problem(`it is ${text}, and should be ${before}${asked}`)
    }
    if (found === null) return
    this.#checkShards(shardRows((await f.ok('ListShards', { StreamName: this.name })).Shards))
    if (!this.#reads) await this.verify()
    const generation = this.#generation
    if (!this.#reads || generation === null || generation.queue !== null) return
    generation.queue = new QueueWork(this.name, this.#options)
    await generation.queue.start()
    await f.ok('RegisterStreamConsumer', { StreamARN: status.StreamARN, ConsumerName: fanOutName })
    this.#facts = { ...found, consumers: [...found.consumers, fanOutName] }
    generation.subscriber = new Subscriber(this.#options, this.name, true)
    generation.subscriber.start()
  }
  #checkShards(rows: readonly ShardRow[]): void {
    for (const problem of shardProblems(rows)) this.#problem(problem)
    if (this.#generation === null) return
    for (const problem of changedProblems(this.#generation.rows, rows)) this.#problem(problem)
    this.#generation.rows = rows
  }
  /** When nothing of it is under way any more; null: it is not there. */
  async #settled(): Promise<Json | null> {
    const untilMs = performance.now() + settledWithinMs
    for (;;) {
      const { status, body } = await this.#options.f.call('DescribeStreamSummary', { StreamName: this.name })
      if (status !== 200) return null
      const said = body.StreamDescriptionSummary
      if (said.StreamStatus === 'ACTIVE') return said
      if (performance.now() > untilMs) {
        this.#problem(`it stays ${said.StreamStatus}`)
        return said
      }
      await sleep(10)
    }
  }
  async #factsOf(summary: Json): Promise<Facts> {
    const { f, http } = this.#options
    const { Shards } = await f.ok('ListShards', { StreamName: this.name })
    const { Consumers } = await f.ok('ListStreamConsumers', { StreamARN: summary.StreamARN })
    const { Tags } = await f.ok('ListTagsForStream', { StreamName: this.name })
    const topic = (await (await fetch(`http://${http}/v1/topics/${this.name}`)).json()) as Json
    const open = openRows(shardRows(Shards))
    if (summary.OpenShardCount !== open.length) this.#problem(`${summary.OpenShardCount} open shards are said`)
    const order = Object.keys({ ...this.#facts?.tags, ...this.#attempt?.next?.tags })
    const tags = Tags.map(({ Key, Value }: Json) => [Key, Value])
    return {
      ranges: open.map(({ from, to }) => rangeText(from, to)),
      hours: summary.RetentionPeriodHours,
      maxRecordKiB: summary.MaxRecordSizeInKiB,
      bytesMax: Number(topic.config['max.message.bytes']),
      tags: Object.fromEntries(tags.toSorted(([a]: Json, [b]: Json) => order.indexOf(a) - order.indexOf(b))),
      consumers: Consumers.map((one: Json) => one.ConsumerName),
    }
  }
  /** Everything that was answered is there, for the reader of all along and for one that reads it now. */
  async verify(): Promise<void> {
    const generation = this.#generation
    if (generation === null) return
    const rows = shardRows((await this.#options.f.ok('ListShards', { StreamName: this.name })).Shards)
    const readers = this.#reads ? [generation.reader, generation.subscriber ?? []].flat() : []
    const fresh = new Follower(this.#options, this.name, false)
    fresh.start()
    for (const reader of [...readers, fresh]) {
      const late = await reader.atEnd(rows, readWithinMs)
      if (late !== null) this.#problem(late)
      for (const problem of recordProblems(generation.written, reader.read, rows)) this.#problem(problem)
      this.figures.verified += reader.read.length
    }
    fresh.stop()
    const { queue, written } = generation
    for (const problem of (await queue?.drained(written.acknowledged)) ?? []) this.#problem(`its queue: ${problem}`)
    this.figures['queue records acknowledged'] += queue?.ledger.acknowledged ?? 0
  }
  /** Everything is read, then the stream is removed: the next is a new one. */
  async renew(): Promise<void> {
    await this.verify()
    await this.#generation?.queue?.remove()
    this.stop()
    await this.#options.f.ok('DeleteStream', { StreamName: this.name, EnforceConsumerDeletion: true })
    if ((await this.#settled()) !== null) this.#problem('it was removed, and is there')
    this.#take(null)
  }
  stop(): void {
    this.#generation?.reader.stop()
    this.#generation?.subscriber?.stop()
    this.#generation?.queue?.stop()
  }
}
