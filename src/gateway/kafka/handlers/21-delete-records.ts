import { offset } from '../../../lib/brand.ts'
import { Fault } from '../../../lib/fault.ts'
import { type Exchange, attempt, code, errorCode, handler } from '../handler.ts'
import { deleteRecordsApi } from '../messages/21-delete-records.ts'

const toTheEnd = -1

export const deleteRecords = handler({
  api: deleteRecordsApi,
  versions: [0, 2],
  async handle(request, exchange) {
    const topics = await Promise.all(
      request.topics.map(async ({ name, partitions }) => ({
        name,
        partitions: await Promise.all(
          partitions.map(async ({ partitionIndex, offset: before }) => {
            const done = await remove(exchange, { topic: name, index: partitionIndex }, before)
            if (typeof done === 'number') return { partitionIndex, lowWatermark: -1, errorCode: done }
            return { partitionIndex, lowWatermark: done.start, errorCode: code.none }
          }),
        ),
      })),
    )
    return { topics }
  },
})

async function remove(
  exchange: Exchange,
  partition: { topic: string; index: number },
  before: number,
): Promise<number | { start: number }> {
  const { broker } = exchange
  const known = (broker.catalog.byName(partition.topic)?.partitions ?? 0) > partition.index && partition.index >= 0
  if (!known) return code.unknownTopicOrPartition
  if (before < toTheEnd) return code.offsetOutOfRange
  const outcome = await attempt(exchange, async () => {
    const [bounds] = await broker.bounds([partition])
    const to = before === toTheEnd ? bounds!.stable : before
    if (to > bounds!.end) return code.offsetOutOfRange
    if (to > bounds!.start) await broker.topics.trim([{ partition, offset: offset(to) }])
    const [now] = await broker.bounds([partition])
    return { start: now!.start }
  })
  return outcome instanceof Fault ? errorCode(outcome) : outcome
}
