/**
 * Every API of the Kafka gateway by every need that it declares: without any grant it is refused and says no name, with
 * all of its needs it is answered, without any single one it is refused. What a handler does not declare it cannot ask
 * (access.ts), and an API without a request here is a failure: so the matrix has no holes.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Access } from '../../src/gateway/kafka/access.ts'
import type { Handler } from '../../src/gateway/kafka/handler.ts'
import { handlers } from '../../src/gateway/kafka/handlers/index.ts'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { ownBatch } from '../../src/store/batch-header.ts'
import type { LocalLog } from '../../src/log/local/local-log.ts'
import { openLocalLog } from '../../src/log/local/open.ts'
import { ShareSessions } from '../../src/gateway/kafka/share-sessions.ts'
import { GrantAuthorizer } from '../../src/security/authorizer.ts'
import { type Grant, type Operation, type ResourceType, clusterName } from '../../src/security/grants.ts'
import { user } from '../../src/security/principal.ts'
import { openToAll } from '../../src/security/security.ts'
import { ask, everyAccess, exchangeFor } from '../gateway/kafka/ask.ts'

const topic = 'secret-topic'
const group = 'secret-group'
const consumerGroup = 'secret-consumer-group'
const shareGroup = 'secret-share-group'
const emptyShareGroup = 'secret-empty-share-group'
const transactionalId = 'secret-id'
const names: Readonly<Record<ResourceType, readonly string[]>> = {
  topic: [topic, 'new-topic', 'auto-topic'],
  group: [group, consumerGroup, shareGroup, emptyShareGroup, 'by-pattern'],
  cluster: [clusterName],
  'transactional-id': [transactionalId],
  'delegation-token': [],
  user: [],
}
let log: LocalLog
let topicId = ''
before(async () => {
  log = await openLocalLog({ world: { ...realWorld(), disk: memoryDisk() }, dir: 'data' })
})
/** As it was, whatever the test before did. */
async function setUp(): Promise<void> {
  for (const name of names.topic) if (log.catalog.byName(name) !== null) await log.topics.remove([name])
  await log.topics.create([{ name: topic, partitions: 1, config: {} }])
  topicId = log.catalog.byName(topic)!.id
  await log.coordinator.commit({
    group,
    generation: -1,
    memberId: '',
    instanceId: null,
    offsets: [{ partition: { topic, index: 0 }, offset: 0 as never, leaderEpoch: -1, metadata: null }],
  })
  await log.coordinator.consumerHeartbeat({
    group: consumerGroup,
    memberId: randomUUID(),
    epoch: 0,
    instanceId: null,
    rackId: null,
    rebalanceTimeoutMs: 10_000,
    topics: [topic],
    pattern: null,
    assignor: null,
    owned: [],
    clientId: 'c',
    host: '/127.0.0.1',
  })
  const sharing = { rackId: null, topics: [topic], clientId: 'c', host: '/127.0.0.1' }
  await log.coordinator.shareHeartbeat({ group: shareGroup, memberId: randomUUID(), epoch: 0, ...sharing })
  const place = { partition: { topic, index: 0 }, offset: 0 as never }
  await log.coordinator.shareOffsets.reset(emptyShareGroup, [place])
}
/** A member of the share group has a session. */
function shareSessions(): ShareSessions {
  const sessions = new ShareSessions({ sessionsMax: 10, partitionsMax: 10 })
  const { signal } = new AbortController()
  sessions.open({ group: shareGroup, member: 'm', signal, owner: 'o', gone: () => undefined }, new Map())
  return sessions
}

const batch = (): Uint8Array => encodeBatch([{ key: null, value: Buffer.from('x'), timeMs: 1 }])
const resources = (configs: readonly unknown[]) => [
  { resourceType: 2, resourceName: topic, configs, configurationKeys: null },
  { resourceType: 32, resourceName: group, configs, configurationKeys: null },
  { resourceType: 4, resourceName: '1', configs, configurationKeys: null },
]
const producer = { transactionalId, producerId: 1, producerEpoch: 0 }
const member = { groupId: group, memberId: 'm', groupInstanceId: null }
/** A request of each API that touches all it may touch; for its last version. */
const requests: Readonly<Record<string, () => object>> = {
  Produce: () => ({
    transactionalId: null,
    acks: -1,
    timeoutMs: 1_000,
    topicData: [{ topicId, name: '', partitionData: [{ index: 0, records: [batch()] }] }],
  }),
  Fetch: () => ({
    replicaId: -1,
    maxWaitMs: 0,
    minBytes: 0,
    maxBytes: 1_000,
    isolationLevel: 0,
    sessionId: 0,
    sessionEpoch: -1,
    topics: [
      {
        topicId,
        topic: '',
        partitions: [
          {
            partition: 0,
            currentLeaderEpoch: -1,
            fetchOffset: 0,
            logStartOffset: -1,
            partitionMaxBytes: 1_000,
            lastFetchedEpoch: -1,
          },
        ],
      },
    ],
    forgottenTopicsData: [],
    rackId: '',
  }),
  ListOffsets: () => ({
    replicaId: -1,
    isolationLevel: 0,
    timeoutMs: 0,
    topics: [{ name: topic, partitions: [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp: -1 }] }],
  }),
  Metadata: () => ({
    topics: [{ topicId: nullId, name: topic }],
    allowAutoTopicCreation: false,
    includeTopicAuthorizedOperations: true,
  }),
  OffsetCommit: () => ({
    groupId: group,
    generationIdOrMemberEpoch: -1,
    memberId: '',
    groupInstanceId: null,
    retentionTimeMs: -1,
    topics: [
      {
        topicId,
        name: '',
        partitions: [{ partitionIndex: 0, committedOffset: 0, committedLeaderEpoch: -1, committedMetadata: '' }],
      },
    ],
  }),
  OffsetFetch: () => ({
    groupId: '',
    topics: null,
    groups: [
      { groupId: group, memberId: null, memberEpoch: -1, topics: [{ topicId, name: '', partitionIndexes: [0] }] },
    ],
    requireStable: false,
  }),
  FindCoordinator: () => ({ key: '', keyType: 0, coordinatorKeys: [group] }),
  JoinGroup: () => ({
    ...member,
    memberId: '',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
    reason: null,
  }),
  Heartbeat: () => ({ ...member, generationId: 1 }),
  LeaveGroup: () => ({
    groupId: group,
    memberId: '',
    members: [{ memberId: 'm', groupInstanceId: null, reason: null }],
  }),
  SyncGroup: () => ({ ...member, generationId: 1, protocolType: 'consumer', protocolName: 'range', assignments: [] }),
  DescribeGroups: () => ({ groups: [group], includeAuthorizedOperations: true }),
  CreateTopics: () => ({
    topics: [{ name: 'new-topic', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }],
    timeoutMs: 1_000,
    validateOnly: false,
  }),
  DeleteTopics: () => ({ topics: [{ name: null, topicId }], topicNames: [], timeoutMs: 1_000 }),
  DeleteRecords: () => ({
    topics: [{ name: topic, partitions: [{ partitionIndex: 0, offset: 0 }] }],
    timeoutMs: 1_000,
  }),
  InitProducerId: () => ({ transactionalId: null, transactionTimeoutMs: 1_000, producerId: -1, producerEpoch: -1 }),
  AddPartitionsToTxn: () => ({
    transactions: [{ ...producer, verifyOnly: false, topics: [{ name: topic, partitions: [0] }] }],
    v3AndBelowTransactionalId: '',
    v3AndBelowProducerId: -1,
    v3AndBelowProducerEpoch: -1,
    v3AndBelowTopics: [],
  }),
  AddOffsetsToTxn: () => ({ ...producer, groupId: group }),
  EndTxn: () => ({ ...producer, committed: true }),
  WriteTxnMarkers: () => ({
    markers: [
      {
        ...producer,
        transactionResult: false,
        topics: [{ name: topic, partitionIndexes: [0] }],
        coordinatorEpoch: 0,
        transactionVersion: 2,
      },
    ],
  }),
  TxnOffsetCommit: () => ({
    ...producer,
    groupId: group,
    generationId: -1,
    memberId: '',
    groupInstanceId: null,
    topics: [
      {
        name: topic,
        partitions: [{ partitionIndex: 0, committedOffset: 0, committedLeaderEpoch: -1, committedMetadata: '' }],
      },
    ],
  }),
  DescribeProducers: () => ({ topics: [{ name: topic, partitionIndexes: [0] }] }),
  DescribeTransactions: () => ({ transactionalIds: [transactionalId] }),
  OffsetForLeaderEpoch: () => ({
    replicaId: -1,
    topics: [{ topic, partitions: [{ partition: 0, currentLeaderEpoch: -1, leaderEpoch: 0 }] }],
  }),
  DescribeConfigs: () => ({ resources: resources([]), includeSynonyms: false, includeDocumentation: false }),
  AlterConfigs: () => ({ resources: resources([]), validateOnly: true }),
  IncrementalAlterConfigs: () => ({ resources: resources([]), validateOnly: true }),
  AlterReplicaLogDirs: () => ({ dirs: [{ path: 'data', topics: [{ name: topic, partitions: [0] }] }] }),
  DescribeLogDirs: () => ({ topics: null }),
  CreatePartitions: () => ({
    topics: [{ name: topic, count: 2, assignments: null }],
    timeoutMs: 1_000,
    validateOnly: false,
  }),
  DeleteGroups: () => ({ groupsNames: [group] }),
  ElectLeaders: () => ({ electionType: 0, topicPartitions: [{ topic, partitions: [0] }], timeoutMs: 1_000 }),
  AlterPartitionReassignments: () => ({
    timeoutMs: 1_000,
    allowReplicationFactorChange: true,
    topics: [{ name: topic, partitions: [{ partitionIndex: 0, replicas: [1] }] }],
  }),
  ListPartitionReassignments: () => ({ timeoutMs: 1_000, topics: null }),
  OffsetDelete: () => ({ groupId: group, topics: [{ name: topic, partitions: [{ partitionIndex: 0 }] }] }),
  DescribeQuorum: () => ({ topics: [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }] }),
  UpdateFeatures: () => ({ timeoutMs: 1_000, featureUpdates: [], validateOnly: true }),
  UnregisterBroker: () => ({ brokerId: 7 }),
  ConsumerGroupHeartbeat: () => ({
    groupId: consumerGroup,
    memberId: randomUUID(),
    memberEpoch: 0,
    instanceId: null,
    rackId: null,
    rebalanceTimeoutMs: 10_000,
    subscribedTopicNames: [topic],
    subscribedTopicRegex: null,
    serverAssignor: null,
    topicPartitions: [],
  }),
  ConsumerGroupDescribe: () => ({ groupIds: [consumerGroup], includeAuthorizedOperations: true }),
  GetTelemetrySubscriptions: () => ({ clientInstanceId: nullId }),
  PushTelemetry: () => ({
    clientInstanceId: randomUUID(),
    subscriptionId: 0,
    terminating: false,
    compressionType: 0,
    metrics: Buffer.alloc(0),
  }),
  ListConfigResources: () => ({ resourceTypes: [] }),
  ShareGroupHeartbeat: () => ({
    groupId: shareGroup,
    memberId: randomUUID(),
    memberEpoch: 0,
    rackId: null,
    subscribedTopicNames: [topic],
  }),
  ShareGroupDescribe: () => ({ groupIds: [shareGroup], includeAuthorizedOperations: true }),
  ShareFetch: () => ({
    groupId: shareGroup,
    memberId: 'f',
    shareSessionEpoch: 0,
    maxWaitMs: 0,
    minBytes: 0,
    maxBytes: 1_000,
    maxRecords: 1,
    batchSize: 1,
    shareAcquireMode: 0,
    isRenewAck: false,
    topics: [{ topicId, partitions: [{ partitionIndex: 0, acknowledgementBatches: [] }] }],
    forgottenTopicsData: [],
  }),
  ShareAcknowledge: () => ({
    groupId: shareGroup,
    memberId: 'm',
    shareSessionEpoch: 1,
    isRenewAck: false,
    topics: [
      {
        topicId,
        partitions: [
          {
            partitionIndex: 0,
            acknowledgementBatches: [{ firstOffset: 0, lastOffset: 0, acknowledgeTypes: [1] }],
          },
        ],
      },
    ],
  }),
  DescribeShareGroupOffsets: () => ({
    groups: [{ groupId: shareGroup, topics: [{ topicName: topic, partitions: [0] }] }],
  }),
  AlterShareGroupOffsets: () => ({
    groupId: emptyShareGroup,
    topics: [{ topicName: topic, partitions: [{ partitionIndex: 0, startOffset: 0 }] }],
  }),
  DeleteShareGroupOffsets: () => ({ groupId: emptyShareGroup, topics: [{ topicName: topic }] }),
  DescribeAcls: () => ({
    resourceTypeFilter: 1,
    resourceNameFilter: null,
    patternTypeFilter: 1,
    principalFilter: null,
    hostFilter: null,
    operation: 1,
    permissionType: 1,
  }),
  CreateAcls: () => ({
    creations: [
      {
        resourceType: 2,
        resourceName: topic,
        resourcePatternType: 3,
        principal: 'User:alice',
        host: '*',
        operation: 3,
        permissionType: 3,
      },
    ],
  }),
  DeleteAcls: () => ({
    filters: [
      {
        resourceTypeFilter: 1,
        resourceNameFilter: null,
        patternTypeFilter: 1,
        principalFilter: null,
        hostFilter: null,
        operation: 1,
        permissionType: 1,
      },
    ],
  }),
  DescribeClientQuotas: () => ({ components: [], strict: false }),
  AlterClientQuotas: () => ({
    entries: [{ entity: [{ entityType: 'user', entityName: 'alice' }], ops: [] }],
    validateOnly: true,
  }),
  DescribeUserScramCredentials: () => ({ users: null }),
  AlterUserScramCredentials: () => ({ deletions: [{ name: 'alice', mechanism: 1 }], upsertions: [] }),
  DescribeTopicPartitions: () => ({ topics: [{ name: topic }], responsePartitionLimit: 100, cursor: null }),
}
const nullId = '00000000-0000-0000-0000-000000000000'

type Need = Extract<Access['needs'][number], string>
const grantsOf = (needs: readonly Need[]): Grant[] =>
  needs.flatMap((need) => {
    const [operation, resource] = need.split(' ') as [Operation, ResourceType]
    const rest = { pattern: 'literal', principal: 'User:alice', host: '*', permission: 'allow' } as const
    return names[resource].map((name) => ({ ...rest, resource, name, operation }))
  })
const refusals = new Set([29, 30, 31, 53])
/** Codes of refusals, wherever they stand in an answer. */
function refusalsIn(value: unknown): number[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) =>
    name === 'errorCode' && refusals.has(inner as number) ? [inner as number] : refusalsIn(inner),
  )
}
async function answerTo(handler: Handler, needs: readonly Need[]): Promise<unknown> {
  await setUp()
  const authorizer = new GrantAuthorizer({ enforced: () => true, isSuper: () => false })
  authorizer.replace(grantsOf(needs))
  const security = { ...openToAll, authorizer }
  const exchange = exchangeFor(log, {
    security,
    access: everyAccess(security, user('alice')),
    shareSessions: shareSessions(),
  })
  return ask(handler, handler.versions[1], requests[handler.api.name]!(), exchange)
}
/** All ways to have what is needed: one of each list. */
const ways = ({ needs }: Access): Need[][] =>
  needs.reduce<Need[][]>(
    (sofar, need) => sofar.flatMap((way) => (typeof need === 'string' ? [need] : need).map((one) => [...way, one])),
    [[]],
  )

for (const handler of handlers) {
  const { access, api } = handler
  if (access.needs.length === 0) {
    test(`${api.name} needs nothing, and says why`, () => {
      assert.ok((access.open ?? '').length > 10)
    })
    continue
  }
  test(`${api.name}: refused without ${access.needs.flat().join(', ')}`, async () => {
    assert.ok(requests[api.name] !== undefined, 'there is no request for it in this test')
    const refused = await answerTo(handler, [])
    assert.notDeepEqual(refusalsIn(refused), [])
    const said = JSON.stringify(refused)
    // What was asked for by id stays without a name; what was not asked for is not said.
    if (!JSON.stringify(requests[api.name]!()).includes(topic)) assert.ok(!said.includes(topic), said)
    for (const way of ways(access)) {
      assert.deepEqual(refusalsIn(await answerTo(handler, way)), [], `with ${way.join(', ')}`)
      for (const need of way) {
        const less = way.filter((one) => one !== need)
        assert.notDeepEqual(refusalsIn(await answerTo(handler, less)), [], `without ${need}`)
      }
    }
    // What it may show more of is no need.
    if (access.shows !== undefined) assert.deepEqual(refusalsIn(await answerTo(handler, ways(access)[0]!)), [])
  })
}

test('lists show what may be seen, and no more', async () => {
  const of = (name: string): Handler => handlers.find(({ api }) => api.name === name)!
  const all: Readonly<Record<string, () => object>> = {
    Metadata: () => ({ topics: null, allowAutoTopicCreation: true, includeTopicAuthorizedOperations: true }),
    DescribeTopicPartitions: () => ({ topics: [], responsePartitionLimit: 100, cursor: null }),
    ListGroups: () => ({ statesFilter: [], typesFilter: [] }),
    OffsetFetch: () => ({
      groupId: '',
      topics: null,
      groups: [{ groupId: group, memberId: null, memberEpoch: -1, topics: null }],
      requireStable: false,
    }),
  }
  for (const [name, request] of Object.entries(all)) {
    const handler = of(name)
    const said = async (needs: readonly Need[]): Promise<string> => {
      await setUp()
      const authorizer = new GrantAuthorizer({ enforced: () => true, isSuper: () => false })
      authorizer.replace(grantsOf(needs))
      const security = { ...openToAll, authorizer }
      const exchange = exchangeFor(log, { security, access: everyAccess(security, user('alice')) })
      return JSON.stringify(await ask(handler, handler.versions[1], request(), exchange))
    }
    // Offsets are told by the id of their topic, which is another each time.
    const isShown = (text: string): boolean =>
      text.includes(name === 'ListGroups' ? group : name === 'OffsetFetch' ? topicId : topic)
    assert.equal(isShown(await said(name === 'OffsetFetch' ? ['describe group'] : [])), false, name)
    assert.equal(isShown(await said(['describe topic', 'describe group'])), true, name)
  }
})

test('transactional ids: who may write them, and who sees them', async () => {
  const of = (name: string): Handler => handlers.find(({ api }) => api.name === name)!
  const answered = async (name: string, version: number, request: object, needs: readonly Need[]): Promise<unknown> => {
    const authorizer = new GrantAuthorizer({ enforced: () => true, isSuper: () => false })
    authorizer.replace(grantsOf(needs))
    const security = { ...openToAll, authorizer }
    return ask(of(name), version, request, exchangeFor(log, { security, access: everyAccess(security, user('alice')) }))
  }
  await setUp()
  const init = { transactionalId, transactionTimeoutMs: 60_000, producerId: -1, producerEpoch: -1 }
  assert.deepEqual(
    refusalsIn(await answered('InitProducerId', 5, init, ['write topic', 'idempotent-write cluster'])),
    [53],
  )
  const begun = (await answered('InitProducerId', 5, init, ['write transactional-id'])) as {
    errorCode: number
    producerId: number
    producerEpoch: number
  }
  assert.equal(begun.errorCode, 0)
  const added = async (needs: readonly Need[]): Promise<unknown> => {
    const request = {
      transactions: [],
      v3AndBelowTransactionalId: transactionalId,
      v3AndBelowProducerId: begun.producerId,
      v3AndBelowProducerEpoch: begun.producerEpoch,
      v3AndBelowTopics: [{ name: topic, partitions: [0] }],
    }
    const { resultsByTopicV3AndBelow } = (await answered('AddPartitionsToTxn', 3, request, needs)) as {
      resultsByTopicV3AndBelow: { resultsByPartition: { partitionErrorCode: number }[] }[]
    }
    return resultsByTopicV3AndBelow[0]!.resultsByPartition[0]!.partitionErrorCode
  }
  assert.equal(await added(['write topic']), 53)
  assert.equal(await added(['write transactional-id']), 29)
  assert.equal(await added(['write transactional-id', 'write topic']), 0)
  const records = batch()
  const owner = {
    producerId: begun.producerId,
    producerEpoch: begun.producerEpoch,
    baseSequence: 0,
    transactional: true,
  }
  ownBatch(records, owner)
  const produced = async (id: string | null, needs: readonly Need[]): Promise<unknown> => {
    const topicData = [{ topicId, name: '', partitionData: [{ index: 0, records: [Buffer.from(records)] }] }]
    const request = { transactionalId: id, acks: -1, timeoutMs: 1_000, topicData }
    return refusalsIn(await answered('Produce', 13, request, needs))
  }
  assert.deepEqual(await produced(transactionalId, ['write topic']), [53])
  assert.deepEqual(await produced(null, ['write topic', 'write transactional-id']), [53])
  assert.deepEqual(await produced(transactionalId, ['write topic', 'write transactional-id']), [])
  const all = { stateFilters: [], producerIdFilters: [], durationFilter: -1, transactionalIdPattern: null }
  const isShown = async (name: string, request: object, needs: readonly Need[], what: string): Promise<boolean> =>
    JSON.stringify(await answered(name, of(name).versions[1], request, needs)).includes(what)
  assert.equal(await isShown('ListTransactions', all, [], transactionalId), false)
  assert.equal(await isShown('ListTransactions', all, ['describe transactional-id'], transactionalId), true)
  const one = { transactionalIds: [transactionalId] }
  assert.equal(await isShown('DescribeTransactions', one, ['describe transactional-id'], topic), false)
  assert.equal(await isShown('DescribeTransactions', one, ['describe transactional-id', 'describe topic'], topic), true)
})

test('records are delivered only to a topic that who asks for it may write to', async () => {
  const { incrementalAlterConfigs } = await import('../../src/gateway/kafka/handlers/44-incremental-alter-configs.ts')
  const asked = async (needs: readonly Need[]): Promise<number> => {
    await setUp()
    await log.topics.create([{ name: 'new-topic', partitions: 1 }])
    const authorizer = new GrantAuthorizer({ enforced: () => true, isSuper: () => false })
    authorizer.replace(grantsOf(needs))
    const security = { ...openToAll, authorizer }
    const exchange = exchangeFor(log, { security, access: everyAccess(security, user('alice')) })
    const configs = [{ name: 'deliver.to', configOperation: 0, value: 'new-topic' }]
    const resource = { resourceType: 2, resourceName: topic, configs }
    const answer = await ask(incrementalAlterConfigs, 1, { resources: [resource], validateOnly: false }, exchange)
    return answer.responses[0]!.errorCode
  }
  assert.equal(await asked(['alter-configs topic']), 29)
  assert.equal(await asked(['alter-configs topic', 'write topic']), 0)
})

test('a topic is made for who may make it, and for no one else', async () => {
  const metadata = handlers.find(({ api }) => api.name === 'Metadata')!
  const asked = async (needs: readonly Need[]): Promise<number> => {
    await setUp()
    const authorizer = new GrantAuthorizer({ enforced: () => true, isSuper: () => false })
    authorizer.replace(grantsOf(needs))
    const security = { ...openToAll, authorizer }
    const exchange = exchangeFor(log, { security, access: everyAccess(security, user('alice')) })
    const topics = [{ topicId: nullId, name: 'auto-topic' }]
    const request = { topics, allowAutoTopicCreation: true, includeTopicAuthorizedOperations: false }
    const answer = (await ask(metadata, 13, request, exchange)) as { topics: { errorCode: number }[] }
    assert.equal(log.catalog.byName('auto-topic') !== null, answer.topics[0]!.errorCode === 0)
    return answer.topics[0]!.errorCode
  }
  assert.equal(await asked([]), 29)
  assert.equal(await asked(['describe topic']), 29)
  assert.equal(await asked(['describe topic', 'create topic']), 0)
  assert.equal(await asked(['describe topic', 'create cluster']), 0)
})

test('a pattern of a consumer group finds the topics that its member may describe', async () => {
  const heartbeat = handlers.find(({ api }) => api.name === 'ConsumerGroupHeartbeat')!
  await setUp()
  await log.topics.create([{ name: 'not-granted', partitions: 1 }])
  const authorizer = new GrantAuthorizer({ enforced: () => true, isSuper: () => false })
  authorizer.replace(grantsOf(['read group', 'describe topic']))
  const security = { ...openToAll, authorizer }
  const exchange = exchangeFor(log, { security, access: everyAccess(security, user('alice')) })
  let memberEpoch = 0
  const beat = async (): Promise<string[]> => {
    const joins = memberEpoch === 0
    const request = {
      groupId: 'by-pattern',
      memberId: 'm-1',
      memberEpoch,
      instanceId: null,
      rackId: null,
      rebalanceTimeoutMs: joins ? 60_000 : -1,
      subscribedTopicNames: null,
      subscribedTopicRegex: joins ? '.*' : null,
      serverAssignor: null,
      topicPartitions: joins ? [] : null,
    }
    const answer = (await ask(heartbeat, 1, request, exchange)) as {
      readonly errorCode: number
      readonly memberEpoch: number
      readonly assignment: { readonly topicPartitions: readonly { readonly topicId: string }[] } | null
    }
    assert.equal(answer.errorCode, 0)
    memberEpoch = answer.memberEpoch
    return (answer.assignment?.topicPartitions ?? []).map(({ topicId: id }) => id)
  }
  const until = performance.now() + 30_000
  let found: string[] = []
  // Patterns are looked up beside the requests.
  while (found.length === 0 && performance.now() < until) {
    found = await beat()
    await setTimeout(20)
  }
  const names = found.map((id) => log.catalog.byId(id)?.name)
  assert.ok(names.includes(topic), `${names}`)
  assert.ok(!names.includes('not-granted'), `${names}`)
})
