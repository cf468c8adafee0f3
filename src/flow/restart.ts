/**
 * When a view that has failed is started again: Flink's strategies, with its names and defaults, as a decision over what has
 * happened to the view so far. No clock and no chance in here.
 *
 * A repetition cures a fault that passes by itself (the log away, the disk full). It may cure one whose cause nobody knows (a
 * thread that ended, an error that nobody foresaw): of those, the default gives up after `unclearMax` starts in a row that
 * committed nothing. All others (an event that cannot be processed, a state that is of another plan) would be the same again:
 * no strategy repeats them.
 */
import type { Fault, FaultCode } from '../lib/fault.ts'
import type { RestartStrategy } from './plan.ts'

export const restartDefaults = {
  'fixed-delay': { attempts: 1, delayMs: 1_000 },
  'exponential-delay': {
    initialMs: 1_000,
    mostMs: 60_000,
    multiplier: 1.5,
    jitter: 0.1,
    resetMs: 3_600_000,
    attempts: null,
  },
  'failure-rate': { failures: 1, intervalMs: 60_000, delayMs: 1_000 },
} as const

/** Of views that do not say. */
export const restartDefault: RestartStrategy = { kind: 'exponential-delay', ...restartDefaults['exponential-delay'] }

const unclearMax = 10

type Cure = 'time' | 'perhaps' | 'never'
const unclear: ReadonlySet<FaultCode> = new Set(['internal', 'flow.thread-ended'])
const cureOf = ({ code, retry }: Fault): Cure => (retry ? 'time' : unclear.has(code) ? 'perhaps' : 'never')

/** What has happened to a view since it was started by somebody, or had got over its faults. */
export interface RestartHistory {
  /** Starts after a failure. */
  readonly attempts: number
  /** Of those, the last ones in a row before which nothing was committed. */
  readonly inVain: number
  /** When they were decided, the newest last; as many as `failure-rate` looks at. */
  readonly times: readonly number[]
  /** The last delay, without jitter. */
  readonly delayMs: number
  /** When the last start was due. */
  readonly startedMs: number
}
export const noRestarts: RestartHistory = { attempts: 0, inVain: 0, times: [], delayMs: 0, startedMs: 0 }

export interface Failure {
  readonly fault: Fault
  /** By a clock that does not jump. */
  readonly nowMs: number
  /** Since the last start. */
  readonly hasCommitted: boolean
  /** In [0, 1). */
  readonly chance: number
}
/** In how many ms it starts again, and what is then to be remembered; null: it stays failed. */
export function restartAfter(
  strategy: RestartStrategy,
  history: RestartHistory,
  failure: Failure,
): { readonly delayMs: number; readonly history: RestartHistory } | null {
  const { fault, nowMs, hasCommitted, chance } = failure
  const cure = cureOf(fault)
  if (strategy.kind === 'none' || cure === 'never') return null
  const isOver =
    strategy.kind === 'exponential-delay' && history.attempts > 0 && nowMs - history.startedMs >= strategy.resetMs
  const { attempts, inVain, times, delayMs: last } = isOver ? noRestarts : history
  const next = (delayMs: number, waitMs = delayMs): ReturnType<typeof restartAfter> => ({
    delayMs: waitMs,
    history: {
      attempts: attempts + 1,
      inVain: hasCommitted ? 1 : inVain + 1,
      times: strategy.kind === 'failure-rate' ? [...times, nowMs].slice(-strategy.failures) : [],
      delayMs,
      startedMs: nowMs + waitMs,
    },
  })
  switch (strategy.kind) {
    case 'fixed-delay':
      return attempts >= strategy.attempts ? null : next(strategy.delayMs)
    case 'failure-rate': {
      const isTooOften = times.length >= strategy.failures && nowMs - times[0]! <= strategy.intervalMs
      return isTooOften ? null : next(strategy.delayMs)
    }
    case 'exponential-delay': {
      const { initialMs, mostMs, multiplier, jitter } = strategy
      if (strategy.attempts !== null && attempts >= strategy.attempts) return null
      if (strategy.attempts === null && cure === 'perhaps' && !hasCommitted && inVain >= unclearMax) return null
      const delayMs = attempts === 0 ? initialMs : Math.min(last * multiplier, mostMs)
      return next(delayMs, Math.round(Math.min(delayMs * (1 + jitter * (2 * chance - 1)), mostMs)))
    }
  }
}
