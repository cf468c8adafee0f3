/**
 * One-off queries: the same operators as in views, over what is committed now, to the end. Rows that may be withdrawn are
 * held until all input is read and come out with what is left of them; others stream.
 */
import { type Batch, rowsFrom, valueAt } from '../flow/batch.ts'
import type { InvalidRecord } from '../flow/decode.ts'
import type { Value } from '../flow/expression.ts'
import { Graph, type Source, type StepResult } from '../flow/graph.ts'
import { KeyWriter, writeKey } from '../flow/key.ts'
import type { Room } from '../flow/operator.ts'
import type { Plan, SourcePlan } from '../flow/plan.ts'
import { neverWithdraws } from '../flow/plan-facts.ts'
import type { Clock } from '../lib/world.ts'
import type { Log } from '../log/log.ts'
import { schemasOf } from '../schema/formats/registry.ts'
import type { Columns, DataType } from '../schema/types.ts'
import { demandState, Held, MemoryShare } from './held.ts'
import { recordBounds, within } from './record-bounds.ts'
import { frontier, type Range, readRanges, slices } from './topic-reader.ts'

export type Row = readonly Value[]

export interface ExecuteOptions {
  readonly log: Log
  readonly clock: Clock
  readonly signal?: AbortSignal
  /** Told how long this thread was busy with each piece. */
  readonly worked?: (ms: number) => void
  /** Rows of a source that are known already, instead of reading its topic; null = read. */
  readonly known: (source: SourcePlan) => Promise<Batch | null>
  /** Gets the graph that runs, which then measures its nodes. */
  readonly watch?: (graph: Graph) => void
  /** Told of events that cannot be read: they are left out, as views leave them to their quarantine. */
  readonly unreadable?: (topic: string, events: readonly InvalidRecord[]) => void
}

/** Rows of the plan, in memory form. Throws the faults of values and of the log. */
export async function* execute(plan: Plan, options: ExecuteOptions): AsyncGenerator<Row> {
  const types = plan.columns.map((field) => field.type)
  if (neverWithdraws(plan)) {
    for await (const batch of run(plan, options))
      for (let row = 0; row < batch.count; row++) yield rowAt(batch, row, types)
    return
  }
  const left = new Consolidated(plan.columns)
  try {
    for await (const batch of run(plan, options)) left.add(batch)
    yield* left.rows()
  } finally {
    left.free()
  }
}
export const rowAt = (batch: Batch, row: number, types: readonly DataType[]): Row =>
  batch.columns.map((column, c) => valueAt(column, row, types[c]!))

/** So long may a query keep the thread at once, about: how many records it takes at a time depends on what the last took. */
const turnMs = 10
const firstRecords = 64
const mostRecords = 65_536
const pieceBytes = 256 * 1024
/** Of what one step of the plan gives at once. */
export const pieceRoom: Room = { rows: 2_048, bytes: 4 * 1024 * 1024 }

/** Everything that comes out of the plan, batch by batch. */
async function* run(plan: Plan, options: ExecuteOptions): AsyncGenerator<Batch> {
  const share = new MemoryShare()
  try {
    yield* runWithin(share, plan, options)
  } finally {
    share.free()
  }
}
async function* runWithin(share: MemoryShare, plan: Plan, options: ExecuteOptions): AsyncGenerator<Batch> {
  const prepared = await withKnown(plan, options)
  const graph = new Graph(prepared.plan, {
    idleMs: Infinity,
    maxFutureMs: Infinity,
    standing: true,
    schemas: schemasOf(options.log, options.clock),
    ...(options.watch === undefined ? {} : { clock: options.clock }),
  })
  options.watch?.(graph)
  const nowMs = options.clock.now()
  const needed = recordBounds(prepared.plan, nowMs * 1000)
  const inputs = await Promise.all(
    graph.sources.map(async (source) => {
      const known = prepared.known.get(source.plan) ?? null
      if (known !== null) return { source, known, ranges: [] }
      const ranges = await frontier(options.log, source.plan.topic)
      const bounds = needed.get(source.plan)
      return { source, known, ranges: bounds === undefined ? ranges : await within(options.log, ranges, bounds) }
    }),
  )
  graph.open((topic) => unread(inputs, topic), nowMs)
  const { worked = (): void => {}, clock } = options
  let busyMs = 0
  let stepSize = firstRecords
  /** What is read from memory never waits by itself: others get their turn. */
  const giveTurn = async (): Promise<void> => {
    if (busyMs < turnMs) return
    busyMs = 0
    await new Promise<void>((resolve) => clock.soon(resolve))
    options.signal?.throwIfAborted()
  }
  async function* step(results: () => Iterable<StepResult>): AsyncGenerator<Batch> {
    let startedMs = clock.monotonic()
    let stepMs = 0
    for (const result of results()) {
      const out = stepped(result)
      graph.commit()
      demandState(graph, share)
      const ms = clock.monotonic() - startedMs
      stepMs += ms
      busyMs += ms
      worked(ms)
      if (out.count > 0) yield out
      await giveTurn()
      startedMs = clock.monotonic()
    }
    if (stepMs > turnMs * 2) stepSize = Math.max(1, stepSize >> 1)
    else if (stepMs < turnMs / 2) stepSize = Math.min(stepSize * 2, mostRecords)
  }
  const rowsOf = (source: Source, batchOf: () => Batch): AsyncGenerator<Batch> =>
    step(() => graph.pieces(new Map([[source.index, batchOf()]]), nowMs, pieceRoom))
  // Tables first: rows that wait for a table's version then wait less.
  for (const { source, known, ranges } of inputs.toSorted((a, b) => rank(a.source) - rank(b.source))) {
    if (known !== null) for (const some of cut(known, () => stepSize)) yield* rowsOf(source, () => some)
    for await (const { partition, records } of readRanges(
      options.log.reader({ maxBytes: pieceBytes }),
      ranges,
      options.signal,
    )) {
      for (const some of slices(records, () => stepSize)) {
        await source.decoder.prepare([{ partition: partition.index, records: some }], options.signal)
        const decoded = (): Batch => {
          const { batch, invalid } = graph.measured(source.node, () =>
            source.decoder.decode([{ partition: partition.index, records: some }], source.clock, nowMs),
          )
          if (invalid.length > 0) options.unreadable?.(source.plan.topic, invalid)
          return batch
        }
        yield* rowsOf(source, decoded)
      }
    }
  }
  yield* step(() => graph.finishInPieces(nowMs, pieceRoom))
}
function* cut(batch: Batch, size: () => number): Generator<Batch> {
  for (let from = 0; from < batch.count;) {
    const count = Math.min(size(), batch.count - from)
    yield count === batch.count ? batch : rowsFrom(batch, from, count)
    from += count
  }
}
/** What a step gave. Throws the fault of a row that could not be computed: a query has no other way out. */
export function stepped({ out, failed }: StepResult): Batch {
  const [first] = failed
  if (first !== undefined) throw first.rows.faults[0]!
  return out
}
const rank = (source: Source): number => (source.plan.mode === 'append' ? 1 : 0)

interface Input {
  readonly source: Source
  readonly known: Batch | null
  readonly ranges: readonly Range[]
}
const unread = (inputs: readonly Input[], topic: string): { partition: number; unread: boolean }[] =>
  inputs
    .filter(({ source }) => source.plan.topic === topic)
    .flatMap(({ ranges }) =>
      ranges.map(({ partition, from, to }) => ({ partition: partition.index, unread: from < to })),
    )

/**
 * Sources whose rows are known become plain ones that are handed those rows. The table of a temporal join stays: there
 * every version counts, not the newest alone.
 */
async function withKnown(plan: Plan, options: ExecuteOptions): Promise<{ plan: Plan; known: Map<Plan, Batch> }> {
  const known = new Map<Plan, Batch>()
  // What the plan mentions several times stays one.
  const made = { plain: new Map<Plan, Plan>(), versions: new Map<Plan, Plan>() }
  const visit = async (part: Plan, versions: boolean): Promise<Plan> => {
    const before = made[versions ? 'versions' : 'plain']
    const again = before.get(part) ?? (await change(part, versions))
    before.set(part, again)
    return again
  }
  const change = async (part: Plan, versions: boolean): Promise<Plan> => {
    switch (part.op) {
      case 'source': {
        const isRead = part.rows === undefined && (versions || part.mode === 'append')
        const rows = isRead ? null : await options.known(part)
        if (rows === null) return part
        const weighted: SourcePlan = { ...part, mode: 'weighted' }
        known.set(weighted, rows)
        return weighted
      }
      case 'union': {
        const inputs: Plan[] = []
        for (const input of part.inputs) inputs.push(await visit(input, false))
        return { ...part, inputs }
      }
      case 'temporal-join': {
        const left = await visit(part.left, false)
        return { ...part, left, right: await visit(part.right, true) }
      }
      case 'lookup':
      case 'join': {
        const left = await visit(part.left, false)
        return { ...part, left, right: await visit(part.right, false) }
      }
      default:
        return { ...part, input: await visit(part.input, versions) }
    }
  }
  return { plan: await visit(plan, false), known }
}

/** What is left of rows that arrive and are withdrawn. */
export class Consolidated {
  private readonly types: readonly DataType[]
  private readonly held = new Map<string, { row: Row; weight: number }>()
  private readonly writer = new KeyWriter()
  private readonly memory = new Held()

  constructor(columns: Columns) {
    this.types = columns.map((field) => field.type)
  }
  add(batch: Batch): void {
    for (let i = 0; i < batch.count; i++)
      this.change(rowAt(batch, i, this.types), batch.weights === null ? 1 : batch.weights[i]!)
  }
  private change(row: Row, weight: number): void {
    const key = this.keyOf(row)
    const held = this.held.get(key)
    const sum = (held?.weight ?? 0) + weight
    if (sum === 0) {
      this.held.delete(key)
      if (held !== undefined) this.memory.remove(held.row, key.length)
    } else if (held !== undefined) held.weight = sum
    else {
      this.memory.add(row, key.length)
      this.held.set(key, { row, weight: sum })
    }
  }
  free(): void {
    this.held.clear()
    this.memory.free()
  }
  private keyOf(row: Row): string {
    this.writer.length = 0
    for (let c = 0; c < row.length; c++) writeKey(this.writer, row[c]!, this.types[c]!)
    return Buffer.from(this.writer.done()).toString('latin1')
  }
  *rows(): Generator<Row> {
    for (const { row, weight } of this.held.values()) for (let i = 0; i < weight; i++) yield row
  }
}
