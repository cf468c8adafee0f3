/**
 * Appends by clients (`Broker.produce`: their own batch headers, acks) and by our own parts (`Writer`: the log owns the
 * header). Hot path: nothing is allocated per record.
 */
import type { Offset } from '../../lib/brand.ts'
import type { Lease } from '../../lib/buffer-pool.ts'
import { Fault, asFault } from '../../lib/fault.ts'
import type { Clock } from '../../lib/world.ts'
import { type BatchHeader, attribute, ownBatch, readBatchHeader } from '../../store/batch-header.ts'
import { decodeBatch, takeOver } from '../batch.ts'
import type { Intake, LogMeter, ProduceAnswer, ProduceRequest } from '../broker.ts'
import type { Appended, Batch, Partition, Writer } from '../log.ts'
import {
  type CheckedBatch,
  RecordsRefused,
  Unpacking,
  checkClientFields,
  checkForm,
  checkRecords,
  splitBatches,
} from './batch-check.ts'
import { checkHeaders } from './header-check.ts'
import type { Mark, PartitionState, Placed } from './partition.ts'
import type { StoredBatch } from './producers.ts'
import type { TopicPolicy } from './topic-config.ts'
import { recompress } from './recompress.ts'
import type { Registry } from './registry.ts'
import { catalogTopic, isSealed, isSystemTopic } from './system-topics.ts'
import { isReservedKey } from './topics.ts'
import type { ClientTransactions } from './transactions/clients.ts'
import type { Transaction } from './transactions/transaction.ts'

export interface ProduceHost {
  readonly clock: Clock
  readonly registry: Registry
  readonly intake: Intake | null
  readonly meter: LogMeter | null
}
export interface ClientProduceHost extends ProduceHost {
  readonly transactions: ClientTransactions
}
type Acks = ProduceRequest['acks']
/** What was appended: where it begins, and how far the partition must be durable for it. */
interface Done {
  readonly state: PartitionState
  readonly placed: Placed
  readonly until: Mark
}

export async function produce(host: ClientProduceHost, request: ProduceRequest): Promise<ProduceAnswer[]> {
  // Everything is queued in this turn, in the order it came; only then is anything waited for.
  const unpacking = new Unpacking(request.entries.reduce((sum, { records }) => sum + records.length, 0))
  const started = request.entries.map((entry) => attempt(() => appendClient(host, entry, request, unpacking)))
  const { transactionalId } = request
  // What its transaction has now is written once, and is durable before any of it is acknowledged.
  const recorded = transactionalId === null ? null : host.transactions.recorded(transactionalId)
  recorded?.catch(() => undefined)
  return Promise.all(started.map((done) => answerClient(done, request.acks, recorded)))
}
function attempt<T>(call: () => T | Promise<T>): T | Promise<T> {
  try {
    return call()
  } catch (error) {
    const failed = Promise.reject<T>(error)
    failed.catch(() => undefined)
    return failed
  }
}
async function answerClient(
  done: Done | Promise<Done>,
  acks: Acks,
  recorded: Promise<void> | null,
): Promise<ProduceAnswer> {
  try {
    const { state, placed, until } = done instanceof Promise ? await done : done
    await acknowledged(state, until, acks)
    if (acks !== 'none') await recorded
    return { baseOffset: placed.baseOffset, appendTimeMs: placed.appendTimeMs, start: state.log.start }
  } catch (error) {
    if (error instanceof RecordsRefused) return { fault: error.fault, records: error.records }
    return { fault: asFault(error) }
  }
}
function acknowledged(state: PartitionState, until: Mark, acks: Acks): Promise<void> | undefined {
  switch (acks) {
    case 'all':
      return state.whenDurable(until)
    case 'leader':
      return state.whenWritten(until)
    case 'none':
      return undefined
  }
}

function appendClient(
  host: ClientProduceHost,
  entry: ProduceRequest['entries'][number],
  request: ProduceRequest,
  unpacking: Unpacking,
): Done | Promise<Done> {
  const { topic } = entry.partition
  if (isSystemTopic(topic)) throw new Fault('log.topic-kept', { topic, why: 'the log alone writes to it' })
  const state = host.registry.partition(entry.partition)
  const { policy } = state
  const [first, ...more] = splitBatches(entry.records)
  // As in Kafka. One answer could not say that the first is there and the second is not.
  if (more.length > 0)
    throw new Fault('log.invalid-batch', { what: `${1 + more.length} record batches for one partition, not one` })
  checkForm(first!, policy.batchBytesMax)
  checkClientFields(first!)
  const batch = checkRecords(first!, policy, host.clock.now(), unpacking)
  checkHeaders(batch, policy)
  const refused = host.intake?.(topic, batch.bytes) ?? null
  if (refused !== null && refused.length > 0)
    throw new RecordsRefused(new Fault('log.invalid-batch', { what: refused[0]!.message }), refused)
  const transaction = admitted(host, state, batch, request)
  const { compression } = policy
  if (compression === 'producer')
    return state.perform(() => appendAll(state, [batch], host.meter, { lease: request.lease ?? null, transaction }))
  const packed = repacked(batch, compression, policy)
  return state.perform(() => appendAll(state, [packed], host.meter, { lease: null, transaction }))
}
/** The transaction that it is written in; null for none. Throws Fault. */
function admitted(
  { transactions }: ClientProduceHost,
  state: PartitionState,
  { header }: CheckedBatch,
  { transactionalId, joins = false }: ProduceRequest,
): Transaction | null {
  if ((header.attributes & attribute.transactional) === 0) return null
  if (transactionalId === null) throw new Fault('log.missing-transactional-id', {})
  const { producerId, producerEpoch: epoch } = header
  return transactions.admit({ transactionalId, producerId, epoch }, state, joins)
}
function repacked(
  batch: CheckedBatch,
  to: Parameters<typeof recompress>[1],
  { batchBytesMax: bytesMax, compressionLevel }: TopicPolicy,
): CheckedBatch {
  const packed = recompress(batch, to, compressionLevel)
  if (packed.header.bytes > bytesMax) throw new Fault('log.batch-too-large', { bytes: packed.header.bytes, bytesMax })
  return packed
}

/** The answer is about the first batch. Batches that stand already are not appended again. */
function appendAll(
  state: PartitionState,
  batches: readonly CheckedBatch[],
  meter: LogMeter | null,
  { lease, transaction }: { lease: Lease | null; transaction: Transaction | null },
): Done {
  // What stands behind damage cannot be told from a gap.
  if (state.log.damage !== null) throw state.log.damage.fault
  // It may have been ended while the partition was being opened.
  if (transaction !== null && transaction.phase !== 'open')
    throw new Fault('log.invalid-transaction', { what: 'the transaction has been ended' })
  let first: Placed | null = null
  let until = 0 as Offset
  for (const { bytes, header } of batches) {
    const repeated = checked(state, header, transaction)
    const placed: Placed = repeated ?? state.append(bytes, header, lease)
    if (repeated === null) transaction?.wrote(state, { ...placed, records: header.recordCount, bytes: header.bytes })
    first ??= { baseOffset: placed.baseOffset, appendTimeMs: placed.appendTimeMs }
    until = repeated === null ? state.log.end : larger(until, endOf(repeated))
    if (repeated === null) meter?.appended(state.partition.topic, header.recordCount, header.bytes)
  }
  return { state, placed: first!, until: state.markAt(until) }
}
/** The stored batch that this one repeats, or null. Throws Fault. */
function checked(state: PartitionState, header: BatchHeader, transaction: Transaction | null): StoredBatch | null {
  const { table } = state
  if (transaction === null && table.openTransactions.has(header.producerId))
    throw new Fault('log.invalid-transaction', { what: 'its producer has a transaction open here' })
  // One that takes another epoch for each transaction begins each with sequence 0.
  const isUnknown = transaction !== null && !table.producers.has(header.producerId)
  if (isUnknown && transaction.bumps && header.baseSequence !== 0)
    throw new Fault('log.out-of-order-sequence', { expected: 0, found: header.baseSequence })
  return table.check(header)
}
const larger = (a: Offset, b: Offset): Offset => (a > b ? a : b)
const endOf = (batch: StoredBatch): Offset => (batch.lastOffset + 1) as Offset

export class LocalWriter implements Writer {
  readonly #host: ProduceHost
  readonly #acks: Acks

  constructor(host: ProduceHost, acks: Acks) {
    this.#host = host
    this.#acks = acks
  }
  append(entries: readonly { partition: Partition; batch: Batch }[]): Promise<Appended[]> {
    const started = entries.map((entry) => attempt(() => this.#append(entry)))
    return Promise.all(started.map((done) => this.#answer(done)))
  }
  #append({ partition, batch }: { partition: Partition; batch: Batch }): Done | Promise<Done> {
    const { topic } = partition
    if (isSealed(topic)) throw new Fault('log.topic-kept', { topic, why: 'the log alone writes to it' })
    const state = this.#host.registry.partition(partition)
    const { policy } = state
    const taken = takeOver(batch)
    // A copy: offsets are written into the header, and the caller may append its batch elsewhere as well.
    let batches = splitBatches(taken === null ? Buffer.from(batch) : batch)
    const nowMs = this.#host.clock.now()
    for (const one of batches) {
      checkForm(one, policy.batchBytesMax, taken !== null)
      checkRecords(one, policy, nowMs, 'us')
      checkHeaders(one, policy)
      if (topic === catalogTopic) checkCatalogKeys(one.bytes)
    }
    batches = batches.map(disowned)
    const { compression } = policy
    if (compression !== 'producer') batches = batches.map((one) => repacked(one, compression, policy))
    const own = { lease: compression === 'producer' ? (taken?.lease ?? null) : null, transaction: null }
    return state.perform(() => appendAll(state, batches, this.#host.meter, own))
  }
  async #answer(done: Done | Promise<Done>): Promise<Appended> {
    try {
      const { state, placed, until } = done instanceof Promise ? await done : done
      await acknowledged(state, until, this.#acks)
      return { offset: placed.baseOffset, timeMs: placed.appendTimeMs }
    } catch (error) {
      return { fault: error instanceof RecordsRefused ? error.fault : asFault(error) }
    }
  }
}
/** Takes away who wrote a batch before, when it was read from another topic. */
function disowned(batch: CheckedBatch): CheckedBatch {
  const { header, bytes } = batch
  const owned = header.producerId >= 0 || (header.attributes & (attribute.transactional | attribute.control)) !== 0
  if (!owned) return batch
  ownBatch(bytes, { producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false })
  return { bytes, header: readBatchHeader(bytes) }
}
function checkCatalogKeys(batch: Uint8Array): void {
  for (const { key } of decodeBatch(batch)) {
    const text = key === null ? '' : Buffer.from(key).toString()
    if (isReservedKey(text))
      throw new Fault('log.topic-kept', { topic: catalogTopic, why: `the log alone writes ${text.split('/')[0]}/…` })
  }
}
