/** What ShareFetch and ShareAcknowledge share: who asks, their session, and what became of records. */
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Outcome, QueueRef, Settlement } from '../../log/queues/queues.ts'
import { type Exchange, code, errorCode, errorMessage, keptGroup } from './handler.ts'
import { nextEpoch } from './fetch-sessions.ts'
import { type ShareSession, queueKey } from './share-sessions.ts'

export const openingEpoch = 0
export const finalEpoch = -1
export interface ShareIdentity {
  readonly groupId: string | null
  readonly memberId: string | null
  readonly shareSessionEpoch: number
}
export interface Asker {
  readonly group: string
  readonly member: string
}
interface AckBatch {
  readonly firstOffset: number
  readonly lastOffset: number
  readonly acknowledgeTypes: readonly number[]
}
export interface AckedTopic {
  readonly topicId: string
  readonly partitions: readonly {
    readonly partitionIndex: number
    readonly acknowledgementBatches: readonly AckBatch[]
  }[]
}
export interface PartitionError {
  readonly errorCode: number
  readonly errorMessage: string | null
}
export const noError: PartitionError = { errorCode: code.none, errorMessage: null }

/** Kafka's numbers. */
const outcomes: readonly Outcome[] = ['gap', 'accept', 'release', 'reject', 'renew']
const renewType = outcomes.indexOf('renew')

/** Who asks, or why not. */
export function askerOf({ groupId, memberId }: ShareIdentity, exchange: Exchange): Asker | number {
  if (groupId === null || groupId === '') return code.invalidRequest
  if (!exchange.access.may('read', 'group', groupId)) return code.groupAuthorizationFailed
  if (keptGroup(groupId) !== null) return code.invalidGroupId
  if (!isMemberId(memberId)) return code.invalidRequest
  return { group: groupId, member: memberId }
}
export const isMemberId = (memberId: string | null): memberId is string =>
  memberId !== null && memberId !== '' && memberId.length <= limits.shareMemberIdLength

/** The session that the request goes on with, which has moved on then; or what is wrong. */
export function sessionOf(asker: Asker, epoch: number, { shareSessions }: Exchange): ShareSession | number {
  const session = shareSessions.get(asker.group, asker.member)
  if (session === null) return code.shareSessionNotFound
  if (epoch === finalEpoch) return session
  if (session.epoch !== epoch) return code.invalidShareSessionEpoch
  session.epoch = nextEpoch(session.epoch)
  return session
}
/** The member is done with its session: what it holds is there for others. */
export async function endSession(session: ShareSession, { shareSessions, broker }: Exchange): Promise<void> {
  shareSessions.close(session)
  await broker.queues.release(session.group, session.member)
}

/** What is wrong with a partition before anybody looks for records in it. */
export function partitionError({ topicId, index }: QueueRef, { broker, access }: Exchange): PartitionError {
  const topic = broker.catalog.byId(topicId)
  if (topic === null) return { errorCode: code.unknownTopicId, errorMessage: null }
  if (!access.may('read', 'topic', topic.name)) return { errorCode: code.topicAuthorizationFailed, errorMessage: null }
  return index >= 0 && index < topic.partitions
    ? noError
    : { errorCode: code.unknownTopicOrPartition, errorMessage: null }
}

/** Partitions with acknowledgements, and what became of them. */
export async function acknowledge(
  asker: Asker,
  topics: readonly AckedTopic[],
  mayRenew: boolean,
  exchange: Exchange,
): Promise<Map<string, { readonly of: QueueRef; readonly error: PartitionError }>> {
  const answers = new Map<string, { of: QueueRef; error: PartitionError }>()
  const asked: { of: QueueRef; settlements: Settlement[] }[] = []
  for (const { topicId, partitions } of topics)
    for (const { partitionIndex: index, acknowledgementBatches } of partitions) {
      if (acknowledgementBatches.length === 0) continue
      const of = { topicId, index }
      const error = partitionError(of, exchange)
      const settlements = settlementsOf(acknowledgementBatches, mayRenew)
      if (error.errorCode !== code.none) answers.set(queueKey(of), { of, error })
      else if (settlements === null)
        answers.set(queueKey(of), { of, error: { errorCode: code.invalidRequest, errorMessage: null } })
      else asked.push({ of, settlements })
    }
  const faults = await exchange.broker.queues.settle(asker.group, asker.member, asked)
  asked.forEach(({ of }, i) => answers.set(queueKey(of), { of, error: errorOf(faults[i] ?? null) }))
  return answers
}
export const errorOf = (fault: Fault | null): PartitionError => ({
  errorCode: errorCode(fault),
  errorMessage: errorMessage(fault),
})
/** null: they are no acknowledgements. */
function settlementsOf(batches: readonly AckBatch[], mayRenew: boolean): Settlement[] | null {
  const found: Settlement[] = []
  let end = -1
  for (const { firstOffset: first, lastOffset: last, acknowledgeTypes: types } of batches) {
    const isRange = first >= 0 && first <= last && first >= end
    const isCounted = types.length === 1 || types.length === last - first + 1
    const isKnown = types.every((type) => outcomes[type] !== undefined && (mayRenew || type !== renewType))
    if (!isRange || !isCounted || !isKnown) return null
    found.push({ first, last, outcomes: types.map((type) => outcomes[type]!) })
    end = last
  }
  return found
}

/** As the answers have them: by topic. */
export function byTopic<T extends { readonly of: QueueRef }, P>(
  of: Iterable<T>,
  partition: (one: T) => P,
): { topicId: string; partitions: P[] }[] {
  const topics = Map.groupBy(of, (one) => one.of.topicId)
  return Array.from(topics, ([topicId, some]) => ({ topicId, partitions: some.map(partition) }))
}
/** Nobody else leads. */
export const sameLeader = { leaderId: 0, leaderEpoch: 0 }
