/**
 * Views on several threads. A view runs on one of `count` threads, that with the fewest; one with functions that only this
 * thread has runs here, for functions cannot travel (`code.ts`). A thread starts when its first view does.
 *
 * A thread that ends by itself, or does not answer for `limits.viewThreadSilentMs`, takes down only the view it was working
 * on: that one fails with flow.thread-ended. The others start again on another thread, from what they have committed. Parts of a view's
 * steps are on threads of their own (`part-threads.ts`); the same goes for those.
 */
import { Fault, asFault } from '../../lib/fault.ts'
import type { Threads } from '../../lib/world.ts'
import { LogHost } from '../../log/remote/log-host.ts'
import type { ViewPlan } from '../plan.ts'
import type { SavedMarks } from '../state-marks.ts'
import type { Examination } from '../runtime/examine.ts'
import {
  type Flow,
  type FlowGraph,
  type FlowOptions,
  type LocalFlow,
  type ViewInfo,
  inputsFirst,
  openFlow,
  withRestarts,
} from '../runtime/flow.ts'
import { Restarts } from '../runtime/restarts.ts'
import { type Savepoint, SavepointsUnderWay } from '../runtime/savepoints.ts'
import { packed, withCode } from './code.ts'
import { PartThread, PartThreads } from './part-threads.ts'
import type { HostMethods, PlacedView, ViewMethods, ViewThreadData } from './view-thread.ts'
import { WatchedThread } from './watched-thread.ts'

export interface PoolOptions extends FlowOptions {
  readonly threads: Threads
  /** At most. */
  readonly count: number
  /** What a thread loads: it calls `serveViews`. */
  readonly module: URL
  /** Functions that a thread has as well (`code.ts`); plans with others run here. Default: none. */
  readonly code?: readonly unknown[]
  /** Where it has them from: for `module`. */
  readonly codeFrom?: unknown
  /** So long may a thread not answer. Default: `limits.viewThreadSilentMs`. */
  readonly silentMs?: number
}

export const openFlowOnThreads = (options: PoolOptions): Flow => new Pool(options)

class Pool implements Flow {
  private readonly options: PoolOptions
  private readonly local: LocalFlow
  private readonly threads = new Set<ViewThread>()
  private readonly partThreads: PartThreads
  private readonly placed = new Map<string, Placed>()
  private readonly saving = new SavepointsUnderWay()
  private readonly restarts: Restarts
  private readonly code: readonly unknown[]
  private nextNumber = 1
  private closed = false

  constructor(options: PoolOptions) {
    this.options = options
    this.code = options.code ?? []
    this.local = openFlow(options)
    this.partThreads = new PartThreads(options, (thread, why) => this.partsEnded(thread, why))
    this.restarts = new Restarts({
      clock: options.clock,
      random: options.random ?? null,
      strategy: options.restart ?? { kind: 'none' },
      // How it ends is told by the thread.
      start: (name) => void this.restart(name).catch(() => {}),
    })
  }

  async start(view: ViewPlan): Promise<void> {
    if (this.closed) throw new Fault('log.closed', { what: 'the engine' })
    if (this.has(view.name)) throw new Fault('flow.view-exists', { view: view.name })
    const sent = packed(view, this.code)
    if (sent === null) return this.local.start(view)
    const one = new Placed(view, { number: this.nextNumber++, view: sent, keepsOutput: this.keepsOutput(view.name) })
    this.placed.set(view.name, one)
    this.begin(one)
    try {
      await one.begun()
    } catch (error) {
      // It did not come so far as to be a view that failed.
      if (one.info.status === 'restoring') this.forget(one)
      throw error
    }
  }
  private forget(one: Placed): void {
    this.placed.delete(one.name)
    one.leave()
  }
  private keepsOutput(view: string): boolean {
    return this.options.keepsOutput?.(view) ?? true
  }
  private begin(one: Placed): void {
    one.begin(this.leastLoaded(), this.partThreads.take((one.view.parallelism ?? 1) - 1))
  }
  private leastLoaded(): ViewThread {
    const least = [...this.threads].sort((a, b) => a.views.size - b.views.size)[0]
    if (least !== undefined && (least.views.size === 0 || this.threads.size >= this.options.count)) return least
    const thread = new ViewThread(this.options, {
      info: (info) => {
        const one = this.placed.get(info.name)
        if (one?.thread === thread) this.told(one, info)
        else this.options.onInfo?.(info)
      },
      ended: (why) => this.ended(thread, why),
    })
    this.threads.add(thread)
    return thread
  }
  private told(one: Placed, info: ViewInfo): void {
    const hasFailed = info.status === 'failed' && one.info.status !== 'failed'
    one.info = info
    if (hasFailed) this.failed(one)
    this.options.onInfo?.(this.shown(one))
  }
  private failed({ view, info, ticksBefore }: Placed): void {
    if (!this.closed && info.error !== null) this.restarts.failed(view, info.error, info.ticks > ticksBefore)
  }
  private shown({ name, info }: Placed): ViewInfo {
    return withRestarts(info, this.restarts.of(name))
  }
  private ended(thread: ViewThread, why: string): void {
    this.threads.delete(thread)
    for (const one of thread.views) {
      one.leave()
      const isGuilty = one.sent.number === thread.working
      this.settle(one, isGuilty || thread.working === 0, why)
    }
  }
  /** Views with parts there stop where they are, for those parts are lost. */
  private partsEnded(thread: PartThread, why: string): void {
    for (const one of this.placed.values()) {
      if (!one.far.includes(thread)) continue
      const { thread: on } = one
      one.leave()
      if (on !== null) one.leaving = on.line.call('stop', [one.name]).catch(() => {})
      this.settle(one, one.sent.number === thread.working || thread.working === 0, why)
    }
    for (const views of this.threads) views.unlink(thread)
  }
  /** Of a view that has lost its thread. Where nobody knows which it worked on, it may be any. */
  private settle(one: Placed, isGuilty: boolean, why: string): void {
    if (isGuilty) this.fail(one, new Fault('flow.thread-ended', { view: one.name, why }))
    else if (!this.closed && this.placed.get(one.name) === one) {
      this.begin(one)
      one.begun().catch((error: unknown) => this.options.onFault?.(one.name, asFault(error)))
    }
  }
  private fail(one: Placed, error: Fault): void {
    one.info = { ...one.info, status: 'failed', error }
    this.failed(one)
    this.options.onFault?.(one.name, error)
  }
  /** null: it runs on this thread, or not at all. */
  private find(name: string): Placed | null {
    return this.placed.get(name) ?? null
  }

  async stop(name: string): Promise<void> {
    const one = this.find(name)
    if (one === null) return this.local.stop(name)
    this.restarts.forget(name)
    await one.ready
    const { thread } = one
    this.forget(one)
    // Where the thread ends meanwhile, it has stopped as well.
    await thread?.line.call('stop', [name]).catch((error: unknown) => {
      if (!thread.hasEnded) throw error
    })
    this.restarts.forget(name)
  }
  async pause(name: string): Promise<void> {
    const one = this.find(name)
    if (one === null) return this.local.pause(name)
    one.isPaused = true
    await one.onThread((thread) => thread.line.call('pause', [name]))
  }
  async resume(name: string): Promise<void> {
    const one = this.find(name)
    if (one === null) return this.local.resume(name)
    one.isPaused = false
    if (one.info.status === 'failed') this.restarts.forget(name)
    await this.restart(name, 'resume')
  }
  private async restart(name: string, how: 'restart' | 'resume' = 'restart'): Promise<void> {
    const one = this.find(name)
    if (one === null) return
    await one.ready
    if (one.thread !== null) {
      one.ticksBefore = one.info.ticks
      return one.thread.line.call(how, [name])
    }
    this.begin(one)
    await one.begun()
  }
  async end(name: string, fault: Fault): Promise<void> {
    const one = this.find(name)
    if (one === null) return this.local.end(name, fault)
    await one.onThread((thread) => thread.line.call('end', [name, fault]))
  }
  async drop(name: string): Promise<void> {
    if (this.placed.has(name)) await this.stop(name)
    await this.local.drop(name)
  }
  vacated(name: string): Promise<void> {
    return this.local.vacated(name)
  }
  saved(name: string): Promise<SavedMarks | null> {
    return this.find(name)?.thread?.line.call('saved', [name]) ?? this.local.saved(name)
  }
  savepoint(view: ViewPlan, name: string): Promise<Savepoint> {
    return this.saving.run(
      view.name,
      name,
      () => this.find(view.name)?.savepoint(name) ?? this.local.savepoint(view, name),
    )
  }
  load(view: ViewPlan, savepoint: string, rows: boolean): Promise<void> {
    return this.local.load(view, savepoint, rows)
  }

  views(): readonly ViewInfo[] {
    return [...Array.from(this.placed.values(), (one) => this.shown(one)), ...this.local.views()]
  }
  view(name: string): ViewInfo {
    const one = this.find(name)
    return one === null ? this.local.view(name) : this.shown(one)
  }
  has(name: string): boolean {
    return this.placed.has(name) || this.local.has(name)
  }
  plan(name: string): ViewPlan {
    return this.find(name)?.view ?? this.local.plan(name)
  }
  async graph(name: string): Promise<FlowGraph> {
    return this.running(name)?.line.call('graph', [name]) ?? this.local.graph(name)
  }
  async examine(name: string): Promise<Examination> {
    const thread = this.running(name)
    if (thread === null) return this.local.examine(name)
    const found = await thread.line.call('examine', [name])
    if (found === null) throw new Fault('internal', { what: `the code of view ${name} is not there` })
    return withCode(found, this.code, name)
  }
  /** null: it is none of a thread's. Throws the fault of one whose thread is gone. */
  private running(name: string): ViewThread | null {
    const one = this.find(name)
    if (one !== null && one.thread === null) throw one.info.error ?? new Fault('flow.unknown-view', { view: name })
    return one?.thread ?? null
  }

  async flush(signal?: AbortSignal): Promise<void> {
    for (const { name } of inputsFirst(this.views().map((info) => this.plan(info.name)))) {
      const one = this.find(name)
      if (one === null) await this.local.settled(name, signal)
      else await one.settled(signal)
    }
  }
  async close(): Promise<void> {
    this.closed = true
    this.restarts.close()
    await Promise.all([this.local.close(), ...[...this.threads].map((thread) => thread.close())])
    await this.partThreads.close()
    this.placed.clear()
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** A view that runs on another thread, as long as its thread is there. */
class Placed {
  readonly view: ViewPlan
  readonly sent: Omit<PlacedView, 'far'>
  thread: ViewThread | null = null
  /** It was told to, and is on the next thread as well. */
  isPaused = false
  info: ViewInfo
  /** Ticks that it had made, by `info`, when it was started last. */
  ticksBefore = 0
  /** Threads with parts of its steps. */
  far: readonly PartThread[] = []
  /** Where it was before, it has stopped. */
  leaving: Promise<void> | null = null
  /** Its thread has been told of it; null: there was nothing to wait for. */
  ready: Promise<unknown> | null = null
  private beginning: Promise<void> = Promise.resolve()

  constructor(view: ViewPlan, sent: Omit<PlacedView, 'far'>) {
    this.view = view
    this.sent = sent
    const counts = { rowsIn: 0, rowsOut: 0, late: 0, lateAfterIdle: 0, invalid: 0, failed: 0, future: 0, ticks: 0 }
    const state = { stateBytes: 0, watermarkMs: -Infinity }
    this.info = { name: this.name, status: 'restoring', error: null, restarts: null, ...counts, ...state }
  }
  get name(): string {
    return this.view.name
  }
  begin(thread: ViewThread, far: readonly PartThread[]): void {
    this.thread = thread
    thread.views.add(this)
    this.far = far
    for (const parts of far) {
      parts.views.add(this)
      thread.link(parts)
    }
    this.info = { ...this.info, status: 'restoring', error: null, ticks: 0 }
    this.ticksBefore = 0
    const sent = { ...this.sent, far: far.map(({ number }) => number) }
    const before = [...(this.leaving === null ? [] : [this.leaving]), ...far.map(({ ready }) => ready)]
    this.leaving = null
    this.ready = before.length === 0 ? null : Promise.all(before)
    const start = (): Promise<void> => thread.line.call('start', [sent, this.isPaused])
    this.beginning = this.ready === null ? start() : this.ready.then(start)
    this.beginning.catch(() => {})
  }
  /** It runs on no thread. */
  leave(): void {
    this.thread?.views.delete(this)
    this.thread = null
    for (const parts of this.far) parts.views.delete(this)
    this.far = []
  }
  /** It runs, on whichever thread it is then. Throws why it does not. */
  async begun(): Promise<void> {
    await this.onThread(() => this.beginning)
    if (this.thread === null) throw this.info.error ?? new Fault('flow.unknown-view', { view: this.name })
  }
  savepoint(name: string): Promise<Savepoint> | undefined {
    return this.thread?.line.call('savepoint', [this.name, name])
  }
  settled(signal?: AbortSignal): Promise<void> {
    return this.onThread((thread) => thread.line.call('settled', [this.name], signal))
  }
  /** Again on the next thread where one ends; nothing where there is none. */
  async onThread(act: (thread: ViewThread) => Promise<void>): Promise<void> {
    for (;;) {
      await this.ready
      const { thread, far } = this
      if (thread === null) return
      try {
        await act(thread)
        if (this.thread === thread && this.far === far) return
      } catch (error) {
        if (thread.hasEnded) await thread.gone
        // With a thread that had parts of it, it was moved.
        else if (this.thread === thread && this.far === far) throw error
      }
    }
  }
}

interface Pooled {
  info(info: ViewInfo): void
  ended(why: string): void
}
class ViewThread extends WatchedThread<ViewMethods> {
  readonly views = new Set<Placed>()
  /** Threads with parts that it knows. */
  readonly linked = new Set<PartThread>()
  private readonly shared: Int32Array<SharedArrayBuffer>

  constructor({ log, commits, quarantine, ...options }: PoolOptions, pooled: Pooled) {
    const host = new LogHost(log, commits)
    const shared = new Int32Array(new SharedArrayBuffer(8))
    const data: ViewThreadData = {
      holds: 'views',
      limits: log.limits,
      commitMs: options.commitMs ?? null,
      spillFolder: options.spill?.folder ?? null,
      working: shared,
      codeFrom: options.codeFrom ?? null,
    }
    const methods: HostMethods = {
      ...host.methods(),
      quarantined: (bad, owner) => quarantine.records(bad, owner),
      quarantineSettled: (places, owner, outcome) => quarantine.settled(places, owner, outcome),
      info: (info, error) => pooled.info({ ...info, error, restarts: null }),
      fault: (view, fault) => options.onFault?.(view, fault),
    }
    super(options, data, {
      methods,
      left: () => host.close(),
      ended: pooled.ended,
      isExcused: () => Atomics.load(shared, 1) === 1,
    })
    this.shared = shared
  }
  /** Number of the view that it works on, or has worked on last. */
  get working(): number {
    return Atomics.load(this.shared, 0)
  }
  link(parts: PartThread): void {
    if (this.linked.has(parts)) return
    this.linked.add(parts)
    const { port, bell } = parts.link()
    void this.line.call('link', [parts.number, port, bell], undefined, [port]).catch(() => {})
  }
  unlink(parts: PartThread): void {
    if (this.linked.delete(parts)) this.line.tell('unlink', [parts.number])
  }
}
