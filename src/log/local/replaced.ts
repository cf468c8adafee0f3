/**
 * What is known of how much compaction would take out of a partition: writers may say how many of a batch's bytes are records
 * that take the place of older ones (`BatchWriter`). Of what nobody said anything of, and of all that was appended before the
 * process began, it may be everything.
 */
export class Replaced {
  /** Of batches of which it is known, since they were compacted. */
  #bytes = 0
  #replaced = 0

  /** `replaced` null: nobody knows. */
  note(bytes: number, replaced: number | null): void {
    if (replaced === null) return
    this.#bytes += bytes
    this.#replaced += Math.min(replaced, bytes)
  }
  /** Of so many bytes that have not been compacted, how many may go. */
  of(dirtyBytes: number): number {
    const known = Math.min(this.#bytes, dirtyBytes)
    return dirtyBytes - known + (known === 0 ? 0 : (this.#replaced / this.#bytes) * known)
  }
  /** So many bytes have been compacted. */
  compacted(dirtyBytes: number): void {
    const left = Math.max(0, this.#bytes - dirtyBytes)
    this.#replaced = left === 0 ? 0 : (this.#replaced / this.#bytes) * left
    this.#bytes = left
  }
}
