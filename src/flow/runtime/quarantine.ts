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

export interface BadPlace {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}
export interface BadRecord extends BadPlace {
  readonly record: RecordInput
  readonly fault: Fault
  /** It is no row of its topic, whoever reads it. */
  readonly isInvalid: boolean
}
/** Somebody else moves this invalid event of the topic to its quarantine. */
export type SortedOut = (topic: string, event: { key: Uint8Array | null; value: Uint8Array | null }) => boolean
/** What a view's tick asks for; `owner` names the view. */
export interface QuarantineUse {
  /** Records that are not there yet and that nobody else is about to put there. Asked again by the same owner it gives the same. */
  records(bad: readonly BadRecord[], owner: string): Promise<readonly OutputRecord[]>
  /** What became of them. */
  settled(places: readonly BadPlace[], owner: string, outcome: 'committed' | 'failed'): Promise<void>
}
interface Known {
  readonly info: TopicInfo
  /** Of the quarantine. */
  readonly id: string
  /** Partition and offset of the events it holds (`kept`), and of those that an owner is about to put there. */
  readonly places: Map<string, string>
}
/** No view has this name. */
const kept = ''
const placeOf = (partition: number, at: number): string => `${partition}/${at}`

export class Quarantine implements QuarantineUse {
  private readonly log: Log
  private readonly sortedOut: SortedOut
  private readonly topics = new Map<string, Promise<Known>>()

  constructor(log: Log, sortedOut: SortedOut = () => false) {
    this.log = log
    this.sortedOut = sortedOut
  }
  /** Makes the topics and reads what they hold, where that is not known. */
  private async known(topic: string): Promise<Known> {
    let loading = this.topics.get(topic)
    if (loading === undefined) {
      loading = this.load(topic)
      this.topics.set(topic, loading)
      loading.catch(() => this.topics.delete(topic))
    }
    return loading
  }
  async records(bad: readonly BadRecord[], owner: string): Promise<OutputRecord[]> {
    const own = bad.filter(({ isInvalid, topic, record }) => !isInvalid || !this.sortedOut(topic, record))
    for (const topic of new Set(own.map((b) => b.topic))) await this.current(topic)
    const records: OutputRecord[] = []
    for (const { topic, partition, offset: at, record, fault } of own) {
      const { info, places } = await this.known(topic)
      const place = placeOf(partition, at)
      if ((places.get(place) ?? owner) !== owner) continue
      places.set(place, owner)
      const origin = encodeOrigin({ ranges: [{ topicId: info.id, partition, first: at, last: at }], state: false })
      records.push({ topic: quarantineName(topic), partition, record: quarantined(record, fault, origin) })
    }
    return records
  }
  /** Somebody may have deleted it: it is made again. */
  private async current(topic: string): Promise<void> {
    const { id } = await this.known(topic)
    if ((await this.log.topics.get(quarantineName(topic)))?.id === id) return
    this.topics.delete(topic)
    await this.known(topic)
  }
  async settled(bad: readonly BadPlace[], owner: string, outcome: 'committed' | 'failed'): Promise<void> {
    for (const { topic, partition, offset: at } of bad) {
      const places = (await this.topics.get(topic))?.places
      const place = placeOf(partition, at)
      if (places === undefined || places.get(place) !== owner) continue
      if (outcome === 'committed') places.set(place, kept)
      else places.delete(place)
    }
  }
  private async load(topic: string): Promise<Known> {
    const info = await topicInfo(this.log, topic)
    const { name, partitions, id } = await ensureQuarantine(this.log, info)
    const places = new Map<string, string>()
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
    return { info, id, places }
  }
}
/**
 * Origins of another topic of that name, dropped since, are not this one's. Anybody may write to a quarantine: what is no
 * origin as we write them, of one event, says nothing.
 */
function note(places: Map<string, string>, info: TopicInfo, origin: Uint8Array | null | undefined): void {
  if (origin === undefined || origin === null) return
  let ranges: readonly OriginRange[]
  try {
    ranges = decodeOrigin(origin).ranges
  } catch {
    return
  }
  for (const { topicId, partition, first, last } of ranges)
    if (topicId === info.id && first === last) places.set(placeOf(partition, first), kept)
}
