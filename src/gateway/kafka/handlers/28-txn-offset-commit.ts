import { Fault } from '../../../lib/fault.ts'
import type { OffsetToCommit } from '../../../log/broker.ts'
import type { Decoded } from '../../../wire/kafka/codec/shape.ts'
import { type Exchange, attempt, code, groupErrorCode, handler, keptGroup } from '../handler.ts'
import { writeErrorCode } from '../transaction-errors.ts'
import { txnOffsetCommitApi } from '../../../wire/kafka/messages/28-txn-offset-commit.ts'

type Request = Decoded<typeof txnOffsetCommitApi.request>
const firstVersionOfAbortable = 4
/** The group joins the transaction by this (KIP-890). */
const firstVersionOfJoining = 5

export const txnOffsetCommit = handler({
  api: txnOffsetCommitApi,
  versions: [0, 5],
  access: { needs: ['write transactional-id', 'read group', 'read topic'] },
  async handle(request, exchange) {
    const refused = refusal(request, exchange)
    const offsets: OffsetToCommit[] = []
    // A code that is known now, or the place of the coordinator's answer.
    const outcomes = request.topics.map((topic) => {
      const mayRead = refused === code.none && exchange.access.may('read', 'topic', topic.name)
      const count = exchange.broker.catalog.byName(topic.name)?.partitions ?? 0
      return topic.partitions.map((one): { code: number } | { at: number } => {
        if (refused !== code.none) return { code: refused }
        if (!mayRead) return { code: code.topicAuthorizationFailed }
        const index = one.partitionIndex
        if (index < 0 || index >= count) return { code: code.unknownTopicOrPartition }
        offsets.push({
          partition: { topic: topic.name, index },
          offset: one.committedOffset,
          leaderEpoch: one.committedLeaderEpoch,
          metadata: one.committedMetadata,
        })
        return { at: offsets.length - 1 }
      })
    })
    const faults = offsets.length === 0 ? [] : await commit(request, offsets, exchange)
    const codeOf = (outcome: { code: number } | { at: number }): number => {
      if ('code' in outcome) return outcome.code
      return faults instanceof Fault ? refusedCode(faults, exchange) : groupErrorCode(faults[outcome.at]!)
    }
    return {
      topics: request.topics.map((topic, t) => ({
        name: topic.name,
        partitions: topic.partitions.map(({ partitionIndex }, p) => ({
          partitionIndex,
          errorCode: codeOf(outcomes[t]![p]!),
        })),
      })),
    }
  },
})

function refusal({ transactionalId, groupId }: Request, { access }: Exchange): number {
  if (!access.may('write', 'transactional-id', transactionalId)) return code.transactionalIdAuthorizationFailed
  return access.may('read', 'group', groupId) ? code.none : code.groupAuthorizationFailed
}
async function commit(
  request: Request,
  offsets: readonly OffsetToCommit[],
  exchange: Exchange,
): Promise<readonly (Fault | null)[] | Fault> {
  const { transactionalId, producerId, producerEpoch: epoch, groupId: group } = request
  const kept = keptGroup(group)
  if (kept !== null) return kept
  return attempt(exchange, () =>
    exchange.broker.transactions.commitOffsets({
      transactionalId,
      producerId,
      epoch,
      joins: exchange.version >= firstVersionOfJoining,
      group,
      generation: request.generationId,
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
      offsets,
    }),
  )
}
function refusedCode(fault: Fault, { version }: Exchange): number {
  const known = { knowsAbortable: version >= firstVersionOfAbortable, knowsConcurrent: true }
  return writeErrorCode(fault, known) ?? groupErrorCode(fault)
}
