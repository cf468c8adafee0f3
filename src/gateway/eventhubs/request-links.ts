/** Links of the nodes that are asked and answer: `$cbs` (tokens) and `$management` (facts of hubs and partitions). */
import { ByteWriter } from '../../lib/bytes.ts'
import { limits } from '../../lib/limits.ts'
import { listFields, properties, write } from '../../wire/amqp/composites.ts'
import { endFrame } from '../../wire/amqp/frames.ts'
import { Sections, section } from '../../wire/amqp/sections.ts'
import {
  type Entries,
  type Value,
  ValueReader,
  int,
  nothing,
  text,
  textOf,
  writeMap,
  writeValue,
} from '../../wire/amqp/values.ts'
import type { Address } from './address.ts'
import { answerToken } from './cbs.ts'
import { Refused, condition, refusalOf, statusOf } from './conditions.ts'
import { type Answer, type Request } from './request.ts'
import { type Attach, type Flow, Link, type Transfer } from './link.ts'
import { answerManagement } from './management.ts'
import type { Session } from './session.ts'
import { beginTransfer, transferOverheadBytes } from './transfers.ts'

type Node = Extract<Address, { node: '$cbs' | '$management' }>
const sections = new Sections()
/** Throws Fault wire.malformed. */
function requestOf(bytes: Buffer): Request {
  sections.scan(bytes, 0, bytes.length)
  const at = (code: number): Value => new ValueReader(bytes, sections.from(code), sections.to(code)).value()
  const found = sections.has(section.properties) ? listFields(at(section.properties), properties) : null
  const application = sections.has(section.applicationProperties) ? at(section.applicationProperties) : null
  return {
    messageId: found?.messageId ?? found?.correlationId ?? nothing,
    replyTo: textOf(found?.replyTo ?? null),
    application: application?.type === 'map' ? application.value : [],
    body: sections.has(section.value) ? at(section.value) : sections.has(section.data) ? at(section.data) : nothing,
  }
}

export class RequestLink extends Link {
  readonly #address: Node
  #more: ByteWriter | null = null
  #deliveryId = 0
  #deliveryCount: number
  #credit = 0

  constructor(session: Session, asked: Attach, address: Node) {
    super(session, asked)
    this.#address = address
    this.#deliveryCount = asked.initialDeliveryCount ?? 0
  }
  start(): void {
    this.session.attached(this, { maxMessageSize: BigInt(limits.amqpMessageBytes) })
    this.#giveCredit()
  }
  #giveCredit(): void {
    this.#credit = requestCredit
    this.session.writeFlow({ handle: this.handle, deliveryCount: this.#deliveryCount, linkCredit: this.#credit })
  }
  onFlow({ echo }: Flow): void {
    if (echo === true) this.#giveCredit()
  }
  override onTransfer({ deliveryId, more, settled, aborted }: Transfer, payload: Buffer): void {
    if (this.#more === null) this.#deliveryId = deliveryId ?? this.#deliveryId
    if ((this.#more?.at ?? 0) + payload.length > limits.amqpTokenLength * 4)
      throw new Refused(condition.messageSize, 'The request is too long.')
    const isLast = more !== true || aborted === true
    if (!isLast || this.#more !== null) (this.#more ??= new ByteWriter(1_024)).raw(payload)
    if (!isLast) return
    const message = this.#more === null ? payload : this.#more.done()
    this.#more = null
    this.#deliveryCount = (this.#deliveryCount + 1) >>> 0
    if (--this.#credit <= requestCredit / 2) this.#giveCredit()
    if (aborted === true) return
    const id = this.#deliveryId
    try {
      const request = requestOf(message)
      this.session.connection.run(() => this.#answer(request))
      if (settled !== true) this.session.accept(id)
    } catch (error) {
      this.session.reject(id, refusalOf(error))
    }
  }
  async #answer(request: Request): Promise<void> {
    const { connection } = this.session
    const { node } = this.#address
    let answer: Answer
    let reason = ''
    try {
      answer =
        this.#address.node === '$cbs'
          ? await answerToken(connection, request)
          : await answerManagement(connection, request, this.#address.hub)
    } catch (error) {
      const refusal = refusalOf(error)
      connection.noteRefusal(node, refusal)
      if (node === '$cbs' && refusal.condition === condition.unauthorized) connection.tokenRefused(refusal)
      reason = refusal.condition
      answer = { status: statusOf(refusal), description: refusal.description, body: nothing }
    }
    connection.answerLink(node, request.replyTo)?.send(messageOf(request, answer, reason))
  }
  onGone(): void {
    this.#more = null
  }
}
const requestCredit = 100

/** Clients look for the status under one of two names. */
function messageOf({ messageId }: Request, { status, description, body }: Answer, reason: string): Buffer {
  const out = new ByteWriter(512)
  write(out, properties, { correlationId: messageId })
  const named = (names: readonly string[], value: Value): Entries => names.map((name) => [text(name), value] as const)
  out.raw(Buffer.from([0, 0x53, section.applicationProperties]))
  writeMap(out, [
    ...named(['status-code', 'statusCode'], int(status)),
    ...named(['status-description', 'statusDescription'], text(description)),
    ...(reason === '' ? [] : named(['error-condition', 'errorCondition'], { type: 'symbol', value: reason })),
  ])
  out.raw(Buffer.from([0, 0x53, section.value]))
  writeValue(out, body)
  return out.done()
}

export class AnswerLink extends Link {
  readonly node: Node['node']
  readonly #waiting: Buffer[] = []
  #credit = 0
  #deliveryCount = 0

  constructor(session: Session, asked: Attach, { node }: Node) {
    super(session, asked)
    this.node = node
  }
  start(): void {
    this.session.attached(this)
    this.session.connection.addAnswerLink(this)
    this.resume()
  }
  /** Where the client said that its answers go. */
  get replyAddress(): string | null {
    const { target } = this.asked
    return target?.type === 'described' && target.value.type === 'list' ? textOf(target.value.value[0]) : null
  }
  send(message: Buffer): void {
    if (this.#waiting.length >= limits.amqpAnswers)
      return this.session.detachLink(this, {
        condition: condition.resourceLimit,
        description: 'Answers are not taken.',
      })
    this.#waiting.push(message)
    this.resume()
  }
  onFlow({ deliveryCount, linkCredit, drain }: Flow): void {
    if (linkCredit !== null) this.#credit = Math.max(0, ((deliveryCount ?? 0) + linkCredit - this.#deliveryCount) | 0)
    if (this.state !== 'open') return
    this.resume()
    if (drain !== true) return
    this.#deliveryCount = (this.#deliveryCount + this.#credit) >>> 0
    this.#credit = 0
    const { handle } = this
    this.session.writeFlow({ handle, deliveryCount: this.#deliveryCount, linkCredit: 0, drain: true })
  }
  override resume(): void {
    const { session, handle } = this
    while (this.state === 'open' && this.#credit > 0 && this.#waiting.length > 0) {
      const message = this.#waiting.shift()!
      const { out, remoteFrameMax } = session.connection
      const { channel, nextDeliveryId: deliveryId } = session
      session.nextDeliveryId = (deliveryId + 1) >>> 0
      this.#deliveryCount = (this.#deliveryCount + 1) >>> 0
      this.#credit--
      const room = remoteFrameMax - transferOverheadBytes
      for (let at = 0; at < message.length; at += room) {
        const start = beginTransfer(out, { channel, handle, deliveryId, isSettled: true }, at + room < message.length)
        out.raw(message.subarray(at, at + room))
        endFrame(out, start)
        session.remoteWindow--
        session.nextOutgoingId = (session.nextOutgoingId + 1) >>> 0
      }
      session.connection.wrote()
    }
  }
  onGone(): void {
    this.#waiting.length = 0
    this.session.connection.removeAnswerLink(this)
  }
}
