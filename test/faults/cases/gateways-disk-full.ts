/**
 * The disk fills up under clients of Kinesis, Pub/Sub, MQTT and Event Hubs together, and is freed: by their records, to the
 * last byte by somebody else, in the middle of writes, and with a kill -9 and a start while it is full. Each client is told by
 * an error that its library sends again after; reads go on; what cannot be written is never confirmed; what was acknowledged is
 * there, whole; and with room again all is taken on the same connections.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Ballast } from '../ballast.ts'
import type { Context, FaultCase, Outcome } from '../case.ts'
import { type Figures, Gateways, add, most } from '../full/gateways.ts'
import { MemoryWatch, megabytes } from '../process.ts'
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
/** In the full form it stays full for so long, under all that clients try. */
const heldMs = 5_000
const growthBytesMax = 400 * 1024 * 1024

interface Way {
  readonly name: string
  /** What the records leave is taken by somebody else: after they have stopped, or all at once. */
  readonly taken: 'nothing' | 'the rest' | 'all'
  readonly isKilled: boolean
}
const ways: readonly Way[] = [
  { name: 'by records', taken: 'nothing', isKilled: false },
  { name: 'to the last byte', taken: 'the rest', isKilled: false },
  { name: 'in the middle of writes', taken: 'all', isKilled: false },
  { name: 'by records, killed', taken: 'nothing', isKilled: true },
  { name: 'to the last byte, killed', taken: 'the rest', isKilled: true },
]

async function rounds(context: Context): Promise<Outcome> {
  const reason = await volumesMissing(context.folder)
  if (reason !== null) return { skipped: reason }
  const count = context.times(1, 10)
  const figures: Figures = { rounds: count }
  const problems: string[] = []
  for (let round = 1; round <= count && problems.length === 0; round++) {
    const volume = await Volume.make(join(context.folder, `ext4-${round}`), 'ext4', volumeMegabytes)
    try {
      problems.push(...(await new Round(volume, context, figures).run()))
    } finally {
      await volume.unmount()
    }
    context.note(`round ${round} of ${count}`)
  }
  return { figures, problems: [...new Set(problems)] }
}

class Round {
  readonly #volume: Volume
  readonly #ballast: Ballast
  readonly #context: Context
  readonly #figures: Figures
  readonly #problems: string[] = []

  constructor(volume: Volume, context: Context, figures: Figures) {
    this.#volume = volume
    this.#ballast = new Ballast(volume)
    this.#context = context
    this.#figures = figures
  }
  async run(): Promise<readonly string[]> {
    await using gateways = await Gateways.start(join(this.#volume.path, 'data'))
    for (const way of ways) {
      await gateways.progress()
      await this.#fill(gateways, way)
      this.#problems.push(...gateways.problems(way.name))
      if (this.#problems.length > 0) return this.#problems
    }
    await gateways.progress()
    await gateways.finish()
    gateways.count(this.#figures)
    return gateways.problems('at the end')
  }
  async #fill(gateways: Gateways, way: Way): Promise<void> {
    await gateways.each((side) => side.before())
    const memory = new MemoryWatch(gateways.product.pid)
    if (way.taken !== 'all') {
      this.#ballast.leave(leftMegabytes)
      await refused(gateways)
    }
    if (way.taken !== 'nothing') this.#ballast.leave(0)
    await refused(gateways)
    for (const { told } of gateways.sides) told.isToTheLastByte = way.taken === 'the rest'
    if (!this.#context.quick) await sleep(heldMs)
    await gateways.each((side) => side.whileFull())
    const health = await fetch(`http://${gateways.product.http}/health/live`)
    if (!health.ok) this.#problems.push(`${way.name}: /health/live answers ${health.status} while the disk is full`)
    memory.stop()
    this.#problems.push(...memory.problems(growthBytesMax))
    most(this.#figures, 'MB grown by', megabytes(memory.max - memory.first))
    if (way.isKilled) await this.#killAndStart(gateways, way)
    this.#ballast.free()
    await this.#resumed(gateways, way)
    await gateways.each((side) => side.afterwards())
  }
  /** A start on a full disk works; to the last byte, it may say clearly why not. */
  async #killAndStart(gateways: Gateways, way: Way): Promise<void> {
    try {
      await gateways.over(() => gateways.product.kill('SIGKILL'))
      add(this.#figures, `${way.name}: started`)
    } catch (error) {
      if (way.taken === 'nothing' || !String(error).includes('store.full'))
        this.#problems.push(`${way.name}: ${String(error)}`)
      add(this.#figures, `${way.name}: said why it does not start`)
      this.#ballast.free()
      await gateways.startAgain()
    }
  }
  async #resumed(gateways: Gateways, way: Way): Promise<void> {
    const began = performance.now()
    await gateways.until('intake resumed', 60_000, ({ name, told }, since) => {
      if (told.accepted === since.accepted) return false
      most(this.#figures, `${name}: resumed ms`, performance.now() - began)
      return true
    })
    const ms = Math.round(performance.now() - began)
    this.#context.note(`${way.name}: resumed ${ms} ms after there was space`)
    if (ms > resumesWithinMs) this.#problems.push(`${way.name}: intake resumed after ${ms} ms`)
  }
}

/** All are told, and none is acknowledged any more. */
async function refused({ sides }: Gateways): Promise<void> {
  const giveUp = performance.now() + fullWithinMs
  for (;;) {
    const before = sides.map(({ told: { accepted, refusals } }) => ({ accepted, refusals }))
    await sleep(700)
    const open = sides.filter(
      ({ told }, i) => told.accepted !== before[i]!.accepted || told.refusals === before[i]!.refusals,
    )
    if (open.length === 0) return
    if (performance.now() > giveUp)
      throw new Error(`not told within ${fullWithinMs} ms that the disk is full: ${open.map(({ name }) => name)}`)
  }
}
