/**
 * SUBSCRIBE: the rows of a query now, then every change. Two ways to feed the query's graph: from rows kept in memory
 * (`LiveRows`), where all sources have some; else by following the topics themselves. Changes come in the order of the
 * log; a progress mark says that everything up to a frontier has been delivered.
 */
import type { Batch } from '../flow/batch.ts'
import { timeDefaults } from '../flow/clock.ts'
import { Graph, type Source } from '../flow/graph.ts'
import { rowObject } from '../flow/json-value.ts'
import type { Plan, SourcePlan } from '../flow/plan.ts'
import { inputsOf, shareSteps, neverWithdraws, sourcesOf, withInputs } from '../flow/plan-facts.ts'
import { offset } from '../lib/brand.ts'
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import type { Clock } from '../lib/world.ts'
import type { Log, Reader } from '../log/log.ts'
import { schemasOf } from '../schema/formats/registry.ts'
import type { Columns } from '../schema/types.ts'
import type { Change } from './engine.ts'
import { timeText } from './engine-parts.ts'
import { Consolidated, pieceRoom, stepped } from './execute.ts'
import { demandState, MemoryShare } from './held.ts'
import { batchOf, type LiveChange, type LiveRows, reordered } from './live.ts'
import { frontier, type Range, readRanges, slices } from './topic-reader.ts'

export interface SubscriptionOptions {
  readonly log: Log
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Told how long this thread was busy with each piece. */
  readonly worked?: (ms: number) => void
  /** Begin with the rows of now. */
  readonly snapshot: boolean
  /** Rows in memory, where the source has some. */
  readonly live: (source: SourcePlan) => LiveRows | null
  /** ISO 8601 or null: how far event time has come in what the query reads. */
  readonly watermark: () => string | null
  /** Changes that may wait; default `limits.subscriberBacklog`. */
  readonly backlogMax?: number
  /** After how much silence a partition is left out; default: as in views. */
  readonly idleMs?: number
}

const forever = { idleMs: Infinity, maxFutureMs: Infinity }

export function subscription(plan: Plan, options: SubscriptionOptions): AsyncIterable<Change> {
  const sources = sourcesOf(plan)
  const live = sources.map((source) => options.live(source))
  const allLive = live.every((rows) => rows !== null) && sources.length > 0
  const follow = (share: MemoryShare): AsyncGenerator<Change> =>
    allLive ? followRows(plan, live, options, share) : followTopics(plan, options, share)
  return ended(within(follow), options.signal)
}
/** What its steps keep counts as what a query keeps. */
async function* within(follow: (share: MemoryShare) => AsyncGenerator<Change>): AsyncGenerator<Change> {
  const share = new MemoryShare()
  try {
    yield* follow(share)
  } finally {
    share.free()
  }
}
/** Aborting is how a subscription ends, not a failure of it. */
async function* ended(changes: AsyncIterable<Change>, signal: AbortSignal): AsyncGenerator<Change> {
  try {
    yield* changes
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** Rows of a batch as changes, in their order; a weight of two is the change twice. */
function* changesOf(batch: Batch, columns: Columns, at: string): Generator<Change> {
  for (let i = 0; i < batch.count; i++) {
    const weight = batch.weights === null ? 1 : batch.weights[i]!
    const row = rowObject(batch, i, columns)
    for (let n = 0; n < Math.abs(weight); n++) yield { op: weight > 0 ? '+' : '-', row, at }
  }
}
function snapshotOf(held: Consolidated, columns: Columns, at: string): Generator<Change> {
  const all = columns.map((_, i) => i)
  const batch = batchOf(
    held.rows(),
    all,
    columns.map((field) => field.type),
  )
  return changesOf(batch, columns, at)
}

/** Changes of kept rows wait in a queue, bounded: rows in memory move on whoever listens. */
class Waiting {
  private readonly queue: { source: number; change: LiveChange }[] = []
  private rows = 0
  private bytes = 0
  private fault: Fault | null = null
  private wake: (() => void) | null = null
  private readonly rowsMax: number

  constructor(rowsMax: number) {
    this.rowsMax = rowsMax
  }
  push(source: number, change: LiveChange): void {
    if (this.fault !== null) return
    this.queue.push({ source, change })
    for (const batch of change.batches) {
      this.rows += batch.count
      this.bytes += textBytes(batch)
    }
    if (this.rows > this.rowsMax || this.bytes > limits.subscriberBacklogBytes)
      this.fail(new Fault('query.slow-subscriber', { waiting: this.rows }))
    this.wake?.()
  }
  fail(fault: Fault): void {
    this.fault ??= fault
    this.queue.length = 0
    this.wake?.()
  }
  async next(signal: AbortSignal): Promise<{ source: number; change: LiveChange }[]> {
    while (this.queue.length === 0) {
      if (this.fault !== null) throw this.fault
      signal.throwIfAborted()
      const { promise, resolve } = Promise.withResolvers<void>()
      const wake = (): void => resolve()
      this.wake = wake
      signal.addEventListener('abort', wake)
      await promise
      signal.removeEventListener('abort', wake)
      this.wake = null
    }
    if (this.fault !== null) throw this.fault
    this.rows = 0
    this.bytes = 0
    return this.queue.splice(0)
  }
}
/** Of texts, which may be of any length. */
function textBytes({ columns, count }: Batch): number {
  let bytes = 0
  for (const column of columns)
    if (column.kind === 'bytes') for (let row = 0; row < count; row++) bytes += column.to[row]! - column.from[row]!
  return bytes
}

async function* followRows(
  plan: Plan,
  live: readonly (LiveRows | null)[],
  options: SubscriptionOptions,
  share: MemoryShare,
): AsyncGenerator<Change> {
  const { signal, clock } = options
  const rows = live.map((one) => one!)
  do for (const one of rows) await one.current()
  while (rows.some((one) => one.isMidway))
  signal.throwIfAborted()
  const graph = new Graph(shareSteps(asWeighted(plan)), forever)
  graph.open(() => [], clock.now())
  const places = graph.sources.map((source) => columnPlaces(source, rows[source.index]!))
  const waiting = new Waiting(options.backlogMax ?? limits.subscriberBacklog)
  // From here to the snapshot nothing is awaited: no change can fall between them.
  const stops = rows.map((one, source) =>
    one.listen({ changed: (change) => waiting.push(source, change), failed: (fault) => waiting.fail(fault) }),
  )
  try {
    const nowMs = clock.now()
    const first = new Map(
      graph.sources.map((source) => [source.index, rows[source.index]!.batch(places[source.index]!)]),
    )
    const at = rows.map((one) => one.at).join(';')
    for await (const out of stepsOf(graph, first, nowMs, options, share))
      if (options.snapshot) yield* changesOf(out, plan.columns, at)
    yield progress(at, options)
    for (;;) {
      for (const { source, change } of await waiting.next(signal)) {
        for (const batch of change.batches) {
          const rows = new Map([[source, reordered(batch, places[source]!)]])
          for await (const out of stepsOf(graph, rows, clock.now(), options, share))
            yield* changesOf(out, plan.columns, change.at)
        }
        yield progress(change.at, options)
      }
    }
  } finally {
    for (const stop of stops) stop()
  }
}
/** What a step gives, piece by piece; others get their turn between two of them. */
async function* stepsOf(
  graph: Graph,
  rows: ReadonlyMap<number, Batch>,
  nowMs: number,
  { clock, worked, signal }: SubscriptionOptions,
  share: MemoryShare,
): AsyncGenerator<Batch> {
  let startedMs = clock.monotonic()
  let isFirst = true
  for (const result of graph.pieces(rows, nowMs, pieceRoom)) {
    if (!isFirst) {
      await new Promise<void>((resolve) => clock.soon(resolve))
      signal.throwIfAborted()
      startedMs = clock.monotonic()
    }
    isFirst = false
    const out = stepped(result)
    graph.commit()
    demandState(graph, share)
    worked?.(clock.monotonic() - startedMs)
    yield out
  }
}
/** No step has several inputs. */
function isChain(plan: Plan): boolean {
  const [only, ...others] = inputsOf(plan)
  return only === undefined || (others.length === 0 && isChain(only))
}
/** Kept rows come in as weighted changes, whatever their topic holds. */
function asWeighted(plan: Plan): Plan {
  return plan.op === 'source' ? { ...plan, mode: 'weighted' } : withInputs(plan, asWeighted)
}
export function columnPlaces(source: { readonly plan: SourcePlan }, rows: LiveRows): number[] {
  return source.plan.columns.map((field) => rows.source.columns.findIndex((other) => other.name === field.name))
}
const progress = (at: string, { watermark }: SubscriptionOptions): Change => ({
  op: 'progress',
  at,
  watermark: watermark(),
})

async function* followTopics(plan: Plan, options: SubscriptionOptions, share: MemoryShare): AsyncGenerator<Change> {
  const { log, clock, signal } = options
  const graph = new Graph(plan, {
    ...timeDefaults,
    idleMs: options.idleMs ?? timeDefaults.idleMs,
    schemas: schemasOf(log, clock),
  })
  const lanes = await Promise.all(
    graph.sources.map(async (source) => ({ source, ranges: await frontier(log, source.plan.topic) })),
  )
  // Without a snapshot an append-only query begins at the end; others need what was to know what changes.
  const skip = !options.snapshot && neverWithdraws(plan) && isChain(plan)
  if (skip) for (const { ranges } of lanes) for (const range of ranges) range.from = range.to
  graph.open((topic) => unread(lanes, topic), clock.now())
  const reader = log.reader()
  const held = new Consolidated(plan.columns)
  const isHeld = !neverWithdraws(plan)
  let first = true
  for (;;) {
    graph.markIdle(clock.now())
    wake(lanes, clock.now())
    try {
      for await (const rows of rowsUpToFrontier(lanes, reader, options))
        for await (const out of stepsOf(graph, rows, clock.now(), options, share))
          if (first && isHeld) held.add(out)
          else if (!first || options.snapshot) yield* changesOf(out, plan.columns, atOf(lanes))
      if (first && options.snapshot) yield* snapshotOf(held, plan.columns, atOf(lanes))
    } finally {
      held.free()
    }
    const at = atOf(lanes)
    first = false
    yield { op: 'progress', at, watermark: options.watermark() ?? timeText(graph.watermark) }
    await nextFrontier(log, reader, lanes, { clock, signal, atMs: graph.nextTimerMs() })
  }
}
/** A step's rows by source; at last none: what waited for time alone may go then. */
async function* rowsUpToFrontier(
  lanes: readonly Lane[],
  reader: Reader,
  { clock, signal }: SubscriptionOptions,
): AsyncGenerator<ReadonlyMap<number, Batch>> {
  for (const { source, ranges } of lanes)
    for await (const { partition, records } of readRanges(reader, ranges, signal)) {
      for (const some of slices(records, () => stepRecords)) {
        const part = [{ partition: partition.index, records: some }]
        await source.decoder.prepare(part, signal)
        yield new Map([[source.index, source.decoder.decode(part, source.clock, clock.now()).batch]])
      }
    }
  yield new Map()
}
const stepRecords = 512
/** What is there up to the frontier is waited for, whichever partition is read first. */
function wake(lanes: readonly Lane[], nowMs: number): void {
  for (const { source, ranges } of lanes)
    for (const { partition, from, to } of ranges)
      if (from < to) source.clock.woke(source.clock.partition(partition.index, nowMs), nowMs)
}
interface Lane {
  readonly source: Source
  readonly ranges: Range[]
}
const waitMs = 5_000
/** Until there is more, or until `atMs`. */
async function nextFrontier(
  log: Log,
  reader: Reader,
  lanes: readonly Lane[],
  { clock, signal, atMs }: { readonly clock: Clock; readonly signal: AbortSignal; readonly atMs: number },
): Promise<void> {
  while (clock.now() < atMs) {
    const from = lanes.flatMap(({ ranges }) =>
      ranges.map((range) => ({ partition: range.partition, offset: offset(range.from) })),
    )
    await reader.read(from, { ms: Math.max(0, Math.min(waitMs, atMs - clock.now())) }, signal)
    let moved = false
    for (const { source, ranges } of lanes) {
      for (const end of await frontier(log, source.plan.topic)) {
        const known = ranges.find((range) => range.partition.index === end.partition.index)
        if (known === undefined) ranges.push(end)
        else known.to = Math.max(known.from, end.to)
        moved ||= known === undefined || known.to > known.from
      }
    }
    if (moved) return
  }
}
const unread = (lanes: readonly Lane[], topic: string): { partition: number; unread: boolean }[] =>
  lanes
    .filter(({ source }) => source.plan.topic === topic)
    .flatMap(({ ranges }) =>
      ranges.map(({ partition, from, to }) => ({ partition: partition.index, unread: from < to })),
    )
const atOf = (lanes: readonly Lane[]): string =>
  lanes.map(({ ranges }) => ranges.map((range) => `${range.partition.index}:${range.from}`).join(',')).join(';')
