/** A sink at work: reads our topics, hands over what came, and commits how far the other side has it. */
import { type Offset, offset as asOffset } from '../lib/brand.ts'
import { asFault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import { Unread } from '../log/batch.ts'
import type { Read } from '../log/group-task.ts'
import type { At, Bounds, Chunk, Claim, Membership, Partition } from '../log/log.ts'
import { recordBytes } from '../log/producer.ts'
import type { Target } from '../log/placing.ts'
import type { Refused, Sink } from './kind.ts'
import type { RunHost } from './run.ts'
import type { Carried } from './source-task.ts'

const waitMs = 30_000
const readBytes = 1024 * 1024

export interface SinkStart {
  readonly claim: Claim
  readonly membership: Membership
  readonly partitions: readonly Partition[]
  /** Of what nothing was committed of. */
  readonly from: 'earliest' | 'latest'
}

export class SinkTask {
  readonly #host: RunHost
  readonly #start: SinkStart
  readonly #carried: (carried: Carried) => void
  readonly #at = new Map<string, At>()
  /** Taken, and not handed over yet. */
  #read: Read[] = []
  #bytes = 0
  readonly #next = new Map<string, At>()
  /** One at a time; what comes meanwhile goes with the next. */
  #committing: Promise<void> = Promise.resolve()
  #failed: unknown = null

  constructor(host: RunHost, start: SinkStart, carried: (carried: Carried) => void) {
    this.#host = host
    this.#start = start
    this.#carried = carried
  }
  /** null: it does not know yet where it is. */
  async lag(): Promise<number | null> {
    if (this.#at.size === 0) return null
    let sum = 0
    for (const { partition, stable } of await this.#host.log.bounds(this.#start.partitions))
      sum += Math.max(0, stable - (this.#at.get(placeOf(partition))?.offset ?? stable))
    return sum
  }
  /** Ends by throwing, or when the signal aborts. */
  async run(sink: Sink, signal: AbortSignal): Promise<void> {
    try {
      await this.#begin(sink)
      const reader = this.#host.log.reader({ maxBytes: readBytes })
      while (!signal.aborted) {
        const chunks = await reader.read([...this.#at.values()], { ms: waitMs }, signal)
        for (const chunk of chunks) await this.#take(sink, chunk)
        await this.#hand(sink)
      }
    } finally {
      await sink.close()
      await this.#committing
    }
  }
  async #begin(sink: Sink): Promise<void> {
    const { membership, claim, partitions, from } = this.#start
    const known = await membership.positions(claim, partitions)
    const bounds = await this.#host.log.bounds(partitions)
    const theirs = (await sink.resume?.(partitions)) ?? partitions.map(() => null)
    partitions.forEach((partition, i) => {
      const first = from === 'latest' ? bounds[i]!.stable : bounds[i]!.start
      // What is committed here is there; where that side says more, a crash came between.
      const reached = Math.max(theirs[i] ?? -1, known[i] ?? -1)
      const offset = reached < 0 ? first : asOffset(reached)
      this.#at.set(placeOf(partition), { partition, offset: within(offset, bounds[i]!) })
    })
    // What "latest" was when it began stands, also when nothing came until the next start.
    if ([...this.#at.values()].some(({ offset }, i) => offset !== known[i])) this.#commit()
  }

  async #take(sink: Sink, chunk: Chunk): Promise<void> {
    const { partition } = chunk
    const place = placeOf(partition)
    const from = this.#at.get(place)!.offset
    if ('fault' in chunk) {
      if (chunk.fault.code !== 'log.offset-out-of-range') throw chunk.fault
      const [bounds] = await this.#host.log.bounds([partition])
      this.#host.logger.warn('records were removed before they were read', { connector: this.#host.name, partition })
      this.#next.set(place, { partition, offset: bounds!.start })
      return
    }
    for (const unread = new Unread(chunk.batches); !unread.isEmpty;) {
      const read = unread.next().filter(({ offset }) => offset >= from)
      if (read.length === 0) continue
      for (const record of read) this.#read.push({ partition, record })
      this.#bytes += unread.bytes
      this.#next.set(place, { partition, offset: asOffset(read.at(-1)!.offset + 1) })
      if (this.#bytes >= limits.decodedBytes) await this.#hand(sink)
    }
    if (chunk.next > from) this.#next.set(place, { partition, offset: chunk.next })
  }
  /** What was taken goes over; where nothing is to go over, only the position moves. */
  async #hand(sink: Sink): Promise<void> {
    const read = this.#read
    const next = [...this.#next.values()]
    this.#read = []
    this.#bytes = 0
    this.#next.clear()
    if (next.length === 0) return
    let refused: readonly Refused[] = []
    if (read.length > 0) {
      let count = 0
      refused = await sink.write(read, next, async (more) => {
        await this.#setAside(more)
        count += more.length
      })
      count += refused.length
      const bytes = read.reduce((sum, { record }) => sum + recordBytes(record), 0)
      this.#carried({ records: read.length - count, bytes, refused: count })
    }
    for (const at of next) this.#at.set(placeOf(at.partition), at)
    if (this.#failed !== null) throw this.#failed
    this.#commit(await this.#buried(refused))
  }
  async #setAside(refused: readonly Refused[]): Promise<void> {
    const { commits, placing } = this.#host
    const targets = await this.#buried(refused)
    await commits.run(async (append) => {
      await placing.stage(targets, append)
      return { parts: [{ claim: this.#start.claim, positions: [] }], result: null }
    })
  }
  #buried(refused: readonly Refused[]): Promise<Target[]> {
    const { deadLetters } = this.#host
    return Promise.all(
      refused.map(({ read: { partition, record }, fault }) => deadLetters.target(record, partition.topic, fault)),
    )
  }
  /** The other side has what lies before, or will never take it; it is not waited for. */
  #commit(refused: readonly Target[] = []): void {
    const { commits, placing } = this.#host
    const positions = [...this.#at.values()]
    this.#committing = this.#committing
      .then(() =>
        commits.run(async (append) => {
          if (refused.length > 0) await placing.stage(refused, append)
          return { parts: [{ claim: this.#start.claim, positions }], result: null }
        }),
      )
      .then(
        () => undefined,
        (error: unknown) => void (this.#failed ??= asFault(error)),
      )
  }
}

const placeOf = ({ topic, index }: Partition): string => `${index}/${topic}`
const within = (offset: Offset, { start, end }: Bounds): Offset => asOffset(Math.min(Math.max(offset, start), end))
