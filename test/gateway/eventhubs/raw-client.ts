/** A client of AMQP on our own codec, frame by frame: what official clients never send can be sent. */
import { once } from 'node:events'
import { type Socket, connect } from 'node:net'
import { ByteWriter } from '../../../src/lib/bytes.ts'
import {
  type Composite,
  type Fields,
  type Given,
  type Shape,
  attach,
  begin,
  detach,
  disposition,
  error,
  fieldsOf,
  flow,
  isOf,
  open,
  properties,
  saslInit,
  saslMechanisms,
  saslOutcome,
  source,
  target,
  transfer,
  valueOf,
  write,
} from '../../../src/wire/amqp/composites.ts'
import {
  FrameReader,
  beginFrame,
  endFrame,
  frameType,
  protocolHeader,
  protocolId,
} from '../../../src/wire/amqp/frames.ts'
import { Sections, batchFormat, section } from '../../../src/wire/amqp/sections.ts'
import {
  type Entries,
  type Value,
  ValueReader,
  entryOf,
  numberOf,
  symbol,
  text,
  textOf,
  writeMap,
  writeValue,
} from '../../../src/wire/amqp/values.ts'

export interface Performative {
  readonly channel: number
  readonly value: Value
  readonly payload: Buffer
}
export interface OpenOptions {
  readonly port: number
  /** null: no SASL at all. */
  readonly sasl?: { readonly mechanism: string; readonly response?: Buffer } | null
  readonly open?: Partial<Given<typeof open>>
  readonly incomingWindow?: number
  /** One that is connected already, whatever it goes over. */
  readonly socket?: Socket
}
const withinMsDefault = 5_000

export class RawClient implements AsyncDisposable {
  readonly socket: Socket
  readonly #reader = new FrameReader(1024 * 1024)
  readonly #found: Performative[] = []
  readonly #waiting: (() => void)[] = []
  #mode: 'header' | 'frames' = 'header'
  isClosed = false
  /** Takes performatives before they are kept; true: it has. For those that count a million of them. */
  intercept: ((value: Performative) => boolean) | null = null
  saslCode: number | null = null
  opened: Fields<typeof open> | null = null
  #nextHandle = 0
  #nextDelivery = 0

  constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (bytes: Buffer) => this.#take(bytes))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isClosed = true
      this.#wake()
    })
  }
  static async connect(port: number): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new RawClient(socket)
  }
  /** With one session, on channel 0. */
  static async open({
    port,
    sasl = { mechanism: 'ANONYMOUS' },
    open: asked,
    incomingWindow = 0xffff_ffff,
    socket,
  }: OpenOptions): Promise<RawClient> {
    const client = socket === undefined ? await RawClient.connect(port) : new RawClient(socket)
    if (sasl !== null && !(await client.authenticate(sasl.mechanism, sasl.response))) return client
    client.socket.write(protocolHeader(protocolId.amqp))
    client.write(0, open, { containerId: 'raw', hostname: 'localhost', ...asked })
    client.write(0, begin, { nextOutgoingId: 0, incomingWindow, outgoingWindow: 1_000_000, handleMax: 255 })
    client.opened = fieldsOf((await client.next(open)).value, open)
    await client.next(begin)
    return client
  }
  async authenticate(mechanism: string, response?: Buffer): Promise<boolean> {
    this.socket.write(protocolHeader(protocolId.sasl))
    await this.next(saslMechanisms)
    this.#writeFrame(frameType.sasl, 0, saslInit, { mechanism, initialResponse: response ?? null })
    const { code } = fieldsOf((await this.next(saslOutcome)).value, saslOutcome)
    this.saslCode = code
    this.#mode = 'header'
    return code === 0
  }

  #take(bytes: Buffer): void {
    this.#reader.give(bytes)
    for (;;) {
      if (this.#mode === 'header') {
        const header = this.#reader.header()
        if (header === null) break
        this.#mode = 'frames'
        continue
      }
      const frame = this.#reader.frame()
      if (frame === null) break
      const reader = new ValueReader(frame.body)
      const value: Value = frame.body.length === 0 ? { type: 'null', value: null } : reader.value()
      // The second header follows the outcome of SASL.
      if (isOf(value, saslOutcome)) this.#mode = 'header'
      const performative = { channel: frame.channel, value, payload: frame.body.subarray(reader.at) }
      if (this.intercept?.(performative) === true) continue
      this.#found.push(performative)
    }
    this.#wake()
  }
  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }
  /** The next one of this kind; others stay. Throws when none comes. */
  async next(of: Composite | 'sign of life', withinMs = withinMsDefault): Promise<Performative> {
    const fits = ({ value }: Performative): boolean => (of === 'sign of life' ? value.type === 'null' : isOf(value, of))
    const giveUp = performance.now() + withinMs
    for (;;) {
      const at = this.#found.findIndex(fits)
      if (at >= 0) return this.#found.splice(at, 1)[0]!
      const leftMs = giveUp - performance.now()
      const what = of === 'sign of life' ? of : of.name
      if (leftMs <= 0 || this.isClosed)
        throw new Error(
          `${what} did not come; there is ${JSON.stringify(
            this.#found.map(({ value }) => value),
            bigText,
          )}`,
        )
      await new Promise<void>((wake) => {
        const timer = setTimeout(wake, leftMs)
        this.#waiting.push(() => {
          clearTimeout(timer)
          wake()
        })
      })
    }
  }
  /** What came and nobody asked for. */
  get left(): readonly Performative[] {
    return this.#found
  }
  write<S extends Shape>(channel: number, of: Composite<S>, given: Given<Composite<S>>, payload?: Uint8Array): void {
    this.#writeFrame(frameType.amqp, channel, of, given, payload)
  }
  #writeFrame<S extends Shape>(
    type: number,
    channel: number,
    of: Composite<S>,
    given: Given<Composite<S>>,
    payload?: Uint8Array,
  ): void {
    const out = new ByteWriter(512 + (payload?.length ?? 0))
    const start = beginFrame(out, type, channel)
    write(out, of, given)
    if (payload !== undefined) out.raw(payload)
    endFrame(out, start)
    this.socket.write(Buffer.from(out.done()))
  }

  async sender(address: string, more: Partial<Given<typeof attach>> = {}): Promise<RawSender> {
    const handle = this.#nextHandle++
    const given = {
      source: valueOf(source, { address: text('raw') }),
      target: valueOf(target, { address: text(address) }),
    }
    this.write(0, attach, { name: `sender ${handle}`, handle, role: false, initialDeliveryCount: 0, ...given, ...more })
    const attached = fieldsOf((await this.next(attach)).value, attach)
    return new RawSender(this, handle, attached)
  }
  async receiver(address: string, options: ReceiverOptions = {}): Promise<RawReceiver> {
    const handle = this.#nextHandle++
    const { selector, epoch, name = `receiver ${handle}`, credit = 0, attach: more } = options
    const filter: Entries | null =
      selector === undefined
        ? null
        : [
            [
              symbol('apache.org:selector-filter:string'),
              { type: 'described', descriptor: { type: 'ulong', value: 0x468c00000004n }, value: text(selector) },
            ],
          ]
    const linkProperties: Entries = [
      [symbol('com.microsoft:receiver-name'), text(name)],
      ...(epoch === undefined
        ? []
        : [[symbol('com.microsoft:epoch'), { type: 'long', value: BigInt(epoch) }] as const]),
    ]
    this.write(0, attach, {
      name,
      handle,
      role: true,
      source: valueOf(source, { address: text(address), filter }),
      target: valueOf(target, { address: text('raw') }),
      properties: linkProperties,
      ...more,
    })
    const receiver = new RawReceiver(this, handle)
    if (credit > 0) receiver.credit(credit)
    receiver.attached = fieldsOf((await this.next(attach)).value, attach)
    return receiver
  }
  nextDelivery(): number {
    return this.#nextDelivery++
  }
  /** Why the link with this handle was detached. */
  async detached(withinMs?: number): Promise<{ handle: number; condition: string | null; description: string | null }> {
    const found = fieldsOf((await this.next(detach, withinMs)).value, detach)
    const why = found.error === null ? null : fieldsOf(found.error, error)
    return { handle: found.handle, condition: why?.condition ?? null, description: why?.description ?? null }
  }
  /** What `$cbs` or `$management` answers. */
  async ask(node: string, application: Entries, body: Value = { type: 'null', value: null }): Promise<Answered> {
    const sender = await this.sender(node)
    const reply = text(`reply ${this.#nextHandle}`)
    const receiver = await this.receiver(node, { credit: 1, attach: { target: valueOf(target, { address: reply }) } })
    const out = new ByteWriter(512)
    write(out, properties, { messageId: text('1'), replyTo: reply })
    out.raw(Buffer.from([0, 0x53, section.applicationProperties]))
    writeMap(out, application)
    out.raw(Buffer.from([0, 0x53, section.value]))
    writeValue(out, body)
    sender.post(Buffer.from(out.done()))
    const [answer] = await receiver.take(1)
    const status = numberOf(entryOf(answer!.application, 'status-code'))!
    const condition = textOf(entryOf(answer!.application, 'error-condition'))
    return { status, condition, body: answer!.body }
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy()
    if (!this.isClosed) await once(this.socket, 'close')
  }
}
const bigText = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value)
export interface Answered {
  readonly status: number
  readonly condition: string | null
  readonly body: Value | null
}
export interface ReceiverOptions {
  readonly selector?: string
  readonly epoch?: number
  readonly name?: string
  readonly credit?: number
  readonly attach?: Partial<Given<typeof attach>>
}

export class RawSender {
  readonly #client: RawClient
  readonly handle: number
  readonly attached: Fields<typeof attach>

  constructor(client: RawClient, handle: number, attached: Fields<typeof attach>) {
    this.#client = client
    this.handle = handle
    this.attached = attached
  }
  /** Without waiting; in frames of so many bytes of payload. */
  post(message: Buffer, format = 0, frameBytes = 60_000): number {
    const deliveryId = this.#client.nextDelivery()
    for (let at = 0; at === 0 || at < message.length; at += frameBytes)
      this.#client.write(
        0,
        transfer,
        {
          handle: this.handle,
          deliveryId,
          deliveryTag: Buffer.from(String(deliveryId)),
          messageFormat: format,
          settled: false,
          more: at + frameBytes < message.length,
        },
        message.subarray(at, at + frameBytes),
      )
    return deliveryId
  }
  /** null: accepted; else the condition. */
  async send(message: Buffer, format = 0, frameBytes?: number): Promise<string | null> {
    const id = this.post(message, format, frameBytes)
    for (;;) {
      const found = fieldsOf((await this.#client.next(disposition)).value, disposition)
      const { first, last, state } = found
      if (id < first || id > (last ?? first)) continue
      if (state?.type !== 'described' || state.descriptor.type !== 'ulong') return 'no state'
      if (state.descriptor.value === 0x24n) return null
      const why = state.value.type === 'list' ? state.value.value[0] : undefined
      return why?.type === 'described' ? fieldsOf(why, error).condition : 'rejected'
    }
  }
  sendBatch(messages: readonly Buffer[], key?: string): Promise<string | null> {
    return this.send(batchOf(messages, key), batchFormat)
  }
  detach(closed = true): void {
    this.#client.write(0, detach, { handle: this.handle, closed })
  }
}

export interface ReceivedEvent {
  readonly annotations: Entries
  readonly application: Entries
  readonly properties: Fields<typeof properties> | null
  readonly data: Buffer | null
  readonly body: Value | null
  readonly bytes: Buffer
}
const sections = new Sections()
export function eventOf(bytes: Buffer): ReceivedEvent {
  let data: Buffer | null = null
  sections.scan(bytes, 0, bytes.length, (from, to) => (data = bytes.subarray(from, to)))
  const value = (code: number): Value | null =>
    sections.has(code) ? new ValueReader(bytes, sections.from(code), sections.to(code)).value() : null
  const mapAt = (code: number): Entries => {
    const found = value(code)
    return found?.type === 'map' ? found.value : []
  }
  const found = value(section.properties)
  return {
    annotations: mapAt(section.messageAnnotations),
    application: mapAt(section.applicationProperties),
    properties:
      found === null
        ? null
        : fieldsOf({ type: 'described', descriptor: { type: 'ulong', value: 0x73n }, value: found }, properties),
    data,
    body: value(section.value),
    bytes,
  }
}
export const sequenceOf = ({ annotations }: ReceivedEvent): number | null =>
  numberOf(entryOf(annotations, 'x-opt-sequence-number'))

export class RawReceiver {
  readonly #client: RawClient
  readonly handle: number
  attached: Fields<typeof attach> | null = null
  #parts: Buffer[] = []
  #count = 0

  constructor(client: RawClient, handle: number) {
    this.#client = client
    this.handle = handle
  }
  /** Beyond what has been received. */
  credit(linkCredit: number, more: Partial<Given<typeof flow>> = {}): void {
    this.#client.write(0, flow, {
      nextIncomingId: 0,
      incomingWindow: 0xffff_ffff,
      nextOutgoingId: 0,
      outgoingWindow: 1_000_000,
      handle: this.handle,
      deliveryCount: this.#count,
      linkCredit,
      ...more,
    })
  }
  /** So many events. */
  async take(count: number, withinMs?: number): Promise<ReceivedEvent[]> {
    const events: ReceivedEvent[] = []
    while (events.length < count) {
      const { value, payload } = await this.#client.next(transfer, withinMs)
      this.#parts.push(payload)
      if (fieldsOf(value, transfer).more === true) continue
      events.push(eventOf(Buffer.concat(this.#parts)))
      this.#parts = []
      this.#count++
    }
    return events
  }
  detach(closed = true): void {
    this.#client.write(0, detach, { handle: this.handle, closed })
  }
}

export interface Message {
  readonly body: Uint8Array | Value
  readonly application?: Entries
  readonly annotations?: Entries
  readonly properties?: Given<typeof properties>
}
export function message({ body, application, annotations, properties: given }: Message): Buffer {
  const out = new ByteWriter(256)
  const map = (code: number, entries: Entries | undefined): void => {
    if (entries === undefined) return
    out.raw(Buffer.from([0, 0x53, code]))
    writeMap(out, entries)
  }
  map(section.messageAnnotations, annotations)
  if (given !== undefined) write(out, properties, given)
  map(section.applicationProperties, application)
  const isData = body instanceof Uint8Array
  out.raw(Buffer.from([0, 0x53, isData ? section.data : section.value]))
  writeValue(out, isData ? { type: 'binary', value: Buffer.from(body) } : body)
  return Buffer.from(out.done())
}
export function batchOf(messages: readonly Buffer[], key?: string): Buffer {
  const out = new ByteWriter(1024)
  if (key !== undefined) {
    out.raw(Buffer.from([0, 0x53, section.messageAnnotations]))
    writeMap(out, [[symbol('x-opt-partition-key'), text(key)]])
  }
  for (const one of messages) {
    out.raw(Buffer.from([0, 0x53, section.data]))
    writeValue(out, { type: 'binary', value: one })
  }
  return Buffer.from(out.done())
}
