/**
 * Faults of the log, planted between it and its store: a workload that does not find them looks at nothing. Each takes
 * away or falsifies one thing that the log does for a moment that hardly ever comes.
 */
import type { CompactionState } from '../src/log/local/compaction/state.ts'
import { encodeTransactionState, status } from '../src/log/local/transactions/state-format.ts'
import { type Planted, changed, overCompaction, overRecords, overTransactions } from './planting.ts'

/** The log does not hear that its end was cut away. */
export const unheardCuts: Planted = (store) => changed(store, () => ({ onCut: () => () => undefined }))

/** That a commit failed is not recorded, so a restart may find its record and believe it. */
export const unrecordedAborts: Planted = (store) =>
  overTransactions(store, (record, state) =>
    state.status === status.completeAbort ? { ...record, key: Buffer.from([0, 0, 0, 1, 0x78]) } : record,
  )
/** A commit record does not repeat earlier commits whose markers are on their way. */
export const forgottenPending: Planted = (store) =>
  overTransactions(store, (record, state) => ({ ...record, value: encodeTransactionState({ ...state, pending: [] }) }))
/** A commit record names one partition of those that it commits. */
export const forgottenEnds: Planted = (store) =>
  overTransactions(store, (record, state) => ({
    ...record,
    value: encodeTransactionState({ ...state, ends: state.ends.slice(0, 1) }),
  }))

/** Compaction does not say how far it may have rewritten what commit records name. */
export const unsavedClaims: Planted = (store) =>
  overCompaction(store, (state) => ({ ...state, claimedTo: 0 as CompactionState['claimedTo'] }))
/** Compaction calls clean what it only begins to clean. */
export const hastyCleaning: Planted = (store) =>
  overCompaction(store, (state) => ({ ...state, cleanedTo: state.claimedTo }))

/** What is known of producers is saved as if it were newer than it is. */
export const staleSnapshots: Planted = (store) =>
  changed(store, (log) => {
    let former: Uint8Array | null = null
    return {
      saveSnapshot: (name, at, bytes) => {
        if (name !== 'producers') return log.saveSnapshot(name, at, bytes)
        const saved = former ?? bytes
        former = bytes
        return log.saveSnapshot(name, at, saved)
      },
    }
  })
/** That producer ids were given out is not recorded. */
export const unreservedIds: Planted = (store) =>
  overRecords(store, '_millrace_catalog', (record) =>
    Buffer.from(record.key ?? []).toString() === 'log/producer-ids'
      ? { ...record, value: Buffer.from('{"next":0}') }
      : record,
  )
