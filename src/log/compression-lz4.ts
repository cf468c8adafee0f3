/**
 * The LZ4 frame format. The frame is walked by its block headers first, which bounds what it can become (a block never
 * exceeds the frame's block size, nor 255 times its own bytes). Where that bound is over the limit, the blocks' sequences
 * are added up exactly, still without output. Only then is it decompressed, with the checks it carries.
 *
 * Clients of Kafka write frames of independent blocks without checksums. To be looked at, these are decoded by
 * `lz4-block.ts`; whatever it does not take, the library decides about.
 */
import { compressFrameSync, decompressFrameSync } from 'lz4-napi'
import { Fault } from '../lib/fault.ts'
import { BlockDecoder } from './lz4-block.ts'

const magic = 0x184d2204
const expansionMax = 255
const blockSizes: readonly number[] = [0, 0, 0, 0, 64 * 1024, 256 * 1024, 1024 * 1024, 4 * 1024 * 1024]
const flag = { blockChecksum: 0x10, contentSize: 0x08, contentChecksum: 0x04, dictionary: 0x01 } as const

const corrupt = (what: string): Fault => new Fault('log.corrupt-batch', { what: `lz4: ${what}` })
const tooLarge = (bytes: number, bytesMax: number): Fault =>
  new Fault('wire.too-large', { what: 'an lz4 batch', bytes, bytesMax })

export function writeLz4(bytes: Uint8Array): Uint8Array {
  return compressFrameSync(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
}

export function readLz4(bytes: Buffer, bytesMax: number): Uint8Array {
  const frame = walk(bytes)
  if (frame.declaredBytes !== null && frame.declaredBytes > bytesMax) throw tooLarge(frame.declaredBytes, bytesMax)
  if (frame.bytesMost > bytesMax) {
    let exact = 0
    walk(bytes, (from, to, stored) => {
      exact += stored ? to - from : lengthOf(bytes.subarray(from, to))
      if (exact > bytesMax) throw tooLarge(exact, bytesMax)
    })
  }
  return decompressFrameSync(bytes)
}

/** Flags, block size and their checksum, of frames of independent blocks without checksums or size. */
const plainDescriptors: ReadonlySet<number> = new Set([0x604082, 0x6050fb, 0x606051, 0x607073])
const descriptorAt = 4

/** What the frame becomes, in memory that the next call uses again; null where `readLz4` must say. */
export function lendLz4(bytes: Buffer, bytesMax: number): Uint8Array | null {
  const { bytesMost, blockBytesMax } = walk(bytes)
  if (bytesMost > bytesMax || !plainDescriptors.has(bytes.readUIntBE(descriptorAt, 3))) return null
  const decoder = BlockDecoder.of(bytes, bytesMost)
  if (decoder === null) return null
  let isGood = true
  walk(bytes, (from, end, stored) => {
    if (!isGood) return
    if (stored) decoder.addStored(from, end)
    else isGood = decoder.add(from, end, Math.min((end - from) * expansionMax, blockBytesMax))
  })
  return isGood ? decoder.done() : null
}

interface Frame {
  readonly blockBytesMax: number
  readonly declaredBytes: number | null
  /** The decompressed size is at most this. */
  readonly bytesMost: number
}

type Visit = (from: number, to: number, stored: boolean) => void
/** Goes from block to block, keeping nothing: there may be very many. */
function walk(bytes: Buffer, visit: Visit | null = null): Frame {
  if (bytes.length < 7 || bytes.readUInt32LE(0) !== magic) throw corrupt('not a frame')
  const flags = bytes[4]!
  if (flags >> 6 !== 1) throw corrupt(`frame version ${flags >> 6}`)
  if ((flags & flag.dictionary) !== 0) throw corrupt('a frame with a dictionary')
  const blockBytesMax = blockSizes[(bytes[5]! >> 4) & 7]!
  if (blockBytesMax === 0) throw corrupt('unknown block size')
  const hasSize = (flags & flag.contentSize) !== 0
  let at = hasSize ? 15 : 7
  if (bytes.length < at) throw corrupt('a cut header')
  const declaredBytes = hasSize ? Number(bytes.readBigUInt64LE(6)) : null
  let bytesMost = 0
  for (;;) {
    if (bytes.length - at < 4) throw corrupt('a frame without its end')
    const word = bytes.readUInt32LE(at)
    at += 4
    if (word === 0) break
    const stored = word >= 0x8000_0000
    const length = word & 0x7fff_ffff
    if (length > bytes.length - at || length > blockBytesMax) throw corrupt(`a block of ${length} bytes`)
    visit?.(at, at + length, stored)
    bytesMost += stored ? length : Math.min(length * expansionMax, blockBytesMax)
    at += length + ((flags & flag.blockChecksum) === 0 ? 0 : 4)
  }
  if ((flags & flag.contentChecksum) !== 0) at += 4
  if (at !== bytes.length) throw corrupt(`${bytes.length - at} bytes after the frame`)
  return { declaredBytes, bytesMost, blockBytesMax }
}

/** What a block becomes: literals and matches of its sequences, added up. */
function lengthOf(block: Buffer): number {
  let total = 0
  let at = 0
  const extended = (length: number): number => {
    if (length !== 15) return length
    for (;;) {
      const byte = block[at++]
      if (byte === undefined) throw corrupt('a cut sequence')
      length += byte
      if (byte !== 255) return length
    }
  }
  while (at < block.length) {
    const token = block[at++]!
    const literals = extended(token >> 4)
    at += literals
    total += literals
    if (at >= block.length) break
    at += 2
    total += extended(token & 15) + 4
  }
  if (at !== block.length) throw corrupt('a cut block')
  return total
}
