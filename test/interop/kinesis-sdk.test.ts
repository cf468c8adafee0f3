/** AWS's SDK for JavaScript, as it is: HTTP/2 with prior knowledge, JSON, event streams. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  AddTagsToStreamCommand,
  CreateStreamCommand,
  DeleteStreamCommand,
  DescribeLimitsCommand,
  DescribeStreamCommand,
  DescribeStreamConsumerCommand,
  ExpiredIteratorException,
  GetRecordsCommand,
  GetShardIteratorCommand,
  IncreaseStreamRetentionPeriodCommand,
  InvalidArgumentException,
  KinesisClient,
  ListShardsCommand,
  ListStreamConsumersCommand,
  ListStreamsCommand,
  ListTagsForStreamCommand,
  MergeShardsCommand,
  PutRecordCommand,
  PutRecordsCommand,
  RegisterStreamConsumerCommand,
  ResourceInUseException,
  ResourceNotFoundException,
  SplitShardCommand,
  SubscribeToShardCommand,
  UpdateShardCountCommand,
  paginateListStreams,
  waitUntilStreamExists,
  waitUntilStreamNotExists,
} from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { type KinesisFixture, kinesis } from '../gateway/kinesis/fixture.ts'

interface Given extends KinesisFixture {
  readonly client: KinesisClient
}
async function given(t: TestContext, settings: readonly string[] = []): Promise<Given> {
  const f = await kinesis(t, { settings: { kinesis: settings } })
  const client = clientOf(t, f.port)
  return { ...f, client }
}
function clientOf(t: TestContext, port: number, more: object = {}): KinesisClient {
  const client = new KinesisClient({
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'x', secretAccessKey: 'y' },
    maxAttempts: 1,
    ...more,
  })
  t.after(() => client.destroy())
  return client
}
const bytes = (text: string): Uint8Array => Buffer.from(text)
const text = (data: Uint8Array | undefined): string => Buffer.from(data ?? []).toString()
async function records(client: KinesisClient, StreamName: string, ShardId: string): Promise<string[]> {
  const { ShardIterator } = await client.send(
    new GetShardIteratorCommand({ StreamName, ShardId, ShardIteratorType: 'TRIM_HORIZON' }),
  )
  const found: string[] = []
  for (let iterator = ShardIterator; iterator !== undefined;) {
    const { Records = [], NextShardIterator } = await client.send(new GetRecordsCommand({ ShardIterator: iterator }))
    if (Records.length === 0) break
    found.push(...Records.map(({ Data }) => text(Data)))
    iterator = NextShardIterator
  }
  return found
}

test('a stream is made, waited for, described, listed and removed', async (t) => {
  const { client } = await given(t, ['change-time=300ms'])
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 2 }))
  await waitUntilStreamExists({ client, maxWaitTime: 30, minDelay: 1, maxDelay: 1 }, { StreamName: 's' })
  const { StreamDescription } = await client.send(new DescribeStreamCommand({ StreamName: 's' }))
  assert.equal(StreamDescription?.StreamStatus, 'ACTIVE')
  assert.equal(StreamDescription.Shards?.length, 2)
  assert.ok(Math.abs(StreamDescription.StreamCreationTimestamp!.getTime() - Date.now()) < 60_000)
  assert.deepEqual((await client.send(new ListStreamsCommand())).StreamNames, ['s'])
  await client.send(new DeleteStreamCommand({ StreamName: 's' }))
  await waitUntilStreamNotExists({ client, maxWaitTime: 30, minDelay: 1, maxDelay: 1 }, { StreamName: 's' })
})
test('names are given page by page', async (t) => {
  const { client } = await given(t)
  for (const StreamName of ['a', 'b', 'c']) await client.send(new CreateStreamCommand({ StreamName, ShardCount: 1 }))
  const pages: (string[] | undefined)[] = []
  for await (const page of paginateListStreams({ client }, { Limit: 2 })) pages.push(page.StreamNames)
  assert.deepEqual(pages, [['a', 'b'], ['c']])
})
test('a record comes back as it was put', async (t) => {
  const { client } = await given(t)
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 1 }))
  const Data = Uint8Array.from({ length: 256 }, (_, i) => i)
  const put = await client.send(new PutRecordCommand({ StreamName: 's', PartitionKey: 'schlüssel', Data }))
  const { ShardIterator } = await client.send(
    new GetShardIteratorCommand({ StreamName: 's', ShardId: put.ShardId, ShardIteratorType: 'TRIM_HORIZON' }),
  )
  const { Records, MillisBehindLatest } = await client.send(new GetRecordsCommand({ ShardIterator }))
  assert.deepEqual(Records?.[0]?.Data, Data)
  assert.equal(Records[0].PartitionKey, 'schlüssel')
  assert.equal(Records[0].SequenceNumber, put.SequenceNumber)
  assert.ok(Records[0].ApproximateArrivalTimestamp instanceof Date)
  assert.equal(MillisBehindLatest, 0)
})
test('500 records at once lie in their shards in order', async (t) => {
  const { client } = await given(t)
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 3 }))
  const Records = Array.from({ length: 500 }, (_, i) => ({ PartitionKey: `k${i % 7}`, Data: bytes(`${i % 7}:${i}`) }))
  const answer = await client.send(new PutRecordsCommand({ StreamName: 's', Records }))
  assert.equal(answer.FailedRecordCount, 0)
  const all = await Promise.all(
    ['0', '1', '2'].map((shard) => records(client, 's', `shardId-${shard.padStart(12, '0')}`)),
  )
  assert.equal(all.flat().length, 500)
  for (let key = 0; key < 7; key++) {
    const own = all
      .flat()
      .filter((one) => one.startsWith(`${key}:`))
      .map((one) => Number(one.split(':')[1]))
    assert.deepEqual(
      own,
      own.toSorted((a, b) => a - b),
    )
  }
})
test('a record larger than a mebibyte is refused, one of that size is taken', async (t) => {
  const { client } = await given(t)
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 1 }))
  const put = (size: number) =>
    client.send(new PutRecordCommand({ StreamName: 's', PartitionKey: 'k', Data: new Uint8Array(size) }))
  await put(1_048_576)
  await assert.rejects(put(1_048_577), /1 validation error detected/)
})
test('errors are the classes that the SDK has for them', async (t) => {
  const { client } = await given(t)
  await assert.rejects(client.send(new DescribeStreamCommand({ StreamName: 'none' })), ResourceNotFoundException)
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 1 }))
  await assert.rejects(client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 1 })), ResourceInUseException)
  await assert.rejects(client.send(new GetRecordsCommand({ ShardIterator: 'AAAA' })), InvalidArgumentException)
  assert.ok(ExpiredIteratorException.prototype instanceof Error)
})
test('iterators begin after a sequence number', async (t) => {
  const { client } = await given(t)
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 1 }))
  const put = (data: string) =>
    client.send(new PutRecordCommand({ StreamName: 's', PartitionKey: 'k', Data: bytes(data) }))
  await put('one')
  const { SequenceNumber: StartingSequenceNumber } = await put('two')
  await put('three')
  const at = { StreamName: 's', ShardId: 'shardId-000000000000', StartingSequenceNumber } as const
  const { ShardIterator } = await client.send(
    new GetShardIteratorCommand({ ...at, ShardIteratorType: 'AFTER_SEQUENCE_NUMBER' }),
  )
  const { Records } = await client.send(new GetRecordsCommand({ ShardIterator }))
  assert.deepEqual(
    Records?.map(({ Data }) => text(Data)),
    ['three'],
  )
})
test('a shard is split, its children say whose they are', async (t) => {
  const { client } = await given(t)
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 1 }))
  await client.send(
    new SplitShardCommand({ StreamName: 's', ShardToSplit: 'shardId-000000000000', NewStartingHashKey: '100' }),
  )
  const { Shards } = await client.send(new ListShardsCommand({ StreamName: 's' }))
  assert.deepEqual(
    Shards?.map(({ ShardId, ParentShardId, SequenceNumberRange }) => [
      ShardId?.at(-1),
      ParentShardId?.at(-1),
      SequenceNumberRange?.EndingSequenceNumber !== undefined,
    ]),
    [
      ['0', undefined, true],
      ['1', '0', false],
      ['2', '0', false],
    ],
  )
})
test('shards are merged, and the parents end with their child', async (t) => {
  const { client } = await given(t)
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 2 }))
  await client.send(
    new MergeShardsCommand({
      StreamName: 's',
      ShardToMerge: 'shardId-000000000000',
      AdjacentShardToMerge: 'shardId-000000000001',
    }),
  )
  const { ShardIterator } = await client.send(
    new GetShardIteratorCommand({
      StreamName: 's',
      ShardId: 'shardId-000000000001',
      ShardIteratorType: 'TRIM_HORIZON',
    }),
  )
  const { NextShardIterator, ChildShards } = await client.send(new GetRecordsCommand({ ShardIterator }))
  assert.equal(NextShardIterator, undefined)
  assert.deepEqual(
    ChildShards?.map(({ ShardId, ParentShards }) => [ShardId, ParentShards]),
    [['shardId-000000000002', ['shardId-000000000000', 'shardId-000000000001']]],
  )
})
test('a stream is brought to another count of shards', async (t) => {
  const { client } = await given(t)
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 2 }))
  const answer = await client.send(
    new UpdateShardCountCommand({ StreamName: 's', TargetShardCount: 3, ScalingType: 'UNIFORM_SCALING' }),
  )
  assert.deepEqual([answer.CurrentShardCount, answer.TargetShardCount], [2, 3])
  const { Shards } = await client.send(new ListShardsCommand({ StreamName: 's', ShardFilter: { Type: 'AT_LATEST' } }))
  assert.equal(Shards?.length, 3)
})
test('shards are listed page by page', async (t) => {
  const { client } = await given(t)
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 5 }))
  const first = await client.send(new ListShardsCommand({ StreamName: 's', MaxResults: 3 }))
  const second = await client.send(new ListShardsCommand({ NextToken: first.NextToken, MaxResults: 3 }))
  assert.deepEqual([first.Shards?.length, second.Shards?.length, second.NextToken], [3, 2, undefined])
})
test('tags, retention and limits', async (t) => {
  const { client } = await given(t)
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 1 }))
  await client.send(new AddTagsToStreamCommand({ StreamName: 's', Tags: { team: 'a' } }))
  assert.deepEqual((await client.send(new ListTagsForStreamCommand({ StreamName: 's' }))).Tags, [
    { Key: 'team', Value: 'a' },
  ])
  await client.send(new IncreaseStreamRetentionPeriodCommand({ StreamName: 's', RetentionPeriodHours: 72 }))
  const { StreamDescription } = await client.send(new DescribeStreamCommand({ StreamName: 's' }))
  assert.equal(StreamDescription?.RetentionPeriodHours, 72)
  assert.equal((await client.send(new DescribeLimitsCommand())).OpenShardCount, 1)
})
test('a consumer is registered, described and listed', async (t) => {
  const { client } = await given(t)
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 1 }))
  const StreamARN = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
  const { Consumer } = await client.send(new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'c' }))
  assert.equal(Consumer?.ConsumerStatus, 'ACTIVE')
  const { ConsumerDescription } = await client.send(
    new DescribeStreamConsumerCommand({ ConsumerARN: Consumer.ConsumerARN }),
  )
  assert.equal(ConsumerDescription?.StreamARN, StreamARN)
  assert.equal((await client.send(new ListStreamConsumersCommand({ StreamARN }))).Consumers?.length, 1)
  await assert.rejects(
    client.send(new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'c' })),
    ResourceInUseException,
  )
})
test('a subscription has what was there and what comes, and ends where the shard ends', async (t) => {
  const { client, ok } = await given(t)
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 1 }))
  await client.send(new PutRecordCommand({ StreamName: 's', PartitionKey: 'k', Data: bytes('before') }))
  const StreamARN = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
  const { Consumer } = await client.send(new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'c' }))
  const subscribe = new SubscribeToShardCommand({
    ConsumerARN: Consumer!.ConsumerARN,
    ShardId: 'shardId-000000000000',
    StartingPosition: { Type: 'TRIM_HORIZON' },
  })
  const { EventStream } = await client.send(subscribe)
  const found: string[] = []
  let continuation: string | undefined
  let children: (string | undefined)[] | undefined
  let put = false
  for await (const { SubscribeToShardEvent: event } of EventStream!) {
    found.push(...(event?.Records ?? []).map(({ Data }) => text(Data)))
    continuation = event?.ContinuationSequenceNumber ?? continuation
    if (event?.ChildShards !== undefined) children = event.ChildShards.map(({ ShardId }) => ShardId)
    if (put) continue
    put = true
    await ok('PutRecord', { StreamName: 's', PartitionKey: 'k', Data: Buffer.from('during').toString('base64') })
    await ok('SplitShard', { StreamName: 's', ShardToSplit: '0', NewStartingHashKey: '100' })
  }
  assert.deepEqual(found, ['before', 'during'])
  assert.deepEqual(children, ['shardId-000000000001', 'shardId-000000000002'])
  assert.match(continuation!, /^\d{56}$/)
})
test('a subscription to a shard that is not there is an error of the call', async (t) => {
  const { client } = await given(t)
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 1 }))
  const StreamARN = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
  const { Consumer } = await client.send(new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'c' }))
  const at = {
    ConsumerARN: Consumer!.ConsumerARN,
    ShardId: 'shardId-000000000009',
    StartingPosition: { Type: 'LATEST' },
  } as const
  await assert.rejects(client.send(new SubscribeToShardCommand(at)), ResourceNotFoundException)
})
test('the same client over HTTP/1.1', async (t) => {
  const { port } = await given(t)
  const client = clientOf(t, port, { requestHandler: new NodeHttpHandler() })
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 1 }))
  await client.send(new PutRecordCommand({ StreamName: 's', PartitionKey: 'k', Data: bytes('by HTTP/1.1') }))
  assert.deepEqual(await records(client, 's', 'shardId-000000000000'), ['by HTTP/1.1'])
})
test('a signature is checked as soon as there are users', async (t) => {
  const { client, security, port } = await given(t)
  await security.users.change([{ name: 'root', super: true, scram: await security.users.credentials('a password') }])
  await assert.rejects(client.send(new ListStreamsCommand()), { name: 'UnrecognizedClientException' })
  const { id, secret } = await security.accessKeys.create({ user: 'root' })
  const right = clientOf(t, port, { credentials: { accessKeyId: id, secretAccessKey: secret } })
  assert.deepEqual((await right.send(new ListStreamsCommand())).StreamNames, [])
  const wrong = clientOf(t, port, { credentials: { accessKeyId: id, secretAccessKey: `${secret}x` } })
  await assert.rejects(wrong.send(new ListStreamsCommand()), { name: 'InvalidSignatureException' })
})
