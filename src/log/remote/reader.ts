/** A reader for another thread: its calls travel over a line to a reader of the thread that has the log. */
import type { Owned } from '../../lib/buffer-pool.ts'
import { free } from '../../lib/free.ts'
import { type Line, type SentFault, Transfer, receiveFault, sendFault } from '../../lib/line.ts'
import { limits } from '../../lib/limits.ts'
import type { At, Batch, Chunk, Claim, Partition, Reader } from '../log.ts'
import type { Offset } from '../../lib/brand.ts'

type Wait = { ms: number; bytes?: number }
export interface Packed {
  readonly memory: readonly ArrayBuffer[]
  /** The first of `memory`, so many: whoever asked sends them back when they are read. */
  readonly comesBack: number
  /** Of each batch of all chunks: its number in `memory`, where it begins there, where it ends. */
  readonly places: Float64Array<ArrayBuffer>
  readonly chunks: readonly ({ readonly partition: Partition; readonly fault: SentFault } | PackedChunk)[]
}
/** It has the batches from `from` to `to`. */
export type PackedChunk = Omit<Extract<Chunk, { next: Offset }>, 'batches'> & {
  readonly from: number
  readonly to: number
}

/**
 * Memory that is nobody else's goes over as it is; batches that lie elsewhere are copied out of it: what is sent must not
 * drag along what it lies in.
 */
function pack(chunks: readonly Chunk[], owned: readonly Owned[] = []): Transfer<Packed> {
  const batches = chunks.flatMap((chunk) => ('fault' in chunk ? [] : chunk.batches))
  const memory: ArrayBuffer[] = owned.map((one) => one.memory)
  const numbers = new Map<ArrayBufferLike, number>(memory.map((one, number) => [one, number]))
  const copied = packBatches(batches.filter((batch) => !numbers.has(batch.buffer)))
  const places = new Float64Array(batches.length * 3)
  let copiedAt = 0
  for (const [i, batch] of batches.entries()) {
    const number = numbers.get(batch.buffer)
    places[i * 3] = number ?? owned.length
    const from = (places[i * 3 + 1] = number === undefined ? copiedAt : batch.byteOffset)
    places[i * 3 + 2] = from + batch.length
    if (number === undefined) copiedAt += batch.length
  }
  if (copiedAt > 0) memory.push(copied.bytes.buffer)
  let at = 0
  const packed = chunks.map((chunk) => {
    if ('fault' in chunk) return { partition: chunk.partition, fault: sendFault(chunk.fault) }
    const { partition, next, stable } = chunk
    const from = at
    at += chunk.batches.length
    return { partition, next, stable, from, to: at }
  })
  return new Transfer({ memory, comesBack: owned.length, places, chunks: packed }, [...memory, places.buffer])
}
function unpack({ memory, places, chunks }: Packed): Chunk[] {
  return chunks.map((chunk) => {
    if ('fault' in chunk) return { partition: chunk.partition, fault: receiveFault(chunk.fault) }
    const { partition, next, stable, from, to } = chunk
    const batches: Batch[] = []
    for (let i = from * 3; i < to * 3; i += 3)
      batches.push(new Uint8Array(memory[places[i]!]!, places[i + 1], places[i + 2]! - places[i + 1]!))
    return { partition, next, stable, batches }
  })
}
/** What was received here, and where it goes when it is read: back, or away. */
const received = new WeakMap<ArrayBufferLike, (memory: ArrayBuffer) => void>()
const away = (memory: ArrayBuffer): void => free(Buffer.from(memory))
/** Gives the memory of batches back that were read from another thread; of others it is not the reader's to give. */
export function giveBack(memory: ArrayBufferLike): void {
  const where = received.get(memory)
  received.delete(memory)
  if (memory instanceof ArrayBuffer) where?.(memory)
}
export interface PackedBatches {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Where each ends. */
  readonly ends: Float64Array
}
/** One behind the other, in memory of their own. */
export function packBatches(batches: readonly Batch[]): PackedBatches {
  const ends = new Float64Array(batches.length)
  let size = 0
  for (const [i, batch] of batches.entries()) ends[i] = size += batch.length
  const bytes = Buffer.allocUnsafeSlow(size)
  for (const [i, batch] of batches.entries()) bytes.set(batch, ends[i]! - batch.length)
  return { bytes, ends }
}
export const unpackBatches = ({ bytes, ends }: PackedBatches): Batch[] =>
  Array.from(ends, (end, i) => bytes.subarray(i === 0 ? 0 : ends[i - 1]!, end))

/** For the thread that has the log. `claimOf`: the claim that the other side means. */
export function readerMethods<C>(reader: Reader, claimOf: (sent: C) => Claim) {
  /** Of what was sent last. All of it comes from one pool. */
  let pool: Owned | null = null
  return {
    /** `back`: memory that was sent and is read. */
    read: async (
      from: readonly At[],
      wait: Wait | undefined,
      back: readonly ArrayBuffer[],
      signal: AbortSignal,
    ): Promise<Transfer<Packed>> => {
      for (const memory of back) pool?.giveBack(memory)
      const lent = await reader.lend?.(from, wait, signal)
      if (lent === undefined) return pack(await reader.read(from, wait, signal))
      const owned = lent.own?.() ?? []
      pool = owned[0] ?? pool
      const packed = pack(lent.chunks, owned)
      lent.release()
      return packed
    },
    async *restore(partition: Partition, claim: C, from: Offset | undefined): AsyncIterable<Transfer<Packed>> {
      for await (const chunk of reader.restore(partition, claimOf(claim), from)) yield pack([chunk])
    },
  }
}
export type ReaderMethods<C> = ReturnType<typeof readerMethods<C>>

/** For the other one. */
export class RemoteReader<C> implements Reader {
  readonly #line: Line<ReaderMethods<C>>
  readonly #sent: (claim: Claim) => C
  #back: ArrayBuffer[] = []
  #backBytes = 0

  constructor(line: Line<ReaderMethods<C>>, sent: (claim: Claim) => C) {
    this.#line = line
    this.#sent = sent
  }
  async read(from: readonly At[], wait?: Wait, signal?: AbortSignal): Promise<Chunk[]> {
    const back = this.#back
    this.#back = []
    this.#backBytes = 0
    const packed = await this.#line.call('read', [from, wait, back], signal, back)
    for (const [i, memory] of packed.memory.entries())
      received.set(memory, i < packed.comesBack ? (read) => this.#takeBack(read) : away)
    return unpack(packed)
  }
  /** It goes with the next call, as much as may be idle there. */
  #takeBack(memory: ArrayBuffer): void {
    if (this.#backBytes + memory.byteLength > limits.poolIdleBytes) return away(memory)
    this.#backBytes += memory.byteLength
    this.#back.push(memory)
  }
  async *restore(partition: Partition, claim: Claim, from?: Offset): AsyncIterable<Chunk> {
    for await (const packed of this.#line.items('restore', [partition, this.#sent(claim), from])) {
      for (const memory of packed.memory) received.set(memory, away)
      yield* unpack(packed)
    }
  }
}
