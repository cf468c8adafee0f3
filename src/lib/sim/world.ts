/**
 * A machine with a seed: virtual time, seeded chance, a disk that can lose and fail, a network in memory. The same seed
 * and the same program give the same run, event for event; `trace` proves it.
 *
 *     const machine = simulate(7)
 *     await machine.run(async () => { const store = await openStore({ world: machine, dir: '/data' }) … })
 *     machine.powerCut()                       // the process is dead, unsynced bytes are lost; boot again
 */
import { createHash } from 'node:crypto'
import type { World } from '../world.ts'
import { VirtualClock } from './clock.ts'
import { SimDisk, type SimDiskOptions } from './disk.ts'
import { SimNet, type SimNetOptions } from './net.ts'
import { SeededRandom } from './random.ts'

export interface SimulationOptions extends SimDiskOptions, SimNetOptions {
  /** Wall clock at the start, milliseconds since 1970. */
  readonly startMs?: number
}

export class Simulation implements World {
  readonly seed: number
  readonly clock: VirtualClock
  readonly random: SeededRandom
  readonly disk: SimDisk
  readonly net: SimNet
  readonly #trace = createHash('sha256')

  constructor(seed: number, options: SimulationOptions = {}) {
    this.seed = seed
    const note = (text: string): void => void this.#trace.update(`${text}\n`)
    this.random = new SeededRandom(seed, 'world')
    this.clock = new VirtualClock(options.startMs ?? 1_700_000_000_000, (number, atMs) => note(`${number} at ${atMs}`))
    const { clock } = this
    this.disk = new SimDisk({ clock, random: new SeededRandom(seed, 'disk'), note }, options)
    this.net = new SimNet({ clock, random: new SeededRandom(seed, 'net'), note }, options)
  }
  /** Time passes, in order, and with it everything that falls due. */
  advance(ms: number): Promise<void> {
    return this.clock.advance(ms)
  }
  /** Runs a piece of program and lets time pass until it is done. */
  run<T>(program: () => Promise<T>): Promise<T> {
    return this.clock.until(program())
  }
  /** The process dies at once; the page cache survives. Boot again with this same machine. */
  kill(): void {
    this.clock.forgetAll()
    this.net.forgetAll()
    this.disk.kill()
  }
  /** As `kill`, and what was not synced is lost in part, as the seed has it. */
  powerCut(): void {
    this.kill()
    this.disk.powerCut()
  }
  /** A digest of everything that has happened so far. */
  trace(): string {
    return this.#trace.copy().digest('hex')
  }
}

export const simulate = (seed: number, options?: SimulationOptions): Simulation => new Simulation(seed, options)
