/**
 * The block format of LZ4, decoded in a WebAssembly memory that is used again for each batch: a batch that is only looked
 * at takes no memory of its own, and its bytes are written once, sixteen at a time.
 *
 * Copies run up to 15 bytes past their end: past what was read lies a gap, past what was written what is written next, or
 * a gap.
 */
import { assemble } from '../lib/wasm-text.ts'

const source = `
  ;; Decodes one block. Where its output ends, or -1: it is corrupt, or longer than it may be. No match reaches before $to.
  (func $block (param $from $end $to $limit) (local $first $token $length $byte $distance $match $stop)
    (local.set $first $to)
    (loop $sequence
      (if (i32.ge_u $from $end) (then (return -1)))
      (local.set $token (i32.load8_u $from))
      (local.set $from (i32.add $from 1))

      (local.set $length (i32.shr_u $token 4))
      (if (i32.eq $length 15) (then
        (loop $more
          (if (i32.ge_u $from $end) (then (return -1)))
          (local.set $byte (i32.load8_u $from))
          (local.set $from (i32.add $from 1))
          (local.set $length (i32.add $length $byte))
          (br_if $more (i32.eq $byte 255)))))
      (if (i32.gt_u $length (i32.sub $end $from)) (then (return -1)))
      (if (i32.gt_u $length (i32.sub $limit $to)) (then (return -1)))
      (if $length (then
        (local.set $stop (i32.add $to $length))
        (loop $literals
          (v128.store $to (v128.load $from))
          (local.set $from (i32.add $from 16))
          (local.set $to (i32.add $to 16))
          (br_if $literals (i32.lt_u $to $stop)))
        (local.set $from (i32.sub $from (i32.sub $to $stop)))
        (local.set $to $stop)))
      ;; The last sequence has literals alone.
      (if (i32.eq $from $end) (then (return $to)))

      (if (i32.lt_u (i32.sub $end $from) 2) (then (return -1)))
      (local.set $distance (i32.load16_u $from))
      (local.set $from (i32.add $from 2))
      (if (i32.eqz $distance) (then (return -1)))
      (if (i32.gt_u $distance (i32.sub $to $first)) (then (return -1)))
      (local.set $length (i32.and $token 15))
      (if (i32.eq $length 15) (then
        (loop $more
          (if (i32.ge_u $from $end) (then (return -1)))
          (local.set $byte (i32.load8_u $from))
          (local.set $from (i32.add $from 1))
          (local.set $length (i32.add $length $byte))
          (br_if $more (i32.eq $byte 255)))))
      (local.set $length (i32.add $length 4))
      (if (i32.gt_u $length (i32.sub $limit $to)) (then (return -1)))
      (local.set $stop (i32.add $to $length))
      (local.set $match (i32.sub $to $distance))
      ;; A short distance repeats itself: byte by byte, until so much is there that sixteen bytes at a distance which is a
      ;; multiple of it are.
      (if (i32.lt_u $distance 16) (then
        (loop $longer
          (local.set $distance (i32.add $distance $distance))
          (br_if $longer (i32.lt_u $distance 16)))
        (local.set $byte (i32.add $match $distance))
        (loop $bytes
          (i32.store8 $to (i32.load8_u $match))
          (local.set $to (i32.add $to 1))
          (local.set $match (i32.add $match 1))
          (if (i32.lt_u $to $byte) (then
            (br_if $bytes (i32.lt_u $to $stop)))))
        (local.set $match (i32.sub $to $distance))))
      (if (i32.lt_u $to $stop) (then
        (loop $copy
          (v128.store $to (v128.load $match))
          (local.set $match (i32.add $match 16))
          (local.set $to (i32.add $to 16))
          (br_if $copy (i32.lt_u $to $stop)))))
      (local.set $to $stop)
      (br $sequence))
    (unreachable))`

const pageBytes = 64 * 1024
/** What a copy runs past its end. */
const gapBytes = 16
/**
 * Output begins half of this away from where input does, modulo this: processors take a load for one of what was stored
 * just before when the lower 12 bits of the addresses say so, and literals were copied ten times slower for it.
 */
const aliasBytes = 4096
/** Of what the memory becomes, which is never given back: twice what clients pack and unpack by default, several times. */
const memoryBytesMax = 8 * 1024 * 1024

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
  /** Addresses, all of them. */
  block(from: number, end: number, to: number, limit: number): number
}
/** Node's types leave it to the browser's. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: Exports }
}
let exported: Exports | null = null
function decoder(): Exports {
  exported ??= new WebAssembly.Instance(new WebAssembly.Module(assemble(source))).exports
  return exported
}

/** Blocks of one input, decoded one behind the other. What it returns lasts until the next is made. */
export class BlockDecoder {
  readonly #bytes: Uint8Array
  readonly #from: number
  #to: number

  /** Null where the two would not fit. */
  static of(input: Uint8Array, outputBytesMax: number): BlockDecoder | null {
    const from = Math.ceil((input.length + gapBytes) / aliasBytes) * aliasBytes + aliasBytes / 2
    const bytes = from + outputBytesMax + gapBytes
    return bytes > memoryBytesMax ? null : new BlockDecoder(input, from, bytes)
  }
  private constructor(input: Uint8Array, from: number, bytes: number) {
    const { memory } = decoder()
    const missing = bytes - memory.buffer.byteLength
    if (missing > 0) memory.grow(Math.ceil(missing / pageBytes))
    this.#bytes = new Uint8Array(memory.buffer)
    this.#bytes.set(input)
    this.#from = from
    this.#to = from
  }
  /** False for a block that is corrupt, or longer than `bytesMax` decoded. */
  add(from: number, end: number, bytesMax: number): boolean {
    const to = decoder().block(from, end, this.#to, this.#to + bytesMax)
    if (to < 0) return false
    this.#to = to
    return true
  }
  addStored(from: number, end: number): void {
    this.#bytes.copyWithin(this.#to, from, end)
    this.#to += end - from
  }
  done(): Uint8Array {
    return this.#bytes.subarray(this.#from, this.#to)
  }
}
