/** Records of ours into a hub: the position is committed when the service has them. At least once, in the order of the key. */
import type { EventData, EventHubProducerClient } from '@azure/event-hubs'
import { Fault } from '../../lib/fault.ts'
import type { Read } from '../../log/group-task.ts'
import type { Refused, Sink, SinkHost } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { textHeader, textKey } from '../text-headers.ts'
import { type Library, faultOf, openLibrary } from './service.ts'

/** Batches under way at once: each is of one key, or of one partition. */
const batchesMax = 16
const keyLengthMax = 128

export async function openSink(host: SinkHost, settings: Settings): Promise<Sink> {
  return new HubSink(settings, await openLibrary(host))
}

interface Hub {
  readonly name: string
  readonly client: EventHubProducerClient
  readonly partitions: readonly string[]
}
type To = { readonly partitionKey: string } | { readonly partitionId: string } | Record<string, never>

class HubSink implements Sink {
  readonly #settings: Settings
  readonly #library: Library
  readonly #keeps: boolean
  readonly #hubs = new Map<string, Promise<Hub>>()

  constructor(settings: Settings, library: Library) {
    this.#settings = settings
    this.#library = library
    this.#keeps = settings.text('partitions') === 'keep'
  }
  async close(): Promise<void> {
    for (const hub of this.#hubs.values()) await hub.then(({ client }) => client.close()).catch(() => {})
  }
  async write(read: readonly Read[]): Promise<readonly Refused[]> {
    const refused: Refused[] = []
    const lines = new Map<string, { hub: Hub; to: To; all: Read[] }>()
    for (const one of read) {
      const hub = await this.#hub(one.partition.topic)
      const to = this.#to(one, hub)
      if (to instanceof Fault) {
        refused.push({ read: one, fault: to })
        continue
      }
      const id = JSON.stringify([hub.name, to])
      const line = lines.get(id)
      if (line === undefined) lines.set(id, { hub, to, all: [one] })
      else line.all.push(one)
    }
    const waiting = [...lines.values()]
    const work = async (): Promise<void> => {
      for (let line = waiting.shift(); line !== undefined; line = waiting.shift())
        refused.push(...(await this.#send(line.hub, line.to, line.all)))
    }
    const ended = await Promise.allSettled(Array.from({ length: Math.min(batchesMax, waiting.length) }, work))
    for (const one of ended) if (one.status === 'rejected') throw one.reason
    return refused
  }
  /** In order, one batch after another. Those that no batch holds are refused. */
  async #send({ name, client }: Hub, to: To, all: readonly Read[]): Promise<Refused[]> {
    const refused: Refused[] = []
    try {
      let batch = await client.createBatch(to)
      for (const one of all) {
        const event = eventOf(one)
        if (batch.tryAdd(event)) continue
        if (batch.count > 0) {
          await client.sendBatch(batch)
          batch = await client.createBatch(to)
          if (batch.tryAdd(event)) continue
        }
        const bytes = one.record.value?.length ?? 0
        const fault = new Fault('wire.too-large', { what: 'an event', bytes, bytesMax: batch.maxSizeInBytes })
        refused.push({ read: one, fault })
      }
      if (batch.count > 0) await client.sendBatch(batch)
    } catch (error) {
      throw faultOf(`sending to ${name}`, error)
    }
    return refused
  }
  #to({ partition, record: { key } }: Read, { partitions }: Hub): To | Fault {
    if (this.#keeps) return { partitionId: partitions[partition.index % partitions.length]! }
    if (key === null || key.length === 0) return {}
    const partitionKey = textKey(key)
    if (partitionKey.length <= keyLengthMax) return { partitionKey }
    return new Fault('wire.too-large', { what: 'a partition key', bytes: partitionKey.length, bytesMax: keyLengthMax })
  }
  #hub(topic: string): Promise<Hub> {
    const name = this.#settings.text('hub')!.replaceAll('{topic}', topic)
    let hub = this.#hubs.get(name)
    if (hub === undefined) this.#hubs.set(name, (hub = this.#open(name)))
    return hub
  }
  async #open(name: string): Promise<Hub> {
    const client = new this.#library.EventHubProducerClient(this.#settings.text('connection.string')!, name)
    try {
      return { name, client, partitions: await client.getPartitionIds() }
    } catch (error) {
      await client.close().catch(() => {})
      throw faultOf(`asking for the partitions of ${name}`, error)
    }
  }
}

function eventOf({ record: { value, headers } }: Read): EventData {
  const {
    'content-type': contentType,
    'correlation-id': correlationId,
    'message-id': messageId,
    ...properties
  } = Object.fromEntries(headers.map(textHeader))
  return {
    body: Buffer.from(value ?? []),
    properties,
    ...(contentType === undefined ? {} : { contentType }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(messageId === undefined ? {} : { messageId }),
  }
}
