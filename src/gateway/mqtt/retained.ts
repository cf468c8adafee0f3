/** Retained messages: the newest of each topic, in `_millrace_mqtt_retained` (compacted, key = MQTT topic) and in memory. */
import { limits } from '../../lib/limits.ts'
import type { Clock } from '../../lib/world.ts'
import type { LogRecord, RecordInput } from '../../log/batch.ts'
import { KeptRecords } from '../../log/kept-records.ts'
import type { Log } from '../../log/log.ts'
import { recordBytes } from '../../log/producer.ts'
import { MqttError, reason } from '../../wire/mqtt/reason.ts'
import { levelsOf } from '../../wire/mqtt/topics.ts'
import { type Message, bytesOfMessage, messageOf } from '../../log/mqtt-message.ts'
import { levelBytes } from './session.ts'
import { TopicTree } from './tree.ts'

export const retainedTopic = '_millrace_mqtt_retained'
const sweptAtOnce = 500
/** With its nodes of the tree. */
const weightOf = (message: Message): number => bytesOfMessage(message) + levelsOf(message.topic) * levelBytes

export class Retained {
  readonly #clock: Clock
  readonly #tree = new TopicTree<Message>()
  #kept: KeptRecords | null = null
  count = 0
  bytes = 0
  #isSweeping = false

  private constructor(clock: Clock) {
    this.#clock = clock
  }
  static async open(log: Log, clock: Clock): Promise<Retained> {
    const retained = new Retained(clock)
    const config = { 'max.message.bytes': String(limits.batchBytesMax) }
    retained.#kept = await KeptRecords.open({ log, clock, topic: retainedTopic, config }, (record) =>
      retained.take(record),
    )
    return retained
  }
  get partition() {
    return this.#kept!.partition
  }
  /** Throws MqttError where there is no room for another one. */
  check(record: RecordInput): void {
    const { key, value } = record
    if (value === null || value.length === 0) return
    const topic = Buffer.from(key!).toString()
    const old = this.#tree.get(topic)
    const more = recordBytes(record) + levelsOf(topic) * levelBytes - (old === null ? 0 : weightOf(old))
    const isFull = (old === null && this.count >= limits.mqttRetained) || this.bytes + more > limits.mqttRetainedBytes
    // What takes the place of a larger one is always taken.
    if (isFull && more > 0) throw new MqttError(reason.quotaExceeded, 'no room for another retained message')
  }
  /** Durable when it resolves; then it is what new subscriptions are given. */
  async put(record: RecordInput): Promise<void> {
    const stored = retainedRecord(record)
    const offset = await this.#kept!.put([stored])
    this.take({ ...stored, headers: stored.headers ?? [], offset })
  }
  /** What has been stored. An empty message takes the one before away. */
  take(record: LogRecord): void {
    const { key, value, offset } = record
    if (key === null) return
    const topic = Buffer.from(key).toString()
    const old = this.#tree.get(topic)
    if (old !== null) {
      this.count--
      this.bytes -= weightOf(old)
    }
    if (value === null || value.length === 0) return this.#tree.set(topic, null)
    // Of its own: a small message must not hold a large batch.
    const own = { ...record, value: Buffer.from(value), headers: record.headers.map(copied) }
    const message = { ...messageOf(own, topic, { topic: retainedTopic, index: 0, offset }), retain: true }
    this.count++
    this.bytes += weightOf(message)
    this.#tree.set(topic, message)
  }
  /** One after another, as they are when they are asked for. */
  *find(filter: string): Generator<Message, undefined> {
    for (const message of this.#tree.find(filter)) if (message.expiresMs > this.#clock.now()) yield message
  }
  /** Takes away those whose time is over. */
  async sweep(): Promise<void> {
    if (this.#isSweeping) return
    this.#isSweeping = true
    try {
      const nowMs = this.#clock.now()
      const over = [...this.#tree.find('#')].filter(({ expiresMs }) => expiresMs <= nowMs)
      for (let at = 0; at < over.length; at += sweptAtOnce) await this.#remove(over.slice(at, at + sweptAtOnce), nowMs)
    } finally {
      this.#isSweeping = false
    }
  }
  async #remove(messages: readonly Message[], timeMs: number): Promise<void> {
    // One that has come meanwhile stays.
    const gone = messages.filter((one) => this.#tree.get(one.topic) === one)
    await Promise.all(gone.map(({ topic }) => this.put({ key: Buffer.from(topic), value: null, timeMs })))
  }
}
/** As it lies there: that it is gone is a null value. */
export const retainedRecord = (record: RecordInput): RecordInput =>
  record.value !== null && record.value.length === 0 ? { key: record.key, value: null, timeMs: record.timeMs } : record

const copied = ([name, value]: readonly [string, Uint8Array | null]): readonly [string, Uint8Array | null] => [
  name,
  value === null ? null : Buffer.from(value),
]
