/** What the doctor looks at: the running view, the ends of its topics, and some of the records that lie in them. */
import { type Batch, valueAt } from '../../flow/batch.ts'
import { Graph } from '../../flow/graph.ts'
import type { Plan, SourcePlan, ViewPlan } from '../../flow/plan.ts'
import type { ExaminedNode, ExaminedSource, Examination } from '../../flow/runtime/examine.ts'
import { asFault, type Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Clock } from '../../lib/world.ts'
import type { Log } from '../../log/log.ts'
import { type Schemas, schemasOf } from '../../schema/formats/registry.ts'
import type { Columns } from '../../schema/types.ts'
import type { RelationInfo } from '../engine.ts'
import type { Row } from '../execute.ts'
import type { ViewState } from '../runner.ts'
import { type Piece, frontier, readRanges } from '../topic-reader.ts'

export interface DoctorFacts {
  readonly nowMs: number
  readonly name: string
  readonly state: ViewState
  /** Events that could not be read. */
  readonly nodes: readonly ExaminedNode[]
  readonly sources: readonly SourceFacts[]
  readonly idleMs: number
  readonly maxFutureMs: number
  /** Which records of streams it takes in; null: all. */
  readonly start: NonNullable<ViewPlan['start']> | null
  /** Views that it reads. */
  readonly upstream: readonly {
    readonly name: string
    readonly status: RelationInfo['status']
    readonly fault: Fault | null
  }[]
  /** What a part of the plan makes of the sampled records; at most some hundred rows. */
  rows(plan: Plan): readonly Row[]
}
export interface SourceFacts extends ExaminedSource {
  /** Records in the topic, and those that the view has not taken in yet. */
  readonly records: number
  readonly unread: number
  /** The newest of every partition, oldest first. */
  readonly samples: readonly Sample[]
}
export interface Sample {
  readonly partition: number
  readonly offset: number
  /** The record's own time. */
  readonly timeMs: number
  /** Fields of its JSON object; null where it is none. */
  readonly fields: Readonly<Record<string, unknown>> | null
  /** By the source's columns; null: it could not be read, and why. */
  readonly row: Row | null
  readonly fault: Fault | null
}

const samplesPerTopic = 240
const rowsMax = 400

export interface FactsHost {
  readonly log: Log
  readonly clock: Clock
}

export async function gather(
  host: FactsHost,
  examined: Examination,
  seen: Pick<DoctorFacts, 'name' | 'state' | 'upstream'>,
): Promise<DoctorFacts> {
  const nowMs = host.clock.now()
  const schemas = schemasOf(host.log, host.clock)
  const pieces = new Map<string, Piece[]>()
  for (const topic of new Set(examined.sources.map(({ plan }) => plan.topic)))
    pieces.set(topic, await newest(host.log, topic))
  const sources: SourceFacts[] = []
  for (const source of examined.sources) {
    const ends = await frontier(host.log, source.plan.topic)
    const position = (index: number): number =>
      examined.positions.find(({ partition }) => partition.topic === source.plan.topic && partition.index === index)
        ?.offset ?? 0
    sources.push({
      ...source,
      records: ends.reduce((sum, { from, to }) => sum + to - from, 0),
      unread: ends.reduce(
        (sum, { partition, from, to }) => sum + Math.max(0, to - Math.max(from, position(partition.index))),
        0,
      ),
      samples: await samplesOf(source.plan, pieces.get(source.plan.topic)!, { nowMs, schemas }),
    })
  }
  const known = new Map<Plan, readonly Row[]>()
  return {
    ...seen,
    nowMs,
    nodes: examined.nodes,
    sources,
    idleMs: examined.view.idleMs,
    maxFutureMs: examined.view.maxFutureMs,
    start: examined.view.start ?? null,
    rows: (plan) => {
      const rows = known.get(plan) ?? rowsOf(plan, pieces, { nowMs, schemas })
      known.set(plan, rows)
      return rows
    },
  }
}

async function newest(log: Log, topic: string): Promise<Piece[]> {
  const ends = await frontier(log, topic)
  const each = Math.max(20, Math.floor(samplesPerTopic / Math.max(1, ends.length)))
  const pieces: Piece[] = []
  let bytes = 0
  // Of very many partitions, the first ones say enough.
  for (const { partition, from, to } of ends.slice(0, 64)) {
    const ranges = [{ partition, from: Math.max(from, to - each), to }]
    for await (const piece of readRanges(log.reader({ maxBytes: 1 << 20 }), ranges)) {
      pieces.push(piece)
      bytes += piece.records.parts.reduce((sum, part) => sum + part.bytes.length, 0)
    }
    if (bytes > limits.doctorBytes) break
  }
  return pieces
}

const still = { idleMs: Infinity, maxFutureMs: Infinity, standing: true }

async function samplesOf(
  plan: SourcePlan,
  pieces: readonly Piece[],
  { nowMs, schemas }: { nowMs: number; schemas: Schemas },
): Promise<Sample[]> {
  const { decoder, clock } = new Graph(plan, { ...still, schemas }).sources[0]!
  await decoder.prepare(pieces.map(({ partition, records }) => ({ partition: partition.index, records })))
  const samples: Sample[] = []
  for (const { partition, records } of pieces)
    for (let number = records.from; number < records.to; number++) {
      const record = records.record(number)
      const one = { partition: partition.index, records: records.slice(number, number + 1) }
      const { batch, invalid } = decoder.decode([one], clock, nowMs)
      samples.push({
        partition: partition.index,
        offset: record.offset,
        timeMs: record.timeMs,
        fields: fieldsOf(record.value),
        row: batch.count === 0 ? null : rowAt(batch, 0, plan.columns),
        fault: invalid[0]?.fault ?? null,
      })
    }
  return samples
}
function fieldsOf(value: Uint8Array | null): Sample['fields'] {
  if (value === null) return null
  try {
    const parsed: unknown = JSON.parse(Buffer.from(value).toString('utf8'))
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

/** A batch of a source may have a column more than its plan. */
const rowAt = (batch: Batch, row: number, columns: Columns): Row =>
  columns.map(({ type }, c) => valueAt(batch.columns[c]!, row, type))

/** Rows that came out and were not taken back; [] where the samples cannot be worked on. */
function rowsOf(
  plan: Plan,
  pieces: ReadonlyMap<string, readonly Piece[]>,
  { nowMs, schemas }: { nowMs: number; schemas: Schemas },
): Row[] {
  try {
    const graph = new Graph(plan, { ...still, schemas })
    graph.open(
      (topic) => (pieces.get(topic) ?? []).map(({ partition }) => ({ partition: partition.index, unread: true })),
      nowMs,
    )
    const held: Row[] = []
    const take = (batch: Batch, columns: Columns): void => {
      for (let row = 0; row < batch.count && held.length < rowsMax; row++)
        if (batch.weights === null || batch.weights[row]! > 0) held.push(rowAt(batch, row, columns))
    }
    for (const source of graph.sources) {
      const input = (pieces.get(source.plan.topic) ?? []).map(({ partition, records }) => ({
        partition: partition.index,
        records,
      }))
      const { batch } = source.decoder.decode(input, source.clock, nowMs)
      take(graph.step(new Map([[source.index, batch]]), nowMs).out, plan.columns)
    }
    take(graph.finish(nowMs).out, plan.columns)
    return held
  } catch (error) {
    asFault(error)
    return []
  }
}
