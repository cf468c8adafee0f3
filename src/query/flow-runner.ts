/** The runtime of views as the engine asks for it: by name, also while a view is paused and does not run. */
import { Fault } from '../lib/fault.ts'
import type { Clock } from '../lib/world.ts'
import type { ViewPlan } from '../flow/plan.ts'
import type { Flow, FlowGraph, ViewInfo } from '../flow/runtime/flow.ts'
import { timeText } from './engine-parts.ts'
import type { Graph } from './engine.ts'
import type { Runner, ViewState } from './runner.ts'

export function flowRunner(flow: Flow, clock: Clock): Runner {
  return new FlowRunner(flow, clock)
}

interface Sample {
  readonly atMs: number
  readonly rowsOut: ReadonlyMap<string, number>
  readonly perSecond: ReadonlyMap<string, number>
}
const sampleMs = 500
const idle: ViewState['stats'] = { rowsIn: 0, rowsOut: 0, late: 0, invalid: 0, stateBytes: 0 }

class FlowRunner implements Runner {
  private readonly flow: Flow
  private readonly clock: Clock
  /** Paused before they were started: they start when they are resumed. */
  private readonly waiting = new Map<string, ViewPlan>()
  /** Could not be started. */
  private readonly broken = new Map<string, Fault>()
  private readonly samples = new Map<string, Sample>()

  constructor(flow: Flow, clock: Clock) {
    this.flow = flow
    this.clock = clock
  }

  async start(view: ViewPlan, paused: boolean): Promise<void> {
    if (paused) this.waiting.set(view.name, view)
    else await this.begin(view)
  }
  private async begin(view: ViewPlan): Promise<void> {
    this.broken.delete(view.name)
    try {
      await this.flow.start(view)
    } catch (error) {
      if (error instanceof Fault) this.broken.set(view.name, error)
      throw error
    }
  }
  async remove(name: string): Promise<void> {
    this.samples.delete(name)
    const waiting = this.waiting.get(name)
    this.waiting.delete(name)
    this.broken.delete(name)
    if (this.info(name) !== null) await this.flow.drop(name)
    else if (waiting !== undefined) {
      // What it kept lies in topics that only the runtime knows the names of.
      await this.flow.start(waiting)
      await this.flow.drop(name)
    }
  }
  async pause(name: string): Promise<void> {
    if (!this.waiting.has(name)) await this.flow.pause(name)
  }
  async resume(name: string): Promise<void> {
    const waiting = this.waiting.get(name)
    if (waiting === undefined) return this.flow.resume(name)
    this.waiting.delete(name)
    await this.begin(waiting)
  }
  private info(name: string): ViewInfo | null {
    return this.flow.views().find((view) => view.name === name) ?? null
  }
  state(name: string): ViewState | null {
    const fault = this.broken.get(name) ?? null
    if (this.waiting.has(name)) return { status: 'paused', fault: null, stats: idle, watermarkMs: -Infinity }
    const info = this.info(name)
    if (info === null) return fault === null ? null : { status: 'failed', fault, stats: idle, watermarkMs: -Infinity }
    const { rowsIn, rowsOut, late, invalid, stateBytes, watermarkMs } = info
    const status = info.status === 'stopped' ? 'paused' : info.status
    return { status, fault: info.error ?? fault, stats: { rowsIn, rowsOut, late, invalid, stateBytes }, watermarkMs }
  }
  graph(name: string): Graph | null {
    if (this.info(name) === null) return null
    const graph = this.flow.graph(name)
    const { perSecond } = this.sample(name, graph)
    return shownGraph(graph, name, perSecond)
  }
  /** Rates over the time since the sample before; asked more often than that, the last rates stand. */
  private sample(name: string, graph: FlowGraph): Sample {
    const atMs = this.clock.monotonic()
    const last = this.samples.get(name)
    const rowsOut = new Map(graph.nodes.map((node) => [node.id, node.rowsOut]))
    if (last !== undefined && atMs - last.atMs < sampleMs) return last
    const perSecond = new Map<string, number>()
    for (const [id, rows] of rowsOut) {
      const before = last?.rowsOut.get(id) ?? rows
      perSecond.set(id, last === undefined ? 0 : Math.max(0, ((rows - before) * 1000) / (atMs - last.atMs)))
    }
    const sample = { atMs, rowsOut, perSecond }
    this.samples.set(name, sample)
    return sample
  }
}

function shownGraph({ nodes, heldBackBy }: FlowGraph, name: string, perSecond: ReadonlyMap<string, number>): Graph {
  const last = nodes.at(-1)
  const shown = nodes.map((node) => ({
    id: node.id,
    kind: node.kind,
    label: node.label,
    rowsIn: node.rowsIn,
    rowsOut: node.rowsOut,
    late: node.late,
    stateRows: node.stateRows,
    stateBytes: node.stateBytes,
    watermark: timeText(node.watermarkMs),
  }))
  const edge = (from: FlowGraph['nodes'][number], to: string): Graph['edges'][number] => ({
    from: from.id,
    to,
    rows: from.rowsOut,
    rowsPerSecond: perSecond.get(from.id) ?? 0,
    watermark: timeText(from.watermarkMs),
  })
  const edges = nodes.flatMap((node) =>
    node.inputs.map((input) =>
      edge(
        nodes.find((other) => other.id === input)!,
        node.id,
      ),
    ),
  )
  if (last !== undefined) {
    const sink = {
      id: 'sink',
      kind: 'sink',
      label: name,
      rowsIn: last.rowsOut,
      rowsOut: last.rowsOut,
      late: 0,
      stateRows: 0,
      stateBytes: 0,
    }
    shown.push({ ...sink, watermark: timeText(last.watermarkMs) })
    edges.push(edge(last, 'sink'))
  }
  return { nodes: shown, edges, heldBackBy: heldBackBy === null ? null : `${heldBackBy.topic}:${heldBackBy.partition}` }
}
