/**
 * What exactly-once costs a view beside at-least-once, where its rows go out before the tick that has their positions and changes of
 * state. In this process, on the disk of the temporary folder.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ViewPlan } from '../src/flow/plan.ts'
import { Quarantine } from '../src/flow/runtime/quarantine.ts'
import { openFlow } from '../src/flow/runtime/flow.ts'
import { offset } from '../src/lib/brand.ts'
import { realWorld } from '../src/lib/real/world.ts'
import { encodeBatch } from '../src/log/batch.ts'
import { openCommits } from '../src/log/commits.ts'
import { openLocalLog } from '../src/log/local/open.ts'
import type { Log } from '../src/log/log.ts'
import type { Report, RowSpec } from './lib/rows.ts'

const passed = 'exactly once beside at least once: events passed on'
const counted = 'exactly once beside at least once: events counted by key'
const latency = 'exactly once beside at least once: one event to its row'
export const deliveryRows: readonly RowSpec[] = [
  { row: passed, unit: 'events/CPU-s', better: 'higher', goal: null },
  { row: counted, unit: 'events/CPU-s', better: 'higher', goal: null },
  { row: latency, unit: 'ms', better: 'lower', goal: null },
]
const topic = 'events'
const batchRecords = 1_000

export async function benchDelivery(
  report: Report,
  { quick, runs }: { readonly quick: boolean; readonly runs: number | null },
): Promise<void> {
  const events = quick ? 100_000 : 1_000_000
  // Code is compiled in the first.
  await cpuOf(counting, 50_000)
  await cpuOf({ ...passing, delivery: 'at least once' }, 50_000)
  for (let run = 0; run < (runs ?? (quick ? 2 : 6)); run++) {
    // The one that comes first in a run is the other one in the next.
    const sides = [
      ['ours', {}],
      ['theirs', { delivery: 'at least once' as const }],
    ] as const
    for (const [side, how] of run % 2 === 0 ? sides : sides.toReversed()) {
      report.sample(passed, side, events / (await cpuOf({ ...passing, ...how }, events)))
      report.sample(counted, side, events / (await cpuOf({ ...counting, ...how }, events)))
      report.sample(latency, side, await latencyOf({ ...passing, ...how }))
    }
  }
}

const columns = [
  { name: 'k', type: { kind: 'text' }, nullable: true },
  { name: 'n', type: { kind: 'int' }, nullable: true },
] as const
const base = { lateTopic: null, idleMs: 30_000, maxFutureMs: 3_600_000, onError: 'stop' } as const
const source: ViewPlan['plan'] = {
  op: 'source',
  name: topic,
  topic,
  mode: 'append',
  format: 'json',
  columns,
  fields: [
    { from: 'value', path: ['k'] },
    { from: 'value', path: ['n'] },
  ],
  key: [],
  time: null,
  onInvalid: 'quarantine',
}
const passing: ViewPlan = { ...base, name: 'v', plan: source, key: null, appendOnly: true }
const counting: ViewPlan = {
  ...base,
  name: 'v',
  plan: {
    op: 'aggregate',
    input: source,
    keys: [0],
    aggregates: [{ name: 'count', args: [], distinct: false, filter: null, type: { kind: 'bigint' } }],
    windowEnd: null,
    emit: 'update',
    columns: [columns[0], { name: 'count', type: { kind: 'bigint' }, nullable: false }],
  },
  key: [0],
  appendOnly: false,
}

interface Place extends AsyncDisposable {
  readonly log: Log
  start(view: ViewPlan): Promise<void>
  rowsIn(): number
  send(from: number, count: number): Promise<void>
}
async function open(): Promise<Place> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-delivery-'))
  const world = realWorld()
  const log = await openLocalLog({ world, dir })
  const commits = openCommits(await log.owner())
  const flow = openFlow({
    log,
    commits,
    clock: world.clock,
    quarantine: new Quarantine(log),
  })
  await log.topics.create([{ name: topic, partitions: 1, config: {} }])
  const writer = log.writer()
  return {
    log,
    start: (view) => flow.start(view),
    rowsIn: () => flow.view('v').rowsIn,
    async send(from, count) {
      const records = Array.from({ length: count }, (_, i) => {
        const value = { k: `key${(from + i) % 1_000}`, n: from + i, text: 'x'.repeat(150) }
        return { key: null, value: Buffer.from(JSON.stringify(value)), timeMs: world.clock.now() }
      })
      const [answer] = await writer.append([{ partition: { topic, index: 0 }, batch: encodeBatch(records) }])
      if (answer !== undefined && 'fault' in answer) throw answer.fault
    },
    async [Symbol.asyncDispose]() {
      await flow.close()
      await commits.close()
      await log.close()
      rmSync(dir, { recursive: true })
    },
  }
}
/** Seconds of CPU, this process whole, from the view's start until all events are in. */
async function cpuOf(view: ViewPlan, events: number): Promise<number> {
  await using place = await open()
  for (let from = 0; from < events; from += batchRecords) await place.send(from, batchRecords)
  const before = process.cpuUsage()
  await place.start(view)
  while (place.rowsIn() < events) await pause(20)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000_000
}
/** The median of single events into a quiet view, until its row can be read. */
async function latencyOf(view: ViewPlan): Promise<number> {
  await using place = await open()
  await place.start(view)
  const reader = place.log.reader()
  const taken: number[] = []
  for (let at = 0, i = 0; i < 200; i++) {
    await pause(5)
    const startMs = performance.now()
    const sent = place.send(i, 1)
    for (let found = false; !found;) {
      const [chunk] = await reader.read([{ partition: { topic: 'v', index: 0 }, offset: offset(at) }], { ms: 1_000 })
      if (chunk === undefined || 'fault' in chunk) throw chunk?.fault ?? new Error('no chunk')
      found = chunk.batches.length > 0
      at = chunk.next
    }
    taken.push(performance.now() - startMs)
    await sent
  }
  return taken.toSorted((a, b) => a - b)[taken.length >> 1]!
}
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))
