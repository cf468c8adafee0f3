/**
 * Which task holds which partitions; pure. Partitions of the same index in all topics form one unit and stay together,
 * so that joins by key find both sides in one task. Every member gets as many units as the others, give or take one; who
 * holds or has a unit warm keeps it as far as that allows.
 */
import type { Partition } from '../../log.ts'

export interface AssignedMember {
  /** Comes back to the same units under the same name. */
  readonly name: string
  readonly topics: ReadonlySet<string>
  readonly held: readonly Partition[]
  readonly warm: readonly Partition[]
}
interface Unit {
  readonly key: string
  readonly partitions: Partition[]
  readonly eligible: readonly number[]
}

/** For each member, by index, the units it is to hold. */
export function assign(
  members: readonly AssignedMember[],
  topics: readonly { name: string; partitions: number }[],
): Partition[][] {
  const given: Partition[][] = members.map(() => [])
  const loads = members.map(() => 0)
  const all = unitsOf(members, topics)
  const held = members.map((member) => keysOf(member.held))
  const warm = members.map((member) => keysOf(member.warm))
  const give = (unit: Unit, to: number): void => {
    given[to]!.push(...unit.partitions)
    loads[to]!++
  }
  for (const units of Map.groupBy(all, (unit) => unit.eligible.join()).values()) {
    const { eligible } = units[0]!
    // The first `larger` members that want one more than the even share may have it.
    const share = Math.floor(units.length / eligible.length)
    let larger = units.length % eligible.length
    const counts = new Map(eligible.map((member) => [member, 0]))
    const mayTake = (member: number): boolean => {
      const count = counts.get(member)!
      if (count < share) return true
      return count === share && larger > 0
    }
    const take = (unit: Unit, member: number): void => {
      const count = counts.get(member)!
      if (count === share) larger--
      counts.set(member, count + 1)
      give(unit, member)
    }
    let left = units
    for (const wishes of [held, warm]) {
      const rest: Unit[] = []
      for (const unit of left) {
        const keeper = eligible.find((member) => wishes[member]!.has(unit.key) && mayTake(member))
        if (keeper === undefined) rest.push(unit)
        else take(unit, keeper)
      }
      left = rest
    }
    for (const unit of left) {
      const idle = eligible.filter(mayTake)
      take(
        unit,
        idle.reduce((best, member) => (loads[member]! < loads[best]! ? member : best)),
      )
    }
  }
  return given
}

/** The same, and what each member stands by for. */
export function assignShares(
  members: readonly (AssignedMember & { readonly standbys: number })[],
  topics: Parameters<typeof assign>[1],
): { readonly active: Partition[][]; readonly standby: Partition[][] } {
  const active = assign(members, topics)
  const wanted = members.map(({ standbys }) => standbys)
  return { active, standby: standbysOf(active, wanted) }
}
/** For each member, the partitions that it keeps a copy of: those of the `count` members after it in the ring. */
export function standbysOf(active: readonly Partition[][], wanted: readonly number[]): Partition[][] {
  return active.map((_, member) => {
    const copies: Partition[] = []
    for (let step = 1; step <= Math.min(wanted[member]!, active.length - 1); step++)
      copies.push(...active[(member + step) % active.length]!)
    return copies
  })
}

const indexKey = (index: number): string => `#${index}`
const partitionKey = ({ topic, index }: Partition): string => `${topic}/${index}`

/** Keys under which a partition may be found as a unit: with its index, or alone. */
function keysOf(partitions: readonly Partition[]): Set<string> {
  return new Set(partitions.flatMap((partition) => [indexKey(partition.index), partitionKey(partition)]))
}
/** Topics that every member reads share units; one that only some read stands alone. */
function unitsOf(members: readonly AssignedMember[], topics: readonly { name: string; partitions: number }[]): Unit[] {
  const units = new Map<string, Unit>()
  for (const { name: topic, partitions } of topics) {
    const eligible = members.flatMap((member, i) => (member.topics.has(topic) ? [i] : []))
    if (eligible.length === 0) continue
    for (let index = 0; index < partitions; index++) {
      const partition = { topic, index }
      const key = eligible.length === members.length ? indexKey(index) : partitionKey(partition)
      const unit = units.get(key)
      if (unit === undefined) units.set(key, { key, partitions: [partition], eligible })
      else unit.partitions.push(partition)
    }
  }
  return [...units.values()]
}
