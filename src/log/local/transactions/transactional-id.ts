/**
 * What a transactional id stands at, and what becomes of it: Kafka's state machine (KIP-98, 360, 890) as pure functions.
 * A transition is a new state, which the caller makes durable before it counts. Faults are Kafka's answers, in the order of
 * its checks.
 *
 * - A producer of transaction version 2 goes on with the next epoch after every end, so what it sent late, an end
 *   included, can be told from what is new. When the epochs of a producer id are used up, the next one takes over.
 * - Fencing (another producer of the id, or the time is over) is an end with the next epoch, which no one is given when
 *   another producer has come: it is given the one after it.
 */
import { Fault } from '../../../lib/fault.ts'
import type { ProducerIdentity, TransactionalProducer } from '../../broker.ts'
import { type ClientPart, type Status, type TransactionState, status } from './state-format.ts'

export interface IdState extends ProducerIdentity {
  /** That of the state before: who asks again after a change of producer ids is known by it. */
  readonly previousProducerId: number
  /** The epoch that the present producer had before; −1 when it is a new producer. */
  readonly lastEpoch: number
  readonly timeoutMs: number
  readonly status: Status
  /** −1: no transaction yet. */
  readonly startedMs: number
  readonly updatedMs: number
  /** The producer that was last heard takes the next epoch at every end (transaction version 2). */
  readonly bumps: boolean
}

/** Producer epochs are int16. */
const epochMax = 0x7fff
/** Nobody is given the last epoch: it is left for fencing. */
const isUsedUp = (epoch: number): boolean => epoch >= epochMax - 1
const isComplete = ({ status: at }: IdState): boolean => at === status.completeCommit || at === status.completeAbort
const isPrepared = ({ status: at }: IdState): boolean => at === status.prepareCommit || at === status.prepareAbort

export const stateNames: Readonly<Record<Status, string>> = {
  [status.empty]: 'Empty',
  [status.ongoing]: 'Ongoing',
  [status.prepareCommit]: 'PrepareCommit',
  [status.prepareAbort]: 'PrepareAbort',
  [status.completeCommit]: 'CompleteCommit',
  [status.completeAbort]: 'CompleteAbort',
}

export const newState = (producerId: number, timeoutMs: number, nowMs: number): IdState => ({
  producerId,
  previousProducerId: -1,
  epoch: -1,
  lastEpoch: -1,
  timeoutMs,
  status: status.empty,
  startedMs: -1,
  updatedMs: nowMs,
  bumps: false,
})

export const concurrent = (transactionalId: string): Fault =>
  new Fault('log.concurrent-transactions', { transactionalId })
const fenced = ({ producerId, epoch }: ProducerIdentity): Fault =>
  new Fault('log.producer-fenced', { producerId, epoch })
const mapping = ({ transactionalId, producerId }: TransactionalProducer): Fault =>
  new Fault('log.invalid-producer-mapping', { transactionalId, producerId })
const notIn = (state: IdState, what: string): Fault =>
  new Fault('log.invalid-transaction', { what: `${what} in state ${stateNames[state.status]}` })

export interface InitRequest {
  readonly transactionalId: string
  readonly timeoutMs: number
  readonly expected: ProducerIdentity | null
  readonly nowMs: number
}
/** 'fence': what is open has to be aborted first. 'rotate': a new producer id is needed (`rotated`). Throws Fault. */
export function initialised(state: IdState, request: InitRequest): IdState | 'fence' | 'rotate' {
  const { expected } = request
  if (expected !== null && !mayBe(state, expected)) throw fenced(expected)
  if (isPrepared(state)) throw concurrent(request.transactionalId)
  if (state.status === status.ongoing) return 'fence'
  if (isUsedUp(state.epoch) && (expected === null || expected.epoch === state.epoch)) return 'rotate'
  const empty = emptied(state, request)
  if (expected === null) return { ...empty, epoch: state.epoch + 1, lastEpoch: -1 }
  if (state.epoch === -1 || expected.epoch === state.epoch)
    return { ...empty, epoch: state.epoch + 1, lastEpoch: state.epoch }
  // Asked again: the answer was lost. A new producer would have set this to −1.
  if (expected.epoch === state.lastEpoch) return empty
  throw fenced(expected)
}
export const rotated = (state: IdState, request: InitRequest, producerId: number): IdState => ({
  ...emptied(state, request),
  producerId,
  epoch: 0,
  lastEpoch: request.expected === null ? -1 : state.epoch,
})
const emptied = (state: IdState, { timeoutMs, nowMs }: InitRequest): IdState => ({
  ...state,
  previousProducerId: state.producerId,
  timeoutMs,
  status: status.empty,
  startedMs: -1,
  updatedMs: nowMs,
})
function mayBe(state: IdState, expected: ProducerIdentity): boolean {
  if (state.epoch === -1 || expected.producerId === state.producerId) return true
  return expected.producerId === state.previousProducerId && isUsedUp(expected.epoch)
}

/** Is it the present producer, and may it write? Throws Fault. */
export function checkProducer(state: IdState, producer: TransactionalProducer, isChanging: boolean): void {
  if (producer.producerId !== state.producerId) throw mapping(producer)
  if (producer.epoch !== state.epoch) throw fenced(producer)
  if (isChanging || isPrepared(state)) throw concurrent(producer.transactionalId)
}
export const begun = (state: IdState, bumps: boolean, nowMs: number): IdState => ({
  ...state,
  previousProducerId: state.producerId,
  status: status.ongoing,
  startedMs: state.status === status.ongoing ? state.startedMs : nowMs,
  updatedMs: nowMs,
  bumps,
})

export interface EndRequest {
  readonly commit: boolean
  readonly bumps: boolean
}
/** 'done': it was ended so before. Throws Fault. */
export function endVerdict(
  state: IdState,
  producer: TransactionalProducer,
  request: EndRequest,
  isChanging: boolean,
): 'end' | 'done' {
  return request.bumps
    ? bumpingVerdict(state, producer, request, isChanging)
    : plainVerdict(state, producer, request, isChanging)
}
function plainVerdict(
  state: IdState,
  producer: TransactionalProducer,
  { commit }: EndRequest,
  isChanging: boolean,
): 'end' | 'done' {
  if (producer.producerId !== state.producerId) throw mapping(producer)
  if (producer.epoch !== state.epoch) throw fenced(producer)
  if (isChanging) throw concurrent(producer.transactionalId)
  if (state.status === status.ongoing) return 'end'
  if (isComplete(state) && wasCommitted(state) === commit) return 'done'
  if (isPrepared(state) && wasCommitted(state) === commit) throw concurrent(producer.transactionalId)
  throw notIn(state, commit ? 'a commit' : 'an abort')
}
/** Here the epoch says whether this is an end asked for again, or the next one. Aborting nothing is an end too. */
function bumpingVerdict(
  state: IdState,
  producer: TransactionalProducer,
  { commit }: EndRequest,
  isChanging: boolean,
): 'end' | 'done' {
  const isRotatedRetry =
    producer.producerId === state.previousProducerId && producer.epoch === epochMax - 1 && state.epoch === 0
  const isRetry = isRotatedRetry || state.epoch === producer.epoch + 1
  if (producer.producerId !== state.producerId && !isRotatedRetry) throw mapping(producer)
  const isCurrent = producer.epoch === state.epoch
  const isValid = isComplete(state) ? isRetry || isCurrent : isPrepared(state) ? isRetry : isCurrent
  if (!isValid) throw fenced(producer)
  if (isChanging) throw concurrent(producer.transactionalId)
  if (state.status === status.ongoing) return 'end'
  const sameEnd = wasCommitted(state) === commit
  if (isPrepared(state) && sameEnd) throw concurrent(producer.transactionalId)
  if (isComplete(state) && isRetry && sameEnd) return 'done'
  if (!commit && !isPrepared(state) && !isRetry) return 'end'
  throw notIn(state, commit ? 'a commit' : 'an abort')
}
const wasCommitted = ({ status: at }: IdState): boolean => at === status.prepareCommit || at === status.completeCommit

export type Ending =
  /** By a producer that keeps its epoch. */
  | { readonly kind: 'plain'; readonly commit: boolean }
  /** By one that goes on with the next; with another producer id once its epochs are used up. */
  | { readonly kind: 'bumping'; readonly commit: boolean; readonly nextProducerId: number | null }
  /** By nobody: its producer is fenced. */
  | { readonly kind: 'fence' }

export const needsProducerId = (state: IdState): boolean => isUsedUp(state.epoch)

/**
 * `prepared`: what to write where something has to be finished after it; `completed`: what it is then. `markerEpoch`: that
 * of the markers; whoever writes with a smaller one is refused.
 */
export function ended(
  state: IdState,
  ending: Ending,
  nowMs: number,
): { prepared: IdState; completed: IdState; nextProducerId: number; markerEpoch: number } {
  const commit = ending.kind !== 'fence' && ending.commit
  const isEmpty = state.status !== status.ongoing
  const base: IdState = {
    ...state,
    previousProducerId: state.producerId,
    startedMs: isEmpty ? nowMs : state.startedMs,
    updatedMs: nowMs,
    bumps: ending.kind !== 'plain',
  }
  const epochs = endedEpochs(state, ending)
  const prepared = { ...base, ...epochs, status: commit ? status.prepareCommit : status.prepareAbort }
  const next = ending.kind === 'bumping' ? ending.nextProducerId : null
  const completed = {
    ...prepared,
    status: commit ? status.completeCommit : status.completeAbort,
    ...(next === null ? {} : { producerId: next, epoch: 0 }),
  }
  return { prepared, completed, nextProducerId: next ?? -1, markerEpoch: epochs.epoch }
}
function endedEpochs({ epoch, lastEpoch }: IdState, ending: Ending): { epoch: number; lastEpoch: number } {
  switch (ending.kind) {
    case 'plain':
      return { epoch, lastEpoch }
    case 'bumping':
    case 'fence':
      return { epoch: Math.min(epoch + 1, epochMax), lastEpoch: epoch }
  }
}

type StoredState = Omit<TransactionState, 'pending'>
/** As it is written. */
export function storedOf(
  state: IdState,
  of: { readonly partitions?: ClientPart['partitions']; readonly nextProducerId?: number } = {},
): StoredState {
  const { producerId, epoch, timeoutMs, status: at, updatedMs, startedMs } = state
  const { previousProducerId, lastEpoch, bumps } = state
  const { partitions = [], nextProducerId = -1 } = of
  const client = { previousProducerId, nextProducerId, lastEpoch, bumps, partitions }
  return { producerId, epoch, timeoutMs, status: at, updatedMs, startedMs, ends: [], inputs: [], client }
}
/** What a prepared state becomes. */
export function completedOf(prepared: StoredState, client: ClientPart): StoredState {
  const to = prepared.status === status.prepareCommit ? status.completeCommit : status.completeAbort
  const { nextProducerId } = client
  const next = nextProducerId < 0 ? {} : { producerId: nextProducerId, epoch: 0 }
  const part = { ...client, previousProducerId: prepared.producerId, nextProducerId: -1, partitions: [] }
  return { ...prepared, ...next, status: to, client: part }
}
