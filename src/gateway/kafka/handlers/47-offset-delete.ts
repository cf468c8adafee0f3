import { Fault } from '../../../lib/fault.ts'
import { attempt, code, groupErrorCode, handler, keptGroup } from '../handler.ts'
import { offsetDeleteApi } from '../../../wire/kafka/messages/47-offset-delete.ts'

export const offsetDelete = handler({
  api: offsetDeleteApi,
  versions: [0, 0],
  async handle(request, exchange) {
    const kept = keptGroup(request.groupId)
    if (kept !== null) return { errorCode: groupErrorCode(kept), topics: [] }
    const of = request.topics.flatMap(({ name, partitions }) =>
      partitions.map(({ partitionIndex }) => ({ topic: name, index: partitionIndex })),
    )
    const faults = await attempt(exchange, () => exchange.broker.coordinator.removeOffsets(request.groupId, of))
    if (faults instanceof Fault) return { errorCode: groupErrorCode(faults), topics: [] }
    let next = 0
    return {
      errorCode: code.none,
      topics: request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({
          partitionIndex,
          errorCode: groupErrorCode(faults[next++] ?? null),
        })),
      })),
    }
  },
})
