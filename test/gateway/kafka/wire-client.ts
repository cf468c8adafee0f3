/** A client of a few lines on the gateway's own codec: for what ordinary clients cannot be made to send. */
import { type Socket, connect } from 'node:net'
import { codecOf } from '../../../src/wire/kafka/codec/compile.ts'
import type { Api, AnyShape, Decoded, Encoded } from '../../../src/wire/kafka/codec/shape.ts'
import { WireReader, WireWriter } from '../../../src/wire/kafka/codec/wire.ts'
import { isFlexible, readResponseHead, writeRequestHead } from '../../../src/wire/kafka/header.ts'

export function requestFrame<Q extends AnyShape, A extends AnyShape>(
  api: Api<Q, A>,
  version: number,
  correlationId: number,
  request: Encoded<Q>,
): Buffer {
  const out = new WireWriter()
  writeRequestHead(out, api, version, correlationId, 'wire-client')
  codecOf(api.request, version, isFlexible(api, version)).encode(request, out)
  const body = Buffer.concat(out.take())
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length)
  return Buffer.concat([length, body])
}

export class WireClient {
  readonly socket: Socket
  private received = Buffer.alloc(0)
  private readonly waiting: { resolve: (frame: Buffer) => void; reject: (error: Error) => void }[] = []
  private readonly frames: Buffer[] = []
  private correlationId = 0
  readonly closed: Promise<void>
  isClosed = false

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes) => this.take(bytes))
    socket.on('error', () => {})
    this.closed = new Promise((resolve) =>
      socket.on('close', () => {
        this.isClosed = true
        for (const { reject } of this.waiting.splice(0)) reject(new Error('closed'))
        resolve()
      }),
    )
  }
  static async open(at: { host: string; port: number }): Promise<WireClient> {
    const socket = connect(at.port, at.host)
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return new WireClient(socket)
  }
  /** Over a socket that is there already, encrypted for example. */
  static over(socket: Socket): WireClient {
    return new WireClient(socket)
  }
  private take(bytes: Buffer): void {
    this.received = Buffer.concat([this.received, bytes])
    while (this.received.length >= 4 && this.received.length >= 4 + this.received.readInt32BE(0)) {
      const end = 4 + this.received.readInt32BE(0)
      const frame = this.received.subarray(4, end)
      this.received = this.received.subarray(end)
      const next = this.waiting.shift()
      if (next === undefined) this.frames.push(frame)
      else next.resolve(frame)
    }
  }
  /** The next frame that comes. */
  frame(): Promise<Buffer> {
    const ready = this.frames.shift()
    if (ready !== undefined) return Promise.resolve(ready)
    if (this.isClosed) return Promise.reject(new Error('closed'))
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }))
  }
  get unread(): number {
    return this.frames.length
  }
  send<Q extends AnyShape, A extends AnyShape>(api: Api<Q, A>, version: number, request: Encoded<Q>): number {
    const correlationId = ++this.correlationId
    this.socket.write(requestFrame(api, version, correlationId, request))
    return correlationId
  }
  async ask<Q extends AnyShape, A extends AnyShape>(
    api: Api<Q, A>,
    version: number,
    request: Encoded<Q>,
  ): Promise<Decoded<A>> {
    const correlationId = this.send(api, version, request)
    const answer = readAnswer(api, version, await this.frame())
    if (answer.correlationId !== correlationId)
      throw new Error(`answer to ${answer.correlationId}, not ${correlationId}`)
    return answer.value
  }
  close(): void {
    this.socket.destroy()
  }
}

export function readAnswer<Q extends AnyShape, A extends AnyShape>(
  api: Api<Q, A>,
  version: number,
  frame: Buffer,
): { correlationId: number; value: Decoded<A> } {
  const input = new WireReader(frame)
  const correlationId = readResponseHead(input, api, version)
  const value = codecOf(api.response, version, isFlexible(api, version)).decode(input)
  if (input.left !== 0) throw new Error(`${input.left} bytes after the answer`)
  return { correlationId, value }
}
