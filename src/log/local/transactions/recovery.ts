/**
 * What a restart finds in `__transaction_state`: for each transactional id the newest record.
 *
 * A tick's commit record counts if every batch that it names stands where it says. A client's record counts as it is: what
 * it has open stays open, what it had decided is finished. Older commits that a record lists as pending count in any case.
 */
import { readBatchHeader } from '../../../store/batch-header.ts'
import { loadCompaction } from '../compaction/state.ts'
import { type PartitionState, afterEpoch } from '../partition.ts'
import type { Registry } from '../registry.ts'
import { replay } from '../system-log.ts'
import { type Found, type TransactionCoordinator, opens } from './coordinator.ts'
import {
  type ClientPart,
  type NamedEnd,
  type PlaceInTopic,
  type TransactionState,
  decodeTransactionKey,
  decodeTransactionState,
  status,
} from './state-format.ts'
import { Transaction } from './transaction.ts'
import { type IdState, completedOf } from './transactional-id.ts'

/** A client's transactional id as it was found. */
export interface FoundId {
  readonly transactionalId: string
  readonly state: IdState
  readonly transaction: Transaction | null
}
type ClientState = TransactionState & { readonly client: ClientPart }

/** `known` is told of clients' ids before anything is decided in the partitions. */
export async function recoverTransactions(
  coordinator: TransactionCoordinator,
  of: { log: PartitionState; registry: Registry },
  known: (ids: readonly FoundId[]) => void,
): Promise<void> {
  const newest = new Map<string, TransactionState>()
  await replay(of.log, ({ key, value }) => {
    const id = key === null ? null : decodeTransactionKey(key)
    if (id === null) return
    if (value === null) newest.delete(id)
    else newest.set(id, decodeTransactionState(value))
  })
  const found: Found[] = []
  const ids: FoundId[] = []
  for (const [transactionalId, state] of newest) {
    found.push(...(await pendingOf(transactionalId, state, of.registry)))
    if (!isClient(state)) {
      if (state.status === status.prepareCommit) found.push(await decide(transactionalId, state, of.registry))
      continue
    }
    const decided = await decidedBefore(transactionalId, state, of.registry)
    if (decided !== null) found.push(decided)
    ids.push(idOf(transactionalId, decided?.closing ?? state, of.registry))
  }
  const open = ids.flatMap(({ transaction }) => (transaction === null ? [] : [transaction]))
  known(ids)
  await coordinator.restored(found, open)
}
const isClient = (state: Omit<TransactionState, 'pending'>): state is ClientState => state.client !== null

async function pendingOf(transactionalId: string, state: TransactionState, registry: Registry): Promise<Found[]> {
  const found: Found[] = []
  for (const { producerId, epoch, partitions: places } of state.pending) {
    const partitions = await opened(places, registry)
    const markerEpoch = afterEpoch(epoch)
    found.push({
      transactionalId,
      producerId,
      epoch,
      outcome: 'commit',
      markerEpoch,
      partitions,
      isNew: false,
      closing: null,
    })
  }
  return found
}

async function decide(transactionalId: string, state: TransactionState, registry: Registry): Promise<Found> {
  const { producerId, epoch, timeoutMs, updatedMs, startedMs } = state
  const partitions: PartitionState[] = []
  let outcome: Found['outcome'] = 'commit'
  for (const end of state.ends) {
    const partition = registry.partitionById(end.topicId, end.index)
    if (partition === null) continue
    if (!(await opens(partition))) continue
    partitions.push(partition)
    if (!stands(partition, end, state)) outcome = 'abort'
  }
  const to = outcome === 'commit' ? status.completeCommit : status.completeAbort
  const closing = { producerId, epoch, timeoutMs, updatedMs, startedMs, status: to, ends: [], inputs: [], client: null }
  const isNew = outcome === 'abort'
  return {
    transactionalId,
    producerId,
    epoch,
    outcome,
    markerEpoch: afterEpoch(epoch),
    partitions,
    isNew,
    closing,
  }
}

/** What a client's record has decided, and is not known to have been finished; null for other states. */
async function decidedBefore(transactionalId: string, state: ClientState, registry: Registry): Promise<Found | null> {
  const isCommit = state.status === status.prepareCommit
  if (!isCommit && state.status !== status.prepareAbort) return null
  const { client, producerId } = state
  return {
    transactionalId,
    producerId,
    epoch: client.bumps ? client.lastEpoch : state.epoch,
    outcome: isCommit ? 'commit' : 'abort',
    markerEpoch: state.epoch,
    partitions: await opened(client.partitions, registry),
    isNew: false,
    closing: completedOf(state, client),
  }
}
function idOf(transactionalId: string, state: Omit<TransactionState, 'pending'>, registry: Registry): FoundId {
  const { client, producerId, epoch, timeoutMs, status: at, startedMs, updatedMs } = state as ClientState
  const { previousProducerId, lastEpoch, bumps } = client
  const id = { producerId, previousProducerId, epoch, lastEpoch, timeoutMs, status: at, startedMs, updatedMs, bumps }
  if (at !== status.ongoing) return { transactionalId, state: id, transaction: null }
  const transaction = new Transaction({ transactionalId, producerId, epoch, startedMs, bumps })
  for (const { topicId, index } of client.partitions) {
    const partition = registry.partitionById(topicId, index)
    if (partition !== null) transaction.partitions.add(partition)
  }
  return { transactionalId, state: id, transaction }
}

async function opened(places: readonly PlaceInTopic[], registry: Registry): Promise<PartitionState[]> {
  const partitions: PartitionState[] = []
  for (const { topicId, index } of places) {
    const partition = registry.partitionById(topicId, index)
    if (partition !== null && (await opens(partition))) partitions.push(partition)
  }
  return partitions
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
