import { Fault } from '../../../lib/fault.ts'
import { attempt, code, handler, keptGroup } from '../handler.ts'
import { transactionErrorCode } from '../transaction-errors.ts'
import { addOffsetsToTxnApi } from '../../../wire/kafka/messages/25-add-offsets-to-txn.ts'

const firstVersionOfFenced = 2

export const addOffsetsToTxn = handler({
  api: addOffsetsToTxnApi,
  versions: [0, 4],
  access: { needs: ['write transactional-id', 'read group'] },
  async handle({ transactionalId, producerId, producerEpoch: epoch, groupId }, exchange) {
    const { access, broker } = exchange
    if (!access.may('write', 'transactional-id', transactionalId))
      return { errorCode: code.transactionalIdAuthorizationFailed }
    if (!access.may('read', 'group', groupId)) return { errorCode: code.groupAuthorizationFailed }
    const done =
      keptGroup(groupId) ??
      (await attempt(exchange, () => broker.transactions.addOffsets({ transactionalId, producerId, epoch })))
    if (!(done instanceof Fault)) return { errorCode: code.none }
    return { errorCode: transactionErrorCode(done, exchange.version >= firstVersionOfFenced) }
  },
})
