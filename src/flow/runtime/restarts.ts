/** Views that have failed and are started again (`restart.ts` decides when): their timers, and what is told of them. */
import type { Fault } from '../../lib/fault.ts'
import type { Clock, Random } from '../../lib/world.ts'
import type { RestartStrategy, ViewPlan } from '../plan.ts'
import { type RestartHistory, noRestarts, restartAfter } from '../restart.ts'

export interface RestartInfo {
  /** Starts after a failure, since somebody started the view or it had got over its faults. */
  readonly attempts: number
  readonly lastFault: Fault
  readonly lastFaultMs: number
  /** null: it has been started, or stays failed. */
  readonly nextMs: number | null
}
interface Failed {
  history: RestartHistory
  info: RestartInfo
  cancel: () => void
}
export interface RestartHost {
  readonly clock: Clock
  readonly random: Pick<Random, 'fraction'> | null
  /** Of views that say none. */
  readonly strategy: RestartStrategy
  /** Starts it; nobody waits. It tells `failed` where that comes to nothing. */
  readonly start: (view: string) => void
}

export class Restarts {
  private readonly host: RestartHost
  private readonly views = new Map<string, Failed>()

  constructor(host: RestartHost) {
    this.host = host
  }
  /** `hasCommitted`: since it was started last. */
  failed({ name, restart }: ViewPlan, fault: Fault, hasCommitted: boolean): void {
    const { clock, random, strategy, start } = this.host
    const known = this.views.get(name)
    known?.cancel()
    const history = known?.history ?? noRestarts
    const chance = random?.fraction() ?? 0.5
    const failure = { fault, nowMs: clock.monotonic(), hasCommitted, chance }
    const next = restartAfter(restart ?? strategy, history, failure)
    const lastFaultMs = clock.now()
    const nextMs = next === null ? null : lastFaultMs + next.delayMs
    const { attempts } = next?.history ?? history
    const one: Failed = {
      history: next?.history ?? history,
      info: { attempts, lastFault: fault, lastFaultMs, nextMs },
      cancel: () => {},
    }
    this.views.set(name, one)
    if (next === null) return
    one.cancel = clock.after(next.delayMs, () => {
      one.info = { ...one.info, nextMs: null }
      start(name)
    })
  }
  /** Somebody starts or stops it: what was is over. */
  forget(name: string): void {
    this.views.get(name)?.cancel()
    this.views.delete(name)
  }
  of(name: string): RestartInfo | null {
    return this.views.get(name)?.info ?? null
  }
  close(): void {
    for (const { cancel } of this.views.values()) cancel()
    this.views.clear()
  }
}
