/** Open segment files, bounded: the one used longest ago is closed. One with bytes that no sync has covered stays open. */
import type { Disk, File } from '../lib/world.ts'
import type { Segment } from './segment.ts'

interface Handle {
  readonly file: File
  readonly mode: 'read' | 'write'
}

export class Handles {
  readonly #disk: Disk
  readonly #max: number
  /** In order of use, oldest first. */
  readonly #open = new Map<Segment, Handle>()

  constructor(disk: Disk, max: number) {
    this.#disk = disk
    this.#max = max
  }
  get count(): number {
    return this.#open.size
  }
  open(segment: Segment, path: string, mode: 'read' | 'write'): File {
    let handle = this.#open.get(segment)
    if (handle !== undefined) this.#open.delete(segment)
    if (handle === undefined || (mode === 'write' && handle.mode === 'read')) {
      handle?.file.close()
      if (this.#open.size >= this.#max) this.#closeOldest()
      handle = { file: this.#disk.open(path, mode), mode }
    }
    this.#open.set(segment, handle)
    return handle.file
  }
  close(segment: Segment): void {
    this.#open.get(segment)?.file.close()
    this.#open.delete(segment)
  }
  closeAll(): void {
    for (const segment of [...this.#open.keys()]) this.close(segment)
  }
  #closeOldest(): void {
    for (const segment of this.#open.keys()) {
      if (!segment.isDurable) continue
      this.close(segment)
      // A sealed segment's index is on disk; it comes back with the next read.
      if (segment.index?.isSaved === true) segment.index = null
      return
    }
  }
}
