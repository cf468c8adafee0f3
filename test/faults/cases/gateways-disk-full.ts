/**
 * The disk fills up under clients of Kinesis, Pub/Sub, MQTT and Event Hubs together, and is freed: by their records, to the
 * last byte by somebody else, in the middle of writes, and with a kill -9 and a start while it is full. Each client is told by
 * an error that its library sends again after; reads go on; what cannot be written is never confirmed; what was acknowledged is
 * there, whole; and with room again all is taken on the same connections.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts, type Millrace } from '../../interop/setup/index.ts'
import { Ballast } from '../ballast.ts'
import { type Context, type FaultCase, type Outcome, startAgain, startFirst } from '../case.ts'
import { EventHubsSide } from '../full/eventhubs.ts'
import { KinesisSide } from '../full/kinesis.ts'
import { MqttSide } from '../full/mqtt.ts'
import { PubsubSide } from '../full/pubsub.ts'
import type { Side } from '../full/side.ts'
import { MemoryWatch } from '../process.ts'
import { Volume, volumesMissing } from '../volume.ts'

export const gatewaysDiskFull: FaultCase = {
  name: 'gateways-disk-full',
  says: 'a disk that fills up under Kinesis, Pub/Sub, MQTT and Event Hubs, and is freed',
  run: rounds,
}
const volumeMegabytes = 256
/** Left to the product at first: more than its reserve, little enough to be filled in seconds. */
const leftMegabytes = 44
const fullWithinMs = 90_000
const resumesWithinMs = 8_000
const answeredWithinMs = 10_000
const growthBytesMax = 400 * 1024 * 1024
const ways = [
  'by records',
  'to the last byte',
  'in the middle of writes',
  'by records, with a kill',
  'with a kill',
] as const
type Way = (typeof ways)[number]

async function rounds(context: Context): Promise<Outcome> {
  const reason = await volumesMissing(context.folder)
  if (reason !== null) return { skipped: reason }
  const figures: Record<string, number> = {}
  const problems: string[] = []
  const count = context.times(1, 10)
  for (let round = 1; round <= count && problems.length === 0; round++) {
    const volume = await Volume.make(join(context.folder, `ext4-${round}`), 'ext4', volumeMegabytes)
    try {
      await new Round(volume, context, { figures, problems }).run()
    } finally {
      await volume.unmount()
    }
    context.note(`round ${round} of ${count}`)
  }
  return { figures: { rounds: count, ...figures }, problems: [...new Set(problems)] }
}

class Round {
  readonly #volume: Volume
  readonly #ballast: Ballast
  readonly #context: Context
  readonly #figures: Record<string, number>
  readonly #problems: string[]
  #product!: Millrace
  #sides: readonly Side[] = []
  #mqtt!: MqttSide

  constructor(
    volume: Volume,
    context: Context,
    { figures, problems }: { figures: Record<string, number>; problems: string[] },
  ) {
    this.#volume = volume
    this.#ballast = new Ballast(volume)
    this.#context = context
    this.#figures = figures
    this.#problems = problems
  }
  async run(): Promise<void> {
    const [[kinesis, pubsub], [mqtt, eventhubs]] = [await freePorts(), await freePorts()]
    const args = Object.entries({ kinesis, pubsub, mqtt, eventhubs }).flatMap(([name, port]) => [
      '--listen',
      `${name}=127.0.0.1:${port}`,
    ])
    this.#product = await startFirst({ data: join(this.#volume.path, 'data'), args })
    this.#mqtt = new MqttSide(mqtt)
    this.#sides = [
      new KinesisSide(kinesis),
      new PubsubSide(pubsub),
      this.#mqtt,
      new EventHubsSide(eventhubs, () => this.#product.http),
    ]
    try {
      for (const side of this.#sides) await side.start()
      for (const way of ways) {
        await this.#progress()
        await this.#fill(way, args)
        if (this.#note(way)) return
      }
      await this.#progress()
      for (const side of this.#sides) await side.stop()
      await this.#check('at the end')
      for (const side of this.#sides) side.awaited(true)
      await this.#product.kill('SIGKILL')
      this.#product = await startAgain(this.#product, { args })
      for (const side of this.#sides) side.awaited(false)
      await this.#check('after a last kill')
      this.#count()
    } finally {
      for (const side of this.#sides) side.close()
      await this.#product[Symbol.asyncDispose]()
    }
  }
  /** Every side is taken from. */
  async #progress(): Promise<void> {
    await this.#until('records are taken', 30_000, (side, since) => side.told.accepted > since.accepted + 20)
  }
  async #fill(way: Way, args: readonly string[]): Promise<void> {
    await this.#mqtt.beforeFull()
    const memory = new MemoryWatch(this.#product.pid)
    if (way !== 'in the middle of writes') {
      this.#ballast.leave(leftMegabytes)
      await this.#refused()
    }
    const isByRecords = way === 'by records' || way === 'by records, with a kill'
    if (!isByRecords) this.#ballast.leave(0)
    await this.#refused()
    this.#context.note(`${way}: full`)
    for (const { told } of this.#sides) told.isToTheLastByte = way === 'to the last byte' || way === 'with a kill'
    await Promise.all(this.#sides.map((side) => side.whileFull()))
    await this.#lives(way)
    memory.stop()
    this.#problems.push(...memory.problems(growthBytesMax))
    this.#figures['MB grown by'] = Math.max(
      this.#figures['MB grown by'] ?? 0,
      Math.round((memory.max - memory.first) / 2 ** 20),
    )
    if (way.endsWith('with a kill')) await this.#killAndStart(way, args)
    this.#ballast.free()
    const began = performance.now()
    await this.#until('intake resumed', 60_000, (side, since) => {
      if (side.told.accepted === since.accepted) return false
      const key = `${side.name}: resumed ms`
      this.#figures[key] = Math.max(this.#figures[key] ?? 0, Math.round(performance.now() - began))
      return true
    })
    const ms = Math.round(performance.now() - began)
    this.#context.note(`${way}: resumed within ${ms} ms`)
    if (ms > resumesWithinMs) this.#problems.push(`${way}: intake resumed after ${ms} ms`)
    await Promise.all(this.#sides.map((side) => side.afterwards()))
  }
  /** A start on a full disk works, or says clearly why not. */
  async #killAndStart(way: Way, args: readonly string[]): Promise<void> {
    for (const side of this.#sides) side.awaited(true)
    await this.#product.kill('SIGKILL')
    try {
      this.#product = await startAgain(this.#product, { args })
      this.#context.note('started on the full disk')
      this.#figures['starts on a full disk'] = (this.#figures['starts on a full disk'] ?? 0) + 1
    } catch (error) {
      this.#context.note(`did not start on the full disk: ${String(error).slice(0, 2_000)}`)
      if (way !== 'with a kill' || !String(error).includes('store.full'))
        this.#problems.push(`no clear fault of a start on a full disk: ${String(error)}`)
      this.#ballast.free()
      this.#product = await startAgain(this.#product, { args })
    }
    for (const side of this.#sides) side.awaited(false)
  }
  /** All are told, and none is acknowledged any more. */
  async #refused(): Promise<void> {
    const until = performance.now() + fullWithinMs
    for (;;) {
      const before = this.#sides.map(({ told }) => ({ accepted: told.accepted, refusals: told.refusals }))
      await sleep(700)
      const open = this.#sides.filter(
        ({ told }, i) => told.accepted !== before[i]!.accepted || told.refusals === before[i]!.refusals,
      )
      if (open.length === 0) return
      if (performance.now() > until)
        throw new Error(`not told within ${fullWithinMs} ms that the disk is full: ${open.map(({ name }) => name)}`)
    }
  }
  async #until(
    what: string,
    withinMs: number,
    is: (side: Side, since: { readonly accepted: number }) => boolean,
  ): Promise<void> {
    const since = this.#sides.map(({ told }) => ({ accepted: told.accepted }))
    const giveUp = performance.now() + withinMs
    let open = [...this.#sides.entries()]
    while (open.length > 0) {
      open = open.filter(([i, side]) => !is(side, since[i]!))
      if (performance.now() > giveUp)
        throw new Error(
          `${what}: not within ${withinMs} ms of ${open.map(([, { name, told }]) => `${name} (${JSON.stringify([...told.refused])}; ${told.problems.join('; ')})`)}`,
        )
      await sleep(20)
    }
  }
  async #lives(way: Way): Promise<void> {
    const health = await fetch(`http://${this.#product.http}/health/live`)
    if (!health.ok) this.#problems.push(`${way}: /health/live answers ${health.status} while the disk is full`)
  }
  async #check(when: string): Promise<void> {
    for (const side of this.#sides) await side.check(this.#product.http)
    this.#note(when)
  }
  #note(when: string): boolean {
    for (const { name, told } of this.#sides) {
      if (told.slowestMs > answeredWithinMs) told.problem(`an answer took ${Math.round(told.slowestMs)} ms`)
      this.#problems.push(...told.problems.map((text) => `${name}, ${when}: ${text}`))
    }
    return this.#problems.length > 0
  }
  #count(): void {
    const add = (name: string, value: number): void => void (this.#figures[name] = (this.#figures[name] ?? 0) + value)
    for (const { name, told } of this.#sides) {
      add(`${name}: acknowledged`, told.accepted)
      for (const [why, count] of told.refused) add(`${name}: refused ${why}`, count)
      const key = `${name}: slowest answer ms`
      this.#figures[key] = Math.max(this.#figures[key] ?? 0, Math.round(told.slowestMs))
    }
  }
}
