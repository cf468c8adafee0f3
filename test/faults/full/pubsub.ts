/** Pub/Sub: messages with and without keys, a subscription with exactly-once delivery, snapshots and seek. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Calls, GrpcClient, RpcFailure, textOf } from '../../gateway/pubsub/fixture.ts'
import { type Answer, type Side, Told, Writer, checkTopic, valueOf } from './side.ts'

const topic = 'full-pubsub'
const valueBytes = 4_096
const drainMs = 60_000
const statusNames: Readonly<Record<number, string>> = { 8: 'RESOURCE_EXHAUSTED', 13: 'INTERNAL', 14: 'UNAVAILABLE' }

export class PubsubSide implements Side {
  readonly name = 'pubsub'
  /** The one status that each of the official clients sends every call again after. */
  readonly told = new Told(['UNAVAILABLE'])
  readonly #address: string
  #client: GrpcClient
  #shouldLast: () => boolean
  readonly #writers: readonly Writer[]
  /** Message ids of the exactly-once subscription. */
  readonly #acknowledged = new Set<string>()
  readonly #seen = new Set<string>()
  #consuming: Promise<void> | null = null
  #isOver = false
  #turn = 0
  #held: string[] = []

  constructor(port: number) {
    this.#address = `127.0.0.1:${port}`
    this.#client = new GrpcClient(this.#address)
    this.#shouldLast = this.told.watch()
    this.#writers = ['plain', 'keyed'].map(
      (name) => new Writer(name, this.told, (ids) => this.#publish(ids, name === 'keyed'), { atOnce: 10 }),
    )
  }
  /** One connection; another only where the process is killed. */
  get #calls(): Calls {
    if (this.#client.session.destroyed || this.#client.session.closed) {
      if (this.#shouldLast()) this.told.lost('of all calls')
      this.#shouldLast = this.told.watch()
      this.#client = new GrpcClient(this.#address)
    }
    return new Calls(this.#client)
  }
  async start(): Promise<void> {
    await this.#calls.topic(topic)
    const more = { ackDeadlineSeconds: 10 }
    await this.#calls.subscription('full-plain', topic, { ...more, ackDeadlineSeconds: 600 })
    await this.#calls.subscription('full-exact', topic, { ...more, enableExactlyOnceDelivery: true })
    await this.#calls.subscription('full-seek', topic, more)
    for (const one of this.#writers) one.start()
    this.#consuming = this.#consume()
  }
  async #answer(call: () => Promise<unknown>): Promise<Answer> {
    try {
      await call()
      return null
    } catch (error) {
      // Without a status of its own it is the end of the connection.
      if (error instanceof RpcFailure && (error.status !== 2 || error.message !== ''))
        return statusNames[error.status] ?? `status ${error.status}: ${error.message}`
      throw error
    }
  }
  async #publish(ids: readonly string[], isKeyed: boolean): Promise<readonly Answer[]> {
    const messages = ids.map((id) => ({ data: valueOf(id, valueBytes), orderingKey: isKeyed ? 'key' : '' }))
    const why = await this.#answer(() => this.#calls.publish(topic, ...messages))
    return ids.map(() => why)
  }
  /** Of the exactly-once subscription, all the time. What was not taken of an acknowledgement is acknowledged again. */
  async #consume(): Promise<void> {
    const stream = () =>
      this.#client.stream({
        subscription: 'projects/p/subscriptions/full-exact',
        streamAckDeadlineSeconds: 10,
        maxOutstandingMessages: 100,
      })
    while (!this.#isOver) {
      void this.#calls
      const from = stream()
      let isOpen = true
      const shouldLast = this.told.watch()
      void from.ended.then((why) => {
        isOpen = false
        const name = why === null ? null : (statusNames[why.status] ?? `status ${why.status}: ${why.message}`)
        if (name !== null && shouldLast() && !this.#isOver) this.told.refuse(name)
      })
      while (isOpen && !this.#isOver) {
        const some = from.received.splice(0)
        if (some.length === 0) {
          await sleep(20)
          continue
        }
        for (const { message } of some) {
          const { messageId } = message!
          this.#seen.add(textOf({ message } as never).split('|')[0]!)
          if (this.#acknowledged.has(messageId)) this.told.problem(`${messageId} came again after its acknowledgement`)
        }
        await this.#settle(some.map(({ ackId, message }) => ({ ackId, id: message!.messageId })))
      }
      from.close()
      await sleep(100)
    }
  }
  async #settle(all: readonly { readonly ackId: string; readonly id: string }[]): Promise<void> {
    // Their deadline is 10 s: after that they come again, with other ids.
    for (let left = 30; left > 0 && !this.#isOver; left--) {
      try {
        const ids = all.map(({ ackId }) => ackId)
        const why = await this.#answer(() => this.#calls.acknowledge('full-exact', ...ids))
        if (why === null) for (const { id } of all) this.#acknowledged.add(id)
        if (why === null || why.startsWith('status')) return
        this.told.refuse(why)
      } catch {
        // The process is away.
      }
      await sleep(200)
    }
  }
  #subscribe = (): Promise<Answer> => this.#answer(() => this.#calls.subscription(`full-${this.#turn}`, topic))
  #snapshot = (): Promise<Answer> => this.#answer(() => this.#calls.snapshot(`full-${this.#turn}`, 'full-plain'))
  #seek = (): Promise<Answer> => this.#answer(() => this.#calls.seek('full-seek', { time: { seconds: 1, nanos: 0 } }))
  #acknowledge = (): Promise<Answer> => this.#answer(() => this.#calls.acknowledge('full-plain', ...this.#held))

  async #hold(): Promise<void> {
    const pulled = await this.#calls.pull('full-plain', 10)
    if (pulled.length === 0) this.told.problem('Pull gives nothing')
    this.#held.push(...pulled.map(({ ackId }) => ackId))
  }
  async before(): Promise<void> {}
  async changes(): Promise<void> {
    this.#turn++
    await this.#hold()
    await this.afterwards()
  }
  async whileFull(): Promise<void> {
    this.#turn++
    await this.#hold()
    await this.told.mustRefuse('Acknowledge', this.#acknowledge)
    await this.told.mustRefuse('CreateSubscription', this.#subscribe)
    await this.told.mustRefuse('CreateSnapshot', this.#snapshot)
    await this.told.mustRefuse('Seek', this.#seek)
  }
  async afterwards(): Promise<void> {
    await this.told.mustTake('CreateSubscription', this.#subscribe)
    await this.told.mustTake('CreateSnapshot', this.#snapshot)
    await this.told.mustTake('Seek', this.#seek)
    await this.told.mustTake('Acknowledge', this.#acknowledge)
    this.#held = []
    await this.#hold()
  }
  async stop(): Promise<void> {
    await Promise.all(this.#writers.map((one) => one.stop()))
  }
  async check(http: string): Promise<void> {
    await checkTopic(http, topic, { writers: this.#writers, told: this.told })
    // What was never acknowledged comes.
    const giveUp = performance.now() + drainMs
    const missing = (): string[] =>
      this.#writers.flatMap(({ name, acknowledged }) =>
        [...acknowledged].map((number) => `${name}/${number}`).filter((id) => !this.#seen.has(id)),
      )
    while (missing().length > 0 && performance.now() < giveUp) await sleep(200)
    for (const id of missing().slice(0, 5)) this.told.problem(`${id} was published and never came to its subscriber`)
    this.#isOver = true
    await this.#consuming
  }
  close(): void {
    this.#isOver = true
    this.#client.close()
  }
}
