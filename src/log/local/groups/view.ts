/** `Log.groups`: consumers of the Kafka protocol and tasks of this process, seen alike. */
import { ByteReader } from '../../../lib/bytes.ts'
import { Fault } from '../../../lib/fault.ts'
import type { At, GroupInfo, Groups, Partition } from '../../log.ts'
import type { LocalGroups } from './coordinator.ts'
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
      for (const { partition, committed } of coordinator.positions.all(group))
        found.push({ partition, offset: committed.offset })
      return found
    },
    reset: (group, to) => coordinator.reset(group, to),
    async remove(group) {
      const [fault] = await coordinator.remove([group])
      if (fault instanceof Fault) throw fault
    },
    async evict(group, member) {
      if (memberships.evict(group, member)) return
      const [fault] = await coordinator.leave(group, [{ memberId: member, instanceId: null, reason: 'evicted' }])
      if (fault instanceof Fault) throw fault
    },
  }
}

async function consumersOf(coordinator: LocalGroups, name: string): Promise<GroupInfo> {
  const group = await coordinator.describe(name)
  return {
    group: name,
    state: group?.state ?? 'Empty',
    members: (group?.members ?? []).map(({ id, instanceId, clientId, host, assignment }) => ({
      id,
      ...(instanceId === null ? {} : { name: instanceId }),
      client: clientId,
      host,
      held: group?.protocolType === 'consumer' ? heldBy(assignment) : [],
    })),
  }
}
/** The consumer protocol's assignment (ConsumerProtocolAssignment); [] for bytes of another kind. */
function heldBy(assignment: Uint8Array): Partition[] {
  const held: Partition[] = []
  const input = new ByteReader(assignment)
  try {
    if (input.left === 0 || input.int16() < 0) return []
    for (let topics = input.int32(); topics > 0; topics--) {
      const topic = input.utf8(input.int16())
      for (let left = input.int32(); left > 0; left--) held.push({ topic, index: input.int32() })
    }
    return held
  } catch (error) {
    if (error instanceof Fault) return held
    throw error
  }
}
