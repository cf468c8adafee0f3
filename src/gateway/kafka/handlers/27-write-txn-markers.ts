import { Fault } from '../../../lib/fault.ts'
import { type Exchange, attempt, code, errorCode, handler } from '../handler.ts'
import { writeTxnMarkersApi } from '../../../wire/kafka/messages/27-write-txn-markers.ts'

interface Marker {
  readonly producerId: number
  readonly producerEpoch: number
  readonly transactionResult: boolean
  readonly coordinatorEpoch: number
  readonly transactionVersion: number
}
const versionOfBumps = 2

/** What brokers tell each other, and what `kafka-transactions abort` uses to end a transaction that hangs. */
export const writeTxnMarkers = handler({
  api: writeTxnMarkersApi,
  versions: [1, 2],
  access: { needs: [['alter cluster', 'cluster-action cluster']] },
  async handle(request, exchange) {
    const { access } = exchange
    const allowed = access.seesCluster('alter') || access.onCluster('cluster-action')
    const asked = request.markers.flatMap((marker) => marker.topics.map((topic) => ({ marker, topic })))
    const written = await exchange.turns.mapEach(
      asked,
      ({ topic }) => topic.partitionIndexes,
      async (partitionIndex, { marker, topic }) => ({
        partitionIndex,
        errorCode: allowed
          ? await write(marker, { topic: topic.name, index: partitionIndex }, exchange)
          : code.clusterAuthorizationFailed,
      }),
    )
    let next = 0
    const markers = request.markers.map(({ producerId, topics }) => ({
      producerId,
      topics: topics.map(({ name }) => ({ name, partitions: written[next++]! })),
    }))
    return { markers }
  },
  firstError({ markers }) {
    for (const { topics } of markers)
      for (const { partitions } of topics) for (const { errorCode: error } of partitions) if (error !== 0) return error
    return code.none
  },
})

async function write(marker: Marker, partition: { topic: string; index: number }, exchange: Exchange): Promise<number> {
  const { producerId, producerEpoch: epoch, coordinatorEpoch } = marker
  const asked = {
    producerId,
    epoch,
    coordinatorEpoch,
    commit: marker.transactionResult,
    bumped: marker.transactionVersion >= versionOfBumps,
  }
  const done = await attempt(exchange, () => exchange.broker.transactions.writeMarker(asked, partition))
  return done instanceof Fault ? errorCode(done) : code.none
}
