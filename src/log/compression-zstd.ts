/**
 * Zstandard (RFC 8878). zlib's one-call form stops silently after the first frame, so frames are found here by their block
 * headers and read one by one; on the way their declared content size is checked against the bound.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { Fault } from '../lib/fault.ts'
import { freeableBytesMin } from '../lib/free.ts'

const magic = 0xfd2fb528
const skippableMagic = 0x184d2a50
const blockType = { raw: 0, repeat: 1, compressed: 2 } as const
const dictionaryIdBytes: readonly number[] = [0, 1, 2, 4]
const chunkBytes = 64 * 1024
/** zlib takes no smaller one. */
const chunkBytesMin = 64
/** Writers of batches make one; each costs a call and a chunk. */
const framesMax = 1_024
/** No block regenerates more. */
const blockBytesMax = 128 * 1024

const corrupt = (what: string): Fault => new Fault('log.corrupt-batch', { what: `zstd: ${what}` })

export function writeZstd(bytes: Uint8Array, level?: number): Uint8Array {
  return zstdCompressSync(bytes, level === undefined ? {} : { params: { [constants.ZSTD_c_compressionLevel]: level } })
}

export function readZstd(bytes: Buffer, bytesMax: number): Uint8Array {
  const parts: Uint8Array[] = []
  let total = 0
  for (let at = 0; at < bytes.length;) {
    const frame = walk(bytes, at)
    if (!frame.skip) {
      if (parts.length === framesMax) throw corrupt(`more than ${framesMax} frames`)
      if (frame.declaredBytes > frame.bytesMost) throw corrupt(`a declared size of ${frame.declaredBytes} bytes`)
      if (frame.declaredBytes > bytesMax - total)
        throw new Fault('wire.too-large', { what: 'a zstd batch', bytes: total + frame.declaredBytes, bytesMax })
      const left = Math.max(1, bytesMax - total)
      // Writers of batches make one frame, and librdkafka declares nothing. Of several none may claim much.
      const isAlone = at === 0 && frame.end === bytes.length
      const expected =
        frame.declaredBytes === 0 ? Math.min(frame.bytesMost, isAlone ? left : chunkBytes) : frame.declaredBytes
      const part = zstdDecompressSync(bytes.subarray(at, frame.end), {
        maxOutputLength: left,
        // One more: a buffer that was filled makes zlib take another.
        chunkSize: Math.max(expected + 1, isAlone ? freeableBytesMin : chunkBytesMin),
      })
      parts.push(part)
      total += part.length
    }
    at = frame.end
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts, total)
}

/** Frames that `readZstd` would read one by one. */
export function zstdFrames(bytes: Buffer): number {
  let count = 0
  for (let at = 0; at < bytes.length;) {
    const { end, skip } = walk(bytes, at)
    if (!skip) count++
    at = end
  }
  return count
}

interface Frame {
  readonly end: number
  /** Nothing for readers in it. */
  readonly skip: boolean
  /** 0 where the frame does not say. */
  readonly declaredBytes: number
  /** Its blocks cannot become more than this. */
  readonly bytesMost: number
}

function walk(bytes: Buffer, from: number): Frame {
  if (bytes.length - from < 5) throw corrupt('a cut frame')
  const found = bytes.readUInt32LE(from)
  if ((found & 0xffff_fff0) >>> 0 === skippableMagic) {
    const end = from + 8 + (bytes.length - from < 8 ? Infinity : bytes.readUInt32LE(from + 4))
    if (end > bytes.length) throw corrupt('a cut frame')
    return { end, skip: true, declaredBytes: 0, bytesMost: 0 }
  }
  if (found !== magic) throw corrupt('not a frame')
  const descriptor = bytes[from + 4]!
  const singleSegment = (descriptor & 0x20) !== 0
  const sizeCode = descriptor >> 6
  const sizeBytes = sizeCode === 0 ? (singleSegment ? 1 : 0) : 2 ** sizeCode
  const sizeAt = from + 5 + (singleSegment ? 0 : 1) + dictionaryIdBytes[descriptor & 3]!
  if (sizeAt + sizeBytes > bytes.length) throw corrupt('a cut header')
  const blocks = walkBlocks(bytes, sizeAt + sizeBytes)
  const end = blocks.end + ((descriptor & 0x04) === 0 ? 0 : 4)
  if (end > bytes.length) throw corrupt('a cut frame')
  return {
    end,
    skip: false,
    declaredBytes: contentSize(bytes, sizeAt, sizeBytes),
    bytesMost: blocks.bytesMost,
  }
}

function contentSize(bytes: Buffer, at: number, sizeBytes: number): number {
  if (sizeBytes === 0) return 0
  if (sizeBytes === 8) return Number(bytes.readBigUInt64LE(at))
  return bytes.readUIntLE(at, sizeBytes) + (sizeBytes === 2 ? 256 : 0)
}

function walkBlocks(bytes: Buffer, at: number): { end: number; bytesMost: number } {
  let bytesMost = 0
  for (;;) {
    if (bytes.length - at < 3) throw corrupt('a frame without its last block')
    const word = bytes.readUIntLE(at, 3)
    const type = (word >> 1) & 3
    if (type > blockType.compressed) throw corrupt('a block of a reserved type')
    at += 3 + (type === blockType.repeat ? 1 : word >> 3)
    bytesMost += type === blockType.compressed ? blockBytesMax : word >> 3
    if (at > bytes.length) throw corrupt('a cut block')
    if ((word & 1) !== 0) return { end: at, bytesMost }
  }
}
