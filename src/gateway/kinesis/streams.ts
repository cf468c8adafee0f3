/**
 * Streams: topics, and what Kinesis knows of them beside: the shard table, tags, consumers, flags. That lies in the compacted
 * topic `_millrace_kinesis`. A topic that nobody made by Kinesis is a stream too: every partition a shard, the ranges even.
 *
 * What changes both is written down before the topic is touched (`creating/NAME`, `growing`): a process that dies in between
 * finishes it at the next start if the topic was changed, and forgets it if not.
 */
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { World } from '../../lib/world.ts'
import type { Broker } from '../../log/broker.ts'
import { closedPartitions, closedText } from '../../log/closed-partitions.ts'
import type { TopicInfo } from '../../log/log.ts'
import { isKeptTopic } from '../../log/topic-rules.ts'
import { inUse, notFound, overLimit } from './errors.ts'
import { Kept } from './kept.ts'
import type { KinesisSettings } from './settings.ts'
import {
  type Shard,
  ShardFinder,
  bornMs,
  evenShards,
  foreignMs,
  hasEnd,
  isOpen,
  openInOrder,
  parentsOf,
  successors,
} from './shards.ts'
import { WriteGate } from './write-gate.ts'

/** New streams are this much older: so a record is never as old as its shard. */
const createdBeforeMs = 2_000
const dayHours = 24
const hourMs = 3_600_000
const foreverHours = 8_760
const kafkaRetentionMs = 7 * dayHours * hourMs

export type StreamStatus = 'ACTIVE' | 'CREATING' | 'UPDATING' | 'DELETING'
export interface Consumer {
  readonly createdMs: number
  readonly tags: Readonly<Record<string, string>>
  readonly policy?: string
}
/** What is kept of a stream. */
export interface StreamState {
  readonly topicId: string
  readonly createdMs: number
  /** null: a shard for each partition, the ranges even. */
  readonly shards: readonly Shard[] | null
  readonly onDemand: boolean
  readonly tags: Readonly<Record<string, string>>
  readonly consumers: Readonly<Record<string, Consumer>>
  /** null: not encrypted. */
  readonly keyId: string | null
  readonly metrics: readonly string[]
  readonly policy: string | null
  readonly warmMiBps: number
  /** Records may come without a partition key. */
  readonly auto: boolean
  /** A change that takes its time: the shards as they will be, where it is about them. */
  readonly pending?: {
    readonly status: StreamStatus
    readonly dueMs: number
    readonly shards?: readonly Shard[]
    /** It was never ready. */
    readonly unborn?: boolean
  }
  /** Shards that partitions are being made for: with them they are the stream's, all at once. */
  readonly growing?: readonly Shard[]
}
export interface Stream extends Omit<StreamState, 'shards'> {
  readonly name: string
  readonly arn: string
  readonly streamId: string
  readonly status: StreamStatus
  readonly shards: readonly Shard[]
  readonly topic: TopicInfo
  readonly retentionMs: number
  /** `max.message.bytes` of the topic, where it is set. */
  readonly maxRecordKiB: number
  readonly finder: ShardFinder
}
export interface NewStream {
  readonly name: string
  readonly shards: number
  readonly onDemand: boolean
  readonly tags: Readonly<Record<string, string>>
  readonly maxRecordKiB: number
  readonly warmMiBps: number
  readonly auto: boolean
}
interface Options {
  readonly log: Broker
  readonly world: World
  readonly settings: KinesisSettings
  readonly onFault: (fault: unknown) => void
}
const streamPrefix = 'stream/'
const keyOf = (name: string): string => streamPrefix + name
const creatingPrefix = 'creating/'
/** What did not go is tried again after so long. */
const againMs = 1_000
const plain: Omit<StreamState, 'topicId' | 'createdMs' | 'shards'> = {
  onDemand: false,
  tags: {},
  consumers: {},
  keyId: null,
  metrics: [],
  policy: null,
  warmMiBps: 0,
  auto: false,
}
const recordKiBDefault = 1_024
/** Room in a batch for what is not data. */
const batchRoomBytes = 8_192

export class Streams {
  readonly settings: KinesisSettings
  /** What lies beside the streams, by key: queues, account. */
  readonly kept: Kept
  readonly #log: Broker
  readonly #world: World
  readonly #onFault: (fault: unknown) => void
  readonly #gates = new Map<string, WriteGate>()
  readonly #turns = new Map<string, Promise<unknown>>()
  /** What was put together of a topic and its state, as long as both are the same. */
  readonly #made = new Map<string, { topic: TopicInfo; state: unknown; stream: Stream }>()
  readonly #stops: (() => void)[] = []
  #isClosed = false

  private constructor({ log, world, settings, onFault }: Options, kept: Kept) {
    this.#log = log
    this.#world = world
    this.settings = settings
    this.#onFault = onFault
    this.kept = kept
  }
  static async open(options: Options): Promise<Streams> {
    const { log, world } = options
    const streams = new Streams(options, await Kept.open(log, () => world.clock.now()))
    for (const [key] of [...streams.kept.entries()])
      for (const prefix of [creatingPrefix, streamPrefix])
        if (key.startsWith(prefix)) await streams.#finish(key.slice(prefix.length))
    for (const [key, value] of streams.kept.entries())
      if (key.startsWith(streamPrefix) && (value as StreamState).pending !== undefined)
        streams.#later(key.slice(streamPrefix.length), (value as StreamState).pending!.dueMs)
    return streams
  }
  close(): void {
    this.#isClosed = true
    for (const stop of this.#stops) stop()
  }

  // --- reading

  get account(): string {
    return this.settings.account
  }
  arn(name: string): string {
    return `arn:aws:kinesis:${this.settings.region}:${this.account}:stream/${name}`
  }
  /** null: there is no such stream. */
  find(name: string): Stream | null {
    const topic = isHidden(name) ? null : this.#log.catalog.byName(name)
    if (topic === null) return null
    const creating = this.kept.get(creatingPrefix + name) as StreamState | null
    if (creating !== null) {
      const dueMs = creating.pending?.dueMs ?? creating.createdMs
      return this.#make(topic, { ...creating, topicId: topic.id, pending: { status: 'CREATING', dueMs } })
    }
    const state = this.kept.get(keyOf(name)) as StreamState | null
    const made = this.#made.get(name)
    if (made !== undefined && made.topic === topic && made.state === state) return made.stream
    const stream = this.#make(topic, state)
    if (this.#made.size >= madeMax) this.#made.clear()
    this.#made.set(name, { topic, state, stream })
    return stream
  }
  #make(topic: TopicInfo, kept: StreamState | null): Stream {
    const state: StreamState =
      kept !== null && kept.topicId === topic.id
        ? kept
        : { ...plain, topicId: topic.id, createdMs: foreignMs, shards: null }
    const shards = state.shards === null ? evenShards(topic.partitions, state.createdMs) : shardsOf(state, topic)
    const status = state.pending?.status ?? 'ACTIVE'
    return {
      ...state,
      name: topic.name,
      arn: this.arn(topic.name),
      streamId: streamIdOf(topic.id),
      topic,
      status,
      shards: status === 'CREATING' || state.pending?.unborn === true ? [] : shards,
      retentionMs: retentionOf(topic),
      maxRecordKiB: maxRecordOf(topic),
      finder: new ShardFinder(shards),
    }
  }
  /** Throws ServiceError. */
  get(name: string): Stream {
    const stream = this.find(name)
    if (stream === null) throw this.unknown(name)
    return stream
  }
  unknown(name: string): Error {
    return notFound(`Stream ${name} under account ${this.account} not found.`)
  }
  names(): string[] {
    const all = this.#log.catalog.all().map(({ name }) => name)
    return all.filter((name) => !isHidden(name)).toSorted()
  }
  byStreamId(id: string): string | null {
    return this.#log.catalog.all().find((topic) => streamIdOf(topic.id) === id)?.name ?? null
  }
  openShards(): number {
    return this.names().reduce((sum, name) => sum + (this.find(name)?.shards.filter(isOpen).length ?? 0), 0)
  }

  // --- changing

  /** Throws ServiceError, Fault. */
  create(made: NewStream): Promise<void> {
    const { name } = made
    return this.#turn(name, async () => {
      if (this.#log.catalog.byName(name) !== null || isHidden(name))
        throw inUse(`Stream ${name} under account ${this.account} already exists.`)
      this.roomFor(made.shards)
      const nowMs = this.#world.clock.now()
      const createdMs = nowMs - createdBeforeMs
      const config = {
        'retention.ms': String(dayHours * hourMs),
        'max.message.bytes': bytesMaxOf(made.maxRecordKiB),
      }
      const { tags, onDemand, warmMiBps, auto } = made
      const { changeMs } = this.settings
      const state: StreamState = {
        ...plain,
        ...{ tags, onDemand, warmMiBps, auto },
        // Of the topic that is made.
        topicId: '',
        createdMs,
        shards: evenShards(made.shards, createdMs),
        ...(changeMs === 0 ? {} : { pending: { status: 'CREATING', dueMs: nowMs + changeMs } }),
      }
      await this.kept.set([[creatingPrefix + name, state]])
      await this.#whole(name, async () => {
        const [fault] = await this.#log.topics.create([{ name, partitions: made.shards, config }])
        if (fault instanceof Fault) {
          await this.kept.set([[creatingPrefix + name, null]])
          throw fault
        }
        await this.#finish(name)
      })
      if (changeMs > 0) this.#later(name, nowMs + changeMs)
    })
  }
  /** What was written down and fails now is finished, or forgotten, later. */
  async #whole(name: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#later(name, this.#world.clock.now() + againMs)
      throw error
    }
  }
  /** What was begun: done if the topic is as it was to be, else forgotten. Throws Fault. */
  async #finish(name: string): Promise<void> {
    const topic = this.#log.catalog.byName(name)
    const creating = this.kept.get(creatingPrefix + name) as StreamState | null
    if (creating !== null) {
      const isMade = topic !== null && topic.partitions >= creating.shards!.length
      const made = isMade ? ([[keyOf(name), { ...creating, topicId: topic.id }]] as const) : []
      await this.kept.set([[creatingPrefix + name, null], ...made])
    }
    const kept = this.kept.get(keyOf(name)) as StreamState | null
    if (topic === null || kept === null || kept.topicId !== topic.id || kept.growing === undefined) return
    const { growing, pending, ...state } = kept
    if (topic.partitions < growing.length)
      return this.kept.set([[keyOf(name), pending === undefined ? state : { ...state, pending }]])
    // What is being written goes to the shards as they were; what comes then goes to the new ones.
    const gate = this.gate(name)
    await gate.shut()
    try {
      const left = pending?.status === 'DELETING' ? { pending } : {}
      const shards = await this.#withEnds(name, growing)
      await this.kept.set([[keyOf(name), { ...state, ...left, shards }]])
    } finally {
      gate.open()
    }
  }
  /** Those that are closed now end where their partitions do. */
  async #withEnds(name: string, shards: readonly Shard[]): Promise<readonly Shard[]> {
    const closing = shards.flatMap((shard, index) => (hasEnd(shard) && shard.end === undefined ? [index] : []))
    const bounds = await this.#log.bounds(closing.map((index) => ({ topic: name, index })))
    const ends = new Map(bounds.map(({ partition, end }) => [partition.index, end]))
    return shards.map((shard, index) => (ends.has(index) ? { ...shard, end: ends.get(index)! } : shard))
  }
  /** Throws ServiceError LimitExceededException where there is none for so many open shards more. */
  roomFor(more: number): void {
    const { region, shardsMax } = this.settings
    const open = this.openShards()
    if (open + more <= shardsMax && more <= limits.partitionsPerTopic) return
    throw overLimit(
      `This request would exceed the shard limit for the account ${this.account} in ${region}. ` +
        `Current shard count for the account: ${open}. Limit: ${shardsMax}. ` +
        `Number of additional shards that would have resulted from this request: ${more}. ` +
        'Refer to the AWS Service Limits page ' +
        '(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) ' +
        'for current limits and how to request higher limits.',
    )
  }
  /** Another state, durable when it resolves. Changes of one stream come one after another. Throws ServiceError. */
  change(name: string, next: (stream: Stream) => Partial<StreamState>): Promise<void> {
    return this.#turn(name, async () => {
      const stream = this.get(name)
      await this.#put(stream, next(stream))
    })
  }
  #put(stream: Stream, change: Partial<StreamState>): Promise<void> {
    return this.kept.set([[keyOf(stream.name), { ...this.#stateOf(stream), ...change }]])
  }
  #stateOf({ name, topic }: Stream): StreamState {
    const kept = this.kept.get(keyOf(name)) as StreamState | null
    if (kept !== null && kept.topicId === topic.id) return kept
    return { ...plain, topicId: topic.id, createdMs: foreignMs, shards: null }
  }

  /** Other shards: durable when it resolves, or under way (UPDATING) where changes take their time. Throws ServiceError. */
  reshard(name: string, next: (stream: Stream, nowMs: number) => readonly Shard[]): Promise<void> {
    return this.#turn(name, async () => {
      await this.#finish(name)
      const stream = this.active(name)
      const nowMs = this.#world.clock.now()
      const shards = next(stream, nowMs)
      const more = shards.filter(isOpen).length - stream.shards.filter(isOpen).length
      if (more > 0) this.roomFor(more)
      if (shards.length > limits.partitionsPerTopic)
        throw overLimit(`a stream has at most ${limits.partitionsPerTopic} shards`)
      const { changeMs } = this.settings
      if (changeMs === 0) return this.#take(stream, shards)
      await this.#put(stream, { pending: { status: 'UPDATING', dueMs: nowMs + changeMs, shards } })
      this.#later(name, nowMs + changeMs)
    })
  }
  async #take(stream: Stream, shards: readonly Shard[]): Promise<void> {
    const { name, topic } = stream
    await this.#put(stream, { shards: stream.shards, growing: shards })
    await this.#whole(name, async () => {
      const partitions = Math.max(shards.length, topic.partitions)
      await this.#log.topics.alter(name, { partitions, config: { [closedPartitions]: closedText(successors(shards)) } })
      // What others had placed by what they knew is in the log before the shards are closed.
      for (let turn = 0; turn < 2; turn++) await new Promise<void>((resolve) => this.#world.clock.soon(resolve))
      await this.#finish(name)
    })
  }
  /** Throws ServiceError ResourceInUseException. */
  active(name: string): Stream {
    const stream = this.get(name)
    if (stream.status !== 'ACTIVE')
      throw inUse(`Stream ${name} under account ${this.account} not ACTIVE, instead in state ${stream.status}`)
    return stream
  }
  remove(name: string): Promise<void> {
    return this.#turn(name, async () => {
      const stream = this.get(name)
      const { changeMs } = this.settings
      if (changeMs === 0) return this.#drop(name)
      const dueMs = this.#world.clock.now() + changeMs
      await this.#put(stream, { pending: { status: 'DELETING', dueMs, unborn: stream.status === 'CREATING' } })
      this.#later(name, dueMs)
    })
  }
  async #drop(name: string): Promise<void> {
    const [fault] = await this.#log.topics.remove([name])
    if (fault instanceof Fault) throw fault
    await this.kept.set([[keyOf(name), null]])
    this.#gates.delete(name)
  }
  setRetention(name: string, ms: number): Promise<void> {
    return this.#turn(name, () => this.#log.topics.alter(name, { config: { 'retention.ms': String(ms) } }))
  }
  setMaxRecord(name: string, maxRecordKiB: number): Promise<void> {
    return this.#turn(name, async () => {
      await this.#log.topics.alter(name, { config: { 'max.message.bytes': bytesMaxOf(maxRecordKiB) } })
    })
  }

  #later(name: string, dueMs: number): void {
    if (this.#isClosed) return
    const { clock } = this.#world
    const stop = clock.after(Math.max(0, dueMs - clock.now()), () => {
      this.#stops.splice(this.#stops.indexOf(stop), 1)
      void this.#turn(name, () => this.#settle(name)).catch((fault: unknown) => {
        this.#onFault(fault)
        this.#later(name, clock.now() + againMs)
      })
    })
    this.#stops.push(stop)
  }
  async #settle(name: string): Promise<void> {
    await this.#finish(name)
    const stream = this.find(name)
    const pending = stream?.pending
    if (stream === null || pending === undefined) return
    if (pending.status === 'DELETING') return this.#drop(name)
    if (pending.shards !== undefined)
      return this.#take(stream, closedNow(pending.shards, stream.shards, this.#world.clock.now()))
    const { pending: done, ...state } = this.#stateOf(stream)
    void done
    await this.kept.set([[keyOf(name), state]])
  }

  gate(name: string): WriteGate {
    let gate = this.#gates.get(name)
    if (gate === undefined) this.#gates.set(name, (gate = new WriteGate()))
    return gate
  }
  #turn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(name) ?? Promise.resolve()
    const done = before.then(work)
    const settled = done.catch(() => undefined)
    this.#turns.set(name, settled)
    void settled.then(() => {
      if (this.#turns.get(name) === settled) this.#turns.delete(name)
    })
    return done
  }
}
const madeMax = 10_000
/** Kinesis knows no longer names. */
const nameMax = 128
const isHidden = (name: string): boolean => isKeptTopic(name) || name.length > nameMax

/** Partitions that Kafka has added to a stream with shards of its own: they are read without end, and Kinesis puts nothing there. */
function shardsOf({ shards: own, growing = [] }: StreamState, topic: TopicInfo): readonly Shard[] {
  const shards = own ?? []
  const last = shards[openInOrder(shards).at(-1) ?? 0]?.to ?? '0'
  // Not those that are there for shards to come.
  const foreign = Math.max(0, topic.partitions - Math.max(shards.length, growing.length))
  return foreign === 0
    ? shards
    : [
        ...shards,
        ...Array.from({ length: foreign }, () => ({
          from: last,
          to: last,
          createdMs: foreignMs,
          closedMs: foreignMs,
        })),
      ]
}
/** A change that took its time ends now: what it closes is closed now, and what it opens begins after that. */
function closedNow(next: readonly Shard[], before: readonly Shard[], nowMs: number): Shard[] {
  const after: Shard[] = []
  for (const [i, shard] of next.entries()) {
    const closed = shard.closedMs !== undefined && before[i]?.closedMs === undefined ? { closedMs: nowMs } : {}
    const created = before[i] === undefined ? { createdMs: bornMs(parentsOf(after, shard), nowMs) } : {}
    after.push({ ...shard, ...closed, ...created })
  }
  return after
}
function retentionOf(topic: TopicInfo): number {
  const ms = Number(topic.config['retention.ms'] ?? topic.defaults?.['retention.ms'] ?? kafkaRetentionMs)
  return ms < 0 ? foreverHours * hourMs : ms
}
const bytesMaxOf = (kib: number): string => String(Math.min(kib * 1_024 + batchRoomBytes, limits.batchBytesMax))
/** The way back. */
function maxRecordOf({ config }: TopicInfo): number {
  const bytes = config['max.message.bytes']
  return bytes === undefined ? recordKiBDefault : Math.max(1, Math.floor((Number(bytes) - batchRoomBytes) / 1_024))
}
export const hoursOf = (ms: number): number => Math.max(1, Math.ceil(ms / hourMs))
export const msOf = (hours: number): number => hours * hourMs
/** As the service's look: made of the topic's id. */
function streamIdOf(topicId: string): string {
  const text = BigInt(`0x${topicId.replaceAll('-', '')}`)
    .toString(36)
    .padStart(25, '0')
  return `${text.slice(-20)}-${text.slice(-23, -20)}`
}
