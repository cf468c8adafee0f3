/** Records of ours as messages: the position is committed when the service has them. At least once, in the order of the key. */
import { Fault } from '../../lib/fault.ts'
import type { Read } from '../../log/group-task.ts'
import type { Refused, Sink, SinkHost } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { textHeader, textKey } from '../text-headers.ts'
import { intoTopic } from '../topic-names.ts'
import { type PubSub, type Topic, faultOf, openService } from './service.ts'

/** The service's own limits: what is beyond them it would refuse for ever. */
const limitsThere = { messageBytes: 10_000_000, keyBytes: 1_024, attributes: 100, nameBytes: 256, valueBytes: 1_024 }

export async function openSink(host: SinkHost, settings: Settings): Promise<Sink> {
  return new PubsubSink(settings, await openService(host, settings))
}

/** The service itself puts them on messages of topics with a schema, and takes them from nobody. */
const bySchema: ReadonlySet<string> = new Set(
  ['encoding', 'name', 'revisionid'].map((what) => `googclient_schema${what}`),
)
interface Sent {
  readonly data: Buffer
  readonly attributes: Record<string, string>
  readonly orderingKey?: string
}

class PubsubSink implements Sink {
  readonly #settings: Settings
  readonly #service: PubSub
  readonly #topics = new Map<string, Topic>()
  readonly #isOrdered: boolean
  readonly #window: number

  constructor(settings: Settings, service: PubSub) {
    this.#settings = settings
    this.#service = service
    this.#isOrdered = settings.text('ordering') === 'key'
    this.#window = settings.count('in.flight')!
  }
  async close(): Promise<void> {
    await this.#service.close().catch(() => {})
  }
  async write(read: readonly Read[]): Promise<readonly Refused[]> {
    const refused: Refused[] = []
    for (let at = 0; at < read.length; at += this.#window) {
      const under: Promise<unknown>[] = []
      for (const one of read.slice(at, at + this.#window)) {
        const message = this.#messageOf(one)
        if (message instanceof Fault) refused.push({ read: one, fault: message })
        else under.push(this.#publish(one.partition.topic, message))
      }
      // What is under way comes to its end before anything is thrown.
      const ended = await Promise.allSettled(under)
      for (const one of ended) if (one.status === 'rejected') throw one.reason
    }
    return refused
  }
  async #publish(topic: string, message: Sent): Promise<void> {
    const into = intoTopic(this.#settings, topic)
    let there = this.#topics.get(into)
    if (there === undefined) {
      there = this.#service.topic(into, { messageOrdering: this.#isOrdered, batching: { maxMilliseconds: 5 } })
      this.#topics.set(into, there)
    }
    try {
      await there.publishMessage(message)
    } catch (error) {
      throw faultOf(`publishing to ${into}`, error)
    }
  }
  #messageOf({ record: { key, value, headers } }: Read): Sent | Fault {
    const data = Buffer.from(value ?? [])
    const attributes = Object.fromEntries(headers.filter(([name]) => !bySchema.has(name)).map(textHeader))
    const orderingKey = key === null || !this.#isOrdered ? '' : textKey(key)
    return (
      refusal(data, attributes, orderingKey) ?? { data, attributes, ...(orderingKey === '' ? {} : { orderingKey }) }
    )
  }
}

function refusal(data: Buffer, attributes: Readonly<Record<string, string>>, orderingKey: string): Fault | null {
  const large = (what: string, bytes: number, bytesMax: number): Fault =>
    new Fault('wire.too-large', { what, bytes, bytesMax })
  const { messageBytes, keyBytes, attributes: attributesMax, nameBytes, valueBytes } = limitsThere
  const entries = Object.entries(attributes)
  if (data.length === 0 && entries.length === 0)
    return new Fault('connect.refused', { what: 'publishing', why: 'a message has data or attributes' })
  if (data.length > messageBytes) return large('a message', data.length, messageBytes)
  if (Buffer.byteLength(orderingKey) > keyBytes)
    return large('an ordering key', Buffer.byteLength(orderingKey), keyBytes)
  if (entries.length > attributesMax) return large('a number of attributes', entries.length, attributesMax)
  for (const [name, value] of entries) {
    // Its own libraries send some that begin with `googclient_` (traces).
    if (name === '' || (name.startsWith('goog') && !name.startsWith('googclient_')))
      return new Fault('connect.refused', { what: 'publishing', why: `no attribute may be called ${name}` })
    if (Buffer.byteLength(name) > nameBytes)
      return large('the name of an attribute', Buffer.byteLength(name), nameBytes)
    if (Buffer.byteLength(value) > valueBytes) return large('an attribute', Buffer.byteLength(value), valueBytes)
  }
  return null
}
