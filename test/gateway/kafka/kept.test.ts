/** What Millrace keeps in topics and groups of its own is changed by no client. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { produce } from '../../../src/gateway/kafka/handlers/00-produce.ts'
import { offsetCommit } from '../../../src/gateway/kafka/handlers/08-offset-commit.ts'
import { joinGroup } from '../../../src/gateway/kafka/handlers/11-join-group.ts'
import { deleteTopics } from '../../../src/gateway/kafka/handlers/20-delete-topics.ts'
import { deleteRecords } from '../../../src/gateway/kafka/handlers/21-delete-records.ts'
import { alterConfigs } from '../../../src/gateway/kafka/handlers/33-alter-configs.ts'
import { createPartitions } from '../../../src/gateway/kafka/handlers/37-create-partitions.ts'
import { unused } from '../../../src/gateway/kafka/handler.ts'
import { deleteGroups } from '../../../src/gateway/kafka/handlers/42-delete-groups.ts'
import { incrementalAlterConfigs } from '../../../src/gateway/kafka/handlers/44-incremental-alter-configs.ts'
import { offsetDelete } from '../../../src/gateway/kafka/handlers/47-offset-delete.ts'
import { encodeBatch } from '../../../src/log/batch.ts'
import { nullUuid } from '../../../src/wire/kafka/codec/shape.ts'
import { ask, exchangeFor } from './ask.ts'
import { fakeBroker } from './fake-broker.ts'

const invalidTopic = 17
const invalidGroup = 24
const records = [encodeBatch([{ key: null, value: Buffer.from('forged'), timeMs: 1 }])]
const topics = ['_millrace_state.v', '_millrace_alerts', 'v', 'mine']
const codes = [invalidTopic, invalidTopic, invalidTopic, 0]

test('topics that Millrace or a view writes take nothing from clients, and are not changed by them', async () => {
  const broker = fakeBroker()
  for (const name of topics) broker.create({ name, partitions: 1 })
  const exchange = exchangeFor(broker, {
    uses: { ...unused, writerOf: (topic) => (topic === 'v' ? 'v' : null) },
  })

  const produced = await ask(
    produce,
    9,
    {
      transactionalId: null,
      acks: -1,
      timeoutMs: 100,
      topicData: topics.map((name) => ({ name, topicId: nullUuid, partitionData: [{ index: 0, records }] })),
    },
    exchange,
  )
  assert.deepEqual(
    produced.responses.map(({ partitionResponses: [one] }) => one!.errorCode),
    codes,
  )
  const trimmed = await ask(
    deleteRecords,
    2,
    { topics: topics.map((name) => ({ name, partitions: [{ partitionIndex: 0, offset: 0 }] })), timeoutMs: 100 },
    exchange,
  )
  assert.deepEqual(
    trimmed.topics.map(({ partitions: [one] }) => one!.errorCode),
    codes,
  )
  const grown = await ask(
    createPartitions,
    3,
    { topics: topics.map((name) => ({ name, count: 2, assignments: null })), timeoutMs: 100, validateOnly: false },
    exchange,
  )
  assert.deepEqual(
    grown.results.map(({ errorCode }) => errorCode),
    codes,
  )
  const resourceType = 2
  const name = 'retention.ms'
  const altered = await ask(
    alterConfigs,
    2,
    {
      resources: topics.map((resourceName) => ({ resourceType, resourceName, configs: [{ name, value: '1' }] })),
      validateOnly: false,
    },
    exchange,
  )
  const set = [{ name, configOperation: 0, value: '1' }]
  const more = await ask(
    incrementalAlterConfigs,
    1,
    {
      resources: topics.map((resourceName) => ({ resourceType, resourceName, configs: set })),
      validateOnly: false,
    },
    exchange,
  )
  for (const { responses } of [altered, more])
    assert.deepEqual(
      responses.map(({ errorCode }) => errorCode),
      codes,
    )
  const deleted = await ask(deleteTopics, 5, { topics: [], topicNames: topics, timeoutMs: 100 }, exchange)
  assert.deepEqual(
    deleted.responses.map(({ errorCode }) => errorCode),
    codes,
  )
  assert.deepEqual([...broker.infos.keys()].toSorted(), topics.slice(0, 3).toSorted())
})

test('a topic that a stream reads is not deleted beneath it', async () => {
  const broker = fakeBroker()
  for (const name of ['read', 'free']) broker.create({ name, partitions: 1 })
  const readerOf = (topic: string) => (topic === 'read' ? { kind: 'stream', name: 's' } : null)
  const exchange = exchangeFor(broker, { uses: { ...unused, readerOf } })
  const topicNames = ['read', 'free']
  const { responses } = await ask(deleteTopics, 5, { topics: [], topicNames, timeoutMs: 100 }, exchange)
  assert.deepEqual(
    responses.map(({ errorCode, errorMessage }) => [errorCode, errorMessage]),
    [
      [44, 'topic read is read by the stream s'],
      [0, null],
    ],
  )
  assert.deepEqual([...broker.infos.keys()], ['read'])
})

test('the groups in which views keep their positions are not for clients', async () => {
  const broker = fakeBroker()
  broker.create({ name: 't', partitions: 1 })
  const exchange = exchangeFor(broker)
  const group = '_millrace_view.v'
  const committed = await ask(
    offsetCommit,
    2,
    {
      groupId: group,
      generationIdOrMemberEpoch: -1,
      memberId: '',
      groupInstanceId: null,
      retentionTimeMs: -1,
      topics: [
        {
          name: 't',
          topicId: nullUuid,
          partitions: [{ partitionIndex: 0, committedOffset: 5, committedLeaderEpoch: -1, committedMetadata: null }],
        },
      ],
    },
    exchange,
  )
  assert.equal(committed.topics[0]!.partitions[0]!.errorCode, invalidGroup)
  const joined = await ask(
    joinGroup,
    4,
    {
      groupId: group,
      sessionTimeoutMs: 30_000,
      rebalanceTimeoutMs: 30_000,
      memberId: '',
      groupInstanceId: null,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from('x') }],
      reason: null,
    },
    exchange,
  )
  assert.equal(joined.errorCode, invalidGroup)
  const removed = await ask(deleteGroups, 1, { groupsNames: [group, 'unknown'] }, exchange)
  assert.equal(removed.results[0]!.errorCode, invalidGroup)
  assert.notEqual(removed.results[1]!.errorCode, invalidGroup)
  const forgotten = await ask(
    offsetDelete,
    0,
    { groupId: group, topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] },
    exchange,
  )
  assert.equal(forgotten.errorCode, invalidGroup)
})
