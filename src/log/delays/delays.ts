/**
 * Delayed delivery: records of a topic with `deliver.to` are copied to that topic when their time has come, each exactly
 * once. The topic is the store of what waits; in memory are times and offsets alone.
 *
 * What was delivered stands in `_millrace_delayed`, committed with the copies in one tick: for each partition the offset
 * before which all is done, and a mark for each record behind it that came earlier than those before it.
 */
import { Fault, asFault } from '../../lib/fault.ts'
import { Heap } from '../../lib/heap.ts'
import { limits } from '../../lib/limits.ts'
import type { Logger } from '../../lib/logger.ts'
import type { World } from '../../lib/world.ts'
import { type LogRecord, type RecordInput, Unread, decodeBatch, encodeBatch } from '../batch.ts'
import type { Commits } from '../commits.ts'
import type { Chunk, Log, Partition, Reader, TopicInfo } from '../log.ts'
import type { Offset } from '../../lib/brand.ts'
import { Placing, type Target } from '../placing.ts'
import { encodeOrigin, originHeader } from '../origin.ts'
import { deliverAfterHeader, deliverAtHeader, deliveryMs } from '../record-headers.ts'

export interface DelaysHost {
  readonly log: Log
  readonly commits: Commits
  readonly world: World
  readonly logger: Logger
  /** Why a topic's contract keeps a record out; null = it does not. */
  readonly refuses?: (topic: string, record: Pick<LogRecord, 'key' | 'value'>) => Fault | null
}
export interface Delays {
  close(): Promise<void>
}
export function startDelays(host: DelaysHost): Delays {
  const delays = new DelayLoop(host)
  delays.start()
  return delays
}

const stateTopic = '_millrace_delayed'
const readBytes = 1024 * 1024
/** In one tick. */
const copiesMax = 1_000
const copyBytesMax = 4 * 1024 * 1024
/** The wall clock is looked at so often while something waits: it may jump. */
const lookMs = 1_000
const idleMs = 60_000
const retryMs = 1_000
/** Faults that a record brings with it: others are of the place it goes to, and may pass. */
const recordFaults = new Set(['log.batch-too-large', 'log.invalid-batch', 'log.invalid-timestamp', 'wire.too-large'])

interface Lane {
  readonly partition: Partition
  readonly topicId: string
  /** Of its state. */
  readonly key: string
  to: string
  /** Next to read. */
  read: number
  /** What is stored: before it all is done. */
  low: number
  /** Delivered and not before `low`. */
  readonly done: Set<number>
  /** Read and not delivered, in the order of offsets. */
  readonly pending: Set<number>
}
interface Waiting {
  readonly lane: Lane
  readonly offset: number
  readonly dueMs: number
}
interface Copy extends Waiting {
  readonly record: LogRecord
}

class DelayLoop implements Delays {
  readonly #host: DelaysHost
  readonly #reader: Reader
  readonly #placing: Placing
  readonly #lanes = new Map<string, Lane>()
  readonly #waiting = new Heap<Waiting>((a, b) => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.offset < b.offset))
  readonly #stop = new AbortController()
  #wake = new AbortController()
  #isStale = true
  /** From the state topic, until a lane takes it: key → what is done. */
  #restored: Map<string, { low: number; done: Set<number> }> | null = null
  #complained = ''
  #running: Promise<void> = Promise.resolve()

  constructor(host: DelaysHost) {
    this.#host = host
    this.#reader = host.log.reader({ maxBytes: readBytes })
    this.#placing = new Placing(host)
  }
  start(): void {
    this.#running = Promise.all([this.#watch(), this.#run()]).then(() => undefined)
  }
  async close(): Promise<void> {
    this.#stop.abort()
    this.#wake.abort()
    await this.#running
  }
  async #watch(): Promise<void> {
    const { signal } = this.#stop
    try {
      for await (const { changed } of this.#host.log.topics.watch(signal)) {
        if (!(await this.#concerns(changed))) continue
        this.#isStale = true
        this.#wake.abort()
      }
    } catch (error) {
      if (!signal.aborted) this.#complain(error)
    }
  }
  /** Most topics deliver nothing: that there is one more of them is no news. */
  async #concerns(changed: readonly string[]): Promise<boolean> {
    const known = new Set(Array.from(this.#lanes.values(), ({ partition }) => partition.topic))
    for (const name of changed)
      if (known.has(name) || ((await this.#host.log.topics.get(name))?.config['deliver.to'] ?? '') !== '') return true
    return false
  }
  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        if (this.#isStale) await this.#refresh()
        await this.#deliver()
        await this.#read()
      } catch (error) {
        if (this.#stop.signal.aborted) return
        this.#complain(error)
        await this.#pause(retryMs)
      }
    }
  }
  /** The same trouble is told once. */
  #complain(error: unknown): void {
    const fault = asFault(error)
    if (fault.message === this.#complained) return
    this.#complained = fault.message
    this.#host.logger.error('records are not delivered at their time', { code: fault.code, why: fault.message })
  }
  /** Until something changes, or the time is over. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#host.world.clock.after(ms, resolve)
      const wake = (): void => {
        stop()
        resolve()
      }
      this.#fresh().addEventListener('abort', wake, { once: true })
    })
  }
  #fresh(): AbortSignal {
    if (this.#wake.signal.aborted && !this.#stop.signal.aborted) this.#wake = new AbortController()
    return this.#wake.signal
  }

  // --- which partitions

  async #refresh(): Promise<void> {
    this.#isStale = false
    const topics = (await this.#host.log.topics.list()).filter(({ config }) => (config['deliver.to'] ?? '') !== '')
    const wanted = new Map(topics.map((topic) => [topic.id, topic]))
    for (const [key, lane] of this.#lanes) {
      const topic = wanted.get(lane.topicId)
      if (topic === undefined) {
        // Should it come back, it goes on.
        this.#restored?.set(key, { low: lane.low, done: lane.done })
        this.#lanes.delete(key)
      } else lane.to = topic.config['deliver.to']!
    }
    if (topics.length > 0) this.#restored ??= await this.#restore()
    for (const topic of topics) for (let index = 0; index < topic.partitions; index++) await this.#open(topic, index)
  }
  async #open(topic: TopicInfo, index: number): Promise<void> {
    const key = `${topic.id}/${index}`
    if (this.#lanes.has(key)) return
    const partition = { topic: topic.name, index }
    const [bounds] = await this.#host.log.bounds([partition])
    const { low = 0, done = new Set<number>() } = this.#restored?.get(key) ?? {}
    this.#lanes.set(key, {
      partition,
      topicId: topic.id,
      key,
      to: topic.config['deliver.to']!,
      read: Math.max(low, bounds!.start),
      low,
      done: new Set(done),
      pending: new Set(),
    })
  }
  async #restore(): Promise<Map<string, { low: number; done: Set<number> }>> {
    const { log } = this.#host
    const config = { 'cleanup.policy': 'compact' }
    const [fault] = await log.topics.create([{ name: stateTopic, partitions: 1, config }])
    if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
    const partition = { topic: stateTopic, index: 0 }
    const [bounds] = await log.bounds([partition])
    const found = new Map<string, { low: number; done: Set<number> }>()
    for (let at: number = bounds!.start; at < bounds!.stable;) {
      const [chunk] = await this.#reader.read([{ partition, offset: at as Offset }], { ms: 0 })
      if (chunk === undefined) break
      if ('fault' in chunk) throw chunk.fault
      for (const batch of chunk.batches) for (const record of decodeBatch(batch)) restoreOne(found, record)
      if (chunk.next <= at) break
      at = chunk.next
    }
    await this.#forgetTopics(found)
    return found
  }

  /** Of topics that are gone nothing need be known. */
  async #forgetTopics(found: Map<string, { low: number; done: Set<number> }>): Promise<void> {
    const ids = new Set((await this.#host.log.topics.list()).map(({ id }) => id))
    const timeMs = this.#host.world.clock.now()
    const gone: RecordInput[] = []
    for (const [key, { done }] of found) {
      if (ids.has(key.slice(0, key.indexOf('/')))) continue
      found.delete(key)
      for (const name of [key, ...Array.from(done, (offset) => `${key}/${offset}`)])
        gone.push({ key: Buffer.from(name), value: null, timeMs })
    }
    if (gone.length === 0) return
    const entry = { partition: { topic: stateTopic, index: 0 }, batch: encodeBatch(gone) }
    await this.#host.commits.run(async (append) => ({ parts: [], result: await append([entry]) }))
  }

  // --- reading

  async #read(): Promise<void> {
    const { clock } = this.#host.world
    const lanes = this.#waiting.size < limits.delayedRecords ? [...this.#lanes.values()] : []
    const next = this.#waiting.peek()
    const ms = next === undefined ? idleMs : Math.min(lookMs, Math.max(0, next.dueMs - clock.now()))
    const signal = this.#fresh()
    if (lanes.length === 0) return this.#pause(ms)
    const from = lanes.map(({ partition, read }) => ({ partition, offset: read as Offset }))
    let chunks: readonly Chunk[]
    try {
      chunks = await this.#reader.read(from, { ms }, signal)
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
    const byName = new Map(lanes.map((lane) => [nameOf(lane.partition), lane]))
    for (const chunk of chunks) await this.#take(byName.get(nameOf(chunk.partition))!, chunk)
  }
  async #take(lane: Lane, chunk: Chunk): Promise<void> {
    if ('fault' in chunk) {
      if (chunk.fault.code !== 'log.offset-out-of-range') {
        this.#isStale = true
        throw chunk.fault
      }
      // What retention took before it was read is gone.
      const [bounds] = await this.#host.log.bounds([lane.partition])
      lane.read = Math.max(lane.read, bounds!.start)
      return
    }
    for (const unread = new Unread(chunk.batches); !unread.isEmpty;)
      for (const record of unread.next()) {
        const { offset } = record
        if (offset < lane.read || lane.done.has(offset)) continue
        lane.pending.add(offset)
        this.#waiting.push({ lane, offset, dueMs: deliveryMs(record) })
      }
    lane.read = Math.max(lane.read, chunk.next)
  }

  // --- delivering

  async #deliver(): Promise<void> {
    const { clock } = this.#host.world
    while (!this.#stop.signal.aborted) {
      const due: Waiting[] = []
      for (let next = this.#waiting.peek(); due.length < copiesMax && next !== undefined; next = this.#waiting.peek()) {
        if (next.dueMs > clock.now()) break
        this.#waiting.pop()
        if (this.#lanes.get(next.lane.key) === next.lane) due.push(next)
      }
      if (due.length === 0) return
      for (const of of Map.groupBy(due, ({ lane }) => lane).values()) {
        const parts = await this.#parts(of).catch(asFault)
        if (parts instanceof Fault) this.#later(of, parts)
        else for (const part of parts) await this.#move(part)
      }
    }
  }
  /** With their records, as many together as one tick may have. Those that are gone are done. */
  async #parts(waiting: readonly Waiting[]): Promise<(readonly Copy[])[]> {
    const { lane } = waiting[0]!
    const wanted = new Map(waiting.map((one) => [one.offset, one]))
    const found = new Map<number, LogRecord>()
    const offsets = [...wanted.keys()].toSorted((a, b) => a - b)
    for (let i = 0; i < offsets.length;) {
      const at = offsets[i]!
      const [chunk] = await this.#reader.read([{ partition: lane.partition, offset: at as Offset }], { ms: 0 })
      if (chunk !== undefined && 'fault' in chunk && chunk.fault.code !== 'log.offset-out-of-range') throw chunk.fault
      let next = at + 1
      if (chunk !== undefined && !('fault' in chunk)) {
        next = Math.max(next, chunk.next)
        for (const unread = new Unread(chunk.batches); !unread.isEmpty;)
          for (const record of unread.next()) if (wanted.has(record.offset)) found.set(record.offset, record)
      }
      while (i < offsets.length && offsets[i]! < next) i++
    }
    const parts: Copy[][] = [[]]
    let bytes = 0
    const gone: Waiting[] = []
    for (const one of waiting) {
      const record = found.get(one.offset)
      if (record === undefined) {
        gone.push(one)
        continue
      }
      bytes += (record.value?.length ?? 0) + (record.key?.length ?? 0)
      if (bytes > copyBytesMax && parts.at(-1)!.length > 0) {
        parts.push([])
        bytes = 0
      }
      parts.at(-1)!.push({ ...one, record })
    }
    if (gone.length > 0) {
      const { topic } = lane.partition
      this.#host.logger.warn('records are gone before their time came', { topic, count: gone.length })
      await this.#commit(lane, gone, [])
    }
    return parts.filter((part) => part.length > 0)
  }
  async #move(copies: readonly Copy[]): Promise<void> {
    const { lane } = copies[0]!
    const fits: Copy[] = []
    for (const copy of copies) {
      const refusal = this.#host.refuses?.(lane.to, copy.record) ?? null
      if (refusal === null) fits.push(copy)
      else await this.#bury(copy, refusal)
    }
    if (fits.length === 0) return
    try {
      const topic = await this.#host.log.topics.get(lane.to)
      if (topic === null) throw new Fault('log.unknown-topic', { topic: lane.to })
      const timeMs = this.#host.world.clock.now()
      const targets = fits.map((copy) => ({ topic, partition: null, record: delivered(copy, timeMs) }))
      await this.#commit(lane, fits, targets)
      this.#complained = ''
    } catch (error) {
      const fault = asFault(error)
      if (!recordFaults.has(fault.code)) return this.#later(fits, fault)
      if (fits.length === 1) return this.#bury(fits[0]!, fault)
      for (const copy of fits) await this.#move([copy])
    }
  }
  #later(waiting: readonly Waiting[], fault: Fault): void {
    if (this.#stop.signal.aborted) return
    this.#complain(fault)
    const dueMs = this.#host.world.clock.now() + retryMs
    for (const { lane, offset } of waiting) this.#waiting.push({ lane, offset, dueMs })
  }
  /** What can never be delivered is kept with the reason. */
  async #bury(copy: Copy, fault: Fault): Promise<void> {
    const { log } = this.#host
    const name = `${copy.lane.partition.topic}.dlq`
    try {
      const [refused] = await log.topics.create([{ name, partitions: 1, config: { 'max.message.bytes': '67108864' } }])
      if (refused instanceof Fault && refused.code !== 'log.topic-exists') throw refused
      const topic = (await log.topics.get(name))!
      const { key, value, headers, timeMs } = copy.record
      const why: [string, Uint8Array][] = [
        ['mr-reason', Buffer.from(fault.code)],
        ['mr-error', Buffer.from(fault.message)],
        [originHeader, originOf(copy)],
      ]
      const record = { key, value, timeMs, headers: [...headers, ...why] }
      await this.#commit(copy.lane, [copy], [{ topic, partition: 0, record }])
    } catch (error) {
      this.#later([copy], asFault(error))
    }
  }
  /** The copies, and that these are done, stand together. */
  async #commit(lane: Lane, of: readonly Waiting[], targets: readonly Target[]): Promise<void> {
    const gone = new Set(of.map(({ offset }) => offset))
    let low = lane.read
    for (const offset of lane.pending)
      if (!gone.has(offset)) {
        low = offset
        break
      }
    const marks = [...gone].filter((offset) => offset > low)
    const passed = low === lane.low ? [] : [...lane.done].filter((offset) => offset < low)
    const timeMs = this.#host.world.clock.now()
    const state = (key: string, value: string | null): RecordInput => ({
      key: Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
      timeMs,
    })
    const records = [
      ...(low === lane.low ? [] : [state(lane.key, String(low))]),

      ...marks.map((offset) => state(`${lane.key}/${offset}`, '1')),
      ...passed.map((offset) => state(`${lane.key}/${offset}`, null)),
    ]
    await this.#host.commits.run(async (append) => {
      if (targets.length > 0) await this.#placing.stage(targets, append)
      if (records.length > 0)
        await append([{ partition: { topic: stateTopic, index: 0 }, batch: encodeBatch(records) }])
      return { parts: [], result: undefined }
    })
    for (const offset of gone) lane.pending.delete(offset)
    for (const offset of marks) lane.done.add(offset)
    for (const offset of passed) lane.done.delete(offset)
    lane.low = low
  }
}

const nameOf = ({ topic, index }: Partition): string => `${topic}/${index}`
function restoreOne(found: Map<string, { low: number; done: Set<number> }>, { key, value }: LogRecord): void {
  const [topicId = '', index = '', offset] = Buffer.from(key ?? [])
    .toString()
    .split('/')
  const lane = `${topicId}/${index}`
  let known = found.get(lane)
  if (known === undefined) found.set(lane, (known = { low: 0, done: new Set() }))
  if (offset === undefined && value === null) found.delete(lane)
  else if (offset === undefined) known.low = Number(Buffer.from(value ?? []).toString())
  else if (value === null) known.done.delete(Number(offset))
  else known.done.add(Number(offset))
}
const originOf = ({ lane, offset }: Waiting): Buffer => {
  const range = { topicId: lane.topicId, partition: lane.partition.index, first: offset, last: offset }
  return encodeOrigin({ ranges: [range], state: false })
}
function delivered(copy: Copy, timeMs: number): RecordInput {
  const { key, value, headers } = copy.record
  const kept = headers.filter(
    ([name]) => name !== deliverAtHeader && name !== deliverAfterHeader && name !== originHeader,
  )
  return { key, value, timeMs, headers: [...kept, [originHeader, originOf(copy)]] }
}
