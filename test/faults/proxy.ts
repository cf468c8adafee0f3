/**
 * A network that fails, between clients and the product: connections are cut, held (bytes stop in both directions and
 * come later) and refused. Clients are told its address by `--advertise`.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { freePorts } from '../interop/setup/index.ts'

interface Pair {
  readonly client: Socket
  readonly server: Socket
}

export class Proxy {
  /** HOST:PORT */
  readonly address: string
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  #isClosed = false
  cuts = 0

  private constructor(server: Server, address: string) {
    this.#server = server
    this.address = address
  }
  static async open(to: string): Promise<Proxy> {
    const at = to.lastIndexOf(':')
    const target = { host: to.slice(0, at), port: Number(to.slice(at + 1)) }
    const [port] = await freePorts()
    const server = createServer({ noDelay: true })
    await new Promise<void>((done, fail) => server.once('error', fail).listen(port, '127.0.0.1', done))
    const proxy = new Proxy(server, `127.0.0.1:${port}`)
    server.on('connection', (client) => proxy.#accept(client, connect({ ...target, noDelay: true })))
    return proxy
  }
  /** Cuts each connection with this probability, in the middle of whatever is on its way. */
  cut(probability: number, random: () => number): void {
    for (const pair of this.#pairs)
      if (random() < probability) {
        this.cuts++
        end(pair)
      }
  }
  /** A partition of the network: nothing passes until the function that it gives is called. */
  hold(): () => void {
    const held = [...this.#pairs].flatMap(({ client, server }) => [client, server])
    for (const socket of held) socket.pause()
    return () => {
      for (const socket of held) socket.resume()
    }
  }
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const pair of this.#pairs) end(pair)
    await new Promise<void>((done) => this.#server.close(() => done()))
  }

  #accept(client: Socket, server: Socket): void {
    const pair = { client, server }
    this.#pairs.add(pair)
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('error', () => {})
      from.on('close', () => {
        this.#pairs.delete(pair)
        end(pair)
      })
      from.pipe(to)
    }
  }
}
function end({ client, server }: Pair): void {
  client.destroy()
  server.destroy()
}
