import type { GroupCoordinator } from '../../../log/broker.ts'
import { Fault } from '../../../lib/fault.ts'
import { attempt, code, groupErrorCode, findTopic, handler, keptGroup } from '../handler.ts'
import { offsetCommitApi } from '../../../wire/kafka/messages/08-offset-commit.ts'

const firstVersionOfEpochs = 9
/** They share a write: more than any member has. */
const committedAtOnce = 2_000

type Offsets = Parameters<GroupCoordinator['commit']>[0]['offsets'][number]

export const offsetCommit = handler({
  api: offsetCommitApi,
  versions: [2, 10],
  access: { needs: ['read group', 'read topic'] },
  async handle(request, exchange) {
    const byId = exchange.version >= 10
    const mayRead = exchange.access.may('read', 'group', request.groupId)
    const offsets: Offsets[] = []
    const names = request.topics.map((topic) =>
      byId ? findTopic(exchange, { name: null, id: topic.topicId }, true)?.name : topic.name,
    )
    const readable = new Set(names.filter((name) => name !== undefined && exchange.access.may('read', 'topic', name)))
    // A code that is known now, or the place of the coordinator's answer.
    const outcomes = request.topics.map((topic) => {
      const info = findTopic(exchange, { name: topic.name, id: topic.topicId }, byId)
      return topic.partitions.map((one): { code: number } | { at: number } => {
        if (!mayRead) return { code: code.groupAuthorizationFailed }
        if (!byId && !readable.has(topic.name)) return { code: code.topicAuthorizationFailed }
        if (info === null) return { code: byId ? code.unknownTopicId : code.unknownTopicOrPartition }
        if (!readable.has(info.name)) return { code: code.topicAuthorizationFailed }
        if (one.partitionIndex < 0 || one.partitionIndex >= info.partitions)
          return { code: code.unknownTopicOrPartition }
        offsets.push({
          partition: { topic: info.name, index: one.partitionIndex },
          offset: one.committedOffset,
          leaderEpoch: one.committedLeaderEpoch,
          metadata: one.committedMetadata,
        })
        return { at: offsets.length - 1 }
      })
    })
    const kept = keptGroup(request.groupId)
    const faults =
      offsets.length === 0 || kept !== null
        ? (kept ?? [])
        : await attempt(exchange, () =>
            exchange.turns.inPieces(offsets, committedAtOnce, (some) =>
              exchange.broker.coordinator.commit({
                group: request.groupId,
                generation: request.generationIdOrMemberEpoch,
                memberId: request.memberId,
                instanceId: request.groupInstanceId,
                knowsEpochs: exchange.version >= firstVersionOfEpochs,
                retentionMs: request.retentionTimeMs,
                offsets: some,
              }),
            ),
          )
    const codeOf = (outcome: { code: number } | { at: number }): number => {
      if ('code' in outcome) return outcome.code
      return groupErrorCode(faults instanceof Fault ? faults : faults[outcome.at]!)
    }
    return {
      topics: request.topics.map((topic, t) => ({
        topicId: topic.topicId,
        name: topic.name,
        partitions: topic.partitions.map((one, p) => ({
          partitionIndex: one.partitionIndex,
          errorCode: codeOf(outcomes[t]![p]!),
        })),
      })),
    }
  },
})
