/**
 * The codecs of record batches, by Kafka's numbers. Both snappy framings (raw, and xerial's with its 16-byte header) are
 * read, the LZ4 frame format, and gzip and zstd of one or several members or frames.
 *
 * Invariant: nothing is decompressed past `bytesMax`. Where a format declares a length, or its block headers bound one,
 * that is checked before anything is allocated; gzip declares nothing that can be trusted and is stopped while it runs.
 *
 * Hot path: a batch that is only looked at (`withDecompressed`) lies in one buffer that is freed behind the look. Left to
 * the collector, these buffers made it run so often that it took several times what decompressing takes.
 */
import { constants, gunzipSync, gzipSync } from 'node:zlib'
import { Fault } from '../lib/fault.ts'
import { free, freeableBytesMin } from '../lib/free.ts'
import { lendLz4, readLz4, writeLz4 } from './compression-lz4.ts'
import { readSnappy, snappyBlocks, writeSnappy } from './compression-snappy.ts'
import { readZstd, writeZstd, zstdFrames } from './compression-zstd.ts'

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
const names: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

export function codecName(number: number): Compression {
  const name = names[number]
  if (name === undefined) throw new Fault('log.unsupported-compression', { codec: String(number) })
  return name
}
export const codecNumber = (name: Compression): number => names.indexOf(name)

interface Codec {
  /** `level` undefined: the codec's default. lz4 and snappy have one level here. */
  write(bytes: Uint8Array, level?: number): Uint8Array
  read(bytes: Buffer, bytesMax: number): Uint8Array
  /** The same in memory that its next call uses again; null for what only `read` can say. */
  lend?(bytes: Buffer, bytesMax: number): Uint8Array | null
}
const codecs: Readonly<Record<Compression, Codec>> = {
  none: { write: (bytes) => bytes, read: (bytes) => bytes },
  gzip: {
    // Kafka's own default level is zlib's; more costs much and gains little.
    write: (bytes, level = constants.Z_DEFAULT_COMPRESSION) => gzipSync(bytes, { level }),
    read: readGzip,
  },
  snappy: { write: (bytes) => writeSnappy(bytes), read: readSnappy },
  lz4: { write: (bytes) => writeLz4(bytes), read: readLz4, lend: lendLz4 },
  zstd: { write: writeZstd, read: readZstd },
}

export function compress(codec: Compression, bytes: Uint8Array, level?: number): Uint8Array {
  return codecs[codec].write(bytes, level)
}

/**
 * The bytes are the caller's to keep. Throws Fault wire.too-large beyond `bytesMax`, log.corrupt-batch for bytes that are
 * not of this codec.
 */
export function decompress(codec: Compression, bytes: Uint8Array, bytesMax: number): Uint8Array {
  const plain = read(codec, bytes, bytesMax)
  if (plain.buffer === bytes.buffer || plain.buffer.byteLength < slackMax * plain.length) return plain
  const exact = Buffer.from(plain)
  free(plain)
  return exact
}
/** No more of a buffer is left unused, as many times what is used, for as long as that is kept. */
const slackMax = 1.25

/**
 * Of how many pieces the bytes are, each of which is unpacked by a call of its own: many that hold nothing take as long as a
 * few that hold much. Throws Fault log.corrupt-batch.
 */
export function piecesOf(codec: Compression, bytes: Uint8Array): number {
  if (codec === 'zstd') return zstdFrames(bufferOf(bytes))
  return codec === 'snappy' ? snappyBlocks(bufferOf(bytes)) : 1
}

/** The same, for `look` alone: what it was given is gone when it returns. */
export function withDecompressed<Result>(
  codec: Compression,
  bytes: Uint8Array,
  bytesMax: number,
  look: (plain: Uint8Array) => Result,
): Result {
  const lent = isLent || bytes.length === 0 ? null : (codecs[codec].lend?.(bufferOf(bytes), bytesMax) ?? null)
  if (lent !== null) {
    isLent = true
    try {
      return look(lent)
    } finally {
      isLent = false
    }
  }
  const plain = read(codec, bytes, bytesMax)
  try {
    return look(plain)
  } finally {
    if (plain.buffer !== bytes.buffer) free(plain)
  }
}
/** Somebody looks at what a codec lent; who unpacks another batch meanwhile gets memory of its own. */
let isLent = false

function read(codec: Compression, bytes: Uint8Array, bytesMax: number): Uint8Array {
  if (codec !== 'none' && bytes.length === 0) return bytes
  try {
    return codecs[codec].read(bufferOf(bytes), bytesMax)
  } catch (error) {
    if (error instanceof Fault) throw error
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE')
      throw new Fault('wire.too-large', { what: `a ${codec} batch`, bytes: bytesMax + 1, bytesMax }, error)
    const what = error instanceof Error ? error.message : String(error)
    throw new Fault('log.corrupt-batch', { what: `${codec}: ${what}` }, error)
  }
}
const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const gzipTrailerBytes = 8
/** Of deflate: no byte becomes more. */
const gzipExpansionMax = 1032
/** The trailer says how long the last member is. It is a hint alone: one buffer of that size holds all that writers send. */
function readGzip(bytes: Buffer, bytesMax: number): Uint8Array {
  const said = bytes.length < gzipTrailerBytes ? 0 : bytes.readUInt32LE(bytes.length - 4)
  const hint = Math.min(said, bytesMax, bytes.length * gzipExpansionMax)
  // One more: a buffer that was filled makes zlib take another.
  return gunzipSync(bytes, { maxOutputLength: bytesMax, chunkSize: Math.max(hint + 1, freeableBytesMin) })
}
