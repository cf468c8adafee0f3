/**
 * Producer ids, never given twice: blocks are reserved in the catalogue before any id of them is given out, so a crash
 * wastes some and repeats none.
 */
import type { Clock } from '../../../lib/world.ts'
import type { PartitionState } from '../partition.ts'
import { appendDurably } from '../system-log.ts'

const key = 'log/producer-ids'
const blockSize = 1000

export class ProducerIds {
  readonly #clock: Clock
  readonly #catalog: PartitionState
  #next = 0
  /** First id not reserved yet. */
  #reserved = 0
  #reserving: Promise<void> | null = null

  constructor(clock: Clock, catalog: PartitionState) {
    this.#clock = clock
    this.#catalog = catalog
  }

  /** Takes in one entry of the catalogue while it is read back. */
  restore(name: string, value: Uint8Array | null): void {
    if (name !== key || value === null) return
    const { next } = JSON.parse(Buffer.from(value).toString()) as { next: number }
    this.#next = this.#reserved = next
  }

  async take(): Promise<number> {
    while (this.#next >= this.#reserved) {
      this.#reserving ??= this.#reserve().finally(() => (this.#reserving = null))
      await this.#reserving
    }
    return this.#next++
  }
  async #reserve(): Promise<void> {
    const next = this.#reserved + blockSize
    const value = Buffer.from(JSON.stringify({ next }))
    await appendDurably(this.#catalog, [{ key: Buffer.from(key), value, timeMs: this.#clock.now() }])
    this.#reserved = next
  }
}
