/** Waiting by a clock's `after`, for the clocks that have nothing of their own for it. */
import type { Clock } from './world.ts'

/** Rejects with the signal's reason when aborted. */
export function sleepBy(clock: Pick<Clock, 'after'>, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason)
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener('abort', aborted)
      resolve()
    })
    const aborted = (): void => {
      cancel()
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', aborted, { once: true })
  })
}
