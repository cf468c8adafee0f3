/**
 * A query over batches that were decoded before, held in memory: operators and, every 20,000 rows, a commit of the changes
 * of state to the log; nothing is read, parsed or written as output.
 */
import { assert } from '../../src/lib/assert.ts'
import { offset as asOffset } from '../../src/lib/brand.ts'
import { limits } from '../../src/lib/limits.ts'
import type { Batch } from '../../src/flow/batch.ts'
import { Graph } from '../../src/flow/graph.ts'
import { stateBatches } from '../../src/flow/runtime/records.ts'
import { rawRecords } from '../../src/log/batch.ts'
import type { Batch as RecordBatch, TopicInfo } from '../../src/log/log.ts'
import type { Running } from '../../src/node/millrace.ts'
import { plan } from '../../test/sql/fixture.ts'
import { closingQueries, definitions } from './queries.ts'

const stepBatches = 4
const tickRows = 20_000
const stateTopic = 'bench_state'

interface Step {
  /** By number of the source. */
  readonly batches: ReadonlyMap<number, Batch>
  readonly rows: number
  /** Largest event time so far, by number of the source. */
  readonly timesMs: ReadonlyMap<number, number>
}
export interface DecodedQuery {
  /** Rows that the query comes to: added less withdrawn. */
  run(): Promise<{ readonly rows: number }>
}

/** Decodes all that the query reads. */
export async function decodeFor(running: Running, query: string): Promise<DecodedQuery> {
  const text = `${definitions}; CREATE MATERIALIZED VIEW v WITH (allow_unbounded_state = true) AS ${closingQueries[query]!}`
  const view = plan(text).views[0]!
  const options = { idleMs: Infinity, maxFutureMs: Infinity }
  const steps: Step[] = []
  const decoding = new Graph(view.plan, options)
  const topics = [...new Set(decoding.sources.map((source) => source.plan.topic))]
  const partitions = (): { partition: number; unread: boolean }[] => [{ partition: 0, unread: true }]
  decoding.open(partitions, 0)
  // The side table first.
  for (const topic of topics.toSorted((a, b) => Number(a === 'events') - Number(b === 'events'))) {
    const whole = await readAll(running, topic)
    for (let at = 0; at < whole.length; at += stepBatches) {
      const records = rawRecords(whole.slice(at, at + stepBatches))
      const batches = new Map<number, Batch>()
      const timesMs = new Map<number, number>()
      for (const { index, plan: source, decoder, clock } of decoding.sources) {
        if (source.topic !== topic) continue
        const { batch, invalid } = decoder.decode([{ partition: 0, records }], clock, 0)
        assert(invalid.length === 0, 'events that can be read')
        batches.set(index, batch)
        timesMs.set(index, clock.partition(0, 0).maxTimeMs)
      }
      steps.push({ batches, rows: topic === 'events' ? records.count : 0, timesMs })
    }
  }
  const state = await stateInfo(running)
  return {
    async run() {
      const graph = new Graph(view.plan, options)
      graph.open(partitions, 0)
      let [rows, waiting] = [0, 0]
      for (const step of steps) {
        for (const { index, clock } of graph.sources) {
          const timeMs = step.timesMs.get(index)
          if (timeMs === undefined) continue
          const partition = clock.partition(0, 0)
          clock.woke(partition, 0)
          clock.saw(partition, timeMs, -1)
        }
        const { out, late, failed } = graph.step(step.batches, 0)
        assert(late.length === 0 && failed.length === 0, 'events that are in time and can be computed')
        rows += out.weights === null ? out.count : sumOf(out.weights.subarray(0, out.count))
        waiting += step.rows
        if (waiting < tickRows) continue
        await commit(running, graph, state)
        waiting = 0
      }
      await commit(running, graph, state)
      return { rows }
    },
  }
}
async function commit(running: Running, graph: Graph, state: TopicInfo): Promise<void> {
  graph.save(0)
  const entries = stateBatches(graph, state, { nowMs: running.world.clock.now(), bytesMax: limits.batchBytes })
  await running.commits.run(async (append) => {
    if (entries.length > 0) await append(entries)
    return { parts: [], result: null }
  })
  graph.commit()
}
async function readAll(running: Running, topic: string): Promise<RecordBatch[]> {
  const partition = { topic, index: 0 }
  const [bounds] = await running.log.bounds([partition])
  const reader = running.log.reader()
  const batches: RecordBatch[] = []
  for (let next = asOffset(0); next < bounds!.stable;) {
    const [chunk] = await reader.read([{ partition, offset: next }], { ms: 0 })
    assert(chunk !== undefined, 'records up to the end')
    if ('fault' in chunk) throw chunk.fault
    // What was read may be a view of memory that is used again.
    for (const batch of chunk.batches) batches.push(Buffer.from(batch))
    next = chunk.next
  }
  return batches
}
async function stateInfo(running: Running): Promise<TopicInfo> {
  const known = await running.log.topics.get(stateTopic)
  if (known !== null) return known
  await running.log.topics.create([
    { name: stateTopic, partitions: 1, config: { 'max.message.bytes': String(limits.batchBytesMax) } },
  ])
  return stateInfo(running)
}
const sumOf = (weights: Iterable<number>): number => {
  let sum = 0
  for (const weight of weights) sum += weight
  return sum
}
