/**
 * Zeros written ahead of a segment's end while it takes many small writes. A sync that makes its file no longer leaves
 * the file system's own journal alone, and takes less time (bench/README.md has what a client sees of it).
 */
import type { File } from '../lib/world.ts'

const small = { bytes: 16 * 1024, writes: 32, windowMs: 1_000 }

export class Room {
  /** The file is known to reach this far. */
  end = 0
  #writes = 0
  #windowMs = Number.NEGATIVE_INFINITY
  #isBusy = false

  /** Tells of a write from `from` up to `to`: is it time for zeros behind it? */
  wants({ from, to }: { from: number; to: number }, nowMs: number): boolean {
    if (nowMs - this.#windowMs >= small.windowMs) {
      this.#isBusy = this.#writes >= small.writes && nowMs - this.#windowMs < 2 * small.windowMs
      this.#windowMs = nowMs
      this.#writes = 0
    }
    if (to - from > small.bytes) return false
    this.#writes++
    return to >= this.end && (this.#isBusy || this.#writes >= small.writes)
  }
}

let zeros = Buffer.alloc(0)
/** The same ones each time. */
export function zerosOf(bytes: number): Uint8Array {
  if (zeros.length < bytes) zeros = Buffer.alloc(bytes)
  return zeros.subarray(0, bytes)
}

/** Are there only zeros from `position` on, and no more than are written ahead? */
export function isRoom(file: File, position: number, bytesMax: number): boolean {
  const bytes = file.size() - position
  if (bytes > bytesMax) return false
  const rest = Buffer.allocUnsafeSlow(bytes)
  return file.read(rest, position) === bytes && rest.equals(Buffer.alloc(bytes))
}
