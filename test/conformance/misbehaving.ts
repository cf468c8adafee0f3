/**
 * A log that keeps every promise of `Log` and none of the habits of the local one: gaps in offsets (aborted ticks between
 * the appends), reads that stop early or bring nothing, what is committed visible up to 50 ms late, ticks that have to be
 * repeated, claims lost at the commit. Whoever passes on it does not lean on habits.
 */
import type { Offset } from '../../src/lib/brand.ts'
import type { Clock } from '../../src/lib/world.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import type {
  At,
  Chunk,
  Claim,
  JoinOptions,
  Log,
  Membership,
  Owner,
  Partition,
  Reader,
  ReaderOptions,
  Tick,
  Writer,
} from '../../src/log/log.ts'
import type { SeededRandom } from '../../src/lib/sim/random.ts'

export interface Manners {
  readonly gap: number
  readonly short: number
  readonly late: number
  readonly lateMsMax: number
  readonly retry: number
  readonly lost: number
}
const bad: Manners = { gap: 0.2, short: 0.4, late: 0.5, lateMsMax: 50, retry: 0.2, lost: 0.1 }

export function misbehaving(log: Log, clock: Clock, random: SeededRandom, manners: Manners = bad): Log {
  const mischief = new Mischief(log, clock, random, manners)
  const wrapped: Log = {
    topics: log.topics,
    limits: log.limits,
    groups: log.groups,
    writer: (options) => mischief.writer(log.writer(options)),
    reader: (options) => mischief.reader(log.reader(options), options),
    bounds: (of) => log.bounds(of),
    findTime: (of, timeMs) => log.findTime(of, timeMs),
    join: (group, options) => mischief.join(group, options),
    owner: async () => mischief.owner(await log.owner()),
    readerPort: (options) => log.readerPort(options),
    close: () => log.close(),
    [Symbol.asyncDispose]: () => log.close(),
  }
  return wrapped
}

const keyOf = ({ topic, index }: Partition): string => `${topic}/${index}`
const pollMs = 5

class Mischief {
  readonly #log: Log
  readonly #clock: Clock
  readonly #random: SeededRandom
  readonly #manners: Manners
  /** Per partition: from which offset on nothing is shown yet, and until when. */
  readonly #hidden = new Map<string, { from: number; untilMs: number }[]>()
  readonly #claims = new Map<Claim, string>()
  #gapOwner: Promise<Owner> | null = null
  #gaps: Promise<void> = Promise.resolve()

  constructor(log: Log, clock: Clock, random: SeededRandom, manners: Manners) {
    this.#log = log
    this.#clock = clock
    this.#random = random
    this.#manners = manners
  }

  writer(inner: Writer): Writer {
    return {
      append: async (entries) => {
        for (const { partition } of entries) await this.#maybeGap(partition)
        const appended = await inner.append(entries)
        appended.forEach((one, i) => {
          if ('offset' in one) this.#maybeHide(entries[i]!.partition, one.offset)
        })
        return appended
      },
    }
  }
  /** Offsets that belong to nobody: an aborted tick, one at a time. */
  #maybeGap(partition: Partition): Promise<void> {
    if (!this.#random.chance(this.#manners.gap)) return Promise.resolve()
    this.#gapOwner ??= this.#log.owner()
    const owner = this.#gapOwner
    this.#gaps = this.#gaps.then(async () => {
      const tick = (await owner).begin()
      const junk = encodeBatch([{ key: Buffer.from('gap'), value: null, timeMs: 0 }])
      await tick.append([{ partition, batch: junk }]).catch(() => undefined)
      await tick.abort()
    })
    return this.#gaps
  }
  #maybeHide(partition: Partition, from: number): void {
    if (!this.#random.chance(this.#manners.late)) return
    const untilMs = this.#clock.monotonic() + this.#random.fraction() * this.#manners.lateMsMax
    const key = keyOf(partition)
    this.#hidden.set(key, [...(this.#hidden.get(key) ?? []), { from, untilMs }])
  }
  /** First offset that is not shown yet. */
  #hiddenFrom(partition: Partition): number {
    const nowMs = this.#clock.monotonic()
    const left = (this.#hidden.get(keyOf(partition)) ?? []).filter(({ untilMs }) => untilMs > nowMs)
    this.#hidden.set(keyOf(partition), left)
    return Math.min(Infinity, ...left.map(({ from }) => from))
  }

  reader(inner: Reader, options: ReaderOptions | undefined): Reader {
    const isCommitted = options?.uncommitted !== true
    return {
      read: async (from, wait, signal) => {
        const deadlineMs = this.#clock.monotonic() + (wait?.ms ?? 0)
        for (;;) {
          const leftMs = Math.max(0, deadlineMs - this.#clock.monotonic())
          const chunks = await inner.read(from, wait === undefined ? undefined : { ...wait, ms: leftMs }, signal)
          const shown = chunks.map((chunk) => this.#shorten(chunk, from, isCommitted))
          const isNews = shown.some((chunk, i) => 'fault' in chunk || chunk.next > positionOf(from, chunk, i))
          if (isNews || this.#clock.monotonic() >= deadlineMs) return shown
          await this.#clock.sleep(pollMs, signal)
        }
      },
      restore: (partition, claim, from) => inner.restore(partition, claim, from),
    }
  }
  #shorten(chunk: Chunk, from: readonly At[], isCommitted: boolean): Chunk {
    if ('fault' in chunk) return chunk
    const { partition } = chunk
    const position = positionOf(from, chunk, -1)
    const hiddenFrom = isCommitted ? this.#hiddenFrom(partition) : Infinity
    let batches = chunk.batches.filter((batch) => baseOf(batch) < hiddenFrom)
    if (this.#random.chance(this.#manners.short)) batches = batches.slice(0, this.#random.between(0, batches.length))
    if (batches.length === chunk.batches.length && chunk.next <= hiddenFrom) return chunk
    const dropped = chunk.batches[batches.length]
    const stop = Math.min(dropped === undefined ? chunk.next : baseOf(dropped), hiddenFrom)
    return { ...chunk, batches, next: Math.max(position, stop) as Offset }
  }

  join(group: string, options: JoinOptions): Membership {
    const inner = this.#log.join(group, options)
    const claims = this.#claims
    return {
      async *changes() {
        for await (const change of inner.changes()) {
          claims.set(change.claim, group)
          yield change
        }
      },
      positions: (claim, of) => inner.positions(claim, of),
      leave: () => inner.leave(),
    }
  }
  owner(inner: Owner): Owner {
    return { begin: () => this.#tick(inner.begin()), close: () => inner.close() }
  }
  #tick(inner: Tick): Tick {
    const places: At[] = []
    return {
      append: async (entries) => {
        for (const { partition } of entries) await this.#maybeGap(partition)
        const at = await inner.append(entries)
        at.forEach(({ offset }, i) => places.push({ partition: entries[i]!.partition, offset }))
        return at
      },
      commit: async (parts) => {
        if (this.#random.chance(this.#manners.retry)) {
          await inner.abort()
          return 'retry'
        }
        const claim = parts[0]?.claim
        if (claim !== undefined && this.#random.chance(this.#manners.lost)) await this.#evict(claim)
        const outcome = await inner.commit(parts)
        if (outcome === 'committed') for (const { partition, offset } of places) this.#maybeHide(partition, offset)
        return outcome
      },
      abort: () => inner.abort(),
    }
  }
  async #evict(claim: Claim): Promise<void> {
    const group = this.#claims.get(claim)
    const [info] = (await this.#log.groups.list()).filter((one) => one.group === group)
    for (const member of info?.members ?? []) await this.#log.groups.evict(info!.group, member.id)
  }
}

const baseOf = (batch: Uint8Array): number => Number(Buffer.from(batch.subarray(0, 8)).readBigInt64BE())
const positionOf = (from: readonly At[], chunk: Chunk, index: number): number =>
  (index >= 0 ? from[index] : from.find(({ partition }) => keyOf(partition) === keyOf(chunk.partition)))?.offset ?? 0
