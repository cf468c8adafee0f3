/**
 * Views on several threads. A view runs on one of `count` threads, that with the fewest; one with functions that only this
 * thread has runs here, for functions cannot travel (`code.ts`). A thread starts when its first view does.
 *
 * A thread that ends by itself, or does not answer for `limits.viewThreadSilentMs`, takes down only the view it was working
 * on: that one fails with flow.thread-ended. The others start again on another thread, from what they have committed.
 */
import { Fault, asFault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { Line } from '../../lib/line.ts'
import type { Clock, Thread, Threads } from '../../lib/world.ts'
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
} from '../runtime/flow.ts'
import { type Savepoint, SavepointsUnderWay } from '../runtime/savepoints.ts'
import { packed } from './code.ts'
import type { HostMethods, PlacedView, ViewMethods, ViewThreadData } from './view-thread.ts'

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
  private readonly placed = new Map<string, Placed>()
  private readonly saving = new SavepointsUnderWay()
  private readonly code: readonly unknown[]
  private nextNumber = 1
  private closed = false

  constructor(options: PoolOptions) {
    this.options = options
    this.code = options.code ?? []
    this.local = openFlow(options)
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
    one.thread?.views.delete(one)
  }
  private keepsOutput(view: string): boolean {
    return this.options.keepsOutput?.(view) ?? true
  }
  private begin(one: Placed): void {
    one.begin(this.leastLoaded())
  }
  private leastLoaded(): ViewThread {
    const least = [...this.threads].sort((a, b) => a.views.size - b.views.size)[0]
    if (least !== undefined && (least.views.size === 0 || this.threads.size >= this.options.count)) return least
    const thread = new ViewThread(this.options, {
      info: (info) => {
        const one = this.placed.get(info.name)
        if (one?.thread === thread) one.info = info
        this.options.onInfo?.(info)
      },
      ended: (why) => this.ended(thread, why),
    })
    this.threads.add(thread)
    return thread
  }
  private ended(thread: ViewThread, why: string): void {
    this.threads.delete(thread)
    for (const one of thread.views) {
      one.thread = null
      const isGuilty = one.sent.number === thread.working
      // Nobody knows which: then it may be any.
      if (isGuilty || thread.working === 0) this.fail(one, new Fault('flow.thread-ended', { view: one.name, why }))
      else if (!this.closed && this.placed.get(one.name) === one) {
        this.begin(one)
        one.begun().catch((error: unknown) => this.options.onFault?.(one.name, asFault(error)))
      }
    }
  }
  private fail(one: Placed, error: Fault): void {
    one.info = { ...one.info, status: 'failed', error }
    this.options.onFault?.(one.name, error)
  }
  /** null: it runs on this thread, or not at all. */
  private find(name: string): Placed | null {
    return this.placed.get(name) ?? null
  }

  async stop(name: string): Promise<void> {
    const one = this.find(name)
    if (one === null) return this.local.stop(name)
    this.forget(one)
    const { thread } = one
    // Where the thread ends meanwhile, it has stopped as well.
    await thread?.line.call('stop', [name]).catch((error: unknown) => {
      if (!thread.hasEnded) throw error
    })
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
    if (one.thread !== null) return one.thread.line.call('resume', [name])
    this.begin(one)
    await one.begun()
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
    return [...Array.from(this.placed.values(), ({ info }) => info), ...this.local.views()]
  }
  view(name: string): ViewInfo {
    return this.find(name)?.info ?? this.local.view(name)
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
    return this.running(name)?.line.call('examine', [name]) ?? this.local.examine(name)
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
    await Promise.all([this.local.close(), ...[...this.threads].map((thread) => thread.close())])
    this.placed.clear()
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** A view that runs on another thread, as long as its thread is there. */
class Placed {
  readonly view: ViewPlan
  readonly sent: PlacedView
  thread: ViewThread | null = null
  /** It was told to, and is on the next thread as well. */
  isPaused = false
  info: ViewInfo
  private beginning: Promise<void> = Promise.resolve()

  constructor(view: ViewPlan, sent: PlacedView) {
    this.view = view
    this.sent = sent
    const counts = { rowsIn: 0, rowsOut: 0, late: 0, lateAfterIdle: 0, invalid: 0, failed: 0, future: 0, ticks: 0 }
    const state = { stateBytes: 0, watermarkMs: -Infinity }
    this.info = { name: this.name, status: 'restoring', error: null, ...counts, ...state }
  }
  get name(): string {
    return this.view.name
  }
  begin(thread: ViewThread): void {
    this.thread = thread
    thread.views.add(this)
    this.info = { ...this.info, status: 'restoring', error: null }
    this.beginning = thread.line.call('start', [this.sent, this.isPaused])
    this.beginning.catch(() => {})
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
      const { thread } = this
      if (thread === null) return
      try {
        return await act(thread)
      } catch (error) {
        if (!thread.hasEnded) throw error
        await thread.gone
      }
    }
  }
}

interface Pooled {
  info(info: ViewInfo): void
  ended(why: string): void
}
class ViewThread {
  readonly line: Line<ViewMethods>
  readonly views = new Set<Placed>()
  hasEnded = false
  /** It has ended, and what becomes of its views is settled. */
  readonly gone: Promise<void>
  private readonly thread: Thread
  private readonly host: LogHost
  private readonly shared: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(4))
  private readonly clock: Clock
  private readonly silentMs: number
  private isClosing = false

  constructor({ log, commits, clock, quarantine, ...options }: PoolOptions, pooled: Pooled) {
    this.clock = clock
    this.silentMs = options.silentMs ?? limits.viewThreadSilentMs
    this.host = new LogHost(log, commits)
    const data: ViewThreadData = {
      limits: log.limits,
      commitMs: options.commitMs ?? null,
      spillFolder: options.spill?.folder ?? null,
      working: this.shared,
      codeFrom: options.codeFrom ?? null,
    }
    this.thread = options.threads.start(options.module, data)
    const methods: HostMethods = {
      ...this.host.methods(),
      quarantined: (bad, owner) => quarantine.records(bad, owner),
      quarantineSettled: (places, owner, outcome) => quarantine.settled(places, owner, outcome),
      info: (info, error) => pooled.info({ ...info, error }),
      fault: (view, fault) => options.onFault?.(view, fault),
    }
    // Whoever waits for a thread does not want the process to end meanwhile.
    this.line = new Line<ViewMethods>(this.thread.port, methods, { holds: true })
    this.gone = this.thread.ended.then(async (why) => {
      this.hasEnded = true
      this.line.end(new Fault('log.closed', { what: 'a thread of views' }))
      await this.host.close()
      if (!this.isClosing) pooled.ended(this.silent ?? why ?? 'it was told to')
    })
    this.watch()
  }
  /** Number of the view that it works on, or has worked on last. */
  get working(): number {
    return Atomics.load(this.shared, 0)
  }
  private silent: string | null = null
  /** Ends it when it does not answer. Counted in looks: a machine that stood still has not seen it silent. */
  private watch(): void {
    const pingMs = Math.min(limits.viewThreadPingMs, this.silentMs / 4)
    let hasAnswered = true
    let silentMs = 0
    const look = (): void => {
      if (this.hasEnded || this.isClosing) return
      silentMs = hasAnswered ? 0 : silentMs + pingMs
      if (silentMs >= this.silentMs) {
        this.silent = `it gave no sign of life for ${silentMs / 1000} s`
        return void this.thread.end()
      }
      if (hasAnswered) {
        hasAnswered = false
        this.line.call('ping', []).then(
          () => (hasAnswered = true),
          () => {},
        )
      }
      this.clock.after(pingMs, look)
    }
    look()
  }
  async close(): Promise<void> {
    this.isClosing = true
    // One that works for ever is not waited for.
    const late = this.clock.sleep(this.silentMs).catch(() => {})
    await Promise.race([this.line.call('close', []).catch(() => {}), late])
    await this.thread.end()
  }
}
