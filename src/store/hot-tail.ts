/**
 * The newest batches of all partitions, in the memory they arrived in, up to a bound of bytes over the whole store. What
 * came first goes first, so what a partition has left is always one run up to its end. The lease of that memory is held
 * for as long as a batch is here. Small ones are copied: the buffer that they came in is cut from one that they share with
 * requests of any kind, and a batch of 200 bytes would keep all of it, 8 KiB.
 */
import type { Lease } from '../lib/buffer-pool.ts'
import type { Lent } from './store.ts'

/** A batch costs this much beyond its bytes. */
const entryBytes = 160
/** As large as what `BufferPool` cuts from a shared buffer. */
const copiedBytesMax = 2048
/** Those behind one another lie in one such: they also go behind one another. */
const slabBytes = 64 * 1024

/** There may be very many small ones: each is one object. */
interface HotBatch {
  readonly of: HotBatches
  readonly base: number
  readonly end: number
  /** It lies in these; `gone` when it is gone. */
  within: Uint8Array
  readonly start: number
  readonly length: number
  lease: Lease | null
}
const gone = new Uint8Array(0)
const bytesOf = ({ within, start, length }: HotBatch): Uint8Array =>
  length === within.length ? within : within.subarray(start, start + length)

export class HotTail {
  readonly #bytesMax: number
  #bytes = 0
  /** Of all partitions, oldest first, from `#head` on. */
  #queue: (HotBatch | null)[] = []
  #head = 0
  #slab = Buffer.alloc(0)
  #slabUsed = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }
  get bytes(): number {
    return this.#bytes
  }
  add(of: HotBatches, added: { base: number; end: number; bytes: Uint8Array; lease: Lease | null }): void {
    const { base, end, bytes, lease } = added
    const { length } = bytes
    const batch: HotBatch =
      length <= copiedBytesMax
        ? { of, base, end, start: this.#copy(bytes), within: this.#slab, length, lease: null }
        : { of, base, end, start: 0, within: bytes, length, lease }
    batch.lease?.hold()
    of.push(batch)
    this.#queue.push(batch)
    this.#bytes += length + entryBytes
    while (this.#bytes > this.#bytesMax) this.#dropOldest()
  }
  /** Where in the slab they are now. */
  #copy(bytes: Uint8Array): number {
    if (this.#slabUsed + bytes.length > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(slabBytes)
      this.#slabUsed = 0
    }
    const start = this.#slabUsed
    this.#slab.set(bytes, start)
    this.#slabUsed += bytes.length
    return start
  }
  /** Forgets batches of one partition from `end` on; all with 0. */
  cut(of: HotBatches, end: number): void {
    for (const batch of of.cut(end)) this.#forget(batch)
  }
  #dropOldest(): void {
    const oldest = this.#queue[this.#head]!
    // The place must not hold the bytes until the queue is shortened.
    this.#queue[this.#head++] = null
    if (oldest.within !== gone) {
      oldest.of.shift()
      this.#forget(oldest)
    }
    if (this.#head < 1024 || this.#head * 2 < this.#queue.length) return
    this.#queue = this.#queue.slice(this.#head)
    this.#head = 0
  }
  #forget(batch: HotBatch): void {
    this.#bytes -= batch.length + entryBytes
    batch.within = gone
    batch.lease?.release()
    batch.lease = null
  }
}

/** The batches of one partition that are still in memory. */
export class HotBatches {
  #list: (HotBatch | null)[] = []
  #head = 0

  /**
   * Whole batches from the one that holds `from`, none from `limit` on; null when that batch is not here. They are held for
   * the caller until it releases them.
   */
  lend(from: number, limit: number, bytesMax: number): Lent | null {
    const first = this.#list[this.#head]
    if (first === undefined || first === null || from < first.base || from >= this.#list.at(-1)!.end) return null
    const buffers: Uint8Array[] = []
    const leases: Lease[] = []
    let bytes = 0
    for (let i = this.#indexOf(from); i < this.#list.length; i++) {
      const batch = this.#list[i]!
      bytes += batch.length
      if (batch.base >= limit || (buffers.length > 0 && bytes > bytesMax)) break
      buffers.push(bytesOf(batch))
      if (batch.lease === null) continue
      batch.lease.hold()
      leases.push(batch.lease)
    }
    return { buffers, release: () => leases.forEach((lease) => lease.release()) }
  }
  push(batch: HotBatch): void {
    this.#list.push(batch)
  }
  shift(): void {
    this.#list[this.#head++] = null
    if (this.#head < 64 || this.#head * 2 < this.#list.length) return
    this.#list = this.#list.slice(this.#head)
    this.#head = 0
  }
  cut(end: number): HotBatch[] {
    const out: HotBatch[] = []
    while (this.#list.length > this.#head && this.#list.at(-1)!.base >= end) {
      out.push(this.#list.pop()!)
    }
    return out
  }
  #indexOf(offset: number): number {
    let low = this.#head
    let high = this.#list.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#list[middle]!.base <= offset) low = middle
      else high = middle - 1
    }
    return low
  }
}
