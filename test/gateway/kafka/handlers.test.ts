/** A case or more for each API, in the order of their keys: one file, because one change of the log shows in many. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Decoded, nullUuid } from '../../../src/wire/kafka/codec/shape.ts'
import { produce } from '../../../src/gateway/kafka/handlers/00-produce.ts'
import { fetch } from '../../../src/gateway/kafka/handlers/01-fetch.ts'
import { listOffsets } from '../../../src/gateway/kafka/handlers/02-list-offsets.ts'
import { metadata } from '../../../src/gateway/kafka/handlers/03-metadata.ts'
import { offsetCommit } from '../../../src/gateway/kafka/handlers/08-offset-commit.ts'
import { offsetFetch } from '../../../src/gateway/kafka/handlers/09-offset-fetch.ts'
import { findCoordinator } from '../../../src/gateway/kafka/handlers/10-find-coordinator.ts'
import { joinGroup } from '../../../src/gateway/kafka/handlers/11-join-group.ts'
import { heartbeat } from '../../../src/gateway/kafka/handlers/12-heartbeat.ts'
import { leaveGroup } from '../../../src/gateway/kafka/handlers/13-leave-group.ts'
import { syncGroup } from '../../../src/gateway/kafka/handlers/14-sync-group.ts'
import { describeGroups } from '../../../src/gateway/kafka/handlers/15-describe-groups.ts'
import { listGroups } from '../../../src/gateway/kafka/handlers/16-list-groups.ts'
import { createTopics } from '../../../src/gateway/kafka/handlers/19-create-topics.ts'
import { deleteTopics } from '../../../src/gateway/kafka/handlers/20-delete-topics.ts'
import { deleteRecords } from '../../../src/gateway/kafka/handlers/21-delete-records.ts'
import { initProducerId } from '../../../src/gateway/kafka/handlers/22-init-producer-id.ts'
import { offsetForLeaderEpoch } from '../../../src/gateway/kafka/handlers/23-offset-for-leader-epoch.ts'
import { describeConfigs } from '../../../src/gateway/kafka/handlers/32-describe-configs.ts'
import { alterConfigs } from '../../../src/gateway/kafka/handlers/33-alter-configs.ts'
import { describeLogDirs } from '../../../src/gateway/kafka/handlers/35-describe-log-dirs.ts'
import { createPartitions } from '../../../src/gateway/kafka/handlers/37-create-partitions.ts'
import { deleteGroups } from '../../../src/gateway/kafka/handlers/42-delete-groups.ts'
import { incrementalAlterConfigs } from '../../../src/gateway/kafka/handlers/44-incremental-alter-configs.ts'
import { offsetDelete } from '../../../src/gateway/kafka/handlers/47-offset-delete.ts'
import { describeCluster } from '../../../src/gateway/kafka/handlers/60-describe-cluster.ts'
import { describeTopicPartitions } from '../../../src/gateway/kafka/handlers/75-describe-topic-partitions.ts'
import type { Exchange } from '../../../src/gateway/kafka/handler.ts'
import { kafkaDefaults } from '../../../src/gateway/kafka/topic-defaults.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { decodeBatch, encodeBatch } from '../../../src/log/batch.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import { ask, exchangeFor } from './ask.ts'
import { type FakeBroker, fakeBroker } from './fake-broker.ts'

const batch = (value: string, timeMs = 1000): Uint8Array =>
  encodeBatch([{ key: null, value: Buffer.from(value), timeMs }])
function setUp(...topics: readonly [name: string, partitions: number][]): { broker: FakeBroker; exchange: Exchange } {
  const broker = fakeBroker()
  for (const [name, partitions] of topics) broker.create({ name, partitions })
  return { broker, exchange: exchangeFor(broker) }
}
const idOf = (broker: FakeBroker, name: string): string => broker.infos.get(name)!.id
async function write(broker: FakeBroker, topic: string, ...values: readonly string[]): Promise<void> {
  for (const [i, value] of values.entries())
    await broker.produce({
      acks: 'all',
      transactionalId: null,
      entries: [{ partition: { topic, index: 0 }, records: batch(value, 1000 * (i + 1)) }],
    })
}

test('Produce: each partition gets its own answer, by name and by id', async () => {
  const { broker, exchange } = setUp(['t', 2])
  const data = (name: string, topicId: string) => ({
    acks: 1,
    timeoutMs: 100,
    topicData: [
      {
        name,
        topicId,
        partitionData: [
          { index: 0, records: [batch('x')] },
          { index: 1, records: null },
          { index: 2, records: [batch('x')] },
        ],
      },
    ],
  })
  for (const [version, name, id] of [
    [3, 't', ''],
    [12, 't', ''],
    [13, '', idOf(broker, 't')],
  ] as const) {
    const answer = await ask(produce, version, data(name, id), exchange)
    assert.deepEqual(
      answer.responses[0]!.partitionResponses.map((one) => [one.index, one.errorCode]),
      [
        [0, 0],
        [1, 87],
        [2, 3],
      ],
    )
  }
  const lost = await ask(produce, 13, data('', 'ffffffff-0000-4000-8000-000000000000'), exchange)
  assert.deepEqual(
    lost.responses[0]!.partitionResponses.map((one) => one.errorCode),
    [100, 100, 100],
  )
  assert.equal(
    (await ask(produce, 9, { ...data('t', ''), acks: 2 }, exchange)).responses[0]!.partitionResponses[0]!.errorCode,
    21,
  )
  assert.equal(broker.stored({ topic: 't', index: 0 })!.end, 3)
})
test('Produce: batches that fill their frame stay views of it; small parts of large frames get their own memory', async () => {
  const { broker, exchange } = setUp(['t', 1])
  const whole = Buffer.allocUnsafeSlow(100_000)
  const part = batch('x')
  whole.set(part, 500)
  const produced = async (records: Uint8Array): Promise<Uint8Array> => {
    const partitionData = [{ index: 0, records }]
    const request = {
      transactionalId: null,
      acks: 1,
      timeoutMs: 1,
      topicData: [{ topicId: '', name: 't', partitionData }],
    }
    await produce.handle(request, { ...exchange, version: 9 })
    return broker.produced.at(-1)!.entries[0]!.records
  }
  const small = await produced(whole.subarray(500, 500 + part.length))
  assert.equal(small.buffer.byteLength, part.length)
  const large = batch('y'.repeat(90_000))
  whole.set(large)
  assert.equal((await produced(whole.subarray(0, large.length))).buffer, whole.buffer)
})
test('Produce: why a record was refused is told record by record', async () => {
  const { broker, exchange } = setUp(['t', 1])
  const { Fault } = await import('../../../src/lib/fault.ts')
  broker.produce = async () => [
    { fault: new Fault('log.invalid-batch', { what: 'contract' }), records: [{ index: 1, message: 'amount: number' }] },
  ]
  const request = {
    acks: -1,
    timeoutMs: 1,
    topicData: [{ name: 't', topicId: '', partitionData: [{ index: 0, records: [batch('x')] }] }],
  }
  const [one] = (await ask(produce, 8, request, exchange)).responses[0]!.partitionResponses
  assert.deepEqual(
    [one!.errorCode, one!.baseOffset, one!.recordErrors],
    [87, -1, [{ batchIndex: 1, batchIndexErrorMessage: 'amount: number' }]],
  )
})

const fetchRequest = (topic: string, topicId: string, fetchOffset: number, isolationLevel = 0) => ({
  maxWaitMs: 0,
  minBytes: 1,
  maxBytes: 1_000_000,
  isolationLevel,
  sessionId: 0,
  sessionEpoch: -1,
  topics: [{ topic, topicId, partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1_000_000 }] }],
  forgottenTopicsData: [],
  rackId: '',
})
test('Fetch: batches as stored, in every version', async () => {
  const { broker, exchange } = setUp(['t', 1])
  await write(broker, 't', 'a', 'b')
  for (let version = 4; version <= 18; version++) {
    const asked = fetchRequest(version < 13 ? 't' : '', version < 13 ? '' : idOf(broker, 't'), 0)
    const [one] = (await ask(fetch, version, asked, exchange)).responses[0]!.partitions
    assert.deepEqual([one!.errorCode, one!.highWatermark], [0, 2])
    const first = decodeBatch(one!.records as Uint8Array)
    assert.equal(Buffer.from(first[0]!.value!).toString(), 'a')
    assert.equal(one!.abortedTransactions, null)
  }
})
test('Fetch: errors of partitions, and the largest offsets, are answers', async () => {
  const { exchange } = setUp(['t', 1])
  const codeOf = async (topic: string, at: number): Promise<number> =>
    (await ask(fetch, 11, fetchRequest(topic, '', at), exchange)).responses[0]!.partitions[0]!.errorCode
  assert.equal(await codeOf('nowhere', 0), 3)
  assert.equal(await codeOf('t', 7), 1)
  assert.equal(await codeOf('t', -1), 1)
  assert.equal(await codeOf('t', Number.MAX_SAFE_INTEGER), 1)
})
test('Fetch: a committed reader gets the list of aborted transactions, an empty one too', async () => {
  const { exchange } = setUp(['t', 1])
  const answer = await ask(fetch, 11, fetchRequest('t', '', 0, 1), exchange)
  assert.deepEqual(answer.responses[0]!.partitions[0]!.abortedTransactions, [])
})

test('ListOffsets: earliest, latest, by time, and what only tiered logs have', async () => {
  const { broker, exchange } = setUp(['t', 1])
  await write(broker, 't', 'a', 'b', 'c')
  const at = async (timestamp: number, version = 11): Promise<unknown[]> => {
    const topics = [{ name: 't', partitions: [{ partitionIndex: 0, timestamp }] }]
    const answer = await ask(listOffsets, version, { replicaId: -1, isolationLevel: 0, topics, timeoutMs: 0 }, exchange)
    const [one] = answer.topics[0]!.partitions
    return [one!.errorCode, one!.offset, one!.timestamp]
  }
  assert.deepEqual(await at(-1), [0, 3, -1])
  assert.deepEqual(await at(-2, 1), [0, 0, -1])
  assert.deepEqual(await at(-4), [0, 0, -1])
  assert.deepEqual(await at(-5), [0, -1, -1])
  assert.deepEqual(await at(1500), [0, 1, 2000])
  assert.deepEqual(await at(9999), [0, -1, -1])
  assert.deepEqual(await at(-99), [42, -1, -1])
})
test('ListOffsets: unknown partitions and other epochs', async () => {
  const { exchange } = setUp(['t', 1])
  const one = async (name: string, partitionIndex: number, currentLeaderEpoch: number): Promise<number> => {
    const topics = [{ name, partitions: [{ partitionIndex, timestamp: -1, currentLeaderEpoch }] }]
    const answer = await ask(listOffsets, 7, { replicaId: -1, isolationLevel: 0, topics, timeoutMs: 0 }, exchange)
    return answer.topics[0]!.partitions[0]!.errorCode
  }
  assert.deepEqual(
    [await one('x', 0, -1), await one('t', 1, -1), await one('t', -1, -1), await one('t', 0, 5)],
    [3, 3, 3, 0],
  )
  assert.deepEqual([await one('t', 0, 4), await one('t', 0, 6)], [74, 75])
})

const metadataRequest = (topics: readonly { name: string | null; topicId?: string }[] | null, allow = true) => ({
  topics: topics?.map(({ name, topicId = nullUuid }) => ({ name, topicId })) ?? null,
  allowAutoTopicCreation: allow,
  includeClusterAuthorizedOperations: true,
  includeTopicAuthorizedOperations: true,
})
test('Metadata: all topics, by null and by an empty list in version 0', async () => {
  const { exchange } = setUp(['a', 1], ['b', 3])
  for (let version = 0; version <= 13; version++) {
    const answer = await ask(metadata, version, metadataRequest(version === 0 ? [] : null), exchange)
    assert.deepEqual(
      answer.topics.map((topic) => [topic.name, topic.partitions.length]),
      [
        ['a', 1],
        ['b', 3],
      ],
    )
    assert.deepEqual([answer.brokers[0]!.host, answer.brokers[0]!.port, answer.brokers[0]!.nodeId], ['here', 9092, 1])
  }
  assert.deepEqual((await ask(metadata, 5, metadataRequest([]), exchange)).topics, [])
})
test('Metadata: a topic asked for is created, unless client or server forbid it', async () => {
  const { broker, exchange } = setUp()
  const codeOf = async (name: string, version: number, allow: boolean, given: Partial<Exchange> = {}) =>
    (await ask(metadata, version, metadataRequest([{ name }], allow), { ...exchange, ...given })).topics[0]!.errorCode
  assert.equal(await codeOf('no', 9, false), 3)
  assert.equal(await codeOf('no', 9, true, { topicDefaults: { ...kafkaDefaults, autoCreate: false } }), 3)
  assert.equal(await codeOf('yes', 9, true, { topicDefaults: { autoCreate: true, partitions: 3 } }), 0)
  assert.equal(broker.infos.get('yes')!.partitions, 3)
  assert.equal(await codeOf('old', 3, true), 0)
  assert.equal(await codeOf('bad name', 9, true), 17)
  assert.deepEqual([...broker.infos.keys()], ['yes', 'old'])
  assert.equal(broker.infos.get('yes')!.defaults!['retention.ms'], String(7 * 24 * 3600 * 1000))
})
test('names that are kept for Millrace itself are not created by clients, and are internal', async () => {
  const { broker, exchange } = setUp(['_millrace_x', 1], ['_x', 1])
  const auto = await ask(metadata, 9, metadataRequest([{ name: '_millrace_new' }]), exchange)
  assert.equal(auto.topics[0]!.errorCode, 17)
  const asked = { topics: [created('_millrace_new')], validateOnly: false }
  assert.equal((await ask(createTopics, 7, asked, exchange)).topics[0]!.errorCode, 17)
  assert.equal(broker.infos.size, 2)
  const all = await ask(metadata, 9, metadataRequest(null), exchange)
  assert.deepEqual(
    all.topics.map((topic) => topic.isInternal),
    [true, false],
  )
})
test('Metadata: two clients that ask for the same new topic both get it', async () => {
  const { exchange } = setUp()
  const both = await Promise.all([1, 2].map(() => ask(metadata, 9, metadataRequest([{ name: 'new' }]), exchange)))
  assert.deepEqual(
    both.map((answer) => [answer.topics[0]!.errorCode, answer.topics[0]!.topicId]),
    both.map(() => [0, both[0]!.topics[0]!.topicId]),
  )
})
test('Metadata: by id', async () => {
  const { broker, exchange } = setUp(['t', 1])
  const found = await ask(metadata, 12, metadataRequest([{ name: null, topicId: idOf(broker, 't') }]), exchange)
  assert.deepEqual([found.topics[0]!.name, found.topics[0]!.errorCode], ['t', 0])
  const lost = await ask(
    metadata,
    12,
    metadataRequest([{ name: null, topicId: '0f0f0f0f-0000-4000-8000-000000000001' }]),
    exchange,
  )
  assert.equal(lost.topics[0]!.errorCode, 100)
})

const commitRequest = (name: string, topicId: string, committedOffset: number, partitionIndex = 0) => ({
  groupId: 'g',
  memberId: '',
  topics: [{ name, topicId, partitions: [{ partitionIndex, committedOffset, committedMetadata: 'm' }] }],
})
test('OffsetCommit and OffsetFetch: what is committed is there, in every version', async () => {
  const { broker, exchange } = setUp(['t', 2])
  const id = idOf(broker, 't')
  for (let version = 2; version <= 10; version++) {
    const answer = await ask(offsetCommit, version, commitRequest('t', id, version), exchange)
    assert.equal(answer.topics[0]!.partitions[0]!.errorCode, 0)
    for (let asks = 1; asks <= 10; asks++) {
      const topics = [{ name: 't', topicId: id, partitionIndexes: [1, 0] }]
      const request = { groupId: 'g', topics, groups: [{ groupId: 'g', topics }], requireStable: false }
      const found = await ask(offsetFetch, asks, request, exchange)
      const [topic] = asks < 8 ? found.topics : found.groups[0]!.topics
      assert.deepEqual(
        topic!.partitions.map((one) => [one.partitionIndex, one.committedOffset, one.metadata]),
        [
          [1, -1, ''],
          [0, version, 'm'],
        ],
      )
    }
  }
})
test('OffsetFetch: all that a group has, and several groups at once', async () => {
  const { broker, exchange } = setUp(['t', 1], ['u', 1])
  await ask(offsetCommit, 8, commitRequest('t', '', 5), exchange)
  await ask(offsetCommit, 8, commitRequest('u', '', 6), exchange)
  const groups = [
    { groupId: 'g', topics: null },
    { groupId: 'nobody', topics: null },
  ]
  const answer = await ask(offsetFetch, 10, { groupId: '', topics: null, groups, requireStable: true }, exchange)
  assert.deepEqual(
    answer.groups.map((group) => group.topics.map((topic) => [topic.topicId, topic.partitions[0]!.committedOffset])),
    [
      [
        [idOf(broker, 't'), 5],
        [idOf(broker, 'u'), 6],
      ],
      [],
    ],
  )
  const old = await ask(offsetFetch, 2, { groupId: 'g', topics: null, groups: [], requireStable: false }, exchange)
  assert.deepEqual([old.errorCode, old.topics.map((topic) => topic.name)], [0, ['t', 'u']])
})
test('OffsetCommit: what does not exist is not committed', async () => {
  const { exchange } = setUp(['t', 1])
  const codeOf = async (...args: Parameters<typeof commitRequest>): Promise<number> =>
    (await ask(offsetCommit, args[1] === '' ? 8 : 10, commitRequest(...args), exchange)).topics[0]!.partitions[0]!
      .errorCode
  assert.equal(await codeOf('x', '', 1), 3)
  assert.equal(await codeOf('t', '', 1, 9), 3)
  assert.equal(await codeOf('t', '', -5), 0, 'kept as it is, as Kafka does')
  assert.equal(await codeOf('', '0f0f0f0f-0000-4000-8000-000000000001', 1), 100)
})
test('FindCoordinator: we are it for groups and transactions, one key or many', async () => {
  const { exchange } = setUp()
  const one = await ask(findCoordinator, 3, { key: 'g', keyType: 0, coordinatorKeys: [] }, exchange)
  assert.deepEqual([one.errorCode, one.nodeId, one.host, one.port], [0, 1, 'here', 9092])
  const many = await ask(findCoordinator, 6, { key: '', keyType: 1, coordinatorKeys: ['a', 'b'] }, exchange)
  assert.deepEqual(
    many.coordinators.map(({ key, nodeId, errorCode }) => [key, nodeId, errorCode]),
    [
      ['a', 1, 0],
      ['b', 1, 0],
    ],
  )
  const share = await ask(findCoordinator, 6, { key: '', keyType: 2, coordinatorKeys: ['s'] }, exchange)
  assert.deepEqual([share.coordinators[0]!.errorCode, share.coordinators[0]!.nodeId], [42, -1])
})

const joinRequest = (memberId: string) => ({
  groupId: 'g',
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 60_000,
  memberId,
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: Buffer.from('meta') }],
})
test('JoinGroup, SyncGroup, Heartbeat, LeaveGroup: the life of a member', async () => {
  const { exchange } = setUp()
  const sent = await ask(joinGroup, 4, joinRequest(''), exchange)
  assert.deepEqual([sent.errorCode, sent.memberId], [79, 'm1'])
  const joined = await ask(joinGroup, 9, joinRequest(sent.memberId), exchange)
  assert.deepEqual(
    [joined.errorCode, joined.generationId, joined.leader, joined.protocolType, joined.protocolName],
    [0, 1, 'm1', 'consumer', 'range'],
  )
  const member = { groupId: 'g', generationId: 1, memberId: 'm1' }
  const assignments = [{ memberId: 'm1', assignment: Buffer.from('all') }]
  const synced = await ask(syncGroup, 5, { ...member, assignments }, exchange)
  assert.deepEqual([synced.errorCode, Buffer.from(synced.assignment).toString()], [0, 'all'])
  assert.equal((await ask(heartbeat, 4, member, exchange)).errorCode, 0)
  const described = await ask(describeGroups, 6, { groups: ['g', 'x'], includeAuthorizedOperations: true }, exchange)
  assert.deepEqual(
    described.groups.map((group) => [group.errorCode, group.groupState, group.members.length]),
    [
      [0, 'Stable', 1],
      [69, 'Dead', 0],
    ],
  )
  const older = await ask(describeGroups, 5, { groups: ['x'], includeAuthorizedOperations: false }, exchange)
  assert.deepEqual([older.groups[0]!.errorCode, older.groups[0]!.groupState], [0, 'Dead'])
  const left = await ask(leaveGroup, 5, { groupId: 'g', memberId: '', members: [{ memberId: 'm1' }] }, exchange)
  assert.deepEqual([left.errorCode, left.members[0]!.errorCode], [0, 0])
  assert.equal((await ask(heartbeat, 0, member, exchange)).errorCode, 25)
  assert.equal((await ask(leaveGroup, 2, { groupId: 'g', memberId: 'm1', members: [] }, exchange)).errorCode, 25)
})
test('JoinGroup: from version 9 on a leader can be told to skip the assignment', async () => {
  const { exchange, broker } = setUp()
  const asked: boolean[] = []
  const { coordinator } = broker
  const join = coordinator.join.bind(coordinator)
  coordinator.join = (request) => {
    asked.push(request.skipsAssignment)
    return join(request)
  }
  for (const version of [5, 8, 9]) await ask(joinGroup, version, joinRequest('m1'), exchange)
  assert.deepEqual(asked, [false, false, true])
})
test('JoinGroup: an error names no protocol, as null or as nothing by its version', async () => {
  const { exchange } = setUp()
  assert.equal((await ask(joinGroup, 6, joinRequest(''), exchange)).protocolName, '')
  assert.equal((await ask(joinGroup, 7, joinRequest(''), exchange)).protocolName, null)
  assert.equal((await ask(joinGroup, 3, joinRequest(''), exchange)).errorCode, 0, 'before version 4 no id is asked for')
})
test('ListGroups: filtered by state and type', async () => {
  const { exchange } = setUp()
  await ask(joinGroup, 0, joinRequest('m1'), exchange)
  const list = async (statesFilter: string[], typesFilter: string[]): Promise<number> =>
    (await ask(listGroups, 5, { statesFilter, typesFilter }, exchange)).groups.length
  assert.deepEqual(
    [await list([], []), await list(['stable'], ['Classic']), await list(['Empty'], []), await list([], ['share'])],
    [1, 1, 0, 0],
  )
})
test('DeleteGroups and OffsetDelete', async () => {
  const { exchange } = setUp(['t', 1])
  await ask(joinGroup, 0, joinRequest('m1'), exchange)
  const deleted = await ask(deleteGroups, 2, { groupsNames: ['g', 'x'] }, exchange)
  assert.deepEqual(
    deleted.results.map((one) => one.errorCode),
    [68, 69],
  )
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0 }] }]
  assert.equal((await ask(offsetDelete, 0, { groupId: 'x', topics }, exchange)).errorCode, 69)
  await ask(offsetCommit, 8, commitRequest('t', '', 5), exchange)
  const gone = await ask(offsetDelete, 0, { groupId: 'g', topics }, exchange)
  assert.deepEqual([gone.errorCode, gone.topics[0]!.partitions[0]!.errorCode], [0, 0])
})

const created = (name: string, given: object = {}) => ({
  name,
  numPartitions: 2,
  replicationFactor: 1,
  assignments: [],
  configs: [],
  ...given,
})
test('CreateTopics: created, checked only, and everything that is wrong with a request', async () => {
  const { broker, exchange } = setUp(['old', 1])
  const codeOf = async (topic: ReturnType<typeof created>, validateOnly = false, version = 7): Promise<number> =>
    (await ask(createTopics, version, { topics: [topic], validateOnly }, exchange)).topics[0]!.errorCode
  assert.equal(await codeOf(created('checked'), true), 0)
  assert.deepEqual([...broker.infos.keys()], ['old'])
  assert.equal(await codeOf(created('new')), 0)
  assert.equal(await codeOf(created('defaults', { numPartitions: -1, replicationFactor: -1 })), 0)
  assert.equal(broker.infos.get('defaults')!.partitions, 1)
  const assignments = [
    { partitionIndex: 1, brokerIds: [1] },
    { partitionIndex: 0, brokerIds: [1] },
  ]
  const assigned = { numPartitions: -1, replicationFactor: -1, assignments }
  assert.equal(await codeOf(created('assigned', assigned)), 0)
  assert.equal(await codeOf(created('old')), 36)
  assert.equal(await codeOf(created('old'), true), 36)
  assert.equal(await codeOf(created('bad name')), 17)
  assert.equal(await codeOf(created('n', { replicationFactor: 3 })), 38)
  assert.equal(await codeOf(created('n', { replicationFactor: 0 })), 38)
  assert.equal(await codeOf(created('n', { numPartitions: 0 })), 37)
  assert.equal(await codeOf(created('n', { numPartitions: 2, assignments })), 42)
  assert.equal(await codeOf(created('n', { ...assigned, assignments: [{ partitionIndex: 0, brokerIds: [2] }] })), 39)
  assert.equal(await codeOf(created('n', { ...assigned, assignments: [{ partitionIndex: 1, brokerIds: [1] }] })), 39)
  assert.equal(await codeOf(created('n', { configs: [{ name: 'nonsense', value: '1' }] })), 40)
  assert.equal(await codeOf(created('n', { configs: [{ name: 'retention.ms', value: null }] })), 40)
  const twice = await ask(
    createTopics,
    5,
    { topics: [created('n'), created('n'), created('m')], validateOnly: false },
    exchange,
  )
  assert.deepEqual(
    twice.topics.map((topic) => topic.errorCode),
    [42, 42, 0],
  )
})
test('CreateTopics: the answer shows id, settings and where they come from', async () => {
  const { broker, exchange } = setUp()
  const topics = [created('t', { configs: [{ name: 'segment.bytes', value: '1048576' }] })]
  const [topic] = (await ask(createTopics, 7, { topics, validateOnly: false }, exchange)).topics
  assert.deepEqual([topic!.topicId, topic!.numPartitions, topic!.replicationFactor], [idOf(broker, 't'), 2, 1])
  const sourceOf = (name: string) => topic!.configs!.find((config) => config.name === name)?.configSource
  assert.deepEqual([sourceOf('segment.bytes'), sourceOf('cleanup.policy')], [1, 5])
})
test('DeleteTopics: by name and by id', async () => {
  const { broker, exchange } = setUp(['a', 1], ['b', 1], ['c', 1])
  const byName = await ask(deleteTopics, 5, { topicNames: ['a', 'x'], topics: [], timeoutMs: 0 }, exchange)
  assert.deepEqual(
    byName.responses.map((one) => [one.name, one.errorCode]),
    [
      ['a', 0],
      ['x', 3],
    ],
  )
  const topics = [
    { name: null, topicId: idOf(broker, 'b') },
    { name: null, topicId: '0f0f0f0f-0000-4000-8000-000000000001' },
    { name: 'c', topicId: idOf(broker, 'c') },
    { name: null, topicId: nullUuid },
  ]
  const byId = await ask(deleteTopics, 6, { topicNames: [], topics, timeoutMs: 0 }, exchange)
  assert.deepEqual(
    byId.responses.map((one) => [one.name, one.errorCode]),
    [
      ['b', 0],
      [null, 100],
      ['c', 42],
      [null, 42],
    ],
  )
  assert.deepEqual([...broker.infos.keys()], ['c'])
})
test('DeleteRecords: up to an offset, up to the end, and beyond it', async () => {
  const { broker, exchange } = setUp(['t', 1])
  await write(broker, 't', 'a', 'b', 'c')
  const upTo = async (at: number, partitionIndex = 0): Promise<number[]> => {
    const topics = [{ name: 't', partitions: [{ partitionIndex, offset: at }] }]
    const [one] = (await ask(deleteRecords, 2, { topics, timeoutMs: 0 }, exchange)).topics[0]!.partitions
    return [one!.errorCode, one!.lowWatermark]
  }
  assert.deepEqual(await upTo(2), [0, 2])
  assert.deepEqual(await upTo(1), [0, 2])
  assert.deepEqual(await upTo(4), [1, -1])
  assert.deepEqual(await upTo(-2), [1, -1])
  assert.deepEqual(await upTo(-1), [0, 3])
  assert.deepEqual(await upTo(0, 7), [3, -1])
})
test('InitProducerId: a new id each time; no transactional id of ours, and none by halves', async () => {
  const { exchange } = setUp()
  const init = (transactionalId: string | null, producerId = -1) =>
    ask(
      initProducerId,
      5,
      { transactionalId, transactionTimeoutMs: 0, producerId, enable2Pc: false, keepPreparedTxn: false },
      exchange,
    )
  const [one, two] = [await init(null), await init(null)]
  assert.deepEqual([one.errorCode, one.producerEpoch, one.producerId === two.producerId], [0, 0, false])
  assert.equal((await init('_millrace_owner_0')).errorCode, 42)
  assert.equal((await init('tx', 5)).errorCode, 42)
})
test('OffsetForLeaderEpoch: where an epoch ends', async () => {
  const { broker, exchange } = setUp(['t', 1])
  await write(broker, 't', 'a', 'b')
  const at = async (leaderEpoch: number, currentLeaderEpoch = -1, partition = 0): Promise<number[]> => {
    const topics = [{ topic: 't', partitions: [{ partition, currentLeaderEpoch, leaderEpoch }] }]
    const [one] = (await ask(offsetForLeaderEpoch, 4, { topics }, exchange)).topics[0]!.partitions
    return [one!.errorCode, one!.leaderEpoch, one!.endOffset]
  }
  assert.deepEqual(await at(5), [0, 5, 2])
  assert.deepEqual(await at(9), [0, -1, -1])
  assert.deepEqual(await at(5, 4), [74, -1, -1])
  assert.deepEqual(await at(5, 6), [75, -1, -1])
  assert.deepEqual(await at(5, -1, 3), [3, -1, -1])
})
test('DescribeConfigs: of a topic, of the broker, and of what has none', async () => {
  const { exchange } = setUp(['t', 1])
  const resources = [
    { resourceType: 2, resourceName: 't', configurationKeys: null },
    { resourceType: 2, resourceName: 't', configurationKeys: ['retention.ms'] },
    { resourceType: 2, resourceName: 'x', configurationKeys: null },
    { resourceType: 4, resourceName: '1', configurationKeys: ['message.max.bytes', 'advertised.listeners'] },
    { resourceType: 4, resourceName: '7', configurationKeys: null },
    { resourceType: 16, resourceName: 'm', configurationKeys: null },
    { resourceType: 64, resourceName: 'm', configurationKeys: null },
  ]
  for (let version = 1; version <= 4; version++) {
    const { results } = await ask(
      describeConfigs,
      version,
      { resources, includeSynonyms: true, includeDocumentation: true },
      exchange,
    )
    assert.deepEqual(
      results.map((one) => [one.errorCode, one.configs.length]),
      [
        [0, 4],
        [0, 1],
        [3, 0],
        [0, 2],
        [42, 0],
        [0, 1],
        [42, 0],
      ],
    )
    assert.deepEqual(results[3]!.configs.map((one) => one.value).sort(), ['1048588', 'PLAINTEXT://here:9092'])
    assert.equal(results[1]!.configs[0]!.synonyms.length, 1)
  }
})
test('DescribeConfigs: what the start said of topics that nobody describes is no default, unless it is the same', async () => {
  const { exchange } = setUp()
  const delay = 'group.initial.rebalance.delay.ms'
  const resources = [
    { resourceType: 4, resourceName: '1', configurationKeys: ['num.partitions', 'auto.create.topics.enable', delay] },
  ]
  const wanted = { resources, includeSynonyms: false, includeDocumentation: false }
  const shown = async (topicDefaults: Exchange['topicDefaults']) =>
    (await ask(describeConfigs, 4, wanted, { ...exchange, topicDefaults })).results[0]!.configs.map(
      ({ name, value, configSource, readOnly }) => `${name}=${value} ${configSource} ${readOnly}`,
    ).toSorted()
  assert.deepEqual(await shown(kafkaDefaults), [
    'auto.create.topics.enable=true 5 true',
    `${delay}=500 4 true`,
    'num.partitions=1 5 true',
  ])
  const other = { autoCreate: false, partitions: 6 }
  assert.deepEqual(await shown(other), [
    'auto.create.topics.enable=false 4 true',
    `${delay}=500 4 true`,
    'num.partitions=6 4 true',
  ])
})
test('DescribeConfigs: no names are all of them; a week of retention is the default that it is in Kafka', async () => {
  const log = await openLocalLog({ world: { ...realWorld(), disk: memoryDisk() }, dir: '/data' })
  const exchange = exchangeFor(log)
  const topics = ['week', 'day'].map((name) => ({
    name,
    numPartitions: 1,
    replicationFactor: 1,
    assignments: [],
    configs: name === 'day' ? [{ name: 'retention.ms', value: '86400000' }] : [],
  }))
  await ask(createTopics, 7, { topics, timeoutMs: 1_000, validateOnly: false }, exchange)
  const resources = ['week', 'day'].map((resourceName) => ({ resourceType: 2, resourceName, configurationKeys: [] }))
  const wanted = { resources, includeSynonyms: false, includeDocumentation: false }
  const { results } = await ask(describeConfigs, 4, wanted, exchange)
  const retention = results.map(({ configs }) => configs.find(({ name }) => name === 'retention.ms')!)
  assert.deepEqual(
    retention.map(({ value, configSource }) => [value, configSource]),
    [
      ['604800000', 5],
      ['86400000', 1],
    ],
  )
  // Taken away, a setting is the default again; that of topics made otherwise is another.
  await log.topics.create([{ name: 'ours', partitions: 1, config: { 'retention.ms': '5000' } }])
  const remove = [{ name: 'retention.ms', configOperation: 1, value: null }]
  const taken = ['day', 'ours'].map((resourceName) => ({ resourceType: 2, resourceName, configs: remove }))
  await ask(incrementalAlterConfigs, 1, { resources: taken, validateOnly: false }, exchange)
  const left = (topic: string): unknown => log.describeConfig(topic).find(({ name }) => name === 'retention.ms')?.value
  assert.deepEqual([left('day'), left('ours')], ['604800000', '-1'])
  // Of all brokers something is said: topics follow it, and are back when it is unsaid.
  await log.brokerConfigs.alter('', { 'log.retention.ms': '60000' })
  assert.equal(left('day'), '60000')
  await log.brokerConfigs.alter('', { 'log.retention.ms': null })
  assert.equal(left('day'), '604800000')
  await log.close()
})
test('AlterConfigs replaces all; IncrementalAlterConfigs sets, removes, appends and subtracts', async () => {
  const { broker, exchange } = setUp(['t', 1])
  const config = () => broker.infos.get('t')!.config
  const replace = async (configs: { name: string; value: string | null }[], validateOnly = false) =>
    (
      await ask(
        alterConfigs,
        2,
        { resources: [{ resourceType: 2, resourceName: 't', configs }], validateOnly },
        exchange,
      )
    ).responses[0]!.errorCode
  const change = async (configs: [string, number, string | null][], validateOnly = false) => {
    const list = configs.map(([name, configOperation, value]) => ({ name, configOperation, value }))
    const resources = [{ resourceType: 2, resourceName: 't', configs: list }]
    return (await ask(incrementalAlterConfigs, 1, { resources, validateOnly }, exchange)).responses[0]!.errorCode
  }
  assert.equal(await replace([{ name: 'retention.ms', value: '5' }]), 0)
  assert.equal(await replace([{ name: 'segment.bytes', value: '9' }]), 0)
  assert.deepEqual(config(), { 'segment.bytes': '9' })
  assert.equal(await replace([{ name: 'nonsense', value: '9' }]), 40)
  assert.equal(
    await change([
      ['retention.ms', 0, '7'],
      ['segment.bytes', 1, null],
    ]),
    0,
  )
  assert.deepEqual(config(), { 'retention.ms': '7' })
  assert.equal(await change([['retention.ms', 0, '8']], true), 0)
  assert.deepEqual(config(), { 'retention.ms': '7' })
  assert.equal(await change([['cleanup.policy', 2, 'compact']]), 0)
  assert.equal(config()['cleanup.policy'], 'delete,compact')
  assert.equal(await change([['cleanup.policy', 3, 'delete']]), 0)
  assert.equal(config()['cleanup.policy'], 'compact')
  assert.equal(await change([['retention.ms', 9, '1']]), 40)
  assert.equal(await change([['retention.ms', 0, null]]), 40)
  assert.equal(
    await change([
      ['retention.ms', 0, '1'],
      ['retention.ms', 1, null],
    ]),
    40,
  )
  // Nothing of the broker can be set, so there is nothing to take back either.
  const ofBroker = async (configOperation: number, value: string | null) => {
    const configs = [{ name: 'leader.replication.throttled.rate', configOperation, value }]
    const resources = [{ resourceType: 4, resourceName: '1', configs }]
    return (await ask(incrementalAlterConfigs, 1, { resources, validateOnly: false }, exchange)).responses[0]!.errorCode
  }
  assert.equal(await ofBroker(0, '1000'), 40)
  assert.equal(await ofBroker(1, null), 0)
})
test('CreatePartitions: more, never fewer', async () => {
  const { broker, exchange } = setUp(['t', 2])
  const codeOf = async (
    name: string,
    count: number,
    assignments: { brokerIds: number[] }[] | null = null,
    validateOnly = false,
  ) => {
    const request = { topics: [{ name, count, assignments }], timeoutMs: 0, validateOnly }
    return (await ask(createPartitions, 3, request, exchange)).results[0]!.errorCode
  }
  assert.equal(await codeOf('t', 4, null, true), 0)
  assert.equal(broker.infos.get('t')!.partitions, 2)
  assert.equal(await codeOf('t', 4), 0)
  assert.equal(broker.infos.get('t')!.partitions, 4)
  assert.equal(await codeOf('t', 4), 37)
  assert.equal(await codeOf('t', 1), 37)
  assert.equal(await codeOf('x', 4), 3)
  assert.equal(await codeOf('t', 6, [{ brokerIds: [1] }]), 39)
  assert.equal(await codeOf('t', 5, [{ brokerIds: [3] }]), 39)
  assert.equal(await codeOf('t', 5, [{ brokerIds: [1] }]), 0)
})
test('DescribeLogDirs: bytes of each partition', async () => {
  const { broker, exchange } = setUp(['t', 2], ['u', 1])
  await write(broker, 't', 'a')
  const of = async (topics: { topic: string; partitions: number[] }[] | null) =>
    (await ask(describeLogDirs, 4, { topics }, exchange)).results[0]!.topics
  assert.deepEqual(
    (await of(null)).map((topic) => [topic.name, topic.partitions.map((one) => one.partitionSize > 0)]),
    [
      ['t', [true, false]],
      ['u', [false]],
    ],
  )
  assert.deepEqual(await of([{ topic: 'x', partitions: [0] }]), [])
  assert.equal((await of([{ topic: 't', partitions: [0, 5] }]))[0]!.partitions.length, 1)
})
test('DescribeCluster: brokers, not controllers', async () => {
  const { exchange } = setUp()
  const asked = { includeClusterAuthorizedOperations: true, includeFencedBrokers: false }
  const answer = await ask(describeCluster, 2, asked, exchange)
  assert.deepEqual([answer.clusterId.length, answer.controllerId, answer.brokers.length], [22, 1, 1])
  assert.equal((await ask(describeCluster, 1, { ...asked, endpointType: 2 }, exchange)).errorCode, 114)
})
type Page = Decoded<typeof describeTopicPartitions.api.response>
test('DescribeTopicPartitions: in pieces, by a cursor', async () => {
  const { exchange } = setUp(['b', 3], ['a', 2], ['c', 1])
  const seen: string[] = []
  let cursor: { topicName: string; partitionIndex: number } | null = null
  for (let round = 0; round < 10; round++) {
    const request = { topics: [], responsePartitionLimit: 2, cursor }
    const answer: Page = await ask(describeTopicPartitions, 0, request, exchange)
    for (const topic of answer.topics)
      for (const one of topic.partitions) seen.push(`${topic.name}${one.partitionIndex}`)
    cursor = answer.nextCursor
    if (cursor === null) break
  }
  assert.deepEqual(seen, ['a0', 'a1', 'b0', 'b1', 'b2', 'c0'])
  const lost = await ask(describeTopicPartitions, 0, { topics: [{ name: 'x' }], cursor: null }, exchange)
  assert.equal(lost.topics[0]!.errorCode, 3)
})
