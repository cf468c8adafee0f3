/** Calls of a client that outlives its server, which may die under any of them, and dies under those that are asked for. */
import type { Input, Message } from '../../src/wire/protobuf/message.ts'
import { Calls, GrpcClient, RpcFailure } from '../gateway/pubsub/fixture.ts'
import { between } from './case.ts'

export type Told<T> =
  | { readonly is: 'answered'; readonly value: T }
  | { readonly is: 'refused'; readonly failure: RpcFailure }
  /** It may have been done or not. */
  | { readonly is: 'lost' }
/** UNKNOWN (the connection ended), DEADLINE_EXCEEDED, UNAVAILABLE */
const lostStatuses: ReadonlySet<number> = new Set([2, 4, 14])

/** The server, as all its clients know it. */
export class Server {
  readonly address: string
  deaths = 0
  /** How often it died in the middle of what. */
  readonly diedIn = new Map<string, number>()
  readonly #random: () => number
  #up: PromiseWithResolvers<void> | null = null
  readonly #under = new Map<symbol, string>()
  readonly #lastedMs = new Map<string, number>()
  #armed: { readonly kind: string; readonly kill: () => void } | null = null

  constructor(address: string, random: () => number) {
    this.address = address
    this.#random = random
  }
  get up(): Promise<void> {
    return this.#up?.promise ?? Promise.resolve()
  }
  isDown(): void {
    this.#up = Promise.withResolvers()
    this.deaths++
    for (const kind of new Set(this.#under.values())) this.diedIn.set(kind, (this.diedIn.get(kind) ?? 0) + 1)
  }
  isUp(): void {
    this.#up?.resolve()
    this.#up = null
  }
  /** Resolves in the middle of the next call of this kind; after a while in any case. */
  async middleOf(kind: string, withinMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const late = setTimeout(resolve, withinMs)
    this.#armed = { kind, kill: resolve }
    await promise
    clearTimeout(late)
    this.#armed = null
  }
  async during<T>(kind: string, run: () => Promise<T>): Promise<T> {
    const mine = Symbol(kind)
    this.#under.set(mine, kind)
    const startMs = performance.now()
    const lastsMs = this.#lastedMs.get(kind) ?? 10
    if (this.#armed?.kind === kind) setTimeout(this.#armed.kill, between(this.#random, 0, lastsMs))
    try {
      const value = await run()
      this.#lastedMs.set(kind, lastsMs * 0.8 + (performance.now() - startMs) * 0.2)
      return value
    } finally {
      this.#under.delete(mine)
    }
  }
}

export class Link {
  readonly #server: Server
  #client: GrpcClient | null = null
  constructor(server: Server) {
    this.#server = server
  }
  async tell<T>(kind: string, run: (calls: Calls, client: GrpcClient) => Promise<T>): Promise<Told<T>> {
    const { deaths } = this.#server
    await this.#server.up
    if (this.#client === null || this.#client.session.destroyed || this.#client.session.closed)
      this.#client = new GrpcClient(this.#server.address)
    const client = this.#client
    try {
      return { is: 'answered', value: await this.#server.during(kind, () => run(new Calls(client), client)) }
    } catch (error) {
      if (error instanceof RpcFailure && !lostStatuses.has(error.status)) return { is: 'refused', failure: error }
      client.close()
      // Its end may be seen before whoever kills it says so.
      if (deaths === this.#server.deaths) await new Promise((resolve) => setTimeout(resolve, 20))
      return { is: 'lost' }
    }
  }
  call<Q extends object, A extends object>(
    path: string,
    types: readonly [Message<Q>, Message<A>],
    input: Input<Q>,
  ): Promise<Told<A>> {
    return this.tell(path.split('/')[1]!, (_, client) => client.call(path, types, input))
  }
  close(): void {
    this.#client?.close()
  }
}
