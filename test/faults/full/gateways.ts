/** Millrace with the four gateways, and the clients of each. */
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts, type Millrace } from '../../interop/setup/index.ts'
import { startAgain, startFirst } from '../case.ts'
import { EventHubsSide } from './eventhubs.ts'
import { KinesisSide } from './kinesis.ts'
import { MqttSide } from './mqtt.ts'
import { PubsubSide } from './pubsub.ts'
import type { Side } from './side.ts'

const progressWithinMs = 30_000
const answeredWithinMs = 10_000

export type Figures = Record<string, number>
/** Those of several rounds: the largest. */
export function most(figures: Figures, name: string, value: number): void {
  figures[name] = Math.max(figures[name] ?? 0, Math.round(value))
}
export function add(figures: Figures, name: string, value = 1): void {
  figures[name] = (figures[name] ?? 0) + value
}

export class Gateways {
  readonly sides: readonly Side[]
  product: Millrace
  readonly #args: readonly string[]

  private constructor(product: Millrace, args: readonly string[], ports: Ports) {
    this.product = product
    this.#args = args
    this.sides = [
      new KinesisSide(ports.kinesis),
      new PubsubSide(ports.pubsub),
      new MqttSide(ports.mqtt),
      new EventHubsSide(ports.eventhubs, () => this.product.http),
    ]
  }
  static async start(data: string): Promise<Gateways> {
    const [[kinesis, pubsub], [mqtt, eventhubs]] = [await freePorts(), await freePorts()]
    const ports = { kinesis, pubsub, mqtt, eventhubs }
    const args = Object.entries(ports).flatMap(([name, port]) => ['--listen', `${name}=127.0.0.1:${port}`])
    const here = new Gateways(await startFirst({ data, args }), args, ports)
    for (const side of here.sides) await side.start()
    return here
  }
  each(act: (side: Side) => Promise<void>): Promise<void[]> {
    return Promise.all(this.sides.map(act))
  }
  /** Ends the process by `end`, and starts it again. */
  async over(end: () => Promise<unknown>): Promise<void> {
    for (const { told } of this.sides) told.away(true)
    await end()
    await this.startAgain()
  }
  async startAgain(): Promise<void> {
    this.product = await startAgain(this.product, { args: this.#args })
    for (const { told } of this.sides) told.away(false)
  }
  /** Every side is taken from. */
  progress(): Promise<void> {
    return this.until('records are taken', progressWithinMs, (side, since) => side.told.accepted > since.accepted + 20)
  }
  async until(
    what: string,
    withinMs: number,
    is: (side: Side, since: { readonly accepted: number }) => boolean,
  ): Promise<void> {
    const since = this.sides.map(({ told }) => ({ accepted: told.accepted }))
    const giveUp = performance.now() + withinMs
    let open = [...this.sides.entries()]
    while (open.length > 0) {
      open = open.filter(([i, side]) => !is(side, since[i]!))
      if (performance.now() > giveUp) {
        const said = open.map(([, { name, told }]) => `${name} ${JSON.stringify([...told.refused, ...told.problems])}`)
        throw new Error(`${what}: not within ${withinMs} ms of ${said.join(' ')}`)
      }
      await sleep(20)
    }
  }
  async check(): Promise<void> {
    for (const side of this.sides) await side.check(this.product.http)
  }
  /** Nothing writes any more; all is there, and there again after a kill. */
  async finish(): Promise<void> {
    await this.each((side) => side.stop())
    await this.check()
    await this.over(() => this.product.kill('SIGKILL'))
    await this.check()
  }
  problems(when: string): string[] {
    return this.sides.flatMap(({ name, told }) => {
      if (told.slowestMs > answeredWithinMs) told.problem(`an answer took ${Math.round(told.slowestMs)} ms`)
      return told.problems.map((text) => `${name}, ${when}: ${text}`)
    })
  }
  count(figures: Figures): void {
    for (const { name, told } of this.sides) {
      add(figures, `${name}: acknowledged`, told.accepted)
      for (const [why, count] of told.refused) add(figures, `${name}: refused ${why}`, count)
      most(figures, `${name}: slowest answer ms`, told.slowestMs)
    }
  }
  async [Symbol.asyncDispose](): Promise<void> {
    for (const side of this.sides) side.close()
    await this.product[Symbol.asyncDispose]()
  }
}
interface Ports {
  readonly kinesis: number
  readonly pubsub: number
  readonly mqtt: number
  readonly eventhubs: number
}
