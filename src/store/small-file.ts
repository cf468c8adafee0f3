/**
 * Small files that are replaced as a whole: `name.new` is written and synced, then renamed over `name`, then the
 * directory is synced; so a reader finds the old bytes or the new ones. A header carries what the file is tied to and a
 * checksum over everything, and over the partition that it is of: one that got into another folder is a wrong one.
 *
 *   magic 4 · CRC-32C of the rest and the owner 4 · number 8 · bytes
 */
import { crc32c } from '@node-rs/crc32'
import { ByteReader, ByteWriter } from '../lib/bytes.ts'
import type { Disk } from '../lib/world.ts'
import { type Directories, parentOf } from './directories.ts'

const magic = 0x4d525332
/** Without an owner in the checksum: files of the first format. */
const ownerlessMagic = 0x4d525331
const headerBytes = 16

export interface SmallFile {
  readonly number: number
  readonly bytes: Uint8Array
}

export async function replaceFile(
  disk: Disk,
  directories: Directories,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  const fresh = `${path}.new`
  disk.remove(fresh)
  const file = disk.open(fresh, 'write')
  try {
    file.write([bytes], 0)
    await file.datasync()
  } finally {
    file.close()
  }
  disk.rename(fresh, path)
  directories.changed(parentOf(path))
  await directories.sync(parentOf(path))
}

export function packSmallFile(content: SmallFile, owner: string): Uint8Array {
  const out = new ByteWriter(headerBytes + content.bytes.length)
  out.uint32(magic)
  out.uint32(0)
  out.int64(content.number)
  out.raw(content.bytes)
  const packed = out.done()
  packed.writeUInt32BE(checksum(packed, owner), 4)
  return packed
}

/** What `packSmallFile` packed for this owner; null when a byte of it is not as written. */
export function unpackSmallFile(packed: Uint8Array, owner: string): SmallFile | null {
  if (packed.length < headerBytes) return null
  const input = new ByteReader(packed)
  const found = input.uint32()
  if (found !== magic && found !== ownerlessMagic) return null
  if (input.uint32() !== checksum(packed, found === magic ? owner : '')) return null
  return { number: input.int64(), bytes: packed.subarray(headerBytes) }
}

const checksum = (packed: Uint8Array, owner: string): number => crc32c(owner, crc32c(packed.subarray(8)))
/** The folder of a partition as its topic and number, wherever the data folder lies. */
export const ownerOf = (folder: string): string => folder.split('/').slice(-2).join('/')

/** All bytes of a file; null when there is none. */
export function readWhole(disk: Disk, path: string): Buffer | null {
  if (disk.stat(path) === null) return null
  const file = disk.open(path, 'read')
  try {
    const bytes = Buffer.alloc(file.size())
    return bytes.subarray(0, file.read(bytes, 0))
  } finally {
    file.close()
  }
}
/** The same without blocking the thread. */
export async function readWholeLater(disk: Disk, path: string): Promise<Buffer | null> {
  if (disk.stat(path) === null) return null
  const file = disk.open(path, 'read')
  try {
    const bytes = Buffer.alloc(file.size())
    return bytes.subarray(0, await file.readLater(bytes, 0))
  } finally {
    file.close()
  }
}
