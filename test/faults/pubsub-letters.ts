/**
 * A subscription whose every third message is never acknowledged: those end among the dead letters, and no others do. What is
 * given up and what ended counts over any death.
 */
import * as m from '../../src/wire/pubsub/messages.ts'
import { Part, pause, textOf } from './pubsub-part.ts'
import type { Server } from './pubsub-link.ts'

const attemptsMax = 5
const silentMsMax = 45_000
const every = 3
const isPoison = (id: string): boolean => Number(id.split('/')[1]) % every === 0

export class Letters extends Part {
  readonly #published = new Set<string>()
  readonly #sent = new Set<string>()
  readonly #acknowledged = new Set<string>()
  /** An acknowledgement was sent and not answered: it is done with or comes again. */
  readonly #doubtful = new Set<string>()
  readonly #buried = new Set<string>()
  /** Deliveries that ended, as it was answered. */
  readonly #ended = new Map<string, number>()
  #number = 0

  constructor(server: Server, random: () => number) {
    super('letters', server, random)
  }
  override async run(): Promise<void> {
    for (const topic of ['deadly', 'letters'])
      await this.asked(() => this.link.tell('CreateTopic', (c) => c.topic(topic)))
    const deadLetterPolicy = { deadLetterTopic: 'projects/p/topics/letters', maxDeliveryAttempts: attemptsMax }
    const of = [
      ['letters', {}],
      ['deadly', { deadLetterPolicy }],
    ] as const
    for (const [name, more] of of)
      await this.asked(() => this.link.tell('CreateSubscription', (c) => c.subscription(name, name, more)))
    while (!this.stopping)
      await this.one([
        [3, () => this.#publish()],
        [10, () => this.#work()],
        [3, () => this.#read()],
      ])
    await this.#finish()
    this.link.close()
  }
  async #publish(): Promise<void> {
    const ids = Array.from({ length: 1 + this.below(5) }, () => `m/${this.#number++}`)
    for (const id of ids) this.#sent.add(id)
    const told = await this.link.tell('Publish', (calls) => calls.publish('deadly', ...ids))
    if (this.isDone('Publish', told)) for (const id of ids) this.#published.add(id)
  }
  async #pull(of: string): Promise<readonly m.ReceivedMessage[]> {
    const types = [m.pullRequest, m.pullResponse] as const
    const request = { subscription: `projects/p/subscriptions/${of}`, maxMessages: 20, returnImmediately: true }
    const told = await this.link.call('Subscriber/Pull', types, request)
    if (told.is === 'refused') this.problem(`Pull was refused: ${textOf(told.failure)}`)
    return told.is === 'answered' ? told.value.receivedMessages : []
  }
  async #work(): Promise<number> {
    const { deaths } = this.server
    const all = await this.#pull('deadly')
    for (const { message, ackId, deliveryAttempt } of all) {
      const id = Buffer.from(message!.data).toString()
      const ended = this.#ended.get(id) ?? 0
      if (!this.#sent.has(id)) this.problem(`${id} came, which nobody published`)
      if (this.#acknowledged.has(id)) this.problem(`${id} came after its acknowledgement`)
      if (deliveryAttempt <= ended) this.problem(`${id} came as attempt ${deliveryAttempt} after ${ended} that ended`)
      if (deliveryAttempt > attemptsMax) this.problem(`${id} came as attempt ${deliveryAttempt}`)
      const ends = isPoison(id)
        ? this.link.tell('a last ModifyAckDeadline', (calls) => calls.modifyDeadline('deadly', 0, ackId))
        : this.link.tell('Acknowledge', (calls) => calls.acknowledge('deadly', ackId))
      const told = await ends
      if (told.is === 'refused') this.problem(`what became of ${id} was refused: ${textOf(told.failure)}`)
      if (told.is === 'lost') this.#doubtful.add(id)
      if (told.is !== 'answered') continue
      if (!isPoison(id)) this.#acknowledged.add(id)
      // A delivery that was out at a death was none.
      else if (this.server.deaths === deaths) this.#ended.set(id, deliveryAttempt)
    }
    return all.length
  }
  async #read(): Promise<number> {
    const all = await this.#pull('letters')
    for (const { message, ackId } of all) {
      const id = Buffer.from(message!.data).toString()
      const attempts = message!.attributes.get('CloudPubSubDeadLetterSourceDeliveryCount')
      if (!isPoison(id)) this.problem(`${id} is a dead letter, and was acknowledged`)
      if (attempts !== String(attemptsMax)) this.problem(`${id} is a dead letter after ${attempts} deliveries`)
      if (!this.#buried.has(id)) this.count('dead letters')
      this.#buried.add(id)
      await this.link.tell('Acknowledge', (calls) => calls.acknowledge('letters', ackId))
    }
    return all.length
  }
  async #finish(): Promise<void> {
    let sinceMs = performance.now()
    const left = (): string[] =>
      [...this.#published].filter((id) =>
        isPoison(id) ? !this.#buried.has(id) : !this.#acknowledged.has(id) && !this.#doubtful.has(id),
      )
    while (left().length > 0 && performance.now() - sinceMs < silentMsMax)
      if ((await this.#work()) + (await this.#read()) > 0) sinceMs = performance.now()
      else await pause(100)
    const lost = left()
    if (lost.length > 0) this.problem(`${lost.length} never came to an end (${lost.slice(0, 5).join(', ')})`)
  }
}
