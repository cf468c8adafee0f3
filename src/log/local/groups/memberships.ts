/**
 * Tasks of this process that share the partitions of a group (`Log.join`). A partition that moves is first taken from the
 * one, who accepts when no tick uses it any more, and only then given to the other; so at most one task may commit for it.
 */
import type { Offset } from '../../../lib/brand.ts'
import { Fault } from '../../../lib/fault.ts'
import type { Random } from '../../../lib/world.ts'
import type { Claim, GroupInfo, JoinOptions, Membership, Partition, TopicInfo } from '../../log.ts'
import { assignWhole } from './assign-whole.ts'
import { assignShares } from './assignment.ts'
import type { GroupOffsets } from './offsets.ts'

export interface Change {
  readonly claim: Claim
  readonly active: readonly Partition[]
  readonly standby: readonly Partition[]
  accept(): void
}
/** A claim as the log itself knows it. */
export class LocalClaim {
  readonly group: string
  readonly partitions: ReadonlySet<string>
  lost = false

  constructor(group: string, partitions: readonly Partition[]) {
    this.group = group
    this.partitions = new Set(partitions.map(keyOf))
  }
  covers(partition: Partition): boolean {
    return !this.lost && this.partitions.has(keyOf(partition))
  }
}
const keyOf = ({ topic, index }: Partition): string => `${topic}/${index}`
/** Claims are opaque outside; every one of this log is a LocalClaim. */
export const localClaim = (claim: Claim): LocalClaim => claim as unknown as LocalClaim

export interface MembershipsHost {
  readonly random: Random
  readonly positions: GroupOffsets
  topic(name: string): TopicInfo | null
  /** Consumers have joined the group by the Kafka protocol. */
  hasConsumers(group: string): boolean
}

export class Memberships {
  readonly #host: MembershipsHost
  readonly #groups = new Map<string, TaskGroup>()

  constructor(host: MembershipsHost) {
    this.#host = host
  }
  /** Throws Fault log.inconsistent-protocol. */
  join(name: string, options: JoinOptions): Membership {
    if (this.#host.hasConsumers(name))
      throw new Fault('log.inconsistent-protocol', { group: name, why: 'consumers have joined it' })
    let group = this.#groups.get(name)
    if (group === undefined) {
      group = new TaskGroup(name, this.#host, () => this.#groups.delete(name))
      this.#groups.set(name, group)
    }
    return group.join(options)
  }
  count(group: string): number {
    return this.#groups.get(group)?.size ?? 0
  }
  info(): GroupInfo[] {
    return Array.from(this.#groups.values(), (group) => group.info())
  }
  evict(group: string, member: string): boolean {
    return this.#groups.get(group)?.evict(member) ?? false
  }
  topicChanged(topic: string): void {
    for (const group of this.#groups.values()) group.topicChanged(topic)
  }
  close(): void {
    for (const group of Array.from(this.#groups.values())) group.close()
  }
}

class TaskGroup {
  readonly name: string
  readonly #host: MembershipsHost
  readonly #emptied: () => void
  #members: TaskMember[] = []

  constructor(name: string, host: MembershipsHost, emptied: () => void) {
    this.name = name
    this.#host = host
    this.#emptied = emptied
  }
  get size(): number {
    return this.#members.length
  }
  join(options: JoinOptions): Membership {
    const id = `${options.name ?? 'task'}-${this.#host.random.uuid()}`
    const member = new TaskMember(id, options, {
      group: this.name,
      positions: this.#host.positions,
      accepted: () => this.#offer(),
      left: () => this.#remove(member),
    })
    this.#members.push(member)
    this.#members.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    this.#offer()
    return member
  }
  info(): GroupInfo {
    return {
      group: this.name,
      state: 'Stable',
      members: this.#members.map(({ id, options, held }) => ({
        id,
        ...(options.name === undefined ? {} : { name: options.name }),
        client: options.name ?? 'task',
        host: 'local',
        held,
      })),
    }
  }
  /** The member loses its claims and stands at the end of the line again. */
  evict(id: string): boolean {
    const member = this.#members.find((one) => one.id === id)
    if (member === undefined) return false
    member.lose()
    this.#members = this.#members.filter((one) => one !== member)
    this.#offer()
    this.#members.push(member)
    this.#offer()
    return true
  }
  topicChanged(topic: string): void {
    if (this.#members.some((member) => member.topics.has(topic))) this.#offer()
  }
  close(): void {
    for (const member of this.#members) member.end()
    this.#members = []
    this.#emptied()
  }
  #remove(member: TaskMember): void {
    this.#members = this.#members.filter((one) => one !== member)
    if (this.#members.length === 0) this.#emptied()
    else this.#offer()
  }

  /** Offers each member what it is to hold, as far as nobody else holds it now. */
  #offer(): void {
    const topics = [...new Set(this.#members.flatMap((member) => [...member.topics]))]
      .map((topic) => this.#host.topic(topic))
      .filter((info) => info !== null)
    const { active: wished, standby } = this.#members.every(({ options }) => options.whole === true)
      ? assignWhole(
          this.name,
          this.#members.map(({ id, topics: of, options }) => ({
            identity: id,
            topics: of,
            standbys: options.standbys ?? 0,
          })),
          topics,
        )
      : assignShares(
          this.#members.map((member) => ({
            name: member.name,
            topics: member.topics,
            held: member.held,
            warm: member.options.warm().map((at) => at.partition),
            standbys: member.options.standbys ?? 0,
          })),
          topics,
        )
    const holder = new Map<string, TaskMember>()
    for (const member of this.#members) for (const partition of member.holds()) holder.set(keyOf(partition), member)
    this.#members.forEach((member, i) => {
      const free = wished[i]!.filter((partition) => (holder.get(keyOf(partition)) ?? member) === member)
      for (const partition of free) holder.set(keyOf(partition), member)
      member.offer(free, standby[i]!)
    })
  }
}

interface Given {
  readonly claim: LocalClaim
  readonly active: readonly Partition[]
  readonly standby: readonly Partition[]
}
interface MemberHost {
  readonly group: string
  readonly positions: GroupOffsets
  accepted(): void
  left(): void
}

class TaskMember implements Membership {
  readonly id: string
  readonly name: string
  readonly options: JoinOptions
  readonly topics: ReadonlySet<string>
  readonly #host: MemberHost
  /** Accepted. */
  held: readonly Partition[] = []
  #claim: LocalClaim | null = null
  #standby: readonly Partition[] = []
  /** Offered and taken up by `changes`, not accepted yet. */
  #given: Given | null = null
  /** To be offered next; a newer one takes its place. */
  #next: { active: readonly Partition[]; standby: readonly Partition[] } | null = null
  #wake: (() => void) | null = null
  #ended = false

  constructor(id: string, options: JoinOptions, host: MemberHost) {
    this.id = id
    this.name = options.name ?? id
    this.options = options
    this.topics = new Set(options.topics)
    this.#host = host
  }

  /** Everything that others must not have yet. */
  holds(): readonly Partition[] {
    return this.#given === null ? this.held : [...this.held, ...this.#given.active]
  }
  offer(active: readonly Partition[], standby: readonly Partition[]): void {
    const latest = this.#given ?? (this.#claim === null ? null : { active: this.held, standby: this.#standby })
    const isNews = latest === null || !samePlaces(latest.active, active) || !samePlaces(latest.standby, standby)
    this.#next = isNews ? { active, standby } : null
    this.#stir()
  }
  async *changes(): AsyncIterable<Change> {
    for (;;) {
      while ((this.#next === null || this.#given !== null) && !this.#ended)
        await new Promise<void>((resolve) => (this.#wake = resolve))
      if (this.#ended || this.#next === null) return
      const { active, standby } = this.#next
      this.#next = null
      const claim = new LocalClaim(this.#host.group, active)
      const given: Given = { claim, active, standby }
      this.#given = given
      yield { claim: claim as unknown as Claim, active, standby, accept: () => this.#accept(given) }
    }
  }
  #accept(given: Given): void {
    if (this.#given !== given) return
    if (this.#claim !== null) this.#claim.lost = true
    this.#claim = given.claim
    this.held = given.active
    this.#standby = given.standby
    this.#given = null
    this.#host.accepted()
    this.#stir()
  }
  async positions(claim: Claim, of: readonly Partition[]): Promise<(Offset | null)[]> {
    const { group, positions } = this.#host
    if (localClaim(claim).lost) throw new Fault('log.claim-lost', { what: `partitions of group ${group}` })
    await positions.whenReleased(group, of)
    return of.map((partition) => positions.position(group, partition))
  }
  async leave(): Promise<void> {
    if (this.#ended) return
    this.end()
    this.#host.left()
  }
  /** Its claims are void and it holds nothing. */
  lose(): void {
    if (this.#claim !== null) this.#claim.lost = true
    if (this.#given !== null) this.#given.claim.lost = true
    this.#claim = this.#given = null
    this.held = []
  }
  end(): void {
    this.lose()
    this.#ended = true
    this.#stir()
  }
  #stir(): void {
    this.#wake?.()
    this.#wake = null
  }
}

function samePlaces(a: readonly Partition[], b: readonly Partition[]): boolean {
  if (a.length !== b.length) return false
  const keys = new Set(a.map(keyOf))
  return b.every((partition) => keys.has(keyOf(partition)))
}
