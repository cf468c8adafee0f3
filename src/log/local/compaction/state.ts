/** How far a partition has been compacted, kept in a snapshot beside its segments. */
import type { Offset } from '../../../lib/brand.ts'
import type { PartitionLog } from '../../../store/store.ts'

export interface CompactionState {
  /** Below it batches may have been rewritten: everything there was decided and durable before. Saved before a pass. */
  readonly claimedTo: Offset
  /** Below it only the newest record of each key is left. Saved after a pass. */
  readonly cleanedTo: Offset
  /** When the passes ended, oldest first: what lies below `to` has been compacted since `atMs`. */
  readonly passes: readonly { readonly to: Offset; readonly atMs: number }[]
}

const snapshotName = 'compaction'
const nothing: CompactionState = { claimedTo: 0 as Offset, cleanedTo: 0 as Offset, passes: [] }

export function loadCompaction(log: PartitionLog): CompactionState {
  const saved = log.loadSnapshot(snapshotName)
  if (saved === null) return nothing
  return JSON.parse(Buffer.from(saved.bytes).toString()) as CompactionState
}
export function saveCompaction(log: PartitionLog, state: CompactionState): Promise<void> {
  return log.saveSnapshot(snapshotName, state.claimedTo, Buffer.from(JSON.stringify(state)))
}
