/**
 * The log topics that messages lie in, and the one reader that follows those somebody subscribes to. What is read here has
 * been made durable, by whomever: MQTT's own publishers, Kafka's, HTTP's.
 */
import type { Offset } from '../../lib/brand.ts'
import { Fault, asFault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Clock } from '../../lib/world.ts'
import { type LogRecord, decodeBatch, isControl } from '../../log/batch.ts'
import type { Log, Partition, Reader, TopicInfo } from '../../log/log.ts'
import { MqttError, reason } from '../../wire/mqtt/reason.ts'
import type { TopicMap } from './topic-map.ts'

/** A partition, and how far it has been read for those who listen. */
export class Followed {
  readonly id: string
  readonly partition: Partition
  /** Everything before it has been offered to whoever listens; null: nobody does. */
  next: Offset | null = null

  constructor(partition: Partition) {
    this.partition = partition
    this.id = `${partition.topic}/${partition.index}`
  }
}
export class LogTopic {
  info: TopicInfo
  readonly partitions: Followed[] = []
  /** Of subscriptions of those who are there. */
  interest = 0
  starting: Promise<void> | null = null
  isGone = false

  constructor(info: TopicInfo) {
    this.info = info
    this.widen(info)
  }
  get name(): string {
    return this.info.name
  }
  widen(info: TopicInfo): void {
    this.info = info
    for (let index = this.partitions.length; index < info.partitions; index++)
      this.partitions.push(new Followed({ topic: info.name, index }))
  }
}

interface Options {
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  readonly map: TopicMap
  /** Of a topic that is made. */
  readonly partitions: number
  readonly take: (record: LogRecord, from: Followed) => void
}
const weekMs = 7 * 24 * 60 * 60 * 1000
/** One question to the log waits this long for news; then it is asked again. */
const followMs = 60_000
const afterFaultMs = 500

export class LogTopics {
  readonly #options: Options
  readonly #reader: Reader
  readonly #behindReader: Reader
  readonly #topics = new Map<string, LogTopic>()
  readonly #making = new Map<string, Promise<LogTopic>>()
  /** Filters of those who are there, with how many have them. */
  readonly #filters = new Map<string, number>()
  readonly #following = new Set<Followed>()
  readonly #stop = new AbortController()
  #news = new AbortController()
  #made = 0
  #waiting: { readonly followed: Followed; readonly offset: number; readonly resolve: () => void }[] = []
  #running: Promise<unknown> = Promise.resolve()

  constructor(options: Options) {
    this.#options = options
    this.#reader = options.log.reader({ maxBytes: limits.mqttCatchUpBytes * 4 })
    this.#behindReader = options.log.reader({ maxBytes: limits.mqttCatchUpBytes })
  }
  async open(): Promise<void> {
    const { log, map } = this.#options
    const watch = log.topics.watch(this.#stop.signal)
    for (const info of await log.topics.list()) if (map.isMapped(info.name)) this.#add(info)
    this.#running = Promise.all([this.#watch(watch), this.#follow()])
  }
  async close(): Promise<void> {
    this.#stop.abort()
    this.#wake()
    await this.#running
  }
  get(name: string): LogTopic | null {
    return this.#topics.get(name) ?? null
  }
  mayHold(filters: readonly string[]): LogTopic[] {
    const { map } = this.#options
    const found = new Set<LogTopic>()
    for (const filter of filters) {
      const names = map.candidates(filter)
      const topics = names === null ? this.#topics.values() : names.flatMap((name) => this.#topics.get(name) ?? [])
      for (const topic of topics) if (map.mayHold(topic.name, filter)) found.add(topic)
    }
    return [...found]
  }

  /** Makes it where it is missing. Throws Fault, MqttError. */
  ready(name: string): Promise<LogTopic> {
    const known = this.#topics.get(name)
    if (known !== undefined) return Promise.resolve(known)
    let making = this.#making.get(name)
    if (making === undefined) {
      making = this.#make(name).finally(() => this.#making.delete(name))
      this.#making.set(name, making)
    }
    return making
  }
  async #make(name: string): Promise<LogTopic> {
    const { log, partitions } = this.#options
    const there = await log.topics.get(name)
    if (there !== null) return this.#topics.get(name) ?? this.#add(there)
    if (this.#made >= limits.mqttTopicsMade)
      throw new MqttError(
        reason.quotaExceeded,
        `${limits.mqttTopicsMade} log topics have been made for messages already`,
      )
    const config = { 'record.ttl.enable': 'true' }
    const defaults = { 'retention.ms': String(weekMs) }
    const [fault] = await log.topics.create([{ name, partitions, config, defaults }])
    if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
    this.#made++
    const made = await log.topics.get(name)
    if (made === null) throw new Fault('log.unknown-topic', { topic: name })
    return this.#topics.get(name) ?? this.#add(made)
  }
  #add(info: TopicInfo): LogTopic {
    const topic = new LogTopic(info)
    this.#topics.set(info.name, topic)
    for (const [filter, count] of this.#filters)
      if (this.#options.map.mayHold(info.name, filter)) topic.interest += count
    // Whoever subscribed did so before there was anything in it.
    if (topic.interest > 0) this.#begin(topic, () => 0)
    return topic
  }
  async #watch(changes: AsyncIterable<{ readonly changed: readonly string[] }>): Promise<void> {
    const { log, map, logger } = this.#options
    try {
      for await (const { changed } of changes)
        for (const name of changed) if (map.isMapped(name)) this.#changed(name, await log.topics.get(name))
    } catch (error) {
      if (!this.#stop.signal.aborted) logger.error('mqtt: topics are not watched any more', { error })
    }
  }
  #changed(name: string, info: TopicInfo | null): void {
    const known = this.#topics.get(name)
    if (known !== undefined && known.info.id !== info?.id) {
      known.isGone = true
      this.#end(known)
      this.#topics.delete(name)
    }
    if (info === null) return
    const topic = this.#topics.get(name)
    if (topic === undefined) return void this.#add(info)
    topic.widen(info)
    if (topic.interest > 0) this.#begin(topic, () => 0)
  }

  /** Resolves when what is to come of what it matches will be offered. */
  async listen(filter: string): Promise<void> {
    this.#filters.set(filter, (this.#filters.get(filter) ?? 0) + 1)
    const topics = this.mayHold([filter])
    for (const topic of topics) topic.interest++
    await Promise.all(topics.map((topic) => this.#start(topic)))
  }
  /** As often as `listen`. */
  leave(filter: string): void {
    const left = (this.#filters.get(filter) ?? 0) - 1
    if (left > 0) this.#filters.set(filter, left)
    else this.#filters.delete(filter)
    for (const topic of this.mayHold([filter])) if (--topic.interest === 0) this.#end(topic)
  }
  /** Everything that was in the log when it was asked has been offered. */
  async settled(filters: readonly string[]): Promise<void> {
    const followed = this.mayHold(filters).flatMap(({ partitions }) => partitions)
    if (followed.length === 0) return
    const bounds = await this.#options.log.bounds(followed.map(({ partition }) => partition))
    const behind = followed.flatMap((one, i) => {
      const offset = bounds[i]?.stable ?? 0
      return one.next === null || one.next >= offset ? [] : [{ followed: one, offset }]
    })
    const wait = (one: (typeof behind)[number]): Promise<void> =>
      new Promise((resolve) => this.#waiting.push({ ...one, resolve }))
    await Promise.all(behind.map(wait))
  }
  #start(topic: LogTopic): Promise<void> {
    if (topic.partitions.every(({ next }) => next !== null)) return Promise.resolve()
    topic.starting ??= this.#startAtEnd(topic).finally(() => (topic.starting = null))
    return topic.starting
  }
  async #startAtEnd(topic: LogTopic): Promise<void> {
    const bounds = await this.#options.log.bounds(topic.partitions.map(({ partition }) => partition))
    if (topic.interest > 0 && !topic.isGone)
      this.#begin(topic, (followed) => bounds[followed.partition.index]?.stable ?? 0)
  }
  #begin(topic: LogTopic, at: (followed: Followed) => number): void {
    for (const followed of topic.partitions) {
      if (followed.next !== null) continue
      followed.next = at(followed) as Offset
      this.#following.add(followed)
    }
    this.#wake()
  }
  #end(topic: LogTopic): void {
    for (const followed of topic.partitions) {
      followed.next = null
      this.#following.delete(followed)
    }
    this.#wake()
    this.#resolveWaiting()
  }
  #wake(): void {
    this.#news.abort()
    this.#news = new AbortController()
  }

  async #follow(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#step()
      } catch (error) {
        if (this.#stop.signal.aborted || asFault(error).code === 'log.closed') return
        this.#options.logger.error('mqtt: the log cannot be read', { error })
        await this.#options.clock.sleep(afterFaultMs, this.#stop.signal).catch(() => {})
      }
    }
  }
  async #step(): Promise<void> {
    const { signal } = this.#news
    const following = [...this.#following]
    if (following.length === 0) {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      return
    }
    const from = following.map(({ partition, next }) => ({ partition, offset: next! }))
    const byId = new Map(following.map((followed) => [followed.id, followed]))
    let chunks: Awaited<ReturnType<Reader['read']>>
    try {
      chunks = await this.#reader.read(from, { ms: followMs }, signal)
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
    for (const chunk of chunks) {
      const followed = byId.get(`${chunk.partition.topic}/${chunk.partition.index}`)
      if (followed === undefined || followed.next === null) continue
      if ('fault' in chunk) await this.#recover(followed, chunk.fault)
      else this.#take(followed, chunk)
    }
    this.#resolveWaiting()
  }
  #take(followed: Followed, chunk: { readonly batches: readonly Uint8Array[]; readonly next: Offset }): void {
    for (const batch of chunk.batches) {
      if (isControl(batch)) continue
      for (const record of decodeBatch(batch)) {
        if (followed.next === null) return
        if (record.offset < followed.next) continue
        // Before it is offered: who cannot take it begins again there, and must see that it is behind.
        followed.next = (record.offset + 1) as Offset
        this.#options.take(record, followed)
      }
    }
    if (followed.next !== null && followed.next < chunk.next) followed.next = chunk.next
  }
  async #recover(followed: Followed, fault: Fault): Promise<void> {
    if (isGone(fault)) {
      this.#following.delete(followed)
      followed.next = null
      return
    }
    if (fault.code !== 'log.offset-out-of-range') throw fault
    const [bounds] = await this.#options.log.bounds([followed.partition])
    if (bounds !== undefined && followed.next !== null && followed.next < bounds.start) followed.next = bounds.start
  }
  #resolveWaiting(): void {
    const isDone = ({ followed, offset }: { followed: Followed; offset: number }): boolean =>
      followed.next === null || followed.next >= offset
    const done = this.#waiting.filter(isDone)
    if (done.length === 0) return
    this.#waiting = this.#waiting.filter((one) => !isDone(one))
    for (const { resolve } of done) resolve()
  }

  /** Some records from there on, and where to go on; null: there is no such partition any more. Throws Fault where the log cannot be read. */
  async read(partition: Partition, from: number): Promise<{ records: readonly LogRecord[]; next: number } | null> {
    const [chunk] = await this.#behindReader.read([{ partition, offset: from as Offset }])
    if (chunk === undefined) return null
    if ('fault' in chunk) {
      if (isGone(chunk.fault)) return null
      if (chunk.fault.code !== 'log.offset-out-of-range') throw chunk.fault
      const [bounds] = await this.#options.log.bounds([partition])
      if (bounds === undefined) return null
      // What retention has taken is gone; a position beyond the end is one of another topic of that name.
      return { records: [], next: from < bounds.start ? bounds.start : bounds.stable }
    }
    const records = chunk.batches.flatMap((batch) => (isControl(batch) ? [] : decodeBatch(batch)))
    return { records: records.filter(({ offset }) => offset >= from), next: chunk.next }
  }
}
const isGone = ({ code }: Fault): boolean => code === 'log.unknown-topic' || code === 'log.unknown-partition'
