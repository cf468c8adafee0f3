/** Groups over the wire, on the log itself: both protocols, and the way from one to the other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { offsetCommit } from '../../../src/gateway/kafka/handlers/08-offset-commit.ts'
import { offsetFetch } from '../../../src/gateway/kafka/handlers/09-offset-fetch.ts'
import { joinGroup } from '../../../src/gateway/kafka/handlers/11-join-group.ts'
import { heartbeat } from '../../../src/gateway/kafka/handlers/12-heartbeat.ts'
import { leaveGroup } from '../../../src/gateway/kafka/handlers/13-leave-group.ts'
import { syncGroup } from '../../../src/gateway/kafka/handlers/14-sync-group.ts'
import { describeGroups } from '../../../src/gateway/kafka/handlers/15-describe-groups.ts'
import { listGroups } from '../../../src/gateway/kafka/handlers/16-list-groups.ts'
import { describeConfigs } from '../../../src/gateway/kafka/handlers/32-describe-configs.ts'
import { deleteGroups } from '../../../src/gateway/kafka/handlers/42-delete-groups.ts'
import { incrementalAlterConfigs } from '../../../src/gateway/kafka/handlers/44-incremental-alter-configs.ts'
import { offsetDelete } from '../../../src/gateway/kafka/handlers/47-offset-delete.ts'
import { consumerGroupHeartbeat } from '../../../src/gateway/kafka/handlers/68-consumer-group-heartbeat.ts'
import { listConfigResources } from '../../../src/gateway/kafka/handlers/74-list-config-resources.ts'
import { consumerGroupDescribe } from '../../../src/gateway/kafka/handlers/69-consumer-group-describe.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { World } from '../../../src/lib/world.ts'
import { readAssignment } from '../../../src/log/local/groups/embedded.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import { nullUuid } from '../../../src/wire/kafka/codec/shape.ts'
import { ask, exchangeFor } from './ask.ts'

const group = 'g'
const code = { unknownMember: 25, invalidRequest: 42, notFound: 69, notEmpty: 68, usesTopic: 86 } as const

class Wire {
  readonly world: World = { ...realWorld(), disk: memoryDisk() }
  log!: LocalLog

  static async open(): Promise<Wire> {
    const wire = new Wire()
    await wire.boot()
    await wire.log.topics.create([
      { name: 't', partitions: 4 },
      { name: 'other', partitions: 1 },
    ])
    // No wait between two assignments: the tests go faster than clients.
    await wire.log.groupConfigs.alter(group, { 'consumer.assignment.interval.ms': '0' })
    return wire
  }
  async boot(): Promise<void> {
    this.log = await openLocalLog({ world: this.world, dir: '/data', initialRebalanceDelayMs: 5 })
  }
  async restart(): Promise<void> {
    await this.log.close()
    await this.boot()
  }
  get exchange() {
    return exchangeFor(this.log)
  }
  get topicId(): string {
    return this.log.catalog.byName('t')!.id
  }
  beat(memberId: string, memberEpoch: number, more: object = {}, version = 1) {
    return ask(consumerGroupHeartbeat, version, { groupId: group, memberId, memberEpoch, ...more }, this.exchange)
  }
  join(memberId: string, more: object = {}, version = 1) {
    const first = { rebalanceTimeoutMs: 60_000, subscribedTopicNames: ['t'], topicPartitions: [] }
    return this.beat(memberId, 0, { ...first, ...more }, version)
  }
  owned(...partitions: number[]) {
    return [{ topicId: this.topicId, partitions }]
  }
  classicJoin(memberId = '', more: object = {}) {
    return ask(
      joinGroup,
      9,
      {
        groupId: group,
        sessionTimeoutMs: 10_000,
        rebalanceTimeoutMs: 10_000,
        memberId,
        protocolType: 'consumer',
        protocols: [{ name: 'range', metadata: subscription }],
        ...more,
      },
      this.exchange,
    )
  }
  classicSync(
    memberId: string,
    generationId: number,
    assignments: { memberId: string; assignment: Uint8Array }[] = [],
  ) {
    return ask(
      syncGroup,
      5,
      { groupId: group, generationId, memberId, protocolType: 'consumer', protocolName: 'range', assignments },
      this.exchange,
    )
  }
  /** A first join, and the one that follows with the id it was given. */
  async classicMember(more: object = {}): Promise<{ memberId: string; generationId: number }> {
    const first = await this.classicJoin('', more)
    const joined = first.errorCode === 79 ? await this.classicJoin(first.memberId, more) : first
    assert.equal(joined.errorCode, 0)
    return joined
  }
  async describe() {
    const { groups } = await ask(
      consumerGroupDescribe,
      1,
      { groupIds: [group], includeAuthorizedOperations: false },
      this.exchange,
    )
    return groups[0]!
  }
  async classicDescribe() {
    const { groups } = await ask(
      describeGroups,
      6,
      { groups: [group], includeAuthorizedOperations: false },
      this.exchange,
    )
    return groups[0]!
  }
  async commit(memberId: string, epoch: number, offset: number, version = 9, topic = 't'): Promise<number> {
    const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: '' }]
    const topics = [{ topicId: nullUuid, name: topic, partitions }]
    const request = { groupId: group, generationIdOrMemberEpoch: epoch, memberId, retentionTimeMs: -1, topics }
    return (await ask(offsetCommit, version, request, this.exchange)).topics[0]!.partitions[0]!.errorCode
  }
}
const subscription = Buffer.from([0, 0, 0, 0, 0, 1, 0, 1, 't'.charCodeAt(0), 255, 255, 255, 255])
const indexes = (answer: { assignment: { topicPartitions: { partitions: number[] }[] } | null }): number[] | null =>
  answer.assignment?.topicPartitions.flatMap(({ partitions }) => partitions).toSorted((a, b) => a - b) ?? null
const indexesOf = (bytes: Uint8Array): number[] => readAssignment(bytes)!.partitions.map(({ index }) => index)

test('ConsumerGroupHeartbeat: what is refused before the group is looked at', async () => {
  const wire = await Wire.open()
  const join = { rebalanceTimeoutMs: 1, subscribedTopicNames: ['t'], topicPartitions: [] }
  const refused: [memberId: string, epoch: number, more: object][] = [
    ['', 0, join],
    ['a', 0, { ...join, rebalanceTimeoutMs: -1 }],
    ['a', 0, { ...join, topicPartitions: null }],
    ['a', 0, { ...join, topicPartitions: wire.owned(0) }],
    ['a', 0, { ...join, subscribedTopicNames: null }],
    ['a', 0, { ...join, instanceId: '' }],
    ['a', 0, { ...join, rackId: ' ' }],
    ['a', -2, {}],
    ['a', -3, {}],
  ]
  for (const [memberId, epoch, more] of refused)
    assert.equal((await wire.beat(memberId, epoch, more)).errorCode, code.invalidRequest, JSON.stringify([epoch, more]))
  assert.equal((await wire.join('a', { serverAssignor: 'mine' })).errorCode, 112)
  assert.equal((await wire.join('a', { subscribedTopicRegex: '(' })).errorCode, 128)
  assert.equal((await wire.beat('a', 1)).errorCode, code.notFound)
  assert.equal((await wire.describe()).errorCode, code.notFound, 'nothing is left of them')
  const given = await wire.join('', {}, 0)
  assert.match(given.memberId ?? '', /^[0-9a-f-]{36}$/, 'version 0 has its id made')
  await wire.log.close()
})
test('ConsumerGroupHeartbeat, ConsumerGroupDescribe: two members share, also after a restart', async () => {
  const wire = await Wire.open()
  const a = await wire.join('a', { rackId: 'r1' })
  assert.deepEqual([a.errorCode, a.memberEpoch, indexes(a)], [0, 2, [0, 1, 2, 3]])
  await wire.join('b', { instanceId: 'i' })
  const told = await wire.beat('a', 2)
  const [kept] = [indexes(told)!]
  assert.equal(kept.length, 2)
  await wire.restart()
  const described = await wire.describe()
  assert.deepEqual(
    [described.groupState, described.groupEpoch, described.assignmentEpoch, described.assignorName],
    ['Reconciling', 3, 3, 'uniform'],
  )
  const [first] = described.members
  assert.deepEqual(
    [first!.memberId, first!.rackId, first!.memberEpoch, first!.subscribedTopicNames, first!.memberType],
    ['a', 'r1', 2, ['t'], 1],
  )
  assert.deepEqual(
    first!.assignment.topicPartitions[0]!.partitions.toSorted(),
    [0, 1, 2, 3],
    'also what it has to give up',
  )
  assert.equal((await wire.beat('a', 2, { topicPartitions: wire.owned(...kept) })).memberEpoch, 3)
  assert.equal(indexes(await wire.beat('b', 3))?.length, 2)
  assert.equal((await wire.describe()).groupState, 'Stable')
  assert.equal((await wire.classicDescribe()).errorCode, code.notFound, 'it is no classic group')
  assert.equal((await wire.beat('b', -2, { instanceId: 'i' })).memberEpoch, -2)
  assert.equal((await wire.join('c', { instanceId: 'i' })).errorCode, 0)
  assert.equal((await wire.beat('b', 3)).errorCode, code.unknownMember)
  await wire.beat('c', -1, { instanceId: 'i' })
  await wire.beat('a', -1)
  assert.equal((await wire.describe()).groupState, 'Empty')
  await wire.restart()
  assert.equal((await wire.describe()).groupState, 'Empty')
  const { groups } = await ask(listGroups, 5, { statesFilter: ['EMPTY'], typesFilter: ['Consumer'] }, wire.exchange)
  assert.deepEqual(groups, [{ groupId: group, protocolType: 'consumer', groupState: 'Empty', groupType: 'consumer' }])
  const classic = await ask(listGroups, 5, { statesFilter: [], typesFilter: ['classic'] }, wire.exchange)
  assert.deepEqual(classic.groups, [])
  const deleted = await ask(deleteGroups, 2, { groupsNames: [group] }, wire.exchange)
  assert.deepEqual(
    deleted.results.map(({ errorCode }) => errorCode),
    [0],
  )
  await wire.restart()
  assert.equal((await wire.describe()).errorCode, code.notFound)
  await wire.log.close()
})
test('OffsetCommit, OffsetFetch: with the epoch of the member', async () => {
  const wire = await Wire.open()
  await wire.join('a')
  assert.equal(await wire.commit('a', 2, 5), 0)
  assert.equal(await wire.commit('a', 2, 5, 8), 35, 'members of this kind know version 9')
  assert.equal(await wire.commit('a', 3, 5), 113)
  assert.equal(await wire.commit('x', 2, 5), code.unknownMember)
  assert.equal(await wire.commit('', -1, 5), code.unknownMember, 'the group has members')
  const fetch = async (memberId: string | null, memberEpoch: number): Promise<[number, number | undefined]> => {
    const topics = [{ topicId: nullUuid, name: 't', partitionIndexes: [0] }]
    const groups = [{ groupId: group, memberId, memberEpoch, topics }]
    const answer = await ask(offsetFetch, 9, { groups, groupId: '', topics: [], requireStable: true }, wire.exchange)
    const [found] = answer.groups
    return [found!.errorCode, found!.topics[0]?.partitions[0]?.committedOffset]
  }
  assert.deepEqual(await fetch('a', 2), [0, 5])
  assert.deepEqual(await fetch(null, -1), [0, 5])
  assert.deepEqual(await fetch('a', 1), [113, undefined])
  assert.deepEqual(await fetch('b', 2), [code.unknownMember, undefined])
  const partitions = [{ partitionIndex: 0 }]
  const remove = (topic: string, groupId = group) =>
    ask(offsetDelete, 0, { groupId, topics: [{ name: topic, partitions }] }, wire.exchange)
  assert.equal((await remove('t')).topics[0]?.partitions[0]?.errorCode, code.usesTopic)
  assert.equal((await remove('other')).topics[0]?.partitions[0]?.errorCode, 0)
  assert.equal((await remove('t', 'nope')).errorCode, code.notFound)
  const refused = await ask(deleteGroups, 2, { groupsNames: [group] }, wire.exchange)
  assert.equal(refused.results[0]!.errorCode, code.notEmpty)
  await wire.beat('a', -1)
  assert.equal(await wire.commit('', -1, 7), 0, 'an administrator may, when nobody is in it')
  assert.deepEqual(await fetch(null, -1), [0, 7])
  const old = await ask(
    offsetCommit,
    9,
    {
      groupId: 'nope',
      generationIdOrMemberEpoch: 3,
      memberId: 'a',
      retentionTimeMs: -1,
      topics: [
        {
          topicId: nullUuid,
          name: 't',
          partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: null }],
        },
      ],
    },
    wire.exchange,
  )
  assert.equal(old.topics[0]!.partitions[0]!.errorCode, code.notFound)
  await wire.log.close()
})
test('OffsetCommit: what is below 0 is kept as it is, also over a restart, and is no position to go on from', async () => {
  const wire = await Wire.open()
  const found = async (): Promise<number> => {
    const topics = [{ name: 't', partitionIndexes: [0] }]
    const answer = await ask(offsetFetch, 7, { groupId: group, topics, groups: [], requireStable: true }, wire.exchange)
    return answer.topics[0]!.partitions[0]!.committedOffset
  }
  for (const offset of [5, -1, -2]) {
    assert.equal(await wire.commit('', -1, offset), 0)
    assert.equal(await found(), offset)
  }
  await wire.restart()
  assert.equal(await found(), -2)
  assert.deepEqual(await wire.log.groups.positions(group), [])
  await wire.log.close()
})
test('settings of a group are honoured, shown and refused', async () => {
  const wire = await Wire.open()
  const resource = { resourceType: 32, resourceName: group }
  const set = async (name: string, value: string): Promise<number> => {
    const configs = [{ name, configOperation: 0, value }]
    const request = { resources: [{ ...resource, configs }], validateOnly: false }
    return (await ask(incrementalAlterConfigs, 1, request, wire.exchange)).responses[0]!.errorCode
  }
  assert.equal((await wire.join('a')).heartbeatIntervalMs, 100)
  assert.equal(await set('consumer.heartbeat.interval.ms', '7000'), 0)
  assert.equal((await wire.beat('a', 2)).heartbeatIntervalMs, 7_000)
  assert.equal(await set('consumer.session.timeout.ms', '6500'), 40, 'less than the heartbeat')
  assert.equal(await set('consumer.session.timeout.ms', 'soon'), 40)
  assert.equal(await set('streams.session.timeout.ms', '50000'), 40)
  await wire.restart()
  const request = {
    resources: [{ ...resource, configurationKeys: null }],
    includeSynonyms: false,
    includeDocumentation: false,
  }
  const shown = await ask(describeConfigs, 4, request, wire.exchange)
  assert.deepEqual(
    shown.results[0]!.configs.filter(({ name }) => name.startsWith('consumer.')).map(
      ({ name, value, configSource, readOnly }) => [name, value, configSource, readOnly],
    ),
    [
      ['consumer.session.timeout.ms', '45000', 5, false],
      ['consumer.heartbeat.interval.ms', '7000', 8, false],
      ['consumer.assignment.interval.ms', '0', 8, false],
    ],
  )
  await wire.log.close()
})
test('ListConfigResources: groups that have settings, topics, the broker', async () => {
  const wire = await Wire.open()
  const list = async (version: number, ...resourceTypes: number[]) =>
    ask(listConfigResources, version, { resourceTypes }, wire.exchange)
  assert.deepEqual((await list(1, 32)).configResources, [{ resourceName: group, resourceType: 32 }])
  assert.deepEqual((await list(0)).configResources, [], 'of client metrics there are none')
  await wire.log.clientMetrics.alter('all', { metrics: '*' })
  const [asked] = (await list(0)).configResources
  assert.equal(asked?.resourceName, 'all')
  const all = (await list(1)).configResources.map(({ resourceName, resourceType }) => `${resourceType} ${resourceName}`)
  assert.deepEqual(all.toSorted(), ['16 all', '2 _millrace_catalog', '2 other', '2 t', '32 g', '4 1'])
  assert.equal((await list(1, 99)).errorCode, 35)
  await wire.log.close()
})
test('online upgrade and downgrade: a classic group takes a consumer in, and is classic again without it', async () => {
  const wire = await Wire.open()
  const member = await wire.classicMember()
  const all = Buffer.concat([
    Buffer.from([0, 0, 0, 0, 0, 1, 0, 1, 't'.charCodeAt(0), 0, 0, 0, 4]),
    Buffer.from([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 255, 255, 255, 255]),
  ])
  await wire.classicSync(member.memberId, member.generationId, [{ memberId: member.memberId, assignment: all }])
  assert.equal(await wire.commit(member.memberId, member.generationId, 3), 0)

  const consumer = await wire.join('c')
  assert.deepEqual([consumer.errorCode, indexes(consumer)], [0, []], 'the classic member still has all')
  const upgraded = await wire.describe()
  assert.deepEqual(upgraded.members.map(({ memberType }) => memberType).toSorted(), [0, 1])
  await wire.restart()
  const beat = (generationId: number) =>
    ask(heartbeat, 4, { groupId: group, generationId, memberId: member.memberId }, wire.exchange)
  assert.equal((await beat(member.generationId)).errorCode, 27, 'it is to join again')
  // It gives up what it had before it joins, and so may take what it is to have.
  const rejoined = await wire.classicJoin(member.memberId)
  assert.equal(rejoined.errorCode, 0)
  assert.deepEqual([rejoined.leader, rejoined.members], ['', []], 'nobody leads: the broker assigns')
  const synced = await wire.classicSync(member.memberId, rejoined.generationId)
  assert.equal(indexesOf(synced.assignment).length, 2)
  assert.equal((await beat(rejoined.generationId)).errorCode, 0)
  assert.equal(indexes(await wire.beat('c', consumer.memberEpoch))?.length, 2)
  assert.equal((await wire.describe()).groupState, 'Stable')
  assert.equal(await wire.commit(member.memberId, rejoined.generationId, 4, 8), 0, 'classic members commit as before')

  assert.equal((await wire.beat('c', -1)).errorCode, 0)
  assert.equal((await wire.describe()).errorCode, code.notFound)
  const downgraded = await wire.classicDescribe()
  assert.deepEqual([downgraded.protocolType, downgraded.members.length], ['consumer', 1])
  await wire.restart()
  const again = await wire.classicJoin(member.memberId)
  assert.ok(again.generationId > rejoined.generationId)
  await wire.log.close()
})
test('a consumer group without members takes classic ones, and the other way round', async () => {
  const wire = await Wire.open()
  await wire.join('c')
  await wire.commit('c', 2, 9)
  await wire.beat('c', -1)
  const member = await wire.classicMember()
  assert.equal((await wire.classicDescribe()).groupState, 'CompletingRebalance')
  const gone = { memberId: member.memberId, groupInstanceId: null, reason: null }
  const left = await ask(leaveGroup, 5, { groupId: group, memberId: '', members: [gone] }, wire.exchange)
  assert.equal(left.members[0]!.errorCode, 0)
  await wire.restart()
  assert.equal((await wire.classicDescribe()).groupState, 'Empty')
  assert.equal((await wire.join('d')).errorCode, 0)
  const { groups } = await ask(listGroups, 5, { statesFilter: [], typesFilter: [] }, wire.exchange)
  assert.deepEqual(
    groups.map(({ groupType }) => groupType),
    ['consumer'],
  )
  await wire.log.close()
})
test('a classic group that is no group of consumers stays what it is', async () => {
  const wire = await Wire.open()
  await wire.classicMember({ protocolType: 'connect', protocols: [{ name: 'default', metadata: Buffer.from('x') }] })
  assert.equal((await wire.join('c')).errorCode, code.notFound)
  const remove = await ask(
    offsetDelete,
    0,
    { groupId: group, topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] },
    wire.exchange,
  )
  assert.equal(remove.errorCode, code.notEmpty)
  assert.equal((await wire.classicDescribe()).protocolType, 'connect')
  await wire.log.close()
})
test('a static consumer is replaced by a classic member of its name: the group is classic then', async () => {
  const wire = await Wire.open()
  await wire.join('c', { instanceId: 'i' })
  const joined = await wire.classicMember({ groupInstanceId: 'i' })
  assert.equal((await wire.describe()).errorCode, code.notFound)
  const { members, groupState } = await wire.classicDescribe()
  assert.deepEqual([groupState, members.map(({ groupInstanceId }) => groupInstanceId)], ['Stable', ['i']])
  const synced = await wire.classicSync(joined.memberId, joined.generationId)
  assert.deepEqual(indexesOf(synced.assignment), [0, 1, 2, 3], 'it has what its former self had')
  await wire.log.close()
})
