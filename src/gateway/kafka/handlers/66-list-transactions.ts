import { Fault } from '../../../lib/fault.ts'
import { attempt, code, groupErrorCode, handler } from '../handler.ts'
import { listTransactionsApi } from '../../../wire/kafka/messages/66-list-transactions.ts'

const states: ReadonlySet<string> = new Set([
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
  'Dead',
  'PrepareEpochFence',
])

export const listTransactions = handler({
  api: listTransactionsApi,
  versions: [0, 2],
  access: { needs: [], shows: ['describe transactional-id'], open: 'it lists what the client may see' },
  async handle(request, exchange) {
    const { access, broker } = exchange
    const asked = new Set(request.stateFilters)
    const unknownStateFilters = request.stateFilters.filter((state) => !states.has(state))
    const producerIds = new Set(request.producerIdFilters)
    const filter = { olderThanMs: request.durationFilter, pattern: request.transactionalIdPattern }
    const found = await attempt(exchange, () => broker.transactions.list(filter))
    if (found instanceof Fault) return { errorCode: groupErrorCode(found), unknownStateFilters, transactionStates: [] }
    const transactionStates = found
      .filter(({ state }) => asked.size === 0 || asked.has(state))
      .filter(({ producerId }) => producerIds.size === 0 || producerIds.has(producerId))
      .filter(({ transactionalId }) => access.sees('describe', 'transactional-id', transactionalId))
      .map(({ transactionalId, producerId, state }) => ({ transactionalId, producerId, transactionState: state }))
    return { errorCode: code.none, unknownStateFilters, transactionStates }
  },
})
