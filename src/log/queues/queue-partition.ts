/**
 * One partition as a group's queue: a state machine, pure. Times are of the monotonic clock and come with each call.
 *
 * The window [start, end) holds what was given out and is not done with. A record in it is available, acquired, or over
 * (accepted or archived); what lies before it is over, what lies behind it was never given out. What becomes of acquired
 * records is a `Change`: it shows at once, so that nobody else can decide the same, and the records stand still until the
 * change is durable (`settled`) or could not be stored (`undo`). `start` moves only over what is durably over.
 *
 * Long because every act upon a record reads and writes the same runs, and each needs what the others keep true.
 */
import { assert } from '../../lib/assert.ts'
import { Fault } from '../../lib/fault.ts'
import type { AcquiredRange, Outcome, Settlement } from './queues.ts'
import { type Run, Runs, isOver } from './runs.ts'
import type { Offset } from '../../lib/brand.ts'
import type { StoredBatch, StoredQueue } from './records.ts'

/** What a change needs to know of the group's settings. */
export interface Rules {
  readonly deliveriesMax: number
  readonly lockMs: number
  readonly mayRenew: boolean
  readonly releaseDelayMs: number
  readonly releaseDelayMaxMs: number
  readonly keepsLocks: boolean
}
/** Records that are given up. */
export interface Dead {
  readonly first: number
  readonly last: number
  readonly deliveries: number
  readonly reason: string
}
/** What was read: where batches lie, cut to what was asked for. */
export interface Extent {
  readonly first: number
  readonly last: number
}
export interface Read {
  readonly from: number
  readonly next: number
  readonly extents: readonly Extent[]
}
export interface TakeOptions {
  readonly member: string
  readonly recordsMax: number
  /** Else the last extent is taken whole, as far as the locks allow. */
  readonly exact: boolean
  readonly locksMax: number
  readonly nowMs: number
  readonly rules: Rules
  readonly lockMs: number
  /** Kept of what is given out for the first time; 0: not kept. */
  readonly wallMs: number
}

export class Change {
  readonly runs: readonly Run[]
  readonly dead: readonly Dead[]
  /** Ranges whose locks began anew: they are as they say already. */
  readonly renewed: readonly Extent[]
  readonly #before: readonly Run[]
  /** It is on its way to the disk: what is stored after it builds on it. */
  queued = false

  constructor(parts: ChangeParts) {
    this.#before = parts.before
    this.renewed = parts.renewed ?? []
    this.runs = parts.after.map((run) => ({ ...run, pending: this }))
    this.dead = parts.dead
  }
  get before(): readonly Run[] {
    return this.#before
  }
  get isEmpty(): boolean {
    return this.runs.length === 0
  }
}

interface ChangeParts {
  readonly before: readonly Run[]
  readonly after: readonly Run[]
  readonly dead: readonly Dead[]
  readonly renewed?: readonly Extent[]
}

/** A late acceptance may be about so many records behind the window: more were never out at once. */
const lateMax = 100_000
/** A lock that could not be ended because the disk failed is tried again after this time. */
const retryMs = 1_000

export class QueuePartition {
  readonly #runs = new Runs()
  /** null: nobody has looked yet where the group begins. */
  #start: number | null = null
  /** Where the window ends when it is empty. */
  #emptyEnd = 0
  stateEpoch = 0

  get start(): number | null {
    return this.#start
  }
  get end(): number {
    const { last } = this.#runs
    return last === null ? this.#emptyEnd : last + 1
  }
  /** Records that are acquired or were. */
  get open(): number {
    return this.#runs.open
  }
  /** Of the window, over. */
  get over(): number {
    return this.#start === null ? 0 : this.end - this.#start - this.open
  }
  get runs(): Iterable<Run> {
    return this.#runs
  }
  /** `over`: what behind the start is done with. */
  begin(start: number, over: readonly Extent[] = []): void {
    this.#runs.clear()
    this.#start = start
    this.#emptyEnd = start
    for (const range of over) {
      const first = Math.max(range.first, start)
      if (first > range.last) continue
      this.admit(range.last + 1)
      this.#runs.replace([{ ...fresh, first, last: range.last, state: 'archived' }])
    }
    this.#advance()
  }

  /** As if nobody had looked. */
  unbegin(): void {
    this.#runs.clear()
    this.#start = null
    this.#emptyEnd = 0
  }

  // --- giving out

  /** The first record of the window that may be given out now. */
  nextAvailable(nowMs: number): number | null {
    for (const run of this.#runs) if (isFree(run, nowMs)) return run.first
    return null
  }
  /** What lies before this offset is not there any more. */
  trim(offset: number): void {
    if (this.#start === null || offset <= this.#start) return
    const { end } = this
    this.#runs.dropBefore(offset)
    if (this.#runs.count === 0) this.#emptyEnd = Math.max(end, offset)
    this.#start = offset
    this.#advance()
  }
  /** The window reaches up to there: what it did not hold yet is available. */
  admit(to: number): void {
    const { end } = this
    if (to <= end) return
    this.#runs.append({ ...fresh, first: end, last: to - 1 })
  }
  /** There are no records in this range: what of it is available is over. */
  skip(first: number, last: number): void {
    const found = this.#runs.between(first, last)
    const holes = found.filter((run) => run.state === 'available' && run.pending === null)
    if (holes.length === 0) return
    for (const run of holes) this.#runs.replace([{ ...run, state: 'archived', untilMs: -Infinity }])
    this.#advance()
  }
  /**
   * What was read from `from` up to `next` holds records where the extents lie: the window grows to them, as far as the
   * locks of the group allow, and what lies between them is over.
   */
  take(read: Read, options: TakeOptions): AcquiredRange[] {
    const taken: Run[] = []
    const { exact, recordsMax, locksMax } = options
    let count = 0
    let at = read.from
    for (const extent of read.extents) {
      if (count >= recordsMax || this.#hasLast(taken, options.rules)) return this.#acquire(taken, options)
      this.#hole(at, extent.first - 1)
      const wanted = exact ? recordsMax - count : Infinity
      const room = Math.min(wanted, locksMax - this.open)
      if (room > 0) this.admit(Math.min(extent.last + 1, Math.max(this.end, extent.first) + room))
      count += this.#pick(extent, taken, { ...options, left: wanted })
      at = extent.last + 1
      if (at > this.end) return this.#acquire(taken, options)
    }
    const ranges = this.#acquire(taken, options)
    if (count < recordsMax) this.#hole(at, read.next - 1)
    return ranges
  }
  /** Gives the member what is available of these records of the window. */
  takeOnly(extents: readonly Extent[], options: TakeOptions): AcquiredRange[] {
    const taken: Run[] = []
    let left = options.recordsMax
    for (const extent of extents) {
      if (left <= 0 || this.#hasLast(taken, options.rules)) break
      const count = this.#pick(extent, taken, { ...options, left })
      left -= count
      // What comes behind may have to come after it.
      if (count <= extent.last - extent.first) break
    }
    return this.#acquire(taken, options)
  }
  /**
   * A record on its last delivery goes alone: if it is what kills its consumers, others are not given up with it.
   */
  #pick(extent: Extent, taken: Run[], options: TakeOptions & { left: number }): number {
    const { nowMs, rules, left } = options
    let count = 0
    for (const run of this.#runs.between(extent.first, extent.last)) {
      if (!isFree(run, nowMs)) continue
      const isLast = isLastDelivery(run.count + 1 - run.spared, rules)
      if (count >= left || (isLast && taken.length > 0)) break
      const size = isLast ? 1 : Math.min(run.last - run.first + 1, left - count)
      taken.push({ ...run, last: run.first + size - 1 })
      count += size
      if (isLast) break
    }
    return count
  }
  #hasLast(taken: readonly Run[], rules: Rules): boolean {
    const last = taken.at(-1)
    return last !== undefined && isLastDelivery(last.count + 1 - last.spared, rules)
  }
  #hole(first: number, last: number): void {
    if (last < first) return
    this.admit(last + 1)
    this.skip(first, last)
  }
  #acquire(taken: readonly Run[], { member, nowMs, lockMs, wallMs }: TakeOptions): AcquiredRange[] {
    const untilMs = nowMs + lockMs
    const ranges: { first: Offset; last: Offset; deliveries: number; spared: number; firstMs: number }[] = []
    for (const run of taken) {
      const deliveries = run.count + 1
      const { spared } = run
      const firstMs = run.firstMs === 0 ? wallMs : run.firstMs
      this.#runs.replace([{ ...run, state: 'acquired', count: deliveries, firstMs, member, untilMs }])
      const known = ranges.at(-1)
      const isAlike = known?.deliveries === deliveries && known.spared === spared && known.firstMs === firstMs
      if (isAlike && known.last + 1 === run.first) known.last = run.last as Offset
      else ranges.push({ first: run.first as Offset, last: run.last as Offset, deliveries, spared, firstMs })
    }
    return ranges
  }

  // --- what became of it

  /** Throws Fault; then nothing changed. Locks that are renewed are so at once. */
  settle(member: string, settlements: readonly Settlement[], by: { rules: Rules; nowMs: number }): Change {
    const { rules, nowMs } = by
    const before: Run[] = []
    const after: Run[] = []
    const renewed: Run[] = []
    const dead: Dead[] = []
    for (const settlement of settlements)
      for (const { first, last, outcome } of spans(settlement, this.#start ?? 0)) {
        if (outcome === 'renew' && !rules.mayRenew)
          throw new Fault('log.invalid-acknowledgement', { what: 'locks of this group are not renewed' })
        const { lockMs = rules.lockMs } = settlement
        for (const run of this.#meant(settlement, outcome, { member, first, last, nowMs })) {
          if (outcome === 'renew') {
            renewed.push({ ...run, state: 'acquired', member, untilMs: nowMs + lockMs })
            continue
          }
          const next = became(run, outcome, { rules, nowMs, delayMs: settlement.delayMs, reason: settlement.reason })
          before.push(run)
          after.push(next.run)
          if (next.dead !== null) dead.push(next.dead)
        }
      }
    checkOnce([...before, ...renewed])
    for (const run of renewed) this.#runs.replace([run])
    return this.#change({ before, after, dead, renewed })
  }
  /** The runs that a settlement is about. */
  #meant(
    { deliveries, late = false }: Settlement,
    outcome: Outcome,
    by: { member: string; first: number; last: number; nowMs: number },
  ): Run[] {
    if (!late) return this.#held(by, deliveries)
    // It was given out before a restart: the window begins again as it was stored.
    if (outcome === 'accept' && by.last >= this.end && by.last - this.end < lateMax) this.admit(by.last + 1)
    const isMeant = (run: Run): boolean => {
      if (run.pending !== null || isOver(run)) return false
      if (deliveries !== undefined && run.count !== deliveries) return false
      return run.state === 'acquired' ? run.member === by.member : outcome === 'accept' || outcome === 'renew'
    }
    return this.#runs.between(by.first, by.last).filter(isMeant)
  }
  /** By this delivery, at this moment. */
  isHeld(member: string, offset: number, deliveries: number | undefined, nowMs: number): boolean {
    const [run] = this.#runs.between(offset, offset)
    return run !== undefined && (deliveries ?? run.count) === run.count && holds(run, member, nowMs)
  }
  #held(
    { member, first, last, nowMs }: { member: string; first: number; last: number; nowMs: number },
    deliveries: number | undefined,
  ): Run[] {
    if (this.#runs.count === 0) throw new Fault('log.record-not-held', { offset: first, member })
    if (first >= this.end)
      throw new Fault('log.invalid-acknowledgement', { what: `offset ${first} was never given out` })
    if (last >= this.end) throw new Fault('log.invalid-acknowledgement', { what: `offset ${last} was never given out` })
    const runs = this.#runs.between(first, last)
    for (const run of runs)
      if (!holds(run, member, nowMs) || (deliveries !== undefined && run.count !== deliveries))
        throw new Fault('log.record-not-held', { offset: run.first, member })
    return runs
  }
  #change(parts: ChangeParts): Change {
    const change = new Change(parts)
    for (const run of change.runs) this.#runs.replace([run])
    return change
  }
  /** Locks that are over by now are ended. */
  expire(rules: Rules, nowMs: number): Change {
    return this.#release((run) => run.untilMs <= nowMs, { rules, nowMs, delayMs: undefined })
  }
  /** What went out, or was accepted, is there to be given out again, and that delivery does not count. */
  withdraw(extents: readonly Extent[]): Change {
    const before: Run[] = []
    const after: Run[] = []
    for (const { first, last } of extents)
      for (const run of this.#runs.between(first, last)) {
        if (run.pending !== null || (run.state !== 'acquired' && run.state !== 'accepted')) continue
        const spared = Math.min(run.count, run.spared + 1)
        before.push(run)
        after.push({ ...run, state: 'available', member: '', untilMs: -Infinity, spared })
      }
    return this.#change({ before, after, dead: [] })
  }
  /** Everything that the member holds. */
  release(member: string, rules: Rules, nowMs: number): Change {
    return this.#release((run) => run.member === member, { rules, nowMs, delayMs: 0 })
  }
  #release(which: (run: Run) => boolean, by: { rules: Rules; nowMs: number; delayMs: number | undefined }): Change {
    const before: Run[] = []
    const after: Run[] = []
    const dead: Dead[] = []
    for (const run of this.#runs) {
      if (run.state !== 'acquired' || run.pending !== null || !which(run)) continue
      const next = became(run, 'release', { ...by, reason: undefined })
      before.push(run)
      after.push(next.run)
      if (next.dead !== null) dead.push(next.dead)
    }
    return this.#change({ before, after, dead })
  }
  /** It is durable. */
  settled(change: Change): void {
    for (const run of this.#ofChange(change)) this.#runs.replace([{ ...run, pending: null }])
    this.#advance()
  }
  /** It could not be stored: everything is as it was. */
  undo(change: Change, nowMs: number): void {
    for (const run of change.before) {
      const first = Math.max(run.first, this.#start ?? 0)
      if (first > run.last) continue
      const isThere = this.#runs.between(first, run.last).every(({ pending }) => pending === change)
      if (isThere) this.#runs.replace([{ ...run, first, untilMs: Math.max(run.untilMs, nowMs + retryMs) }])
    }
  }
  /** Its runs, as far as they are in the window still: a reset or retention may have come in between. */
  #ofChange(change: Change): Run[] {
    return change.runs.flatMap(({ first, last }) =>
      this.#runs.between(first, last).filter(({ pending }) => pending === change),
    )
  }
  #advance(): void {
    let start = this.#start ?? 0
    for (const run of this.#runs) {
      if (!isOver(run) || run.pending !== null) break
      start = run.last + 1
    }
    if (this.#start === null || start <= this.#start) return
    const { end } = this
    this.#runs.dropBefore(start)
    if (this.#runs.count === 0) this.#emptyEnd = end
    this.#start = start
  }

  // --- time

  /** When something is to be done or given out next: a lock ends, a delay is over. */
  nextMs(nowMs: number): number {
    let nextMs = Infinity
    for (const { state, pending, untilMs } of this.#runs) {
      if (pending !== null || (state !== 'acquired' && state !== 'available')) continue
      if (state === 'available' && untilMs <= nowMs) continue
      nextMs = Math.min(nextMs, untilMs)
    }
    return nextMs
  }

  // --- stored

  /** All that is durable, or will be before what is stored next. */
  stored(clock: { nowMs: number; wallMs: number }, keepsLocks = false): StoredQueue {
    const batches: StoredBatch[] = []
    for (const run of this.#runs) {
      const { pending } = run
      if (keepsLocks && run.state === 'acquired') {
        batches.push(storedLock(run, clock))
        continue
      }
      // Of a delivery that is not over yet, nothing is stored.
      const isUnknown = run.state === 'acquired' || (pending instanceof Change && !pending.queued)
      const batch = isUnknown
        ? {
            first: run.first,
            last: run.last,
            state: 'available' as const,
            count: run.count - 1,
            spared: run.spared,
            firstMs: run.firstMs,
            notBeforeMs: 0,
          }
        : storedBatch(run, clock)
      if (batch.state !== 'available' || batch.count > 0) batches.push(batch)
    }
    return { start: this.#start, stateEpoch: this.stateEpoch, over: this.over, batches }
  }
  storedChange(change: Change, clock: { nowMs: number; wallMs: number }): StoredQueue {
    const { stateEpoch } = this
    return { start: this.#start, stateEpoch, over: -1, batches: change.runs.map((run) => storedBatch(run, clock)) }
  }
  /** The locks on these ranges, as they are now. */
  storedLocks(ranges: readonly Extent[], clock: { nowMs: number; wallMs: number }): StoredQueue {
    const batches = ranges
      .flatMap(({ first, last }) => this.#runs.between(first, last))
      .filter(({ state }) => state === 'acquired')
      .map((run) => storedLock(run, clock))
    return { start: this.#start, stateEpoch: this.stateEpoch, over: -1, batches }
  }
  /** Behind the start, durably done with. */
  get overRanges(): Extent[] {
    return Array.from(this.#runs)
      .filter((run) => isOver(run) && run.pending === null)
      .map(({ first, last }) => ({ first, last }))
  }
  /** Takes in what was stored: all, or what changed since. */
  restore(stored: StoredQueue, isAll: boolean, clock: { nowMs: number; wallMs: number }): void {
    if (isAll) {
      this.#runs.clear()
      this.#start = stored.start
      this.#emptyEnd = stored.start ?? 0
      this.stateEpoch = stored.stateEpoch
    }
    if (stored.start !== null && this.#start === null) this.begin(stored.start)
    for (const batch of stored.batches) {
      const first = Math.max(batch.first, this.#start ?? 0)
      if (first > batch.last) continue
      this.admit(batch.last + 1)
      const { state, count, spared = 0, firstMs = 0, notBeforeMs, lockedBy } = batch
      const waitMs = notBeforeMs - clock.wallMs
      const untilMs = waitMs > 0 ? clock.nowMs + waitMs : -Infinity
      this.#runs.replace([
        { ...fresh, first, last: batch.last, state, count, spared, firstMs, untilMs, member: lockedBy ?? '' },
      ])
    }
    if (stored.start !== null) this.trim(stored.start)
    this.#advance()
  }
}

const isLastDelivery = (deliveries: number, { deliveriesMax }: Rules): boolean =>
  deliveries > 1 && deliveries >= deliveriesMax
const fresh = {
  state: 'available',
  count: 0,
  spared: 0,
  firstMs: 0,
  member: '',
  untilMs: -Infinity,
  pending: null,
} as const
/**
 * A lock that was kept over a restart is a record that is not to be given out before its end, with the name of who holds it:
 * what its end means to the group is asked of nobody, who may not be there yet.
 */
const holds = ({ state, pending, member: by, untilMs }: Run, member: string, nowMs: number): boolean =>
  pending === null && by === member && (state === 'acquired' || (state === 'available' && untilMs > nowMs))
const isFree = ({ state, pending, untilMs }: Run, nowMs: number): boolean =>
  state === 'available' && pending === null && untilMs <= nowMs

function became(
  run: Run,
  outcome: Exclude<Outcome, 'renew'>,
  by: { rules: Rules; nowMs: number; delayMs: number | undefined; reason: string | undefined },
): { run: Run; dead: Dead | null } {
  const over = { ...run, member: '', untilMs: -Infinity }
  const { first, last } = run
  const count = run.count - run.spared
  switch (outcome) {
    case 'accept':
      return { run: { ...over, state: 'accepted' }, dead: null }
    case 'gap':
      return { run: { ...over, state: 'archived' }, dead: null }
    case 'reject': {
      const reason = by.reason ?? 'rejected by the consumer'
      return { run: { ...over, state: 'archived' }, dead: { first, last, deliveries: count, reason } }
    }
    case 'release': {
      if (count < by.rules.deliveriesMax) {
        const delayMs = by.delayMs ?? delayOf(by.rules, count)
        const untilMs = delayMs > 0 ? by.nowMs + delayMs : -Infinity
        return { run: { ...over, state: 'available', untilMs }, dead: null }
      }
      const reason = `delivered ${count} times and never accepted`
      return { run: { ...over, state: 'archived' }, dead: { first, last, deliveries: count, reason } }
    }
  }
}

/** After so many deliveries. */
function delayOf({ releaseDelayMs, releaseDelayMaxMs }: Rules, deliveries: number): number {
  const doublings = Math.min(Math.max(0, deliveries - 1), 40)
  return Math.max(releaseDelayMs, Math.min(releaseDelayMaxMs, releaseDelayMs * 2 ** doublings))
}

/** The settlement as spans of one outcome; what lies before the window is over already. */
function spans(
  { first, last, outcomes }: Settlement,
  start: number,
): { first: number; last: number; outcome: Outcome }[] {
  if (first < 0 || last < first)
    throw new Fault('log.invalid-acknowledgement', { what: `there is no range from ${first} to ${last}` })
  const [only] = outcomes
  if (only === undefined || (outcomes.length > 1 && outcomes.length !== last - first + 1))
    throw new Fault('log.invalid-acknowledgement', { what: `${outcomes.length} outcomes for ${first} to ${last}` })
  if (last < start) return []
  const from = Math.max(first, start)
  if (outcomes.length === 1) return [{ first: from, last, outcome: only }]
  const found: { first: number; last: number; outcome: Outcome }[] = []
  for (let offset = from; offset <= last; offset++) {
    const outcome = outcomes[offset - first]!
    const known = found.at(-1)
    if (known?.outcome === outcome) known.last = offset
    else found.push({ first: offset, last: offset, outcome })
  }
  return found
}
/** One request decides about a record once. */
function checkOnce(runs: readonly Run[]): void {
  const sorted = runs.toSorted((a, b) => a.first - b.first)
  for (let i = 1; i < sorted.length; i++)
    if (sorted[i]!.first <= sorted[i - 1]!.last)
      throw new Fault('log.record-not-held', { offset: sorted[i]!.first, member: sorted[i]!.member })
}

function storedBatch(run: Run, clock: { nowMs: number; wallMs: number }): StoredBatch {
  const { first, last, state, count, spared, firstMs, untilMs, member } = run
  assert(state !== 'acquired', 'an acquired record is nothing to store')
  const notBeforeMs = untilMs > clock.nowMs ? Math.ceil(clock.wallMs + untilMs - clock.nowMs) : 0
  return { first, last, state, count, spared, firstMs, notBeforeMs, ...(member === '' ? {} : { lockedBy: member }) }
}
const storedLock = (run: Run, clock: { nowMs: number; wallMs: number }): StoredBatch =>
  storedBatch({ ...run, state: 'available' }, clock)
