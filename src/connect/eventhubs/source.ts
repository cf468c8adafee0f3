/**
 * A hub into a topic of ours: the sequence number of each partition is committed in the tick that holds its events, so they
 * come exactly once.
 */
import type { EventHubConsumerClient, EventPosition, ReceivedEventData } from '@azure/event-hubs'
import { Fault } from '../../lib/fault.ts'
import type { Header, RecordInput } from '../../log/batch.ts'
import { Channel } from '../channel.ts'
import type { Piece, Source, SourceHost } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { intoTopic } from '../topic-names.ts'
import { type Library, faultOf, openLibrary } from './service.ts'

/** As it is kept for a partition: what comes next is behind it. */
interface Position {
  readonly after: number
}
const batchMax = 500
const waitS = 1
/** How often it looks for new partitions. */
const refreshMs = 10_000

export async function openSource(host: SourceHost, settings: Settings): Promise<Source> {
  return new HubSource(host, settings, await openLibrary(host))
}

class HubSource implements Source {
  readonly #host: SourceHost
  readonly #settings: Settings
  readonly #client: EventHubConsumerClient
  readonly #hub: string
  readonly #into: string
  readonly #keeps: boolean
  readonly #channel = new Channel<Piece>(2)
  /** Of each partition the last that is there, and the last that has come. */
  readonly #behind = new Map<string, number>()

  constructor(host: SourceHost, settings: Settings, library: Library) {
    this.#host = host
    this.#settings = settings
    this.#hub = settings.text('hub')!
    this.#into = intoTopic(settings, this.#hub)
    this.#keeps = settings.text('partitions') === 'keep'
    this.#client = new library.EventHubConsumerClient(
      settings.text('consumer.group')!,
      settings.text('connection.string')!,
      this.#hub,
    )
  }
  async close(): Promise<void> {
    this.#channel.fail(new Fault('log.closed', { what: 'the connector' }))
    await this.#client.close().catch(() => {})
  }
  lag(): number {
    let sum = 0
    for (const behind of this.#behind.values()) sum += behind
    return sum
  }

  async *pieces(signal: AbortSignal): AsyncIterable<Piece> {
    signal.addEventListener('abort', () => this.#channel.fail(signal.reason), { once: true })
    const positions = await this.#positions()
    const ids = Object.keys(positions)
    await this.#host.ensureTopic(this.#into, ids.length, this.#keeps)
    const begun = ids.flatMap((id) => {
      const { sequenceNumber } = positions[id]!
      return this.#host.positions.has(id) || sequenceNumber === undefined
        ? []
        : [[id, { after: sequenceNumber } satisfies Position] as const]
    })
    if (begun.length > 0) yield { records: [], positions: begun }
    for (const id of ids) this.#subscribe(id, positions[id]!)
    void this.#followPartitions(new Set(ids), signal)
    for (;;) yield await this.#channel.next()
  }
  /** Where each partition begins. What "latest" is, is decided once. */
  async #positions(): Promise<Record<string, EventPosition>> {
    const found: Record<string, EventPosition> = {}
    try {
      for (const id of await this.#client.getPartitionIds()) {
        const kept = this.#host.positions.get(id) as Position | undefined
        if (kept !== undefined) found[id] = { sequenceNumber: kept.after, isInclusive: false }
        else if (this.#settings.text('start') === 'latest') {
          const { lastEnqueuedSequenceNumber } = await this.#client.getPartitionProperties(id)
          found[id] = { sequenceNumber: lastEnqueuedSequenceNumber, isInclusive: false }
        } else found[id] = { offset: '-1' }
      }
    } catch (error) {
      throw faultOf(`asking for the partitions of ${this.#hub}`, error)
    }
    return found
  }
  /** A hub may be given more; those are read from their start. */
  async #followPartitions(known: Set<string>, signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await this.#host.world.clock.sleep(refreshMs, signal)
        const ids = await this.#client.getPartitionIds()
        const fresh = ids.filter((id) => !known.has(id))
        if (fresh.length > 0) await this.#host.ensureTopic(this.#into, ids.length, this.#keeps)
        for (const id of fresh) this.#subscribe(id, { offset: '-1' })
        for (const id of fresh) known.add(id)
      }
    } catch (error) {
      if (!signal.aborted) this.#channel.fail(faultOf(`asking for the partitions of ${this.#hub}`, error))
    }
  }
  #subscribe(id: string, startPosition: EventPosition): void {
    this.#client.subscribe(
      id,
      {
        // The next ones are not asked for before this has resolved.
        processEvents: async (events, { lastEnqueuedEventProperties: last }) => {
          const newest = events.at(-1)
          if (newest === undefined) return void this.#behind.set(id, 0)
          const partition = this.#keeps ? Number(id) : null
          const records = events.map((event) => ({ topic: this.#into, partition, record: recordOf(event) }))
          const { sequenceNumber } = newest
          this.#behind.set(id, Math.max(0, (last?.sequenceNumber ?? sequenceNumber) - sequenceNumber))
          const position: Position = { after: sequenceNumber }
          await this.#channel.put({ records, positions: [[id, position]] }).catch(() => {})
        },
        processError: (error) => {
          this.#channel.fail(faultOf(`receiving from partition ${id} of ${this.#hub}`, error))
          return Promise.resolve()
        },
      },
      {
        startPosition,
        maxBatchSize: batchMax,
        maxWaitTimeInSeconds: waitS,
        skipParsingBodyAsJson: true,
        trackLastEnqueuedEventProperties: true,
      },
    )
  }
}

function recordOf(event: ReceivedEventData): RecordInput {
  const { partitionKey, body, enqueuedTimeUtc, properties = {}, contentType, correlationId, messageId } = event
  const headers: Header[] = []
  const more = { 'content-type': contentType, 'correlation-id': correlationId, 'message-id': messageId, ...properties }
  for (const [name, value] of Object.entries(more)) if (value !== undefined) headers.push([name, bytesOf(value)])
  return {
    key: partitionKey === null || partitionKey === undefined ? null : Buffer.from(partitionKey),
    value: bytesOf(body),
    headers,
    timeMs: enqueuedTimeUtc.getTime(),
  }
}
/** Bytes and texts are themselves; whatever else AMQP has is JSON. */
function bytesOf(value: unknown): Uint8Array | null {
  if (value === null || value === undefined) return null
  if (value instanceof Uint8Array) return value
  if (Array.isArray(value) && value.every((one) => one instanceof Uint8Array)) return Buffer.concat(value)
  return Buffer.from(
    typeof value === 'string' ? value : value instanceof Date ? value.toISOString() : JSON.stringify(value),
  )
}
