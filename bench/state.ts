/**
 * The engine's state alone: decoded batches in memory through one operator (and, for windows, what adds them), with what a
 * tick does to the state every 20,000 events: save, the changes as record batches, commit. No decoding, no log, no disk. The figure is
 * CPU time (user and system, all threads) per event; the split by part is wall time and goes to the samples.
 */
import { type Batch, type Column, type Provenance } from '../src/flow/batch.ts'
import { BytesBuilder } from '../src/flow/columns.ts'
import type { Aggregate, Expression } from '../src/flow/expression.ts'
import { Graph } from '../src/flow/graph.ts'
import type { PartLinks } from '../src/flow/parts/far-parts.ts'
import { PartLine } from '../src/flow/parts/part-line.ts'
import type { Plan, SourcePlan } from '../src/flow/plan.ts'
import { savedState } from '../src/flow/runtime/records.ts'
import { PartThreads } from '../src/flow/workers/part-threads.ts'
import type { Columns, DataType } from '../src/schema/types.ts'
import { realWorld } from '../src/lib/real/world.ts'
import { realThreads } from '../src/lib/real/threads.ts'
import type { Report, RowSpec } from './lib/rows.ts'

const bigint: DataType = { kind: 'bigint' }
const text: DataType = { kind: 'text' }
const timestamp: DataType = { kind: 'timestamp' }
const boolean: DataType = { kind: 'boolean' }

const stepRows = 4_000
const tickRows = 20_000
const eventsPerMs = 10

/** Bids as Nexmark makes them: half of them for the newest hundred auctions' first, one auction for 15 bids. */
const bidColumns: Columns = [
  { name: 'auction', type: bigint, nullable: false },
  { name: 'bidder', type: bigint, nullable: false },
  { name: 'price', type: bigint, nullable: false },
  { name: 'channel', type: text, nullable: false },
  { name: 'extra', type: text, nullable: false },
  { name: 'time', type: timestamp, nullable: false },
]
const [auction, bidder, price, channel, time] = [0, 1, 2, 3, 5]
const auctionColumns: Columns = [
  { name: 'id', type: bigint, nullable: false },
  { name: 'name', type: text, nullable: false },
]

function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let z = Math.imul(state ^ (state >>> 15), 1 | state)
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296
  }
}
const numbers = (data: Float64Array): Column => ({ kind: 'f64', data, valid: null })
function texts(values: readonly string[]): Column {
  const builder = new BytesBuilder(values.length)
  for (const value of values) builder.pushText(value)
  return builder.done()
}
/** Rows of one partition, `first` on, in the order of event time; the watermark stands at the time of the row before. */
function provenance(source: number, first: number, times: Float64Array): Provenance {
  const count = times.length
  const watermark = new Float64Array(count)
  for (let i = 0; i < count; i++) watermark[i] = Math.floor(times[Math.max(0, i - 1)]! / 1000)
  return {
    source: new Int32Array(count).fill(source * 65_536),
    offset: Float64Array.from({ length: count }, (_, i) => first + i),
    time: times,
    watermark,
    origins: null,
  }
}
const batch = (columns: readonly Column[], rows: Provenance): Batch => ({
  count: rows.time.length,
  columns,
  weights: null,
  rows,
  late: null,
  failed: null,
})
interface Step {
  readonly batches: ReadonlyMap<number, Batch>
  readonly rows: number
  readonly endMs: number
}
const stateTopic = { name: 'state', partitions: 1 }
const padding = 'abcdefghijklmnopqrstuvwxyz'.repeat(4)
const auctionOf = (event: number): number => Math.floor(event / 15)

/** `auctions`: each auction, as source 1, in the step of its first bid. */
function makeSteps(events: number, auctions: boolean): Step[] {
  const next = random(7)
  const steps: Step[] = []
  for (let first = 0; first < events; first += stepRows) {
    const data = Array.from({ length: 4 }, () => new Float64Array(stepRows))
    const channels: string[] = []
    const extras: string[] = []
    for (let i = 0; i < stepRows; i++) {
      const newest = auctionOf(first + i)
      const isHot = next() < 0.5
      data[0]![i] = 1000 + (isHot ? newest - (newest % 100) : Math.max(0, newest - Math.floor(next() * 1000)))
      data[1]![i] = 1000 + Math.floor(next() * (1000 + newest / 3))
      data[2]![i] = Math.floor(10 ** (next() * 6) * 100)
      data[3]![i] = 1.6e15 + Math.floor(((first + i) * 1000) / eventsPerMs)
      channels.push(
        next() < 0.5 ? ['Google', 'Facebook', 'Baidu', 'Apple'][i % 4]! : `channel-${Math.floor(next() * 10_000)}`,
      )
      extras.push(padding.slice(0, 60 + Math.floor(next() * 40)))
    }
    const times = data[3]!
    const columns = [
      numbers(data[0]!),
      numbers(data[1]!),
      numbers(data[2]!),
      texts(channels),
      texts(extras),
      numbers(times),
    ]
    const batches = new Map([[0, batch(columns, provenance(0, first, times))]])
    let rows = stepRows
    if (auctions) {
      const from = first === 0 ? 0 : auctionOf(first - 1) + 1
      const ids = Float64Array.from({ length: auctionOf(first + stepRows - 1) + 1 - from }, (_, i) => 1000 + from + i)
      const names = texts(Array.from(ids, (id) => `item ${id} ${padding}`))
      batches.set(1, batch([numbers(ids), names], provenance(1, from, new Float64Array(ids.length).fill(times[0]!))))
      rows += ids.length
    }
    steps.push({ batches, rows, endMs: Math.floor(times.at(-1)! / 1000) })
  }
  return steps
}

const source = (name: string, columns: Columns): SourcePlan => ({
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
})
const bids = source('bids', bidColumns)
const column = (index: number): Expression => ({ kind: 'column', index, type: bidColumns[index]!.type })
const below = (limit: number): Expression => ({
  kind: 'call',
  name: '<',
  args: [column(price), { kind: 'literal', value: limit, type: bigint }],
  type: boolean,
})
const aggregate = (name: string, args: Expression[], more: Partial<Aggregate> = {}): Aggregate => ({
  name,
  args,
  type: name === 'avg' ? { kind: 'numeric', precision: null, scale: null } : bigint,
  distinct: false,
  filter: null,
  ...more,
})
function grouped(
  input: Plan,
  keys: readonly number[],
  aggregates: readonly Aggregate[],
  more: { windowEnd?: number; emit?: 'update' | 'close' } = {},
): Plan {
  const columns = [
    ...keys.map((k) => input.columns[k]!),
    ...aggregates.map((a, i) => ({ name: `a${i}`, type: a.type, nullable: true })),
  ]
  return { op: 'aggregate', input, keys, aggregates, windowEnd: null, emit: 'update', columns, ...more } as Plan
}
function windowed(window: (Plan & { op: 'window' })['window']): Plan {
  const bounds = ['window_start', 'window_end'].map((name) => ({ name, type: timestamp, nullable: false }))
  return { op: 'window', input: bids, window, time, columns: [...bidColumns, ...bounds] }
}
const top = (partitionBy: readonly number[], order: number, limit: number): Plan => ({
  op: 'top',
  input: bids,
  partitionBy,
  order: [{ column: order, descending: true, nullsFirst: false }],
  limit,
  rank: limit > 1,
  columns: limit > 1 ? [...bidColumns, { name: 'rank', type: bigint, nullable: false }] : bidColumns,
})
const filters: readonly (Expression | null)[] = [null, below(10_000), below(1_000_000), below(50_000_000)]
const distinct = (of: number): Aggregate[] =>
  filters.map((filter) => aggregate('count', [column(of)], { distinct: true, filter }))

interface Case {
  readonly row: string
  /** µs of CPU per event. */
  readonly goal: number
  readonly auctions?: boolean
  readonly plan: Plan
}
const windowEnd = bidColumns.length + 1
const cases: readonly Case[] = [
  {
    row: 'count, sum, max by number',
    goal: 0.4,
    plan: grouped(
      bids,
      [auction],
      [aggregate('count', []), aggregate('sum', [column(price)]), aggregate('max', [column(price)])],
    ),
  },
  {
    row: 'count by text and window, on close',
    goal: 0.4,
    plan: grouped(
      windowed({ kind: 'tumble', sizeMs: 10_000 }),
      [channel, windowEnd - 1, windowEnd],
      [aggregate('count', [])],
      {
        windowEnd: 2,
        emit: 'close',
      },
    ),
  },
  {
    row: 'count by number and window of 10 s every 2 s',
    goal: 0.4,
    plan: grouped(
      windowed({ kind: 'hop', sizeMs: 10_000, stepMs: 2_000 }),
      [auction, windowEnd - 1, windowEnd],
      [aggregate('count', [])],
      { windowEnd: 2 },
    ),
  },
  {
    row: 'count by session of 10 s',
    goal: 0.4,
    plan: {
      op: 'session',
      input: bids,
      time,
      gapMs: 10_000,
      keys: [bidder],
      aggregates: [aggregate('count', [])],
      emit: 'update',
      columns: [
        bidColumns[bidder]!,
        { name: 'window_start', type: timestamp, nullable: false },
        { name: 'window_end', type: timestamp, nullable: false },
        { name: 'n', type: bigint, nullable: true },
      ],
    },
  },
  {
    row: '4 counts and 8 distinct counts by text',
    goal: 1,
    plan: grouped(
      bids,
      [channel],
      [...filters.map((filter) => aggregate('count', [], { filter })), ...distinct(bidder), ...distinct(auction)],
    ),
  },
  {
    row: 'join by number',
    goal: 0.5,
    auctions: true,
    plan: {
      op: 'join',
      left: bids,
      right: source('auctions', auctionColumns),
      kind: 'inner',
      leftKeys: [auction],
      rightKeys: [0],
      windowEnd: null,
      where: null,
      columns: [...bidColumns, ...auctionColumns],
    },
  },
  { row: 'newest by two numbers', goal: 0.3, plan: top([bidder, auction], time, 1) },
  { row: 'ten highest by number', goal: 0.3, plan: top([auction], price, 10) },
]
const hop = 'a question to a thread with parts, and its answer'
const inParts = (row: string): string => `${row}, in two parts on two threads, by the clock`
/** In parts: ours is on two threads, the other side the same as a whole on one. */
export const stateRows: readonly RowSpec[] = [
  ...cases.map(({ row, goal }): RowSpec => ({ row, unit: 'µs/event', better: 'lower', goal, alone: true })),
  ...cases.map(({ row }): RowSpec => ({ row: inParts(row), unit: 'µs/event', better: 'lower', goal: null })),
  { row: hop, unit: 'µs', better: 'lower', goal: null, alone: true },
]

interface Run {
  readonly microsPerEvent: number
  /** By the clock. */
  readonly wallMicrosPerEvent: number
  /** Of CPU, of the thread that decodes and gives steps. */
  readonly ownMicrosPerEvent: number
  /** Share of wall time. */
  readonly parts: { readonly step: number; readonly changes: number; readonly commit: number }
  readonly changesPerEvent: number
  readonly changeBytesPerEvent: number
  readonly stateBytes: number
}
function run(plan: Plan, steps: readonly Step[], far: PartLinks | null = null): Run {
  const parts = far === null ? {} : { far, parallelism: 2 }
  const graph = new Graph(plan, { idleMs: Infinity, maxFutureMs: Infinity, ...parts })
  graph.open(() => [{ partition: 0, unread: true }], 0)
  const clocks = graph.sources.map(({ clock }) => ({ clock, partition: clock.partition(0, 0) }))
  const spent = { step: 0, changes: 0, commit: 0 }
  let events = 0
  let changes = 0
  let bytes = 0
  const started = process.cpuUsage()
  const ownStarted = process.threadCpuUsage()
  for (let s = 0; s < steps.length; s++) {
    const { batches, rows, endMs } = steps[s]!
    let at = performance.now()
    for (const { clock, partition } of clocks) {
      clock.woke(partition, 0)
      clock.saw(partition, endMs, -1)
    }
    graph.step(batches, endMs)
    events += rows
    spent.step += performance.now() - at
    if ((s + 1) % (tickRows / stepRows) !== 0) continue
    at = performance.now()
    for (const { batch } of savedState(graph, stateTopic, { nowMs: endMs, bytesMax: 1 << 20 })) {
      changes += Buffer.from(batch.buffer, batch.byteOffset, batch.length).readInt32BE(57)
      bytes += batch.length
    }
    spent.changes += performance.now() - at
    at = performance.now()
    graph.commit()
    spent.commit += performance.now() - at
  }
  const { user, system } = process.cpuUsage(started)
  const own = process.threadCpuUsage(ownStarted)
  const { stateBytes } = graph
  graph.close()
  const whole = spent.step + spent.changes + spent.commit
  return {
    microsPerEvent: (user + system) / events,
    wallMicrosPerEvent: (whole * 1_000) / events,
    ownMicrosPerEvent: (own.user + own.system) / events,
    parts: { step: spent.step / whole, changes: spent.changes / whole, commit: spent.commit / whole },
    changesPerEvent: changes / events,
    changeBytesPerEvent: bytes / events,
    stateBytes,
  }
}

/** A thread for the second part. */
async function secondThread(): Promise<AsyncDisposable & { links(plan: Plan): PartLinks; hopMicros(): number }> {
  const module = new URL('../src/node/view-thread.ts', import.meta.url)
  const threads = new PartThreads({ threads: realThreads, clock: realWorld().clock, module, count: 2 }, (_, why) => {
    throw new Error(why)
  })
  const [thread] = threads.take(1)
  const { port, bell } = thread!.link()
  await thread!.ready
  const link = new PartLine(port, bell, () => {})
  return {
    links: (plan) => ({ links: [link], plan, name: 'bench', viewNumber: 1 }),
    hopMicros: () => {
      const startedMs = performance.now()
      link.ask('bench', { ask: 'commit', view: 0 }, [])()
      return (performance.now() - startedMs) * 1_000
    },
    [Symbol.asyncDispose]: () => threads.close(),
  }
}

/** Each row runs once to warm up, then is measured on a fresh graph. */
export async function benchState(
  report: Report,
  { quick, runs }: { quick: boolean; runs: number | null },
): Promise<void> {
  const events = quick ? 200_000 : 1_000_000
  const count = runs ?? (quick ? 1 : 3)
  await using second = await secondThread()
  const wants = (row: string): boolean => report.wantsAny(stateRows.filter((spec) => spec.row === row))
  if (wants(hop)) for (let n = 0; n < 5_000; n++) report.sample(hop, 'ours', second.hopMicros())
  for (const auctions of [false, true]) {
    const asked = cases.filter(
      (one) => (one.auctions ?? false) === auctions && (wants(one.row) || wants(inParts(one.row))),
    )
    if (asked.length === 0) continue
    const steps = makeSteps(events, auctions)
    const warm = steps.slice(0, Math.ceil(steps.length / 4))
    for (const { row, plan } of asked) {
      const parts = inParts(row)
      const both = wants(parts)
      run(plan, warm)
      if (both) run(plan, warm, second.links(plan))
      for (let n = 0; n < count; n++) {
        const result = run(plan, steps)
        report.sample(row, 'ours', result.microsPerEvent)
        report.raw({ row, ...result })
        say(row, result)
        if (!both) continue
        const spread = run(plan, steps, second.links(plan))
        report.sample(parts, 'ours', spread.wallMicrosPerEvent)
        report.sample(parts, 'theirs', result.wallMicrosPerEvent)
        report.raw({ row: parts, ...spread })
        console.error(
          `  by the clock ${result.wallMicrosPerEvent.toFixed(2)} µs on one thread, ${spread.wallMicrosPerEvent.toFixed(2)} on two; ` +
            `CPU ${result.microsPerEvent.toFixed(2)} and ${spread.microsPerEvent.toFixed(2)}, of it on the first ${spread.ownMicrosPerEvent.toFixed(2)}`,
        )
      }
    }
  }
}
function say(row: string, { microsPerEvent, parts, changesPerEvent, changeBytesPerEvent, stateBytes }: Run): void {
  const percent = Object.entries(parts).map(([part, share]) => `${part} ${(share * 100).toFixed(0)} %`)
  console.error(
    `${row}: ${microsPerEvent.toFixed(2)} µs, ${percent.join(', ')}; ` +
      `${changesPerEvent.toFixed(2)} changes and ${changeBytesPerEvent.toFixed(0)} B an event, ` +
      `state ${(stateBytes / 2 ** 20).toFixed(0)} MB`,
  )
}
