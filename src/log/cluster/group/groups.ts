/** `Log.groups` of the cluster: every group there is, whoever made it. */
import { offset as asOffset } from '../../../lib/brand.ts'
import { Fault } from '../../../lib/fault.ts'
import { listGroupsApi } from '../../../wire/kafka/messages/16-list-groups.ts'
import { deleteGroupsApi } from '../../../wire/kafka/messages/42-delete-groups.ts'
import type { At, GroupInfo, Groups, Partition } from '../../log.ts'
import { code, faultOf, isPassing } from '../errors.ts'
import type { Broker } from '../net/broker.ts'
import type { Coordinators } from '../net/coordinators.ts'
import type { Metadata } from '../net/metadata.ts'
import { type Network, disconnection } from '../net/network.ts'
import { describeGroup, infoOf } from './describe.ts'
import { GroupError } from './group-error.ts'
import { GroupWire } from './group-wire.ts'
import { type Committed, committedOf, setPositions } from './offsets.ts'

/** What is committed by a tick is settled within some ms; a dead owner's is not waited for. */
const settleMs = 2_000

export interface GroupsHost {
  readonly network: Network
  readonly metadata: Metadata
  readonly coordinators: Coordinators
}

export class ClusterGroups implements Groups {
  readonly #host: GroupsHost
  /** What ticks of this process moved last, by group: where a marker may still be on its way. */
  readonly #moved = new Map<string, readonly Partition[]>()

  constructor(host: GroupsHost) {
    this.#host = host
  }
  async list(): Promise<GroupInfo[]> {
    const { network, coordinators } = this.#host
    const names = new Set<string>()
    const patience = network.patience()
    let waiting = network.all()
    while (waiting.length > 0) {
      const left: Broker[] = []
      for (const broker of waiting) {
        try {
          const { errorCode, groups } = await broker.ask('quick', listGroupsApi, { statesFilter: [], typesFilter: [] })
          if (errorCode === code.none) for (const { groupId } of groups) names.add(groupId)
          else if (isPassing(errorCode)) left.push(broker)
          else throw faultOf(errorCode, { what: 'listing groups' })
        } catch (error) {
          disconnection(error)
          left.push(broker)
        }
      }
      // A broker that is gone leaves its groups to another one: who the brokers are is asked again.
      if (left.length === 0 || !(await patience.wait())) break
      await this.#host.metadata.fetch([])
      waiting = network.all().filter(({ id }) => left.some((broker) => broker.id === id))
    }
    const found = await Promise.all(
      Array.from(names, async (group) => infoOf(group, await describeGroup(coordinators, group))),
    )
    return found.filter(({ state }) => state !== 'Dead')
  }
  moved(group: string, partitions: readonly Partition[]): void {
    this.#moved.set(group, partitions)
  }
  /** With what was just committed: an open transaction over them is waited for, for a while. */
  async positions(group: string): Promise<At[]> {
    const { coordinators } = this.#host
    // Asked for all, a group does not tell of a first position that is not settled yet; asked for one, it does.
    const moved = this.#moved.get(group)
    if (moved !== undefined) await this.#settled(group, moved)
    const settled = await this.#settled(group, null)
    if (this.#moved.get(group) === moved) this.#moved.delete(group)
    const committed = settled ?? (await committedOf(coordinators, group, null, false))
    return committed
      .filter(({ offset }) => offset >= 0)
      .map(({ partition, offset }) => ({ partition, offset: asOffset(offset) }))
  }
  /** null: something stays open over them. */
  async #settled(group: string, of: readonly Partition[] | null): Promise<readonly Committed[] | null> {
    const { network, coordinators } = this.#host
    const patience = network.patience(settleMs)
    do {
      const committed = await committedOf(coordinators, group, of, true)
      if (!committed.some(({ unstable }) => unstable)) return committed
    } while (await patience.wait())
    return null
  }
  async reset(group: string, to: readonly At[]): Promise<void> {
    const { network, coordinators } = this.#host
    const patience = network.patience(settleMs)
    for (;;) {
      const error = await setPositions(coordinators, group, to)
      if (error === code.none) return
      if (error !== code.unknownMember && error !== code.rebalanceInProgress && error !== code.illegalGeneration)
        throw faultOf(error, { what: `setting positions of group ${group}`, group })
      // The last member may be on its way out.
      const { members } = await describeGroup(coordinators, group)
      if (members.length > 0 || !(await patience.wait())) throw new Fault('log.group-not-empty', { group })
    }
  }
  async remove(group: string): Promise<void> {
    const answer = await this.#host.coordinators.ask('group', group, {
      what: `removing group ${group}`,
      ask: (broker) => broker.ask('quick', deleteGroupsApi, { groupsNames: [group] }),
      errorOf: ({ results }) => results[0]?.errorCode ?? code.unknownServerError,
    })
    const error = answer.results[0]?.errorCode ?? code.unknownServerError
    if (error !== code.none) throw faultOf(error, { what: `removing group ${group}`, group })
  }
  async evict(group: string, member: string): Promise<void> {
    try {
      await new GroupWire(group, this.#host.coordinators).leave(member, 'its process is dead')
    } catch (error) {
      if (!(error instanceof GroupError)) throw error
      if (error.error === code.unknownMember) throw new Fault('log.unknown-member', { group, member })
      throw faultOf(error.error, { what: `taking ${member} out of group ${group}`, group })
    }
  }
}
