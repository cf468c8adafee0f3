/** The threads that hold parts of steps: started when they are needed, one less than views may take, for a view's own thread has parts too. */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { type Bell, newBell, ringEnd } from '../parts/part-line.ts'
import type { PartMethods, PartThreadData } from './part-thread.ts'
import { WatchedThread, type WatchedOptions } from './watched-thread.ts'

export interface PartThreadsOptions extends WatchedOptions {
  /** Threads for views. */
  readonly count: number
  readonly codeFrom?: unknown
}
type Ended = (thread: PartThread, why: string) => void

export class PartThreads {
  private readonly options: PartThreadsOptions
  private readonly ended: Ended
  private readonly threads = new Set<PartThread>()
  private nextNumber = 1

  constructor(options: PartThreadsOptions, ended: Ended) {
    this.options = options
    this.ended = ended
  }
  /** So many, or as many as there may be; those with the fewest views. */
  take(count: number): PartThread[] {
    const most = Math.min(count, this.options.count - 1)
    if (most <= 0) return []
    const free = (): number => [...this.threads].filter(({ views }) => views.size === 0).length
    while (free() < most && this.threads.size < this.options.count - 1) this.start()
    return [...this.threads].sort((a, b) => a.views.size - b.views.size).slice(0, most)
  }
  private start(): void {
    const thread: PartThread = new PartThread(this.options, this.nextNumber++, (why) => {
      this.threads.delete(thread)
      this.ended(thread, why)
    })
    this.threads.add(thread)
  }
  async close(): Promise<void> {
    await Promise.all([...this.threads].map((thread) => thread.close()))
  }
}

export class PartThread extends WatchedThread<PartMethods> {
  readonly number: number
  /** With parts here. */
  readonly views = new Set<unknown>()
  /** It is there, or will not be. */
  readonly ready: Promise<unknown>
  private readonly bells: Bell[] = []
  private readonly shared: Int32Array<SharedArrayBuffer>

  constructor(options: PartThreadsOptions, number: number, ended: (why: string) => void) {
    const working = new Int32Array(new SharedArrayBuffer(4))
    const data: PartThreadData = { holds: 'parts', working, codeFrom: options.codeFrom ?? null }
    super(options, data, {
      methods: {},
      left: () => {
        // Whoever waits here would wait for ever.
        for (const bell of this.bells) ringEnd(bell)
        return Promise.resolve()
      },
      ended,
      isExcused: () => false,
    })
    this.number = number
    this.shared = working
    this.ready = this.ping().catch(() => {})
  }
  /** Number of the view that it works on, or has worked on last. */
  get working(): number {
    return Atomics.load(this.shared, 0)
  }
  /** What a thread of views needs to ask it. */
  link(): { readonly port: MessagePort; readonly bell: Bell } {
    const { port1, port2 } = new MessageChannel()
    const bell = newBell()
    this.bells.push(bell)
    void this.line.call('link', [port2, bell], undefined, [port2]).catch(() => {})
    return { port: port1, bell }
  }
}
