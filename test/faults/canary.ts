/** A well-behaved client beside hostile ones: produces and reads back, one record at a time, and never sees an error. */
import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from './case.ts'
import { batchOf, readBatch, recordId } from './records.ts'
import { createTopic, fetch, produce, Wire } from './wire.ts'

export class Canary {
  readonly problems: string[] = []
  readonly #address: string
  readonly #place = { topic: 'canary', partition: 0 }
  #sequence = 0
  #stopped = false
  #running: Promise<void> | null = null
  #latenciesMs: number[] = []

  constructor(address: string) {
    this.#address = address
  }

  async start(): Promise<void> {
    const wire = await Wire.open(this.#address)
    await createTopic(wire, this.#place.topic, 1)
    this.#running = this.#run(wire)
  }

  /** Latencies since the last call. */
  take(): { count: number; p50: number; p99: number; max: number } {
    const taken = this.#latenciesMs
    this.#latenciesMs = []
    const round = (q: number): number => Math.round(quantile(taken, q) * 10) / 10
    return { count: taken.length, p50: round(0.5), p99: round(0.99), max: round(1) }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #run(wire: Wire): Promise<void> {
    try {
      while (!this.#stopped) {
        const start = performance.now()
        await this.#roundTrip(wire)
        this.#latenciesMs.push(performance.now() - start)
        await sleep(10)
      }
    } catch (error) {
      this.problems.push(`the good client: ${error instanceof Error ? error.message : String(error)}`)
    } finally {
      wire.close()
    }
  }

  async #roundTrip(wire: Wire): Promise<void> {
    const id = recordId(999, this.#sequence++)
    const { error, offset } = await produce(wire, this.#place, batchOf(id, 1, null), -1)
    if (error !== 0) throw new Error(`produce answered error ${error}`)
    const { batches } = await fetch(wire, { ...this.#place, offset }, { waitMs: 1_000 })
    const [record] = batches.flatMap((batch) => readBatch(batch)).filter((one) => one.offset === offset)
    if (record?.id !== id) throw new Error(`offset ${offset} does not give back what was acknowledged there`)
  }
}
