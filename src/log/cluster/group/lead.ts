/**
 * The leader's part of a rebalance, without I/O: who gets what. A partition that somebody holds goes to nobody else before
 * its holder has given it up, which takes another rebalance; until then the holder keeps its right to commit for it.
 */
import { assignWhole } from '../../local/groups/assign-whole.ts'
import { assignShares } from '../../local/groups/assignment.ts'
import type { Partition } from '../../log.ts'
import { type Assignment, type Subscription } from './consumer-protocol.ts'

export interface JoinedMember {
  readonly member: string
  readonly subscription: Subscription
}
const keyOf = ({ topic, index }: Partition): string => `${topic}/${index}`

export function lead(
  group: string,
  members: readonly JoinedMember[],
  topics: readonly { name: string; partitions: number }[],
): ReadonlyMap<string, Assignment> {
  const sorted = members.toSorted((a, b) => compare(nameOf(a), nameOf(b)) || compare(a.member, b.member))
  const { active: wished, standby } = sorted.every(({ subscription }) => subscription.said.whole)
    ? assignWhole(
        group,
        sorted.map(({ subscription: { said, topics: of } }) => ({
          identity: said.process,
          topics: new Set(of),
          standbys: said.standbys,
        })),
        topics,
      )
    : assignShares(
        sorted.map((one) => ({
          name: nameOf(one),
          topics: new Set(one.subscription.topics),
          held: one.subscription.held,
          warm: one.subscription.said.warm,
          standbys: one.subscription.said.standbys,
        })),
        topics,
      )
  const holders = new Map<string, string>()
  for (const { member, subscription } of sorted)
    for (const partition of subscription.held) if (!holders.has(keyOf(partition))) holders.set(keyOf(partition), member)
  const everybody = sorted.map(({ member, subscription: { said } }) => ({
    member,
    process: said.process,
    peer: said.peer,
  }))
  return new Map(
    sorted.map(({ member, subscription }, i) => {
      const isFree = (partition: Partition): boolean => (holders.get(keyOf(partition)) ?? member) === member
      const active = wished[i]!.filter(isFree)
      const given = new Set(active.map(keyOf))
      const kept = subscription.held.filter((one) => holders.get(keyOf(one)) === member && !given.has(keyOf(one)))
      return [member, { active, said: { standby: standby[i]!, kept, members: everybody } }]
    }),
  )
}
const nameOf = ({ subscription }: JoinedMember): string => subscription.said.name ?? ''
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
