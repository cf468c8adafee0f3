/** When a position and a group are no longer needed, as Kafka has it (KIP-211); pure. */
import type { ClassicGroup } from './classic-group.ts'
import type { ConsumerGroup } from './consumer/consumer-group.ts'
import type { Committed } from './formats.ts'

/**
 * A position that no member of its group reads on from. It is kept for the retention since it was committed; in an empty
 * group since the last member left; while a classic group is not settled, for ever.
 */
export function isLapsed(
  { committedMs, expiresMs }: Committed,
  of: { nowMs: number; retentionMs: number; classic: ClassicGroup | null; consumers: ConsumerGroup | null },
): boolean {
  const { nowMs, retentionMs, classic } = of
  let sinceMs = committedMs
  if (of.consumers === null && classic !== null) {
    if (classic.members.size === 0) sinceMs = Math.max(committedMs, classic.sinceMs)
    else if (classic.state !== 'Stable' || classic.protocolType !== 'consumer') return false
  }
  return expiresMs === undefined ? sinceMs + retentionMs < nowMs : expiresMs <= nowMs
}
/** Nobody is in it, nor about to come. */
export function isIdle(classic: ClassicGroup | null, consumers: ConsumerGroup | null): boolean {
  if (consumers !== null) return consumers.isEmpty
  return classic === null || (classic.members.size === 0 && classic.nextMs() === Infinity)
}
