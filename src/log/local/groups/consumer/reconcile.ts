/**
 * One step of a member from what it holds towards its target; pure. What it must give up comes first: until it has said
 * that it did, it stays in its epoch. Then it takes the target's epoch, and of its target what nobody else holds. A
 * partition is therefore never with two members: it leaves the one's record before it enters the other's.
 */
import type { Holding, Progress, TopicPartitions } from './model.ts'

export interface Aim {
  readonly epoch: number
  readonly target: TopicPartitions
  /** Ids of the topics that the member subscribes to now. */
  readonly subscribed: ReadonlySet<string>
  /** The subscription changed with this request: what is not subscribed any more goes at once. */
  readonly changed: boolean
  /** What the member says it has; null: it says nothing. */
  readonly owned: TopicPartitions | null
  /** Nobody but this member holds it. */
  isFree(topicId: string, index: number): boolean
}

export function reconcile(member: Progress, aim: Aim): Progress {
  switch (member.state) {
    case 'stable':
      if (member.epoch !== aim.epoch) return next(member, aim)
      return aim.changed ? withoutUnsubscribed(member, aim) : member
    case 'unrevoked':
      if (!owns(aim.owned, member.revoking)) return next(member, aim)
      return aim.changed ? withoutUnsubscribed(member, aim) : member
    case 'unreleased':
      return next(member, aim)
  }
}
/** It may still have one of these: it has it, or has not said what it has. */
function owns(owned: TopicPartitions | null, partitions: Holding): boolean {
  if (owned === null) return true
  for (const [topicId, indexes] of owned) {
    const wanted = partitions.get(topicId)
    if (wanted !== undefined) for (const index of indexes) if (wanted.has(index)) return true
  }
  return false
}
const moved = (member: Progress, epoch: number, to: Omit<Progress, 'epoch' | 'previousEpoch'>): Progress => ({
  ...to,
  epoch,
  previousEpoch: member.epoch,
})

function withoutUnsubscribed(member: Progress, aim: Aim): Progress {
  const gone = [...member.assigned].filter(([topicId]) => !aim.subscribed.has(topicId))
  if (gone.length === 0) return member
  const assigned = new Map(member.assigned)
  const revoking = new Map(member.revoking)
  for (const [topicId, epochs] of gone) {
    assigned.delete(topicId)
    revoking.set(topicId, new Map([...(revoking.get(topicId) ?? []), ...epochs]))
  }
  if (owns(aim.owned, revoking)) return moved(member, member.epoch, { state: 'unrevoked', assigned, revoking })
  return moved(member, member.epoch, { state: member.state, assigned, revoking: member.revoking })
}

function next(member: Progress, aim: Aim): Progress {
  const kept = new Map<string, Map<number, number>>()
  const revoking = new Map<string, Map<number, number>>()
  const gained = new Map<string, number[]>()
  let waits = false
  const put = (to: Map<string, Map<number, number>>, topicId: string, index: number, epoch: number): void => {
    const known = to.get(topicId)
    if (known === undefined) to.set(topicId, new Map([[index, epoch]]))
    else known.set(index, epoch)
  }
  const target = (topicId: string): ReadonlySet<number> =>
    (aim.subscribed.has(topicId) ? aim.target.get(topicId) : undefined) ?? none
  for (const [topicId, epochs] of member.assigned)
    for (const [index, epoch] of epochs) put(target(topicId).has(index) ? kept : revoking, topicId, index, epoch)
  for (const topicId of aim.target.keys()) {
    const has = member.assigned.get(topicId)
    const missing = [...target(topicId)].filter((index) => has?.has(index) !== true)
    // What it is giving up itself is with nobody else.
    const free = missing.filter(
      (index) => member.revoking.get(topicId)?.has(index) === true || aim.isFree(topicId, index),
    )
    if (free.length < missing.length) waits = true
    if (free.length > 0) gained.set(topicId, free)
  }
  if (revoking.size > 0 && owns(aim.owned, revoking))
    return moved(member, member.epoch, { state: 'unrevoked', assigned: kept, revoking })
  for (const [topicId, indexes] of gained) for (const index of indexes) put(kept, topicId, index, aim.epoch)
  return moved(member, aim.epoch, { state: waits ? 'unreleased' : 'stable', assigned: kept, revoking: new Map() })
}
const none: ReadonlySet<number> = new Set()
