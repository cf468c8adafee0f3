/** A reader for another thread: its calls travel over a line to a reader of the thread that has the log. */
import { free } from '../../lib/free.ts'
import { type Line, type SentFault, Transfer, receiveFault, sendFault } from '../../lib/line.ts'
import type { At, Batch, Chunk, Claim, Partition, Reader } from '../log.ts'
import type { Offset } from '../../lib/brand.ts'

type Wait = { ms: number; bytes?: number }
/** Batches of all chunks lie one behind the other in `bytes`; a chunk has those from `from` to `to` of `ends`. */
export interface Packed {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly ends: Float64Array
  readonly chunks: readonly ({ readonly partition: Partition; readonly fault: SentFault } | PackedChunk)[]
}
export type PackedChunk = Omit<Extract<Chunk, { next: Offset }>, 'batches'> & {
  readonly from: number
  readonly to: number
}

/** Batches are copied out: what is sent must not drag along the memory that they lie in. */
function pack(chunks: readonly Chunk[]): Transfer<Packed> {
  const batches = chunks.flatMap((chunk) => ('fault' in chunk ? [] : chunk.batches))
  const { bytes, ends } = packBatches(batches)
  let at = 0
  const packed = chunks.map((chunk) => {
    if ('fault' in chunk) return { partition: chunk.partition, fault: sendFault(chunk.fault) }
    const { partition, next, stable } = chunk
    const from = at
    at += chunk.batches.length
    return { partition, next, stable, from, to: at }
  })
  return new Transfer({ bytes, ends, chunks: packed }, [bytes.buffer, ends.buffer as ArrayBuffer])
}
/** What was received here: whoever has read it has all of its memory. */
const received = new WeakSet<ArrayBufferLike>()
/** Gives the memory of batches back that were read from another thread; of others it is not the reader's to give. */
export function giveBack(memory: ArrayBufferLike): void {
  if (received.delete(memory)) free(Buffer.from(memory))
}
function unpack({ bytes, ends, chunks }: Packed): Chunk[] {
  received.add(bytes.buffer)
  return chunks.map((chunk) => {
    if ('fault' in chunk) return { partition: chunk.partition, fault: receiveFault(chunk.fault) }
    const { partition, next, stable, from, to } = chunk
    return { partition, next, stable, batches: unpackBatches({ bytes, ends }, from, to) }
  })
}
export interface PackedBatches {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Where each ends. */
  readonly ends: Float64Array
}
export function packBatches(batches: readonly Batch[]): PackedBatches {
  const ends = new Float64Array(batches.length)
  let size = 0
  for (const [i, batch] of batches.entries()) ends[i] = size += batch.length
  const bytes = Buffer.allocUnsafeSlow(size)
  for (const [i, batch] of batches.entries()) bytes.set(batch, ends[i]! - batch.length)
  return { bytes, ends }
}
export function unpackBatches({ bytes, ends }: PackedBatches, from = 0, to = ends.length): Batch[] {
  const batches: Batch[] = []
  for (let i = from; i < to; i++) batches.push(bytes.subarray(i === 0 ? 0 : ends[i - 1]!, ends[i]!))
  return batches
}

/** For the thread that has the log. `claimOf`: the claim that the other side means. */
export const readerMethods = <C>(reader: Reader, claimOf: (sent: C) => Claim) => ({
  read: async (from: readonly At[], wait: Wait | undefined, signal: AbortSignal): Promise<Transfer<Packed>> => {
    const lent = await reader.lend?.(from, wait, signal)
    if (lent === undefined) return pack(await reader.read(from, wait, signal))
    const packed = pack(lent.chunks)
    lent.release()
    return packed
  },
  async *restore(partition: Partition, claim: C, from: Offset | undefined): AsyncIterable<Transfer<Packed>> {
    for await (const chunk of reader.restore(partition, claimOf(claim), from)) yield pack([chunk])
  },
})
export type ReaderMethods<C> = ReturnType<typeof readerMethods<C>>

/** For the other one. */
export class RemoteReader<C> implements Reader {
  readonly #line: Line<ReaderMethods<C>>
  readonly #sent: (claim: Claim) => C

  constructor(line: Line<ReaderMethods<C>>, sent: (claim: Claim) => C) {
    this.#line = line
    this.#sent = sent
  }
  async read(from: readonly At[], wait?: Wait, signal?: AbortSignal): Promise<Chunk[]> {
    return unpack(await this.#line.call('read', [from, wait], signal))
  }
  async *restore(partition: Partition, claim: Claim, from?: Offset): AsyncIterable<Chunk> {
    for await (const packed of this.#line.items('restore', [partition, this.#sent(claim), from])) yield* unpack(packed)
  }
}
