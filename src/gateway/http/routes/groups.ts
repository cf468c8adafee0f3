/** Consumer groups and how far they are behind. */
import { Fault } from '../../../lib/fault.ts'
import type { GroupInfo } from '../../../log/log.ts'
import { onGroup, open } from '../access.ts'
import { jsonAnswer } from '../answers.ts'
import { mediaTypes } from '../exchange.ts'
import { Lag } from '../lag.ts'
import { yesOrNo } from '../parameters.ts'
import type { Parts } from '../parts.ts'
import type { Route } from '../route.ts'
import { listOf, schemas } from '../schemas.ts'
import { isInternal } from './topic-lookup.ts'

export function groupRoutes({ log }: Parts, lag: Lag): readonly Route[] {
  const found = async (name: string): Promise<GroupInfo> => {
    const group = (await log.groups.list()).find((one) => one.group === name)
    if (group === undefined) throw new Fault('log.unknown-group', { group: name.slice(0, 300) })
    return group
  }
  return [
    {
      method: 'GET',
      path: '/v1/groups',
      id: 'listGroups',
      access: open,
      says: 'Consumer groups with members, positions and lag.',
      query: { internal: { says: 'Also those of Millrace itself.', schema: { type: 'boolean' } } },
      gives: { 200: { says: 'The groups, by name.', as: { [mediaTypes.json]: listOf(schemas.Group) } } },
      handle: async ({ query, sees }) => {
        const internal = yesOrNo('internal', query.get('internal') ?? 'false')
        const groups = (await log.groups.list()).filter(
          ({ group }) => (internal || !isInternal(group)) && sees('describe', 'group', group),
        )
        return jsonAnswer(await lag.summaries(groups.toSorted((a, b) => (a.group < b.group ? -1 : 1))))
      },
    },
    {
      method: 'GET',
      path: '/v1/groups/{group}',
      id: 'getGroup',
      access: onGroup('describe'),
      says: 'One consumer group.',
      gives: { 200: { says: 'The group.', as: { [mediaTypes.json]: schemas.Group } } },
      handle: async ({ params }) => {
        const [summary] = await lag.summaries([await found(params['group']!)])
        return jsonAnswer(summary)
      },
    },
    {
      method: 'DELETE',
      path: '/v1/groups/{group}',
      id: 'deleteGroup',
      access: onGroup('delete'),
      says: 'Deletes a group without members, and its positions.',
      gives: { 204: { says: 'Deleted.' } },
      handle: async ({ params }) => {
        const { group } = await found(params['group']!)
        if (isInternal(group)) throw new Fault('log.group-not-empty', { group })
        await log.groups.remove(group)
        return { status: 204, body: null }
      },
    },
  ]
}
