/**
 * The newest offset of each key: open addressing over typed arrays, keys as bytes in pages. Keys whose hashes are equal are
 * compared byte by byte. Hashes of clients' keys may be equal on purpose: a key that finds no place near its own lies in a
 * map by its text, which is asked for wherever a key is not found otherwise.
 */
import { drop, instead } from '../../../lib/free.ts'
import { murmur2 } from '../../../lib/murmur2.ts'

const pageBytes = 1 << 20
/** Index, hash, place, length and offset. */
const entryBytes = 28
const probesMax = 64
const overflowBytes = 64
const minEntries = 1024

export class NewestOffsets {
  /** What it takes, about. */
  bytes = 0
  private count = 0
  /** Entry + 1 by hash, 0 where there is none. */
  private index = new Int32Array(minEntries * 2)
  private hashes = new Int32Array(minEntries)
  /** Page × 2^20 + place in the page. */
  private places = new Float64Array(minEntries)
  private lengths = new Int32Array(minEntries)
  private offsets = new Float64Array(minEntries)
  private readonly pages: Buffer[] = []
  private pageUsed = 0
  private readonly overflow = new Map<string, number>()

  /** Offsets rise from one call to the next. */
  note(bytes: Buffer, from: number, to: number, offset: number): void {
    const hash = murmur2(bytes, from, to)
    const slot = this.slotOf(hash, bytes, from, to, -1)
    const entry = slot < 0 ? -1 : this.index[slot]! - 1
    if (entry >= 0) {
      this.offsets[entry] = offset
      return
    }
    if (this.overflow.size > 0 || slot < 0) {
      const name = bytes.toString('latin1', from, to)
      const isKnown = this.overflow.has(name)
      if (!isKnown && slot < 0) this.bytes += to - from + overflowBytes
      if (isKnown || slot < 0) return void this.overflow.set(name, offset)
    }
    this.add(slot, { hash, offset, place: this.keep(bytes, from, to), length: to - from })
    if (this.count * 2 > this.index.length) this.grow()
  }
  /** A record of the key stands at the offset: is there a newer one? */
  hasNewer(bytes: Buffer, from: number, to: number, offset: number): boolean {
    const slot = this.slotOf(murmur2(bytes, from, to), bytes, from, to, offset)
    const entry = slot < 0 ? -1 : this.index[slot]! - 1
    if (entry >= 0) return this.offsets[entry]! > offset
    if (this.overflow.size === 0) return false
    return (this.overflow.get(bytes.toString('latin1', from, to)) ?? -1) > offset
  }

  /** The key's slot, or the one that is free for it; −1: there is none near. An entry of the offset given is the key's own. */
  private slotOf(hash: number, bytes: Buffer, from: number, to: number, offset: number): number {
    const { index, hashes, offsets } = this
    const mask = index.length - 1
    for (let probes = 0, slot = hash & mask; probes < probesMax; probes++, slot = (slot + 1) & mask) {
      const entry = index[slot]! - 1
      if (entry < 0) return slot
      if (hashes[entry] === hash && (offsets[entry] === offset || this.equals(entry, bytes, from, to))) return slot
    }
    return -1
  }
  private equals(entry: number, bytes: Buffer, from: number, to: number): boolean {
    if (this.lengths[entry] !== to - from) return false
    const place = this.places[entry]!
    const page = this.pages[Math.floor(place / pageBytes)]!
    for (let at = place % pageBytes, i = from; i < to; i++, at++) if (page[at] !== bytes[i]) return false
    return true
  }
  private keep(bytes: Buffer, from: number, to: number): number {
    const length = to - from
    let page = this.pages.at(-1)
    if (page === undefined || this.pageUsed + length >= pageBytes) {
      page = Buffer.allocUnsafeSlow(Math.max(pageBytes, length))
      this.pages.push(page)
      this.pageUsed = 0
    }
    bytes.copy(page, this.pageUsed, from, to)
    const place = (this.pages.length - 1) * pageBytes + this.pageUsed
    this.pageUsed += length
    return place
  }
  private add(slot: number, of: { hash: number; offset: number; place: number; length: number }): void {
    const entry = this.count++
    if (entry === this.hashes.length) this.growEntries()
    this.hashes[entry] = of.hash
    this.places[entry] = of.place
    this.lengths[entry] = of.length
    this.offsets[entry] = of.offset
    this.index[slot] = entry + 1
    this.bytes += entryBytes + of.length
  }
  private growEntries(): void {
    const size = this.hashes.length * 2
    this.hashes = instead(new Int32Array(size), this.hashes)
    this.places = instead(new Float64Array(size), this.places)
    this.lengths = instead(new Int32Array(size), this.lengths)
    this.offsets = instead(new Float64Array(size), this.offsets)
  }
  private grow(): void {
    const index = new Int32Array(this.index.length * 2)
    const mask = index.length - 1
    for (let entry = 0; entry < this.count; entry++) {
      let slot = this.hashes[entry]! & mask
      let probes = 0
      for (; index[slot] !== 0 && probes < probesMax; probes++) slot = (slot + 1) & mask
      if (probes < probesMax) index[slot] = entry + 1
      else this.overflow.set(this.nameOf(entry), this.offsets[entry]!)
    }
    drop(this.index)
    this.index = index
  }
  /** Gives its memory back; it is not asked any more. */
  free(): void {
    for (const array of [this.index, this.hashes, this.places, this.lengths, this.offsets]) drop(array)
    for (const page of this.pages) drop(page)
  }
  private nameOf(entry: number): string {
    const place = this.places[entry]!
    const at = place % pageBytes
    return this.pages[Math.floor(place / pageBytes)]!.toString('latin1', at, at + this.lengths[entry]!)
  }
}
