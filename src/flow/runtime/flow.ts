/**
 * The running views of a process: started, paused, dropped and looked at by name. They share one owner of ticks
 * (`commits`): whatever is ready when a commit begins goes into one tick of the log, nobody waits for anybody.
 */
import { Fault, asFault } from '../../lib/fault.ts'
import type { Clock, Random } from '../../lib/world.ts'
import type { Commits } from '../../log/commits.ts'
import type { Log } from '../../log/log.ts'
import type { Batch } from '../batch.ts'
import { type Node, partsOf, sizesOf } from '../graph.ts'
import type { RestartStrategy, ViewPlan } from '../plan.ts'
import { sourcesOf } from '../plan-facts.ts'
import type { SavedMarks } from '../state-marks.ts'
import { type Examination, examine } from './examine.ts'
import { stateTopic, viewGroup } from './names.ts'
import type { QuarantineUse } from './quarantine.ts'
import { type RestartInfo, Restarts } from './restarts.ts'
import { savedMarks } from './saved-state.ts'
import {
  type Halted,
  type Savepoint,
  SavepointsUnderWay,
  loadSavepoint,
  makeSavepoint,
  readSavepoint,
} from './savepoints.ts'
import { viewRows } from './snapshot.ts'
import { type Committed, type TaskHost, type TaskStatus, ViewTask } from './task.ts'

export interface FlowOptions {
  readonly log: Log
  readonly commits: Pick<Commits, 'put'>
  readonly clock: Clock
  /** What ends a view or delays it, for the log of the program. */
  readonly onFault?: (view: string, fault: Fault) => void
  /** Under load a view commits this often. */
  readonly commitMs?: number
  /** What cannot be computed goes there; one for all views of the process. */
  readonly quarantine: QuarantineUse
  /** False: what the view gives is told to its observers and not written to its topic. For measurements. Default: true. */
  readonly keepsOutput?: TaskHost['keepsOutput']
  /** Where rows of state go that memory has no room for; null: nowhere. Default: null. */
  readonly spill?: TaskHost['spill']
  /** Told before a view works on something in one go. */
  readonly onWork?: TaskHost['onWork']
  /** Other threads for parts of a view's steps. Default: none. */
  readonly far?: TaskHost['far']
  /** What happens to a view that has failed and says nothing of that itself. Default: it stays failed. */
  readonly restart?: RestartStrategy
  /** For when it starts again. Default: no chance. */
  readonly random?: Pick<Random, 'fraction'>
  /** Told after a commit of the view, and whenever its status is another one. */
  readonly onInfo?: (info: ViewInfo) => void
}
/** Told of a view's committed ticks, in order. Calls should be short: the view waits for them. */
export interface ViewObserver {
  committed(deltas: readonly Batch[], tick: Committed): void
  /** The view has ended by a fault (`resume` starts it again), was stopped or dropped. */
  ended?(fault: Fault | null): void
}
export interface ViewInfo {
  readonly name: string
  /** 'restarting': it has failed, and starts again by itself. */
  readonly status: TaskStatus | 'restarting'
  readonly error: Fault | null
  /** null: it has not failed since somebody started it. */
  readonly restarts: RestartInfo | null
  readonly rowsIn: number
  readonly rowsOut: number
  readonly late: number
  readonly lateAfterIdle: number
  readonly invalid: number
  /** Rows that could not be computed and were left out by `onError`. */
  readonly failed: number
  /** Events too far ahead of their arrival to move a watermark. */
  readonly future: number
  readonly ticks: number
  readonly stateBytes: number
  /** −Infinity before the first event. */
  readonly watermarkMs: number
}
export interface FlowGraph {
  readonly nodes: readonly {
    readonly id: string
    readonly kind: string
    readonly label: string
    readonly inputs: readonly string[]
    readonly rowsIn: number
    readonly rowsOut: number
    readonly late: number
    readonly lateAfterIdle: number
    readonly failed: number
    readonly stateRows: number
    readonly stateBytes: number
    /** Into how many parts it is cut by its keys. */
    readonly parts: number
    readonly watermarkMs: number
    /** Mean over the last seconds. */
    readonly rowsOutPerSecond: number
    /** Share of the last seconds that it was at work, 0 to 1. */
    readonly busy: number
  }[]
  /** The source partition with the smallest watermark, where several are active. */
  readonly heldBackBy: { readonly topic: string; readonly partition: number; readonly watermarkMs: number } | null
}

export interface Flow extends AsyncDisposable {
  /**
   * Runs a view until it is stopped. Its topics are created where missing. Resolves when its state is restored. Throws
   * Fault flow.view-exists, log.unknown-topic, flow.unsupported, flow.state-mismatch …
   */
  start(view: ViewPlan): Promise<void>
  /** After the tick on its way; state and topics stay. */
  stop(name: string): Promise<void>
  pause(name: string): Promise<void>
  /** A paused view goes on; a failed one starts again from its last commit. */
  resume(name: string): Promise<void>
  /** It fails with this fault, between two ticks. */
  end(name: string, fault: Fault): Promise<void>
  /** Stops it, where it runs, and removes its topics, its state and its positions, as far as they are there. */
  drop(name: string): Promise<void>
  /** Resolves when no process runs it. */
  vacated(name: string): Promise<void>
  /** What its committed state says of itself, whether it runs or not; null: there is none. */
  saved(name: string): Promise<SavedMarks | null>
  /**
   * A savepoint of a view as it is between two ticks. Throws Fault flow.savepoint-exists, flow.runs-elsewhere …
   */
  savepoint(view: ViewPlan, name: string): Promise<Savepoint>
  /** Brings a view that has nothing to where the savepoint is. Throws Fault flow.unknown-savepoint, flow.savepoint-input-gone … */
  load(view: ViewPlan, savepoint: string, rows: boolean): Promise<void>
  views(): readonly ViewInfo[]
  /** Throws Fault flow.unknown-view. */
  view(name: string): ViewInfo
  has(name: string): boolean
  plan(name: string): ViewPlan
  /** Rejects with Fault flow.unknown-view, as `examine` does. */
  graph(name: string): Promise<FlowGraph>
  examine(name: string): Promise<Examination>
  /**
   * Waits until every running view has committed all that was there when its turn came, and what came of it can be read: first
   * those that others read.
   */
  flush(signal?: AbortSignal): Promise<void>
  close(): Promise<void>
}
/** Views that run on this thread. */
export interface LocalFlow extends Flow {
  /** A failed view starts again from its last commit, paused where it was. */
  restart(name: string): Promise<void>
  /**
   * Observes a view from a point between two ticks. `snapshot` is called with deltas that add up to what the view holds
   * at that point, before the first `committed`. Returns the way to stop.
   */
  observe(name: string, observer: ViewObserver, snapshot?: (delta: Batch) => void): Promise<() => void>
  /** Waits until the view has committed all that is there now, and what came of it can be read, as long as it runs. */
  settled(name: string, signal?: AbortSignal): Promise<void>
}

const commitMsDefault = 50
const flushPauseMs = 20
/** A member that does not leave by itself is thrown out by then. */
const leaveMsMax = 10_000
const leavePauseMs = 50

export function openFlow(options: FlowOptions): LocalFlow {
  return new Views(options)
}

interface Running {
  readonly task: ViewTask
  readonly observers: Set<ViewObserver>
  /** Since it was started last. */
  hasCommitted: boolean
}
class Views implements LocalFlow {
  private readonly host: TaskHost
  private readonly onInfo: (info: ViewInfo) => void
  private readonly running = new Map<string, Running>()
  private readonly restarts: Restarts
  private closed = false

  constructor(options: FlowOptions) {
    this.host = {
      log: options.log,
      commits: options.commits,
      clock: options.clock,
      quarantine: options.quarantine,
      commitMs: Math.max(options.commitMs ?? commitMsDefault, options.log.limits.tickFloorMs),
      keepsOutput: options.keepsOutput ?? ((): boolean => true),
      spill: options.spill ?? null,
      onFault: (view, fault) => options.onFault?.(view, fault),
      onWork: options.onWork ?? ((): void => {}),
      far: options.far ?? ((): null => null),
    }
    this.onInfo = options.onInfo ?? ((): void => {})
    this.restarts = new Restarts({
      clock: options.clock,
      random: options.random ?? null,
      strategy: options.restart ?? { kind: 'none' },
      // How it ends is told to whoever observes it.
      start: (name) => void this.restart(name).catch(() => {}),
    })
  }

  async start(view: ViewPlan): Promise<void> {
    if (this.closed) throw new Fault('log.closed', { what: 'the engine' })
    if (this.running.has(view.name)) throw new Fault('flow.view-exists', { view: view.name })
    const task = new ViewTask(view, this.host)
    const one: Running = { task, observers: new Set(), hasCommitted: false }
    task.onStatus = () => this.onInfo(this.infoOf(task))
    task.onCommitted = (deltas, tick) => {
      one.hasCommitted = true
      this.onInfo(this.infoOf(task))
      for (const observer of one.observers) this.tell(view.name, () => observer.committed(deltas, tick))
    }
    task.onEnded = (fault) => {
      if (fault !== null && !this.closed && this.running.get(view.name) === one) {
        this.restarts.failed(view, fault, one.hasCommitted)
        this.onInfo(this.infoOf(task))
      }
      for (const observer of one.observers) this.tell(view.name, () => observer.ended?.(fault))
    }
    this.running.set(view.name, one)
    await task.start()
  }
  /** What an observer throws is its own affair: the tick is committed. */
  private tell(view: string, call: () => void): void {
    try {
      call()
    } catch (error) {
      this.host.onFault(view, asFault(error))
    }
  }
  private find(name: string): Running {
    const one = this.running.get(name)
    if (one === undefined) throw new Fault('flow.unknown-view', { view: name })
    return one
  }
  async stop(name: string): Promise<void> {
    const { task } = this.find(name)
    this.restarts.forget(name)
    await task.stop()
    this.restarts.forget(name)
    task.graph.close()
    this.running.delete(name)
  }
  async pause(name: string): Promise<void> {
    const { task } = this.find(name)
    task.pause()
    await task.betweenTicks(() => Promise.resolve())
  }
  async resume(name: string): Promise<void> {
    const { task } = this.find(name)
    task.resume()
    if (task.status !== 'failed') return
    this.restarts.forget(name)
    await this.restart(name)
  }
  async end(name: string, fault: Fault): Promise<void> {
    this.find(name).task.end(fault)
  }
  async restart(name: string): Promise<void> {
    const one = this.find(name)
    one.hasCommitted = false
    await one.task.restart()
  }
  async drop(name: string): Promise<void> {
    const { log } = this.host
    if (this.running.has(name)) await this.stop(name)
    await this.removeGroup(viewGroup(name))
    for (const fault of await log.topics.remove([stateTopic(name), name]))
      if (fault !== null && fault.code !== 'log.unknown-topic') throw fault
  }
  async vacated(name: string): Promise<void> {
    const { log, clock } = this.host
    const group = viewGroup(name)
    for (let leftMs = leaveMsMax; ; leftMs -= leavePauseMs) {
      const found = (await log.groups.list()).find((one) => one.group === group)
      if (found === undefined || found.members.length === 0) return
      if (leftMs <= 0) throw new Fault('log.group-not-empty', { group })
      await clock.sleep(leavePauseMs)
    }
  }
  saved(name: string): Promise<SavedMarks | null> {
    const known = this.running.get(name)?.task.saved
    return known === undefined ? savedMarks(this.host.log, name) : Promise.resolve(known)
  }
  savepoint(view: ViewPlan, name: string): Promise<Savepoint> {
    const { log, clock } = this.host
    return this.saving.run(view.name, name, () =>
      makeSavepoint({ log, clock }, name, view, (work) => this.halted(view, work)),
    )
  }
  private readonly saving = new SavepointsUnderWay()
  private async halted(view: ViewPlan, work: (halted: Halted) => Promise<void>): Promise<void> {
    const task = this.running.get(view.name)?.task
    if (task !== undefined && task.isServing) return task.betweenTicks(() => work(task.halted()))
    const { log } = this.host
    const group = (await log.groups.list()).find((one) => one.group === viewGroup(view.name))
    if (group !== undefined && group.members.length > 0) throw new Fault('flow.runs-elsewhere', { view: view.name })
    return work({
      claim: null,
      positions: await log.groups.positions(viewGroup(view.name)),
      marks: await savedMarks(log, view.name),
      counts: null,
    })
  }
  async load(view: ViewPlan, name: string, rows: boolean): Promise<void> {
    const { log } = this.host
    const savepoint = await readSavepoint(log, name)
    if (savepoint === null) throw new Fault('flow.unknown-savepoint', { savepoint: name })
    await loadSavepoint(log, savepoint, view, rows)
  }

  /** Other processes that ran the view are on their way out. */
  private async removeGroup(group: string): Promise<void> {
    const { log, clock } = this.host
    for (let leftMs = leaveMsMax; ; leftMs -= leavePauseMs) {
      try {
        return await log.groups.remove(group)
      } catch (error) {
        const { code } = asFault(error)
        if (code === 'log.unknown-group') return
        if (code !== 'log.group-not-empty' || leftMs <= 0) throw error
      }
      await clock.sleep(leavePauseMs)
    }
  }

  views(): readonly ViewInfo[] {
    return [...this.running.values()].map(({ task }) => this.infoOf(task))
  }
  private infoOf(task: ViewTask): ViewInfo {
    return withRestarts(infoOf(task), this.restarts.of(task.view.name))
  }
  has(name: string): boolean {
    return this.running.has(name)
  }
  view(name: string): ViewInfo {
    return this.infoOf(this.find(name).task)
  }
  plan(name: string): ViewPlan {
    return this.find(name).task.view
  }
  async graph(name: string): Promise<FlowGraph> {
    return graphOf(this.find(name).task)
  }
  async examine(name: string): Promise<Examination> {
    return examine(this.find(name).task, this.host.clock.now())
  }

  async observe(name: string, observer: ViewObserver, snapshot?: (delta: Batch) => void): Promise<() => void> {
    const { task, observers } = this.find(name)
    await task.betweenTicks(async () => {
      if (snapshot !== undefined)
        for await (const delta of viewRows(this.host.log, task.view, task.held)) snapshot(delta)
      observers.add(observer)
    })
    return () => void observers.delete(observer)
  }

  async flush(signal?: AbortSignal): Promise<void> {
    for (const { name } of inputsFirst([...this.running.values()].map(({ task }) => task.view)))
      await this.settled(name, signal)
  }
  async settled(name: string, signal?: AbortSignal): Promise<void> {
    const one = this.running.get(name)
    if (one === undefined || !one.task.goesOn) return
    const { task } = one
    const ends = await task.inputEnds()
    const pause = async (): Promise<void> => {
      signal?.throwIfAborted()
      await this.nextCommit(one.observers)
    }
    while (task.goesOn && !task.isBeyond(ends)) await pause()
    try {
      const end = await task.rowsEnd()
      while (task.goesOn && !(await task.shows(end))) await pause()
    } catch (error) {
      // Stopped, and its topic gone with it.
      if (task.goesOn) throw error
    }
  }
  /** Or a short while: positions also move over what nobody sees. */
  private nextCommit(observers: Set<ViewObserver>): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        observers.delete(observer)
        cancel()
        resolve()
      }
      const observer: ViewObserver = { committed: done, ended: done }
      const cancel = this.host.clock.after(flushPauseMs, done)
      observers.add(observer)
    })
  }

  async close(): Promise<void> {
    this.closed = true
    this.restarts.close()
    await Promise.all([...this.running.values()].map(({ task }) => task.stop()))
    this.restarts.close()
    this.running.clear()
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Those that others read come before them. */
export function inputsFirst(views: readonly ViewPlan[]): ViewPlan[] {
  const byName = new Map(views.map((view) => [view.name, view]))
  const order = new Set<ViewPlan>()
  const visit = (view: ViewPlan): void => {
    if (order.has(view)) return
    for (const { name } of sourcesOf(view.plan)) {
      const input = byName.get(name)
      if (input !== undefined) visit(input)
    }
    order.add(view)
  }
  for (const view of views) visit(view)
  return [...order]
}
export const withRestarts = (info: ViewInfo, restarts: RestartInfo | null): ViewInfo => ({
  ...info,
  status: info.status === 'failed' && restarts !== null && restarts.nextMs !== null ? 'restarting' : info.status,
  restarts,
})
function infoOf(task: ViewTask): ViewInfo {
  const { counters, graph, view, status, error } = task
  const sum = (name: 'late' | 'lateAfterIdle'): number => graph.nodes.reduce((all, n) => all + n.counts[name], 0)
  return {
    name: view.name,
    status,
    error,
    restarts: null,
    ...counters,
    late: sum('late'),
    lateAfterIdle: sum('lateAfterIdle'),
    future: graph.sources.reduce((all, s) => all + s.clock.future, 0),
    stateBytes: graph.stateBytes,
    watermarkMs: graph.watermark,
  }
}
function graphOf({ graph }: ViewTask): FlowGraph {
  let heldBackBy: FlowGraph['heldBackBy'] = null
  for (const { clock, plan } of graph.sources) {
    const slowest = clock.slowest()
    if (slowest !== null && (heldBackBy === null || slowest.watermark < heldBackBy.watermarkMs))
      heldBackBy = { topic: plan.topic, partition: slowest.partition, watermarkMs: slowest.watermark }
  }
  return { nodes: graph.nodes.map(nodeOf), heldBackBy }
}
function nodeOf(node: Node): FlowGraph['nodes'][number] {
  return {
    id: String(node.id),
    kind: node.kind,
    label: node.label,
    inputs: node.inputs.map((n) => String(n.id)),
    ...node.counts,
    stateRows: sizesOf(node).rows,
    stateBytes: sizesOf(node).bytes,
    parts: partsOf(node),
    watermarkMs: node.watermark,
    rowsOutPerSecond: node.meter?.rowsOut.perSecond() ?? 0,
    busy: Math.min(1, (node.meter?.busyMs.perSecond() ?? 0) / 1000),
  }
}
