/**
 * The codecs of record batches, by Kafka's numbers. Both snappy framings (raw, and xerial's with its 16-byte header) are
 * read, the LZ4 frame format, and gzip and zstd of one or several members or frames.
 *
 * Invariant: nothing is decompressed past `bytesMax`. Where a format declares a length, or its block headers bound one,
 * that is checked before anything is allocated; gzip declares nothing that can be trusted and is stopped while it runs.
 */
import { constants, gunzipSync, gzipSync } from 'node:zlib'
import { Fault } from '../lib/fault.ts'
import { readLz4, writeLz4 } from './compression-lz4.ts'
import { readSnappy, writeSnappy } from './compression-snappy.ts'
import { readZstd, writeZstd } from './compression-zstd.ts'

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
const names: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

export function codecName(number: number): Compression {
  const name = names[number]
  if (name === undefined) throw new Fault('log.unsupported-compression', { codec: String(number) })
  return name
}
export const codecNumber = (name: Compression): number => names.indexOf(name)

interface Codec {
  write(bytes: Uint8Array): Uint8Array
  read(bytes: Buffer, bytesMax: number): Uint8Array
}
const codecs: Readonly<Record<Compression, Codec>> = {
  none: { write: (bytes) => bytes, read: (bytes) => bytes },
  gzip: {
    // Kafka's own default level is zlib's; more costs much and gains little.
    write: (bytes) => gzipSync(bytes, { level: constants.Z_DEFAULT_COMPRESSION }),
    read: (bytes, bytesMax) => gunzipSync(bytes, { maxOutputLength: bytesMax, chunkSize: 64 * 1024 }),
  },
  snappy: { write: writeSnappy, read: readSnappy },
  lz4: { write: writeLz4, read: readLz4 },
  zstd: { write: writeZstd, read: readZstd },
}

export function compress(codec: Compression, bytes: Uint8Array): Uint8Array {
  return codecs[codec].write(bytes)
}

/** Throws Fault wire.too-large beyond `bytesMax`, log.corrupt-batch for bytes that are not of this codec. */
export function decompress(codec: Compression, bytes: Uint8Array, bytesMax: number): Uint8Array {
  const input = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (codec !== 'none' && input.length === 0) return input
  try {
    return codecs[codec].read(input, bytesMax)
  } catch (error) {
    if (error instanceof Fault) throw error
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE')
      throw new Fault('wire.too-large', { what: `a ${codec} batch`, bytes: bytesMax + 1, bytesMax }, error)
    const what = error instanceof Error ? error.message : String(error)
    throw new Fault('log.corrupt-batch', { what: `${codec}: ${what}` }, error)
  }
}
