/**
 * How far groups are behind: records between position and stable end, and seconds by record time (the newest record's
 * time less that of the first one not yet read), which means the same on live data and on a replay of old data.
 */
import { offset as asOffset } from '../../lib/brand.ts'
import type { At, GroupInfo, Log, Partition } from '../../log/log.ts'
import type { GroupSummary } from './api.ts'
import { chunkRecords } from './record-source.ts'

/** Times of records do not change: what was read once is kept. */
const timesKept = 10_000

export class Lag {
  readonly #log: Log
  readonly #times = new Map<string, number>()

  constructor(log: Log) {
    this.#log = log
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
    const lag = Math.max(0, stable - from)
    const lagSeconds = lag === 0 ? 0 : await this.#seconds(partition, from, stable)
    return { topic: partition.topic, partition: partition.index, offset, end: stable, lag, lagSeconds }
  }
  async #seconds(partition: Partition, from: number, stable: number): Promise<number | null> {
    const first = await this.#time(partition, from, 'first')
    const last = await this.#time(partition, stable - 1, 'last')
    return first === null || last === null ? null : Math.max(0, last - first) / 1000
  }
  /** Of the first record from `offset` on; where only markers follow, of the last one in the batch before. */
  async #time(partition: Partition, offset: number, which: 'first' | 'last'): Promise<number | null> {
    const id = `${partition.index}/${offset}/${which}/${partition.topic}`
    const known = this.#times.get(id)
    if (known !== undefined) return known
    const found = await this.#read(partition, offset, which)
    if (found !== null) {
      if (this.#times.size >= timesKept) this.#times.delete(this.#times.keys().next().value!)
      this.#times.set(id, found)
    }
    return found
  }
  async #read(partition: Partition, offset: number, which: 'first' | 'last'): Promise<number | null> {
    const reader = this.#log.reader({ maxBytes: 1 })
    // The last offset may be a marker's: a few steps back lies a record.
    for (let back = 0; back < 4; back++) {
      const at = Math.max(0, offset - back)
      const [chunk] = await reader.read([{ partition, offset: asOffset(at) }]).catch(() => [])
      const records = chunk === undefined || 'fault' in chunk ? [] : chunkRecords(chunk.batches, at)
      const record = which === 'first' ? records[0] : records.at(-1)
      if (record !== undefined) return record.timeMs
      if (which === 'first') return null
    }
    return null
  }
}
