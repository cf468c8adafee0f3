/** What a stop left behind against what is there now. */
import { Fault } from '../lib/fault.ts'
import type { Disk } from '../lib/world.ts'
import { isOtherFile, otherFile } from './head.ts'
import type { Segments } from './segments.ts'

/** The first segment that is missing or shorter than it was, and where the log ends to be readable; null = all there. */
export function expectedFiles(disk: Disk, segments: Segments): { base: number; offset: number; fault: Fault } | null {
  for (const segment of segments.list) {
    const found = disk.stat(segments.path(segment))
    const { base, head, durable } = segment
    if (found === null) return { base, offset: base, fault: segments.damageAt(segment, 0, 'the file is missing') }
    // The one that grows, before it does; the others when they are read.
    const mayBeOther = head !== undefined && (segment === segments.last || found.size < durable.bytes)
    if (mayBeOther && isOtherFile(disk, segments.path(segment), { base, head, bytes: durable.bytes }))
      return { base, offset: base, fault: segments.damageAt(segment, 0, otherFile) }
    // Bytes that nobody knows of: the segment ends before them, the next one begins there.
    if (found.size > durable.bytes) segment.sealed = true
    if (found.size >= durable.bytes) continue
    const what = `the file ends here, of ${durable.bytes} bytes`
    return { base, offset: endOfReadable(segments, base), fault: segments.damageAt(segment, found.size, what) }
  }
  return null
}

function endOfReadable(segments: Segments, base: number): number {
  const segment = segments.list.find((each) => each.base === base)!
  const walk = segments.walk(segment, { offset: base, position: 0 })
  while (walk.next() !== null);
  return walk.offset
}
