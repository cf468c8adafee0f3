/** What a view does when it has failed, said as SQL says it. */
import type { RestartStrategy } from '../flow/plan.ts'
import { Options } from '../sql/plan/options.ts'
import { restartOf, restartOptions as optionSpecs } from '../sql/plan/restart.ts'

export type Restart =
  | { readonly strategy: 'none' }
  /** `attempts` by default 1, `delay` 1s. */
  | { readonly strategy: 'fixed-delay'; readonly attempts?: number; readonly delay?: string }
  | {
      readonly strategy: 'exponential-delay'
      /** The first delay; default 1s. */
      readonly delay?: string
      /** Default 1m. */
      readonly delayMax?: string
      /** Each delay is so many times the one before; default 1.5. */
      readonly multiplier?: number
      /** A share of the delay, by which it may be longer or shorter; default 0.1. */
      readonly jitter?: number
      /** A view that ran for so long has got over it; default 1h. */
      readonly reset?: string
      /** Default: no end. */
      readonly attempts?: number
    }
  /** No more than `failures` (default 1) starts within `interval` (1m), each after `delay` (1s). */
  | {
      readonly strategy: 'failure-rate'
      readonly failures?: number
      readonly interval?: string
      readonly delay?: string
    }
/** As SQL says it. */
export const restartOptions = (restart: Restart): Record<string, string | number> =>
  Object.fromEntries(
    Object.entries(restart).map(([name, value]: [string, string | number]) => [
      `restart_${name.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`)}`,
      value,
    ]),
  )
/** Throws SqlFault. */
export function strategyOf(restart: Restart): RestartStrategy {
  const given = Object.entries(restartOptions(restart)).map(([name, value]) => ({
    name,
    value,
    at: 0,
    end: 0,
    valueAt: 0,
  }))
  return restartOf(new Options(given, optionSpecs, ''), '')!
}
