/**
 * Queues share out the records of streams one by one: received under a lock, acknowledged, or received again, and dead letters
 * when that has happened too often. All of it is the log's queues; the group is `kinesis.QUEUE`.
 */
import { Fault } from '../../../lib/fault.ts'
import type { Offset } from '../../../lib/brand.ts'
import { limits } from '../../../lib/limits.ts'
import type { Broker } from '../../../log/broker.ts'
import type { QueueRef, ReceivedRecord, Settlement } from '../../../log/queues/queues.ts'
import { type Call, type Handlers, isMadeAt, page, pageAfter, pageToken, resourceOf, streamNameOf } from '../call.ts'
import { ServiceError, inUse, invalid, notFound, overLimit, serviceError } from '../errors.ts'
import type { Stream } from '../streams.ts'
import {
  type KeptQueue,
  type QueueStart,
  applyQueue,
  deadGroupOf,
  deadTopicOf,
  lockMsOf,
  dropQueue,
  groupOf,
  queueOf,
  queuesOf,
  setQueue,
} from './queue-state.ts'
import { deadFrom } from '../records.ts'
import { keyText } from './records.ts'
import { tagsOf } from './tag-rules.ts'

const visibilityDefault = 30
const receivesDefault = 6
const waitSecondsDefault = 9
const bytesMax = 8 * 1024 * 1024
/** So often is it looked whether there is a topic. */
const lookMs = 250
const listedDefault = 100

export const queueOperations = {
  async CreateQueue(call) {
    const { input, service, nowMs } = call
    const { QueueName: name, StreamConfigurationList: list, QueueAttributes, Tags } = input
    const { streams, log } = service
    if (list.length > 1)
      throw invalid(`StreamConfigurationList has exactly one entry, not ${list.length}: a queue is of one stream.`)
    const found = list.map((one) => ({
      ...one,
      stream: call.found('read', { StreamName: streamNameOf(streams, one) }),
    }))
    if (queueOf(streams, name) !== null || making.has(name))
      throw inUse(`Queue ${name} under account ${streams.account} already exists.`)
    if (queuesOf(streams).length + making.size >= limits.kinesisQueues)
      throw overLimit(`There are ${limits.kinesisQueues} queues, and no more are taken.`)
    call.changes(`queue:${name}`)
    const queue = withAttributes(
      {
        name,
        createdMs: nowMs,
        streams: found.map(({ stream, StartingPosition }) => ({
          name: stream.name,
          topicId: stream.topicId,
          start: startKept(call, StartingPosition),
        })),
        visibilitySeconds: visibilityDefault,
        deadLetters: true,
        receivesMax: receivesDefault,
        tags: Tags === undefined ? {} : tagsOf(Tags),
      },
      QueueAttributes,
    )
    making.add(name)
    try {
      applyQueue(log, queue)
      for (const { stream, StartingPosition } of found) {
        const to = await Promise.all(
          stream.shards.map(async (_, index) => ({
            of: { topicId: stream.topicId, index },
            offset: (await startOf(call, stream, index, StartingPosition)) as Offset,
          })),
        )
        await log.queues.reset(groupOf(queue), to)
      }
      await passDeadLetters(call, queue)
      await setQueue(streams, queue)
    } finally {
      making.delete(name)
    }
    return { QueueDescription: description(call, queue) }
  },
  async UpdateQueue(call) {
    const queue = withAttributes(found(call, 'alter'), call.input.QueueAttributes)
    call.changes(`queue:${queue.name}`)
    await setQueue(call.service.streams, queue)
    applyQueue(call.service.log, queue)
    return { QueueDescription: description(call, queue) }
  },
  async DeleteQueue(call) {
    const queue = found(call, 'alter')
    const { streams, log } = call.service
    await dropQueue(streams, queue.name)
    await log.queues.forget(groupOf(queue), null)
    await log.queues.forget(deadGroupOf(queue), null)
    for (const group of [groupOf(queue), deadGroupOf(queue)]) log.queues.configure(group, null)
    return null
  },
  DescribeQueue: (call) => ({ QueueDescription: description(call, found(call, 'describe')) }),
  ListQueues(call) {
    const { MaxResults = listedDefault, NextToken, StreamFilter } = call.input
    const { streams } = call.service
    const wanted = StreamFilter?.map((one) => {
      const stream = streams.find(streamNameOf(streams, one))
      return stream === null || !isMadeAt(call, stream, one.StreamCreationTimestamp) ? null : stream.topicId
    })
    const after = pageAfter(NextToken)
    const all = queuesOf(streams).filter(
      (queue) =>
        queue.streams.every(({ name }) => call.sees('describe', name)) &&
        (wanted === undefined || queue.streams.some(({ topicId }) => wanted.includes(topicId))),
    )
    const { some, more } = page(all, MaxResults, ({ name }) => name > after)
    return {
      QueueSummaries: some.map((queue) => ({
        ...head(call, queue),
        Streams: queue.streams.map(({ name }) => ({
          StreamARN: streams.arn(name),
          StreamCreationTimestamp: call.codec.time(streams.find(name)?.createdMs ?? 0),
        })),
      })),
      ...(more ? { NextToken: pageToken(some.at(-1)!.name) } : {}),
    }
  },

  async ReceiveQueueRecords(call) {
    const queue = found(call, 'read')
    return received(call, groupOf(queue), () =>
      queue.streams.flatMap(({ name, topicId }) => {
        const stream = call.service.streams.find(name)
        return stream?.topicId === topicId ? stream.shards.map((_, index) => ({ topicId, index })) : []
      }),
    )
  },
  AcknowledgeQueueRecords: (call) => settled(call, groupOf(found(call, 'read')), accepted),
  UpdateQueueRecordsVisibility: (call) => settled(call, groupOf(found(call, 'read')), visibility),

  async ReceiveDeadLetterQueueRecords(call) {
    const queue = found(call, 'read')
    return received(call, deadGroupOf(queue), () => {
      const topic = call.service.log.catalog.byName(deadTopicOf(queue))
      return Array.from({ length: topic?.partitions ?? 0 }, (_, index) => ({ topicId: topic!.id, index }))
    })
  },
  AcknowledgeDeadLetterQueueRecords: (call) => settled(call, deadGroupOf(found(call, 'read')), accepted),
  UpdateDeadLetterQueueRecordsVisibility: (call) => settled(call, deadGroupOf(found(call, 'read')), visibility),
  async RestoreDeadLetterQueueRecords(call) {
    const queue = found(call, 'write')
    const { records, streams } = call.service
    // The copy in the stream is durable before the dead letter is done with: a crash in between restores it once more. Who
    // does not hold it (any more) restores nothing.
    return settled(call, deadGroupOf(queue), accepted, async ({ topicId, index, offset, member }) => {
      const again = [{ first: offset, last: offset, outcomes: ['renew' as const] }]
      const of = { topicId, index }
      const { queues } = call.service.log
      if (queues.held(deadGroupOf(queue), member, of, [{ offset }])[0] !== true)
        throw new Fault('log.record-not-held', { offset, member })
      const [fault] = await queues.settle(deadGroupOf(queue), member, [{ of, settlements: again }])
      if (fault instanceof Fault) throw fault
      await records.restore(deadTopicOf(queue), { index, offset }, (name) => streams.find(name))
    })
  },
} satisfies Partial<Handlers>

/** Names of queues that are being made. */
const making = new Set<string>()
/** Dead letters of a queue of this name that was deleted are not its own. */
async function passDeadLetters({ service: { log } }: Call, queue: KeptQueue): Promise<void> {
  const topic = log.catalog.byName(deadTopicOf(queue))
  if (topic === null) return
  const of = Array.from({ length: topic.partitions }, (_, index) => ({ topic: topic.name, index }))
  const bounds = await log.bounds(of)
  const to = bounds.map(({ partition, end }) => ({ of: { topicId: topic.id, index: partition.index }, offset: end }))
  await log.queues.reset(deadGroupOf(queue), to)
}

type Become = Pick<Settlement, 'outcomes' | 'lockMs'>
const accepted = (): Become => ({ outcomes: ['accept'] })
const visibility = ({ VisibilityTimeoutSeconds = 0 }: Entry): Become =>
  VisibilityTimeoutSeconds === 0
    ? { outcomes: ['release'] }
    : { outcomes: ['renew'], lockMs: lockMsOf(VisibilityTimeoutSeconds) }

type Attributes = Call<'UpdateQueue'>['input']['QueueAttributes']
function withAttributes(queue: KeptQueue, attributes: Attributes | undefined): KeptQueue {
  const { VisibilityTimeoutSeconds: visibilitySeconds = queue.visibilitySeconds, DeadLetterConfiguration: dead } =
    attributes ?? {}
  if (dead === undefined) return { ...queue, visibilitySeconds }
  if (dead.TargetType === 'BUILT_IN' && dead.MaxReceiveCount === undefined)
    throw invalid('MaxReceiveCount must be specified for a DeadLetterConfiguration of the type BUILT_IN.')
  return {
    ...queue,
    visibilitySeconds,
    deadLetters: dead.TargetType === 'BUILT_IN',
    receivesMax: dead.MaxReceiveCount ?? queue.receivesMax,
  }
}
type Start = NonNullable<Call<'CreateQueue'>['input']['StreamConfigurationList'][number]['StartingPosition']>
function startOf(call: Call, stream: Stream, shard: number, start: Start | undefined): Promise<number> {
  const { records } = call.service
  if (start?.Type === 'TRIM_HORIZON') return records.start(stream, shard)
  if (start?.Type !== 'AT_TIMESTAMP') return records.end(stream, shard)
  if (start.Timestamp === undefined) throw invalid('Timestamp must be specified for a starting position AT_TIMESTAMP.')
  return records.atTime(stream, shard, call.codec.ms(start.Timestamp))
}

function startKept({ codec }: Call, start: Start | undefined): QueueStart {
  const { Type: type = 'LATEST', Timestamp } = start ?? {}
  return { type, ...(Timestamp === undefined ? {} : { ms: codec.ms(Timestamp) }) }
}

const arnOf = ({ service }: Call, { name }: KeptQueue): string => {
  const { account, settings } = service.streams
  return `arn:aws:kinesis:${settings.region}:${account}:queue/${name}`
}
const head = (call: Call, queue: KeptQueue): object => ({
  QueueName: queue.name,
  QueueARN: arnOf(call, queue),
  QueueStatus: 'ACTIVE',
  QueueCreationTimestamp: call.codec.time(queue.createdMs),
})
const description = (call: Call, queue: KeptQueue): object => ({
  ...head(call, queue),
  StreamConfigurationList: queue.streams.map(({ name, start = { type: 'LATEST' } }) => ({
    StreamARN: call.service.streams.arn(name),
    StartingPosition: {
      Type: start.type,
      ...(start.ms === undefined ? {} : { Timestamp: call.codec.time(start.ms) }),
    },
  })),
  QueueAttributes: {
    VisibilityTimeoutSeconds: queue.visibilitySeconds,
    DeadLetterConfiguration: {
      TargetType: queue.deadLetters ? 'BUILT_IN' : 'NONE',
      MaxReceiveCount: queue.receivesMax,
    },
  },
})
/** Throws ServiceError. */
function found(call: Call, needs: 'describe' | 'read' | 'write' | 'alter'): KeptQueue {
  const { QueueARN } = call.input as { readonly QueueARN: string }
  const name = resourceOf(QueueARN).queue ?? ''
  const queue = queueOf(call.service.streams, name)
  if (queue === null) throw notFound(`Queue ${name} under account ${call.service.streams.account} not found.`)
  for (const { name: stream } of queue.streams) call.demand(needs, stream)
  return queue
}

/** What a receipt says: which record, and who has it. */
export interface Receipt extends QueueRef {
  readonly offset: number
  readonly member: string
}
const receiptText = ({ topicId, index, offset, member }: Receipt): string =>
  Buffer.from(JSON.stringify([topicId, index, offset, member])).toString('base64')
function receiptOf(text: string): Receipt | null {
  try {
    const [topicId, index, offset, member] = JSON.parse(Buffer.from(text, 'base64').toString()) as unknown[]
    if (typeof topicId !== 'string' || typeof member !== 'string') return null
    if (!Number.isSafeInteger(index) || !Number.isSafeInteger(offset)) return null
    return { topicId, index: index as number, offset: offset as number, member }
  } catch {
    return null
  }
}

async function received(
  call: Call<'ReceiveQueueRecords'> | Call<'ReceiveDeadLetterQueueRecords'>,
  group: string,
  refs: () => readonly QueueRef[],
): Promise<object> {
  const { service, input, nowMs, codec } = call
  const { Limit = 10, WaitTimeSeconds = waitSecondsDefault, VisibilityTimeoutSeconds } = input
  const { clock } = service.world
  const untilMs = clock.monotonic() + WaitTimeSeconds * 1_000
  const leftMs = (): number => Math.max(0, untilMs - clock.monotonic())
  // Dead letters have no topic before the first of them.
  let of = refs()
  for (; of.length === 0 && leftMs() > 0 && !call.signal.aborted; of = refs())
    await clock.sleep(Math.min(lookMs, leftMs()), call.signal).catch(() => undefined)
  if (of.length === 0) return { QueueRecords: [] }
  const member = service.world.random.uuid()
  // Another one first each time: none starves behind the others.
  const first = Math.floor(service.world.random.fraction() * of.length)
  const found = await service.log.queues.receive(
    {
      group,
      member,
      of: [...of.slice(first), ...of.slice(0, first)],
      recordsMax: Limit,
      bytesMax,
      waitMs: leftMs(),
      ...(VisibilityTimeoutSeconds === undefined ? {} : { lockMs: lockMsOf(VisibilityTimeoutSeconds) }),
    },
    call.signal,
  )
  await call.room(found.reduce((sum, { value }) => sum + (value?.length ?? 0), 0))
  return {
    QueueRecords: found.map((record: ReceivedRecord) => ({
      ReceiptHandle: receiptText({ ...record.of, offset: record.offset, member }),
      RecordId: call.name === 'ReceiveQueueRecords' ? idOf(record.of, record.offset) : idOfDead(service.log, record),
      ...(record.key === null ? {} : { PartitionKey: keyText(record.key) }),
      Data: codec.bytes(record.value ?? new Uint8Array(0)),
      ApproximateArrivalTimestamp: codec.time(record.timeMs),
      FirstReceiveTimestamp: codec.time(record.firstMs || nowMs),
      ReceiveCount: record.deliveries,
    })),
  }
}
/** A dead letter has that of the record which it was. */
function idOfDead({ catalog }: Broker, { of, offset, headers }: ReceivedRecord): string {
  const from = deadFrom(headers)
  const topicId = from === null ? undefined : catalog.byName(from.topic)?.id
  return topicId === undefined ? idOf(of, offset) : idOf({ topicId, index: from!.partition }, from!.offset)
}
const idOf = (of: QueueRef, offset: number): string =>
  `${of.topicId.replaceAll('-', '')}${of.index.toString(16).padStart(8, '0')}${offset.toString(16).padStart(16, '0')}`

interface Entry {
  readonly ReceiptHandle: string
  readonly VisibilityTimeoutSeconds?: number
}
/** Each entry for itself. `before`: what is done before the record is settled. */
async function settled(
  call: Call,
  group: string,
  becomes: (entry: Entry) => Become,
  before: (receipt: Receipt) => Promise<void> = () => Promise.resolve(),
): Promise<object> {
  const { Entries } = call.input as { readonly Entries: readonly Entry[] }
  const Successful: object[] = []
  const Failed: object[] = []
  for (const entry of Entries) {
    const { ReceiptHandle } = entry
    const fault = await settle(call, group, ReceiptHandle, becomes(entry), before)
    if (fault === null) Successful.push({ ReceiptHandle })
    else Failed.push({ ReceiptHandle, ErrorCode: fault.type, ErrorMessage: fault.message })
  }
  return { Successful, Failed }
}
async function settle(
  { service }: Call,
  group: string,
  handle: string,
  become: Become,
  before: (receipt: Receipt) => Promise<void>,
): Promise<ServiceError | null> {
  const receipt = receiptOf(handle)
  if (receipt === null) return invalid('ReceiptHandle is not valid.')
  const { topicId, index, offset, member } = receipt
  const of = { topicId, index }
  try {
    await before(receipt)
    const settlements = [{ first: offset, last: offset, ...become }]
    const [fault] = await service.log.queues.settle(group, member, [{ of, settlements }])
    if (fault instanceof Fault)
      return fault.code === 'log.record-not-held' ? invalid('ReceiptHandle has expired.') : serviceError(fault)
    return null
  } catch (error) {
    return error instanceof Fault && error.code === 'log.record-not-held'
      ? invalid('ReceiptHandle has expired.')
      : serviceError(error)
  }
}
