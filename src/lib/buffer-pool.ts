/**
 * Large buffers that are used again. What a buffer holds is memory outside of V8's heap, and V8 marks its whole heap once
 * for every few tens of megabytes of such memory that were taken anew: a stream through fresh buffers costs more time in
 * the collector than in everything that is done with its bytes.
 *
 * A lease counts its holders. The last one that lets go gives the buffer back; one that never does leaves it to the
 * collector. So forgetting to release costs time and is never wrong, while every release must be the last use.
 */
import { assert } from './assert.ts'
import { free } from './free.ts'

/** Below it a buffer is made anew: its size is exact then, and nothing of it goes to waste. */
const pooledBytesMin = 8 * 1024
/** Below it a buffer is cut from Node's shared one. */
const tinyBytesMax = 2048
const pooledBytesMax = 4 * 1024 * 1024
/** Sizes are rounded up to quarters of a power of two, so that buffers fit each other. */
const stepsPerDoubling = 4

export interface Lease {
  /** At least as long as was asked for. Holds anything at first. */
  readonly bytes: Buffer
  hold(): void
  /** Once for `take` and once for each `hold`. */
  release(): void
  /** In place of the last `release`: the memory is the caller's. Null: others hold it too, or it is a part of some. */
  own(): Owned | null
}
/** Memory that left its pool, to be sent to another thread. */
export interface Owned {
  readonly memory: ArrayBuffer
  /** Where it may go when it has come back, or as much memory of the same size; it need not. */
  readonly giveBack: (memory: ArrayBuffer) => void
}

/** Of memory that is nobody's else: the last one that lets go frees it. */
export const leaseOfOwn = (bytes: Buffer): Lease => new Counted(bytes, freed)
const freed = { giveBack: free }

export class BufferPool {
  readonly #idleBytesMax: number
  readonly #wipes: boolean
  /** By their size, the one used last at the end. */
  readonly #idle = new Map<number, Buffer[]>()
  #idleBytes = 0

  /** `wipes`: for tests. Buffers of any size come from here, and what is given back is overwritten, so that it shows who looks at it still. */
  constructor(idleBytesMax: number, options: { readonly wipes?: boolean } = {}) {
    this.#idleBytesMax = idleBytesMax
    this.#wipes = options.wipes ?? false
  }
  get idleBytes(): number {
    return this.#idleBytes
  }
  take(bytes: number): Lease {
    if (!this.#wipes) {
      if (bytes <= tinyBytesMax) return new Counted(Buffer.allocUnsafe(bytes), null)
      if (bytes < pooledBytesMin || bytes > pooledBytesMax) return new Counted(Buffer.allocUnsafeSlow(bytes), null)
    }
    const size = roundedUp(bytes)
    const buffer = this.#fitting(size, 2 * bytes)
    if (buffer === null) return new Counted(Buffer.allocUnsafeSlow(size), this)
    this.#idleBytes -= buffer.length
    return new Counted(buffer, this)
  }
  #fitting(from: number, to: number): Buffer | null {
    for (let size = from; size <= to; size = roundedUp(size + 1)) {
      const buffer = this.#idle.get(size)?.pop()
      if (buffer !== undefined) return buffer
    }
    return null
  }
  giveBack(buffer: Buffer): void {
    if (this.#wipes) buffer.fill(0xdb)
    if (this.#idleBytes + buffer.length > this.#idleBytesMax) return
    this.#idleBytes += buffer.length
    const idle = this.#idle.get(buffer.length)
    if (idle === undefined) this.#idle.set(buffer.length, [buffer])
    else idle.push(buffer)
  }
}

function roundedUp(bytes: number): number {
  const step = 2 ** (31 - Math.clz32(bytes)) / stepsPerDoubling
  return Math.ceil(bytes / step) * step
}

class Counted implements Lease {
  readonly bytes: Buffer
  readonly #pool: { giveBack(buffer: Buffer): void } | null
  #holders = 1

  constructor(bytes: Buffer, pool: { giveBack(buffer: Buffer): void } | null) {
    this.bytes = bytes
    this.#pool = pool
  }
  hold(): void {
    assert(this.#holders > 0, 'a buffer is held before it is given back')
    this.#holders++
  }
  release(): void {
    assert(this.#holders > 0, 'a buffer is given back once')
    this.#holders--
    if (this.#holders === 0) this.#pool?.giveBack(this.bytes)
  }
  own(): Owned | null {
    const { buffer, length } = this.bytes
    const pool = this.#pool
    if (this.#holders !== 1 || pool === null) return null
    if (!(buffer instanceof ArrayBuffer) || buffer.byteLength !== length) return null
    this.#holders = 0
    return { memory: buffer, giveBack: (memory) => pool.giveBack(Buffer.from(memory)) }
  }
}
