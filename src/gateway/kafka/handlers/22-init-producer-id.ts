import { Fault } from '../../../lib/fault.ts'
import { attempt, code, errorCode, handler } from '../handler.ts'
import { initProducerIdApi } from '../../../wire/kafka/messages/22-init-producer-id.ts'

/** For idempotent producers. Transactions are not offered: their APIs are not announced, and asking for one says so. */
export const initProducerId = handler({
  api: initProducerIdApi,
  versions: [0, 5],
  access: { needs: [['idempotent-write cluster', 'write topic']], shows: ['write transactional-id'] },
  async handle(request, exchange) {
    if (request.transactionalId !== null)
      return { errorCode: code.unsupportedVersion, producerId: -1, producerEpoch: -1 }
    const { access } = exchange
    if (!access.seesCluster('idempotent-write') && !access.mayAny('write', 'topic'))
      return { errorCode: code.clusterAuthorizationFailed, producerId: -1, producerEpoch: -1 }
    const producer = await attempt(exchange, () => exchange.broker.initProducer())
    if (producer instanceof Fault) return { errorCode: errorCode(producer), producerId: -1, producerEpoch: -1 }
    return { errorCode: code.none, producerId: producer.producerId, producerEpoch: producer.epoch }
  },
})
