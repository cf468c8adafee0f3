/**
 * `Membership` on Kafka's classic group protocol: join, be told (or tell, as the leader), show that we live, and again
 * whenever the coordinator says so. From the moment in which a rebalance is seen until this member knows what it holds, no
 * tick of its claims is committed (`settled`).
 */
import type { Offset } from '../../../lib/brand.ts'
import { Fault, asFault } from '../../../lib/fault.ts'
import type { JoinOptions, Membership, Partition, Claim } from '../../log.ts'
import { code, faultOf, isCoordinatorMoved, isPassing } from '../errors.ts'
import type { Coordinators } from '../net/coordinators.ts'
import type { Metadata } from '../net/metadata.ts'
import { type Network, type Patience, disconnection } from '../net/network.ts'
import { type ClusterClaim, clusterClaim } from './claim.ts'
import {
  type ProcessInfo,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from './consumer-protocol.ts'
import { lead } from './lead.ts'
import { type Change, Offers } from './offers.ts'
import { GroupError } from './group-error.ts'
import type { GroupWire, Joined } from './group-wire.ts'

/** A rebalance is heard of by a heartbeat; a hand-over waits for the slowest member. */
const heartbeatMs = 500
/** The leader looks this often whether topics have more partitions, or exist at all. */
const topicsMs = 1_000
/** So long does a commit wait for the end of a rebalance before its claim is called lost. */
const settleMs = 1_000

export interface MembershipHost {
  readonly network: Network
  readonly metadata: Metadata
  readonly coordinators: Coordinators
  readonly me: ProcessInfo
  wire(group: string): GroupWire
  /** Settled positions. */
  positions(claim: ClusterClaim, of: readonly Partition[]): Promise<(Offset | null)[]>
  /** Who else is in the group; a process that dies is taken out by those who see it. */
  peers(membership: ClusterMembership, members: readonly ({ readonly member: string } & ProcessInfo)[]): void
  left(membership: ClusterMembership): void
}

export class ClusterMembership implements Membership {
  readonly group: string
  readonly #options: JoinOptions
  readonly #host: MembershipHost
  readonly #wire: GroupWire
  readonly #offers: Offers
  readonly #stop = new AbortController()
  readonly #running: Promise<void>
  #memberId = ''
  #generation = -1
  /** As the leader last saw the group's topics: others, or more partitions, are a reason to share out again. */
  #watched: { readonly names: readonly string[]; readonly counts: string } | null = null
  #wanted: AbortController = new AbortController()
  #isSettled = false
  #whenSettled: (() => void)[] = []

  constructor(group: string, options: JoinOptions, host: MembershipHost) {
    this.group = group
    this.#options = options
    this.#host = host
    this.#wire = host.wire(group)
    this.#offers = new Offers({ group, released: () => this.rejoin() })
    this.#running = this.#run()
  }
  get memberId(): string {
    return this.#memberId
  }
  changes(): AsyncIterable<Change> {
    return this.#offers.changes()
  }
  positions(claim: Claim, of: readonly Partition[]): Promise<(Offset | null)[]> {
    return this.#host.positions(clusterClaim(claim), of)
  }
  async leave(): Promise<void> {
    if (this.#stop.signal.aborted) return this.#running
    this.#offers.end()
    this.#stop.abort()
    await this.#running
    this.#host.left(this)
    if (this.#memberId !== '') await this.#wire.leave(this.#memberId, 'leaving').catch(() => {})
  }

  /** A rebalance is due, whether or not the coordinator has said so yet. */
  rejoin(): void {
    this.#unsettle()
    this.#wanted.abort()
  }
  /** Its claims are worth nothing any more; it begins anew. */
  lose(): void {
    this.#offers.lose()
    this.rejoin()
  }
  /** Resolves when no rebalance is under way; then `claim.lost` says whether it still stands. A long one makes it lost. */
  async settled(claim: ClusterClaim): Promise<void> {
    if (this.#isSettled || claim.lost) return
    const { clock } = this.#host.network
    const cancel = new AbortController()
    const late = clock.sleep(settleMs, cancel.signal).catch(() => {})
    await Promise.race([new Promise<void>((resolve) => this.#whenSettled.push(resolve)), late])
    cancel.abort()
    if (!this.#isSettled) this.#offers.lose()
  }
  #unsettle(): void {
    this.#isSettled = false
  }
  #settle(): void {
    this.#isSettled = true
    for (const go of this.#whenSettled.splice(0)) go()
  }

  async #run(): Promise<void> {
    let patience: Patience | null = null
    while (!this.#stop.signal.aborted && !this.#host.network.closing.aborted) {
      try {
        await this.#live()
        patience = null
      } catch (error) {
        if (this.#stop.signal.aborted || this.#host.network.closing.aborted) break
        try {
          this.#recover(error)
        } catch (fatal) {
          this.#offers.end(asFault(fatal))
          break
        }
        patience ??= this.#host.network.patience(Infinity)
        await patience.wait().catch(() => {})
      }
    }
    this.#offers.end()
    this.#settle()
  }
  /** One generation: joined, assigned, alive until the next is due. */
  async #live(): Promise<void> {
    this.#wanted = new AbortController()
    const joined = await this.#wire.join(this.#subscription(), this.#memberId, this.#stop.signal, (id) => {
      this.#memberId = id
    })
    this.#memberId = joined.memberId
    const bytes = await this.#wire.sync(joined, await this.#assignments(joined), this.#stop.signal)
    const { active, said } = decodeAssignment(bytes)
    this.#generation = joined.generation
    this.#host.peers(this, said.members)
    this.#offers.assigned(
      { id: joined.memberId, generation: joined.generation },
      { active, standby: said.standby },
      said.kept,
    )
    if (!this.#wanted.signal.aborted) this.#settle()
    await this.#beat()
  }
  #subscription(): Uint8Array {
    const { name = null, standbys = 0, whole = false, topics, warm } = this.#options
    return encodeSubscription({
      topics,
      held: this.#offers.held,
      said: { ...this.#host.me, name, standbys, whole, warm: warm().map(({ partition }) => partition) },
    })
  }
  async #assignments(joined: Joined): Promise<ReadonlyMap<string, Uint8Array>> {
    if (joined.leader !== joined.memberId) {
      this.#watched = null
      return new Map()
    }
    const members = joined.members.flatMap(({ member, metadata }) => {
      const subscription = decodeSubscription(metadata)
      return subscription === null ? [] : [{ member, subscription }]
    })
    const names = [...new Set(members.flatMap(({ subscription }) => subscription.topics))].sort()
    const topics = await this.#topics(names)
    this.#watched = { names, counts: JSON.stringify(topics) }
    return new Map(Array.from(lead(this.group, members, topics), ([member, one]) => [member, encodeAssignment(one)]))
  }
  async #topics(names: readonly string[]): Promise<{ name: string; partitions: number }[]> {
    const found = names.length === 0 ? [] : await this.#host.metadata.fetch(names)
    return found
      .map(({ name, partitions }) => ({ name, partitions: partitions.length }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Until a rebalance is due. */
  async #beat(): Promise<void> {
    const { clock } = this.#host.network
    const ends = AbortSignal.any([this.#stop.signal, this.#wanted.signal, this.#host.network.closing])
    let lookedMs = clock.monotonic()
    while (!ends.aborted) {
      await clock.sleep(heartbeatMs, ends).catch(() => {})
      if (ends.aborted) return
      const error = await this.#wire.heartbeat(this.#memberId, this.#generation)
      if (error === code.rebalanceInProgress) return this.#unsettle()
      if (error !== code.none) throw new GroupError(error)
      if (this.#watched === null || clock.monotonic() - lookedMs < topicsMs) continue
      lookedMs = clock.monotonic()
      const { names, counts } = this.#watched
      if (JSON.stringify(await this.#topics(names)) !== counts) return this.#unsettle()
    }
  }
  /** Throws what no new attempt will mend. */
  #recover(error: unknown): void {
    this.#unsettle()
    if (!(error instanceof GroupError)) {
      if (error instanceof Fault && error.retry) return
      return void disconnection(error)
    }
    const { error: number } = error
    if (number === code.unknownMember || number === code.fencedInstance) {
      this.#memberId = ''
      this.#offers.lose()
    } else if (number === code.illegalGeneration) this.#offers.lose()
    else if (!isPassing(number) && !isCoordinatorMoved(number) && number !== code.rebalanceInProgress)
      throw faultOf(number, { what: `being a member of group ${this.group}`, group: this.group })
  }
}
