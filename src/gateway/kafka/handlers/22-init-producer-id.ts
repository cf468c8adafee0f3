import { Fault } from '../../../lib/fault.ts'
import type { ProducerIdentity } from '../../../log/broker.ts'
import type { Decoded } from '../../../wire/kafka/codec/shape.ts'
import { type Exchange, attempt, code, handler } from '../handler.ts'
import { keptTransactionalId, transactionErrorCode } from '../transaction-errors.ts'
import { initProducerIdApi } from '../../../wire/kafka/messages/22-init-producer-id.ts'

type Request = Decoded<typeof initProducerIdApi.request>
const firstVersionOfFenced = 4
const none = { producerId: -1, producerEpoch: -1 }

/** For idempotent producers and, with an id, for those of transactions. */
export const initProducerId = handler({
  api: initProducerIdApi,
  versions: [0, 5],
  access: { needs: [['idempotent-write cluster', 'write topic']], shows: ['write transactional-id'] },
  async handle(request, exchange) {
    const refused = refusal(request, exchange)
    if (refused !== code.none) return { ...none, errorCode: refused }
    const producer = await attempt(exchange, () => begin(request, exchange))
    if (producer instanceof Fault)
      return { ...none, errorCode: transactionErrorCode(producer, exchange.version >= firstVersionOfFenced) }
    return { errorCode: code.none, producerId: producer.producerId, producerEpoch: producer.epoch }
  },
})

function refusal({ transactionalId, producerId, producerEpoch }: Request, { access }: Exchange): number {
  if (transactionalId !== null) {
    if (!access.may('write', 'transactional-id', transactionalId)) return code.transactionalIdAuthorizationFailed
  } else if (!access.seesCluster('idempotent-write') && !access.mayAny('write', 'topic'))
    return code.clusterAuthorizationFailed
  const isHalf = (producerId === none.producerId) !== (producerEpoch === none.producerEpoch)
  return isHalf ? code.invalidRequest : code.none
}
function begin(request: Request, { broker }: Exchange): Promise<ProducerIdentity> {
  const { transactionalId, transactionTimeoutMs: timeoutMs, producerId, producerEpoch: epoch } = request
  if (transactionalId === null) return broker.initProducer()
  const kept = keptTransactionalId(transactionalId)
  if (kept !== null) throw kept
  const expected = producerId === none.producerId ? null : { producerId, epoch }
  return broker.transactions.init({ transactionalId, timeoutMs, expected })
}
