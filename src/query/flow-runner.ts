/** The runtime of views as the engine asks for it: by name, also while a view is paused and does not run. */
import { Fault } from '../lib/fault.ts'
import type { ViewPlan } from '../flow/plan.ts'
import type { Examination } from '../flow/runtime/examine.ts'
import type { Flow, FlowGraph, ViewInfo } from '../flow/runtime/flow.ts'
import type { Savepoint } from '../flow/runtime/savepoints.ts'
import type { SavedMarks } from '../flow/state-marks.ts'
import { timeText } from './engine-parts.ts'
import type { Graph } from './engine.ts'
import type { Runner, ViewState } from './runner.ts'

export function flowRunner(flow: Flow): Runner {
  return new FlowRunner(flow)
}

const idle: Pick<ViewState, 'stats' | 'watermarkMs' | 'restarts'> = {
  stats: { rowsIn: 0, rowsOut: 0, late: 0, invalid: 0, stateBytes: 0 },
  watermarkMs: -Infinity,
  restarts: null,
}

class FlowRunner implements Runner {
  private readonly flow: Flow
  /** Paused before they were started: they start when they are resumed. */
  private readonly waiting = new Map<string, ViewPlan>()
  /** Could not be started. */
  private readonly broken = new Map<string, Fault>()

  constructor(flow: Flow) {
    this.flow = flow
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
    this.waiting.delete(name)
    this.broken.delete(name)
    await this.flow.drop(name)
  }
  async vacate(name: string): Promise<void> {
    await this.leave(name)
    await this.flow.vacated(name)
  }
  saved(name: string): Promise<SavedMarks | null> {
    return this.flow.saved(name)
  }
  savepoint(view: ViewPlan, name: string): Promise<Savepoint> {
    return this.flow.savepoint(view, name)
  }
  load(view: ViewPlan, savepoint: string, rows: boolean): Promise<void> {
    return this.flow.load(view, savepoint, rows)
  }
  async leave(name: string): Promise<void> {
    this.waiting.delete(name)
    this.broken.delete(name)
    if (this.flow.has(name)) await this.flow.stop(name)
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
  flush(signal: AbortSignal): Promise<void> {
    return this.flow.flush(signal)
  }
  private info(name: string): ViewInfo | null {
    return this.flow.has(name) ? this.flow.view(name) : null
  }
  state(name: string): ViewState | null {
    const fault = this.broken.get(name) ?? null
    if (this.waiting.has(name)) return { status: 'paused', fault: null, ...idle }
    const info = this.info(name)
    if (info === null) return fault === null ? null : { status: 'failed', fault, ...idle }
    const { rowsIn, rowsOut, late, invalid, stateBytes, watermarkMs, restarts } = info
    const status = info.status === 'stopped' ? 'paused' : info.status
    const stats = { rowsIn, rowsOut, late, invalid, stateBytes }
    return { status, fault: info.error, restarts, stats, watermarkMs }
  }
  async examine(name: string): Promise<Examination | null> {
    return this.flow.has(name) ? this.flow.examine(name) : null
  }
  async graph(name: string): Promise<Graph | null> {
    return this.flow.has(name) ? shownGraph(await this.flow.graph(name), name) : null
  }
}

function shownGraph({ nodes, heldBackBy }: FlowGraph, name: string): Graph {
  const last = nodes.at(-1)
  const shown: Graph['nodes'][number][] = nodes.map((node) => ({
    id: node.id,
    kind: node.kind,
    label: node.label,
    rowsIn: node.rowsIn,
    rowsOut: node.rowsOut,
    late: node.late,
    stateRows: node.stateRows,
    stateBytes: node.stateBytes,
    watermark: timeText(node.watermarkMs),
    busy: node.busy,
    ...(node.parts === 1 ? {} : { parts: node.parts }),
  }))
  const edge = (from: FlowGraph['nodes'][number], to: string): Graph['edges'][number] => ({
    from: from.id,
    to,
    rows: from.rowsOut,
    rowsPerSecond: from.rowsOutPerSecond,
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
