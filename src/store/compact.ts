/**
 * Compaction as far as files go: one segment takes the place of several neighbours and covers the same offsets.
 *
 * The new file has a name of its own (`<base>.c<generation>.log`). It is written under yet another name, synced, renamed,
 * and only then put into the list of segments; the next checkpoint says so, and only after that are the old files
 * deleted. Whatever a crash leaves, the last checkpoint names the files that are the log; recovery deletes the others.
 */
import { assert } from '../lib/assert.ts'
import { placeBatch } from './batch-header.ts'
import { batchMaxTime } from './batch-walk.ts'
import type { Core } from './core.ts'
import { headOf } from './head.ts'
import { Segment } from './segment.ts'
import { newSalt, type Segments } from './segments.ts'
import { SparseIndex } from './sparse-index.ts'

const writtenTogether = 1024 * 1024

/** The segment that is to replace `old`, its file durable. Throws what the disk throws. */
export async function writeCompacted(
  core: Core,
  segments: Segments,
  old: readonly Segment[],
  batches: AsyncIterable<Uint8Array>,
): Promise<Segment> {
  const base = old[0]!.base
  const made = {
    base,
    generation: 1 + Math.max(...old.map(({ generation }) => generation)),
    createdMs: Math.max(...old.map(({ createdMs }) => createdMs)),
    salts: [newSalt(core.world.random, 0)],
  }
  const segment = new Segment(made, null)
  segment.index = new SparseIndex(base, made.salts)
  const { disk } = core.world
  const path = segments.path(segment)
  const fresh = path.replace(/log$/, 'new')
  disk.remove(fresh)
  const file = disk.open(fresh, 'write')
  try {
    const writer = new Writer(core, segments, segment)
    for await (const batch of batches) {
      writer.add(batch)
      if (writer.pendingBytes >= writtenTogether) writer.flush(file)
    }
    writer.flush(file)
    assert(segment.tail.end === old.at(-1)!.durable.end, 'a compacted segment covers what it replaces')
    await file.datasync()
  } catch (error) {
    disk.remove(fresh)
    throw error
  } finally {
    file.close()
  }
  disk.rename(fresh, path)
  core.directories.changed(segments.folder)
  await core.directories.sync(segments.folder)
  segment.written = segment.durable = segment.tail
  segment.exists = segment.sealed = true
  return segment
}

/** Gives batches their offsets and gathers them for the disk. */
class Writer {
  pendingBytes = 0
  readonly #core: Core
  readonly #segments: Segments
  readonly #segment: Segment
  #pending: Uint8Array[] = []
  #written = 0

  constructor(core: Core, segments: Segments, segment: Segment) {
    this.#core = core
    this.#segments = segments
    this.#segment = segment
  }
  add(batch: Uint8Array): void {
    this.#core.guard.take(batch.length)
    const bytes = Buffer.isBuffer(batch) ? batch : Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength)
    const { tail } = this.#segment
    const index = this.#segment.index!
    placeBatch(bytes, tail.end, this.#segments.epochAt(tail.end) ?? this.#core.epoch)
    if (tail.bytes - index.lastPosition >= this.#segments.intervalBytes) index.add(tail.end, tail.bytes, tail.maxTimeMs)
    const timeMs = batchMaxTime(bytes)
    const isLarger = timeMs > tail.maxTimeMs || tail.bytes === 0
    if (tail.bytes === 0) this.#segment.head = headOf(bytes)
    this.#segment.tail = {
      bytes: tail.bytes + bytes.length,
      end: tail.end + bytes.readInt32BE(23) + 1,
      maxTimeMs: isLarger ? timeMs : tail.maxTimeMs,
      maxTimeOffset: isLarger ? tail.end : tail.maxTimeOffset,
    }
    this.#pending.push(bytes)
    this.pendingBytes += bytes.length
  }
  flush(file: { write(buffers: readonly Uint8Array[], position: number): void }): void {
    if (this.#pending.length === 0) return
    file.write(this.#pending, this.#written)
    this.#written += this.pendingBytes
    this.#pending = []
    this.pendingBytes = 0
  }
}
