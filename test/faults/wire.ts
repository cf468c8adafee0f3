/**
 * A Kafka client small enough to know exactly what it sent and what was answered: one socket, requests in order, no
 * retry, no buffering, no metadata. Versions are the last ones before the flexible encoding, which every broker from
 * Kafka 2.4 to 4.x takes.
 */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { ByteReader, ByteWriter } from '../../src/lib/bytes.ts'
import { batchCrc, batchHeaderBytes, readBatchHeader } from '../../src/store/batch-header.ts'

/** The connection ended before the answer came: whether the request was carried out is unknown. */
export class ConnectionLost extends Error {}

const frameBytesMax = 256 * 1024 * 1024
interface Waiting {
  readonly done: (answer: ByteReader) => void
  readonly fail: (error: Error) => void
}

export class Wire {
  readonly #socket: Socket
  readonly #waiting = new Map<number, Waiting>()
  #pending: Buffer[] = []
  #pendingBytes = 0
  #correlation = 0
  #lost: Error | null = null

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (bytes) => this.#take(bytes))
    socket.on('error', (error) => this.#end(new ConnectionLost(error.message)))
    socket.on('close', () => this.#end(new ConnectionLost('closed by the broker')))
  }

  /** `ca`: over TLS, with this authority. */
  static open(address: string, withinMs = 5_000, ca?: string): Promise<Wire> {
    const at = address.lastIndexOf(':')
    return new Promise((done, fail) => {
      const place = { host: address.slice(0, at), port: Number(address.slice(at + 1)) }
      const socket = ca === undefined ? connect(place) : connectTls({ ...place, ca })
      socket.setTimeout(withinMs, () => socket.destroy(new Error(`${address} does not answer`)))
      socket.once('error', (error) => fail(new ConnectionLost(error.message)))
      socket.once(ca === undefined ? 'connect' : 'secureConnect', () => {
        socket.setTimeout(0)
        done(new Wire(socket))
      })
    })
  }

  get open(): boolean {
    return this.#lost === null
  }

  /** Sends a request and gives the body of its answer. Throws ConnectionLost. */
  ask(apiKey: number, version: number, body: (out: ByteWriter) => void): Promise<ByteReader> {
    return new Promise((done, fail) => {
      if (this.#lost !== null) return fail(this.#lost)
      const correlation = ++this.#correlation
      this.#waiting.set(correlation, { done, fail })
      this.#socket.write(requestFrame(apiKey, version, correlation, body))
    })
  }

  close(): void {
    this.#socket.destroy()
    this.#end(new ConnectionLost('closed by us'))
  }

  #take(bytes: Buffer): void {
    this.#pending.push(bytes)
    this.#pendingBytes += bytes.length
    while (this.#pendingBytes >= 4) {
      if (this.#pending[0]!.length < 4) this.#pending = [Buffer.concat(this.#pending)]
      const frameBytes = 4 + this.#pending[0]!.readInt32BE(0)
      if (frameBytes < 8 || frameBytes > frameBytesMax) return this.#broken(`an answer of ${frameBytes} bytes`)
      if (this.#pendingBytes < frameBytes) return
      const all = this.#pending.length === 1 ? this.#pending[0]! : Buffer.concat(this.#pending)
      this.#pending = all.length > frameBytes ? [all.subarray(frameBytes)] : []
      this.#pendingBytes -= frameBytes
      this.#answer(all.subarray(4, frameBytes))
    }
  }

  #answer(frame: Buffer): void {
    const correlation = frame.readInt32BE(0)
    const waiting = this.#waiting.get(correlation)
    if (waiting === undefined) return this.#broken(`an answer to ${correlation}, which was not asked`)
    this.#waiting.delete(correlation)
    waiting.done(new ByteReader(frame, 4))
  }

  #broken(what: string): void {
    this.#socket.destroy()
    this.#end(new Error(`the broker sent ${what}`))
  }

  #end(error: Error): void {
    if (this.#lost !== null) return
    this.#lost = error
    for (const { fail } of this.#waiting.values()) fail(error)
    this.#waiting.clear()
    this.#pending = []
  }
}

function requestFrame(apiKey: number, version: number, correlation: number, body: (out: ByteWriter) => void): Buffer {
  const out = new ByteWriter(256)
  out.int32(0)
  out.int16(apiKey)
  out.int16(version)
  out.int32(correlation)
  text(out, 'faults')
  body(out)
  const frame = out.done()
  frame.writeInt32BE(frame.length - 4, 0)
  return frame
}

export function text(out: ByteWriter, value: string | null): void {
  if (value === null) return out.int16(-1)
  const bytes = Buffer.from(value)
  out.int16(bytes.length)
  out.raw(bytes)
}
const readText = (from: ByteReader): string => from.utf8(from.int16())
const readTextOrNull = (from: ByteReader): string | null => {
  const length = from.int16()
  return length < 0 ? null : from.utf8(length)
}
function list<T>(from: ByteReader, item: () => T): T[] {
  return Array.from({ length: Math.max(0, from.int32()) }, item)
}
/** A one-entry list of a topic with a one-entry list of a partition: most requests here. */
function onePartition(out: ByteWriter, topic: string, partition: number): void {
  out.int32(1)
  text(out, topic)
  out.int32(1)
  out.int32(partition)
}

export const kafkaError = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  notLeader: 6,
  topicAlreadyExists: 36,
  outOfOrderSequence: 45,
  duplicateSequence: 46,
  storage: 56,
} as const

/** Number of partitions that have a leader; null when there is no such topic. */
export async function partitionsOf(wire: Wire, topic: string, create = false): Promise<number | null> {
  const answer = await wire.ask(3, 8, (out) => {
    out.int32(1)
    text(out, topic)
    out.int8(create ? 1 : 0)
    out.int8(0)
    out.int8(0)
  })
  answer.int32()
  list(answer, () => [answer.int32(), readText(answer), answer.int32(), readTextOrNull(answer)])
  readTextOrNull(answer)
  answer.int32()
  const topics = list(answer, () => {
    const error = answer.int16()
    readText(answer)
    answer.int8()
    const partitions = list(answer, () => {
      const failed = answer.int16()
      answer.int32()
      const leader = answer.int32()
      answer.int32()
      for (let i = 0; i < 3; i++) list(answer, () => answer.int32())
      return failed === kafkaError.none && leader >= 0
    })
    answer.int32()
    return error === kafkaError.none ? partitions.filter(Boolean).length : null
  })
  return topics[0] ?? null
}

/** Returns when every partition has a leader. */
export async function createTopic(
  wire: Wire,
  name: string,
  partitions: number,
  config: Readonly<Record<string, string>> = {},
): Promise<void> {
  await createTopics(wire, [name], partitions, config)
  while ((await partitionsOf(wire, name)) !== partitions) await sleep(10)
}
/** Several with one request; returns when it is answered. */
export async function createTopics(
  wire: Wire,
  names: readonly string[],
  partitions: number,
  config: Readonly<Record<string, string>> = {},
): Promise<void> {
  const answer = await wire.ask(19, 4, (out) => {
    out.int32(names.length)
    for (const name of names) {
      text(out, name)
      out.int32(partitions)
      out.int16(1)
      out.int32(0)
      out.int32(Object.keys(config).length)
      for (const [key, value] of Object.entries(config)) {
        text(out, key)
        text(out, value)
      }
    }
    out.int32(30_000)
    out.int8(0)
  })
  answer.int32()
  for (const created of list(answer, () => ({
    name: readText(answer),
    error: answer.int16(),
    message: readTextOrNull(answer),
  }))) {
    const { name, error, message } = created
    if (error !== kafkaError.none && error !== kafkaError.topicAlreadyExists)
      throw new Error(`creating ${name}: error ${error} ${message ?? ''}`)
  }
}

export async function deleteTopic(wire: Wire, name: string): Promise<void> {
  const answer = await wire.ask(20, 3, (out) => {
    out.int32(1)
    text(out, name)
    out.int32(30_000)
  })
  answer.int32()
  for (const error of list(answer, () => (readText(answer), answer.int16())))
    if (error !== kafkaError.none) throw new Error(`deleting ${name}: error ${error}`)
}

export async function initProducer(wire: Wire): Promise<{ error: number; producerId: number; epoch: number }> {
  const answer = await wire.ask(22, 1, (out) => {
    text(out, null)
    out.int32(60_000)
  })
  answer.int32()
  return { error: answer.int16(), producerId: answer.int64(), epoch: answer.int16() }
}

export interface Produced {
  readonly error: number
  readonly offset: number
}
type Acks = -1 | 1

export async function produce(
  wire: Wire,
  to: { topic: string; partition: number },
  batch: Uint8Array,
  acks: Acks,
): Promise<Produced> {
  const answer = await wire.ask(0, 8, produceBody(to, batch, acks))
  const [topic] = list(answer, () => {
    readText(answer)
    return list(answer, () => {
      answer.int32()
      const produced = { error: answer.int16(), offset: answer.int64() }
      answer.bigInt64()
      answer.int64()
      list(answer, () => [answer.int32(), readTextOrNull(answer)])
      readTextOrNull(answer)
      return produced
    })
  })
  if (topic?.[0] === undefined) throw new Error('a produce answer without the partition')
  return topic[0]
}

function produceBody(to: { topic: string; partition: number }, batch: Uint8Array, acks: Acks) {
  return (out: ByteWriter): void => {
    text(out, null)
    out.int16(acks)
    out.int32(30_000)
    onePartition(out, to.topic, to.partition)
    out.int32(batch.length)
    out.raw(batch)
  }
}

export interface Fetched {
  readonly error: number
  readonly highWatermark: number
  /** Whole batches, CRC checked; each begins with its header. */
  readonly batches: readonly Buffer[]
}

export async function fetch(
  wire: Wire,
  from: { topic: string; partition: number; offset: number },
  options: { waitMs?: number; bytesMax?: number } = {},
): Promise<Fetched> {
  const bytesMax = options.bytesMax ?? 4 * 1024 * 1024
  const answer = await wire.ask(1, 11, (out) => {
    out.int32(-1)
    out.int32(options.waitMs ?? 0)
    out.int32(1)
    out.int32(bytesMax)
    out.int8(0)
    out.int32(0)
    out.int32(-1)
    onePartition(out, from.topic, from.partition)
    out.int32(-1)
    out.int64(from.offset)
    out.int64(-1)
    out.int32(bytesMax)
    out.int32(0)
    text(out, '')
  })
  answer.int32()
  const whole = answer.int16()
  if (whole !== kafkaError.none) return { error: whole, highWatermark: -1, batches: [] }
  answer.int32()
  const [topic] = list(answer, () => {
    readText(answer)
    return list(answer, () => fetchedPartition(answer))
  })
  if (topic?.[0] === undefined) throw new Error('a fetch answer without the partition')
  return topic[0]
}

function fetchedPartition(answer: ByteReader): Fetched {
  answer.int32()
  const error = answer.int16()
  const highWatermark = answer.int64()
  answer.int64()
  answer.int64()
  list(answer, () => [answer.int64(), answer.int64()])
  answer.int32()
  const bytes = Math.max(0, answer.int32())
  return { error, highWatermark, batches: splitBatches(answer.raw(bytes)) }
}

/** Whole batches of a fetched range; what is cut off at the end is left away, as every client does. */
function splitBatches(records: Buffer): Buffer[] {
  const batches: Buffer[] = []
  let at = 0
  while (records.length - at >= batchHeaderBytes) {
    const { bytes, crc } = readBatchHeader(records, at)
    if (records.length - at < bytes) break
    const batch = records.subarray(at, at + bytes)
    if (batchCrc(batch) !== crc)
      throw new Error(`a fetched batch at offset ${readBatchHeader(batch).baseOffset} fails its CRC`)
    batches.push(batch)
    at += bytes
  }
  return batches
}

/** `timeMs` −1 gives the end (high watermark), −2 the start. */
export async function listOffset(
  wire: Wire,
  of: { topic: string; partition: number },
  timeMs: number,
): Promise<number> {
  const answer = await wire.ask(2, 5, (out) => {
    out.int32(-1)
    out.int8(0)
    onePartition(out, of.topic, of.partition)
    out.int32(-1)
    out.int64(timeMs)
  })
  answer.int32()
  const [topic] = list(answer, () => {
    readText(answer)
    return list(answer, () => {
      answer.int32()
      const error = answer.int16()
      answer.bigInt64()
      const offset = answer.int64()
      answer.int32()
      return { error, offset }
    })
  })
  const [found] = topic ?? []
  if (found === undefined || found.error !== kafkaError.none) throw new Error(`ListOffsets: error ${found?.error}`)
  return found.offset
}
