/** Chance from a seed: sfc32 (Chris Doty-Humphrey's small fast counter), 2^128 states. */
import type { Random } from '../world.ts'

export class SeededRandom implements Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number, stream = '') {
    this.#a = seed >>> 0
    this.#b = Math.floor(seed / 2 ** 32) >>> 0
    this.#c = fnv1a(stream)
    for (let i = 0; i < 15; i++) this.uint32()
  }
  uint32(): number {
    const out = (this.#a + this.#b + this.#counter++) >>> 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) >>> 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + out) >>> 0
    return out
  }
  fraction(): number {
    return (this.uint32() * 2 ** 21 + (this.uint32() >>> 11)) / 2 ** 53
  }
  /** A whole number in [from, to]. */
  between(from: number, to: number): number {
    return from + Math.floor(this.fraction() * (to - from + 1))
  }
  chance(probability: number): boolean {
    return this.fraction() < probability
  }
  pick<T>(list: readonly T[]): T {
    return list[this.between(0, list.length - 1)]!
  }
  bytes(count: number): Uint8Array {
    const out = Buffer.alloc(count)
    for (let i = 0; i < count; i++) out[i] = this.uint32() >>> 24
    return out
  }
  uuid(): string {
    const bytes = Buffer.from(this.bytes(16))
    bytes[6] = (bytes[6]! & 0x0f) | 0x40
    bytes[8] = (bytes[8]! & 0x3f) | 0x80
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  }
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0
  return hash
}
