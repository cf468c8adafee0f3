/**
 * Batches on their way to brokers, gathered: while a broker works on a request or two, what comes for it waits and goes
 * out together. So many partitions share few requests.
 */
import type { Batch, Partition } from '../../log.ts'
import type { Broker } from '../net/broker.ts'
import { type Produced, type Sent, askProduce } from './produce.ts'

/** One is being worked on, one lies ready in the broker's socket. */
const requestsAtOnce = 2
const requestBytesMax = 16 * 1024 * 1024

interface Waiting extends Sent {
  readonly resolve: (produced: Produced) => void
  readonly reject: (error: unknown) => void
}

export class Senders {
  readonly #acks: -1 | 1
  readonly #waiting = new Map<Broker, Waiting[]>()
  readonly #requests = new Map<Broker, number>()

  constructor(acks: -1 | 1) {
    this.#acks = acks
  }
  /** One batch of a partition at a time. Throws Disconnected. */
  send(broker: Broker, partition: Partition, batch: Batch): Promise<Produced> {
    return new Promise((resolve, reject) => {
      const one = { partition, batch, resolve, reject }
      const waiting = this.#waiting.get(broker)
      if (waiting !== undefined) return void waiting.push(one)
      this.#waiting.set(broker, [one])
      // What else comes in this turn goes along.
      queueMicrotask(() => this.#flush(broker))
    })
  }
  #flush(broker: Broker): void {
    const requests = this.#requests.get(broker) ?? 0
    if (requests >= requestsAtOnce) return
    const items = this.#next(broker)
    if (items.length === 0) return
    this.#requests.set(broker, requests + 1)
    void this.#ask(broker, items)
  }
  async #ask(broker: Broker, items: readonly Waiting[]): Promise<void> {
    try {
      const answers = await askProduce(broker, 'produce', { transactionalId: null, acks: this.#acks, items })
      items.forEach(({ resolve }, i) => resolve(answers[i]!))
    } catch (error) {
      for (const { reject } of items) reject(error)
    } finally {
      const left = this.#requests.get(broker)! - 1
      if (left === 0) this.#requests.delete(broker)
      else this.#requests.set(broker, left)
      queueMicrotask(() => this.#flush(broker))
    }
  }
  #next(broker: Broker): readonly Waiting[] {
    const waiting = this.#waiting.get(broker) ?? []
    let bytes = 0
    const fits = waiting.findIndex(({ batch }, i) => (bytes += batch.length) > requestBytesMax && i > 0)
    const items = fits < 0 ? waiting : waiting.splice(0, fits)
    if (fits < 0) this.#waiting.delete(broker)
    return items
  }
}
