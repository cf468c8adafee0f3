/** A subscription into a topic of ours: a message is acknowledged when its record is durable. At least once. */
import { Fault } from '../../lib/fault.ts'
import type { RecordInput } from '../../log/batch.ts'
import type { Piece, Source, SourceHost } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { intoTopic } from '../topic-names.ts'
import { type Message, type PubSub, type Subscription, faultOf, openService } from './service.ts'

const bytesMax = 16 * 1024 * 1024

export async function openSource(host: SourceHost, settings: Settings): Promise<Source> {
  return new PubsubSource(host, settings, await openService(host, settings))
}

class PubsubSource implements Source {
  readonly #host: SourceHost
  readonly #settings: Settings
  readonly #service: PubSub
  #subscription: Subscription | null = null
  /** The library holds no more than `in.flight` of them that are not acknowledged. */
  #came: Message[] = []
  #ended: Fault | null = null
  #wake: (() => void) | null = null

  constructor(host: SourceHost, settings: Settings, service: PubSub) {
    this.#host = host
    this.#settings = settings
    this.#service = service
  }
  async close(): Promise<void> {
    this.#end(new Fault('log.closed', { what: 'the connector' }))
    const subscription = this.#subscription
    this.#subscription = null
    subscription?.removeAllListeners()
    // What goes wrong with it now is nobody's concern any more.
    subscription?.on('error', () => {})
    await subscription?.close().catch(() => {})
    await this.#service.close().catch(() => {})
  }
  lag(): null {
    return null
  }

  async *pieces(signal: AbortSignal): AsyncIterable<Piece> {
    const name = this.#settings.text('subscription')!
    const into = intoTopic(this.#settings, name.slice(name.lastIndexOf('/') + 1))
    signal.addEventListener('abort', () => this.#end(new Fault('log.closed', { what: 'the connector' })), {
      once: true,
    })
    await this.#host.ensureTopic(into, this.#settings.count('partitions')!, false)
    const maxMessages = this.#settings.count('in.flight')!
    const flowControl = { maxMessages, maxBytes: bytesMax, allowExcessMessages: false }
    this.#subscription = this.#service.subscription(name, { flowControl })
    this.#subscription.on('message', (message) => {
      this.#came.push(message)
      this.#wake?.()
    })
    this.#subscription.on('error', (error) => this.#end(faultOf(`taking from ${name}`, error)))
    for (;;) {
      if (this.#came.length === 0) {
        if (this.#ended !== null) throw this.#ended
        await new Promise<void>((resolve) => (this.#wake = resolve))
        this.#wake = null
        continue
      }
      const came = this.#came
      this.#came = []
      yield {
        records: came.map((message) => ({ topic: into, partition: null, record: recordOf(message) })),
        positions: [],
        settled: () => {
          for (const message of came) message.ack()
        },
      }
    }
  }
  #end(fault: Fault): void {
    this.#ended ??= fault
    this.#wake?.()
  }
}

function recordOf({ data, attributes, orderingKey = '', publishTime }: Message): RecordInput {
  return {
    key: orderingKey === '' ? null : Buffer.from(orderingKey),
    value: data,
    headers: Object.entries(attributes).map(([name, value]) => [name, Buffer.from(value)] as const),
    timeMs: publishTime.getTime(),
  }
}
