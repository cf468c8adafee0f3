/**
 * How far groups are behind: records between position and stable end, and seconds by record time (the newest record's
 * time less that of the first one not yet read), which means the same on live data and on a replay of old data.
 */
import { offset as asOffset } from '../../lib/brand.ts'
import type { At, GroupInfo, Log, Partition, Reader } from '../../log/log.ts'
import type { GroupSummary } from './api.ts'
import { chunkRecords } from './record-source.ts'

/** Times of records do not change: what was read once is kept. */
const timesKept = 10_000
const readsMax = 4

export class Lag {
  readonly #log: Log
  /** One batch at a time is enough. */
  readonly #reader: Reader
  readonly #times = new Map<string, number>()

  constructor(log: Log) {
    this.#log = log
    this.#reader = log.reader({ maxBytes: 1 })
  }

  async summaries(groups: readonly GroupInfo[]): Promise<GroupSummary[]> {
    return Promise.all(groups.map((group) => this.#summary(group)))
  }
  async #summary({ group, state, members }: GroupInfo): Promise<GroupSummary> {
    const known = await this.#log.groups.positions(group)
    const topics = new Set((await this.#log.topics.list()).map(({ name }) => name))
    const at = known.filter(({ partition }) => topics.has(partition.topic))
    const bounds = at.length === 0 ? [] : await this.#log.bounds(at.map(({ partition }) => partition))
    const positions = await Promise.all(at.map((one, i) => this.#position(one, bounds[i]!)))
    const seconds = positions.flatMap(({ lagSeconds }) => (lagSeconds === null ? [] : [lagSeconds]))
    return {
      group,
      state,
      members: members.map(({ id, client, host, held }) => ({
        id,
        client,
        host,
        held: held.map(({ topic, index }) => ({ topic, partition: index })),
      })),
      lag: positions.reduce((sum, { lag }) => sum + lag, 0),
      lagSeconds: seconds.length === 0 ? null : Math.max(...seconds),
      positions,
    }
  }
  async #position(
    { partition, offset }: At,
    { start, stable }: { start: number; stable: number },
  ): Promise<GroupSummary['positions'][number]> {
    const from = Math.max(offset, start)
    const behind = Math.max(0, stable - from)
    const first = behind === 0 ? 'none' : await this.#firstTime(partition, from, stable)
    // Behind the position may lie markers only: nothing that a reader has yet to see.
    const lag = first === 'none' ? 0 : behind
    const lagSeconds = first === 'none' ? 0 : first === null ? null : await this.#seconds(partition, first, stable)
    return { topic: partition.topic, partition: partition.index, offset, end: stable, lag, lagSeconds }
  }
  async #seconds(partition: Partition, firstMs: number, stable: number): Promise<number | null> {
    const lastMs = await this.#lastTime(partition, stable)
    return lastMs === null ? null : Math.max(0, lastMs - firstMs) / 1000
  }

  /** Time of the first record from `offset` on; 'none': there is none before `stable`; null: unknown. */
  #firstTime(partition: Partition, offset: number, stable: number): Promise<number | 'none' | null> {
    return this.#kept(`first/${partition.index}/${offset}/${partition.topic}`, async () => {
      let at = offset
      for (let reads = 0; reads < readsMax; reads++) {
        const chunk = await this.#read(partition, at)
        if (chunk === null) return null
        const record = chunkRecords(chunk.batches, at)[0]
        if (record !== undefined) return record.timeMs
        if (chunk.next >= stable || chunk.next <= at) return 'none'
        at = chunk.next
      }
      return null
    })
  }
  /** Time of the last record before `stable`, which may lie a few markers back. */
  async #lastTime(partition: Partition, stable: number): Promise<number | null> {
    const found = await this.#kept(`last/${partition.index}/${stable}/${partition.topic}`, async () => {
      for (let back = 1; back <= readsMax && back <= stable; back++) {
        const chunk = await this.#read(partition, stable - back)
        const record = chunk === null ? undefined : chunkRecords(chunk.batches, stable - back).at(-1)
        if (record !== undefined) return record.timeMs
      }
      return null
    })
    return found === 'none' ? null : found
  }
  async #kept(id: string, find: () => Promise<number | 'none' | null>): Promise<number | 'none' | null> {
    const known = this.#times.get(id)
    if (known !== undefined) return known
    const found = await find()
    if (typeof found !== 'number') return found
    if (this.#times.size >= timesKept) this.#times.delete(this.#times.keys().next().value!)
    this.#times.set(id, found)
    return found
  }
  async #read(partition: Partition, offset: number): Promise<{ batches: readonly Uint8Array[]; next: number } | null> {
    try {
      const [chunk] = await this.#reader.read([{ partition, offset: asOffset(offset) }])
      return chunk === undefined || 'fault' in chunk ? null : chunk
    } catch {
      return null
    }
  }
}
