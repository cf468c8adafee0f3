/**
 * Who reads a partition from one end to the other is read ahead for: while a client works on what it got, the next piece is
 * read and checked. A read that begins where another one ended is taken for such a reader; what it got then tells where it
 * will go on. Bounded in bytes over the whole store; what nobody came for is dropped by the store's sweep.
 */
import { readBatchHeader } from './batch-header.ts'
import { readBatches, type Wanted } from './read.ts'
import type { Segments } from './segments.ts'
import type { Lent } from './store.ts'

/** Readers that are remembered by where they stopped. */
const placesMax = 256

interface ExpectedRead {
  readonly of: Segments
  readonly from: number
  /** At most that much memory is in what was read; 0 when nothing was. */
  readonly bytes: number
  /** null when nothing was read ahead; null from it when that failed: the reader finds out by itself. */
  readonly read: Promise<Lent | null> | null
  isOld: boolean
}

export class ReadAhead {
  readonly #bytesMax: number
  #bytes = 0
  /** Oldest first. */
  #expected: ExpectedRead[] = []

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }
  /** As `readBatches`. From `hotFrom` on it is in memory: nothing is read ahead there. */
  async read(segments: Segments, wanted: Wanted, hotFrom: number): Promise<Lent> {
    const expected = this.#take(segments, wanted.from)
    const ahead = (await expected?.read) ?? null
    const lent = ahead === null ? await readBatches(segments, wanted) : within(ahead, wanted)
    const last = lent.buffers.at(-1)
    if (last !== undefined) {
      const { baseOffset, lastOffsetDelta } = readBatchHeader(last)
      const from = baseOffset + lastOffsetDelta + 1
      const isWorth = expected !== null && from < Math.min(wanted.limit, hotFrom)
      this.#expect(segments, { ...wanted, from }, isWorth)
    }
    return lent
  }
  /** What was read of them is not what is there any more, or nobody will ask. */
  forget(segments: Segments): void {
    this.#dropWhere(({ of }) => of === segments)
  }
  /** Drops what was there already when it was called the last time. */
  sweep(): void {
    this.#dropWhere(({ isOld }) => isOld)
    for (const each of this.#expected) each.isOld = true
  }
  #take(segments: Segments, from: number): ExpectedRead | null {
    const at = this.#expected.findIndex((each) => each.of === segments && each.from === from)
    if (at < 0) return null
    const [taken] = this.#expected.splice(at, 1)
    this.#bytes -= taken!.bytes
    return taken!
  }
  #expect(of: Segments, wanted: Wanted, isWorth: boolean): void {
    const bytes = wanted.bytesMax + of.intervalBytes
    const reads = isWorth && this.#bytes + bytes <= this.#bytesMax
    const read = reads ? readBatches(of, wanted).catch(() => null) : null
    this.#expected.push({ of, from: wanted.from, bytes: reads ? bytes : 0, read, isOld: false })
    if (reads) this.#bytes += bytes
    if (this.#expected.length > placesMax) this.#drop(this.#expected.shift()!)
  }
  #dropWhere(isDropped: (each: ExpectedRead) => boolean): void {
    const dropped = this.#expected.filter(isDropped)
    if (dropped.length === 0) return
    this.#expected = this.#expected.filter((each) => !dropped.includes(each))
    for (const each of dropped) this.#drop(each)
  }
  #drop({ bytes, read }: ExpectedRead): void {
    this.#bytes -= bytes
    void read?.then((lent) => lent?.release())
  }
}

/** It was read for somebody who may have wanted more than the one who came. */
function within(lent: Lent, { limit, bytesMax }: Wanted): Lent {
  const { buffers, release } = lent
  let bytes = 0
  const end = buffers.findIndex((batch, i) => {
    bytes += batch.length
    return readBatchHeader(batch).baseOffset >= limit || (i > 0 && bytes > bytesMax)
  })
  return end < 0 ? lent : { buffers: buffers.slice(0, end), release }
}
