/**
 * Bad records into `<topic>.quarantine`, each once, whichever views read it: what lies there already is known by its
 * origin. Shared by all views of a process; filled from the quarantine topic itself when first asked.
 */
import { offset } from '../../lib/brand.ts'
import type { Fault } from '../../lib/fault.ts'
import { type RecordInput, decodeBatch } from '../../log/batch.ts'
import type { Log, TopicInfo } from '../../log/log.ts'
import { type OriginRange, decodeOrigin, encodeOrigin, originHeader } from '../../log/origin.ts'
import { ensureQuarantine, quarantineName, quarantined } from '../../schema/quarantine.ts'
import { topicInfo } from './names.ts'
import type { OutputRecord } from './records.ts'

export interface BadRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly record: RecordInput
  readonly fault: Fault
}
interface Known {
  readonly info: TopicInfo
  /** Partition and offset of the events it holds, and of those that somebody is about to put there. */
  readonly places: Map<string, object | 'kept'>
}
const placeOf = (partition: number, at: number): string => `${partition}/${at}`

export class Quarantine {
  private readonly log: Log
  private readonly topics = new Map<string, Promise<Known>>()

  constructor(log: Log) {
    this.log = log
  }
  /** Before `records`: makes the topics and reads what they hold. */
  async prepare(bad: readonly BadRecord[]): Promise<void> {
    for (const topic of new Set(bad.map((b) => b.topic))) {
      let loading = this.topics.get(topic)
      if (loading === undefined) {
        loading = this.load(topic)
        this.topics.set(topic, loading)
        loading.catch(() => this.topics.delete(topic))
      }
      await loading
    }
  }
  /**
   * Records for what is not there yet and nobody else is about to put there; `owner` is, until `committed` or `failed`.
   * Asked again by the same owner it gives the same.
   */
  async records(bad: readonly BadRecord[], owner: object): Promise<OutputRecord[]> {
    const records: OutputRecord[] = []
    for (const { topic, partition, offset: at, record, fault } of bad) {
      const { info, places } = (await this.topics.get(topic))!
      const place = placeOf(partition, at)
      if ((places.get(place) ?? owner) !== owner) continue
      places.set(place, owner)
      const origin = encodeOrigin({ ranges: [{ topicId: info.id, partition, first: at, last: at }], state: false })
      records.push({ topic: quarantineName(topic), partition, record: quarantined(record, fault, origin) })
    }
    return records
  }
  async committed(bad: readonly BadRecord[], owner: object): Promise<void> {
    for (const { places, place } of await this.ownedBy(bad, owner)) places.set(place, 'kept')
  }
  async failed(bad: readonly BadRecord[], owner: object): Promise<void> {
    for (const { places, place } of await this.ownedBy(bad, owner)) places.delete(place)
  }
  private async ownedBy(
    bad: readonly BadRecord[],
    owner: object,
  ): Promise<{ places: Map<string, object | 'kept'>; place: string }[]> {
    const all = await Promise.all(
      bad.map(async (b) => ({
        places: (await this.topics.get(b.topic))!.places,
        place: placeOf(b.partition, b.offset),
      })),
    )
    return all.filter(({ places, place }) => places.get(place) === owner)
  }
  private async load(topic: string): Promise<Known> {
    const info = await topicInfo(this.log, topic)
    const { name, partitions } = await ensureQuarantine(this.log, info)
    const places = new Map<string, object | 'kept'>()
    const reader = this.log.reader()
    const bounds = await this.log.bounds(Array.from({ length: partitions }, (_, index) => ({ topic: name, index })))
    for (const { partition, start, stable } of bounds)
      for (let at: number = start; at < stable;) {
        const [chunk] = await reader.read([{ partition, offset: offset(at) }], { ms: 1_000 })
        if (chunk === undefined) break
        if ('fault' in chunk) throw chunk.fault
        for (const batch of chunk.batches)
          for (const { headers } of decodeBatch(batch))
            note(places, info, headers.findLast(([h]) => h === originHeader)?.[1])
        at = chunk.next
      }
    return { info, places }
  }
}
/**
 * Origins of another topic of that name, dropped since, are not this one's. Anybody may write to a quarantine: what is no
 * origin as we write them, of one event, says nothing.
 */
function note(places: Map<string, object | 'kept'>, info: TopicInfo, origin: Uint8Array | null | undefined): void {
  if (origin === undefined || origin === null) return
  let ranges: readonly OriginRange[]
  try {
    ranges = decodeOrigin(origin).ranges
  } catch {
    return
  }
  for (const { topicId, partition, first, last } of ranges)
    if (topicId === info.id && first === last) places.set(placeOf(partition, first), 'kept')
}
