/**
 * Messages of a broker into our topics, the key of a record the MQTT topic. The session lives through restarts, and a message
 * is acknowledged when its record is durable: at least once, in the order in which they came.
 */
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { carriedProperties, recordOf } from '../../log/mqtt-message.ts'
import type { Publish } from '../../wire/mqtt/packets.ts'
import type { Arriving, Piece, Source, SourceHost } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { openBroker } from './broker.ts'
import type { MqttClient } from './client.ts'

/** Subscribed to last: what of it is not wanted any more is taken back. */
const filtersKey = 'filters'
/** Messages of QoS 0 have no window: the connection is not read while more than this waits. */
const heldBytesMax = 8 * 1024 * 1024
const pieceRecordsMax = 5_000

export async function openSource(host: SourceHost, settings: Settings): Promise<Source> {
  const source = new MqttSource(host, settings)
  await source.begin()
  return source
}

interface Came extends Arriving {
  /** 0: nothing is to be acknowledged. */
  readonly id: number
  readonly bytes: number
}

class MqttSource implements Source {
  readonly #host: SourceHost
  readonly #settings: Settings
  readonly #topics = new Set<string>()
  #client!: MqttClient
  #came: Came[] = []
  #heldBytes = 0
  #isPaused = false
  #wake: (() => void) | null = null

  constructor(host: SourceHost, settings: Settings) {
    this.#host = host
    this.#settings = settings
  }
  async begin(): Promise<void> {
    const sessionExpiryS = Math.min(0xffff_fffe, Math.round(this.#settings.duration('session.expiry')! / 1_000))
    this.#client = await openBroker(this.#host, this.#settings, {
      clean: false,
      sessionExpiryS,
      took: (publish) => this.#took(publish),
      ended: () => this.#wake?.(),
    })
    try {
      const wanted = this.#settings.list('topics')
      const known = this.#client.sessionPresent ? this.#known() : []
      const gone = known.filter((filter) => !wanted.includes(filter))
      const fresh = wanted.filter((filter) => !known.includes(filter))
      if (gone.length > 0) await this.#client.unsubscribe(gone)
      if (fresh.length > 0) await this.#client.subscribe(fresh)
    } catch (error) {
      this.#client.close()
      throw error
    }
  }
  #known(): readonly string[] {
    const kept = this.#host.positions.get(filtersKey)
    return Array.isArray(kept) ? kept.filter((one) => typeof one === 'string') : []
  }
  close(): Promise<void> {
    this.#client.close()
    return Promise.resolve()
  }
  lag(): null {
    return null
  }

  #took(publish: Publish): void {
    const { id, topic } = publish
    const sent = {
      ...publish,
      payload: Buffer.from(publish.payload),
      properties: carriedProperties(publish.properties),
    }
    const record = recordOf(sent, this.#host.world.clock.now(), null)
    const bytes = sent.payload.length + topic.length + 200
    this.#came.push({ topic: intoOf(this.#settings.text('into')!, topic), partition: null, record, id, bytes })
    this.#heldBytes += bytes
    if (this.#heldBytes > heldBytesMax && !this.#isPaused) {
      this.#isPaused = true
      this.#client.pause()
    }
    this.#wake?.()
  }
  async *pieces(signal: AbortSignal): AsyncIterable<Piece> {
    yield { records: [], positions: [[filtersKey, this.#settings.list('topics')]] }
    for (;;) {
      signal.throwIfAborted()
      if (this.#came.length === 0) {
        if (this.#client.ended !== null) throw this.#client.ended
        await new Promise<void>((resolve) => (this.#wake = resolve))
        this.#wake = null
        continue
      }
      const came = this.#next()
      const records: Arriving[] = []
      for (const one of came) records.push((await this.#ensure(one.topic)) ? one : { ...one, fault: tooMany })
      yield {
        records,
        positions: [],
        settled: () => {
          for (const { id } of came) if (id !== 0) this.#client.acknowledge(id)
        },
      }
    }
  }
  #next(): readonly Came[] {
    let bytes = 0
    let count = 0
    for (const one of this.#came) {
      if (count >= pieceRecordsMax || (count > 0 && bytes + one.bytes > limits.decodedBytes)) break
      bytes += one.bytes
      count++
    }
    const came = this.#came.splice(0, count)
    this.#heldBytes -= bytes
    if (this.#isPaused && this.#heldBytes < heldBytesMax / 2) {
      this.#isPaused = false
      this.#client.resume()
    }
    return came
  }
  /** False: there are too many already. Who sends chooses the names: that stops nobody else's messages. */
  async #ensure(topic: string): Promise<boolean> {
    if (this.#topics.has(topic)) return true
    if (this.#topics.size >= limits.connectorTopics) return false
    await this.#host.ensureTopic(topic, this.#settings.count('partitions')!, false)
    this.#topics.add(topic)
    return true
  }
}

const tooMany = new Fault('connect.invalid-setting', {
  setting: 'into',
  why: `messages of one source make ${limits.connectorTopics} topics at most`,
})
/** A name that a topic can have: the key holds the MQTT topic as it is. */
export function intoOf(template: string, topic: string): string {
  const levels = topic.split('/')
  const name = template.replaceAll(/\{(topic|[1-9])\}/g, (_, what: string) =>
    what === 'topic' ? levels.join('.') : (levels[Number(what) - 1] ?? ''),
  )
  const plain = name.replaceAll(/[^a-zA-Z0-9._-]/g, '_').slice(0, limits.topicNameLength)
  return plain === '' || plain === '.' || plain === '..'
    ? '_'
    : plain.startsWith('_')
      ? `mqtt.${plain.slice(0, 200)}`
      : plain
}
