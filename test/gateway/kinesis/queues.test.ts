/** Queues of Kinesis on the queues of the log. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../../../src/lib/limits.ts'
import { type Json, type KinesisFixture, dataText, kinesis, readShard } from './fixture.ts'

const streamArn = (name: string): string => `arn:aws:kinesis:us-east-1:000000000000:stream/${name}`
const queueArn = (name: string): string => `arn:aws:kinesis:us-east-1:000000000000:queue/${name}`
async function given(f: KinesisFixture, attributes: object = {}): Promise<string> {
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 2 })
  await f.ok('CreateQueue', {
    QueueName: 'q',
    StreamConfigurationList: [{ StreamARN: streamArn('s'), StartingPosition: { Type: 'TRIM_HORIZON' } }],
    QueueAttributes: attributes,
    Tags: { team: 'a' },
  })
  return queueArn('q')
}
const put = (f: KinesisFixture, text: string): Promise<Json> =>
  f.ok('PutRecord', { StreamName: 's', PartitionKey: text, Data: Buffer.from(text) })
async function receive(f: KinesisFixture, QueueARN: string, count: number, kind = 'Queue'): Promise<Json[]> {
  const found: Json[] = []
  const untilMs = Date.now() + 20_000
  while (found.length < count && Date.now() < untilMs)
    found.push(...(await f.ok(`Receive${kind}Records`, { QueueARN, WaitTimeSeconds: 1 })).QueueRecords)
  return found
}
const handles = (records: readonly Json[]): object[] => records.map(({ ReceiptHandle }) => ({ ReceiptHandle }))

test('records are received once, acknowledged, and gone', async (t) => {
  const f = await kinesis(t)
  const QueueARN = await given(f)
  for (const text of ['one', 'two', 'three']) await put(f, text)
  const records = await receive(f, QueueARN, 3)
  assert.deepEqual(records.map(dataText).toSorted(), ['one', 'three', 'two'])
  assert.ok(records.every((one) => one.ReceiveCount === 1 && /^[a-z0-9]+$/.test(one.RecordId)))
  const done = await f.ok('AcknowledgeQueueRecords', {
    QueueARN,
    Entries: [...handles(records), { ReceiptHandle: 'AAAA' }],
  })
  assert.equal(done.Successful.length, 3)
  assert.deepEqual(
    done.Failed.map((one: Json) => one.ErrorCode),
    ['InvalidArgumentException'],
  )
  assert.deepEqual((await f.ok('ReceiveQueueRecords', { QueueARN, WaitTimeSeconds: 1 })).QueueRecords, [])
})
test('what is made visible again is received again, by others', async (t) => {
  const f = await kinesis(t)
  const QueueARN = await given(f)
  await put(f, 'one')
  const [first] = await receive(f, QueueARN, 1)
  const again = { ReceiptHandle: first.ReceiptHandle, VisibilityTimeoutSeconds: 0 }
  assert.equal((await f.ok('UpdateQueueRecordsVisibility', { QueueARN, Entries: [again] })).Successful.length, 1)
  const [second] = await receive(f, QueueARN, 1)
  assert.deepEqual([dataText(second), second.ReceiveCount], ['one', 2])
  // The first receipt is nobody's any more.
  const late = await f.ok('AcknowledgeQueueRecords', { QueueARN, Entries: handles([first]) })
  assert.equal(late.Failed.length, 1)
  assert.equal((await f.ok('AcknowledgeQueueRecords', { QueueARN, Entries: handles([second]) })).Successful.length, 1)
})
test('what is received too often is a dead letter, which can be restored', async (t) => {
  const f = await kinesis(t)
  const dead = { TargetType: 'BUILT_IN', MaxReceiveCount: 2 }
  const QueueARN = await given(f, { VisibilityTimeoutSeconds: 30, DeadLetterConfiguration: dead })
  await put(f, 'poison')
  for (let n = 0; n < 2; n++) {
    const [record] = await receive(f, QueueARN, 1)
    const Entries = [{ ReceiptHandle: record.ReceiptHandle, VisibilityTimeoutSeconds: 0 }]
    await f.ok('UpdateQueueRecordsVisibility', { QueueARN, Entries })
  }
  const [letter] = await receive(f, QueueARN, 1, 'DeadLetterQueue')
  assert.equal(dataText(letter), 'poison')
  const restored = await f.ok('RestoreDeadLetterQueueRecords', { QueueARN, Entries: handles([letter]) })
  assert.equal(restored.Successful.length, 1)
  const [back] = await receive(f, QueueARN, 1)
  assert.deepEqual([dataText(back), back.ReceiveCount], ['poison', 1])
  const shards = await Promise.all(['0', '1'].map((shard) => readShard(f, 's', shard)))
  assert.equal(shards.flatMap(({ records }) => records).length, 2)
})
test('queues are described, listed, tagged, changed and removed', async (t) => {
  const f = await kinesis(t)
  const QueueARN = await given(f)
  const { QueueDescription } = await f.ok('DescribeQueue', { QueueARN })
  assert.equal(QueueDescription.QueueARN, QueueARN)
  assert.deepEqual(QueueDescription.StreamConfigurationList, [
    { StreamARN: streamArn('s'), StartingPosition: { Type: 'TRIM_HORIZON' } },
  ])
  assert.equal(QueueDescription.QueueAttributes.DeadLetterConfiguration.MaxReceiveCount, 6)
  assert.deepEqual((await f.ok('ListTagsForResource', { ResourceARN: QueueARN })).Tags, [{ Key: 'team', Value: 'a' }])
  await f.ok('TagResource', { ResourceARN: QueueARN, Tags: { more: 'b' } })
  await f.ok('UpdateQueue', { QueueARN, QueueAttributes: { VisibilityTimeoutSeconds: 5 } })
  assert.equal(f.local!.queues.settings('kinesis.q').lockMs, 5_000)
  const { QueueSummaries } = await f.ok('ListQueues', { StreamFilter: [{ StreamARN: streamArn('s') }] })
  assert.deepEqual(
    QueueSummaries.map((one: Json) => one.QueueName),
    ['q'],
  )
  assert.equal((await f.ok('DescribeStreamSummary', { StreamName: 's' })).StreamDescriptionSummary.QueueCount, 1)
  const again = { QueueName: 'q', StreamConfigurationList: [{ StreamARN: streamArn('s') }] }
  assert.equal((await f.refused('CreateQueue', again))[0], 'ResourceInUseException')
  await f.ok('DeleteQueue', { QueueARN })
  assert.equal((await f.refused('DescribeQueue', { QueueARN }))[0], 'ResourceNotFoundException')
})
test('a queue goes on with the shards that a split makes', async (t) => {
  const f = await kinesis(t)
  const QueueARN = await given(f)
  await put(f, 'before')
  await f.ok('UpdateShardCount', { StreamName: 's', TargetShardCount: 4, ScalingType: 'UNIFORM_SCALING' })
  for (const text of ['a', 'b', 'c', 'd']) await put(f, text)
  const records = await receive(f, QueueARN, 5)
  assert.deepEqual(records.map(dataText).toSorted(), ['a', 'b', 'before', 'c', 'd'])
})
test('a visibility timeout of its own: for a receive, and for one record', async (t) => {
  const f = await kinesis(t)
  const QueueARN = await given(f, { VisibilityTimeoutSeconds: 600 })
  await put(f, 'one')
  const [first] = (await f.ok('ReceiveQueueRecords', { QueueARN, WaitTimeSeconds: 5, VisibilityTimeoutSeconds: 1 }))
    .QueueRecords
  const [second] = await receive(f, QueueARN, 1)
  assert.deepEqual([second.RecordId, second.ReceiveCount], [first.RecordId, 2])
  const Entries = [{ ReceiptHandle: second.ReceiptHandle, VisibilityTimeoutSeconds: 1 }]
  await f.ok('UpdateQueueRecordsVisibility', { QueueARN, Entries })
  const [third] = await receive(f, QueueARN, 1)
  assert.deepEqual([third.RecordId, third.ReceiveCount], [first.RecordId, 3])
})
test('without dead letters a record is received until it is acknowledged', async (t) => {
  const f = await kinesis(t)
  const QueueARN = await given(f, { DeadLetterConfiguration: { TargetType: 'NONE' } })
  await put(f, 'one')
  for (let n = 1; n <= 40; n++) {
    const [record] = await receive(f, QueueARN, 1)
    assert.equal(record.ReceiveCount, n)
    const Entries = [{ ReceiptHandle: record.ReceiptHandle, VisibilityTimeoutSeconds: 0 }]
    await f.ok('UpdateQueueRecordsVisibility', { QueueARN, Entries })
  }
})
test('consumers that die at random: every record is acknowledged once, none is lost', async (t) => {
  const f = await kinesis(t)
  // Of 300 some would have died with six consumers.
  const QueueARN = await given(f, { VisibilityTimeoutSeconds: 1, DeadLetterConfiguration: { TargetType: 'NONE' } })
  const count = 300
  const Records = Array.from({ length: count }, (_, n) => ({ PartitionKey: `k${n}`, Data: Buffer.from(String(n)) }))
  await f.ok('PutRecords', { StreamName: 's', Records })
  const acknowledged: string[] = []
  const untilMs = Date.now() + 60_000
  let died = 0
  const consumer = async (): Promise<void> => {
    while (acknowledged.length < count && Date.now() < untilMs) {
      const found = await f.ok('ReceiveQueueRecords', { QueueARN, WaitTimeSeconds: 1 })
      // Dead: what it has comes to others when its time is over.
      if (Math.random() < 0.3) {
        died += found.QueueRecords.length
        continue
      }
      if (found.QueueRecords.length === 0) continue
      const done = await f.ok('AcknowledgeQueueRecords', { QueueARN, Entries: handles(found.QueueRecords) })
      const handled = new Set(done.Successful.map((one: Json) => one.ReceiptHandle))
      acknowledged.push(...found.QueueRecords.filter((one: Json) => handled.has(one.ReceiptHandle)).map(dataText))
    }
  }
  await Promise.all(Array.from({ length: 6 }, consumer))
  assert.ok(died > 0)
  assert.deepEqual(
    acknowledged.map(Number).toSorted((a, b) => a - b),
    Array.from({ length: count }, (_, n) => n),
  )
})
async function poisoned(f: KinesisFixture, QueueARN: string, text: string): Promise<Json> {
  await put(f, text)
  for (let n = 0; n < 2; n++) {
    const [record] = await receive(f, QueueARN, 1)
    const Entries = [{ ReceiptHandle: record.ReceiptHandle, VisibilityTimeoutSeconds: 0 }]
    await f.ok('UpdateQueueRecordsVisibility', { QueueARN, Entries })
  }
  const [letter] = await receive(f, QueueARN, 1, 'DeadLetterQueue')
  return letter
}
const twice = { DeadLetterConfiguration: { TargetType: 'BUILT_IN', MaxReceiveCount: 2 } }
test('a dead letter that somebody else holds by now, or that is done with, is not restored again', async (t) => {
  const f = await kinesis(t)
  const QueueARN = await given(f, twice)
  const letter = await poisoned(f, QueueARN, 'poison')
  const restore = async (Entries: object[]): Promise<Json> =>
    f.ok('RestoreDeadLetterQueueRecords', { QueueARN, Entries })
  assert.equal((await restore(handles([letter]))).Successful.length, 1)
  const late = await restore(handles([letter]))
  assert.deepEqual([late.Successful.length, late.Failed[0].ErrorMessage], [0, 'ReceiptHandle has expired.'])
  const forged = Buffer.from(
    JSON.stringify([...JSON.parse(Buffer.from(letter.ReceiptHandle, 'base64').toString()).slice(0, 3), 'me']),
  )
  assert.equal((await restore([{ ReceiptHandle: forged.toString('base64') }])).Failed.length, 1)
  const shards = await Promise.all(['0', '1'].map((shard) => readShard(f, 's', shard)))
  assert.equal(shards.flatMap(({ records }) => records).length, 2, 'the record, and it restored once')
})
test('a dead letter whose shard is closed by now is restored into the one that is open', async (t) => {
  const f = await kinesis(t)
  const QueueARN = await given(f, twice)
  const letter = await poisoned(f, QueueARN, 'poison')
  await f.ok('UpdateShardCount', { StreamName: 's', TargetShardCount: 4, ScalingType: 'UNIFORM_SCALING' })
  await f.ok('RestoreDeadLetterQueueRecords', { QueueARN, Entries: handles([letter]) })
  const shards = await Promise.all(['0', '1', '2', '3', '4', '5'].map((shard) => readShard(f, 's', shard)))
  const found = shards.map(({ records }) => records.length)
  assert.deepEqual([found[0]! + found[1]!, found.slice(2).reduce((sum, count) => sum + count)], [1, 1])
})
test('a queue that is made anew has none of the dead letters of the one before; one name is made once', async (t) => {
  const f = await kinesis(t)
  const QueueARN = await given(f, twice)
  await poisoned(f, QueueARN, 'poison')
  await f.ok('DeleteQueue', { QueueARN })
  const again = { QueueName: 'q', StreamConfigurationList: [{ StreamARN: streamArn('s') }], QueueAttributes: twice }
  const made = await Promise.all([1, 2, 3].map(() => f.call('CreateQueue', again)))
  assert.deepEqual(made.map(({ status }) => status).toSorted(), [200, 400, 400])
  assert.deepEqual((await f.ok('ReceiveDeadLetterQueueRecords', { QueueARN, WaitTimeSeconds: 1 })).QueueRecords, [])
})
test('when a record was received first is kept', async (t) => {
  const f = await kinesis(t)
  const QueueARN = await given(f)
  await put(f, 'one')
  const [first] = await receive(f, QueueARN, 1)
  await new Promise((resolve) => setTimeout(resolve, 30))
  const Entries = [{ ReceiptHandle: first.ReceiptHandle, VisibilityTimeoutSeconds: 0 }]
  await f.ok('UpdateQueueRecordsVisibility', { QueueARN, Entries })
  const [second] = await receive(f, QueueARN, 1)
  assert.deepEqual([second.ReceiveCount, second.FirstReceiveTimestamp], [2, first.FirstReceiveTimestamp])
  assert.ok(Math.abs(first.FirstReceiveTimestamp * 1_000 - Date.now()) < 60_000)
})

test('there are so many queues, and no more', async (t) => {
  const own = limits as { -readonly [K in keyof typeof limits]: number }
  const before = own.kinesisQueues
  t.after(() => (own.kinesisQueues = before))
  const f = await kinesis(t)
  await given(f)
  own.kinesisQueues = 2
  const more = (QueueName: string): object => ({
    QueueName,
    StreamConfigurationList: [{ StreamARN: streamArn('s') }],
    QueueAttributes: {},
  })
  await f.ok('CreateQueue', more('second'))
  assert.equal((await f.refused('CreateQueue', more('third')))[0], 'LimitExceededException')
  await f.ok('DeleteQueue', { QueueARN: queueArn('second') })
  await f.ok('CreateQueue', more('third'))
})
