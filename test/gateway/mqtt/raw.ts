/** A client that sends what it is told, byte by byte, and keeps what comes. */
import { type Socket, connect } from 'node:net'
import { type Packet, type Parser, generate, parser } from 'mqtt-packet'

export class RawClient {
  readonly packets: Packet[] = []
  isClosed = false
  readonly socket: Socket
  readonly #parser: Parser
  readonly #version: 3 | 4 | 5
  #taken = 0

  constructor(port: number, version: 3 | 4 | 5) {
    this.#version = version
    this.#parser = parser({ protocolVersion: version })
    this.#parser.on('packet', (packet) => this.packets.push(packet))
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('data', (data) => this.#parser.parse(data))
    this.socket.on('close', () => (this.isClosed = true))
    this.socket.on('error', () => {})
  }
  send(packet: Packet | Uint8Array): void {
    this.socket.write(packet instanceof Uint8Array ? packet : generate(packet, { protocolVersion: this.#version }))
  }
  connect(clientId: string, more: object = {}): Promise<Packet> {
    this.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: this.#version,
      clean: true,
      clientId,
      keepalive: 0,
      ...more,
    } as Packet)
    return this.next()
  }
  /** The next packet; rejects where the connection ends first. */
  async next(withinMs = 3_000): Promise<Packet> {
    const giveUp = performance.now() + withinMs
    while (this.packets.length <= this.#taken) {
      if (this.isClosed) throw new Error('closed')
      if (performance.now() > giveUp) throw new Error('nothing came')
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return this.packets[this.#taken++]!
  }
  async closed(withinMs = 3_000): Promise<void> {
    const giveUp = performance.now() + withinMs
    while (!this.isClosed) {
      if (performance.now() > giveUp) throw new Error('it stays open')
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}
