import type { ProduceAnswer, ProduceRequest } from '../../../log/broker.ts'
import { type Decoded, nullUuid } from '../../../wire/kafka/codec/shape.ts'
import { type Exchange, code, errorCode, errorMessage, findTopic, handler, keptTopic, shortened } from '../handler.ts'
import { writeErrorCode } from '../transaction-errors.ts'
import { produceApi } from '../../../wire/kafka/messages/00-produce.ts'

type Request = Decoded<typeof produceApi.request>
type PartitionAnswer = {
  readonly index: number
  readonly errorCode: number
  readonly baseOffset: number
  readonly logAppendTimeMs?: number
  readonly logStartOffset?: number
  readonly recordErrors: readonly { readonly batchIndex: number; readonly batchIndexErrorMessage: string | null }[]
  readonly errorMessage?: string | null
}

const firstVersionOfAbortable = 11
/** Partitions join the transaction by being written to (KIP-890). */
const firstVersionOfJoining = 12

const acksByNumber = new Map<number, ProduceRequest['acks']>([
  [-1, 'all'],
  [0, 'none'],
  [1, 'leader'],
])

/**
 * The batches go to the log as they came, in this turn of the event loop: so requests of one connection keep their order
 * while several wait for the disk. Versions below 3 are announced because librdkafka concludes from them whether the
 * broker takes record batches; nobody sends them any more.
 */
export const produce = handler({
  api: produceApi,
  versions: [3, 13],
  access: { needs: ['write topic'], shows: ['write transactional-id'] },
  announcedFrom: 0,
  pipelined: true,
  quota: 'producer_byte_rate',
  handle(request, exchange) {
    const acks = acksByNumber.get(request.acks)
    if (acks === undefined) return refuse(request, code.invalidRequiredAcks)
    const { transactionalId } = request
    if (transactionalId !== null && !exchange.access.may('write', 'transactional-id', transactionalId))
      return refuse(request, code.transactionalIdAuthorizationFailed)
    return append(request, acks, exchange)
  },
  firstError({ responses }) {
    for (const { partitionResponses } of responses)
      for (const { errorCode } of partitionResponses) if (errorCode !== code.none) return errorCode
    return code.none
  },
})

async function append(request: Request, acks: ProduceRequest['acks'], exchange: Exchange) {
  const byId = exchange.version >= 13
  const entries: ProduceRequest['entries'][number][] = []
  // What each partition of the request gets, in its order: a code that is known now, or the next answer of the log.
  const outcomes: (number | 'log')[] = []
  for (const topic of request.topicData) {
    const name = byId ? (findTopic(exchange, { name: null, id: topic.topicId }, true)?.name ?? null) : topic.name
    const mayWrite = name === null || exchange.access.may('write', 'topic', name)
    const kept = name === null ? null : keptTopic(exchange, name)
    for (const { index, records } of topic.partitionData) {
      if (name === null) outcomes.push(topic.topicId === nullUuid ? code.unknownTopicOrPartition : code.unknownTopicId)
      else if (!mayWrite) outcomes.push(code.topicAuthorizationFailed)
      else if (records === null || records.length === 0) outcomes.push(code.invalidRecord)
      else if (kept !== null) outcomes.push(errorCode(kept))
      else {
        entries.push({ partition: { topic: name, index }, records })
        outcomes.push('log')
      }
    }
  }
  const answers = entries.length === 0 ? [] : await toLog(request.transactionalId, entries, acks, exchange)
  exchange.lease.release()
  const failed = outcomes.some((outcome) => outcome !== 'log') || answers.some((answer) => 'fault' in answer)
  // Without acknowledgements an error can only be told by closing: the client then asks for metadata anew.
  if (acks === 'none') return failed ? 'close' : null
  let at = 0
  let nextAnswer = 0
  return {
    responses: request.topicData.map((topic) => ({
      topicId: topic.topicId,
      name: topic.name,
      partitionResponses: topic.partitionData.map(({ index }) => {
        const outcome = outcomes[at++]!
        return outcome === 'log' ? answerOf(index, answers[nextAnswer++]!, exchange) : errorOf(index, outcome)
      }),
    })),
  }
}

type Entries = ProduceRequest['entries']
/**
 * The log keeps the newest batches in memory, as views of their frame. Where they are a small part of it (or of the buffer
 * that small frames are cut from) they would hold far more than the log counts: then they get memory of their own.
 */
function toLog(transactionalId: string | null, entries: Entries, acks: ProduceRequest['acks'], exchange: Exchange) {
  const { broker, lease, version } = exchange
  const joins = version >= firstVersionOfJoining
  let used = 0
  for (const { records } of entries) used += records.length
  if (entries[0]!.records.buffer.byteLength <= 2 * used)
    return broker.produce({ acks, transactionalId, joins, entries, lease })
  return broker.produce({ acks, transactionalId, joins, entries: copied(entries) })
}
function copied(entries: Entries): Entries {
  return entries.map(({ partition, records }) => {
    const own = Buffer.allocUnsafeSlow(records.length)
    own.set(records)
    return { partition, records: own }
  })
}

function answerOf(index: number, answer: ProduceAnswer, { version }: Exchange): PartitionAnswer {
  if ('fault' in answer) {
    const recordErrors = (answer.records ?? []).map((record) => ({
      batchIndex: record.index,
      batchIndexErrorMessage: shortened(record.message),
    }))
    const { fault } = answer
    const known = {
      knowsAbortable: version >= firstVersionOfAbortable,
      knowsConcurrent: version >= firstVersionOfJoining,
    }
    const error = writeErrorCode(fault, known) ?? errorCode(fault)
    return { index, errorCode: error, baseOffset: -1, recordErrors, errorMessage: errorMessage(fault) }
  }
  return {
    index,
    errorCode: code.none,
    baseOffset: answer.baseOffset,
    logAppendTimeMs: answer.appendTimeMs,
    logStartOffset: answer.start,
    recordErrors: [],
  }
}
const errorOf = (index: number, error: number): PartitionAnswer => ({
  index,
  errorCode: error,
  baseOffset: -1,
  recordErrors: [],
})

function refuse(request: Request, error: number) {
  return {
    responses: request.topicData.map((topic) => ({
      topicId: topic.topicId,
      name: topic.name,
      partitionResponses: topic.partitionData.map(({ index }) => errorOf(index, error)),
    })),
  }
}
