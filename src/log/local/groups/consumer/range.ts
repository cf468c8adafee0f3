/**
 * Consecutive partitions of each topic to each of its subscribers, in the order of their names, so that topics with equal
 * counts of partitions are shared out alike. Static members come first: their names are the same after a restart.
 */
import type { AssignedMember, Assignor } from './assignors.ts'

export const range: Assignor = (members, partitionsOf) => {
  const order = members.map((_, i) => i).toSorted((a, b) => byName(members[a]!, members[b]!))
  const subscribers = new Map<string, number>()
  for (const { topics } of members)
    for (const topic of topics) subscribers.set(topic, (subscribers.get(topic) ?? 0) + 1)
  const given = members.map(() => new Map<string, Set<number>>())
  /** Topic → the next partition to give, and how many subscribers still get one more than the even share. */
  const left = new Map<string, { from: number; larger: number }>()
  for (const i of order)
    for (const topic of members[i]!.topics) {
      const partitions = partitionsOf(topic)
      const count = subscribers.get(topic)!
      let state = left.get(topic)
      if (state === undefined) left.set(topic, (state = { from: 0, larger: partitions % count }))
      const end = Math.min(partitions, state.from + Math.floor(partitions / count) + (state.larger-- > 0 ? 1 : 0))
      if (state.from < end)
        given[i]!.set(topic, new Set(Array.from({ length: end - state.from }, (_, n) => state.from + n)))
      state.from = end
    }
  return given
}

function byName(a: AssignedMember, b: AssignedMember): number {
  if ((a.instanceId === null) !== (b.instanceId === null)) return a.instanceId === null ? 1 : -1
  const [first, second] = a.instanceId === null ? [a.id, b.id] : [a.instanceId, b.instanceId!]
  return first < second ? -1 : first > second ? 1 : 0
}
