/** Reads partitions back over the Kafka protocol and feeds them to the checks of `history.ts`. */
import { type History, LogCheck, type Violation } from './history.ts'
import { readBatch } from './records.ts'
import { fetch, kafkaError, listOffset, Wire } from './wire.ts'
import { type Place, placeName } from './workload.ts'

/** Looks at what is new since the last look; `fromStart` makes a fresh one that sees everything again. */
export class Verifier {
  readonly #history: History
  readonly #places: readonly Place[]
  readonly #checks: readonly LogCheck[]

  constructor(history: History, places: readonly Place[]) {
    this.#history = history
    this.#places = places
    this.#checks = places.map((place) => new LogCheck(history, placeName(place)))
  }

  fromStart(): Verifier {
    return new Verifier(this.#history, this.#places)
  }

  /** Reads each partition to the end that it tells now. The load must not be running. */
  async look(address: string): Promise<Violation[]> {
    const wire = await Wire.open(address)
    try {
      for (const [i, place] of this.#places.entries()) await readOn(wire, place, this.#checks[i]!)
    } finally {
      wire.close()
    }
    return [...this.#history.violations, ...this.#checks.flatMap((check) => check.violations)]
  }

  get records(): number {
    return this.#checks.reduce((sum, check) => sum + check.next, 0)
  }
}

async function readOn(wire: Wire, place: Place, check: LogCheck): Promise<void> {
  const end = await listOffset(wire, place, -1)
  while (check.next < end) {
    const before = check.next
    const { error, batches } = await fetch(wire, { ...place, offset: before })
    if (error !== kafkaError.none) throw new Error(`reading ${placeName(place)} at ${before} of ${end}: error ${error}`)
    for (const batch of batches)
      for (const record of readBatch(batch)) if (record.offset >= before && record.offset < end) check.record(record)
    if (check.next === before) throw new Error(`reading ${placeName(place)} at ${before} of ${end} gives nothing`)
  }
  check.end(end)
}

export const describeViolations = (violations: readonly Violation[]): string[] =>
  violations.slice(0, 10).map(({ kind, partition, offset, says }) => `${kind}: ${partition} offset ${offset}: ${says}`)
