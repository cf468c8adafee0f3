import { Fault } from '../../../lib/fault.ts'
import { type Exchange, attempt, code, groupErrorCode, handler } from '../handler.ts'
import { describeTransactionsApi } from '../../../wire/kafka/messages/65-describe-transactions.ts'

export const describeTransactions = handler({
  api: describeTransactionsApi,
  versions: [0, 0],
  access: { needs: ['describe transactional-id'], shows: ['describe topic'] },
  async handle({ transactionalIds }, exchange) {
    return { transactionStates: await exchange.turns.map(transactionalIds, (id) => describe(id, exchange)) }
  },
})

async function describe(transactionalId: string, exchange: Exchange) {
  const { access, broker } = exchange
  const none = {
    transactionalId,
    transactionState: '',
    transactionTimeoutMs: 0,
    transactionStartTimeMs: 0,
    producerId: 0,
    producerEpoch: 0,
    topics: [],
  }
  if (!access.may('describe', 'transactional-id', transactionalId))
    return { ...none, errorCode: code.transactionalIdAuthorizationFailed }
  const found = await attempt(exchange, () => broker.transactions.describe(transactionalId))
  if (found instanceof Fault) return { ...none, errorCode: groupErrorCode(found) }
  const topics = Map.groupBy(found.partitions, ({ topic }) => topic)
  return {
    errorCode: code.none,
    transactionalId,
    transactionState: found.state,
    transactionTimeoutMs: found.timeoutMs,
    transactionStartTimeMs: found.startedMs,
    producerId: found.producerId,
    producerEpoch: found.epoch,
    topics: Array.from(topics)
      .filter(([topic]) => access.sees('describe', 'topic', topic))
      .map(([topic, partitions]) => ({ topic, partitions: partitions.map(({ index }) => index) })),
  }
}
