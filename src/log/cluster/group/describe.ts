/** Groups as their coordinators describe them. */
import { describeGroupsApi } from '../../../wire/kafka/messages/15-describe-groups.ts'
import type { GroupInfo, Partition } from '../../log.ts'
import { code, faultOf } from '../errors.ts'
import type { Coordinators } from '../net/coordinators.ts'
import { decodeAssignment, decodeSubscription, protocolType } from './consumer-protocol.ts'

export interface DescribedMember {
  readonly id: string
  readonly name: string | null
  /** null: no process of ours. */
  readonly process: string | null
  readonly client: string
  readonly host: string
  readonly held: readonly Partition[]
}
export interface Described {
  readonly state: string
  readonly members: readonly DescribedMember[]
}

/** A group that is not there, or of another kind than the classic one, has no members here. */
export async function describeGroup(coordinators: Coordinators, group: string): Promise<Described> {
  const answer = await coordinators.ask('group', group, {
    what: `describing group ${group}`,
    ask: (broker) => broker.ask('quick', describeGroupsApi, { groups: [group], includeAuthorizedOperations: false }),
    errorOf: ({ groups }) => groups[0]?.errorCode ?? code.unknownServerError,
  })
  const [found] = answer.groups
  if (found === undefined || found.errorCode === code.groupIdNotFound) return { state: 'Dead', members: [] }
  if (found.errorCode !== code.none) throw faultOf(found.errorCode, { what: `describing group ${group}`, group })
  const isConsumer = found.protocolType === protocolType
  return {
    state: found.groupState,
    members: found.members.map(
      ({ memberId, groupInstanceId, clientId, clientHost, memberMetadata, memberAssignment }) => {
        const said = isConsumer ? (decodeSubscription(memberMetadata)?.said ?? null) : null
        return {
          id: memberId,
          name: said === null ? groupInstanceId : said.name,
          process: said?.process ?? null,
          client: clientId,
          host: clientHost,
          held: isConsumer ? decodeAssignment(memberAssignment).active : [],
        }
      },
    ),
  }
}
export const infoOf = (group: string, { state, members }: Described): GroupInfo => ({
  group,
  state,
  members: members.map(({ id, name, client, host, held }) => ({
    id,
    ...(name === null ? {} : { name }),
    client,
    host,
    held,
  })),
})
