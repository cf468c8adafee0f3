import { offset } from '../../../lib/brand.ts'
import { limits } from '../../../lib/limits.ts'
import type { FetchAnswer, FetchRequest } from '../../../log/broker.ts'
import type { Decoded, Encoded } from '../../../wire/kafka/codec/shape.ts'
import { type FetchSession, type SessionPartition, nextEpoch, partitionKey } from '../fetch-sessions.ts'
import { type Exchange, code, errorCode, handler } from '../handler.ts'
import { ownerOf } from '../taken.ts'
import { fetchApi } from '../../../wire/kafka/messages/01-fetch.ts'

type Request = Decoded<typeof fetchApi.request>
type Response = Encoded<typeof fetchApi.response>
type PartitionData = Response['responses'][number]['partitions'][number]

const sessionlessEpoch = -1
const openingEpoch = 0
const firstVersionById = 13
const largestOffset = Number.MAX_SAFE_INTEGER

/**
 * Which partitions are asked for is a matter of the session (KIP-227): of this request alone, of a session that it opens,
 * or of the one that it carries on. Then all are read at once, and an incremental answer leaves out what says nothing new.
 */
export const fetch = handler({
  api: fetchApi,
  versions: [4, 18],
  access: { needs: ['read topic'] },
  quota: 'consumer_byte_rate',
  answerBytes({ responses }) {
    let bytes = 0
    for (const { partitions } of responses) for (const { records } of partitions) bytes += lengthOf(records)
    return bytes
  },
  handle(request, exchange) {
    const { sessions } = exchange
    const byId = exchange.version >= firstVersionById
    if (request.sessionEpoch === sessionlessEpoch || request.sessionEpoch === openingEpoch) {
      if (request.sessionId !== 0) sessions.close(request.sessionId)
      const partitions = partitionsOf(request, byId)
      const session =
        request.sessionEpoch === openingEpoch ? sessions.open(ownerOf(exchange.access), byId, partitions) : null
      return answer(request, exchange, { partitions, byId, sessionId: session?.id ?? 0, incremental: false })
    }
    const session = sessions.use(request.sessionId)
    if (session === null) return failed(code.fetchSessionIdNotFound)
    if (session.epoch !== request.sessionEpoch) return failed(code.invalidFetchSessionEpoch)
    if (session.byId !== byId) return failed(code.fetchSessionTopicIdError)
    session.epoch = nextEpoch(session.epoch)
    if (!update(session, request, exchange)) {
      // The client goes on with a full fetch, as after an eviction.
      sessions.close(session.id)
      return failed(code.fetchSessionIdNotFound)
    }
    if (session.partitions.size === 0) sessions.close(session.id)
    const sessionId = session.partitions.size === 0 ? 0 : session.id
    return answer(request, exchange, { partitions: session.partitions, byId, sessionId, incremental: true })
  },
  firstError({ errorCode, responses }) {
    if (errorCode !== code.none) return errorCode
    for (const { partitions } of responses)
      for (const one of partitions) if (one.errorCode !== code.none) return one.errorCode
    return code.none
  },
})

function lengthOf(records: PartitionData['records']): number {
  if (records === null) return 0
  return records instanceof Uint8Array ? records.length : records.reduce((sum, { length }) => sum + length, 0)
}
const failed = (error: number): Response => ({ errorCode: error, sessionId: 0, responses: [] })

function partitionsOf(request: Request, byId: boolean): Map<string, SessionPartition> {
  const partitions = new Map<string, SessionPartition>()
  for (const { topicId, topic, partitions: asked } of request.topics)
    for (const one of asked) {
      const name = byId ? topicId : topic
      partitions.set(partitionKey(name, one.partition), sessionPartition(name, one))
    }
  return partitions
}
function sessionPartition(topic: string, asked: Request['topics'][number]['partitions'][number]): SessionPartition {
  return {
    topic,
    index: asked.partition,
    offset: asked.fetchOffset,
    maxBytes: asked.partitionMaxBytes,
    leaderEpoch: asked.currentLeaderEpoch,
    highWatermark: -1,
    start: -1,
  }
}
/** False where there is no room for so many partitions. */
function update(session: FetchSession, request: Request, { sessions }: Exchange): boolean {
  for (const { topicId, topic, partitions } of request.topics)
    for (const one of partitions)
      if (!sessions.put(session, sessionPartition(session.byId ? topicId : topic, one))) return false
  for (const { topicId, topic, partitions } of request.forgottenTopicsData)
    for (const index of partitions) sessions.forget(session, session.byId ? topicId : topic, index)
  return true
}

interface Asked {
  readonly partitions: Map<string, SessionPartition>
  readonly byId: boolean
  readonly sessionId: number
  readonly incremental: boolean
}

async function answer(request: Request, exchange: Exchange, asked: Asked): Promise<Response> {
  const { broker } = exchange
  const entries: FetchRequest['entries'][number][] = []
  const read: SessionPartition[] = []
  const told: { partition: SessionPartition; data: PartitionData }[] = []
  const topics = new Map<string, Known>()
  for (const partition of asked.partitions.values()) {
    let known = topics.get(partition.topic)
    if (known === undefined) topics.set(partition.topic, (known = knownOf(partition.topic, asked.byId, exchange)))
    const { name } = known
    const wrong = wrongWith(partition, known)
    if (wrong !== code.none) told.push({ partition, data: errorData(partition.index, wrong) })
    else {
      read.push(partition)
      entries.push({
        partition: { topic: name, index: partition.index },
        offset: offset(Math.min(partition.offset, largestOffset)),
        maxBytes: Math.max(0, partition.maxBytes),
        leaderEpoch: partition.leaderEpoch,
      })
    }
  }
  if (entries.length > 0) {
    const maxBytes = Math.min(Math.max(0, request.maxBytes), exchange.answerBytesMax)
    const waits = told.length === 0
    const answers = await broker.fetch(
      {
        entries,
        committedOnly: request.isolationLevel === 1,
        maxBytes,
        minBytes: waits ? Math.min(Math.max(0, request.minBytes), maxBytes) : 0,
        maxWaitMs: waits ? Math.min(Math.max(0, request.maxWaitMs), limits.kafkaFetchWaitMs) : 0,
      },
      exchange.signal,
    )
    exchange.whenSent(() => {
      for (const { release } of answers) release()
    })
    answers.forEach((found, i) => told.push({ partition: read[i]!, data: dataOf(found, request.isolationLevel === 1) }))
  }
  const responses = asked.incremental ? onlyNews(told, asked.partitions) : told
  remember(told)
  return { errorCode: code.none, sessionId: asked.sessionId, responses: byTopic(responses, asked.byId) }
}

interface Known {
  readonly name: string
  /** Of the topic, whatever the partition; 0 = none. */
  readonly error: number
  readonly partitions: number
}
/** Once for each topic of a request, which may name a hundred thousand partitions of it. */
function knownOf(topic: string, byId: boolean, { broker, access }: Exchange): Known {
  const found = byId ? broker.catalog.byId(topic) : broker.catalog.byName(topic)
  const name = found?.name ?? topic
  if (byId && found === null) return { name, error: code.unknownTopicId, partitions: 0 }
  const error = access.may('read', 'topic', name) ? code.none : code.topicAuthorizationFailed
  return { name, error, partitions: found?.partitions ?? 0 }
}
/** What need not be asked of the log: a fault costs more than an answer. */
function wrongWith({ index, offset: from }: SessionPartition, { error, partitions }: Known): number {
  if (error !== code.none) return error
  if (index < 0 || index >= partitions) return code.unknownTopicOrPartition
  return from < 0 ? code.offsetOutOfRange : code.none
}

type Told = { readonly partition: SessionPartition; readonly data: PartitionData }

/** What has records, an error or moved bounds; and those with records go to the end of the line. */
function onlyNews(told: readonly Told[], partitions: Map<string, SessionPartition>): Told[] {
  return told.filter(({ partition, data }) => {
    const hasRecords = data.records !== null && data.records.length > 0
    if (hasRecords) {
      const key = partitionKey(partition.topic, partition.index)
      if (partitions.delete(key)) partitions.set(key, partition)
    }
    return (
      hasRecords ||
      data.errorCode !== code.none ||
      data.highWatermark !== partition.highWatermark ||
      data.logStartOffset !== partition.start
    )
  })
}
function remember(told: readonly Told[]): void {
  for (const { partition, data } of told) {
    // After an error everything is news.
    partition.highWatermark = data.errorCode === code.none ? data.highWatermark : -1
    partition.start = data.errorCode === code.none ? (data.logStartOffset ?? -1) : -1
  }
}

function byTopic(told: readonly Told[], byId: boolean): Response['responses'] {
  const topics = new Map<string, { topicId: string; topic: string; partitions: PartitionData[] }>()
  for (const { partition, data } of told) {
    const known = topics.get(partition.topic)
    if (known !== undefined) known.partitions.push(data)
    else {
      const names = { topicId: byId ? partition.topic : '', topic: byId ? '' : partition.topic }
      topics.set(partition.topic, { ...names, partitions: [data] })
    }
  }
  return [...topics.values()]
}

function dataOf(found: FetchAnswer, committedOnly: boolean): PartitionData {
  return {
    partitionIndex: found.partition.index,
    errorCode: errorCode(found.fault),
    highWatermark: found.highWatermark,
    lastStableOffset: found.stable,
    logStartOffset: found.start,
    abortedTransactions: committedOnly ? found.aborted : null,
    records: found.records,
  }
}
const errorData = (index: number, error: number): PartitionData => ({
  partitionIndex: index,
  errorCode: error,
  highWatermark: -1,
  lastStableOffset: -1,
  logStartOffset: -1,
  abortedTransactions: null,
  records: [],
})
