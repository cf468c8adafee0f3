/**
 * The current rows of a keyed or weighted topic, kept in memory once somebody asked: a graph of the source alone follows
 * the topic and turns records into rows that arrive and are withdrawn. Rows change only at frontiers, ends committed at
 * one instant, so no reader meets half a tick.
 */
import { type Batch, emptyBatch, type Provenance, ProvenanceBuilder } from '../flow/batch.ts'
import { columnBuilder } from '../flow/columns.ts'
import { keyText } from '../flow/encode-key.ts'
import type { Value } from '../flow/expression.ts'
import { Graph } from '../flow/graph.ts'
import type { SourcePlan } from '../flow/plan.ts'
import { offset } from '../lib/brand.ts'
import { asFault, Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import type { Clock } from '../lib/world.ts'
import type { Log } from '../log/log.ts'
import { schemasOf } from '../schema/formats/registry.ts'
import type { DataType } from '../schema/types.ts'
import { type Row, rowAt, stepped } from './execute.ts'
import { bytesOfRow, MemoryShare } from './held.ts'
import { frontier, type Piece, type Range, readRanges } from './topic-reader.ts'
import { Unreadable } from './unreadable.ts'

export interface LiveChange {
  /** Rows that arrived and were withdrawn, in order. */
  readonly batches: readonly Batch[]
  /** Where all partitions stood: `0:15,1:20`. */
  readonly at: string
}
export interface LiveListener {
  changed(change: LiveChange): void
  failed(fault: Fault): void
}
interface Held {
  readonly row: Row
  weight: number
}
const waitMs = 5_000

export class LiveRows {
  /** Without pseudo-columns: rows have their declared columns. */
  readonly source: SourcePlan
  readonly unreadable = new Unreadable()
  private readonly log: Log
  private readonly clock: Clock
  private readonly types: readonly DataType[]
  private readonly graph: Graph
  private readonly keyOf: (row: Row) => string
  private readonly held = new Map<string, Held>()
  private readonly listeners = new Set<LiveListener>()
  private readonly stop = new AbortController()
  private midway = false
  private readonly share = new MemoryShare(limits.keptRowsBytes)
  private ranges: Range[] = []
  private topicId: string | null = null
  private fault: Fault | null = null
  private readonly caughtUp: { to: Map<number, number>; done: (fault: Fault | null) => void }[] = []
  private readonly running: Promise<void>

  constructor(source: SourcePlan, log: Log, clock: Clock) {
    this.source = source
    this.log = log
    this.clock = clock
    this.types = source.columns.map((field) => field.type)
    this.graph = new Graph(source, { idleMs: Infinity, maxFutureMs: Infinity, schemas: schemasOf(log, clock) })
    const keyed = source.mode === 'upsert' ? source.key : source.columns.map((_, i) => i)
    const text = keyText(keyed.map((i) => source.columns[i]!))
    this.keyOf = (row) => text(keyed.map((i) => row[i]!))
    this.running = this.follow().catch((error: unknown) => this.fail(asFault(error)))
  }

  /**
   * Resolves when everything that is committed now is in the rows, which may be looked at until something is awaited. Throws
   * the Fault that ended the following.
   */
  async current(): Promise<void> {
    if (this.fault !== null) throw this.fault
    const ends = await frontier(this.log, this.source.topic)
    const to = new Map(ends.map((range) => [range.partition.index, range.to]))
    while (this.isMidway || !this.reached(to)) {
      if (this.fault !== null) throw this.fault
      await new Promise<void>((resolve, reject) => {
        this.caughtUp.push({ to, done: (fault) => (fault === null ? resolve() : reject(fault)) })
      })
    }
  }
  /** Between two frontiers: who asks now for the rows has to wait. */
  get isMidway(): boolean {
    return this.midway
  }
  get failed(): Fault | null {
    return this.fault
  }
  /** Somebody is told of its changes, or waits for them. */
  get isUsed(): boolean {
    return this.listeners.size > 0 || this.caughtUp.length > 0
  }
  get count(): number {
    return this.held.size
  }
  *rows(): Generator<Row> {
    for (const { row, weight } of this.held.values()) for (let i = 0; i < weight; i++) yield row
  }
  /** By the values of the key columns. */
  find(key: readonly Value[]): Row | null {
    const text = keyText(this.source.key.map((i) => this.source.columns[i]!))(key)
    return this.held.get(text)?.row ?? null
  }
  /** The rows as a batch of the columns named, for a graph to begin with. */
  batch(columns: readonly number[]): Batch {
    return batchOf(this.rows(), columns, this.types)
  }
  get at(): string {
    return this.ranges.map((range) => `${range.partition.index}:${range.from}`).join(',')
  }
  listen(listener: LiveListener): () => void {
    if (this.fault !== null) listener.failed(this.fault)
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }
  async close(): Promise<void> {
    this.letGo()
    await this.running
  }
  /** It follows no more, and holds nothing. */
  letGo(): void {
    this.stop.abort()
    this.fail(closed(this.source.name))
  }

  private async follow(): Promise<void> {
    const { signal } = this.stop
    const reader = this.log.reader()
    this.topicId = (await this.log.topics.get(this.source.topic))?.id ?? null
    this.ranges = await frontier(this.log, this.source.topic)
    const now = this.clock.now()
    this.graph.open(
      () => this.ranges.map(({ partition, from, to }) => ({ partition: partition.index, unread: from < to })),
      now,
    )
    while (!signal.aborted) {
      const batches: Batch[] | null = this.listeners.size > 0 ? [] : null
      // Positions move before the rows do: from here on, not from the first row on.
      this.midway = this.ranges.some(({ from, to }) => from < to)
      for await (const piece of readRanges(reader, this.ranges, signal)) {
        const { decoder } = this.graph.sources[0]!
        await decoder.prepare([{ partition: piece.partition.index, records: piece.records }], signal)
        signal.throwIfAborted()
        this.take(piece, batches)
      }
      this.publish(batches)
      await this.advance(reader, signal)
    }
  }
  /** Waits for something new, then sets the next frontier. */
  private async advance(reader: ReturnType<Log['reader']>, signal: AbortSignal): Promise<void> {
    const waiting = this.ranges.map(({ partition, from }) => ({ partition, offset: offset(from) }))
    if (!this.caughtUp.some(({ to }) => !this.reached(to))) await reader.read(waiting, { ms: waitMs }, signal)
    const ends = await frontier(this.log, this.source.topic)
    // Another one of its name has other rows, which begin at its beginning.
    if ((await this.log.topics.get(this.source.topic))?.id !== this.topicId)
      throw new Fault('log.unknown-topic', { topic: this.source.topic })
    for (const end of ends) {
      const known = this.ranges.find((range) => range.partition.index === end.partition.index)
      if (known === undefined) this.ranges.push(end)
      else known.to = Math.max(known.from, end.to)
    }
  }
  private take(piece: Piece, into: Batch[] | null): void {
    const out = takeOne(this.graph, this.clock.now(), piece, this.unreadable)
    if (out.count === 0) return
    into?.push(out)
    for (let i = 0; i < out.count; i++)
      this.change(rowAt(out, i, this.types), out.weights === null ? 1 : out.weights[i]!)
    this.graph.commit()
  }
  private change(row: Row, weight: number): void {
    const key = this.keyOf(row)
    const held = this.held.get(key)
    if (this.source.mode === 'upsert') {
      if (weight > 0) this.hold(key, { row, weight: 1 }, held)
      else this.hold(key, null, held)
    } else if (held === undefined) this.hold(key, { row, weight }, held)
    else if (held.weight + weight === 0) this.hold(key, null, held)
    else held.weight += weight
    if (this.held.size > limits.queryRows) throw new Fault('query.too-large', { what: `${limits.queryRows} rows` })
  }
  private hold(key: string, next: Held | null, before: Held | undefined): void {
    if (next === null) this.held.delete(key)
    else this.held.set(key, next)
    const bytesOf = (one: Held | null | undefined): number =>
      one === null || one === undefined ? 0 : bytesOfRow(one.row) + key.length
    this.share.add(bytesOf(next) - bytesOf(before))
  }
  private publish(batches: readonly Batch[] | null): void {
    this.midway = false
    if (batches !== null && batches.length > 0)
      for (const listener of this.listeners) listener.changed({ batches, at: this.at })
    for (const waiter of this.caughtUp.splice(0)) {
      if (this.reached(waiter.to)) waiter.done(null)
      else this.caughtUp.push(waiter)
    }
  }
  private reached(to: ReadonlyMap<number, number>): boolean {
    if (this.ranges.length === 0) return false
    for (const [index, end] of to) {
      const range = this.ranges.find((r) => r.partition.index === index)
      if (range === undefined || range.from < end) return false
    }
    return true
  }
  private fail(fault: Fault): void {
    if (this.fault !== null) return
    this.fault = fault
    this.held.clear()
    this.graph.clear()
    this.share.free()
    for (const { done } of this.caughtUp.splice(0)) done(fault)
    for (const listener of this.listeners) listener.failed(fault)
  }
}

const closed = (name: string): Fault => new Fault('log.closed', { what: `the rows of ${name}` })

/** One piece of a topic through a graph of one source. */
function takeOne(graph: Graph, nowMs: number, { partition, records }: Piece, unreadable: Unreadable): Batch {
  const [source] = graph.sources
  const { batch, invalid } = source!.decoder.decode([{ partition: partition.index, records }], source!.clock, nowMs)
  if (invalid.length > 0) unreadable.add(partition.topic, invalid)
  return stepped(graph.step(new Map([[0, batch]]), nowMs))
}

export function batchOf(rows: Iterable<Row>, columns: readonly number[], types: readonly DataType[]): Batch {
  const builders = columns.map((c) => columnBuilder(types[c]!))
  const provenance = new ProvenanceBuilder()
  let count = 0
  for (const row of rows) {
    for (const [b, c] of columns.entries()) {
      const value = row[c]!
      if (value === null) builders[b]!.pushNull()
      else builders[b]!.push(value)
    }
    provenance.push(-1, 0, 0, -Infinity)
    count++
  }
  const made: Provenance = provenance.done()
  return { ...emptyBatch, count, columns: builders.map((builder) => builder.done()), rows: made }
}
/** The same rows with other columns. */
export const reordered = (batch: Batch, columns: readonly number[]): Batch => ({
  ...batch,
  columns: columns.map((c) => batch.columns[c]!),
})
