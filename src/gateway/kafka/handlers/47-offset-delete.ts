import { Fault } from '../../../lib/fault.ts'
import { attempt, code, groupErrorCode, handler, keptGroup } from '../handler.ts'
import { offsetDeleteApi } from '../../../wire/kafka/messages/47-offset-delete.ts'

export const offsetDelete = handler({
  api: offsetDeleteApi,
  versions: [0, 0],
  access: { needs: ['delete group', 'read topic'] },
  async handle(request, exchange) {
    if (!exchange.access.may('delete', 'group', request.groupId))
      return { errorCode: code.groupAuthorizationFailed, topics: [] }
    const kept = keptGroup(request.groupId)
    if (kept !== null) return { errorCode: groupErrorCode(kept), topics: [] }
    const readable = new Set(
      request.topics.map(({ name }) => name).filter((name) => exchange.access.may('read', 'topic', name)),
    )
    const unread = (name: string): number => {
      if (!readable.has(name)) return code.topicAuthorizationFailed
      return exchange.broker.catalog.byName(name) === null ? code.unknownTopicOrPartition : code.none
    }
    const of = request.topics.flatMap(({ name, partitions }) =>
      unread(name) === code.none
        ? partitions.map(({ partitionIndex }) => ({ topic: name, index: partitionIndex }))
        : [],
    )
    const { coordinator } = exchange.broker
    // Topics come before the group, as in Kafka: of none that is there, nothing is asked.
    const faults = of.length === 0 ? [] : await attempt(exchange, () => coordinator.removeOffsets(request.groupId, of))
    if (faults instanceof Fault) return { errorCode: groupErrorCode(faults), topics: [] }
    let next = 0
    return {
      errorCode: code.none,
      topics: request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({
          partitionIndex,
          errorCode: unread(name) === code.none ? groupErrorCode(faults[next++] ?? null) : unread(name),
        })),
      })),
    }
  },
})
