/**
 * `Reader` of the cluster. Each leader is asked on a lane of its own for the partitions that it leads. A fetch that still
 * waits at its broker when another one has brought something is kept: the next read takes it up if it still wants the
 * same, so that quiet partitions cost nothing.
 */
import type { Offset } from '../../../lib/brand.ts'
import { Fault, asFault } from '../../../lib/fault.ts'
import { readBatchHeader } from '../../../store/batch-header.ts'
import type { LogMeter } from '../../broker.ts'
import type { At, Chunk, Claim, Partition, Reader, ReaderOptions } from '../../log.ts'
import { code, faultOf, isPassing } from '../errors.ts'
import { boundsOf } from '../list-offsets.ts'
import type { Broker } from '../net/broker.ts'
import type { Metadata } from '../net/metadata.ts'
import { type Network, closedFault } from '../net/network.ts'
import type { Fetched, Position } from './fetch.ts'
import { Fetching } from './fetching.ts'
import { Reading, keyOf } from './reading.ts'
import { cutRecords } from './records.ts'

export interface ReaderHost {
  readonly network: Network
  readonly metadata: Metadata
  readonly meter: LogMeter | null
  restore(reader: Reader, partition: Partition, claim: Claim, from?: Offset): AsyncIterable<Chunk>
}
const maxBytesDefault = 8 * 1024 * 1024
/** One fetch waits at its broker no longer than this, whatever the reader asked for. */
const fetchWaitMsMax = 5_000
/** Who does not want to wait is not made to wait longer for a broker that does not answer. */
const answerMs = 1_000
/** Before a leader that has moved, or is gone, is looked for again. */
const againMs = 50

export class ClusterReader implements Reader {
  readonly #host: ReaderHost
  readonly #committedOnly: boolean
  readonly #maxBytes: number
  #fetching: Fetching[] = []
  readonly #stable = new Map<string, number>()
  #turn = 0

  constructor(host: ReaderHost, options: ReaderOptions = {}) {
    this.#host = host
    this.#committedOnly = options.uncommitted !== true
    this.#maxBytes = options.maxBytes ?? maxBytesDefault
  }

  async read(from: readonly At[], wait?: { ms: number; bytes?: number }, signal?: AbortSignal): Promise<Chunk[]> {
    const { clock, closing } = this.#host.network
    const reading = new Reading(from)
    const wanted = wait?.bytes ?? 1
    const deadlineMs = clock.monotonic() + (wait?.ms ?? 0)
    const patienceMs = Math.max(deadlineMs, clock.monotonic() + answerMs)
    this.#drop((fetching) => !fetching.from.some((at) => reading.wants(at)))
    for (let first = true; ; first = false) {
      signal?.throwIfAborted()
      if (closing.aborted) throw closedFault()
      let hasMoved = await this.#take(reading)
      const leftMs = deadlineMs - clock.monotonic()
      const isOver = leftMs <= 0 && !first
      if (reading.bytes >= wanted || reading.isNews || isOver || from.length === 0) break
      const wishes = { waitMs: Math.ceil(Math.max(0, Math.min(leftMs, fetchWaitMsMax))), bytesMin: wanted }
      const asked = await this.#ask(reading, wishes)
      hasMoved = asked.unrouted || hasMoved
      if (hasMoved) await clock.sleep(againMs, signal)
      // Without a wish to wait, what was asked just now is answered at once; whatever waits from before is not waited for.
      else if (leftMs > 0) await this.#until(Promise.race(this.#fetching.map(({ done }) => done)), deadlineMs, signal)
      else await this.#until(Promise.all(asked.fetching.map(({ done }) => done)), patienceMs, signal)
    }
    return reading.chunks((partition) => this.#stable.get(keyOf(partition)))
  }
  restore(partition: Partition, claim: Claim, from?: Offset): AsyncIterable<Chunk> {
    return this.#host.restore(this, partition, claim, from)
  }

  #drop(which: (fetching: Fetching) => boolean): void {
    for (const fetching of this.#fetching) if (which(fetching)) fetching.cancel()
    this.#fetching = this.#fetching.filter((fetching) => !which(fetching))
  }
  /** Asks for what is wanted and not on its way. */
  async #ask(
    reading: Reading,
    wishes: { waitMs: number; bytesMin: number },
  ): Promise<{ fetching: readonly Fetching[]; unrouted: boolean }> {
    const onTheirWay = new Set(
      this.#fetching.flatMap(({ from }) => from.map((at) => `${keyOf(at.partition)}@${at.offset}`)),
    )
    const open = reading.open().filter(({ partition, offset }) => !onTheirWay.has(`${keyOf(partition)}@${offset}`))
    const { byBroker, unrouted } = await this.#routed(reading, open)
    // Each broker may bring its share; at least one batch comes from each in any case.
    const bytesMax = Math.max(1, Math.floor(this.#maxBytes / Math.max(1, byBroker.size)))
    const committedOnly = this.#committedOnly
    const fetching = Array.from(
      byBroker,
      ([broker, from]) => new Fetching(broker, this.#rotated(from), { ...wishes, bytesMax, committedOnly }),
    )
    this.#fetching.push(...fetching)
    return { fetching, unrouted }
  }
  /** Another partition first each time, so that a full answer starves nobody. */
  #rotated(from: readonly Position[]): readonly Position[] {
    const first = this.#turn++ % from.length
    return [...from.slice(first), ...from.slice(0, first)]
  }
  async #routed(
    reading: Reading,
    open: readonly At[],
  ): Promise<{ byBroker: ReadonlyMap<Broker, Position[]>; unrouted: boolean }> {
    const byBroker = new Map<Broker, Position[]>()
    const lost: Partition[] = []
    await Promise.all(
      open.map(async ({ partition, offset }) => {
        try {
          const route = await this.#host.metadata.route(partition)
          if (route === null) return void lost.push(partition)
          const position = { partition, offset, epoch: route.epoch }
          const there = byBroker.get(route.broker)
          if (there === undefined) byBroker.set(route.broker, [position])
          else there.push(position)
        } catch (error) {
          reading.failed(partition, asFault(error))
        }
      }),
    )
    await this.#lookAgain(lost)
    return { byBroker, unrouted: lost.length > 0 }
  }
  async #until(done: Promise<unknown>, deadlineMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, closing } = this.#host.network
    const stop = new AbortController()
    const ends = [stop.signal, closing, ...(signal === undefined ? [] : [signal])]
    const over = clock.sleep(Math.max(0, deadlineMs - clock.monotonic()), AbortSignal.any(ends)).catch(() => {})
    await Promise.race([done, over])
    stop.abort()
  }

  /** Takes what has been answered, as far as it is wanted and fits. True: a leader has to be looked for again. */
  async #take(reading: Reading): Promise<boolean> {
    const moved: Partition[] = []
    for (const fetching of this.#fetching) {
      if (fetching.answer === null || reading.bytes >= this.#maxBytes) continue
      this.#fetching = this.#fetching.filter((one) => one !== fetching)
      if (fetching.error !== null) throw fetching.error
      for (const [i, at] of fetching.from.entries()) {
        if (!reading.wants(at)) continue
        const fetched = fetching.answer[i]
        if (fetched === undefined || isPassing(fetched.error)) moved.push(at.partition)
        else await this.#came(reading, at, fetched)
      }
    }
    await this.#lookAgain(moved)
    return moved.length > 0
  }
  async #lookAgain(moved: readonly Partition[]): Promise<void> {
    if (moved.length === 0) return
    await this.#host.metadata.refresh([...new Set(moved.map(({ topic }) => topic))]).catch(() => {})
  }
  async #came(reading: Reading, at: Position, { error, records, aborted, stable }: Fetched): Promise<void> {
    const { partition, offset } = at
    if (error !== code.none) return reading.failed(partition, await this.#faultOf(at, error))
    const cut = cutRecords(records, offset, this.#committedOnly ? aborted : null)
    this.#stable.set(keyOf(partition), stable)
    reading.came(at, { ...cut, stable })
    for (const batch of cut.batches)
      this.#host.meter?.read(partition.topic, readBatchHeader(batch).recordCount, batch.length)
  }
  async #faultOf({ partition, offset }: Position, error: number): Promise<Fault> {
    const { topic } = partition
    if (error !== code.offsetOutOfRange) return faultOf(error, { what: `reading ${topic}`, topic })
    try {
      const [bounds] = await boundsOf(this.#host, [partition])
      return new Fault('log.offset-out-of-range', { offset, first: bounds!.start, next: bounds!.end })
    } catch (thrown) {
      return asFault(thrown)
    }
  }
}
