import { Fault } from '../../../lib/fault.ts'
import { attempt, code, groupErrorCode, handler, keptGroup } from '../handler.ts'
import { offsetDeleteApi } from '../../../wire/kafka/messages/47-offset-delete.ts'

export const offsetDelete = handler({
  api: offsetDeleteApi,
  versions: [0, 0],
  async handle(request, exchange) {
    const kept = keptGroup(request.groupId)
    if (kept !== null) return { errorCode: groupErrorCode(kept), topics: [] }
    const isKnown = (name: string): boolean => exchange.broker.catalog.byName(name) !== null
    const of = request.topics.flatMap(({ name, partitions }) =>
      isKnown(name) ? partitions.map(({ partitionIndex }) => ({ topic: name, index: partitionIndex })) : [],
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
          errorCode: isKnown(name) ? groupErrorCode(faults[next++] ?? null) : code.unknownTopicOrPartition,
        })),
      })),
    }
  },
})
