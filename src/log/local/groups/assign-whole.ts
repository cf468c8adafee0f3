/**
 * For work that cannot be divided: one member gets every partition, the others stand by. Which one goes by the weight of
 * group and member together (rendezvous hashing), so that many groups spread over the members, and only those move that
 * a member takes with it or a new one is the heaviest for. Pure.
 */
import { murmur2 } from '../../../lib/murmur2.ts'
import type { Partition } from '../../log.ts'

export interface WholeMember {
  readonly identity: string
  readonly topics: ReadonlySet<string>
  /** How many copies of it the group wants, as this member has it. */
  readonly standbys: number
}

/** For each member, by index, what it is to hold, and what it stands by for: those that are next in line do. */
export function assignWhole(
  group: string,
  members: readonly WholeMember[],
  topics: readonly { name: string; partitions: number }[],
): { readonly active: Partition[][]; readonly standby: Partition[][] } {
  const read = (member: WholeMember): number => topics.filter(({ name }) => member.topics.has(name)).length
  const weight = ({ identity }: WholeMember): number => murmur2(Buffer.from(`${group}\n${identity}`)) >>> 0
  // Who reads less than others, of an older definition, would leave partitions to nobody.
  const line = members.toSorted((a, b) => read(b) - read(a) || weight(b) - weight(a))
  const given = (from: number, to: (member: WholeMember) => number): Partition[][] =>
    members.map((member) => {
      const place = line.indexOf(member)
      return place >= from && place <= to(member) ? partitionsOf(member, topics) : []
    })
  return { active: given(0, () => 0), standby: given(1, ({ standbys }) => standbys) }
}
const partitionsOf = ({ topics }: WholeMember, all: readonly { name: string; partitions: number }[]): Partition[] =>
  all
    .filter(({ name }) => topics.has(name))
    .flatMap(({ name, partitions }) => Array.from({ length: partitions }, (_, index) => ({ topic: name, index })))
