/** Record batches v2: records in, bytes out, and back. The header is `store/batch-header.ts`. */
import type { Lease } from '../lib/buffer-pool.ts'
import { ByteWriter, Copier } from '../lib/bytes.ts'
import { limits } from '../lib/limits.ts'
import {
  type BatchHeader,
  attribute,
  batchHeaderBytes,
  readBatchHeader,
  sealBatch,
  writeBatchHeader,
} from '../store/batch-header.ts'
import { type Compression, codecName, compress, decompress, codecNumber } from './compression.ts'
import type { Batch } from './log.ts'
import { type RecordsInPlace, headerNumbers, placeNumbers } from './records-in-place.ts'
import { type BatchFacts, RawBuilder, type RawRecords, place } from './raw-records.ts'

export type Header = readonly [name: string, value: Uint8Array | null]
export interface RecordInput {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: readonly Header[]
  /** Milliseconds since 1970. */
  readonly timeMs: number
}
export interface LogRecord {
  readonly offset: number
  readonly timeMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly Header[]
}

/** One batch of at least one record. Offsets, producer and epoch are the log's to fill in. */
export function encodeBatch(records: readonly RecordInput[], compression: Compression = 'none'): Batch {
  if (records.length === 0) throw new RangeError('a batch holds at least one record')
  return encode(records, { compression, lastOffsetDelta: records.length - 1, deltaOf: (i) => i })
}
/**
 * A batch in which records are missing, as compaction leaves it: it covers the offsets from `base` to before `end`,
 * whatever records lie there; none is possible too.
 */
export function encodeSparseBatch(
  records: readonly LogRecord[],
  of: { base: number; end: number; compression: Compression },
): Batch {
  const { base, end, compression } = of
  const deltaOf = (i: number): number => records[i]!.offset - base
  return encode(records, { compression, lastOffsetDelta: end - 1 - base, deltaOf })
}

function encode(
  records: readonly RecordInput[],
  of: { compression: Compression; lastOffsetDelta: number; deltaOf(i: number): number },
): Batch {
  const { compression, lastOffsetDelta } = of
  const out = new ByteWriter(batchHeaderBytes + 64 * records.length)
  out.at = batchHeaderBytes
  const baseTimeMs = records[0]?.timeMs ?? -1
  let maxTimeMs = baseTimeMs
  for (let i = 0; i < records.length; i++) {
    const record = records[i]!
    if (record.timeMs > maxTimeMs) maxTimeMs = record.timeMs
    writeRecord(out, record, of.deltaOf(i), record.timeMs - baseTimeMs)
  }
  let bytes: Buffer = out.done()
  if (compression !== 'none') {
    const packed = compress(compression, bytes.subarray(batchHeaderBytes))
    bytes = Buffer.concat([bytes.subarray(0, batchHeaderBytes), packed])
  }
  return sealed(bytes, { compression, lastOffsetDelta, baseTimeMs, maxTimeMs, recordCount: records.length })
}
/** A batch whose records stand behind the place of its header. */
function sealed(
  bytes: Buffer,
  of: {
    readonly compression: Compression
    readonly lastOffsetDelta: number
    readonly baseTimeMs: number
    readonly maxTimeMs: number
    readonly recordCount: number
  },
): Batch {
  const { compression, ...facts } = of
  writeBatchHeader(bytes, {
    baseOffset: 0,
    bytes: bytes.length,
    leaderEpoch: -1,
    magic: 2,
    attributes: codecNumber(compression),
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    ...facts,
  })
  sealBatch(bytes)
  return bytes
}
/** Batches that were sealed in this process and are nobody's else: whoever appends them need neither copy nor check them. */
const handedOver = new WeakMap<Batch, Taken>()
export interface Taken {
  /** Of the memory that the batch lies in; null: the collector's. */
  readonly lease: Lease | null
  /** How many of its bytes are records that take the place of older ones, or say that they are gone; null: nobody knows. */
  readonly replaced: number | null
}
/** Not null once: the caller has the bytes then. A batch that is appended again is one like any other. */
export function takeOver(batch: Batch): Taken | null {
  const taken = handedOver.get(batch) ?? null
  handedOver.delete(batch)
  return taken
}
/** The batch was sealed in this process, and nobody else has its bytes. */
export const handOver = (batch: Batch, taken: Taken = { lease: null, replaced: null }): void =>
  void handedOver.set(batch, taken)

/**
 * A batch written record by record: of those that lie in some buffer (`add`), or keys and values that are written where they
 * stay (`key`, `value`, `end`; without headers); all of one time. What `encodeBatch` would make of them, but nothing is made for
 * each record. The log may take its bytes over (`takeOver`), and with them their memory: whoever asked for it looks at
 * nothing of it then.
 */
export class BatchWriter {
  /** What the writer before has left: memory that has been touched. */
  private static spare: ByteWriter | null = null
  count = 0
  private replaced = 0
  private readonly out: ByteWriter
  private readonly copier = new Copier()
  private readonly timeMs: number
  // Of the record written last: where it begins, its key, and its value with the length before it (0: it has none).
  private start = 0
  private keyAt = 0
  private keyLength = 0
  private valueAt = 0
  private lastReplaced = 0
  /** Bytes that the lengths of the last record and its value took: those of the next mostly take as many. */
  private sizeBytes = 2
  private valueBytes = 2

  constructor(timeMs: number) {
    this.timeMs = timeMs
    this.out = BatchWriter.spare ?? new ByteWriter(1024)
    BatchWriter.spare = null
    this.out.at = batchHeaderBytes
  }
  get bytes(): number {
    return this.out.at
  }
  /** One of those in place. */
  add({ bytes: from, places, headers }: RecordsInPlace, record: number): void {
    const { out, copier } = this
    const at = record * placeNumbers
    const keyAt = places[at]!
    const key = keyAt < 0 ? -1 : places[at + 1]! - keyAt
    const valueAt = places[at + 2]!
    const value = places[at + 3]! - valueAt
    const first = record === 0 ? 0 : places[at - 1]!
    const end = places[at + 4]!
    // Attributes and time take a byte each.
    let size = 2 + varintBytes(this.count) + varintBytes(key) + Math.max(key, 0) + varintBytes(value) + value
    size += varintBytes(end - first)
    for (let i = first * headerNumbers; i < end * headerNumbers; i += 2) {
      const length = headers[i + 1]! - headers[i]!
      size += varintBytes(length) + length
    }
    out.reserve(size + 5)
    out.varint(size)
    out.buffer[out.at++] = 0
    out.buffer[out.at++] = 0
    out.varint(this.count++)
    out.varint(key)
    if (key > 0) copier.copy(from, keyAt, keyAt + key, out.buffer, out.at)
    out.at += Math.max(key, 0)
    out.varint(value)
    copier.copy(from, valueAt, valueAt + value, out.buffer, out.at)
    out.at += value
    out.varint(end - first)
    for (let i = first * headerNumbers; i < end * headerNumbers; i += 2) {
      const start = headers[i]!
      const length = headers[i + 1]! - start
      out.varint(length)
      copier.copy(from, start, start + length, out.buffer, out.at)
      out.at += length
    }
  }
  /** Begins a record: where its key of so many bytes is to be written, before anything else is asked. */
  key(length: number): ByteWriter {
    const { out } = this
    out.reserve(length + lengthsMax)
    this.start = out.at
    out.at += this.sizeBytes
    out.buffer[out.at++] = 0
    out.buffer[out.at++] = 0
    out.varint(this.count++)
    out.varint(length)
    this.keyAt = out.at
    this.keyLength = length
    this.valueAt = 0
    return out
  }
  /** The key is written: where its value is to be. */
  value(): ByteWriter {
    const { out } = this
    this.valueAt = out.at
    out.reserve(lengthsMax)
    out.at += this.valueBytes
    return out
  }
  /** The record is written. `replaces`: it takes the place of an older one of its key, or says that that is gone. */
  end(replaces: boolean): void {
    const { out, valueAt } = this
    out.reserve(lengthsMax)
    if (valueAt === 0) out.varint(-1)
    else this.valueBytes = putLength(out, valueAt, this.valueBytes)
    out.buffer[out.at++] = 0
    const { sizeBytes } = this
    this.sizeBytes = putLength(out, this.start, sizeBytes)
    const moved = this.sizeBytes - sizeBytes
    this.keyAt += moved
    if (valueAt > 0) this.valueAt += moved
    this.lastReplaced = replaces ? out.at - this.start : 0
    this.replaced += this.lastReplaced
  }
  /** Takes out the record that was written last, and gives a writer with it alone. */
  split(): BatchWriter {
    const { out, keyAt, keyLength, valueAt } = this
    const next = new BatchWriter(this.timeMs)
    next.key(keyLength).raw(out.buffer.subarray(keyAt, keyAt + keyLength))
    // Behind the value stands the count of headers.
    if (valueAt > 0) next.value().raw(out.buffer.subarray(valueAt + this.valueBytes, out.at - 1))
    next.end(this.lastReplaced > 0)
    out.at = this.start
    this.count--
    this.replaced -= this.lastReplaced
    return next
  }
  /** The last that is asked of it. */
  done(): Batch {
    const { timeMs, count, out } = this
    const times = { baseTimeMs: timeMs, maxTimeMs: timeMs }
    const bytes = Buffer.allocUnsafeSlow(out.at)
    out.buffer.copy(bytes, 0, 0, out.at)
    if (out.buffer.length <= limits.batchBytes * 2) BatchWriter.spare = out
    const batch = sealed(bytes, { compression: 'none', lastOffsetDelta: count - 1, ...times, recordCount: count })
    handOver(batch, { lease: null, replaced: this.replaced })
    return batch
  }
}
/** What a record's lengths and numbers take, at most. */
const lengthsMax = 24
/** Puts before what was written behind `at` how long it is, for which `taken` bytes were left; gives how many it took. */
function putLength(out: ByteWriter, at: number, taken: number): number {
  const length = out.at - at - taken
  const bytes = varintBytes(length)
  if (bytes !== taken) {
    out.buffer.copyWithin(at + bytes, at + taken, out.at)
    out.at += bytes - taken
  }
  const { buffer } = out
  let rest = length * 2
  for (; rest > 0x7f; rest >>>= 7) buffer[at++] = (rest & 0x7f) | 0x80
  buffer[at] = rest
  return bytes
}
/** Bytes of a varint, from −1 to 2^27. */
const varintBytes = (value: number): number =>
  value < 64 ? 1 : value < 8_192 ? 2 : value < 1_048_576 ? 3 : value < 134_217_728 ? 4 : 5

function writeRecord(out: ByteWriter, record: RecordInput, offsetDelta: number, timeDelta: number): void {
  const { key, value, headers = noHeaders } = record
  // Names are few, and mostly the same.
  const names: Buffer[] = []
  let size = 1 + varintBytesOfAny(timeDelta) + varintBytes(offsetDelta) + sizeOf(key) + sizeOf(value)
  size += varintBytes(headers.length)
  for (const [name, content] of headers) {
    const bytes = nameBytes(name)
    names.push(bytes)
    size += sizeOf(bytes) + sizeOf(content)
  }
  out.varint(size)
  out.reserve(size)
  out.buffer[out.at++] = 0
  out.varint(timeDelta)
  out.varint(offsetDelta)
  writeBytes(out, key)
  writeBytes(out, value)
  out.varint(headers.length)
  for (let i = 0; i < headers.length; i++) {
    writeBytes(out, names[i]!)
    writeBytes(out, headers[i]![1])
  }
}
/** Of a whole number from −2^52 to 2^53 − 1. */
function varintBytesOfAny(value: number): number {
  let count = 1
  for (let rest = value >= 0 ? value * 2 : -value * 2 - 1; rest > 0x7f; rest = Math.floor(rest / 128)) count++
  return count
}
const noHeaders: readonly Header[] = []
const sizeOf = (bytes: Uint8Array | null): number => (bytes === null ? 1 : varintBytes(bytes.length) + bytes.length)
function writeBytes(out: ByteWriter, bytes: Uint8Array | null): void {
  if (bytes === null) return out.varint(-1)
  out.varint(bytes.length)
  if (bytes.length > shortBytes) return out.raw(bytes)
  const { buffer } = out
  let { at } = out
  for (let i = 0; i < bytes.length; i++) buffer[at++] = bytes[i]!
  out.at = at
}
/** What takes less time byte by byte than as a native call. */
const shortBytes = 64
const knownNames = new Map<string, Buffer>()
const knownNamesMax = 64
function nameBytes(name: string): Buffer {
  const known = knownNames.get(name)
  if (known !== undefined) return known
  const bytes = Buffer.from(name, 'utf8')
  if (knownNames.size < knownNamesMax && bytes.length <= shortBytes) knownNames.set(name, bytes)
  return bytes
}

/** True for a marker that ends a transaction: it has no records for readers. */
export const isControl = (batch: Batch): boolean => (readBatchHeader(batch).attributes & attribute.control) !== 0

/**
 * Records of a batch with their offsets, in order. Keys, values and headers are views of the batch (or of what it
 * decompressed to). Throws Fault log.corrupt-batch, log.unsupported-compression, wire.too-large.
 */
export function decodeBatch(batch: Batch): LogRecord[] {
  return rawRecords([batch]).records()
}
/** The same, not made objects, of several batches. */
export function rawRecords(batches: readonly Batch[]): RawRecords {
  const found = new RawBuilder()
  for (const batch of batches) {
    const header = readBatchHeader(batch)
    found.batch(unpack(batch, header), factsOf(header))
  }
  return found.done()
}
function unpack(batch: Batch, header: BatchHeader): Uint8Array {
  const codec = codecName(header.attributes & attribute.compressionMask)
  const records = batch.subarray(batchHeaderBytes, header.bytes)
  return codec === 'none' ? records : decompress(codec, records, limits.decompressedBytes)
}
const factsOf = (header: BatchHeader): BatchFacts => ({
  baseOffset: header.baseOffset,
  baseTimeMs: header.baseTimeMs,
  appendTimeMs: (header.attributes & attribute.logAppendTime) !== 0 ? header.maxTimeMs : null,
  recordCount: header.recordCount,
})

/**
 * Batches that were read, decoded as they are asked for: a read of a few megabytes may unpack to a thousand times as much,
 * and no reader may hold all of that at once. Markers of transactions are left out.
 */
export class Unread {
  readonly #batches: readonly Batch[]
  #next = 0
  /** What `next` gave last, about: with all that its keys and values are views of. */
  bytes = 0

  constructor(batches: readonly Batch[]) {
    this.#batches = batches
  }
  get isEmpty(): boolean {
    return this.#next === this.#batches.length
  }
  /** Where what is to come lies. */
  *memory(): IterableIterator<ArrayBufferLike> {
    for (let n = this.#next; n < this.#batches.length; n++) yield this.#batches[n]!.buffer
  }
  /** Records of the next batches: of one at least, of further ones while all is below `limits.decodedBytes`. */
  next(): LogRecord[] {
    return this.#find(recordOverhead).records()
  }
  /** The same, not made objects. */
  nextRaw(): RawRecords {
    return this.#find(rawOverhead)
  }
  /** About how many records the next batches have. Each takes 7 bytes at least, unpacked. */
  #countAhead(): number {
    let count = 0
    let bytes = 0
    for (let n = this.#next; n < this.#batches.length && bytes < limits.decodedBytes; n++) {
      const batch = this.#batches[n]!
      count += Math.min(readBatchHeader(batch).recordCount, batch.length)
      bytes += batch.length
    }
    return count
  }
  #find(overhead: number): RawRecords {
    const found = new RawBuilder()
    found.expect(this.#countAhead())
    this.bytes = 0
    while (this.bytes < limits.decodedBytes && !this.isEmpty) {
      const batch = this.#batches[this.#next++]!
      if (isControl(batch)) continue
      const header = readBatchHeader(batch)
      const unpacked = unpack(batch, header)
      this.bytes += unpacked.length + header.recordCount * overhead
      found.batch(unpacked, factsOf(header))
    }
    return found.done()
  }
}
/** What places of a record take. */
const rawOverhead = 2 * 8 + place.stride * 4
/** What a decoded record takes beside its bytes, about. */
const recordOverhead = 200
/** The same of one record. */
export const bytesOfRecord = ({ key, value, headers }: LogRecord): number =>
  recordOverhead +
  (key?.length ?? 0) +
  (value?.length ?? 0) +
  headers.reduce((sum, [name, content]) => sum + recordOverhead / 2 + name.length + (content?.length ?? 0), 0)
/** With bytes of its own: it does not keep its batch. */
export const ownRecord = (record: LogRecord): LogRecord => ({
  ...record,
  key: ownBytes(record.key),
  value: ownBytes(record.value),
  headers: record.headers.map(([name, content]): Header => [name, ownBytes(content)]),
})
const ownBytes = (bytes: Uint8Array | null): Uint8Array | null =>
  bytes === null ? null : Buffer.from(new Uint8Array(bytes).buffer)
