/**
 * The server's side of a WebSocket (RFC 6455) that carries MQTT: handshake and frames as bytes, without I/O. What a client
 * sends is one stream, however it is cut into messages; what it gets is one binary message for each write.
 */
import { createHash } from 'node:crypto'

export const webSocketPath = '/mqtt'
const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const requestBytesMax = 8 * 1024
const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const
const controlBytesMax = 125

/** What a web page says of where it is from; whether it may come is another's business. */
export interface Handshake {
  readonly host: string
  readonly origin: string | null
}
interface Events {
  /** MQTT's own bytes; only valid during the call. */
  bytes(bytes: Uint8Array): void
  answer(bytes: Uint8Array): void
  /** After what was answered. */
  end(): void
  admits(handshake: Handshake): boolean
}

export class WebSocketReader {
  readonly #events: Events
  #request: Buffer | null = Buffer.alloc(0)
  #isOver = false
  // The frame under way: what is left of it, its mask, and how much of it has passed.
  #left = 0
  #opcode = 0
  #mask = Buffer.alloc(4)
  #passed = 0
  #head = Buffer.alloc(0)
  #control: Buffer[] = []

  constructor(events: Events) {
    this.#events = events
  }
  get isOpen(): boolean {
    return this.#request === null && !this.#isOver
  }
  feed(bytes: Uint8Array): void {
    let rest = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    if (this.#isOver) return
    if (this.#request !== null) {
      this.#request = Buffer.concat([this.#request, rest])
      const end = this.#request.indexOf('\r\n\r\n')
      if (end < 0) {
        if (this.#request.length > requestBytesMax) this.#refuse('431 Request Header Fields Too Large')
        return
      }
      rest = this.#request.subarray(end + 4)
      const text = this.#request.toString('latin1', 0, end)
      this.#request = null
      this.#shake(text)
    }
    while (rest.length > 0 && !this.#isOver) rest = this.#left > 0 ? this.#payload(rest) : this.#header(rest)
  }

  #shake(text: string): void {
    const [line = '', ...lines] = text.split('\r\n')
    const headers = new Map(
      lines.map((one) => {
        const colon = one.indexOf(':')
        return [one.slice(0, colon).toLowerCase(), one.slice(colon + 1).trim()]
      }),
    )
    const [method, target = ''] = line.split(' ')
    const words = (name: string): string[] => (headers.get(name) ?? '').toLowerCase().split(/\s*,\s*/)
    const key = headers.get('sec-websocket-key') ?? ''
    if (target.split('?')[0] !== webSocketPath) return this.#refuse('404 Not Found')
    if (method !== 'GET' || !words('upgrade').includes('websocket') || !words('connection').includes('upgrade'))
      return this.#refuse('426 Upgrade Required', 'Upgrade: websocket\r\n')
    if (headers.get('sec-websocket-version') !== '13')
      return this.#refuse('426 Upgrade Required', 'Sec-WebSocket-Version: 13\r\n')
    if (Buffer.from(key, 'base64').length !== 16) return this.#refuse('400 Bad Request')
    const protocol = words('sec-websocket-protocol').find((one) => one === 'mqtt' || one === 'mqttv3.1')
    if (protocol === undefined) return this.#refuse('400 Bad Request')
    const handshake = { host: headers.get('host') ?? '', origin: headers.get('origin') ?? null }
    if (!this.#events.admits(handshake)) return this.#refuse('403 Forbidden')
    const accept = createHash('sha1').update(`${key}${guid}`).digest('base64')
    this.#events.answer(
      Buffer.from(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`,
      ),
    )
  }
  #refuse(status: string, header = ''): void {
    this.#isOver = true
    this.#events.answer(Buffer.from(`HTTP/1.1 ${status}\r\n${header}Connection: close\r\nContent-Length: 0\r\n\r\n`))
    this.#events.end()
  }

  #header(bytes: Buffer): Buffer {
    const head = this.#head.length === 0 ? bytes : Buffer.concat([this.#head, bytes])
    const short = head.length < 2 ? 0 : head[1]! & 0x7f
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0
    const length = 2 + extended + 4
    if (head.length < length) {
      this.#head = Buffer.from(head)
      return bytes.subarray(bytes.length)
    }
    this.#head = Buffer.alloc(0)
    const masked = (head[1]! & 0x80) !== 0
    this.#opcode = head[0]! & 0x0f
    const isControl = this.#opcode >= opcode.close
    const payload = extended === 2 ? head.readUInt16BE(2) : extended === 8 ? Number(head.readBigUInt64BE(2)) : short
    if (!masked || (head[0]! & 0x70) !== 0 || payload > Number.MAX_SAFE_INTEGER) return this.#close(1002)
    if (isControl && (payload > controlBytesMax || (head[0]! & 0x80) === 0)) return this.#close(1002)
    if (this.#opcode === opcode.text) return this.#close(1003)
    if (!isControl && this.#opcode !== opcode.binary && this.#opcode !== opcode.continuation) return this.#close(1002)
    head.copy(this.#mask, 0, length - 4, length)
    this.#left = payload
    this.#passed = 0
    const rest = head.subarray(length)
    if (payload === 0) this.#ended()
    return rest
  }
  #payload(bytes: Buffer): Buffer {
    const part = bytes.subarray(0, Math.min(bytes.length, this.#left))
    for (let i = 0; i < part.length; i++) part[i]! ^= this.#mask[(this.#passed + i) & 3]!
    this.#passed += part.length
    this.#left -= part.length
    if (this.#opcode >= opcode.close) this.#control.push(Buffer.from(part))
    else this.#events.bytes(part)
    if (this.#left === 0) this.#ended()
    return bytes.subarray(part.length)
  }
  #ended(): void {
    if (this.#opcode < opcode.close) return
    const content = Buffer.concat(this.#control)
    this.#control = []
    if (this.#opcode === opcode.ping)
      this.#events.answer(Buffer.concat([frameHead(opcode.pong, content.length), content]))
    else if (this.#opcode === opcode.close) this.#close(1000)
  }
  #close(code: number): Buffer {
    this.#isOver = true
    const content = Buffer.alloc(2)
    content.writeUInt16BE(code)
    this.#events.answer(Buffer.concat([frameHead(opcode.close, 2), content]))
    this.#events.end()
    return Buffer.alloc(0)
  }
}

/** Stands before a binary message of so many bytes. */
export const binaryHead = (length: number): Buffer => frameHead(opcode.binary, length)
function frameHead(code: number, length: number): Buffer {
  if (length < 126) return Buffer.from([0x80 | code, length])
  if (length < 0x10000) {
    const head = Buffer.from([0x80 | code, 126, 0, 0])
    head.writeUInt16BE(length, 2)
    return head
  }
  const head = Buffer.alloc(10)
  head[0] = 0x80 | code
  head[1] = 127
  head.writeBigUInt64BE(BigInt(length), 2)
  return head
}
