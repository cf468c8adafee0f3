/** `Log.groups`: consumers of the Kafka protocol and tasks of this process, seen alike. */
import { Fault } from '../../../lib/fault.ts'
import type { At, GroupInfo, Groups } from '../../log.ts'
import type { LocalGroups } from './coordinator.ts'
import { readAssignment } from './embedded.ts'
import type { Memberships } from './memberships.ts'

export interface LocalGroupsView {
  readonly coordinator: LocalGroups
  readonly memberships: Memberships
}

export function groupsView({ coordinator, memberships }: LocalGroupsView): Groups {
  return {
    async list() {
      const tasks = memberships.info()
      const known = new Set(tasks.map(({ group }) => group))
      const listed = await coordinator.list()
      const others = listed.filter(({ group }) => !known.has(group))
      return [...tasks, ...(await Promise.all(others.map(({ group }) => consumersOf(coordinator, group))))]
    },
    async positions(group) {
      const found: At[] = []
      for (const { partition } of coordinator.positions.all(group)) {
        const offset = coordinator.positions.position(group, partition)
        if (offset !== null) found.push({ partition, offset })
      }
      return found
    },
    reset: (group, to) => coordinator.reset(group, to),
    async remove(group) {
      const [fault] = await coordinator.remove([group])
      if (fault instanceof Fault) throw fault
    },
    async evict(group, member) {
      if (memberships.evict(group, member)) return
      if ((await coordinator.describeShare(group)) !== null) return leaveShare(coordinator, group, member)
      const [fault] = await coordinator.leave(group, [{ memberId: member, instanceId: null, reason: 'evicted' }])
      if (fault instanceof Fault) throw fault
    },
  }
}

async function leaveShare(coordinator: LocalGroups, group: string, memberId: string): Promise<void> {
  const said = { group, memberId, epoch: leaves, rackId: null, topics: null, clientId: '', host: '' }
  const answer = await coordinator.shareHeartbeat(said)
  if ('fault' in answer) throw answer.fault
}
const leaves = -1

async function consumersOf(coordinator: LocalGroups, name: string): Promise<GroupInfo> {
  const consumers = (await coordinator.describeConsumer(name)) ?? (await coordinator.describeShare(name))
  if (consumers !== null)
    return {
      group: name,
      state: consumers.state,
      members: consumers.members.map(({ id, instanceId, clientId, host, assigned }) => ({
        id,
        ...(instanceId === null ? {} : { name: instanceId }),
        client: clientId,
        host,
        held: assigned.flatMap(({ topic, partitions }) => partitions.map((index) => ({ topic, index }))),
      })),
    }
  const group = await coordinator.describe(name)
  return {
    group: name,
    state: group?.state ?? 'Empty',
    members: (group?.members ?? []).map(({ id, instanceId, clientId, host, assignment }) => ({
      id,
      ...(instanceId === null ? {} : { name: instanceId }),
      client: clientId,
      host,
      held: group?.protocolType === 'consumer' ? (readAssignment(assignment)?.partitions ?? []) : [],
    })),
  }
}
