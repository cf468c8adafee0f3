/**
 * On-demand streams grow by themselves, by the service's rule: they have room for twice the most that was ever put in a minute,
 * a shard for each 1 MiB or 1,000 records a second of it; with fewer, they double. They do not shrink.
 */
import type { Clock } from '../../lib/world.ts'
import { isOpen, scaled } from './shards.ts'
import type { Streams } from './streams.ts'

const windowMs = 60_000
const shardBytes = 1024 * 1024
const shardRecords = 1_000
/** Of the service, without asking for more. */
const shardsMax = 200

interface Window {
  readonly sinceMs: number
  bytes: number
  records: number
}
/** null: there are enough. */
export function wantedShards(
  open: number,
  perSecond: { readonly bytes: number; readonly records: number },
): number | null {
  const used = Math.max(perSecond.bytes / shardBytes, perSecond.records / shardRecords)
  // Double: each shard is split, and none has to be merged.
  const wanted = Math.min(2 * open, shardsMax)
  return 2 * used > open && wanted > open ? wanted : null
}

export class Growth {
  readonly #streams: Streams
  readonly #clock: Clock
  readonly #onFault: (fault: unknown) => void
  readonly #windows = new Map<string, Window>()

  constructor(streams: Streams, clock: Clock, onFault: (fault: unknown) => void) {
    this.#streams = streams
    this.#clock = clock
    this.#onFault = onFault
  }
  /** So much was put. Growing waits for nobody, and nobody waits for it. */
  put(name: string, bytes: number, records: number): void {
    const stream = this.#streams.find(name)
    if (stream === null || !stream.onDemand) return
    const nowMs = this.#clock.monotonic()
    let window = this.#windows.get(name)
    if (window === undefined) this.#windows.set(name, (window = { sinceMs: nowMs, bytes: 0, records: 0 }))
    window.bytes += bytes
    window.records += records
    const seconds = (nowMs - window.sinceMs) / 1_000
    if (seconds * 1_000 < windowMs) return
    this.#windows.delete(name)
    const perSecond = { bytes: window.bytes / seconds, records: window.records / seconds }
    if (wantedShards(stream.shards.filter(isOpen).length, perSecond) === null) return
    this.#streams
      .reshard(name, (now, at) => {
        const wanted = now.onDemand ? wantedShards(now.shards.filter(isOpen).length, perSecond) : null
        return wanted === null ? now.shards : scaled(now.shards, wanted, at)
      })
      .catch(this.#onFault)
  }
}
