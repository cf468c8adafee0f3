/**
 * Which leader epoch each offset was written under. The epoch in a batch's header lies outside its checksum, so this
 * list is also what tells a flipped bit in it.
 */
export interface EpochStart {
  readonly epoch: number
  /** First offset written under it. */
  readonly from: number
}

export class Epochs {
  #starts: EpochStart[]

  constructor(starts: readonly EpochStart[]) {
    this.#starts = [...starts]
  }
  get starts(): readonly EpochStart[] {
    return this.#starts
  }
  get last(): number {
    return this.#starts.at(-1)?.epoch ?? -1
  }
  /** The epoch of the batch at `offset`; −1 = none known. */
  at(offset: number): number {
    for (let i = this.#starts.length - 1; i >= 0; i--)
      if (this.#starts[i]!.from <= offset) return this.#starts[i]!.epoch
    return -1
  }
  /** From `from` on batches are written under `epoch`. */
  begin(epoch: number, from: number): void {
    if (epoch === this.last) return
    this.#starts = this.#starts.filter((start) => start.from < from)
    this.#starts.push({ epoch, from })
  }
  /** The log was cut: nothing at or after `end` was written. */
  cut(end: number): void {
    if ((this.#starts.at(-1)?.from ?? 0) >= end) this.#starts = this.#starts.filter((start) => start.from < end)
  }
}
