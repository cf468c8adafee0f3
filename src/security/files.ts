import { Fault } from '../lib/fault.ts'
import type { Disk } from '../lib/world.ts'

const bytesMax = 1024 * 1024
/** Of certificates, keys and key sets. Throws DiskError, Fault wire.too-large. */
export function readText(disk: Disk, path: string): string {
  const file = disk.open(path, 'read')
  try {
    const bytes = file.size()
    if (bytes > bytesMax) throw new Fault('wire.too-large', { what: path, bytes, bytesMax })
    const text = Buffer.alloc(bytes)
    return text.subarray(0, file.read(text, 0)).toString('utf8')
  } finally {
    file.close()
  }
}
