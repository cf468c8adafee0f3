/** Faults of clients' transactions, planted as in `planted.ts`: for `transaction-workload.ts` to find. */
import {
  type ClientPart,
  type TransactionState,
  encodeTransactionState,
  status,
} from '../src/log/local/transactions/state-format.ts'
import { type Planted, overTransactions } from './planting.ts'

type OfClient = TransactionState & { readonly client: ClientPart }
const ofClients = (change: (state: OfClient) => TransactionState | null): Planted => {
  const isClient = (state: TransactionState): state is OfClient => state.client !== null
  return (store) =>
    overTransactions(store, (record, state) => {
      const now = isClient(state) ? change(state) : state
      // Under another key nobody finds it.
      return now === null
        ? { ...record, key: Buffer.from([0, 0, 0, 1, 0x78]) }
        : { ...record, value: encodeTransactionState(now) }
    })
}

/** What is open does not say where. */
export const forgottenPartitions: Planted = ofClients((state) =>
  state.status === status.ongoing ? { ...state, client: { ...state.client, partitions: [] } } : state,
)
/** An id's next record does not repeat the commit before it. */
export const forgottenCommits: Planted = ofClients((state) => ({ ...state, pending: [] }))
/** That a transaction has begun is not recorded. */
export const unrecordedBeginnings: Planted = ofClients((state) => (state.status === status.ongoing ? null : state))
/** That it is committed is not recorded. */
export const unrecordedCommits: Planted = ofClients((state) =>
  state.status === status.prepareCommit || state.status === status.completeCommit ? null : state,
)
/** A commit is called complete before its markers are there. */
export const hastyCompletion: Planted = ofClients((state) =>
  state.status === status.prepareCommit
    ? { ...state, status: status.completeCommit, client: { ...state.client, partitions: [] } }
    : state,
)
