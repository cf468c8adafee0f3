/** What every listener counts: connections that are open, and what it did not take. */
import type { Metrics } from './metrics.ts'

export interface ListenerMeter {
  connections(open: number): void
  /** A connection or request that was not taken, or was cut off for what it sent. */
  refused(): void
}
/** `protocol` as in the names of its metrics, `label` for people. */
export function listenerMeter(metrics: Metrics, protocol: string, label: string): ListenerMeter {
  const open = metrics.gauge({ name: `millrace_${protocol}_connections`, help: `Open ${label} connections.` })
  const refused = metrics.counter({
    name: `millrace_${protocol}_refused_total`,
    help: `${label} connections and requests not taken, or cut off for what they sent.`,
  })
  return { connections: (count) => open.set({}, count), refused: () => refused.add({}, 1) }
}
