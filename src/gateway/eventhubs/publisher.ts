/** A link on which a client sends events to a hub: transfers put together, stored, and answered when they are durable. */
import { ByteWriter } from '../../lib/bytes.ts'
import { limits } from '../../lib/limits.ts'
import type { TopicInfo } from '../../log/log.ts'
import type { Subject } from '../../security/authorizer.ts'
import { isOf, transactionalState } from '../../wire/amqp/composites.ts'
import { type Address, partitionOf } from './address.ts'
import { type Refusal, Refused, condition, refusalOf } from './conditions.ts'
import { recordsOf } from './event-in.ts'
import { type Attach, type Flow, Link, type Transfer } from './link.ts'
import type { Session } from './session.ts'

const none = Buffer.alloc(0)
/** A message that has not come whole. */
interface Incoming {
  readonly deliveryId: number
  readonly format: number
  isSettled: boolean
  /** The first transfer's bytes as they came; copied where more follow: a few bytes must not hold what they came with. */
  first: Buffer
  more: ByteWriter | null
  bytes: number
}

export class Publisher extends Link {
  readonly #hub: string
  readonly #partitionText: string | null
  /** Key of all events, where the link is a publisher's own. */
  readonly #key: Buffer | null
  readonly #path: readonly string[]
  #subject: Subject | null = null
  #topic: TopicInfo | null = null
  #partition: number | null = null
  #incoming: Incoming | null = null
  #deliveryCount = 0
  #credit = 0

  constructor(session: Session, asked: Attach, { hub, partition, publisher }: Extract<Address, { node: 'hub' }>) {
    super(session, asked)
    this.#hub = hub
    this.#partitionText = partition
    this.#key = publisher === null ? null : Buffer.from(publisher)
    const below = partition === null ? (publisher === null ? [] : ['publishers', publisher]) : ['partitions', partition]
    this.#path = [hub, ...below].map((part) => part.toLowerCase())
    this.#deliveryCount = asked.initialDeliveryCount ?? 0
  }
  async start(): Promise<void> {
    const { connection } = this.session
    this.#subject = connection.subjectFor(this.#path)
    const topic = await connection.hubs.topicToWrite(this.#hub, this.#subject)
    if (this.#partitionText !== null) this.#partition = partitionOf(this.#partitionText, topic.partitions)
    this.#topic = topic
    this.session.attached(this, { maxMessageSize: BigInt(limits.amqpMessageBytes) })
    this.#giveCredit()
  }
  override expired(): Refusal | null {
    return this.session.connection.expired(this.#path)
  }
  #giveCredit(): void {
    if (this.state !== 'open') return
    this.#credit = limits.amqpCredit
    this.session.writeFlow({ handle: this.handle, deliveryCount: this.#deliveryCount, linkCredit: this.#credit })
  }
  onFlow({ echo }: Flow): void {
    if (echo === true) this.#giveCredit()
  }

  override onTransfer(asked: Transfer, payload: Buffer): void {
    const incoming = (this.#incoming ??= this.#begin(asked))
    if (asked.aborted === true) return this.#abandoned()
    if (asked.state !== null && isOf(asked.state, transactionalState)) this.#refuseTransaction()
    const bytes = incoming.bytes + payload.length
    if (asked.settled === true) incoming.isSettled = true
    if (bytes > limits.amqpMessageBytes) return this.#tooLarge(bytes)
    if (asked.more === true || incoming.more !== null) {
      incoming.more ??= new ByteWriter(Math.max(payload.length * 2, 1_024))
      incoming.more.raw(payload)
      incoming.bytes = bytes
      this.session.connection.countPartial(payload.length)
      if (asked.more === true) return
    } else {
      incoming.first = payload
      incoming.bytes = bytes
    }
    this.#forgetPartial()
    this.#counted()
    this.#store(incoming)
  }
  #begin({ deliveryId, messageFormat, settled }: Transfer): Incoming {
    if (deliveryId === null) throw new Refused(condition.invalidField, 'The first transfer of a delivery has its id.')
    if (this.#credit <= 0)
      throw new Refused(condition.transferLimit, 'More was sent than the credit of the link allows.')
    return { deliveryId, format: messageFormat ?? 0, isSettled: settled === true, first: none, more: null, bytes: 0 }
  }
  /** What would go with others or not at all must not be stored by itself. Throws Refused. */
  #refuseTransaction(): never {
    this.#forgetPartial()
    throw new Refused(condition.notImplemented, 'Transactions are not offered: the message was not stored.')
  }
  #forgetPartial(): void {
    const incoming = this.#incoming
    this.#incoming = null
    if (incoming !== null && incoming.more !== null) this.session.connection.countPartial(-incoming.bytes)
  }
  #abandoned(): void {
    this.#forgetPartial()
    this.#counted()
  }
  #counted(): void {
    this.#deliveryCount = (this.#deliveryCount + 1) >>> 0
    this.#credit--
  }
  #tooLarge(bytes: number): void {
    this.#forgetPartial()
    this.session.detachLink(this, {
      condition: condition.messageSize,
      description: `The received message (delivery-id:${this.#deliveryCount}, size:${bytes} bytes) exceeds the limit (${limits.amqpMessageBytes} bytes) currently allowed on the link.`,
    })
  }

  #store({ deliveryId, format, isSettled, first, more, bytes }: Incoming): void {
    const { session } = this
    const { connection } = session
    const body = more === null ? first : more.done()
    let stored: Promise<void>
    try {
      const { clock } = connection.hubs.parts.world
      const events = recordsOf(body, format, clock.now())
      const key = this.#key
      const records = key === null ? events : events.map((event) => ({ ...event, key }))
      connection.hubs.allow(this.#subject!, 'write', 'topic', this.#topic!.name)
      // A hub may have more partitions by now, or be gone.
      const topic = connection.hubs.topic(this.#topic!.name)
      connection.charge('producer_byte_rate', this.#subject!, bytes)
      stored = connection.hubs.store(topic, this.#partition, records, bytes)
    } catch (error) {
      stored = Promise.reject(error as Error)
    }
    connection.waiting(bytes)
    connection.run(async () => {
      let refusal: Refusal | null = null
      try {
        await stored
      } catch (error) {
        refusal = refusalOf(error)
        connection.noteRefusal(this.name, refusal)
      }
      connection.waiting(-bytes)
      if (!isSettled && refusal === null) session.accept(deliveryId)
      else if (!isSettled && refusal !== null) session.reject(deliveryId, refusal)
      if (this.#credit <= limits.amqpCredit / 2) this.#giveCredit()
    })
  }
  onGone(): void {
    this.#forgetPartial()
  }
}
