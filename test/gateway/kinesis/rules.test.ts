/** What the service's documentation says of requests that few send: modes, policies, consumers, pages, dry runs, queues. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Json, type KinesisFixture, kinesis } from './fixture.ts'

const arnOf = (name: string): string => `arn:aws:kinesis:us-east-1:000000000000:stream/${name}`
const queueArn = (name: string): string => `arn:aws:kinesis:us-east-1:000000000000:queue/${name}`
const onDemand = { StreamModeDetails: { StreamMode: 'ON_DEMAND' } }
const provisioned = { StreamModeDetails: { StreamMode: 'PROVISIONED' } }
const typeOf = async (f: KinesisFixture, operation: string, input: object): Promise<string> =>
  (await f.refused(operation, input))[0]
const idsOf = async (f: KinesisFixture, QueueARN: string, kind: string): Promise<string[]> => {
  const { QueueRecords } = await f.ok(`Receive${kind}Records`, { QueueARN, WaitTimeSeconds: 1 })
  return QueueRecords.map(({ RecordId }: Json) => RecordId as string)
}

test('AUTO spreads records evenly, whatever their keys say; only on-demand streams have it', async (t) => {
  const f = await kinesis(t)
  const auto = { RecordDistributionStrategy: 'AUTO' }
  await f.ok('CreateStream', { StreamName: 'fixed', ShardCount: 1 })
  assert.equal(await typeOf(f, 'CreateStream', { StreamName: 'a', ShardCount: 1, ...auto }), 'InvalidArgumentException')
  const change = { StreamARN: arnOf('fixed'), ...auto }
  assert.equal(await typeOf(f, 'UpdateStreamRecordDistributionStrategy', change), 'InvalidArgumentException')

  await f.ok('CreateStream', { StreamName: 'spread', ...onDemand, ...auto })
  const Records = Array.from({ length: 8 }, () => ({ PartitionKey: 'same', ExplicitHashKey: '0', Data: '' }))
  const { Records: put } = await f.ok('PutRecords', { StreamName: 'spread', Records })
  assert.deepEqual(
    Object.values(Object.groupBy(put as Json[], ({ ShardId }) => ShardId)).map((some) => some!.length),
    [2, 2, 2, 2],
  )
  await f.ok('UpdateStreamMode', { StreamARN: arnOf('spread'), ...provisioned })
  const { StreamDescriptionSummary } = await f.ok('DescribeStreamSummary', { StreamName: 'spread' })
  assert.equal(StreamDescriptionSummary.RecordDistributionStrategy, 'USER_PARTITION_KEY')
})

test('what is for one mode of streams is refused for the other', async (t) => {
  const f = await kinesis(t)
  const warm = { WarmThroughputMiBps: 5 }
  assert.equal(await typeOf(f, 'CreateStream', { StreamName: 's', ShardCount: 1, ...warm }), 'InvalidArgumentException')
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 2 })
  const mode = { StreamARN: arnOf('s'), ...provisioned, ...warm }
  assert.equal(await typeOf(f, 'UpdateStreamMode', mode), 'InvalidArgumentException')
  const summary = async (): Promise<Json> =>
    (await f.ok('DescribeStreamSummary', { StreamName: 's' })).StreamDescriptionSummary
  assert.equal((await summary()).WarmThroughput, undefined)
  await f.ok('UpdateStreamMode', { StreamARN: arnOf('s'), ...onDemand, ...warm })
  assert.equal((await summary()).WarmThroughput.TargetMiBps, 5)
  const split = { StreamName: 's', ShardToSplit: 'shardId-000000000000', NewStartingHashKey: '100' }
  assert.equal(await typeOf(f, 'SplitShard', split), 'ValidationException')
  const merge = { ShardToMerge: 'shardId-000000000000', AdjacentShardToMerge: 'shardId-000000000001' }
  assert.equal(await typeOf(f, 'MergeShards', { StreamName: 's', ...merge }), 'ValidationException')
})

test('a dry run of a subscription says so, and begins none', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 1 })
  const { Consumer } = await f.ok('RegisterStreamConsumer', { StreamARN: arnOf('s'), ConsumerName: 'c' })
  const dry = { ShardId: 'shardId-000000000000', StartingPosition: { Type: 'LATEST' }, DryRun: true }
  for (let n = 0; n < 2; n++)
    assert.equal(
      await typeOf(f, 'SubscribeToShard', { ConsumerARN: Consumer.ConsumerARN, ...dry }),
      'DryRunOperationException',
    )
})

test('tags and policies are of the consumer that an ARN names, and of no other', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 1 })
  const { Consumer } = await f.ok('RegisterStreamConsumer', { StreamARN: arnOf('s'), ConsumerName: 'c' })
  const earlier = (Consumer.ConsumerARN as string).replace(/:\d+$/, ':1000')
  const inherited = `${arnOf('s')}/consumer/constructor:1000`
  for (const ResourceARN of [earlier, inherited]) {
    assert.equal(await typeOf(f, 'ListTagsForResource', { ResourceARN }), 'ResourceNotFoundException')
    assert.equal(await typeOf(f, 'TagResource', { ResourceARN, Tags: { a: 'b' } }), 'ResourceNotFoundException')
    assert.equal(await typeOf(f, 'PutResourcePolicy', { ResourceARN, Policy: '{}' }), 'ResourceNotFoundException')
  }
  assert.equal((await f.ok('ListStreamConsumers', { StreamARN: arnOf('s') })).Consumers.length, 1)

  const ResourceARN = arnOf('s')
  for (const Policy of ['no json', '[]', '""'])
    assert.equal(await typeOf(f, 'PutResourcePolicy', { ResourceARN, Policy }), 'InvalidArgumentException')
  assert.equal(await typeOf(f, 'DeleteResourcePolicy', { ResourceARN }), 'ResourceNotFoundException')
  const Tags = Object.fromEntries(Array.from({ length: 51 }, (_, n) => [String(n), '']))
  assert.equal(await typeOf(f, 'CreateStream', { StreamName: 't', ShardCount: 1, Tags }), 'InvalidArgumentException')
  const consumer = { StreamARN: arnOf('s'), ConsumerName: 'd', Tags }
  assert.equal(await typeOf(f, 'RegisterStreamConsumer', consumer), 'InvalidArgumentException')
})

test('pages go on by the tokens that were given, and a stream made at another time is another stream', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 3 })
  for (const ConsumerName of ['a', 'b', 'c'])
    await f.ok('RegisterStreamConsumer', { StreamARN: arnOf('s'), ConsumerName })
  const { NextToken } = await f.ok('ListStreamConsumers', { StreamARN: arnOf('s'), MaxResults: 2 })
  const { Consumers } = await f.ok('ListStreamConsumers', { StreamARN: arnOf('s'), NextToken })
  assert.deepEqual(
    Consumers.map(({ ConsumerName }: Json) => ConsumerName),
    ['c'],
  )
  const invented = { NextToken: 'invented' }
  assert.equal(
    await typeOf(f, 'ListStreamConsumers', { StreamARN: arnOf('s'), ...invented }),
    'InvalidArgumentException',
  )
  assert.equal(await typeOf(f, 'ListQueues', invented), 'InvalidArgumentException')

  const { StreamDescription } = await f.ok('DescribeStream', { StreamName: 's' })
  const { StreamCreationTimestamp } = StreamDescription
  const other = { StreamARN: arnOf('s'), StreamCreationTimestamp: StreamCreationTimestamp - 60 }
  for (const operation of ['ListShards', 'ListStreamConsumers']) {
    await f.ok(operation, { StreamARN: arnOf('s'), StreamCreationTimestamp })
    assert.equal(await typeOf(f, operation, other), 'ResourceNotFoundException')
  }
  const place = { ShardId: 'shardId-000000000000', ShardIteratorType: 'LATEST' }
  const { ShardIterator } = await f.ok('GetShardIterator', { StreamARN: arnOf('s'), ...place })
  await f.ok('GetRecords', { ShardIterator, StreamARN: arnOf('s') })
  assert.equal(await typeOf(f, 'GetRecords', { ShardIterator, StreamARN: arnOf('t') }), 'InvalidArgumentException')
  const shards = await f.ok('ListShards', { StreamARN: arnOf('s'), MaxResults: 1 })
  for (const more of [{ ExclusiveStartShardId: 'shardId-000000000000' }, { StreamCreationTimestamp }])
    assert.equal(await typeOf(f, 'ListShards', { NextToken: shards.NextToken, ...more }), 'InvalidArgumentException')
  for (const more of [{ ShardId: 'shardId-000000000000' }, { Timestamp: StreamCreationTimestamp }])
    assert.equal(
      await typeOf(f, 'ListShards', { StreamARN: arnOf('s'), ShardFilter: { Type: 'AT_LATEST', ...more } }),
      'InvalidArgumentException',
    )
})

test('a stream with queues stays, and stays on-demand; queues are of one stream, with bounds that are said', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName: 's', ...onDemand })
  await f.ok('CreateStream', { StreamName: 'other', ShardCount: 1 })
  const Timestamp = Math.floor(Date.now() / 1_000) - 10
  const start = [{ StreamARN: arnOf('s'), StartingPosition: { Type: 'AT_TIMESTAMP', Timestamp } }]
  const two = { QueueName: 'q', StreamConfigurationList: [...start, { StreamARN: arnOf('other') }] }
  assert.equal(await typeOf(f, 'CreateQueue', two), 'InvalidArgumentException')
  const QueueAttributes = { DeadLetterConfiguration: { TargetType: 'BUILT_IN' } }
  const endless = { QueueName: 'q', StreamConfigurationList: start, QueueAttributes }
  assert.equal(await typeOf(f, 'CreateQueue', endless), 'InvalidArgumentException')
  await f.ok('CreateQueue', { QueueName: 'q', StreamConfigurationList: start })
  const { QueueDescription } = await f.ok('DescribeQueue', { QueueARN: queueArn('q') })
  assert.deepEqual(QueueDescription.StreamConfigurationList, start)

  assert.equal(await typeOf(f, 'DeleteStream', { StreamName: 's' }), 'ResourceInUseException')
  const mode = { StreamARN: arnOf('s'), ...provisioned }
  assert.equal(await typeOf(f, 'UpdateStreamMode', mode), 'ResourceInUseException')
  await f.ok('DeleteQueue', { QueueARN: queueArn('q') })
  await f.ok('UpdateStreamMode', mode)
  await f.ok('DeleteStream', { StreamName: 's' })
})

test('a receive that says nothing else waits for nine seconds', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 1 })
  await f.ok('CreateQueue', { QueueName: 'q', StreamConfigurationList: [{ StreamARN: arnOf('s') }] })
  const waiting = f.ok('ReceiveQueueRecords', { QueueARN: queueArn('q') })
  await new Promise((done) => setTimeout(done, 300))
  await f.ok('PutRecord', { StreamName: 's', PartitionKey: 'k', Data: '' })
  assert.equal((await waiting).QueueRecords.length, 1)
})

test('a receive of dead letters waits also before there was one', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 1 })
  const once = { DeadLetterConfiguration: { TargetType: 'BUILT_IN', MaxReceiveCount: 1 } }
  const StreamConfigurationList = [{ StreamARN: arnOf('s') }]
  await f.ok('CreateQueue', { QueueName: 'q', StreamConfigurationList, QueueAttributes: once })
  const QueueARN = queueArn('q')
  const fromMs = performance.now()
  assert.deepEqual(await idsOf(f, QueueARN, 'DeadLetterQueue'), [])
  assert.ok(performance.now() - fromMs > 900)
  const waiting = f.ok('ReceiveDeadLetterQueueRecords', { QueueARN })
  await f.ok('PutRecord', { StreamName: 's', PartitionKey: 'k', Data: '' })
  const [{ ReceiptHandle }] = (await f.ok('ReceiveQueueRecords', { QueueARN })).QueueRecords
  await f.ok('UpdateQueueRecordsVisibility', { QueueARN, Entries: [{ ReceiptHandle, VisibilityTimeoutSeconds: 0 }] })
  assert.equal((await waiting).QueueRecords.length, 1)
})

test('a dead letter has the id of its record, and a queue named like another’s dead letters is its own', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 1 })
  const start = { StreamARN: arnOf('s'), StartingPosition: { Type: 'TRIM_HORIZON' } }
  const once = { DeadLetterConfiguration: { TargetType: 'BUILT_IN', MaxReceiveCount: 1 } }
  for (const QueueName of ['q', 'q.dead'])
    await f.ok('CreateQueue', { QueueName, StreamConfigurationList: [start], QueueAttributes: once })
  await f.ok('PutRecord', { StreamName: 's', PartitionKey: 'k', Data: '' })
  const received = await f.ok('ReceiveQueueRecords', { QueueARN: queueArn('q') })
  const [{ ReceiptHandle, RecordId }] = received.QueueRecords
  const Entries = [{ ReceiptHandle, VisibilityTimeoutSeconds: 0 }]
  await f.ok('UpdateQueueRecordsVisibility', { QueueARN: queueArn('q'), Entries })
  assert.deepEqual(await idsOf(f, queueArn('q'), 'DeadLetterQueue'), [RecordId])

  const { QueueRecords } = await f.ok('ReceiveQueueRecords', { QueueARN: queueArn('q.dead') })
  await f.ok('AcknowledgeQueueRecords', {
    QueueARN: queueArn('q.dead'),
    Entries: [{ ReceiptHandle: QueueRecords[0].ReceiptHandle }],
  })
  await f.ok('DeleteQueue', { QueueARN: queueArn('q') })
  assert.deepEqual(await idsOf(f, queueArn('q.dead'), 'Queue'), [])
})

test('the topic of a view is read, and neither written nor changed; what a stream reads is not deleted', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName: 'sold', ShardCount: 1 })
  await f.engine.run(
    `CREATE STREAM sold (item text) WITH (topic = 'sold', format = 'json');
     CREATE MATERIALIZED VIEW counts AS SELECT item, count(*) AS n FROM sold GROUP BY item;`,
  )
  const view = { StreamName: 'counts' }
  const { Shards } = await f.ok('ListShards', view)
  const [ShardToSplit, StreamARN] = [Shards[0].ShardId, arnOf('counts')]
  const record = { PartitionKey: 'k', Data: Buffer.from('{}').toString('base64') }
  for (const [operation, input] of [
    ['PutRecord', { ...view, ...record }],
    ['PutRecords', { ...view, Records: [record] }],
    ['SplitShard', { ...view, ShardToSplit, NewStartingHashKey: '1000' }],
    ['UpdateShardCount', { ...view, TargetShardCount: 2, ScalingType: 'UNIFORM_SCALING' }],
    ['UpdateStreamMode', { StreamARN, ...onDemand }],
    ['UpdateMaxRecordSize', { StreamARN, MaxRecordSizeInKiB: 2_048 }],
    ['IncreaseStreamRetentionPeriod', { ...view, RetentionPeriodHours: 8_760 }],
    ['DeleteStream', view],
  ] as const) {
    const [type, message] = await f.refused(operation, input)
    assert.equal(type, 'InvalidArgumentException', operation)
    assert.match(message, /the view counts, which alone writes it/, operation)
  }
  assert.equal(await typeOf(f, 'DeleteStream', { StreamName: 'sold' }), 'ResourceInUseException')
  await f.ok('RegisterStreamConsumer', { StreamARN, ConsumerName: 'reader' })
  await f.ok('PutRecord', { StreamName: 'sold', ...record })
})
