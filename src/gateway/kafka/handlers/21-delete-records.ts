import { offset } from '../../../lib/brand.ts'
import { Fault } from '../../../lib/fault.ts'
import { type Exchange, attempt, code, errorCode, handler, keptTopic } from '../handler.ts'
import { deleteRecordsApi } from '../../../wire/kafka/messages/21-delete-records.ts'

const toTheEnd = -1
const latest = -1
const earliest = -2

export const deleteRecords = handler({
  api: deleteRecordsApi,
  versions: [0, 2],
  access: { needs: ['delete topic'] },
  async handle(request, exchange) {
    const { topics } = request
    const done = await exchange.turns.mapEach(
      topics,
      ({ partitions }) => partitions,
      async ({ partitionIndex, offset: before }, { name }) => {
        const outcome = await remove(exchange, { topic: name, index: partitionIndex }, before)
        if (typeof outcome === 'number') return { partitionIndex, lowWatermark: -1, errorCode: outcome }
        return { partitionIndex, lowWatermark: outcome.start, errorCode: code.none }
      },
    )
    return { topics: topics.map(({ name }, i) => ({ name, partitions: done[i]! })) }
  },
})

async function remove(
  exchange: Exchange,
  partition: { topic: string; index: number },
  before: number,
): Promise<number | { start: number }> {
  const { broker } = exchange
  if (!exchange.access.may('delete', 'topic', partition.topic)) return code.topicAuthorizationFailed
  const known = (broker.catalog.byName(partition.topic)?.partitions ?? 0) > partition.index && partition.index >= 0
  if (!known) return code.unknownTopicOrPartition
  const kept = keptTopic(exchange, partition.topic)
  if (kept !== null) return errorCode(kept)
  if (before < toTheEnd) return code.offsetOutOfRange
  const outcome = await attempt(exchange, async () => {
    const [end, start] = await broker.listOffsets(
      [
        { partition, timeMs: latest },
        { partition, timeMs: earliest },
      ],
      false,
    )
    if ('fault' in end!) throw end.fault
    if ('fault' in start!) throw start.fault
    const to = before === toTheEnd ? end!.offset : before
    if (to > end!.offset) return code.offsetOutOfRange
    exchange.access.says([`topic:${partition.topic}/${partition.index} records before ${to} deleted`])
    if (to > start!.offset) await broker.topics.trim([{ partition, offset: offset(to) }])
    return { start: Math.max(to, start!.offset) }
  })
  return outcome instanceof Fault ? errorCode(outcome) : outcome
}
