/**
 * What a restart finds in `__transaction_state`: for each transactional id the newest record. A commit record counts if
 * every batch that it names stands where it says; older commits that it lists as pending count in any case.
 */
import { Fault } from '../../../lib/fault.ts'
import { readBatchHeader } from '../../../store/batch-header.ts'
import { loadCompaction } from '../compaction/state.ts'
import type { PartitionState } from '../partition.ts'
import type { Registry } from '../registry.ts'
import { replay } from '../system-log.ts'
import type { Found, TransactionCoordinator } from './coordinator.ts'
import {
  type NamedEnd,
  type TransactionState,
  decodeTransactionKey,
  decodeTransactionState,
  status,
} from './state-format.ts'

export async function recoverTransactions(
  coordinator: TransactionCoordinator,
  of: { log: PartitionState; registry: Registry },
): Promise<void> {
  const newest = new Map<string, TransactionState>()
  await replay(of.log, ({ key, value }) => {
    const id = key === null ? null : decodeTransactionKey(key)
    if (id === null) return
    if (value === null) newest.delete(id)
    else newest.set(id, decodeTransactionState(value))
  })
  const found: Found[] = []
  for (const [transactionalId, state] of newest) {
    found.push(...(await pendingOf(state, of.registry)))
    if (state.status === status.prepareCommit) found.push(await decide(transactionalId, state, of.registry))
  }
  await coordinator.restored(found)
}

async function pendingOf(state: TransactionState, registry: Registry): Promise<Found[]> {
  const found: Found[] = []
  for (const { producerId, epoch, partitions: places } of state.pending) {
    const partitions: PartitionState[] = []
    for (const { topicId, index } of places) {
      const partition = registry.partitionById(topicId, index)
      if (partition !== null && (await opens(partition))) partitions.push(partition)
    }
    found.push({ transactionalId: null, producerId, epoch, outcome: 'commit', partitions })
  }
  return found
}

async function decide(transactionalId: string, state: TransactionState, registry: Registry): Promise<Found> {
  const { producerId, epoch } = state
  const partitions: PartitionState[] = []
  let outcome: Found['outcome'] = 'commit'
  for (const end of state.ends) {
    const partition = registry.partitionById(end.topicId, end.index)
    if (partition === null) continue
    if (!(await opens(partition))) continue
    partitions.push(partition)
    if (!stands(partition, end, state)) outcome = 'abort'
  }
  return { transactionalId, producerId, epoch, outcome, partitions }
}

/**
 * False for a partition that is damaged: it takes no marker, and what the damage hides was durable, so it stands. It must
 * not keep all the others from being served.
 */
async function opens(partition: PartitionState): Promise<boolean> {
  try {
    await partition.perform(() => undefined)
    return true
  } catch (error) {
    if (error instanceof Fault && error.code === 'store.damaged') return false
    throw error
  }
}

/**
 * Is the named batch there? A log is only ever cut at its end, so the last batch proves those before it. What retention
 * or compaction has taken away was durable; what damage hides was durable as well.
 */
function stands({ log }: PartitionState, { last }: NamedEnd, { producerId, epoch }: TransactionState): boolean {
  if (last < loadCompaction(log).claimedTo) return true
  if (last < log.start || log.damage !== null) return true
  if (last >= log.end) return false
  for (const bytes of log.headers(last)) {
    const header = readBatchHeader(bytes)
    if (header.baseOffset + header.lastOffsetDelta < last) continue
    if (header.baseOffset > last) return true
    return header.producerId === producerId && header.producerEpoch === epoch
  }
  return false
}
