/**
 * Messages of a broker into our topics, the key of a record the MQTT topic. The session lives through restarts, and a message
 * is acknowledged when its record is durable: at least once, in the order in which they came. Of QoS 2 the identifier is committed in
 * the tick that holds the record, and taken back in one before its end is said: so it is known when it comes again, exactly once.
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
/** The QoS that they were subscribed to with. */
const qosKey = 'qos'
/** Before the identifier of a message of QoS 2 that is here, and has not been released. */
const heldPrefix = 'held/'
/** Messages of QoS 0 have no window: the connection is not read while more than this waits. */
const heldBytesMax = 8 * 1024 * 1024
const pieceRecordsMax = 5_000

export async function openSource(host: SourceHost, settings: Settings): Promise<Source> {
  const source = new MqttSource(host, settings)
  await source.begin()
  return source
}

/** `id` 0: nothing is to be acknowledged. */
type Came =
  | {
      readonly is: 'message'
      readonly arriving: Arriving
      readonly qos: number
      readonly id: number
      readonly bytes: number
    }
  /** `again`: a message that is durable here, of which the broker has not heard. */
  | { readonly is: 'release' | 'again'; readonly id: number; readonly bytes: number }

class MqttSource implements Source {
  readonly #host: SourceHost
  readonly #settings: Settings
  readonly #topics = new Set<string>()
  readonly #qos: 1 | 2
  /** Identifiers of QoS 2 whose messages are durable here. */
  readonly #held: Set<number>
  #client!: MqttClient
  #came: Came[] = []
  #heldBytes = 0
  #isPaused = false
  #wake: (() => void) | null = null

  constructor(host: SourceHost, settings: Settings) {
    this.#host = host
    this.#settings = settings
    this.#qos = settings.text('qos') === '2' ? 2 : 1
    const kept = [...host.positions.keys()].filter((key) => key.startsWith(heldPrefix))
    this.#held = new Set(kept.map((key) => Number(key.slice(heldPrefix.length))))
  }
  async begin(): Promise<void> {
    const sessionExpiryS = Math.min(0xffff_fffe, Math.round(this.#settings.duration('session.expiry')! / 1_000))
    this.#client = await openBroker(this.#host, this.#settings, {
      clean: false,
      sessionExpiryS,
      took: (publish) => this.#took(publish),
      released: (id) => this.#add({ is: 'release', id, bytes: 0 }),
      ended: () => this.#wake?.(),
    })
    try {
      const wanted = this.#settings.list('topics')
      // A session that is new knows no identifier of the old one.
      if (!this.#client.sessionPresent) this.#held.clear()
      const known = this.#client.sessionPresent ? this.#known() : []
      const isAsBefore = this.#host.positions.get(qosKey) === this.#qos
      const gone = known.filter((filter) => !wanted.includes(filter))
      const fresh = wanted.filter((filter) => !isAsBefore || !known.includes(filter))
      if (gone.length > 0) await this.#client.unsubscribe(gone)
      if (fresh.length > 0) await this.#client.subscribe(fresh, this.#qos)
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
    const { id, qos, topic } = publish
    if (qos === 2 && this.#held.has(id)) return this.#add({ is: 'again', id, bytes: 0 })
    const sent = {
      ...publish,
      payload: Buffer.from(publish.payload),
      properties: carriedProperties(publish.properties),
    }
    const record = recordOf(sent, this.#host.world.clock.now(), null)
    const bytes = sent.payload.length + topic.length + 200
    const arriving = { topic: intoOf(this.#settings.text('into')!, topic), partition: null, record }
    this.#add({ is: 'message', arriving, qos, id, bytes })
  }
  #add(came: Came): void {
    this.#came.push(came)
    this.#heldBytes += came.bytes
    if (this.#heldBytes > heldBytesMax && !this.#isPaused) {
      this.#isPaused = true
      this.#client.pause()
    }
    this.#wake?.()
  }
  async *pieces(signal: AbortSignal): AsyncIterable<Piece> {
    const forgotten = [...this.#host.positions.keys()].filter(
      (key) => key.startsWith(heldPrefix) && !this.#held.has(Number(key.slice(heldPrefix.length))),
    )
    yield {
      records: [],
      positions: [
        [filtersKey, this.#settings.list('topics')],
        [qosKey, this.#qos],
        ...forgotten.map((key) => [key, null] as const),
      ],
    }
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
      const positions: [string, true | null][] = []
      for (const one of came) {
        if (one.is === 'release') positions.push([`${heldPrefix}${one.id}`, null])
        if (one.is === 'message') {
          const { arriving, qos, id } = one
          records.push((await this.#ensure(arriving.topic)) ? arriving : { ...arriving, fault: tooMany })
          if (qos === 2) positions.push([`${heldPrefix}${id}`, true])
        }
      }
      yield { records, positions, settled: () => came.forEach((one) => this.#settled(one)) }
    }
  }
  #settled(one: Came): void {
    switch (one.is) {
      case 'release':
        this.#held.delete(one.id)
        return this.#client.acknowledge('pubcomp', one.id)
      case 'again':
        return this.#client.acknowledge('pubrec', one.id)
      case 'message':
        if (one.qos === 2) this.#held.add(one.id)
        if (one.id !== 0) this.#client.acknowledge(one.qos === 2 ? 'pubrec' : 'puback', one.id)
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
