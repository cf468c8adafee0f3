/** One tick's steps over a graph, and what they leave: deltas, and events that were invalid, late or failed. */
import type { Fault } from '../../lib/fault.ts'
import { type Batch, partitionOf } from '../batch.ts'
import type { InvalidRecord } from '../decode.ts'
import { lending } from '../lent-arrays.ts'
import type { Graph, Node, Source, StepResult } from '../graph.ts'
import { rowWriter } from '../json-value.ts'
import type { Room } from '../operator.ts'
import { type SharedTopic, sharedTopics } from '../shared-topic.ts'
import type { Slice } from './input.ts'

/** A place in a source's topic. */
export interface Place {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}
export interface LateEvent extends Place {
  readonly node: Node
}
export interface FailedEvent {
  /** null: the row came from the clock alone, from no one event. */
  readonly place: Place | null
  readonly node: Node
  readonly fault: Fault
  /** The row that failed, as JSON. */
  row(): string
}
export interface TickResult {
  readonly deltas: readonly Batch[]
  readonly rowsOut: number
  /** An event late for several operators counts once. */
  readonly late: ReadonlyMap<string, LateEvent>
  readonly failed: readonly FailedEvent[]
  readonly invalid: readonly (InvalidRecord & { readonly topic: string })[]
}

/** Of what one step of a view gives at once: few rows may make very many (joins, windows that overlap). */
const pieceRoom: Room = { rows: 65_536, bytes: 32 * 1024 * 1024 }

export class Stepper {
  private readonly graph: Graph
  private deltas: Batch[] = []
  private late = new Map<string, LateEvent>()
  private failed: FailedEvent[] = []
  /** Rows of this step that failed: they are shown later. */
  private failing: Batch[] = []
  private invalid = new Map<string, InvalidRecord & { topic: string }>()
  private rowsOut = 0
  private readonly topics: readonly SharedTopic<Source>[]

  constructor(graph: Graph) {
    this.graph = graph
    this.topics = sharedTopics(graph.sources, graph.schemas)
  }
  get result(): TickResult {
    const { deltas, rowsOut, late, failed } = this
    return { deltas, rowsOut, late, failed, invalid: [...this.invalid.values()] }
  }
  /** Forgets what the tick made so far. */
  clear(): void {
    this.deltas = []
    this.late = new Map()
    this.failed = []
    this.invalid = new Map()
    this.rowsOut = 0
  }
  /** As `Decoder.prepare`. */
  prepare(slices: readonly Slice[], signal: AbortSignal): Promise<unknown> | null {
    const waits = this.topics.flatMap(({ topic, prepare }) => {
      const wait = prepare(
        slices.filter((s) => s.topic === topic),
        signal,
      )
      return wait === null ? [] : [wait]
    })
    return waits.length === 0 ? null : Promise.all(waits)
  }
  step(slices: readonly Slice[], nowMs: number): void {
    lending(() => {
      const before = this.deltas.length
      this.failing = []
      this.stepAll(slices, nowMs)
      return [...this.deltas.slice(before), ...this.failing]
    })
  }
  private stepAll(slices: readonly Slice[], nowMs: number): void {
    const rows = new Map<number, Batch>()
    for (const { topic, sources, read } of this.topics) {
      const mine = slices.filter((s) => s.topic === topic)
      if (mine.length === 0) continue
      const found = this.graph.measured(sources[0]!.node, () => read(mine))
      for (const [i, { index, node, decoder, clock }] of sources.entries()) {
        const { batch, invalid } = this.graph.measured(node, () => decoder.rows(found[i]!, clock, nowMs))
        // Two sources may read one topic: a record is invalid once.
        for (const one of invalid) this.invalid.set(`${topic}/${one.partition}/${one.record.offset}`, { ...one, topic })
        rows.set(index, batch)
      }
    }
    for (const result of this.graph.pieces(rows, nowMs, pieceRoom)) this.take(result)
  }
  /** What is given by no step over new records. */
  take(result: StepResult): void {
    if (result.out.count > 0) {
      this.deltas.push(result.out)
      this.rowsOut += result.out.count
    }
    for (const { node, rows } of result.late)
      for (let row = 0; row < rows.count; row++) {
        const place = this.placeOf(rows.rows.source[row]!, rows.rows.offset[row]!)
        if (place !== null) this.late.set(`${place.topic}/${place.partition}/${place.offset}`, { ...place, node })
      }
    for (const { node, rows } of result.failed) {
      this.failing.push(rows.batch)
      const write = rowWriter((node.inputs[0] ?? node).columns)
      for (let row = 0; row < rows.batch.count; row++)
        this.failed.push({
          place: this.placeOf(rows.batch.rows.source[row]!, rows.batch.rows.offset[row]!),
          node,
          fault: rows.faults[row]!,
          row: () => write(rows.batch, row),
        })
    }
  }
  private placeOf(source: number, offset: number): Place | null {
    if (source < 0) return null
    return { topic: this.graph.topicOf(source), partition: partitionOf(source), offset }
  }
}
