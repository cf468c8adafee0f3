/** Share groups over the wire, on the log itself. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { joinGroup } from '../../../src/gateway/kafka/handlers/11-join-group.ts'
import { describeGroups } from '../../../src/gateway/kafka/handlers/15-describe-groups.ts'
import { listGroups } from '../../../src/gateway/kafka/handlers/16-list-groups.ts'
import { deleteGroups } from '../../../src/gateway/kafka/handlers/42-delete-groups.ts'
import { consumerGroupHeartbeat } from '../../../src/gateway/kafka/handlers/68-consumer-group-heartbeat.ts'
import { shareGroupHeartbeat } from '../../../src/gateway/kafka/handlers/76-share-group-heartbeat.ts'
import { shareGroupDescribe } from '../../../src/gateway/kafka/handlers/77-share-group-describe.ts'
import { shareFetch } from '../../../src/gateway/kafka/handlers/78-share-fetch.ts'
import { shareAcknowledge } from '../../../src/gateway/kafka/handlers/79-share-acknowledge.ts'
import { alterShareGroupOffsets } from '../../../src/gateway/kafka/handlers/91-alter-share-group-offsets.ts'
import { deleteShareGroupOffsets } from '../../../src/gateway/kafka/handlers/92-delete-share-group-offsets.ts'
import { describeShareGroupOffsets } from '../../../src/gateway/kafka/handlers/90-describe-share-group-offsets.ts'
import { ShareSessions } from '../../../src/gateway/kafka/share-sessions.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { World } from '../../../src/lib/world.ts'
import { encodeBatch } from '../../../src/log/batch.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import { countRecords } from '../../../src/log/local/system-log.ts'
import { ask, exchangeFor } from './ask.ts'
import { until } from './local-gateway.ts'

const group = 's'
const code = {
  unknownPartition: 3,
  inconsistent: 23,
  unknownMember: 25,
  invalidRequest: 42,
  notEmpty: 68,
  notFound: 69,
  fencedMemberEpoch: 110,
  recordState: 121,
  sessionNotFound: 122,
  sessionEpoch: 123,
  sessionLimit: 133,
} as const
const accept = 1
const release = 2
const reject = 3
const renew = 4
type Acks = readonly [first: number, last: number, ...types: number[]]

class Wire {
  readonly world: World = { ...realWorld(), disk: memoryDisk() }
  log!: LocalLog
  sessions = new ShareSessions({ sessionsMax: 3, partitionsMax: 20 })
  /** Of connections, by who has one. */
  readonly connections = new Map<string, AbortController>()

  static async open(partitions = 2): Promise<Wire> {
    const wire = new Wire()
    await wire.boot()
    await wire.log.topics.create([{ name: 't', partitions }])
    await wire.log.groupConfigs.alter(group, {
      'share.auto.offset.reset': 'earliest',
      'share.assignment.interval.ms': '0',
    })
    return wire
  }
  async boot(): Promise<void> {
    this.log = await openLocalLog({ world: this.world, dir: '/data' })
  }
  async restart(): Promise<void> {
    await this.log.close()
    this.sessions = new ShareSessions({ sessionsMax: 3, partitionsMax: 20 })
    await this.boot()
  }
  exchange(member = '') {
    let connection = this.connections.get(member)
    if (connection === undefined) this.connections.set(member, (connection = new AbortController()))
    return exchangeFor(this.log, { shareSessions: this.sessions, signal: connection.signal })
  }
  get topicId(): string {
    return this.log.catalog.byName('t')!.id
  }
  beat(memberId: string, memberEpoch: number, topics: string[] | null = null, groupId = group) {
    const request = { groupId, memberId, memberEpoch, subscribedTopicNames: topics }
    return ask(shareGroupHeartbeat, 1, request, this.exchange())
  }
  async write(count: number, index = 0): Promise<void> {
    const records = Array.from({ length: count }, (_, i) => ({ key: null, value: Buffer.from(`${i}`), timeMs: 1 }))
    const [answer] = await this.log.writer().append([{ partition: { topic: 't', index }, batch: encodeBatch(records) }])
    assert.ok('offset' in answer!)
  }
  topics(parts: Record<number, readonly Acks[]>) {
    const partitions = Object.entries(parts).map(([index, acks]) => ({
      partitionIndex: Number(index),
      acknowledgementBatches: acks.map(([firstOffset, lastOffset, ...acknowledgeTypes]) => ({
        firstOffset,
        lastOffset,
        acknowledgeTypes,
      })),
    }))
    return partitions.length === 0 ? [] : [{ topicId: this.topicId, partitions }]
  }
  async fetch(memberId: string, epoch: number, parts: Record<number, readonly Acks[]> = {}, more: object = {}) {
    const answer = await ask(
      shareFetch,
      2,
      {
        groupId: group,
        memberId,
        shareSessionEpoch: epoch,
        maxWaitMs: 0,
        minBytes: 1,
        maxBytes: 1_000_000,
        maxRecords: 100,
        batchSize: 100,
        shareAcquireMode: 0,
        isRenewAck: false,
        topics: this.topics(parts),
        forgottenTopicsData: [],
        ...more,
      },
      this.exchange(memberId),
    )
    const found = answer.responses.flatMap(({ partitions }) => partitions)
    return {
      error: answer.errorCode,
      lockMs: answer.acquisitionLockTimeoutMs,
      acks: Object.fromEntries(found.map((one) => [one.partitionIndex, one.acknowledgeErrorCode])),
      errors: Object.fromEntries(found.map((one) => [one.partitionIndex, one.errorCode])),
      acquired: found.flatMap(({ partitionIndex, acquiredRecords }) =>
        acquiredRecords.map((one) => [partitionIndex, one.firstOffset, one.lastOffset, one.deliveryCount]),
      ),
      records: found.reduce((sum, { records }) => sum + countRecords(records), 0),
    }
  }
  async acknowledge(memberId: string, epoch: number, parts: Record<number, readonly Acks[]> = {}, more: object = {}) {
    const answer = await ask(
      shareAcknowledge,
      2,
      { groupId: group, memberId, shareSessionEpoch: epoch, isRenewAck: false, topics: this.topics(parts), ...more },
      this.exchange(memberId),
    )
    const found = answer.responses.flatMap(({ partitions }) => partitions)
    return answer.errorCode === 0 ? found.map((one) => one.errorCode) : answer.errorCode
  }
  async offsets() {
    const request = { groups: [{ groupId: group, topics: null }] }
    const { groups } = await ask(describeShareGroupOffsets, 1, request, this.exchange())
    return groups[0]!.topics.flatMap(({ partitions }) =>
      partitions.map(({ partitionIndex, startOffset, lag }) => [partitionIndex, startOffset, lag]),
    )
  }
}

test('members share the partitions of a topic; with more members than partitions, several have one', async () => {
  const wire = await Wire.open()
  const one = await wire.beat('one', 0, ['t'])
  assert.deepEqual(one.assignment?.topicPartitions[0]?.partitions, [0, 1])
  await wire.beat('two', 0, ['t'])
  const three = await wire.beat('three', 0, ['t'])
  assert.equal(three.assignment?.topicPartitions[0]?.partitions.length, 1)
  const again = await wire.beat('one', one.memberEpoch)
  assert.equal(again.assignment?.topicPartitions[0]?.partitions.length, 1)
  const request = { groupIds: [group, 'none', ''], includeAuthorizedOperations: false }
  const described = await ask(shareGroupDescribe, 1, request, wire.exchange())
  const [found] = described.groups
  assert.deepEqual([found!.groupState, found!.assignorName, found!.members.length], ['Stable', 'simple', 3])
  const held = new Set(found!.members.flatMap(({ assignment }) => assignment.topicPartitions[0]?.partitions ?? []))
  assert.equal(held.size, 2, 'every partition is with somebody')
  assert.deepEqual(
    described.groups.slice(1).map(({ errorCode }) => errorCode),
    [code.notFound, 24],
  )
})
test('an epoch that is not the member’s is fenced, but for the one before it', async () => {
  const wire = await Wire.open()
  const { memberEpoch } = await wire.beat('one', 0, ['t'])
  await wire.beat('two', 0, ['t'])
  const next = await wire.beat('one', memberEpoch)
  assert.equal(next.memberEpoch, memberEpoch + 1)
  assert.equal((await wire.beat('one', memberEpoch)).errorCode, 0, 'the answer may have been lost')
  assert.equal((await wire.beat('one', memberEpoch - 1)).errorCode, code.fencedMemberEpoch)
  assert.equal((await wire.beat('one', memberEpoch + 7)).errorCode, code.fencedMemberEpoch)
  assert.equal((await wire.beat('nobody', 3)).errorCode, code.unknownMember)
  assert.equal((await wire.beat('one', -2)).errorCode, code.invalidRequest)
  assert.equal((await wire.beat('', 0, ['t'])).errorCode, code.invalidRequest)
  assert.equal((await wire.beat('x'.repeat(37), 0, ['t'])).errorCode, code.invalidRequest)
  assert.equal((await wire.beat('new', 0, [])).errorCode, code.invalidRequest)
  assert.equal((await wire.beat('one', 1, null, 'other')).errorCode, code.notFound)
})
test('a name is a group of one kind', async () => {
  const wire = await Wire.open()
  await wire.beat('one', 0, ['t'])
  const join = {
    groupId: group,
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    memberId: '',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
  }
  assert.equal((await ask(joinGroup, 9, join, wire.exchange())).errorCode, code.inconsistent)
  const beat = { groupId: group, memberId: 'c', memberEpoch: 0, rebalanceTimeoutMs: 1_000, topicPartitions: [] }
  const consumer = await ask(consumerGroupHeartbeat, 1, { ...beat, subscribedTopicNames: ['t'] }, wire.exchange())
  assert.equal(consumer.errorCode, code.notFound)
  const described = await ask(
    describeGroups,
    6,
    { groups: [group], includeAuthorizedOperations: false },
    wire.exchange(),
  )
  assert.equal(described.groups[0]!.errorCode, code.notFound)
  const listed = await ask(listGroups, 5, { statesFilter: [], typesFilter: ['share'] }, wire.exchange())
  assert.deepEqual(
    listed.groups.map(({ groupId, protocolType, groupState, groupType }) => [
      groupId,
      protocolType,
      groupState,
      groupType,
    ]),
    [[group, 'share', 'Stable', 'share']],
  )
  const classic = await ask(
    consumerGroupHeartbeat,
    1,
    { ...beat, groupId: 'k', subscribedTopicNames: ['t'] },
    wire.exchange(),
  )
  assert.equal(classic.errorCode, 0)
  assert.equal((await wire.beat('one', 0, ['t'], 'k')).errorCode, code.notFound)
})
test('records are fetched in a session and acknowledged with the next fetch, or by themselves', async () => {
  const wire = await Wire.open()
  await wire.beat('one', 0, ['t'])
  await wire.write(5)
  await wire.write(5)
  const first = await wire.fetch('one', 0, { 0: [], 1: [] })
  assert.deepEqual(first.acquired, [[0, 0, 9, 1]])
  assert.equal(first.records, 10)
  assert.equal(first.lockMs, 30_000)
  const second = await wire.fetch('one', 1, { 0: [[0, 3, accept]] })
  assert.deepEqual([second.error, second.acks], [0, { 0: 0 }])
  assert.deepEqual(await wire.acknowledge('one', 2, { 0: [[4, 7, accept, release, reject, 0]] }), [0])
  assert.deepEqual(await wire.offsets(), [
    [0, 5, 3],
    [1, 0, 0],
  ])
  const third = await wire.fetch('one', 3)
  assert.deepEqual(third.acquired, [[0, 5, 5, 2]], 'released, and counted')
  await wire.restart()
  await wire.beat('two', 0, ['t'])
  const later = await wire.fetch('two', 0, { 0: [] })
  assert.deepEqual(later.acquired, [
    [0, 5, 5, 2],
    [0, 8, 9, 1],
  ])
})
test('what is no acknowledgement is refused, and nothing of it stands', async () => {
  const wire = await Wire.open()
  await wire.beat('one', 0, ['t'])
  await wire.write(10)
  await wire.fetch('one', 0, { 0: [], 1: [] })
  await wire.fetch('two', 0, { 0: [], 1: [] })
  let epoch = 1
  const refused = (...acks: Acks[]) => wire.acknowledge('one', epoch++, { 0: acks })
  assert.deepEqual(await refused([50, 51, accept]), [code.invalidRequest], 'never given out')
  assert.deepEqual(await refused([3, 51, accept]), [code.invalidRequest])
  assert.deepEqual(await refused([1, 1, 9]), [code.invalidRequest], 'no such type')
  assert.deepEqual(await refused([1, 3, accept, accept]), [code.invalidRequest], 'two for three')
  assert.deepEqual(await refused([1, 3]), [code.invalidRequest])
  assert.deepEqual(await refused([3, 1, accept]), [code.invalidRequest])
  assert.deepEqual(await refused([4, 4, accept], [3, 3, accept]), [code.invalidRequest], 'out of order')
  assert.deepEqual(await refused([1, 2, accept], [2, 3, accept]), [code.recordState], 'one twice')
  assert.deepEqual(await refused([1, 1, renew]), [code.invalidRequest], 'the request does not say so')
  assert.deepEqual(await wire.acknowledge('two', 1, { 0: [[0, 0, accept]] }), [code.recordState], 'another’s')
  assert.deepEqual(await wire.acknowledge('one', epoch++, { 7: [[0, 0, accept]] }), [code.unknownPartition])
  assert.deepEqual(await refused([0, 9, accept]), [0])
  assert.deepEqual(await refused([0, 9, accept]), [0], 'it is over already')
})
test('sessions: epochs in turn, an end, and a bound', async () => {
  const wire = await Wire.open()
  await wire.beat('one', 0, ['t'])
  await wire.write(3)
  assert.equal((await wire.fetch('one', 3, { 0: [] })).error, code.sessionNotFound)
  assert.equal((await wire.fetch('one', -1)).error, code.sessionNotFound)
  assert.equal(await wire.acknowledge('one', 0), code.sessionEpoch)
  assert.equal(await wire.acknowledge('one', 1), code.sessionNotFound)
  assert.equal((await wire.fetch('one', 0, { 0: [[0, 0, accept]] })).error, code.invalidRequest)
  assert.equal((await wire.fetch('one', 0, { 0: [] })).records, 3)
  assert.equal((await wire.fetch('one', 5)).error, code.sessionEpoch)
  assert.equal((await wire.fetch('one', 1, {}, { shareAcquireMode: 7 })).error, code.invalidRequest)
  const forgotten = [{ topicId: wire.topicId, partitions: [0] }]
  assert.equal((await wire.fetch('one', 1, { 9: [] }, { forgottenTopicsData: forgotten })).errors[9], 3)
  assert.equal((await wire.fetch('one', -1, { 0: [[0, 0, accept]] })).acks[0], 0, 'the last request may acknowledge')
  assert.equal((await wire.fetch('two', 0, { 0: [] })).records, 3, 'the rest is there for others')
  await wire.fetch('three', 0)
  await wire.fetch('four', 0)
  assert.equal((await wire.fetch('five', 0)).error, code.sessionLimit)
  assert.equal((await wire.fetch('four', 0)).error, 0, 'its own makes room')
  const many = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [i, []]))
  assert.equal((await wire.fetch('four', 1, many)).error, code.sessionLimit)
})
test('a connection that closes gives back what its member holds', async () => {
  const wire = await Wire.open()
  await wire.beat('one', 0, ['t'])
  await wire.write(3)
  assert.equal((await wire.fetch('one', 0, { 0: [] })).records, 3)
  wire.connections.get('one')!.abort()
  assert.equal(wire.sessions.size, 0)
  await until('others have it', async () => (await wire.fetch('two', 0, { 0: [] })).records === 3)
})
test('a member that leaves or falls silent gives back what it holds', async () => {
  const wire = await Wire.open()
  await wire.beat('one', 0, ['t'])
  await wire.write(3)
  assert.equal((await wire.fetch('one', 0, { 0: [] })).records, 3)
  assert.equal((await wire.beat('one', -1)).memberEpoch, -1)
  assert.equal((await wire.beat('one', -1)).errorCode, code.unknownMember)
  await until('others have it', async () => (await wire.fetch('two', 0, { 0: [] })).records === 3)
})
test('locks are renewed by a request that says so and asks for nothing', async () => {
  const wire = await Wire.open()
  await wire.beat('one', 0, ['t'])
  await wire.write(3)
  await wire.fetch('one', 0, { 0: [] })
  const nothing = { isRenewAck: true, maxWaitMs: 0, minBytes: 0, maxBytes: 0, maxRecords: 0 }
  assert.equal((await wire.fetch('one', 1, {}, { ...nothing, maxRecords: 1 })).error, code.invalidRequest)
  assert.deepEqual((await wire.fetch('one', 1, { 0: [[0, 0, renew]] }, nothing)).acks, { 0: 0 })
  assert.deepEqual(await wire.acknowledge('one', 2, { 0: [[1, 2, renew, accept]] }, { isRenewAck: true }), [0])
  await wire.log.groupConfigs.alter(group, { 'share.renew.acknowledge.enable': 'false' })
  assert.deepEqual(await wire.acknowledge('one', 3, { 0: [[0, 0, renew]] }, { isRenewAck: true }), [
    code.invalidRequest,
  ])
})
test('limits of a fetch: whole batches, or exactly so many records; bytes; nothing at all', async () => {
  const wire = await Wire.open()
  await wire.beat('one', 0, ['t'])
  await wire.write(10)
  await wire.write(10)
  assert.deepEqual((await wire.fetch('one', 0, { 0: [] }, { maxRecords: 1 })).acquired, [[0, 0, 9, 1]])
  assert.deepEqual((await wire.fetch('one', 1, {}, { maxRecords: 3, shareAcquireMode: 1 })).acquired, [[0, 10, 12, 1]])
  assert.deepEqual((await wire.fetch('one', 2, {}, { maxRecords: 0 })).acquired, [])
  assert.deepEqual((await wire.fetch('one', 3, {}, { maxBytes: 0 })).acquired, [])
  assert.deepEqual((await wire.fetch('one', 4, {}, { maxBytes: 1 })).acquired, [[0, 13, 19, 1]], 'one batch at least')
})
test('ranges are cut where batches are, after about so many records', async () => {
  const wire = await Wire.open()
  await wire.beat('one', 0, ['t'])
  for (let i = 0; i < 5; i++) await wire.write(4)
  assert.deepEqual((await wire.fetch('one', 0, { 0: [] }, { batchSize: 8 })).acquired, [
    [0, 0, 7, 1],
    [0, 8, 15, 1],
    [0, 16, 19, 1],
  ])
})
test('who waits is answered when something comes', async () => {
  const wire = await Wire.open()
  await wire.beat('one', 0, ['t'])
  const waiting = wire.fetch('one', 0, { 0: [], 1: [] }, { maxWaitMs: 20_000 })
  await new Promise((resolve) => setTimeout(resolve, 20))
  await wire.write(1, 1)
  assert.deepEqual((await waiting).acquired, [[1, 0, 0, 1]])
})
test('a group that nobody joined has nothing to fetch', async () => {
  const wire = await Wire.open()
  await wire.write(1)
  assert.deepEqual((await wire.fetch('one', 0, { 0: [] })).errors, { 0: code.notFound })
})
test('where a group is: shown, moved and forgotten while nobody is in it', async () => {
  const wire = await Wire.open()
  await wire.write(10)
  const alter = async (startOffset: number, partitionIndex = 0) => {
    const topics = [{ topicName: 't', partitions: [{ partitionIndex, startOffset }] }]
    const answer = await ask(alterShareGroupOffsets, 0, { groupId: group, topics }, wire.exchange())
    return answer.errorCode === 0 ? answer.responses[0]!.partitions[0]!.errorCode : answer.errorCode
  }
  const forget = async (topicName: string) => {
    const topics = [{ topicName }]
    const answer = await ask(deleteShareGroupOffsets, 0, { groupId: group, topics }, wire.exchange())
    return answer.errorCode === 0 ? answer.responses[0]!.errorCode : answer.errorCode
  }
  assert.equal(await forget('t'), code.notFound)
  assert.equal(await alter(4), 0, 'which makes the group')
  assert.equal(await alter(4, 9), code.unknownPartition)
  assert.equal(await alter(99), 1, 'beyond the end')
  const { memberEpoch } = await wire.beat('one', 0, ['t'])
  assert.ok(memberEpoch > 0)
  assert.deepEqual((await wire.fetch('one', 0, { 0: [] })).acquired, [[0, 4, 9, 1]])
  assert.equal(await alter(0), code.notEmpty)
  assert.equal(await forget('t'), code.notEmpty)
  const remove = () => ask(deleteGroups, 2, { groupsNames: [group] }, wire.exchange())
  assert.equal((await remove()).results[0]!.errorCode, code.notEmpty)
  assert.deepEqual(await wire.offsets(), [
    [0, 4, 6],
    [1, -1, -1],
  ])
  await wire.beat('one', -1)
  await wire.restart()
  assert.deepEqual(await wire.offsets(), [[0, 4, 6]])
  assert.equal(await forget('none'), code.unknownPartition)
  assert.equal(await forget('t'), 0)
  assert.equal(await forget('t'), code.unknownPartition, 'there is nothing more to forget')
  assert.equal((await remove()).results[0]!.errorCode, 0)
  await wire.restart()
  assert.deepEqual(await wire.offsets(), [])
  const listed = await ask(listGroups, 5, { statesFilter: [], typesFilter: [] }, wire.exchange())
  assert.deepEqual(listed.groups, [])
})
test('members and their assignments are known after a restart', async () => {
  const wire = await Wire.open()
  const { memberEpoch } = await wire.beat('one', 0, ['t'])
  await wire.restart()
  const again = await wire.beat('one', memberEpoch)
  assert.deepEqual([again.errorCode, again.memberEpoch, again.assignment], [0, memberEpoch, null])
  await wire.log.topics.alter('t', { partitions: 3 })
  const grown = await wire.beat('one', memberEpoch)
  assert.deepEqual(grown.assignment?.topicPartitions[0]?.partitions, [0, 1, 2])
})
