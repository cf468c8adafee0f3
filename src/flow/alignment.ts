/**
 * Inputs aligned by event time: of the sources of one view that are of a group, a partition whose watermark is further ahead of
 * the group's than its `maxDriftMs` is read no further until the others have come up. The group's is the smallest over the
 * partitions that are active and have held a record: what is idle, and what never was anything, keeps nobody waiting. So
 * the partition that is furthest behind is never held back. One that several sources read is held back when all of them say so.
 */
import type { SourceClock } from './clock.ts'
import type { SourcePlan } from './plan.ts'

interface Aligned {
  readonly plan: SourcePlan
  readonly clock: Pick<SourceClock, 'reached' | 'beyond'>
}
export const laneOf = (topic: string, partition: number): string => `${topic}/${partition}`

/** The lanes that are held back now. */
export function heldBack(sources: readonly Aligned[]): Set<string> {
  const reached = new Map<string, number>()
  const readers = new Map<string, number>()
  for (const { plan, clock } of sources) {
    if (plan.alignment === undefined) continue
    readers.set(plan.topic, (readers.get(plan.topic) ?? 0) + 1)
    const least = clock.reached()
    const { group } = plan.alignment
    if (least !== null) reached.set(group, Math.min(reached.get(group) ?? Infinity, least))
  }
  const ahead = new Map<string, number>()
  for (const { plan, clock } of sources) {
    if (plan.alignment === undefined) continue
    const { group, maxDriftMs } = plan.alignment
    for (const partition of clock.beyond((reached.get(group) ?? Infinity) + maxDriftMs)) {
      const lane = laneOf(plan.topic, partition)
      ahead.set(lane, (ahead.get(lane) ?? 0) + 1)
    }
  }
  const held = [...ahead].filter(([lane, count]) => count === readers.get(lane.slice(0, lane.lastIndexOf('/'))))
  return new Set(held.map(([lane]) => lane))
}
