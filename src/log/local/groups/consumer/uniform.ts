/**
 * Every member gets as many partitions as the others, give or take one, and keeps what it had as far as that allows. With
 * one subscription for all that is a matter of quotas. With several, what is free goes to the subscriber with the least,
 * and then, topic by topic, partitions move from the subscriber with the most to the one with the least until no move
 * makes it more even. (A move lowers the sum of the squares of the loads, so it ends; a bound keeps it short.)
 */
import { Heap } from '../../../../lib/heap.ts'
import type { AssignedMember, Assignor } from './assignors.ts'

export const uniform: Assignor = (members, partitionsOf) => {
  const balance = new Balance(members, partitionsOf)
  balance.keep()
  const [first] = members
  if (first !== undefined && members.every(({ topics }) => topics === first.topics || sameSet(topics, first.topics)))
    balance.fillQuotas(first.topics)
  else {
    balance.fillLeast()
    balance.even()
  }
  return balance.given
}
const sameSet = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  a.size === b.size && [...a].every((topic) => b.has(topic))

const roundsMax = 16

class Balance {
  readonly given: Map<string, Set<number>>[]
  readonly #members: readonly AssignedMember[]
  readonly #partitionsOf: (topicId: string) => number
  readonly #loads: number[]
  /** Topic → owner of each partition, by index; −1 for none. */
  readonly #owners = new Map<string, number[]>()
  readonly #subscribers = new Map<string, number[]>()

  constructor(members: readonly AssignedMember[], partitionsOf: (topicId: string) => number) {
    this.#members = members
    this.#partitionsOf = partitionsOf
    this.given = members.map(() => new Map())
    this.#loads = members.map(() => 0)
    members.forEach(({ topics }, i) => {
      for (const topic of topics) {
        const known = this.#subscribers.get(topic)
        if (known !== undefined) known.push(i)
        else {
          this.#subscribers.set(topic, [i])
          this.#owners.set(
            topic,
            Array.from({ length: partitionsOf(topic) }, () => -1),
          )
        }
      }
    })
  }
  /** What each had of the topics it still subscribes to. */
  keep(): void {
    this.#members.forEach(({ topics, target }, i) => {
      for (const [topic, indexes] of target) {
        if (!topics.has(topic)) continue
        const owners = this.#owners.get(topic)!
        for (const index of indexes) if (owners[index] === -1) this.#give(topic, index, i)
      }
    })
  }
  #give(topic: string, index: number, to: number): void {
    this.#owners.get(topic)![index] = to
    const indexes = this.given[to]!.get(topic)
    if (indexes === undefined) this.given[to]!.set(topic, new Set([index]))
    else indexes.add(index)
    this.#loads[to]!++
  }
  #take(topic: string, index: number, from: number): void {
    this.#owners.get(topic)![index] = -1
    const indexes = this.given[from]!.get(topic)!
    indexes.delete(index)
    if (indexes.size === 0) this.given[from]!.delete(topic)
    this.#loads[from]!--
  }
  #free(topic: string): number[] {
    const found: number[] = []
    this.#owners.get(topic)!.forEach((owner, index) => {
      if (owner === -1) found.push(index)
    })
    return found
  }

  fillQuotas(topics: ReadonlySet<string>): void {
    let total = 0
    for (const topic of topics) total += this.#partitionsOf(topic)
    const share = Math.floor(total / this.#members.length)
    // Who has more than the share keeps one more, as long as there are some to be had.
    let larger = total % this.#members.length
    const quotas = this.#loads.map((load) => (load > share && larger-- > 0 ? share + 1 : share))
    this.#loads.forEach((_, member) => this.#shed(member, quotas[member]!))
    const free = [...topics].flatMap((topic) => this.#free(topic).map((index) => ({ topic, index })))
    let at = 0
    const fill = (member: number, quota: number): void => {
      while (this.#loads[member]! < quota && at < free.length) {
        const { topic, index } = free[at++]!
        this.#give(topic, index, member)
      }
    }
    quotas.forEach((quota, member) => fill(member, quota))
    quotas.forEach((quota, member) => fill(member, quota === share ? share + 1 : quota))
  }
  #shed(member: number, quota: number): void {
    for (const [topic, indexes] of [...this.given[member]!].toReversed())
      for (const index of [...indexes].toReversed()) {
        if (this.#loads[member]! <= quota) return
        this.#take(topic, index, member)
      }
  }

  /** Topics with the most partitions for each subscriber first: they leave the least choice. */
  #topicsByWeight(): string[] {
    const weight = (topic: string): number => this.#partitionsOf(topic) / this.#subscribers.get(topic)!.length
    return [...this.#subscribers.keys()].toSorted((a, b) => weight(b) - weight(a) || (a < b ? -1 : 1))
  }
  fillLeast(): void {
    for (const topic of this.#topicsByWeight()) {
      const free = this.#free(topic)
      if (free.length === 0) continue
      const least = this.#heap(this.#subscribers.get(topic)!, 1)
      for (const index of free) {
        const member = least.pop()!
        this.#give(topic, index, member)
        least.push(member)
      }
    }
  }
  #heap(members: readonly number[], direction: 1 | -1): Heap<number> {
    const loads = this.#loads
    const heap = new Heap<number>((a, b) => (direction * (loads[a]! - loads[b]!) || a - b) < 0)
    for (const member of members) heap.push(member)
    return heap
  }
  even(): void {
    const topics = this.#topicsByWeight().filter((topic) => this.#subscribers.get(topic)!.length > 1)
    for (let round = 0; round < roundsMax; round++) {
      let moves = 0
      for (const topic of topics) moves += this.#evenTopic(topic)
      if (moves === 0) return
    }
  }
  #evenTopic(topic: string): number {
    const subscribers = this.#subscribers.get(topic)!
    const owners = subscribers.filter((member) => this.given[member]!.has(topic))
    const least = this.#heap(subscribers, 1)
    const most = this.#heap(owners, -1)
    const has = new Map(owners.map((member) => [member, [...this.given[member]!.get(topic)!]]))
    let moves = 0
    for (;;) {
      const from = most.peek()
      const to = least.peek()
      if (from === undefined || to === undefined || this.#loads[from]! - this.#loads[to]! <= 1) return moves
      most.pop()
      least.pop()
      const index = has.get(from)!.pop()!
      this.#take(topic, index, from)
      this.#give(topic, index, to)
      moves++
      // Both may stand in the other heap too, at the place of their older load: the next round sees them anew.
      if (has.get(from)!.length > 0) most.push(from)
      least.push(to)
    }
  }
}
