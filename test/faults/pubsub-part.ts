/** One of the clients that the server dies under: what it was told, and what is wrong with it. */
import type { RpcFailure } from '../gateway/pubsub/fixture.ts'
import { Link, type Server, type Told } from './pubsub-link.ts'

export const status = { invalid: 3, notFound: 5, precondition: 9 } as const
export const textOf = ({ status: code, message }: RpcFailure): string => `${code} ${message}`
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export abstract class Part {
  readonly name: string
  readonly done = new Map<string, number>()
  stopping = false
  protected readonly server: Server
  protected readonly link: Link
  protected readonly random: () => number
  readonly #problems: string[] = []

  constructor(name: string, server: Server, random: () => number) {
    this.name = name
    this.server = server
    this.link = new Link(server)
    this.random = random
  }
  get found(): readonly string[] {
    return this.#problems
  }
  abstract run(): Promise<void>

  protected below(count: number): number {
    return Math.floor(this.random() * count)
  }
  /** One of them, by its weight. */
  protected async one(steps: readonly (readonly [weight: number, run: () => Promise<unknown>])[]): Promise<void> {
    let dice = this.random() * steps.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, run] of steps) {
      dice -= weight
      if (dice < 0) return void (await run())
    }
  }
  protected count(what: string): void {
    this.done.set(what, (this.done.get(what) ?? 0) + 1)
  }
  protected problem(what: string): void {
    this.#problems.push(`${this.name}: ${what}`)
  }
  /** What must not be refused, and whether it was answered. */
  protected isDone(what: string, told: Told<unknown>): boolean {
    if (told.is === 'answered') this.count(what)
    if (told.is === 'refused') this.problem(`${what} was refused: ${textOf(told.failure)}`)
    return told.is === 'answered'
  }
  /** Asks until it is answered. */
  protected async asked<T>(ask: () => Promise<Told<T>>): Promise<T | RpcFailure> {
    for (;;) {
      const told = await ask()
      if (told.is === 'answered') return told.value
      if (told.is === 'refused') return told.failure
    }
  }
  /** Whether what was looked for is not there. */
  protected isGone(found: object): found is RpcFailure {
    if (!(found instanceof Error)) return false
    const failure = found as RpcFailure
    if (failure.status !== status.notFound) this.problem(`looking was refused: ${textOf(failure)}`)
    return true
  }
}
