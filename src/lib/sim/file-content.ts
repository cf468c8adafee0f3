/**
 * One file as the kernel and as the device see it: pages of 4 KiB, of which the page cache may hold newer ones. A page
 * object is never changed once the device may have it.
 */
import type { SeededRandom } from './random.ts'

export const pageBytes = 4096
const sectorBytes = 512

interface Content {
  size: number
  pages: Map<number, Buffer>
}
/** What a sync that has begun will make durable. */
export interface Flush {
  /** Later ones began later, and may end earlier. */
  readonly number: number
  readonly size: number
  readonly pages: ReadonlyMap<number, Buffer>
}

const sizeKey = -1
const zeros = Buffer.alloc(pageBytes)

export class FileContent {
  modifiedMs = 0
  #cached: Content = { size: 0, pages: new Map() }
  #durable: Content = { size: 0, pages: new Map() }
  readonly #dirty = new Set<number>()
  #isSizeDirty = false
  /** Pages that a sync is taking to the device. */
  readonly #frozen = new Set<Buffer>()
  #flushes = 0
  /** Which flush the durable page (or, under −1, the size) came with. */
  readonly #flushedBy = new Map<number, number>()

  get size(): number {
    return this.#cached.size
  }
  get isDurable(): boolean {
    return this.#dirty.size === 0 && !this.#isSizeDirty
  }
  read(target: Uint8Array, position: number): number {
    const length = Math.max(0, Math.min(target.length, this.#cached.size - position))
    eachPage(position, length, (page, from, to, done) => {
      target.set((this.#cached.pages.get(page) ?? zeros).subarray(from, to), done)
    })
    return length
  }
  write(bytes: Uint8Array, position: number): void {
    eachPage(position, bytes.length, (page, from, to, done) => {
      this.#writable(page).set(bytes.subarray(done, done + to - from), from)
    })
    if (position + bytes.length > this.#cached.size) this.#resize(position + bytes.length)
  }
  truncate(size: number): void {
    if (size < this.#cached.size) {
      const first = Math.ceil(size / pageBytes)
      for (const page of [...this.#cached.pages.keys()]) {
        if (page < first) continue
        this.#cached.pages.delete(page)
        this.#dirty.delete(page)
      }
      const rest = size % pageBytes
      if (rest > 0 && this.#cached.pages.has(first - 1)) this.#writable(first - 1).fill(0, rest)
    }
    if (size !== this.#cached.size) this.#resize(size)
  }
  beginFlush(): Flush {
    const pages = new Map<number, Buffer>()
    for (const page of this.#dirty) {
      const bytes = this.#cached.pages.get(page)!
      this.#frozen.add(bytes)
      pages.set(page, bytes)
    }
    return { number: this.#flushes++, size: this.#cached.size, pages }
  }
  endFlush(flush: Flush): void {
    for (const [page, bytes] of flush.pages) {
      if (this.#isNewer(flush, page)) this.#durable.pages.set(page, bytes)
      this.#clean(page, bytes)
    }
    if (this.#isNewer(flush, sizeKey)) this.#durable.size = flush.size
    this.#dropBehind(this.#durable)
    if (flush.size === this.#cached.size) this.#isSizeDirty = false
  }
  /** The device refused some pages. The kernel calls all of them clean: they are in the cache and never reach the disk. */
  failFlush(flush: Flush, random: SeededRandom): void {
    for (const [page, bytes] of flush.pages) {
      if (random.chance(0.3) && this.#isNewer(flush, page)) this.#durable.pages.set(page, bytes)
      this.#clean(page, bytes)
    }
    this.#isSizeDirty = false
  }
  /** What a power cut leaves: of every page not synced the old one, the new one or a mixture. */
  powerCut(random: SeededRandom): void {
    const durable = this.#durable
    const size = this.#sizeLeft(random)
    for (const page of [...this.#dirty].sort((a, b) => a - b)) {
      const fate = random.fraction()
      if (fate < 0.4) continue
      const fresh = this.#cached.pages.get(page)!
      durable.pages.set(page, fate < 0.85 ? fresh : torn(durable.pages.get(page) ?? zeros, fresh, random))
    }
    durable.size = size
    this.#dropBehind(durable)
    this.#cached = { size, pages: new Map(durable.pages) }
    this.#dirty.clear()
    this.#frozen.clear()
    this.#isSizeDirty = false
  }
  flipBit(bit: number): void {
    const page = Math.floor(bit / 8 / pageBytes)
    const at = Math.floor(bit / 8) % pageBytes
    for (const content of [this.#cached, this.#durable]) {
      const bytes = Buffer.from(content.pages.get(page) ?? zeros)
      bytes[at]! ^= 1 << (bit % 8)
      content.pages.set(page, bytes)
    }
  }
  /** A flush that ends late brings back nothing that a later one has replaced. */
  #isNewer(flush: Flush, key: number): boolean {
    if ((this.#flushedBy.get(key) ?? -1) > flush.number) return false
    this.#flushedBy.set(key, flush.number)
    return true
  }
  #sizeLeft(random: SeededRandom): number {
    const { size: from } = this.#durable
    const { size: to } = this.#cached
    if (from === to || !this.#isSizeDirty) return from
    const fate = random.fraction()
    if (fate < 0.3) return from
    if (fate < 0.7) return to
    const [low, high] = from < to ? [from, to] : [to, from]
    return Math.min(high, Math.max(low, Math.ceil(random.between(low, high) / pageBytes) * pageBytes))
  }
  #resize(size: number): void {
    this.#cached.size = size
    this.#isSizeDirty = true
  }
  #clean(page: number, bytes: Buffer): void {
    this.#frozen.delete(bytes)
    if (this.#cached.pages.get(page) === bytes) this.#dirty.delete(page)
  }
  /** Bytes behind the end read as zeros when the file grows again. */
  #dropBehind(content: Content): void {
    const first = Math.ceil(content.size / pageBytes)
    for (const page of [...content.pages.keys()]) if (page >= first) content.pages.delete(page)
    const rest = content.size % pageBytes
    const last = rest === 0 ? undefined : content.pages.get(first - 1)
    if (last === undefined || last.subarray(rest).equals(zeros.subarray(rest))) return
    content.pages.set(first - 1, Buffer.concat([last.subarray(0, rest), zeros.subarray(rest)]))
  }
  #writable(page: number): Buffer {
    let bytes = this.#cached.pages.get(page)
    if (bytes === undefined || bytes === this.#durable.pages.get(page) || this.#frozen.has(bytes)) {
      bytes = Buffer.from(bytes ?? zeros)
      this.#cached.pages.set(page, bytes)
    }
    this.#dirty.add(page)
    return bytes
  }
}

/** Each sector is the old one or the new one. */
function torn(before: Buffer, after: Buffer, random: SeededRandom): Buffer {
  const out = Buffer.from(before)
  for (let at = 0; at < pageBytes; at += sectorBytes) if (random.chance(0.5)) after.copy(out, at, at, at + sectorBytes)
  return out
}

function eachPage(
  position: number,
  length: number,
  visit: (page: number, from: number, to: number, done: number) => void,
): void {
  for (let done = 0; done < length;) {
    const page = Math.floor((position + done) / pageBytes)
    const from = position + done - page * pageBytes
    const to = Math.min(pageBytes, from + length - done)
    visit(page, from, to, done)
    done += to - from
  }
}
