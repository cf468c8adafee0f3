/**
 * Messages of a client on their way into the log, and their answers: in the order in which they came, when each is durable.
 */
import { limits } from '../../lib/limits.ts'
import { carriedProperties } from '../../log/mqtt-message.ts'
import { type Ack, type Publish, type Qos, writeAck } from '../../wire/mqtt/packets.ts'
import { MqttError, type Reason, reason } from '../../wire/mqtt/reason.ts'
import type { ClientConnection } from './connection.ts'

/** An answer that is owed, in order. */
interface Owed {
  readonly id: number
  readonly qos: Qos
  readonly bytes: number
  code: Reason | null
  why: string | undefined
}

export class Arrivals {
  readonly #of: ClientConnection
  #owed: Owed[] = []
  #bytesInFlight = 0
  /** Messages with QoS 0 on their way. */
  #loose = 0
  #onSettled: (() => void) | null = null
  #throttledUntilMs = 0

  constructor(of: ClientConnection) {
    this.#of = of
  }
  /** No more is to be read now. */
  get isFull(): boolean {
    return (
      this.#owed.length >= limits.mqttReceiveMaximum * 2 ||
      this.#loose >= limits.mqttReceiveMaximum * 2 ||
      (this.#bytesInFlight > 0 && this.#of.server.isFull) ||
      this.#throttledUntilMs > 0
    )
  }
  publish(publish: Publish, bytes: number): void {
    const topic = this.#of.aliases.topicOf(publish)
    const { qos, id } = publish
    const session = this.#of.session!
    const owed: Owed | null = qos === 0 ? null : { id, qos, bytes, code: null, why: undefined }
    if (owed !== null) {
      if (this.#of.version === 5 && this.#owed.length + session.incoming.size >= limits.mqttReceiveMaximum)
        throw new MqttError(reason.receiveMaximumExceeded, `more than ${limits.mqttReceiveMaximum} messages under way`)
      this.#owed.push(owed)
    } else this.#loose++
    this.#bytesInFlight += bytes
    this.#of.server.took(bytes)
    this.#throttle(bytes)
    const done = (code: Reason, why?: string): void => {
      this.#of.server.letGo(bytes)
      this.#bytesInFlight -= bytes
      if (owed !== null) this.#settle(owed, code, why)
      else {
        this.#loose--
        if (code !== reason.success) this.#of.server.complain('mqtt: a message with QoS 0 was refused', { topic, why })
      }
      this.#after()
    }
    if (qos === 2 && !session.arrives(id, done)) return
    const { payload, retain, properties } = publish
    this.#of.server.hub.publish(
      { topic, payload: Buffer.from(payload), qos, retain, properties: carriedProperties(properties) },
      { subject: this.#of.subject, session, packetId: qos === 2 && session.isKept ? id : null },
      {
        stored: () => (qos === 2 ? session.arrived(id, reason.success) : done(reason.success)),
        refused: (code, why) => (qos === 2 ? session.arrived(id, code, why) : done(code, why)),
      },
    )
    this.#of.read()
  }
  #throttle(bytes: number): void {
    const { quotas } = this.#of.server.security
    const waitMs = quotas.charge(
      'producer_byte_rate',
      { user: this.#of.subject.principal.name, clientId: this.#of.clientId },
      bytes,
    )
    if (waitMs <= 0) return
    const until = this.#of.server.clock.monotonic() + waitMs
    this.#throttledUntilMs = until
    this.#of.server.clock.after(waitMs, () => {
      if (this.#throttledUntilMs !== until) return
      this.#throttledUntilMs = 0
      this.#of.read()
    })
  }
  #settle(owed: Owed, code: Reason, why?: string): void {
    owed.code = code
    owed.why = this.#of.saysWhy ? why : undefined
    if (!this.#of.isRunning) return
    let sent = 0
    while (sent < this.#owed.length && this.#owed[sent]!.code !== null) {
      if (!this.#answer(this.#owed[sent++]!)) return
    }
    if (sent > 0) this.#owed.splice(0, sent)
  }
  /** False: the connection is over. A refusal has no form in 3.1.1: the client must not believe that it was taken. */
  #answer({ id, qos, code, why }: Owed): boolean {
    if (this.#of.version !== 5 && code !== reason.success) {
      this.#of.failed(new MqttError(code!, why ?? 'a message was refused'))
      return false
    }
    const type = qos === 1 ? 'puback' : 'pubrec'
    const { version } = this.#of
    this.#of.write((out) => writeAck(out, version, { type, id, reason: code! }, why))
    return true
  }
  #after(): void {
    if (this.#owed.length === 0 && this.#loose === 0) {
      const settled = this.#onSettled
      this.#onSettled = null
      settled?.()
    }
    this.#of.read()
  }
  release({ id }: Ack): void {
    const session = this.#of.session!
    const isKnown = session.incoming.delete(id)
    const { version } = this.#of
    // Also of a number that is free already: the client did not get our word for it, and is right to say it again.
    const answer = (): void => {
      if (!this.#of.isRunning) return
      this.#of.write((out) => writeAck(out, version, { type: 'pubcomp', id, reason: reason.success }))
    }
    if (!isKnown || !session.isKept) return answer()
    // The client may use the number for another message then.
    this.#of.server.hub.store
      .released(session, id, () => this.#of.isRunning)
      .then(answer, (error: unknown) => {
        session.incoming.add(id)
        this.#of.failed(error)
      })
  }

  /** What came before is in the log. */
  settled(): Promise<void> {
    if (this.#owed.length === 0 && this.#loose === 0) return Promise.resolve()
    return new Promise((resolve) => (this.#onSettled = resolve))
  }
  end(): void {
    const settled = this.#onSettled
    this.#onSettled = null
    settled?.()
  }
}
