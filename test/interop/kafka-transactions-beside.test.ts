/**
 * Transactions, request by request, on Millrace and on Apache Kafka 4.3.1: what both answer is equal, offsets and what
 * committed readers are shown included, but for the producer ids that each gives out. Both protocols: that of producers
 * that keep their epoch (`plain`), and that of those that take the next one at every end (`bumping`, KIP-890).
 */
import { after, before, test } from 'node:test'
import { nullUuid } from '../../src/wire/kafka/codec/shape.ts'
import { decodeBatch, encodeBatch } from '../../src/log/batch.ts'
import { attribute, ownBatch, readBatchHeader } from '../../src/store/batch-header.ts'
import { produceApi } from '../../src/wire/kafka/messages/00-produce.ts'
import { fetchApi } from '../../src/wire/kafka/messages/01-fetch.ts'
import { listOffsetsApi } from '../../src/wire/kafka/messages/02-list-offsets.ts'
import { offsetCommitApi } from '../../src/wire/kafka/messages/08-offset-commit.ts'
import { offsetFetchApi } from '../../src/wire/kafka/messages/09-offset-fetch.ts'
import { initProducerIdApi } from '../../src/wire/kafka/messages/22-init-producer-id.ts'
import { addPartitionsToTxnApi } from '../../src/wire/kafka/messages/24-add-partitions-to-txn.ts'
import { addOffsetsToTxnApi } from '../../src/wire/kafka/messages/25-add-offsets-to-txn.ts'
import { endTxnApi } from '../../src/wire/kafka/messages/26-end-txn.ts'
import { writeTxnMarkersApi } from '../../src/wire/kafka/messages/27-write-txn-markers.ts'
import { txnOffsetCommitApi } from '../../src/wire/kafka/messages/28-txn-offset-commit.ts'
import { describeProducersApi } from '../../src/wire/kafka/messages/61-describe-producers.ts'
import { describeTransactionsApi } from '../../src/wire/kafka/messages/65-describe-transactions.ts'
import { listTransactionsApi } from '../../src/wire/kafka/messages/66-list-transactions.ts'
import { consumerGroupHeartbeatApi } from '../../src/wire/kafka/messages/68-consumer-group-heartbeat.ts'
import { batchesOf } from '../../src/log/local/system-log.ts'
import { type Side, fresh, pause, startBeside } from './kafka/beside.ts'

const { both, each } = startBeside({ before, after }, [
  'transaction.state.log.num.partitions=1',
  'offsets.topic.num.partitions=1',
  'transaction.abort.timed.out.transaction.cleanup.interval.ms=100',
])
/** CONCURRENT_TRANSACTIONS; and what Kafka says while it makes a topic, reads its log or reserves producer ids. */
const again: ReadonlySet<number | undefined> = new Set([6, 14, 15, 16, 51])
/** One producer of a transactional id on one side. */
class Producer {
  readonly side: Side
  readonly id: string
  producerId = -1
  epoch = -1
  readonly sequences = new Map<string, number>()

  constructor(side: Side, id: string) {
    this.side = side
    this.id = id
  }
  /** Another one that believes to be what this one was. */
  former(): Producer {
    const copy = new Producer(this.side, this.id)
    copy.producerId = this.producerId
    copy.epoch = this.epoch
    return copy
  }
  async init(
    version: number,
    { timeoutMs = 60_000, waits = true, expected = { producerId: -1, producerEpoch: -1 } } = {},
  ): Promise<unknown> {
    const ask = () =>
      this.side.ask(initProducerIdApi, version, {
        transactionalId: this.id,
        transactionTimeoutMs: timeoutMs,
        enable2Pc: false,
        keepPreparedTxn: false,
        ...expected,
      })
    const answer = waits ? await settled(ask) : await ask()
    if (answer.errorCode === 0) {
      this.producerId = answer.producerId
      this.epoch = answer.producerEpoch
      this.sequences.clear()
    }
    return { error: answer.errorCode, id: this.side.called(answer.producerId), epoch: answer.producerEpoch }
  }
  async produce(
    version: number,
    topic: string,
    partition: number,
    value: string,
    how: { transactional?: boolean; sequence?: number; id?: string | null } = {},
  ): Promise<unknown> {
    const key = `${topic}/${partition}`
    const sequence = how.sequence ?? this.sequences.get(key) ?? 0
    const records = encodeBatch([{ key: null, value: Buffer.from(value), timeMs: Date.now() }])
    ownBatch(records, {
      producerId: this.producerId,
      producerEpoch: this.epoch,
      baseSequence: sequence,
      transactional: how.transactional ?? true,
    })
    const ask = async () => {
      const { responses } = await this.side.ask(produceApi, version, {
        transactionalId: how.id === undefined ? this.id : how.id,
        acks: -1,
        timeoutMs: 10_000,
        topicData: [{ topicId: nullUuid, name: topic, partitionData: [{ index: partition, records: [records] }] }],
      })
      return responses[0]!.partitionResponses[0]!
    }
    const answer = await settled(ask)
    if (answer.errorCode === 0) this.sequences.set(key, sequence + 1)
    return { error: answer.errorCode, offset: answer.baseOffset }
  }
  async add(version: number, topic: string, ...partitions: number[]): Promise<unknown> {
    const { resultsByTopicV3AndBelow } = await settledBy(
      () =>
        this.side.ask(addPartitionsToTxnApi, version, {
          v3AndBelowTransactionalId: this.id,
          v3AndBelowProducerId: this.producerId,
          v3AndBelowProducerEpoch: this.epoch,
          v3AndBelowTopics: [{ name: topic, partitions }],
          transactions: [],
        }),
      (answer) => answer.resultsByTopicV3AndBelow[0]?.resultsByPartition[0]?.partitionErrorCode,
    )
    return resultsByTopicV3AndBelow
  }
  async addOffsets(version: number, groupId: string): Promise<number> {
    const { id: transactionalId, producerId, epoch: producerEpoch } = this
    const ask = () =>
      this.side.ask(addOffsetsToTxnApi, version, { transactionalId, producerId, producerEpoch, groupId })
    return (await settled(ask)).errorCode
  }
  async commitOffset(
    version: number,
    group: string,
    topic: string,
    offset: number,
    by: { generationId?: number; memberId?: string; groupInstanceId?: string | null } = {},
  ): Promise<unknown> {
    const partition = {
      partitionIndex: 0,
      committedOffset: offset,
      committedLeaderEpoch: -1,
      committedMetadata: `at ${offset}`,
    }
    const ask = async () => {
      const { topics } = await this.side.ask(txnOffsetCommitApi, version, {
        transactionalId: this.id,
        groupId: group,
        producerId: this.producerId,
        producerEpoch: this.epoch,
        ...by,
        topics: [{ name: topic, partitions: [partition] }],
      })
      return topics[0]!.partitions[0]!
    }
    return (await settled(ask)).errorCode
  }
  async end(version: number, commit: boolean): Promise<unknown> {
    const ask = () =>
      this.side.ask(endTxnApi, version, {
        transactionalId: this.id,
        producerId: this.producerId,
        producerEpoch: this.epoch,
        committed: commit,
      })
    const answer = await settled(ask)
    if (answer.errorCode === 0 && version >= 5) {
      if (answer.producerEpoch !== this.epoch) this.sequences.clear()
      this.producerId = answer.producerId
      this.epoch = answer.producerEpoch
    }
    return { error: answer.errorCode, id: this.side.called(answer.producerId), epoch: answer.producerEpoch }
  }
  async described(): Promise<unknown> {
    const { transactionStates } = await this.side.ask(describeTransactionsApi, 0, { transactionalIds: [this.id] })
    const { transactionStartTimeMs, transactionalId: _, producerId, topics: of, ...rest } = transactionStates[0]!
    const parts = of.map(({ topic, partitions }) => [topic, [...partitions].sort()])
    return {
      ...rest,
      topics: parts.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
      id: this.side.called(producerId),
      hasBegun: transactionStartTimeMs > 0,
    }
  }
  /** Until the state is reached: Kafka takes a moment to get from prepared to complete. */
  async reaches(state: string): Promise<unknown> {
    for (let i = 0; i < 200; i++) {
      const said = (await this.described()) as { transactionState: string }
      if (said.transactionState === state) return said
      await pause(20)
    }
    return this.described()
  }
}
async function settled<T extends { errorCode: number }>(ask: () => Promise<T>): Promise<T> {
  return settledBy(ask, ({ errorCode }) => errorCode)
}
async function settledBy<T>(ask: () => Promise<T>, errorOf: (answer: T) => number | undefined): Promise<T> {
  for (let i = 0; i < 200; i++) {
    const answer = await ask()
    if (!again.has(errorOf(answer))) return answer
    await pause(20)
  }
  throw new Error('it never came to an end')
}

/** What a committed reader is shown, and the batches and bounds that the partition has. */
async function shown(side: Side, topic: string, partition = 0): Promise<unknown> {
  const { responses } = await side.ask(fetchApi, 12, {
    maxWaitMs: 0,
    minBytes: 0,
    maxBytes: 1_000_000,
    isolationLevel: 1,
    sessionId: 0,
    sessionEpoch: -1,
    topics: [
      {
        topic,
        partitions: [
          {
            partition,
            fetchOffset: 0,
            currentLeaderEpoch: -1,
            lastFetchedEpoch: -1,
            logStartOffset: -1,
            partitionMaxBytes: 1_000_000,
          },
        ],
      },
    ],
    forgottenTopicsData: [],
    rackId: '',
    clusterId: null,
    replicaState: { replicaId: -1, replicaEpoch: -1 },
  } as never)
  const found = responses[0]!.partitions[0]!
  const batches = [...batchesOf(found.records === null ? [] : [found.records])].map((batch) => {
    const { producerId, producerEpoch, baseSequence, baseOffset, attributes } = readBatchHeader(batch)
    const isMarker = (attributes & attribute.control) !== 0
    const values = decodeBatch(batch).map(({ key, value }) => (isMarker ? key![3] : Buffer.from(value!).toString()))
    return { values, id: side.called(producerId), producerEpoch, baseSequence, baseOffset, isMarker }
  })
  return {
    error: found.errorCode,
    end: found.highWatermark,
    stable: found.lastStableOffset,
    aborted: (found.abortedTransactions ?? [])
      .toSorted((a, b) => a.firstOffset - b.firstOffset)
      .map((one) => [side.called(one.producerId), one.firstOffset]),
    batches,
  }
}
/** Bounds that both sides come to once what was decided has its markers. */
async function settledShown(side: Side, topic: string, end: number, partition = 0): Promise<unknown> {
  for (let i = 0; i < 200; i++) {
    const found = (await shown(side, topic, partition)) as { end: number; stable: number }
    if (found.end >= end && found.stable >= end) return found
    await pause(20)
  }
  return shown(side, topic, partition)
}
const endOf = async (side: Side, topic: string, committed: boolean): Promise<number> => {
  const { topics } = await side.ask(listOffsetsApi, 7, {
    replicaId: -1,
    isolationLevel: committed ? 1 : 0,
    timeoutMs: 1_000,
    topics: [{ name: topic, partitions: [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp: -1 }] }],
  })
  return topics[0]!.partitions[0]!.offset
}
async function position(side: Side, group: string, topic: string, requireStable: boolean): Promise<unknown> {
  const { groups } = await side.ask(offsetFetchApi, 9, {
    groups: [
      {
        groupId: group,
        memberId: null,
        memberEpoch: -1,
        topics: [{ topicId: nullUuid, name: topic, partitionIndexes: [0] }],
      },
    ],
    requireStable,
  } as never)
  const { committedOffset, metadata, errorCode } = groups[0]!.topics[0]!.partitions[0]!
  return { committedOffset, metadata, errorCode, group: groups[0]!.errorCode }
}
async function topics(...wanted: readonly [name: string, partitions: number][]): Promise<void> {
  await each(async (side) => {
    for (const [name, partitions] of wanted) await side.topic(name, partitions)
  })
}

test('InitProducerId: ids, epochs, timeouts, and who may go on', async () => {
  const id = fresh('init')
  await both('what is not taken', async (side) => {
    const said: unknown[] = []
    const ask = (more: object, version = 5) =>
      side.ask(initProducerIdApi, version, {
        transactionalId: id,
        transactionTimeoutMs: 60_000,
        enable2Pc: false,
        keepPreparedTxn: false,
        producerId: -1,
        producerEpoch: -1,
        ...more,
      })
    for (const more of [
      { transactionTimeoutMs: 0 },
      { transactionTimeoutMs: -1 },
      { transactionTimeoutMs: 900_001 },
      { transactionalId: '' },
      { producerId: 5 },
      { producerEpoch: 5 },
      { transactionalId: null, producerId: 5 },
    ]) {
      const { errorCode, producerId, producerEpoch } = await ask(more)
      said.push([JSON.stringify(more), errorCode, producerId, producerEpoch])
    }
    return said
  })
  await both('the longest timeout', (side) => new Producer(side, fresh('long')).init(5, { timeoutMs: 900_000 }))
  await both('epochs', async (side) => {
    const producer = new Producer(side, id)
    const said = [await producer.init(0), await producer.init(2), await producer.init(3)]
    const former = producer.former()
    const expected = { producerId: former.producerId, producerEpoch: former.epoch }
    said.push(await producer.init(5, { expected }))
    // Asked again: the answer was lost.
    said.push(await producer.init(5, { expected }))
    // Another producer comes: the former is fenced, for each version by the code that it knows.
    said.push(await producer.init(5))
    for (const version of [3, 4, 5]) said.push(await former.former().init(version, { expected }))
    said.push(await producer.init(5, { expected: { producerId: former.producerId + 1_000_000, producerEpoch: 0 } }))
    said.push(await producer.described())
    return said
  })
  await both('a producer of an id that nobody knows brings its own', async (side) => {
    const producer = new Producer(side, fresh('unknown'))
    const { error, epoch } = (await producer.init(5, { expected: { producerId: 7_000_000, producerEpoch: 3 } })) as {
      error: number
      epoch: number
    }
    return { error, epoch }
  })
})

test('a bumping producer: what is written joins, each end takes the next epoch', async () => {
  const [topic, id] = [fresh('bumping'), fresh('id')]
  await topics([topic, 2])
  await both('two transactions', async (side) => {
    const producer = new Producer(side, id)
    const said: unknown[] = [await producer.init(5)]
    said.push(await producer.produce(12, topic, 0, 'a'), await producer.produce(12, topic, 0, 'b'))
    said.push(await producer.produce(12, topic, 1, 'c'), await producer.described())
    said.push(await shown(side, topic), await endOf(side, topic, true), await endOf(side, topic, false))
    const before = producer.former()
    said.push(await producer.end(5, true), await settledShown(side, topic, 3), await settledShown(side, topic, 2, 1))
    said.push(await producer.reaches('CompleteCommit'))
    // The same end again; the other one; and then what is not one.
    said.push(await before.former().end(5, true), await before.former().end(5, false))
    said.push(await producer.former().end(5, true))
    said.push(await before.produce(12, topic, 0, 'late'))
    said.push(await producer.produce(12, topic, 0, 'd'), await producer.produce(12, topic, 1, 'e'))
    const third = producer.former()
    said.push(await producer.end(5, false), await settledShown(side, topic, 5), await settledShown(side, topic, 4, 1))
    said.push(await producer.reaches('CompleteAbort'))
    said.push(await third.former().end(5, false), await third.former().end(5, true))
    // Nothing is open: an abort takes an epoch, a commit is none.
    said.push(await producer.end(5, false), await producer.reaches('CompleteAbort'), await producer.end(5, true))
    said.push(
      await producer.produce(12, topic, 0, 'f'),
      await producer.end(5, true),
      await settledShown(side, topic, 7),
    )
    return said
  })
  await both('an end of nothing, from the beginning', async (side) => {
    const producer = new Producer(side, fresh('empty'))
    const said = [await producer.init(5), await producer.end(5, true), await producer.end(5, false)]
    return [...said, await producer.reaches('CompleteAbort')]
  })
})

/** Thousands of requests: by EPOCHS=1. */
const hasTime = process.env['EPOCHS'] !== undefined
test(
  'when the epochs are used up, another producer id takes over',
  { skip: !hasTime && 'EPOCHS=1 runs it' },
  async () => {
    const topic = fresh('epochs')
    await topics([topic, 1])
    const worn = async (side: Side): Promise<Producer> => {
      const producer = new Producer(side, fresh('worn'))
      await producer.init(5)
      while (producer.epoch < 32_764) await producer.init(5)
      return producer
    }
    await both('by ends', async (side) => {
      const producer = await worn(side)
      const said: unknown[] = []
      for (let i = 0; i < 4; i++) {
        const former = producer.former()
        said.push(await producer.produce(12, topic, 0, `${i}`), await producer.end(5, true))
        said.push(await former.former().end(5, true), await producer.reaches('CompleteCommit'))
        const expected = { producerId: former.producerId, producerEpoch: former.epoch }
        if (i === 2) said.push(await former.former().init(5, { expected }))
      }
      return [...said, await settledShown(side, topic, 8)]
    })
    await both('by beginning anew', async (side) => {
      const producer = await worn(side)
      const said: unknown[] = [await producer.init(5), await producer.produce(12, topic, 0, 'open')]
      const former = producer.former()
      said.push(await producer.init(5), await former.end(5, true))
      for (let i = 0; i < 2; i++) said.push(await producer.init(5))
      return said
    })
  },
)

test('a plain producer: partitions are added, ends keep the epoch', async () => {
  const [topic, id] = [fresh('plain'), fresh('id')]
  await topics([topic, 3])
  await both('two transactions', async (side) => {
    const producer = new Producer(side, id)
    const said: unknown[] = [await producer.init(4)]
    said.push(await producer.produce(9, topic, 0, 'too early'), await producer.produce(10, topic, 0, 'too early'))
    said.push(await producer.produce(11, topic, 0, 'too early'))
    said.push(await producer.add(3, topic, 0, 1), await producer.described())
    said.push(await producer.produce(9, topic, 0, 'a'), await producer.produce(11, topic, 1, 'b'))
    said.push(await producer.produce(11, topic, 2, 'not added'), await producer.produce(9, topic, 2, 'not added'))
    said.push(await producer.add(0, topic, 1), await producer.add(3, topic, 7))
    said.push(await producer.add(3, 'no-such-topic', 0))
    said.push(await shown(side, topic), await producer.end(3, true), await settledShown(side, topic, 2))
    said.push(await settledShown(side, topic, 2, 1), await producer.reaches('CompleteCommit'))
    said.push(await producer.end(3, true), await producer.end(3, false), await producer.end(1, false))
    said.push(await producer.add(3, topic, 0), await producer.produce(9, topic, 0, 'c'))
    said.push(await producer.end(3, false), await settledShown(side, topic, 4), await producer.reaches('CompleteAbort'))
    said.push(await producer.end(3, false), await producer.end(3, true))
    said.push(await producer.add(3, topic, 0), await producer.produce(9, topic, 0, 'd'))
    said.push(await producer.end(4, true), await settledShown(side, topic, 6))
    return said
  })
  await both('an end of nothing', async (side) => {
    const producer = new Producer(side, fresh('nothing'))
    const said = [await producer.init(4), await producer.end(3, true), await producer.end(3, false)]
    return [...said, await producer.described()]
  })
})

test('who is not the producer is told so, by what it knows', async () => {
  const [topic, id] = [fresh('fenced'), fresh('id')]
  await topics([topic, 1])
  await both('fenced while a transaction is open', async (side) => {
    const former = new Producer(side, id)
    const said: unknown[] = [await former.init(5), await former.produce(12, topic, 0, 'a')]
    const producer = new Producer(side, id)
    said.push(await producer.init(5, { waits: false }))
    said.push(await former.reaches('CompleteAbort'), await settledShown(side, topic, 2), await producer.init(5))
    for (const version of [9, 11, 12]) said.push(await former.produce(version, topic, 0, 'late'))
    for (const version of [0, 1, 2, 3, 4, 5]) said.push(await former.end(version, true))
    for (const version of [0, 1, 2, 3]) said.push(await former.add(version, topic, 0))
    for (const version of [0, 1, 2, 3, 4]) said.push(await former.addOffsets(version, 'g'))
    for (const version of [0, 2, 3, 4, 5]) said.push(await former.commitOffset(version, 'g', topic, 1))
    said.push(
      await producer.produce(12, topic, 0, 'b'),
      await producer.end(5, true),
      await settledShown(side, topic, 4),
    )
    return said
  })
  await both('a producer id that the transactional id does not have', async (side) => {
    const stranger = new Producer(side, id)
    stranger.producerId = 9_000_000
    stranger.epoch = 0
    const said: unknown[] = []
    for (const version of [9, 12]) said.push(await stranger.produce(version, topic, 0, 'x'))
    for (const version of [3, 5]) said.push(await stranger.end(version, true))
    said.push(await stranger.add(3, topic, 0), await stranger.addOffsets(3, 'g'))
    for (const version of [3, 5]) said.push(await stranger.commitOffset(version, 'g', topic, 1))
    const unknown = new Producer(side, fresh('nobody'))
    unknown.producerId = 1
    unknown.epoch = 0
    said.push(await unknown.produce(12, topic, 0, 'x'), await unknown.end(5, true), await unknown.add(3, topic, 0))
    said.push(await unknown.described(), await new Producer(side, '').described())
    return said
  })
  await both('records of a transaction without its id, and records outside of it', async (side) => {
    const producer = new Producer(side, fresh('mixed'))
    const said: unknown[] = [await producer.init(5), await producer.produce(12, topic, 0, 'x', { id: null })]
    said.push(await producer.produce(12, topic, 0, 'y'))
    said.push(await producer.produce(12, topic, 0, 'plain', { transactional: false, id: null }))
    said.push(await producer.produce(12, topic, 0, 'gap', { sequence: 7 }))
    said.push(await producer.end(5, false), await settledShown(side, topic, 6))
    const late = new Producer(side, fresh('begins late'))
    said.push(await late.init(5), await late.produce(12, topic, 0, 'not the first', { sequence: 3 }))
    said.push(await late.end(5, false))
    return said
  })
})

test('positions of groups are committed with the transaction, or not at all', async () => {
  const topic = fresh('positions')
  await topics([topic, 1])
  for (const bumping of [true, false])
    await both(bumping ? 'bumping' : 'plain', async (side) => {
      const group = fresh(`group-${bumping}`)
      const producer = new Producer(side, fresh('id'))
      const version = bumping ? 5 : 3
      const said: unknown[] = [await producer.init(5)]
      if (!bumping)
        said.push(await producer.commitOffset(3, group, topic, 1), await producer.commitOffset(4, group, topic, 1))
      if (!bumping) said.push(await producer.addOffsets(3, group), await producer.described())
      said.push(await producer.commitOffset(version, group, topic, 5))
      said.push(await position(side, group, topic, true), await position(side, group, topic, false))
      said.push(await producer.end(bumping ? 5 : 3, true), await producer.reaches('CompleteCommit'))
      said.push(await settledPosition(side, group, topic))
      if (!bumping) said.push(await producer.addOffsets(3, group))
      said.push(await producer.commitOffset(version, group, topic, 9), await position(side, group, topic, true))
      said.push(await position(side, group, topic, false), await producer.end(bumping ? 5 : 3, false))
      said.push(await producer.reaches('CompleteAbort'), await settledPosition(side, group, topic))
      // What is committed outside after the transaction's, stands.
      if (!bumping) said.push(await producer.addOffsets(3, group))
      said.push(await producer.commitOffset(version, group, topic, 11))
      const partition = { partitionIndex: 0, committedOffset: 12, committedLeaderEpoch: -1, committedMetadata: 'plain' }
      const { topics: committed } = await side.ask(offsetCommitApi, 9, {
        groupId: group,
        generationIdOrMemberEpoch: -1,
        memberId: '',
        groupInstanceId: null,
        topics: [{ topicId: nullUuid, name: topic, partitions: [partition] }],
      } as never)
      said.push(committed[0]!.partitions[0]!.errorCode, await position(side, group, topic, false))
      said.push(await producer.end(bumping ? 5 : 3, true), await producer.reaches('CompleteCommit'))
      said.push(await settledPosition(side, group, topic))
      return said
    })
  await both('members, and who is none', async (side) => {
    const group = fresh('members')
    const producer = new Producer(side, fresh('id'))
    const said: unknown[] = [await producer.init(5)]
    said.push(await producer.commitOffset(5, group, topic, 1, { generationId: 3, memberId: 'm' }))
    const { errorCode, memberEpoch } = await side.ask(consumerGroupHeartbeatApi, 1, {
      groupId: group,
      memberId: 'member',
      memberEpoch: 0,
      rebalanceTimeoutMs: 60_000,
      subscribedTopicNames: [topic],
      topicPartitions: [],
    })
    said.push(errorCode)
    const by = { memberId: 'member', generationId: memberEpoch }
    said.push(await producer.commitOffset(5, group, topic, 1, by))
    said.push(await producer.commitOffset(5, group, topic, 1, { ...by, generationId: memberEpoch + 1 }))
    said.push(await producer.commitOffset(5, group, topic, 1, { ...by, memberId: 'nobody' }))
    said.push(await producer.commitOffset(5, group, topic, 1))
    said.push(await producer.commitOffset(5, group, 'no-such-topic', 1), await producer.commitOffset(5, '', topic, 1))
    said.push(await producer.end(5, true), await producer.reaches('CompleteCommit'))
    said.push(await settledPosition(side, group, topic))
    return said
  })
})
async function settledPosition(side: Side, group: string, topic: string): Promise<unknown> {
  for (let i = 0; i < 200; i++) {
    const found = (await position(side, group, topic, true)) as { errorCode: number }
    if (found.errorCode !== 88) return found
    await pause(20)
  }
  return position(side, group, topic, true)
}

test('a transaction that takes too long is aborted, and its producer fenced', async () => {
  const topic = fresh('timeout')
  await topics([topic, 1])
  for (const bumping of [true, false])
    await both(bumping ? 'bumping' : 'plain', async (side) => {
      const producer = new Producer(side, fresh('id'))
      const said: unknown[] = [await producer.init(5, { timeoutMs: 300 })]
      if (!bumping) said.push(await producer.add(3, topic, 0))
      said.push(await producer.produce(bumping ? 12 : 9, topic, 0, `open ${bumping}`))
      said.push(await producer.reaches('CompleteAbort'))
      said.push(await settledShown(side, topic, bumping ? 2 : 4))
      said.push(await producer.produce(bumping ? 12 : 9, topic, 0, 'late'))
      said.push(await producer.end(bumping ? 5 : 3, true), await producer.end(bumping ? 5 : 3, false))
      const expected = { producerId: producer.producerId, producerEpoch: producer.epoch }
      said.push(await producer.former().init(5, { expected }), await producer.init(5))
      return said
    })
})

test('readers: transactions of several producers, one within the other', async () => {
  const topic = fresh('interleaved')
  await topics([topic, 1])
  await both('aborted ranges', async (side) => {
    const [one, two, three] = [0, 1, 2].map((i) => new Producer(side, `${topic}-${i}`)) as [
      Producer,
      Producer,
      Producer,
    ]
    const said: unknown[] = [await one.init(5), await two.init(5), await three.init(5)]
    said.push(await one.produce(12, topic, 0, 'one'), await two.produce(12, topic, 0, 'two'))
    said.push(await three.produce(12, topic, 0, 'three'), await shown(side, topic))
    said.push(await two.end(5, false), await two.reaches('CompleteAbort'), await endOf(side, topic, true))
    said.push(await three.end(5, true), await three.reaches('CompleteCommit'), await endOf(side, topic, true))
    said.push(await one.produce(12, topic, 0, 'one more'), await one.end(5, false), await settledShown(side, topic, 7))
    return said
  })
})

test('tools: lists, descriptions, producers, and markers for what hangs', async () => {
  const [topic, prefix] = [fresh('tools'), fresh('listed')]
  await topics([topic, 2])
  const listed = async (side: Side, version: number, more: object): Promise<unknown> => {
    const answer = await side.ask(listTransactionsApi, version, {
      stateFilters: [],
      producerIdFilters: [],
      durationFilter: -1,
      transactionalIdPattern: null,
      ...more,
    })
    const ours = answer.transactionStates.filter(({ transactionalId }) => transactionalId.startsWith(prefix))
    return {
      error: answer.errorCode,
      unknown: answer.unknownStateFilters,
      found: ours
        .map((one) => [one.transactionalId, side.called(one.producerId), one.transactionState])
        .sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)),
    }
  }
  await both('lists', async (side) => {
    const producers = ['a', 'b', 'c', 'd'].map((name) => new Producer(side, `${prefix}-${name}`))
    const [a, b, c] = producers as [Producer, Producer, Producer]
    const said: unknown[] = []
    for (const producer of producers) said.push(await producer.init(5))
    said.push(await a.produce(12, topic, 0, 'a'))
    said.push(await b.produce(12, topic, 0, 'b'), await b.end(5, true), await b.reaches('CompleteCommit'))
    said.push(await c.produce(12, topic, 1, 'c'), await c.end(5, false), await c.reaches('CompleteAbort'))
    said.push(await listed(side, 0, {}), await listed(side, 1, { durationFilter: 1_000_000 }))
    for (const stateFilters of [['Ongoing'], ['CompleteCommit', 'Empty'], ['Nonsense'], ['ongoing', 'Ongoing']])
      said.push(await listed(side, 2, { stateFilters }))
    said.push(await listed(side, 2, { producerIdFilters: [a.producerId, c.producerId] }))
    for (const transactionalIdPattern of [`${prefix}-[ab]`, `${prefix}`, '', '(', '(?=x)'])
      said.push(await listed(side, 2, { transactionalIdPattern }))
    const { topics: found } = await side.ask(describeProducersApi, 0, {
      topics: [
        { name: topic, partitionIndexes: [0, 1, 2] },
        { name: 'no-such-topic', partitionIndexes: [0] },
      ],
    })
    said.push(
      found.map(({ name, partitions }) => [
        name,
        partitions.map(({ partitionIndex, errorCode, activeProducers }) => [
          partitionIndex,
          errorCode,
          activeProducers
            .toSorted((one, other) => one.producerId - other.producerId)
            .map(({ producerId, lastTimestamp, ...rest }) => ({
              ...rest,
              id: side.called(producerId),
              seen: lastTimestamp > 0,
            })),
        ]),
      ]),
    )
    said.push(await a.end(5, true))
    return said
  })
  await both('markers', async (side) => {
    const producer = new Producer(side, fresh('marked'))
    const marker = async (more: object, version = 2): Promise<unknown> => {
      const { markers } = await side.ask(writeTxnMarkersApi, version, {
        markers: [
          {
            producerId: producer.producerId,
            producerEpoch: producer.epoch,
            transactionResult: false,
            topics: [{ name: topic, partitionIndexes: [0] }],
            coordinatorEpoch: 0,
            transactionVersion: 2,
            ...more,
          },
        ],
      })
      return markers.map(({ topics: of }) => of)
    }
    const said: unknown[] = [await producer.init(5), await producer.init(5)]
    said.push(await producer.produce(12, topic, 0, 'x'))
    said.push(await marker({ topics: [{ name: 'no-such-topic', partitionIndexes: [0] }] }))
    said.push(await marker({ topics: [{ name: topic, partitionIndexes: [5] }] }))
    said.push(
      await marker({ producerEpoch: 0 }),
      await marker({}),
      await marker({ transactionVersion: 0, producerEpoch: 0 }),
    )
    said.push(await producer.end(5, true), await producer.reaches('CompleteCommit'))
    // Again, when it has been ended.
    said.push(await marker({}), await marker({ producerEpoch: producer.epoch - 1 }))
    said.push(await marker({ transactionVersion: 0 }, 1), await marker({ coordinatorEpoch: -1 }))
    // One that was never heard of.
    said.push(await marker({ producerId: 8_000_000, producerEpoch: 4 }))
    said.push(await shown(side, topic))
    return said
  })
  await both('brokers ask whether partitions were added', async (side) => {
    const producer = new Producer(side, fresh('verified'))
    const ask = async (verifyOnly: boolean, partitions: number[], more: object = {}): Promise<unknown> => {
      const { errorCode, resultsByTransaction } = await side.ask(addPartitionsToTxnApi, 5, {
        transactions: [
          {
            transactionalId: producer.id,
            producerId: producer.producerId,
            producerEpoch: producer.epoch,
            verifyOnly,
            topics: [{ name: topic, partitions }],
            ...more,
          },
        ],
        v3AndBelowTransactionalId: '',
        v3AndBelowProducerId: 0,
        v3AndBelowProducerEpoch: 0,
        v3AndBelowTopics: [],
      })
      const results = resultsByTransaction.flatMap(({ topicResults }) => topicResults)
      const byPartition = results.flatMap(({ resultsByPartition }) => resultsByPartition)
      return [errorCode, byPartition.toSorted((a, b) => a.partitionIndex - b.partitionIndex)]
    }
    const said = [await producer.init(5), await ask(true, [0]), await ask(false, [0]), await ask(true, [0, 1])]
    said.push(await ask(true, [0], { producerEpoch: 7 }), await ask(true, [0], { producerId: 8_000_001 }))
    said.push(await ask(true, [9]), await producer.described(), await producer.end(5, false))
    return said
  })
})
