/** The memberships of this process: who holds which claim, who shares groups with us, and what to do when one dies. */
import type { Offset } from '../../../lib/brand.ts'
import { Fault, asFault } from '../../../lib/fault.ts'
import type { Logger } from '../../../lib/logger.ts'
import type { Groups, JoinOptions, Partition } from '../../log.ts'
import { endTransactionsOf } from '../commit/transactions.ts'
import type { Coordinators } from '../net/coordinators.ts'
import type { Metadata } from '../net/metadata.ts'
import type { Network } from '../net/network.ts'
import type { ClusterClaim } from './claim.ts'
import type { ProcessInfo } from './consumer-protocol.ts'
import { GroupWire } from './group-wire.ts'
import { ClusterMembership } from './membership.ts'
import type { Peers } from './peers.ts'

export interface MembersHost {
  readonly network: Network
  readonly metadata: Metadata
  readonly coordinators: Coordinators
  readonly groups: Groups
  readonly peers: Peers
  readonly me: ProcessInfo
  readonly logger: Logger
  positions(claim: ClusterClaim, of: readonly Partition[]): Promise<(Offset | null)[]>
}
type Other = { readonly member: string } & ProcessInfo

export class Members {
  readonly #host: MembersHost
  /** With the members that each heard of last. */
  readonly #all = new Map<ClusterMembership, readonly Other[]>()

  constructor(host: MembersHost) {
    this.#host = host
  }
  join(group: string, options: JoinOptions): ClusterMembership {
    const { network, metadata, coordinators, me, positions } = this.#host
    const membership = new ClusterMembership(group, options, {
      network,
      metadata,
      coordinators,
      me,
      wire: (name) => new GroupWire(name, coordinators),
      positions,
      peers: (of, members) => this.#heard(of, members),
      left: (of) => this.#left(of),
    })
    this.#all.set(membership, [])
    return membership
  }
  async settled(claim: ClusterClaim): Promise<void> {
    await this.#find(claim)?.settled(claim)
  }
  lose(claims: readonly ClusterClaim[]): void {
    for (const claim of claims) {
      claim.lost = true
      this.#find(claim)?.lose()
    }
  }
  #find({ group, memberId }: ClusterClaim): ClusterMembership | null {
    for (const one of this.#all.keys()) if (one.group === group && one.memberId === memberId) return one
    return null
  }
  #heard(membership: ClusterMembership, members: readonly Other[]): void {
    if (!this.#all.has(membership)) return
    this.#all.set(membership, members)
    this.#watch()
  }
  #left(membership: ClusterMembership): void {
    this.#all.delete(membership)
    this.#watch()
  }
  #watch(): void {
    const peers = new Map<string, string>()
    for (const members of this.#all.values())
      for (const { process, peer } of members) if (peer !== null) peers.set(process, peer)
    this.#host.peers.watch(peers)
  }
  /** Its members are taken out of every group that we share, those groups shared out again, and its ticks rolled back. */
  died(process: string): void {
    void this.#endTicks(process)
    for (const [membership, members] of this.#all)
      for (const { member, process: of } of members) if (of === process) void this.#evict(membership, member)
  }
  /** Whoever takes over would find them open, and wait. */
  async #endTicks(process: string): Promise<void> {
    try {
      await endTransactionsOf(this.#host, process)
    } catch (error) {
      // Who meets one later ends it then.
      const fault = asFault(error)
      if (!isClosed(fault)) this.#host.logger.warn('ticks of a dead process stay open', { process, error: fault })
    }
  }
  async #evict(membership: ClusterMembership, member: string): Promise<void> {
    try {
      await this.#host.groups.evict(membership.group, member)
    } catch (error) {
      const fault = asFault(error)
      // Somebody else was faster.
      if (fault.code !== 'log.unknown-member' && !isClosed(fault))
        this.#host.logger.warn('a dead member was not taken out', { group: membership.group, member, error: fault })
    }
    membership.rejoin()
  }
  async close(): Promise<void> {
    await Promise.all(Array.from(this.#all.keys(), (membership) => membership.leave()))
  }
}
const isClosed = (fault: Fault): boolean => fault.code === 'log.closed'
