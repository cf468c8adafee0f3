/** When to try again: exponential, with jitter so that receivers are not met by a wave, never before they asked. */
import type { Random } from '../lib/world.ts'

export interface Backoff {
  readonly attempts: number
  readonly firstMs: number
  readonly factor: number
  readonly mostMs: number
}
/** Eight attempts over about an hour and a half. */
export const standardBackoff: Backoff = { attempts: 8, firstMs: 1_000, factor: 4, mostMs: 3_600_000 }

/** Wait before the next attempt when `attempts` have failed: three quarters to five quarters of the exponential step. */
export function waitMs(backoff: Backoff, attempts: number, afterMs: number | null, random: Random): number {
  const step = Math.min(backoff.mostMs, backoff.firstMs * backoff.factor ** (attempts - 1))
  const jittered = step * (0.75 + random.fraction() / 2)
  return Math.round(Math.max(jittered, Math.min(afterMs ?? 0, backoff.mostMs)))
}
