import { Fault } from '../../../lib/fault.ts'
import { attempt, code, handler } from '../handler.ts'
import { transactionErrorCode } from '../transaction-errors.ts'
import { endTxnApi } from '../../../wire/kafka/messages/26-end-txn.ts'

const firstVersionOfFenced = 2
const firstVersionOfAbortable = 4
/** Producers go on with the epoch of the answer (KIP-890). */
const firstVersionOfBumps = 5
const none = { producerId: -1, producerEpoch: -1 }

export const endTxn = handler({
  api: endTxnApi,
  versions: [0, 5],
  access: { needs: ['write transactional-id'] },
  async handle({ transactionalId, producerId, producerEpoch: epoch, committed: commit }, exchange) {
    const { access, broker, version } = exchange
    if (!access.may('write', 'transactional-id', transactionalId))
      return { ...none, errorCode: code.transactionalIdAuthorizationFailed }
    const bumps = version >= firstVersionOfBumps
    const producer = { transactionalId, producerId, epoch }
    const done = await attempt(exchange, () => broker.transactions.end(producer, { commit, bumps }))
    if (!(done instanceof Fault))
      return { errorCode: code.none, producerId: done.producerId, producerEpoch: done.epoch }
    const isUnknown = done.code === 'log.transaction-abortable' && version < firstVersionOfAbortable
    const error = isUnknown ? code.invalidTxnState : transactionErrorCode(done, version >= firstVersionOfFenced)
    return { ...none, errorCode: error }
  },
})
