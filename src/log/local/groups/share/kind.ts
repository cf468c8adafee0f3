/**
 * Share groups (KIP-932) as a kind of the groups that are assigned here. Several members may have one partition: which of
 * them gets a record is the queue's affair. So a member takes its target over at once, and nobody waits for another.
 */
import type { GroupKind } from '../consumer/kind.ts'
import type { Progress } from '../consumer/model.ts'
import type { Aim } from '../consumer/reconcile.ts'
import { changeOf, recordOf } from './records.ts'
import { simple } from './simple.ts'

export const shareKind: GroupKind = {
  name: 'share',
  defaultAssignor: 'simple',
  assignor: () => simple,
  reconcile: step,
  isExclusive: false,
  saysAll: ({ topics }) => topics !== null,
  stateName: (state) => (state.infos.size === 0 ? 'Empty' : 'Stable'),
  recordOf,
  changeOf,
}

function step(member: Progress, aim: Aim): Progress {
  const assigned = new Map<string, Map<number, number>>()
  const isNew = member.epoch !== aim.epoch
  // Between two assignments only what is not subscribed any more goes.
  const wanted = isNew ? aim.target : new Map([...member.assigned].map(([id, of]) => [id, new Set(of.keys())]))
  for (const [topicId, indexes] of wanted) {
    if (!aim.subscribed.has(topicId) || indexes.size === 0) continue
    const had = member.assigned.get(topicId)
    assigned.set(topicId, new Map(Array.from(indexes, (index) => [index, had?.get(index) ?? aim.epoch])))
  }
  const previousEpoch = isNew ? member.epoch : member.previousEpoch
  return { epoch: aim.epoch, previousEpoch, state: 'stable', assigned, revoking: new Map() }
}
