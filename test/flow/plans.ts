/** Short ways to write plans and to run them over rows cut into batches at random. */
import { type Batch, rowsOf } from '../../src/flow/batch.ts'
import type { Aggregate, Expression, Value } from '../../src/flow/expression.ts'
import { Graph, type GraphOptions } from '../../src/flow/graph.ts'
import { type Room, TickAgain } from '../../src/flow/operator.ts'
import { together } from '../../src/flow/parts/far-parts.ts'
import type { FrameEnd, OverCall, OverFrame, Plan, PlanOf, SourcePlan, ViewPlan } from '../../src/flow/plan.ts'
import { type LogRecord, decodeBatch, encodeSparseBatch, rawRecords } from '../../src/log/batch.ts'
import type { RawRecords } from '../../src/log/raw-records.ts'
import { placeBatch } from '../../src/store/batch-header.ts'
import type { Columns, DataType, Field } from '../../src/schema/types.ts'

export const t = {
  boolean: { kind: 'boolean' },
  int: { kind: 'int' },
  bigint: { kind: 'bigint' },
  double: { kind: 'double' },
  text: { kind: 'text' },
  timestamptz: { kind: 'timestamptz' },
  numeric: { kind: 'numeric', precision: null, scale: null },
  money: { kind: 'numeric', precision: 12, scale: 2 },
} as const satisfies Record<string, DataType>

export const field = (name: string, type: DataType, nullable = true): Field => ({ name, type, nullable })
export const column = (columns: Columns, name: string): Expression => {
  const index = columns.findIndex((c) => c.name === name)
  if (index < 0) throw new Error(`no column ${name}`)
  return { kind: 'column', index, type: columns[index]!.type }
}
export const literal = (value: Value, type: DataType): Expression => ({ kind: 'literal', value, type })
export const call = (name: string, type: DataType, ...args: Expression[]): Expression => ({
  kind: 'call',
  name,
  args,
  type,
})
export const aggregate = (
  name: string,
  type: DataType,
  args: Expression[] = [],
  more: Partial<Aggregate> = {},
): Aggregate => ({
  name,
  args,
  type,
  distinct: false,
  filter: null,
  ...more,
})

const ends = { '..': 'unbounded', '0': 'current' } as const
const frameEnd = (end: string | number): FrameEnd =>
  typeof end === 'string' || end === 0
    ? { at: ends[String(end) as keyof typeof ends] }
    : { at: end < 0 ? 'preceding' : 'following', value: Math.abs(end) }
/** A call of OVER; the frame's ends are offsets from the current row, '..' = unbounded. */
export const overCall = (
  call: Aggregate,
  unit: OverFrame['unit'] = 'range',
  from: '..' | number = '..',
  to: '..' | number = 0,
): OverCall => ({ ...call, frame: { unit, from: frameEnd(from), to: frameEnd(to) } })
/** OVER in the order of one column, waiting for its event time unless `more` says that it restates. */
export function overPlan(
  input: Plan,
  partitionBy: number[],
  by: number,
  calls: readonly (readonly [OverCall, DataType])[],
  more: Partial<PlanOf<'over'>> = {},
): PlanOf<'over'> {
  return {
    op: 'over',
    input,
    partitionBy,
    order: [{ column: by, descending: false, nullsFirst: false }],
    time: by,
    calls: calls.map(([call]) => call),
    windowEnd: null,
    keep: null,
    columns: [...input.columns, ...calls.map(([call, type], i) => field(`${call.name}_${i}`, type))],
    ...more,
  }
}

export function source(name: string, columns: Columns, more: Partial<SourcePlan> = {}): SourcePlan {
  return {
    op: 'source',
    name,
    topic: name,
    mode: 'append',
    format: 'json',
    columns,
    fields: columns.map((c) => ({ from: 'value', path: [c.name] })),
    key: [],
    time: null,
    onInvalid: 'quarantine',
    ...more,
  }
}

export interface Input {
  readonly topic: string
  readonly partition: number
  readonly key?: string | null
  /** null = tombstone; text as it is; else JSON. */
  readonly value: unknown
  readonly timeMs?: number
}
export function record(input: Input, offset: number): LogRecord {
  const { value } = input
  return {
    offset,
    timeMs: input.timeMs ?? 1_000_000,
    key: input.key === undefined || input.key === null ? null : Buffer.from(input.key),
    value: value === null ? null : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
    headers: [],
  }
}

/** Records as they lie in a batch of the log. */
export function raw(records: readonly LogRecord[]): RawRecords {
  const [first] = records
  if (first === undefined) return rawRecords([])
  const batch = encodeSparseBatch(records, {
    base: first.offset,
    end: records.at(-1)!.offset + 1,
    compression: 'none',
  })
  placeBatch(batch, first.offset, 0)
  return rawRecords([batch])
}

/** A deterministic generator of numbers in [0, 1) (mulberry32). */
export function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let z = Math.imul(state ^ (state >>> 15), 1 | state)
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296
  }
}

export interface Output {
  readonly weight: number
  readonly values: readonly Value[]
}
/** A graph under test: rows in, deltas out, one step at a time. */
export class Bench {
  graph: Graph
  readonly deltas: Output[][] = []
  late = 0
  invalid = 0
  /** Why rows could not be computed. */
  readonly failed: string[] = []
  /** The changelog: newest value per key. */
  readonly changelog = new Map<string, { readonly key: Buffer; readonly value: Uint8Array; readonly timeMs: number }>()
  /** All of it that was ever written, as it is before it is compacted. */
  readonly history: { readonly key: Buffer; readonly value: Uint8Array | null; readonly timeMs: number }[] = []
  private offsets = new Map<string, number>()
  private readonly plan: Plan
  private readonly options: GraphOptions
  private readonly partitions: Readonly<Record<string, number>>
  private readonly types: readonly DataType[]
  nowMs = 1_000_000
  /** Topics that hold nothing unread when the graph opens. */
  private readonly empty: readonly string[]
  /** Steps are made in pieces of this size. */
  private readonly room: Room | null
  pieces = 0
  /** Rows of the largest. */
  largest = 0

  constructor(
    plan: Plan,
    partitions: Readonly<Record<string, number>> = {},
    {
      empty = [],
      room = null,
      ...options
    }: Partial<GraphOptions> & { empty?: readonly string[]; room?: Room | null } = {},
  ) {
    this.empty = empty
    this.room = room
    this.plan = plan
    this.partitions = partitions
    this.options = { idleMs: 30_000, maxFutureMs: 1e15, ...options }
    this.types = plan.columns.map((c) => c.type)
    this.graph = new Graph(plan, this.options)
    this.open()
  }
  private open(): void {
    this.graph.open(
      (topic) =>
        Array.from({ length: this.partitions[topic] ?? 1 }, (_, partition) => ({
          partition,
          unread: !this.empty.includes(topic),
        })),
      this.nowMs,
    )
  }
  /** Ticks that were begun again. */
  again = 0
  /** Steps since the commit, and where they began. */
  private tick: (readonly Input[])[] = []
  private mark = this.here()

  /** Steps once with these inputs, in order. */
  step(inputs: readonly Input[]): Output[] {
    this.tick.push(inputs)
    return this.orAgain(() => this.stepOnce(inputs), this.tick.slice(0, -1))
  }
  /** Where an operator asks for it, all of the tick again before `last`, as a task does. */
  private orAgain<T>(last: () => T, before: readonly (readonly Input[])[]): T {
    for (let isAgain = false; ; isAgain = true)
      try {
        if (isAgain) for (const inputs of before) this.stepOnce(inputs)
        return last()
      } catch (error) {
        if (!(error instanceof TickAgain)) throw error
        this.again++
        this.graph.undo()
        this.back(this.mark)
      }
  }
  private stepOnce(inputs: readonly Input[]): Output[] {
    const batches = new Map<number, Batch>()
    const byTopic = new Map<string, Map<number, LogRecord[]>>()
    for (const input of inputs) {
      const place = `${input.topic}/${input.partition}`
      const offset = this.offsets.get(place) ?? 0
      this.offsets.set(place, offset + 1)
      const partitions = byTopic.get(input.topic) ?? new Map<number, LogRecord[]>()
      byTopic.set(input.topic, partitions)
      const records = partitions.get(input.partition) ?? []
      partitions.set(input.partition, records)
      records.push(record(input, offset))
    }
    for (const { index, plan, decoder, clock } of this.graph.sources) {
      const partitions = byTopic.get(plan.topic)
      if (partitions === undefined) continue
      const decoded = decoder.decode(
        [...partitions].map(([partition, records]) => ({ partition, records: raw(records) })),
        clock,
        this.nowMs,
      )
      this.invalid += decoded.invalid.length
      batches.set(index, decoded.batch)
    }
    const { room } = this
    if (room === null) return this.take([this.graph.step(batches, this.nowMs)])
    return this.take(this.graph.pieces(batches, this.nowMs, room))
  }
  /** A tick after so much silence. */
  silence(ms: number): Output[] {
    this.nowMs += ms
    this.graph.markIdle(this.nowMs)
    return this.step([])
  }
  finish(): Output[] {
    const { room } = this
    return this.take(room === null ? [this.graph.finish(this.nowMs)] : this.graph.finishInPieces(this.nowMs, room))
  }
  private take(results: Iterable<ReturnType<Graph['step']>>): Output[] {
    const all: Output[] = []
    for (const { out, late, failed } of results) {
      this.pieces++
      this.largest = Math.max(this.largest, out.count)
      for (const { rows } of late) this.late += rows.count
      for (const { rows } of failed) this.failed.push(...rows.faults.map((f) => f.message))
      if (out.count > 0) for (const row of rowsOf(out, this.types)) all.push(row)
    }
    this.deltas.push(all)
    return all
  }
  /** As a tick that is committed. */
  commit(): void {
    const to = { nowMs: this.nowMs, partitions: 1, bytesMax: 1 << 20 }
    const far = this.orAgain(
      () => together([this.graph.farChanges(to)], () => this.graph.save(this.nowMs)).far.flat(),
      this.tick,
    )
    const elsewhere = far
      .flatMap(({ batch }) => decodeBatch(batch))
      .map(({ key, value }) => ({ key: Buffer.from(key!), value }))
    for (const { key, value } of [...this.graph.changes(), ...elsewhere]) {
      this.history.push({ key, value, timeMs: this.nowMs })
      if (value === null) this.changelog.delete(key.toString('hex'))
      else this.changelog.set(key.toString('hex'), { key, value, timeMs: this.nowMs })
    }
    this.graph.commit()
    this.graph.makeRoom()
    this.begin()
  }
  private begin(): void {
    this.tick = []
    this.mark = this.here()
  }
  /** Runs steps that are undone again, right after a commit: they leave no trace. */
  tryOut(run: () => void): void {
    run()
    this.graph.undo()
    this.back(this.mark)
    this.tick = []
  }
  private here() {
    const { offsets, deltas, late, invalid, failed } = this
    return { offsets: new Map(offsets), deltas: deltas.length, late, invalid, failed: failed.length }
  }
  private back({ offsets, deltas, late, invalid, failed }: ReturnType<Bench['here']>): void {
    this.offsets = new Map(offsets)
    this.deltas.length = deltas
    this.late = late
    this.invalid = invalid
    this.failed.length = failed
  }
  /** The process dies and starts again from the changelog. */
  restart(changelog: Iterable<Bench['history'][number]> = this.changelog.values()): void {
    this.graph = new Graph(this.plan, this.options)
    for (const { key, value, timeMs } of changelog) this.graph.restore(key, value, timeMs)
    this.graph.commit()
    this.graph.restored('view')
    this.graph.makeRoom()
    this.open()
    this.begin()
  }
  /** Goes on from what another plan has committed. */
  takeOver(other: Bench): void {
    for (const [key, entry] of other.changelog) this.changelog.set(key, entry)
    this.offsets = new Map(other.offsets)
    this.restart()
  }
  /** Everything so far, summed up. */
  sum(): Map<string, number> {
    return total(this.deltas.flat())
  }
}
export function total(rows: readonly Output[]): Map<string, number> {
  const sums = new Map<string, number>()
  for (const { weight, values } of rows) {
    const key = show(values)
    const sum = (sums.get(key) ?? 0) + weight
    if (sum === 0) sums.delete(key)
    else sums.set(key, sum)
  }
  return sums
}
/** A row as text; the same for the same values, whatever the scale of a numeric. */
export const show = (values: readonly unknown[]): string =>
  JSON.stringify(values, (_, v: unknown) => {
    if (typeof v === 'bigint') return `${v}n`
    if (typeof v === 'number' && (v !== v || Math.abs(v) === Infinity)) return String(v)
    return v
  })
export const sorted = (rows: ReadonlyMap<string, number>): [string, number][] =>
  [...rows].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
/** A list cut into pieces at random; pieces may be empty. */
export function cuts<T>(list: readonly T[], next: () => number, longest: number): T[][] {
  const pieces: T[][] = []
  for (let at = 0; at < list.length;) {
    const size = Math.floor(next() * (longest + 1))
    pieces.push(list.slice(at, at + size))
    at += size
  }
  return pieces
}

/** A view of the sum of `n` for each `k` of a topic. */
export function sumsOf(topic: string, name: string): ViewPlan {
  const columns = [field('k', t.text), field('n', t.int)]
  return {
    name,
    plan: {
      op: 'aggregate',
      input: source(topic, columns),
      keys: [0],
      aggregates: [aggregate('sum', t.bigint, [column(columns, 'n')])],
      windowEnd: null,
      emit: 'update',
      columns: [field('k', t.text), field('n', t.bigint)],
    },
    key: [0],
    appendOnly: false,
    lateTopic: null,
    idleMs: 30_000,
    maxFutureMs: 3_600_000,
    onError: 'stop',
  }
}
