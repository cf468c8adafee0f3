/**
 * A thread of views, or of parts of their steps, as the one that started it has it: asked again and again whether it is there, and ended when it
 * does not answer for `silentMs`.
 */
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { Line, type Methods } from '../../lib/line.ts'
import type { Clock, Thread, Threads } from '../../lib/world.ts'

export interface WatchedOptions {
  readonly threads: Threads
  readonly module: URL
  readonly clock: Clock
  readonly silentMs?: number | undefined
}
interface Watched {
  readonly methods: Methods
  /** It has ended, by itself or since it was silent. Awaited before anybody is told that it is gone. */
  readonly ended: (why: string) => void
  readonly left: () => Promise<void>
  /** It waits for another thread: its silence is that one's. */
  readonly isExcused: () => boolean
}
interface Always {
  ping(): void
  close(): unknown
}

/** A process that is told to stop has some seconds. */
const closeMsMax = 5_000

export class WatchedThread<Theirs extends Always> {
  readonly line: Line<Theirs>
  hasEnded = false
  /** It has ended, and what becomes of what it had is settled. */
  readonly gone: Promise<void>
  private readonly thread: Thread
  private readonly clock: Clock
  private readonly silentMs: number
  private isClosing = false
  private silent: string | null = null

  constructor({ threads, module, clock, silentMs }: WatchedOptions, data: unknown, watched: Watched) {
    this.clock = clock
    this.silentMs = silentMs ?? limits.viewThreadSilentMs
    this.thread = threads.start(module, data)
    // Whoever waits for a thread does not want the process to end meanwhile.
    this.line = new Line<Theirs>(this.thread.port, watched.methods, { holds: true })
    this.gone = this.thread.ended.then(async (why) => {
      this.hasEnded = true
      this.line.end(new Fault('log.closed', { what: 'a thread of views' }))
      await watched.left()
      if (!this.isClosing) watched.ended(this.silent ?? why ?? 'it was told to')
    })
    this.watch(watched.isExcused)
  }
  /** Counted in looks: a machine that stood still has not seen it silent. */
  private watch(isExcused: () => boolean): void {
    const pingMs = Math.min(limits.viewThreadPingMs, this.silentMs / 4)
    let hasAnswered = true
    let silentMs = 0
    const look = (): void => {
      if (this.hasEnded || this.isClosing) return
      silentMs = hasAnswered || isExcused() ? 0 : silentMs + pingMs
      if (silentMs >= this.silentMs) {
        this.silent = `it gave no sign of life for ${silentMs / 1000} s`
        return void this.thread.end()
      }
      if (hasAnswered) {
        hasAnswered = false
        this.ping().then(
          () => (hasAnswered = true),
          () => {},
        )
      }
      this.clock.after(pingMs, look)
    }
    look()
  }
  /** Resolves when it is there. */
  ping(): Promise<unknown> {
    return (this.line as unknown as Line<Always>).call('ping', [])
  }
  async close(): Promise<void> {
    this.isClosing = true
    // One that works for ever is not waited for.
    const late = this.clock.sleep(Math.min(this.silentMs, closeMsMax)).catch(() => {})
    await Promise.race([(this.line as unknown as Line<Always>).call('close', []).catch(() => {}), late])
    await this.thread.end()
  }
}
