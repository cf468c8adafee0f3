/**
 * The engine's way in alone: batches of the log, as a read brings them, to columns; and, with a filter and a list of columns
 * behind it, to rows of a view. No disk, no state, no output; each read is copied first, as reading a file does. CPU time (user and system, all threads); 400,000 records of
 * Nexmark, in steps of 4,096 as under load.
 */
import type { Batch } from '../src/flow/batch.ts'
import type { Expression } from '../src/flow/expression.ts'
import { Graph } from '../src/flow/graph.ts'
import type { Plan, SourcePlan } from '../src/flow/plan.ts'
import { Unread, encodeBatch } from '../src/log/batch.ts'
import type { Columns, DataType } from '../src/schema/types.ts'
import { nexmarkEvents } from './nexmark/generate.ts'
import { type Format, formats } from './decode-formats.ts'
import type { Report, RowSpec } from './lib/rows.ts'

const int: DataType = { kind: 'int' }
const bigint: DataType = { kind: 'bigint' }
const text: DataType = { kind: 'text' }
const timestamp: DataType = { kind: 'timestamp' }
const bid: Readonly<Record<string, DataType>> = {
  ...{ auction: bigint, bidder: bigint, price: bigint, channel: text, url: text, dateTime: timestamp, extra: text },
}
const few = ['auction', 'price', 'dateTime']

/** A source of these paths; of a path into an event the last name is the column's, but for times. */
function source(paths: readonly (readonly [path: readonly string[], type: DataType])[]): SourcePlan {
  const columns: Columns = paths.map(([path, type]) => ({ name: path.join('.'), type, nullable: true }))
  return {
    ...{
      op: 'source',
      name: 'events',
      topic: 'events',
      mode: 'append',
      format: 'json',
      key: [],
      onInvalid: 'quarantine',
    },
    columns,
    fields: paths.map(([path]) => ({ from: 'value', path })),
    time: { column: columns.findIndex(({ name }) => name.endsWith('dateTime')), delayMs: 4_000 },
  } as SourcePlan
}
const flat = (names: readonly string[]): SourcePlan => source(names.map((name) => [[name], bid[name]!]))
/** As the planner has it: the type of event, and its time from wherever it stands. */
function nested(names: readonly string[]): SourcePlan {
  const plan = source([
    [['event_type'], int],
    ...['person', 'auction', 'bid'].map((event) => [[event, 'dateTime'], timestamp] as const),
    ...names.filter((name) => name !== 'dateTime').map((name) => [['bid', name], bid[name]!] as const),
  ])
  const at = (index: number): Expression => ({ kind: 'column', index, type: plan.columns[index]!.type })
  const when = (type: number, then: number) => ({ when: equal(at(0), type), then: at(then) })
  const expression: Expression = { kind: 'case', branches: [when(0, 1), when(1, 2)], otherwise: at(3), type: timestamp }
  const columns = [...plan.columns, { name: 'dateTime', type: timestamp, nullable: true }]
  const fields: SourcePlan['fields'] = [...plan.fields, { from: 'computed', expression }]
  return { ...plan, columns, fields, time: { column: plan.columns.length, delayMs: 4_000 } }
}
const equal = (left: Expression, value: number): Expression => ({
  ...{ kind: 'call', name: '=', type: { kind: 'boolean' } },
  args: [left, { kind: 'literal', value, type: left.type }],
})
/** SELECT the bid's fields and the time FROM events WHERE event_type = 2. */
function bids(names: readonly string[]): Plan {
  const input = nested(names)
  const kept = input.columns.flatMap(({ name }, i) =>
    name === 'dateTime' || /^bid\.(?!dateTime)/.test(name) ? [i] : [],
  )
  const expressions = kept.map((index): Expression => ({ kind: 'column', index, type: input.columns[index]!.type }))
  const where = equal({ kind: 'column', index: 0, type: int }, 2)
  const filtered: Plan = { op: 'filter', input, where, columns: input.columns }
  return { op: 'project', input: filtered, expressions, columns: kept.map((i) => input.columns[i]!) }
}

const all = Object.keys(bid)
interface Case {
  readonly row: string
  readonly plan: Plan
  readonly isFlat: boolean
  /** JSON. */
  readonly format?: 'json' | 'avro' | 'protobuf'
}
const json: readonly Case[] = [
  { row: 'flat bids, 3 fields', plan: flat(few), isFlat: true },
  { row: 'flat bids, 7 fields', plan: flat(all), isFlat: true },
  { row: 'events, 3 fields of bids', plan: nested(few), isFlat: false },
  { row: 'events, 7 fields of bids', plan: nested(all), isFlat: false },
  { row: 'events, bids alone, 3 fields', plan: bids(few), isFlat: false },
  { row: 'events, bids alone, 7 fields', plan: bids(all), isFlat: false },
]
const written = { avro: 'Avro', protobuf: 'Protobuf' } as const
const cases: readonly Case[] = [
  ...json,
  ...(['avro', 'protobuf'] as const).flatMap((format) =>
    json
      .filter(({ row }) => !row.includes('alone'))
      .map((one): Case => ({ ...one, row: `${written[format]}: ${one.row}`, format })),
  ),
]
export const decodeRows: readonly RowSpec[] = cases.map(({ row }) => ({
  ...{ row, unit: 'k/CPU-s', better: 'higher', goal: null, alone: true },
}))

const batchRecords = 1_000
/** What one read of the log brings together. */
const readBatches = 8
const stepRecords = 4_096
const events = 100_000

/** Batches behind each other. */
interface Read {
  readonly bytes: Buffer
  readonly lengths: readonly number[]
}
function reads(values: readonly (string | Buffer)[]): Read[] {
  const found: Read[] = []
  for (let at = 0; at < values.length; at += batchRecords * readBatches) {
    const batches: Buffer[] = []
    for (let b = 0; b < readBatches && at + b * batchRecords < values.length; b++) {
      const some = values.slice(at + b * batchRecords, at + (b + 1) * batchRecords)
      batches.push(
        Buffer.from(encodeBatch(some.map((value) => ({ key: null, value: Buffer.from(value as string), timeMs: 1 })))),
      )
    }
    found.push({ bytes: Buffer.concat(batches), lengths: batches.map(({ length }) => length) })
  }
  return found
}

export function benchDecode(report: Report, { quick, runs }: { quick: boolean; runs: number | null }): Promise<void> {
  const lines = [...nexmarkEvents({ events, seed: 7, rate: 10_000 })]
  const isBid = (line: string): boolean => line.startsWith('{"event_type":2')
  const nested = { json: reads(lines) } as Record<string, Read[]>
  const flat = {
    json: reads(lines.filter(isBid).map((line) => line.slice(line.indexOf('"bid":') + 6, -1))),
  } as typeof nested
  const schemas = {} as Record<string, Format['schemas']>
  for (const format of formats()) {
    nested[format.name] = reads(lines.map((line) => format.event(line)))
    flat[format.name] = reads(lines.filter(isBid).map((line) => format.bid(line)))
    schemas[format.name] = format.schemas
  }
  lines.length = 0
  for (let run = 0; run < (runs ?? (quick ? 1 : 5)); run++)
    for (const { row, plan: asJson, isFlat, format = 'json' } of cases) {
      if (!report.wantsAny(decodeRows.filter((spec) => spec.row === row))) continue
      const schema = schemas[format]?.[isFlat ? 'bids' : 'events']
      const plan: Plan = schema === undefined ? asJson : { ...(asJson as SourcePlan), format, schema }
      const graph = new Graph(plan, { idleMs: 1e9, maxFutureMs: 1e15 })
      const input = (isFlat ? flat : nested)[format]!
      // As hot as code of a view that runs.
      through(graph, input)
      const started = process.cpuUsage()
      let read = 0
      for (let again = 0; again < 4; again++) read += through(graph, input)
      const { user, system } = process.cpuUsage(started)
      report.sample(row, 'ours', (read / (user + system)) * 1_000)
    }
  return Promise.resolve()
}
function through(graph: Graph, input: readonly Read[]): number {
  const [source] = graph.sources
  const { decoder, clock } = source!
  let read = 0
  let rows = 0
  for (const { bytes, lengths } of input) {
    const copy = Buffer.from(new Uint8Array(bytes).buffer)
    let from = 0
    const batches = lengths.map((length) => copy.subarray(from, (from += length)))
    for (const unread = new Unread(batches); !unread.isEmpty;) {
      const records = unread.nextRaw()
      for (let at = records.from; at < records.to; at += stepRecords) {
        const some = records.slice(at, Math.min(at + stepRecords, records.to))
        const { batch, invalid } = decoder.decode([{ partition: 0, records: some }], clock, 0)
        if (invalid.length > 0) throw invalid[0]!.fault
        read += some.count
        rows += step(graph, batch)
      }
    }
  }
  if (rows < 0.9 * read) throw new Error(`${rows} rows of ${read} records`)
  return read
}
function step(graph: Graph, batch: Batch): number {
  const { out, failed } = graph.step(new Map([[0, batch]]), 0)
  if (failed.length > 0) throw failed[0]!.rows.faults[0]!
  return out.count
}
