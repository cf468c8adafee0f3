/** What a cluster of one node answers to those who would move partitions, elect leaders or change features. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alterReplicaLogDirs } from '../../../src/gateway/kafka/handlers/34-alter-replica-log-dirs.ts'
import { electLeaders } from '../../../src/gateway/kafka/handlers/43-elect-leaders.ts'
import { alterPartitionReassignments } from '../../../src/gateway/kafka/handlers/45-alter-partition-reassignments.ts'
import { listPartitionReassignments } from '../../../src/gateway/kafka/handlers/46-list-partition-reassignments.ts'
import { apiVersions } from '../../../src/gateway/kafka/handlers/18-api-versions.ts'
import { describeQuorum } from '../../../src/gateway/kafka/handlers/55-describe-quorum.ts'
import { updateFeatures } from '../../../src/gateway/kafka/handlers/57-update-features.ts'
import { unregisterBroker } from '../../../src/gateway/kafka/handlers/64-unregister-broker.ts'
import { ask, exchangeFor } from './ask.ts'
import { fakeBroker } from './fake-broker.ts'

const broker = fakeBroker()
broker.create({ name: 't', partitions: 2 })
const exchange = exchangeFor(broker, { supported: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }] })

test('AlterReplicaLogDirs: to the only folder, or nowhere', async () => {
  const of = async (path: string) => {
    const dirs = [
      {
        path,
        topics: [
          { name: 't', partitions: [0, 9] },
          { name: 'x', partitions: [0] },
        ],
      },
    ]
    const { results } = await ask(alterReplicaLogDirs, 2, { dirs }, exchange)
    return results.map(({ topicName, partitions }) => [topicName, ...partitions.map((one) => one.errorCode)])
  }
  assert.deepEqual(await of('data'), [
    ['t', 0, 3],
    ['x', 3],
  ])
  assert.deepEqual(await of('/elsewhere'), [
    ['t', 57, 57],
    ['x', 57],
  ])
})

test('ElectLeaders: never needed, and what is not there is said', async () => {
  const of = async (electionType: number, topicPartitions: { topic: string; partitions: number[] }[] | null) => {
    const answer = await ask(electLeaders, 2, { electionType, topicPartitions }, exchange)
    const codes = answer.replicaElectionResults.map(({ topic, partitionResult }) => [
      topic,
      ...partitionResult.map((one) => one.errorCode),
    ])
    return [answer.errorCode, codes]
  }
  assert.deepEqual(await of(0, null), [0, [['t']]])
  const some = [
    { topic: 't', partitions: [0, 1, 7, -1] },
    { topic: 'x', partitions: [0] },
  ]
  assert.deepEqual(await of(1, some), [
    0,
    [
      ['t', 84, 84, 3, 3],
      ['x', 3],
    ],
  ])
  assert.deepEqual(await of(5, [{ topic: 't', partitions: [0] }]), [42, [['t', 42]]])
})

test('AlterPartitionReassignments: a partition can stay where it is', async () => {
  const of = async (name: string, partitionIndex: number, replicas: number[] | null) => {
    const topics = [{ name, partitions: [{ partitionIndex, replicas }] }]
    const answer = await ask(alterPartitionReassignments, 1, { topics }, exchange)
    return answer.responses[0]!.partitions[0]!.errorCode
  }
  assert.equal(await of('t', 0, [1]), 0)
  assert.equal(await of('t', 1, null), 85)
  assert.equal(await of('t', 2, [1]), 3)
  assert.equal(await of('x', 0, [1]), 3)
  for (const replicas of [[2], [1, 2], [], [1, 1], [-1]]) assert.equal(await of('t', 0, replicas), 39)
  assert.deepEqual((await ask(listPartitionReassignments, 0, { topics: null }, exchange)).topics, [])
})

test('ApiVersions names the features of the APIs that are offered', async () => {
  const asked = { clientSoftwareName: 'x', clientSoftwareVersion: '1' }
  const names = async (...apiKeys: number[]) => {
    const supported = apiKeys.map((apiKey) => ({ apiKey, minVersion: 0, maxVersion: 0 }))
    const answer = await ask(apiVersions, 4, asked, { ...exchange, supported })
    return answer.finalizedFeatures.map(({ name, maxVersionLevel }) => `${name}=${maxVersionLevel}`)
  }
  assert.deepEqual(await names(18), ['metadata.version=30'])
  assert.deepEqual(await names(18, 28), ['metadata.version=30', 'transaction.version=2'])
})

test('UpdateFeatures: the level that stands, or none', async () => {
  const of = async (version: number, feature: string, maxVersionLevel: number, upgradeType = 1) => {
    const update = { feature, maxVersionLevel, ...(version > 0 ? { upgradeType } : {}) }
    return (await ask(updateFeatures, version, { featureUpdates: [update] }, exchange)).errorCode
  }
  for (const version of [0, 1, 2]) {
    assert.equal(await of(version, 'metadata.version', 30), 0)
    assert.equal(await of(version, 'metadata.version', 29), 95)
    assert.equal(await of(version, 'nobody.knows', 1), 95)
  }
  assert.equal(await of(2, 'metadata.version', 30, 0), 95)
})

test('UnregisterBroker: neither ourselves nor what is not there', async () => {
  assert.equal((await ask(unregisterBroker, 0, { brokerId: 7 }, exchange)).errorCode, 102)
  assert.equal((await ask(unregisterBroker, 0, { brokerId: 1 }, exchange)).errorCode, 42)
})

test('DescribeQuorum: one voter, up to the end of the catalogue', async () => {
  const known = fakeBroker()
  known.create({ name: '_millrace_catalog', partitions: 1 })
  const topics = [
    { topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }, { partitionIndex: 1 }] },
    { topicName: 't', partitions: [{ partitionIndex: 0 }] },
  ]
  const answer = await ask(describeQuorum, 2, { topics }, exchangeFor(known))
  assert.deepEqual(
    answer.topics.flatMap((topic) => topic.partitions.map((one) => [topic.topicName, one.errorCode, one.leaderId])),
    [
      ['__cluster_metadata', 0, 1],
      ['__cluster_metadata', 3, -1],
      ['t', 3, -1],
    ],
  )
  const [voter] = answer.topics[0]!.partitions[0]!.currentVoters
  assert.deepEqual([voter!.replicaId, voter!.logEndOffset], [1, 0])
})
