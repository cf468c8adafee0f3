/**
 * Which log topic the messages of an MQTT topic lie in, and back. By the rules, first that fits; else `mqtt.` and the
 * first level. The key of a record is its MQTT topic, so nothing is lost by names that a log topic cannot have.
 */
import { isUtf8 } from 'node:buffer'
import { murmur2 } from '../../lib/murmur2.ts'
import { isTopicName, matches, overlap } from '../../wire/mqtt/topics.ts'

export interface TopicRule {
  readonly filter: string
  readonly topic: string
}
const prefix = 'mqtt.'
/** With the prefix below what a topic name may have. */
const levelLengthMax = 200
/** Of first levels, whose names are remembered. */
const namesMax = 10_000

/** Bytes that the length of a text can say. */
const topicBytesMax = 0xffff
/** A key may be longer than a topic: it is cut then, with its hash behind it. */
function shortened(topic: string): string {
  if (topic.length * 3 <= topicBytesMax || Buffer.byteLength(topic) <= topicBytesMax) return topic
  const hash = (murmur2(Buffer.from(topic)) >>> 0).toString(16)
  return `${topic.slice(0, 20_000).toWellFormed().replaceAll('\ufffd', '')}-${hash}`
}

export class TopicMap {
  readonly #rules: readonly TopicRule[]
  readonly #ruled: ReadonlySet<string>
  readonly #names = new Map<string, string>()

  constructor(rules: readonly TopicRule[]) {
    this.#rules = rules
    this.#ruled = new Set(rules.map(({ topic }) => topic))
  }
  isMapped(logTopic: string): boolean {
    return logTopic.startsWith(prefix) || this.#ruled.has(logTopic)
  }
  logTopic(topic: string): string {
    for (const rule of this.#rules) if (matches(rule.filter, topic)) return rule.topic
    const slash = topic.indexOf('/')
    return this.#nameOf(slash < 0 ? topic : topic.slice(0, slash))
  }
  /** The log topics that may hold what the filter matches; null: it may be any. */
  candidates(filter: string): readonly string[] | null {
    const slash = filter.indexOf('/')
    const first = slash < 0 ? filter : filter.slice(0, slash)
    return first === '+' || first === '#' ? null : [...this.#ruled, this.#nameOf(first)]
  }
  /** Whether a message that the filter matches may lie there. */
  mayHold(logTopic: string, filter: string): boolean {
    if (this.#ruled.has(logTopic))
      if (this.#rules.some((rule) => rule.topic === logTopic && overlap(rule.filter, filter))) return true
    if (!logTopic.startsWith(prefix)) return false
    const [first = ''] = filter.split('/')
    return first === '+' || first === '#' || this.#nameOf(first) === logTopic
  }
  /** The key where it is a topic whose messages lie there; else the topic's own name with the key behind it. */
  mqttTopic(logTopic: string, key: Uint8Array | null): string {
    return key === null ? this.#base(logTopic) : shortened(this.#topicOf(logTopic, key))
  }
  #topicOf(logTopic: string, key: Uint8Array): string {
    const text = isUtf8(key) ? Buffer.from(key.buffer, key.byteOffset, key.length).toString() : null
    if (text === null) return `${this.#base(logTopic)}/${Buffer.from(key).toString('base64').replaceAll('+', '%2B')}`
    if (isTopicName(text) && !text.includes('\0') && this.logTopic(text) === logTopic) return text
    return `${this.#base(logTopic)}/${text.replaceAll('+', '%2B').replaceAll('#', '%23').replaceAll('\0', '%00')}`
  }
  #base(logTopic: string): string {
    const rule = this.#rules.find(({ topic }) => topic === logTopic)
    if (rule === undefined) return logTopic.slice(prefix.length)
    const levels = rule.filter.split('/')
    const wild = levels.findIndex((level) => level === '+' || level === '#')
    const literal = (wild < 0 ? levels : levels.slice(0, wild)).join('/')
    return literal === '' ? logTopic : literal
  }
  #nameOf(level: string): string {
    const known = this.#names.get(level)
    if (known !== undefined) return known
    const plain = level.replaceAll(/[^a-zA-Z0-9._-]/g, '_')
    const hash = (murmur2(Buffer.from(level)) >>> 0).toString(16)
    const short = plain.length > levelLengthMax ? `${plain.slice(0, levelLengthMax)}-${hash}` : plain
    const name = `${prefix}${short === '' ? '_' : short}`
    if (level.length > levelLengthMax) return name
    if (this.#names.size >= namesMax) this.#names.clear()
    this.#names.set(level, name)
    return name
  }
}
