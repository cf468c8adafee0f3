/**
 * Topics of another cluster into ours. The position of each partition there is remembered in the tick that writes its records
 * here, so that they come exactly once. Offsets there are not ours; keys, values, headers and times stay.
 */
import { type Offset, offset as asOffset } from '../../lib/brand.ts'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { Unread } from '../../log/batch.ts'
import type { ClusterClient, ForeignTopic } from '../../log/cluster/client.ts'
import type { At, Bounds, Chunk, Partition, Reader } from '../../log/log.ts'
import { matching } from '../definition.ts'
import type { Arriving, Piece, Source, SourceHost } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { intoTopic } from '../topic-names.ts'
import { openCluster } from './cluster.ts'

const readBytes = 4 * 1024 * 1024
/** That it has run before. No topic is called so. */
const begunKey = '*'

export async function openSource(host: SourceHost, settings: Settings): Promise<Source> {
  return new KafkaSource(host, settings, await openCluster(host, settings))
}

interface Lane {
  readonly partition: Partition
  readonly topicId: string
  /** The topic here. */
  readonly into: string
  offset: Offset
  stable: number
}
/** As it is kept. */
interface Position {
  readonly offset: number
  /** Of the topic there: another one of its name is read from its start. */
  readonly topic: string
}

class KafkaSource implements Source {
  readonly #host: SourceHost
  readonly #settings: Settings
  readonly #client: ClusterClient
  readonly #reader: Pick<Reader, 'read'>
  readonly #lanes = new Map<string, Lane>()
  /** Of lanes that are no more: a topic that only seemed to be gone goes on where it was. */
  readonly #left = new Map<string, Position>()
  readonly #fromLatest: boolean

  constructor(host: SourceHost, settings: Settings, client: ClusterClient) {
    this.#host = host
    this.#settings = settings
    this.#client = client
    this.#reader = client.reader({ maxBytes: readBytes })
    // Partitions that come later are read whole.
    this.#fromLatest = settings.text('start') === 'latest' && !host.positions.has(begunKey)
  }
  close(): Promise<void> {
    return this.#client.close()
  }
  lag(): number {
    let sum = 0
    for (const { offset, stable } of this.#lanes.values()) sum += Math.max(0, stable - offset)
    return sum
  }

  async *pieces(signal: AbortSignal): AsyncIterable<Piece> {
    const { clock } = this.#host.world
    const refreshMs = this.#settings.duration('refresh')!
    for (let isFirst = true; !signal.aborted; isFirst = false) {
      const begun = await this.#refresh(isFirst)
      if (isFirst && !this.#host.positions.has(begunKey)) yield { records: [], positions: [[begunKey, true], ...begun] }
      const untilMs = clock.monotonic() + refreshMs
      for (let leftMs = refreshMs; leftMs > 0; leftMs = untilMs - clock.monotonic()) {
        if (this.#lanes.size === 0) {
          await clock.sleep(leftMs, signal)
          continue
        }
        const from: At[] = Array.from(this.#lanes.values(), ({ partition, offset }) => ({ partition, offset }))
        yield* this.#piecesOf(await this.#read(from, leftMs, signal))
      }
    }
  }
  async #read(from: readonly At[], ms: number, signal: AbortSignal): Promise<readonly Chunk[]> {
    try {
      return await this.#reader.read(from, { ms }, signal)
    } catch (error) {
      if (!isGone(error)) throw error
      this.#gone(error.facts.topic)
      return []
    }
  }
  /** It was deleted there. One that is made anew under the name is another one, and is read from its start. */
  #gone(topic: string): void {
    for (const [place, { partition }] of this.#lanes) if (partition.topic === topic) this.#leave(place)
  }
  #leave(place: string): void {
    this.#left.set(place, positionOf(this.#lanes.get(place)!))
    this.#lanes.delete(place)
  }
  /** Topics and partitions that are new there; where those begin that are to begin at their end, to be remembered. */
  async #refresh(isFirst: boolean): Promise<(readonly [string, Position])[]> {
    const fresh: Lane[] = []
    const seen = new Set<string>()
    for (const { name, id, partitions } of await this.#wanted()) {
      const into = intoTopic(this.#settings, name)
      const keeps = this.#settings.text('partitions') === 'keep'
      await this.#host.ensureTopic(into, partitions, keeps)
      for (let index = 0; index < partitions; index++) {
        const place = placeOf({ topic: name, index })
        seen.add(place)
        const known = this.#lanes.get(place)
        if (known?.topicId === id) continue
        const kept = this.#left.get(place) ?? (this.#host.positions.get(place) as Position | undefined)
        const offset = asOffset(known === undefined && kept?.topic === id ? kept.offset : 0)
        fresh.push({ partition: { topic: name, index }, topicId: id, into, offset, stable: 0 })
      }
    }
    for (const place of this.#lanes.keys()) if (!seen.has(place)) this.#leave(place)
    const bounds = await this.#boundsOf(fresh)
    // One of them has gone meanwhile: the next look leaves it out.
    if (bounds === null && !isFirst) return []
    if (bounds === null)
      throw new Fault('cluster.unavailable', { what: 'looking at topics', why: 'one was just deleted' })
    const begun: (readonly [string, Position])[] = []
    fresh.forEach((lane, i) => {
      const { start, stable } = bounds[i]!
      const place = placeOf(lane.partition)
      if (isFirst && this.#fromLatest) {
        lane.offset = stable
        begun.push([place, positionOf(lane)])
      } else if (lane.offset < start || lane.offset > stable) {
        if (lane.offset !== 0) this.#warn(lane.partition)
        lane.offset = lane.offset < start ? start : stable
      }
      lane.stable = stable
      this.#lanes.set(place, lane)
    })
    return begun
  }
  async #boundsOf(lanes: readonly Lane[]): Promise<readonly Bounds[] | null> {
    try {
      return await this.#client.bounds(lanes.map(({ partition }) => partition))
    } catch (error) {
      if (isGone(error)) return null
      throw error
    }
  }
  async #wanted(): Promise<readonly ForeignTopic[]> {
    const pattern = this.#settings.text('topics.pattern')
    if (pattern === null) return this.#client.topics(this.#settings.list('topics'))
    const matches = matching('topics.pattern', pattern)
    return (await this.#client.topics(null)).filter(({ name }) => matches(name))
  }
  #warn(partition: Partition): void {
    const { logger, name } = this.#host
    logger.warn('records were removed there before they were read', { connector: name, partition })
  }

  async *#piecesOf(chunks: readonly Chunk[]): AsyncIterable<Piece> {
    let records: Arriving[] = []
    let moved = new Map<string, Position>()
    let bytes = 0
    const keeps = this.#settings.text('partitions') === 'keep'
    for (const chunk of chunks) {
      const lane = this.#lanes.get(placeOf(chunk.partition))
      if (lane === undefined) continue
      const place = placeOf(lane.partition)
      if ('fault' in chunk) {
        if (isGone(chunk.fault)) {
          this.#gone(lane.partition.topic)
          continue
        }
        if (chunk.fault.code !== 'log.offset-out-of-range') throw chunk.fault
        const [bounds] = await this.#client.bounds([lane.partition])
        this.#warn(lane.partition)
        lane.offset = lane.offset < bounds!.start ? bounds!.start : bounds!.stable
        continue
      }
      for (const unread = new Unread(chunk.batches); !unread.isEmpty;) {
        for (const { offset, key, value, headers, timeMs } of unread.next()) {
          if (offset < lane.offset) continue
          const partition = keeps ? lane.partition.index : null
          records.push({ topic: lane.into, partition, record: { key, value, headers, timeMs } })
          lane.offset = asOffset(offset + 1)
        }
        moved.set(place, positionOf(lane))
        bytes += unread.bytes
        if (bytes < limits.decodedBytes) continue
        yield { records, positions: [...moved] }
        records = []
        moved = new Map()
        bytes = 0
      }
      lane.stable = chunk.stable
      if (chunk.next <= lane.offset) continue
      lane.offset = chunk.next
      moved.set(place, positionOf(lane))
    }
    if (moved.size > 0) yield { records, positions: [...moved] }
  }
}

const isGone = (error: unknown): error is Fault<'log.unknown-topic'> =>
  error instanceof Fault && error.code === 'log.unknown-topic'
const placeOf = ({ topic, index }: Partition): string => `${topic}/${index}`
const positionOf = ({ offset, topicId }: Lane): Position => ({ offset, topic: topicId })
