/**
 * A plan over everything that its topics hold now: what a one-off SELECT runs. Nothing is late: watermarks stand still
 * until the end, then everything closes at once.
 */
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Clock } from '../../lib/world.ts'
import type { LogRecord } from '../../log/batch.ts'
import type { Log, Partition } from '../../log/log.ts'
import type { Batch } from '../batch.ts'
import { Graph, type StepResult } from '../graph.ts'
import { keyEncoder, KeyWriter } from '../key.ts'
import { neverWithdraws } from '../plan-facts.ts'
import type { Plan } from '../plan.ts'
import { Output, rowLayout } from '../row-store.ts'
import { StateTable } from '../state.ts'
import { sourceTopics, topicInfo } from './names.ts'
import { recordsUpTo } from './snapshot.ts'

export interface BoundedOptions {
  readonly signal?: AbortSignal
}
/**
 * The final rows, each as often as it is there (no weights). Throws what an expression throws: a query has no other way
 * out. Throws Fault flow.limit where the result does not fit.
 */
export async function* runBounded(
  host: { readonly log: Log; readonly clock: Clock },
  plan: Plan,
  options: BoundedOptions = {},
): AsyncIterable<Batch> {
  const graph = new Graph(plan, { idleMs: Infinity, maxFutureMs: Infinity, standing: true })
  const nowMs = host.clock.now()
  const grows = neverWithdraws(plan)
  const sum = grows ? null : new RowSum(plan)
  for await (const result of steps(host, graph, plan, nowMs, options.signal)) {
    const [failed] = result.failed
    if (failed !== undefined) throw failed.rows.faults[0]!
    graph.commit()
    if (result.out.count === 0) continue
    if (sum === null) yield result.out
    else sum.add(result.out)
  }
  if (sum !== null) yield* sum.rows()
}
async function* steps(
  { log, clock }: { readonly log: Log; readonly clock: Clock },
  graph: Graph,
  plan: Plan,
  nowMs: number,
  signal?: AbortSignal,
): AsyncIterable<StepResult> {
  for (const topic of sourceTopics(plan)) {
    const { partitions } = await topicInfo(log, topic)
    for (let index = 0; index < partitions; index++)
      for await (const records of recordsUpTo(log, { topic, index }, signal)) {
        signal?.throwIfAborted()
        yield stepOne(graph, { topic, index }, records, nowMs)
        await new Promise<void>((resolve) => clock.soon(resolve))
      }
  }
  yield graph.finish(nowMs)
}
function stepOne(graph: Graph, { topic, index }: Partition, records: readonly LogRecord[], nowMs: number): StepResult {
  const rows = new Map<number, Batch>()
  for (const source of graph.sources)
    if (source.plan.topic === topic)
      rows.set(source.index, source.decoder.decode([{ partition: index, records }], source.clock, nowMs).batch)
  return graph.step(rows, nowMs)
}

/** Rows and how often they are there. */
class RowSum {
  private readonly plan: Plan
  private readonly layout
  private readonly encode
  private readonly table: StateTable
  private readonly writer = new KeyWriter()

  constructor(plan: Plan) {
    this.plan = plan
    this.layout = rowLayout(plan.columns, 1)
    this.encode = keyEncoder(plan.columns.map((c, i) => ({ column: i, type: c.type })))
    this.table = new StateTable({ name: 'sum', numbers: this.layout.numbers, values: this.layout.values })
  }
  add(batch: Batch): void {
    const { table } = this
    for (let row = 0; row < batch.count; row++) {
      this.writer.length = 0
      this.encode(this.writer, batch, row)
      let id = table.find(this.writer)
      if (id < 0) {
        id = table.add(this.writer)
        this.layout.write(table, id, batch, row)
      }
      const at = id * table.spec.numbers
      table.numbers[at]! += batch.weights === null ? 1 : batch.weights[row]!
      if (table.numbers[at] === 0) table.remove(id)
    }
    table.commit()
    if (table.count > limits.queryRows)
      throw new Fault('flow.limit', { what: 'rows of the result', count: table.count, countMax: limits.queryRows })
  }
  *rows(): Iterable<Batch> {
    const { table } = this
    let out = new Output(this.plan.columns)
    for (const id of table.all())
      for (let copies = table.numbers[id * table.spec.numbers]!; copies > 0; copies--) {
        this.layout.read(table, id, out.builders)
        out.end(1, -1, -1, 0, 0)
        if (out.count < 4_096) continue
        yield out.done()
        out = new Output(this.plan.columns)
      }
    if (out.count > 0) yield out.done()
  }
}
