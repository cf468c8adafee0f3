/** Records of ours as messages of a broker, with QoS 1: the position is committed when the broker has them. At least once. */
import { isUtf8 } from 'node:buffer'
import { Fault } from '../../lib/fault.ts'
import type { Read } from '../../log/group-task.ts'
import { deliveredProperties, messageOf } from '../../log/mqtt-message.ts'
import { reason } from '../../wire/mqtt/reason.ts'
import type { Refused, Sink, SinkHost } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { openBroker } from './broker.ts'
import { type MqttClient, reasonText } from './client.ts'

const topicBytesMax = 65_535
/** What a broker says of a message that it would not take another time either. */
const ofMessage: ReadonlySet<number> = new Set([
  reason.topicNameInvalid,
  reason.packetTooLarge,
  reason.payloadFormatInvalid,
  reason.implementationSpecific,
])
const accepted: ReadonlySet<number> = new Set([reason.success, reason.noMatchingSubscribers])

export async function openSink(host: SinkHost, settings: Settings): Promise<Sink> {
  const client = await openBroker(host, settings, { clean: true, sessionExpiryS: 0, took: () => {} })
  return new MqttSink(host, settings, client)
}

class MqttSink implements Sink {
  readonly #host: SinkHost
  readonly #client: MqttClient
  readonly #into: string
  readonly #retain: string

  constructor(host: SinkHost, settings: Settings, client: MqttClient) {
    this.#host = host
    this.#client = client
    this.#into = settings.text('into')!
    this.#retain = settings.text('retain')!
  }
  close(): Promise<void> {
    this.#client.close()
    return Promise.resolve()
  }
  async write(read: readonly Read[]): Promise<readonly Refused[]> {
    const refused: Refused[] = []
    const under: Promise<void>[] = []
    try {
      for (const one of read) {
        await this.#client.room()
        const sent = this.#publish(one).then((fault) => {
          if (fault !== null) refused.push({ read: one, fault })
        })
        sent.catch(() => {})
        under.push(sent)
      }
    } finally {
      await Promise.allSettled(under)
    }
    await Promise.all(under)
    return refused
  }
  /** Why the broker will never take it; null: it has it. */
  async #publish({ partition, record }: Read): Promise<Fault | null> {
    const topic = mqttTopic(this.#into, partition.topic, record.key)
    if (Buffer.byteLength(topic) > topicBytesMax)
      return new Fault('wire.too-large', {
        what: 'an MQTT topic',
        bytes: Buffer.byteLength(topic),
        bytesMax: topicBytesMax,
      })
    const place = { topic: partition.topic, index: partition.index, offset: record.offset }
    const message = messageOf(record, topic, place)
    const nowMs = this.#host.world.clock.now()
    // Its time is over: nobody is to be told any more.
    if (message.expiresMs <= nowMs) return null
    const retain = this.#retain === 'always' || (this.#retain === 'as-sent' && message.retain)
    const properties = deliveredProperties(message, nowMs, null)
    const code = await this.#client.publish(topic, message.payload, retain, properties)
    if (accepted.has(code)) return null
    const what = `publishing to ${topic.slice(0, 200)}`
    const fault = new Fault('connect.refused', { what, why: `the broker refuses it: ${reasonText(code)}` })
    if (ofMessage.has(code)) return fault
    throw code === reason.quotaExceeded
      ? new Fault('connect.unavailable', { what, why: 'the broker says that a quota is used up' })
      : fault
  }
}

/** A name that MQTT allows: what stands for wildcards there is written as in a URL. */
export function mqttTopic(template: string, topic: string, key: Uint8Array | null): string {
  const text = key === null || key.length === 0 ? topic : isUtf8(key) ? Buffer.from(key).toString() : base64(key)
  const plain = text.replaceAll('+', '%2B').replaceAll('#', '%23').replaceAll('\0', '%00')
  return template.replaceAll(/\{(key|topic)\}/g, (_, what: string) => (what === 'key' ? plain : topic))
}
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
