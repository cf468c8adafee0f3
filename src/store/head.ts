/**
 * Segments are Kafka's bytes and do not say whose they are: two with the same base offset could change places between
 * partitions. So a checkpoint notes of each the checksum of its first batch, its head. A file that begins with a whole batch
 * that has another one is another segment; if that batch is not whole, it is damage like any other.
 */
import type { Disk, File } from '../lib/world.ts'
import { batchHeaderBytes } from './batch-header.ts'
import { BatchWalk } from './batch-walk.ts'

export const otherFile = 'the file is of another partition, or of another time: it does not begin as it did'

/** Of the batch that a segment begins with. */
export const headOf = (batch: Buffer): number => batch.readUInt32BE(17)

/** Of the whole batch that the file begins with; null = there is none. */
export function headIn(file: File, base: number): number | null {
  const batch = new BatchWalk(file, { position: 0, offset: base, limit: file.size(), epochAt: () => null }).next()
  return batch === null ? null : headOf(batch)
}
/** Cheap as long as nothing is wrong. */
export function isOther(file: File, { base, head, bytes }: { base: number; head?: number; bytes: number }): boolean {
  if (head === undefined || bytes === 0) return false
  const header = Buffer.allocUnsafe(batchHeaderBytes)
  if (file.read(header, 0) === batchHeaderBytes && headOf(header) === head) return false
  return (headIn(file, base) ?? head) !== head
}
export function isOtherFile(disk: Disk, path: string, of: { base: number; head?: number; bytes: number }): boolean {
  const file = disk.open(path, 'read')
  try {
    return isOther(file, of)
  } finally {
    file.close()
  }
}
