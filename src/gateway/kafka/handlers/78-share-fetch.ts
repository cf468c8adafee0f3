import { limits } from '../../../lib/limits.ts'
import type { Acquired, QueueRef } from '../../../log/queues/queues.ts'
import type { Decoded, Encoded } from '../../../wire/kafka/codec/shape.ts'
import { shareFetchApi } from '../../../wire/kafka/messages/78-share-fetch.ts'
import { type Exchange, code, handler } from '../handler.ts'
import {
  type Asker,
  type PartitionError,
  acknowledge,
  askerOf,
  byTopic,
  endSession,
  errorOf,
  finalEpoch,
  noError,
  openingEpoch,
  partitionError,
  sameLeader,
  sessionOf,
} from '../share-acknowledge.ts'
import { type ShareSession, queueKey } from '../share-sessions.ts'
import { ownerOf } from '../taken.ts'

type Request = Decoded<typeof shareFetchApi.request>
type Response = Encoded<typeof shareFetchApi.response>
type PartitionData = Response['responses'][number]['partitions'][number]

const recordLimitMode = 1

/**
 * Acknowledges what comes with it, then gives the member records of the partitions in its session (KIP-932). A request that
 * renews locks gives out none (KIP-1222).
 */
export const shareFetch = handler({
  api: shareFetchApi,
  versions: [1, 2],
  access: { needs: ['read group', 'read topic'] },
  quota: 'consumer_byte_rate',
  answerBytes({ responses }) {
    let bytes = 0
    for (const { partitions } of responses)
      for (const { records } of partitions) for (const { length } of records) bytes += length
    return bytes
  },
  async handle(request, exchange) {
    const asker = askerOf(request, exchange)
    if (typeof asker === 'number') return failed(asker)
    const wrong = wrongWith(request)
    if (wrong !== code.none) return failed(wrong)
    const session = openOrNext(asker, request, exchange)
    if (typeof session === 'number') return failed(session)
    const acked = await acknowledge(asker, request.topics, request.isRenewAck, exchange)
    const parts = new Parts()
    for (const { of, error } of acked.values()) parts.acknowledged(of, error)
    const isLast = request.shareSessionEpoch === finalEpoch
    if (isLast) await endSession(session, exchange)
    else if (!request.isRenewAck) await fetch(session, request, { asker, exchange, parts })
    return {
      errorCode: code.none,
      acquisitionLockTimeoutMs: exchange.broker.queues.settings(asker.group).lockMs,
      responses: byTopic(parts.all(), ({ data }) => data),
      nodeEndpoints: [],
    }
  },
  firstError({ errorCode, responses }) {
    if (errorCode !== code.none) return errorCode
    for (const { partitions } of responses)
      for (const one of partitions) if (one.errorCode !== code.none) return one.errorCode
    return code.none
  },
})

const failed = (errorCode: number): Response => ({
  errorCode,
  acquisitionLockTimeoutMs: 0,
  responses: [],
  nodeEndpoints: [],
})
/** What Kafka refuses as INVALID_REQUEST. */
function wrongWith(request: Request): number {
  const { isRenewAck, maxWaitMs, minBytes, maxBytes, maxRecords, shareAcquireMode } = request
  const asksForRecords = maxWaitMs !== 0 || minBytes !== 0 || maxBytes !== 0 || maxRecords !== 0
  if (isRenewAck && asksForRecords) return code.invalidRequest
  if (shareAcquireMode < 0 || shareAcquireMode > recordLimitMode) return code.invalidRequest
  const hasAcks = request.topics.some(({ partitions }) =>
    partitions.some(({ acknowledgementBatches }) => acknowledgementBatches.length > 0),
  )
  return request.shareSessionEpoch === openingEpoch && hasAcks ? code.invalidRequest : code.none
}
function openOrNext(asker: Asker, request: Request, exchange: Exchange): ShareSession | number {
  const { shareSessions, signal, broker } = exchange
  const named = request.topics.flatMap(({ topicId, partitions }) =>
    partitions.map(({ partitionIndex: index }): QueueRef => ({ topicId, index })),
  )
  if (request.shareSessionEpoch === openingEpoch) {
    const partitions = new Map(named.map((of) => [queueKey(of), of]))
    const gone = ({ group, member }: ShareSession): void => void broker.queues.release(group, member)
    const of = { ...asker, signal, owner: ownerOf(exchange.access), gone }
    return shareSessions.open(of, partitions) ?? code.shareSessionLimitReached
  }
  const session = sessionOf(asker, request.shareSessionEpoch, exchange)
  if (typeof session === 'number' || request.shareSessionEpoch === finalEpoch) return session
  if (!shareSessions.add(session, named)) return code.shareSessionLimitReached
  for (const { topicId, partitions } of request.forgottenTopicsData)
    for (const index of partitions) shareSessions.forget(session, { topicId, index })
  return session
}

async function fetch(
  session: ShareSession,
  request: Request,
  { asker, exchange, parts }: { asker: Asker; exchange: Exchange; parts: Parts },
): Promise<void> {
  const { broker, signal } = exchange
  const isGroup = (await broker.coordinator.describeShare(asker.group)) !== null
  const readable: QueueRef[] = []
  for (const of of rotated([...session.partitions.values()], session.epoch)) {
    const error = isGroup ? partitionError(of, exchange) : { errorCode: code.groupIdNotFound, errorMessage: null }
    if (error.errorCode === code.none) readable.push(of)
    else parts.failed(of, error)
  }
  const hasNews = !parts.isEmpty
  const acquired = await broker.queues.acquire(
    {
      ...asker,
      of: readable,
      recordsMax: Math.max(0, request.maxRecords),
      exact: request.shareAcquireMode === recordLimitMode,
      rangeRecords: Math.max(1, request.batchSize),
      bytesMax: Math.min(Math.max(0, request.maxBytes), exchange.answerBytesMax),
      // What there is to say of acknowledgements or errors does not wait for records.
      waitMs: hasNews ? 0 : Math.min(Math.max(0, request.maxWaitMs), limits.kafkaFetchWaitMs),
    },
    signal,
  )
  for (const one of acquired) parts.acquired(one)
  exchange.whenSent(() => {
    for (const { release } of acquired) release()
  })
  // Its session ended while it waited: nobody is there to work on these.
  if (signal.aborted) await broker.queues.release(asker.group, asker.member)
}
/** Another partition comes first each time, so that a full answer starves none. */
function rotated<T>(list: readonly T[], by: number): T[] {
  const first = list.length === 0 ? 0 : by % list.length
  return [...list.slice(first), ...list.slice(0, first)]
}

/** What the answer says of each partition. */
class Parts {
  readonly #parts = new Map<string, { readonly of: QueueRef; data: PartitionData }>()

  get isEmpty(): boolean {
    return this.#parts.size === 0
  }
  all(): Iterable<{ readonly of: QueueRef; readonly data: PartitionData }> {
    return this.#parts.values()
  }
  acknowledged(of: QueueRef, error: PartitionError): void {
    this.#set(of, { acknowledgeErrorCode: error.errorCode, acknowledgeErrorMessage: error.errorMessage })
  }
  failed(of: QueueRef, error: PartitionError): void {
    this.#set(of, error)
  }
  acquired({ of, batches, ranges, fault }: Acquired): void {
    this.#set(of, {
      ...(fault === null ? noError : errorOf(fault)),
      records: batches,
      acquiredRecords: ranges.map(({ first, last, deliveries }) => ({
        firstOffset: first,
        lastOffset: last,
        deliveryCount: deliveries,
      })),
    })
  }
  #set(of: QueueRef, more: Partial<PartitionData>): void {
    const data = this.#parts.get(queueKey(of))?.data ?? {
      partitionIndex: of.index,
      errorCode: code.none,
      acknowledgeErrorCode: code.none,
      currentLeader: sameLeader,
      records: [],
      acquiredRecords: [],
    }
    this.#parts.set(queueKey(of), { of, data: { ...data, ...more } })
  }
}
