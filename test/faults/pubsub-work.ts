/** Publishers and consumers of the Pub/Sub gateway that write down what they were told, and what must be true of it. */
import { Calls, GrpcClient, type PullStream } from '../gateway/pubsub/fixture.ts'

export interface SubscriptionKind {
  readonly name: string
  readonly ordered: boolean
  readonly exact: boolean
}
const topic = 'work'
const keys = 10
const outstanding = 20
const deadlineSeconds = 10

interface Seen {
  readonly key: string
  readonly number: number
  /** What came to the consumer before. */
  readonly has: ReadonlySet<string>
}
/** Of one subscription. */
class Ledger {
  readonly kind: SubscriptionKind
  /** By the ids of messages: a publisher that was not answered publishes again. */
  readonly acknowledged = new Set<string>()
  readonly seen = new Set<string>()
  /** An acknowledgement was sent; whether it was taken is not known. */
  readonly tried = new Set<string>()
  deliveries = 0
  readonly problems: string[] = []
  constructor(kind: SubscriptionKind) {
    this.kind = kind
  }
  delivered(id: string, messageId: string, { key, number, has }: Seen, published: ReadonlyMap<string, number>): void {
    this.deliveries++
    this.seen.add(id)
    const { name, ordered, exact } = this.kind
    if (exact && this.acknowledged.has(messageId))
      this.problems.push(`${name}: ${id} came again after its acknowledgement`)
    const before = `${key}/${number - 1}`
    if (ordered && published.has(key) && number > 0 && !this.tried.has(before) && !has.has(before))
      this.problems.push(`${name}: ${id} came before ${before}, to a consumer that has not got it`)
  }
}

export class PubsubWork {
  readonly ledgers: readonly Ledger[]
  /** The last number of each key that was answered. */
  readonly published = new Map<string, number>()
  #address: string
  readonly #random: () => number
  #stopping = false
  readonly #consumers = new Set<Consumer>()
  readonly #running: Promise<void>[] = []

  constructor(address: string, kinds: readonly SubscriptionKind[], random: () => number) {
    this.#address = address
    this.#random = random
    this.ledgers = kinds.map((kind) => new Ledger(kind))
  }
  get messages(): number {
    let sum = 0
    for (const last of this.published.values()) sum += last + 1
    return sum
  }
  async start(consumersOfEach: number): Promise<void> {
    const client = new GrpcClient(this.#address)
    const calls = new Calls(client)
    await calls.topic(topic)
    for (const { kind } of this.ledgers)
      await calls.subscription(kind.name, topic, {
        enableMessageOrdering: kind.ordered,
        enableExactlyOnceDelivery: kind.exact,
        ackDeadlineSeconds: deadlineSeconds,
      })
    client.close()
    for (let key = 0; key < keys; key++) this.#running.push(this.#publish(`k${key}`))
    for (const ledger of this.ledgers)
      for (let i = 0; i < consumersOfEach; i++) this.#running.push(this.#consume(ledger))
  }
  /** One key's messages one after another: the next when the one before is answered, however often that takes. */
  async #publish(key: string): Promise<void> {
    const client = new Reconnecting(this.#address)
    for (let number = 0; !this.#stopping; number++) {
      const message = { data: Buffer.from(`${key}/${number}`), orderingKey: key }
      while (!(await client.tried((calls) => calls.publish(topic, message)))) if (this.#stopping) return client.close()
      this.published.set(key, number)
      await pause(this.#random() * 10)
    }
    client.close()
  }
  async #consume(ledger: Ledger): Promise<void> {
    while (!this.#stopping || !this.#isDone(ledger)) {
      const consumer = new Consumer(this.#address, ledger, this.published, this.#random)
      this.#consumers.add(consumer)
      await consumer.ended
      this.#consumers.delete(consumer)
      await pause(50)
    }
  }
  /** A consumer dies as a process does: what it has out is not acknowledged. */
  killSome(): void {
    for (const consumer of this.#consumers) if (this.#random() < 0.3) consumer.die()
  }
  #isDone({ seen }: Ledger): boolean {
    for (const [key, last] of this.published)
      for (let number = 0; number <= last; number++) if (!seen.has(`${key}/${number}`)) return false
    return true
  }
  /** Until every subscription has given out everything, or one that has not gave nothing new for so long. */
  async finish(silentMsMax: number): Promise<string[]> {
    this.#stopping = true
    const progress = new Map(this.ledgers.map((ledger) => [ledger, { seen: -1, atMs: 0 }]))
    const isSilent = (ledger: Ledger): boolean => {
      const last = progress.get(ledger)!
      const { size } = ledger.seen
      if (size !== last.seen) progress.set(ledger, { seen: size, atMs: performance.now() })
      return size === last.seen && performance.now() - last.atMs > silentMsMax
    }
    for (;;) {
      const open = this.ledgers.filter((ledger) => !this.#isDone(ledger))
      if (open.length === 0 || open.some(isSilent)) break
      await pause(200)
    }
    const problems = this.ledgers.flatMap((ledger) => {
      const left = this.messages - ledger.seen.size
      return [...ledger.problems, ...(this.#isDone(ledger) ? [] : [`${ledger.kind.name}: ${left} messages never came`])]
    })
    for (const ledger of this.ledgers)
      for (const [key, last] of this.published)
        for (let number = 0; number <= last; number++) ledger.seen.add(`${key}/${number}`)
    for (const consumer of this.#consumers) consumer.die()
    await Promise.all(this.#running)
    return problems
  }
}
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

class Reconnecting {
  readonly #address: string
  #client: GrpcClient
  constructor(address: string) {
    this.#address = address
    this.#client = new GrpcClient(address)
  }
  async tried(call: (calls: Calls) => Promise<unknown>): Promise<boolean> {
    try {
      if (this.#client.session.destroyed || this.#client.session.closed) this.#client = new GrpcClient(this.#address)
      await call(new Calls(this.#client))
      return true
    } catch {
      await pause(100)
      return false
    }
  }
  close(): void {
    this.#client.close()
  }
}
class Consumer {
  readonly ended: Promise<void>
  readonly #client: GrpcClient
  readonly #stream: PullStream
  readonly #has = new Set<string>()
  /** Of each key the last that is worked on: one after another, as official clients do. */
  readonly #lastOf = new Map<string, Promise<void>>()
  #dead = false

  constructor(address: string, ledger: Ledger, published: ReadonlyMap<string, number>, random: () => number) {
    this.#client = new GrpcClient(address)
    this.#stream = this.#client.stream({
      subscription: `projects/p/subscriptions/${ledger.kind.name}`,
      streamAckDeadlineSeconds: deadlineSeconds,
      maxOutstandingMessages: outstanding,
    })
    this.ended = this.#run(ledger, published, random)
  }
  async #run(ledger: Ledger, published: ReadonlyMap<string, number>, random: () => number): Promise<void> {
    const calls = new Calls(this.#client)
    let over = false
    void this.#stream.ended.then(() => (over = true))
    while (!over && !this.#dead) {
      await this.#stream.until(() => over || this.#dead || this.#stream.received.length > 0, 600_000)
      if (this.#dead) break
      for (const { message, ackId } of this.#stream.received.splice(0)) {
        const id = Buffer.from(message!.data).toString()
        const [key = '', number = ''] = id.split('/')
        const { messageId } = message!
        ledger.delivered(id, messageId, { key, number: Number(number), has: this.#has }, published)
        this.#has.add(id)
        const before = ledger.kind.ordered ? this.#lastOf.get(key) : undefined
        const work = (): Promise<void> => this.#work(calls, ledger, { id, messageId, ackId }, random)
        this.#lastOf.set(key, before === undefined ? work() : before.then(work))
      }
    }
    this.#client.close()
  }
  async #work(
    calls: Calls,
    ledger: Ledger,
    { id, messageId, ackId }: { id: string; messageId: string; ackId: string },
    random: () => number,
  ): Promise<void> {
    await pause(random() * 20)
    if (this.#dead) return
    const { name } = ledger.kind
    if (random() < 0.05) return void (await calls.modifyDeadline(name, 0, ackId).catch(() => undefined))
    ledger.tried.add(id)
    await calls.acknowledge(name, ackId).then(
      () => ledger.acknowledged.add(messageId),
      () => undefined,
    )
  }
  die(): void {
    this.#dead = true
    this.#client.close()
  }
}
