import { Fault } from '../../../lib/fault.ts'
import type { Partition } from '../../../log/log.ts'
import { type Exchange, attempt, code, handler, keptTopic } from '../handler.ts'
import { transactionErrorCode } from '../transaction-errors.ts'
import { addPartitionsToTxnApi } from '../../../wire/kafka/messages/24-add-partitions-to-txn.ts'

interface Asked {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly verifyOnly: boolean
  readonly topics: readonly { readonly name: string; readonly partitions: readonly number[] }[]
}
type Results = {
  name: string
  resultsByPartition: { partitionIndex: number; partitionErrorCode: number }[]
}[]
const firstVersionOfFenced = 2
/** From here on brokers ask each other, for several transactions at once. */
const firstVersionOfBrokers = 4

export const addPartitionsToTxn = handler({
  api: addPartitionsToTxnApi,
  versions: [0, 5],
  access: { needs: ['cluster-action cluster'], shows: ['write transactional-id', 'write topic'] },
  async handle(request, exchange) {
    if (exchange.version >= firstVersionOfBrokers) {
      if (!exchange.access.onCluster('cluster-action'))
        return { errorCode: code.clusterAuthorizationFailed, resultsByTransaction: [], resultsByTopicV3AndBelow: [] }
      const resultsByTransaction = await exchange.turns.map(request.transactions, async (asked) => ({
        transactionalId: asked.transactionalId,
        topicResults: await add(asked, exchange),
      }))
      return { errorCode: code.none, resultsByTransaction, resultsByTopicV3AndBelow: [] }
    }
    const asked = {
      transactionalId: request.v3AndBelowTransactionalId,
      producerId: request.v3AndBelowProducerId,
      producerEpoch: request.v3AndBelowProducerEpoch,
      verifyOnly: false,
      topics: request.v3AndBelowTopics,
    }
    const refused = !exchange.access.may('write', 'transactional-id', asked.transactionalId)
    const results = refused
      ? resultsOf(asked, () => code.transactionalIdAuthorizationFailed)
      : await add(asked, exchange)
    return { errorCode: code.none, resultsByTransaction: [], resultsByTopicV3AndBelow: results }
  },
  firstError({ resultsByTopicV3AndBelow }) {
    for (const { resultsByPartition } of resultsByTopicV3AndBelow)
      for (const { partitionErrorCode } of resultsByPartition) if (partitionErrorCode !== 0) return partitionErrorCode
    return code.none
  },
})

function resultsOf({ topics }: Asked, error: (partition: Partition) => number): Results {
  return topics.map(({ name, partitions }) => ({
    name,
    resultsByPartition: partitions.map((index) => ({
      partitionIndex: index,
      partitionErrorCode: error({ topic: name, index }),
    })),
  }))
}
/** All of them or none. */
async function add(asked: Asked, exchange: Exchange): Promise<Results> {
  const wrong = new Map(asked.topics.map(({ name }) => [name, wrongWith(name, exchange)]))
  const errorOf = ({ topic, index }: Partition): number => {
    const error = wrong.get(topic)!
    if (error !== code.none) return error
    const isThere = index >= 0 && index < exchange.broker.catalog.byName(topic)!.partitions
    return isThere ? code.none : code.unknownTopicOrPartition
  }
  const partitions = asked.topics.flatMap(({ name, partitions: indexes }) =>
    indexes.map((index) => ({ topic: name, index })),
  )
  if (partitions.some((partition) => errorOf(partition) !== code.none))
    return resultsOf(asked, (partition) => errorOf(partition) || code.operationNotAttempted)
  const { transactionalId, producerId, producerEpoch: epoch } = asked
  const producer = { transactionalId, producerId, epoch }
  const { transactions } = exchange.broker
  const knowsFenced = exchange.version >= firstVersionOfFenced
  if (asked.verifyOnly) {
    const faults = await attempt(exchange, () => transactions.verifyPartitions(producer, partitions))
    const all = faults instanceof Fault ? partitions.map(() => faults) : faults
    let next = 0
    return resultsOf(asked, () => transactionErrorCode(all[next++]!, knowsFenced))
  }
  const bumps = exchange.version >= firstVersionOfBrokers
  const done = await attempt(exchange, () => transactions.addPartitions(producer, partitions, bumps))
  return resultsOf(asked, () => (done instanceof Fault ? transactionErrorCode(done, knowsFenced) : code.none))
}
function wrongWith(topic: string, { access, broker, version, uses }: Exchange): number {
  if (version < firstVersionOfBrokers && !access.may('write', 'topic', topic)) return code.topicAuthorizationFailed
  if (broker.catalog.byName(topic) === null) return code.unknownTopicOrPartition
  return keptTopic({ uses }, topic) === null ? code.none : code.invalidTopic
}
