/**
 * Kafka's `simple` assignor, by what it promises: every partition is with a member at least, every member has one at
 * least, loads differ by one at most where all subscribe to the same, and who has a partition keeps it as far as that
 * allows. With more members than partitions, several have one.
 */
import type { AssignedMember, Assignor } from '../consumer/assignors.ts'
import type { TopicPartitions } from '../consumer/model.ts'

interface Slot {
  readonly topicId: string
  readonly index: number
}
const keyOf = ({ topicId, index }: Slot): string => `${topicId}/${index}`

export const simple: Assignor = (members, partitionsOf) => {
  const given = members.map(() => new Map<string, Set<number>>())
  const bySubscription = Map.groupBy(
    members.map((member, i) => ({ member, i })),
    ({ member }) => [...member.topics].toSorted().join(),
  )
  if (bySubscription.size === 1) share([...members.keys()], slotsOf(members[0]!.topics, partitionsOf), members, given)
  else
    for (const topicId of new Set(members.flatMap(({ topics }) => [...topics]))) {
      const subscribers = [...members.keys()].filter((i) => members[i]!.topics.has(topicId))
      share(subscribers, slotsOf(new Set([topicId]), partitionsOf), members, given)
    }
  return given
}
function slotsOf(topics: ReadonlySet<string>, partitionsOf: (topicId: string) => number): Slot[] {
  return [...topics]
    .toSorted()
    .flatMap((topicId) => Array.from({ length: partitionsOf(topicId) }, (_, index) => ({ topicId, index })))
}

/** Shares these partitions out among these members, each as often as there are members more than partitions. */
function share(
  members: readonly number[],
  slots: readonly Slot[],
  all: readonly AssignedMember[],
  given: Map<string, Set<number>>[],
): void {
  if (members.length === 0 || slots.length === 0) return
  // So many places in all, dealt out evenly over members and over partitions alike.
  const places = Math.max(members.length, slots.length)
  const quota = new Quotas(members.length, places)
  const holders = new Quotas(slots.length, places)
  const at = new Map(slots.map((slot, i) => [keyOf(slot), i]))
  const give = (place: number, slot: number): void => {
    const { topicId, index } = slots[slot]!
    const of = given[members[place]!]!
    const known = of.get(topicId)
    if (known === undefined) of.set(topicId, new Set([index]))
    else known.add(index)
    quota.take(place)
    holders.take(slot)
  }
  members.forEach((member, place) => {
    for (const slot of kept(all[member]!.target, at)) if (quota.has(place) && holders.has(slot)) give(place, slot)
  })
  let slot = 0
  for (let place = 0; place < members.length; place++)
    while (quota.has(place)) {
      while (slot < slots.length && !holders.has(slot)) slot++
      if (slot === slots.length) break
      give(place, slot)
    }
}
function* kept(target: TopicPartitions, at: ReadonlyMap<string, number>): Iterable<number> {
  for (const [topicId, indexes] of target)
    for (const index of indexes) {
      const slot = at.get(keyOf({ topicId, index }))
      if (slot !== undefined) yield slot
    }
}
/** Each of `count` may take an even share of `places`; as many as do not come out even may take one more. */
class Quotas {
  readonly #taken: number[]
  readonly #share: number
  #larger: number

  constructor(count: number, places: number) {
    this.#taken = Array.from({ length: count }, () => 0)
    this.#share = Math.floor(places / count)
    this.#larger = places % count
  }
  has(i: number): boolean {
    return this.#taken[i]! < this.#share || (this.#taken[i] === this.#share && this.#larger > 0)
  }
  take(i: number): void {
    if (this.#taken[i] === this.#share) this.#larger--
    this.#taken[i]!++
  }
}
