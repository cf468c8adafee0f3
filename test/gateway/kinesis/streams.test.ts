/** Streams, their shards and records, over HTTP/1.1 and HTTP/2, in JSON and CBOR, byte for byte. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { serviceError } from '../../../src/gateway/kinesis/errors.ts'
import { Fault } from '../../../src/lib/fault.ts'
import { encodeBatch } from '../../../src/log/batch.ts'
import { operationNames } from '../../../src/wire/kinesis/model.ts'
import { parseSequenceNumber } from '../../../src/wire/kinesis/sequence-number.ts'
import { type Form, type Transport, base64Of, dataText, kinesis, mediaTypes, readShard } from './fixture.ts'

const both: readonly (readonly [Form, Transport])[] = [
  ['json', 'h1'],
  ['cbor', 'h1'],
  ['json', 'h2'],
  ['cbor', 'h2'],
]

test('one port speaks HTTP/1.1 and HTTP/2, JSON and CBOR', async (t) => {
  const f = await kinesis(t)
  for (const [form, via] of both) {
    const name = `${form}-${via}`
    await f.ok('CreateStream', { StreamName: name, ShardCount: 2 }, { form, via })
    const Data = Buffer.from(`hello ${name}`)
    const put = await f.ok('PutRecord', { StreamName: name, PartitionKey: 'k', Data }, { form, via })
    assert.match(put.SequenceNumber, /^\d{56}$/)
    const at = { StreamName: name, ShardId: put.ShardId, ShardIteratorType: 'TRIM_HORIZON' }
    const { ShardIterator } = await f.ok('GetShardIterator', at, { form, via })
    const found = await f.ok('GetRecords', { ShardIterator }, { form, via })
    assert.equal(found.Records.length, 1)
    const [record] = found.Records
    assert.equal(record.PartitionKey, 'k')
    assert.equal(record.SequenceNumber, put.SequenceNumber)
    assert.deepEqual(Buffer.from(record.Data, form === 'json' ? 'base64' : 'latin1'), Data)
    const arrivalMs = record.ApproximateArrivalTimestamp * (form === 'json' ? 1_000 : 1)
    assert.ok(Math.abs(arrivalMs - Date.now()) < 60_000)
    assert.equal(found.MillisBehindLatest, 0)
  }
})

test('every operation of the service is known, and answers in its own words', async (t) => {
  const f = await kinesis(t)
  assert.equal(operationNames.length, 57)
  for (const operation of operationNames) {
    const { status, body } = await f.call(operation, {})
    assert.ok(
      status === 200 || /^(ValidationException|InvalidArgumentException|ResourceNotFoundException)$/.test(body.__type),
      operation,
    )
    assert.notEqual(body.__type, 'UnknownOperationException')
  }
  assert.deepEqual(
    f.said.filter((line) => line.includes('failed')),
    [],
  )
})

test('what says nothing the service knows is answered as the service does', async (t) => {
  const f = await kinesis(t)
  const target = { 'x-amz-target': 'Kinesis_20131202.Nothing', 'content-type': mediaTypes.json }
  const unknown = await f.send({ headers: target, body: '{}' })
  assert.deepEqual([unknown.status, unknown.bytes.toString()], [400, '{"__type":"UnknownOperationException"}'])
  const get = await f.send({ method: 'GET' })
  assert.equal(get.status, 403)
  assert.match(get.bytes.toString(), /^<AccessDeniedException>/)
  const unsigned = await f.send({
    headers: { 'x-amz-target': 'Kinesis_20131202.ListStreams', 'content-type': mediaTypes.json },
    body: '{}',
  })
  assert.match(unsigned.bytes.toString(), /MissingAuthenticationTokenException/)
  assert.match(unsigned.headers['x-amzn-requestid']!, /^[0-9a-f-]{36}$/)
})

test('a body beyond the limit is refused before it is taken, and bytes that are no HTTP end the connection', async (t) => {
  const f = await kinesis(t)
  const headers = { 'x-amz-target': 'Kinesis_20131202.PutRecord', 'content-type': mediaTypes.json }
  const length = 17 * 1024 * 1024
  for (const via of ['h1', 'h2'] as const) {
    const answer = await f
      .send({ headers: { ...headers, 'content-length': String(length) }, body: Buffer.alloc(length) }, via)
      .catch((error: Error) => error)
    // A client that still writes may see the connection end before it sees the answer.
    if (!(answer instanceof Error)) assert.equal(answer.status, 413)
  }
  const socket = connectTcp(f.port, '127.0.0.1')
  const ended = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  socket.on('error', () => {})
  socket.write(Buffer.from([0, 1, 2, 3, 4, 5, 6, 7, 13, 10, 13, 10]))
  await ended
  await f.ok('ListStreams', {})
})

test('names, ARNs and ids of streams are all taken', async (t) => {
  const f = await kinesis(t, { settings: { kinesis: ['region=eu-west-1', 'account=123456789012'] } })
  await f.ok('CreateStream', { StreamName: 'orders', ShardCount: 1 })
  const StreamARN = 'arn:aws:kinesis:eu-west-1:123456789012:stream/orders'
  const { StreamDescriptionSummary: summary } = await f.ok('DescribeStreamSummary', { StreamARN })
  assert.equal(summary.StreamARN, StreamARN)
  assert.match(summary.StreamId, /^[a-z0-9]{20}-[a-z0-9]{3}$/)
  const { StreamDescription } = await f.ok('DescribeStream', { StreamId: summary.StreamId })
  assert.equal(StreamDescription.StreamName, 'orders')
  assert.deepEqual(StreamDescription.StreamModeDetails, { StreamMode: 'PROVISIONED' })
  assert.deepEqual(await f.refused('DescribeStream', { StreamName: 'other' }), [
    'ResourceNotFoundException',
    'Stream other under account 123456789012 not found.',
  ])
  assert.equal((await f.refused('DescribeStream', { StreamName: 'other', StreamARN }))[0], 'InvalidArgumentException')
  assert.deepEqual(await f.refused('CreateStream', { StreamName: 'orders', ShardCount: 1 }), [
    'ResourceInUseException',
    'Stream orders under account 123456789012 already exists.',
  ])
})

test('limits of members are said together, in the words of the service', async (t) => {
  const f = await kinesis(t)
  assert.deepEqual(await f.refused('CreateStream', { StreamName: '', ShardCount: 0 }), [
    'ValidationException',
    "3 validation errors detected: Value '' at 'streamName' failed to satisfy constraint: Member must satisfy regular " +
      "expression pattern: [a-zA-Z0-9_.-]+; Value '' at 'streamName' failed to satisfy constraint: Member must have length " +
      "greater than or equal to 1; Value '0' at 'shardCount' failed to satisfy constraint: Member must have value greater " +
      'than or equal to 1',
  ])
  assert.deepEqual(await f.refused('CreateStream', { StreamName: 5, ShardCount: 1 }), [
    'SerializationException',
    'class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an String',
  ])
})

test('the hash key decides the shard: MD5 of the partition key, or the one that is said', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 4 })
  const put = (more: object) => f.ok('PutRecord', { StreamName: 's', PartitionKey: 'a', Data: '', ...more })
  // md5('a') = 0cc1…, md5('b') = 92eb…
  assert.equal((await put({})).ShardId, 'shardId-000000000000')
  assert.equal((await put({ PartitionKey: 'b' })).ShardId, 'shardId-000000000002')
  const last = 2n ** 128n - 1n
  assert.equal((await put({ ExplicitHashKey: String(last) })).ShardId, 'shardId-000000000003')
  assert.equal((await put({ ExplicitHashKey: '0' })).ShardId, 'shardId-000000000000')
  assert.equal((await put({ ExplicitHashKey: String(2n ** 127n) })).ShardId, 'shardId-000000000002')
  assert.equal((await put({ ExplicitHashKey: String(2n ** 127n - 1n) })).ShardId, 'shardId-000000000001')
  assert.equal(
    (
      await f.refused('PutRecord', { StreamName: 's', PartitionKey: 'a', Data: '', ExplicitHashKey: String(last + 1n) })
    )[0],
    'InvalidArgumentException',
  )
})

test('iterators of each type begin where they say, and end after five minutes', async (t) => {
  const { realWorld } = await import('../../../src/lib/real/world.ts')
  const world = realWorld()
  let ahead = 0
  const clock = { ...world.clock, now: () => (world.clock.now() + ahead) as ReturnType<typeof world.clock.now> }
  const f = await kinesis(t, { world: { ...world, clock } })
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 1 })
  const numbers: string[] = []
  for (const text of ['one', 'two', 'three']) {
    ahead += 1_000
    const put = await f.ok('PutRecord', { StreamName: 's', PartitionKey: 'k', Data: base64Of(text) })
    numbers.push(put.SequenceNumber)
  }
  const secondMs = parseSequenceNumber(numbers[1]!)!.timeMs
  const from = async (more: object): Promise<string[]> => {
    const at = { StreamName: 's', ShardId: 'shardId-000000000000', ...more }
    const { ShardIterator } = await f.ok('GetShardIterator', at)
    return (await f.ok('GetRecords', { ShardIterator })).Records.map(dataText)
  }
  assert.deepEqual(await from({ ShardIteratorType: 'TRIM_HORIZON' }), ['one', 'two', 'three'])
  assert.deepEqual(await from({ ShardIteratorType: 'LATEST' }), [])
  assert.deepEqual(await from({ ShardIteratorType: 'AT_SEQUENCE_NUMBER', StartingSequenceNumber: numbers[1] }), [
    'two',
    'three',
  ])
  assert.deepEqual(await from({ ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber: numbers[1] }), [
    'three',
  ])
  assert.deepEqual(await from({ ShardIteratorType: 'AT_TIMESTAMP', Timestamp: secondMs / 1_000 }), ['two', 'three'])
  const { ShardIterator } = await f.ok('GetShardIterator', {
    StreamName: 's',
    ShardId: '0',
    ShardIteratorType: 'LATEST',
  })
  ahead += 299_000
  await f.ok('GetRecords', { ShardIterator })
  ahead += 1_000
  const [type, message] = await f.refused('GetRecords', { ShardIterator })
  assert.equal(type, 'ExpiredIteratorException')
  assert.match(
    message,
    /^Iterator expired\. The iterator was created at time \w{3} \w{3} \d\d \d\d:\d\d:\d\d UTC \d{4} /,
  )
  const forged = Buffer.from(ShardIterator, 'base64')
  forged[20]! ^= 1
  assert.deepEqual(await f.refused('GetRecords', { ShardIterator: forged.toString('base64') }), [
    'InvalidArgumentException',
    'Invalid ShardIterator.',
  ])
})

test('a topic that Kafka made is a stream: each partition a shard, the ranges even', async (t) => {
  const f = await kinesis(t)
  await f.log.topics.create([{ name: 'from-kafka', partitions: 2 }])
  const batch = encodeBatch([
    { key: Buffer.from('k'), value: Buffer.from('by kafka'), timeMs: Date.now() },
    { key: Buffer.from([0xff, 0xfe]), value: null, timeMs: Date.now() },
    { key: null, value: Buffer.from('no key'), timeMs: Date.now() },
  ])
  await f.log.writer().append([{ partition: { topic: 'from-kafka', index: 1 }, batch }])
  const { Shards } = await f.ok('ListShards', { StreamName: 'from-kafka' })
  assert.deepEqual(
    Shards.map((shard: { HashKeyRange: unknown }) => shard.HashKeyRange),
    [
      { StartingHashKey: '0', EndingHashKey: String(2n ** 127n - 1n) },
      { StartingHashKey: String(2n ** 127n), EndingHashKey: String(2n ** 128n - 1n) },
    ],
  )
  const { records } = await readShard(f, 'from-kafka', 'shardId-000000000001')
  assert.deepEqual(
    records.map((record) => [record.PartitionKey, dataText(record)]),
    [
      ['k', 'by kafka'],
      ['//4=', ''],
      [undefined, 'no key'],
    ],
  )
  assert.ok(
    records.every((record, i) => i === 0 || BigInt(record.SequenceNumber) > BigInt(records[i - 1].SequenceNumber)),
  )
  assert.ok(!(await f.ok('ListStreams', {})).StreamNames.some((name: string) => name.startsWith('_millrace')))
})

test('PutRecords answers record by record: what a contract refuses fails alone', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName: 'checked', ShardCount: 2 })
  await f.contracts.change('checked', { schema: { type: 'object', required: ['id'] }, onInvalid: 'reject' })
  const Records = ['{"id":1}', 'no json', '{"id":2}'].map((text, i) => ({
    PartitionKey: `k${i}`,
    Data: base64Of(text),
  }))
  const { FailedRecordCount, Records: answers } = await f.ok('PutRecords', { StreamName: 'checked', Records })
  assert.equal(FailedRecordCount, 1)
  assert.deepEqual(
    answers.map((one: object) => Object.keys(one)[0]),
    ['ShardId', 'ErrorCode', 'ShardId'],
  )
  const read = await Promise.all(['0', '1'].map((shard) => readShard(f, 'checked', shard)))
  assert.deepEqual(read.flatMap(({ records }) => records.map(dataText)).toSorted(), ['{"id":1}', '{"id":2}'])
})

test('with limits on a shard takes a thousand records a second, and says which it did not take', async (t) => {
  const f = await kinesis(t, { settings: { kinesis: ['limits=on'] } })
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 1 })
  const Records = Array.from({ length: 500 }, () => ({ PartitionKey: 'k', Data: base64Of('x') }))
  const answers = await Promise.all(Array.from({ length: 4 }, () => f.ok('PutRecords', { StreamName: 's', Records })))
  const codes = answers.flatMap(({ Records: all }) => all.map((one: { ErrorCode?: string }) => one.ErrorCode))
  assert.ok(codes.includes('ProvisionedThroughputExceededException'))
  const { records } = await readShard(f, 's', '0')
  assert.equal(records.length, codes.filter((code) => code === undefined).length)
})

test('retention is the topic’s, tags, flags and policies are kept', async (t) => {
  const f = await kinesis(t)
  const s = { StreamName: 's' }
  await f.ok('CreateStream', { ...s, ShardCount: 1, Tags: { team: 'a' } })
  await f.ok('IncreaseStreamRetentionPeriod', { ...s, RetentionPeriodHours: 8_760 })
  assert.equal((await f.log.topics.get('s'))!.config['retention.ms'], String(8_760 * 3_600_000))
  await f.ok('DecreaseStreamRetentionPeriod', { ...s, RetentionPeriodHours: 48 })
  assert.match(
    (await f.refused('DecreaseStreamRetentionPeriod', { ...s, RetentionPeriodHours: 23 }))[1],
    /^Minimum allowed/,
  )
  assert.match(
    (await f.refused('IncreaseStreamRetentionPeriod', { ...s, RetentionPeriodHours: 47 }))[1],
    /can not be shorter/,
  )
  await f.ok('AddTagsToStream', { ...s, Tags: { more: 'b' } })
  const ResourceARN = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
  await f.ok('TagResource', { ResourceARN, Tags: { third: 'c' } })
  await f.ok('RemoveTagsFromStream', { ...s, TagKeys: ['more'] })
  assert.deepEqual((await f.ok('ListTagsForResource', { ResourceARN })).Tags, [
    { Key: 'team', Value: 'a' },
    { Key: 'third', Value: 'c' },
  ])
  await f.ok('UntagResource', { ResourceARN, TagKeys: ['third'] })
  assert.deepEqual(await f.ok('ListTagsForStream', s), { Tags: [{ Key: 'team', Value: 'a' }], HasMoreTags: false })

  await f.ok('EnableEnhancedMonitoring', { ...s, ShardLevelMetrics: ['IncomingBytes', 'IncomingRecords'] })
  const off = await f.ok('DisableEnhancedMonitoring', { ...s, ShardLevelMetrics: ['IncomingBytes'] })
  assert.deepEqual(off.CurrentShardLevelMetrics, ['IncomingBytes', 'IncomingRecords'])
  assert.deepEqual(off.DesiredShardLevelMetrics, ['IncomingRecords'])
  await f.ok('StartStreamEncryption', { ...s, EncryptionType: 'KMS', KeyId: 'alias/mine' })
  const put = await f.ok('PutRecord', { ...s, PartitionKey: 'k', Data: '' })
  assert.equal(put.EncryptionType, 'KMS')
  const { StreamDescription } = await f.ok('DescribeStream', s)
  assert.deepEqual([StreamDescription.EncryptionType, StreamDescription.KeyId], ['KMS', 'alias/mine'])
  await f.ok('StopStreamEncryption', { ...s, EncryptionType: 'KMS', KeyId: 'alias/mine' })

  await f.ok('PutResourcePolicy', { ResourceARN, Policy: '{"Version":"2012-10-17"}' })
  assert.equal((await f.ok('GetResourcePolicy', { ResourceARN })).Policy, '{"Version":"2012-10-17"}')
  await f.ok('DeleteResourcePolicy', { ResourceARN })
  assert.equal((await f.ok('GetResourcePolicy', { ResourceARN })).Policy, '{}')

  const StreamARN = ResourceARN
  await f.ok('UpdateStreamMode', { StreamARN, StreamModeDetails: { StreamMode: 'ON_DEMAND' } })
  assert.match(
    (await f.refused('UpdateShardCount', { ...s, TargetShardCount: 2, ScalingType: 'UNIFORM_SCALING' }))[1],
    /ON_DEMAND/,
  )
  await f.ok('UpdateStreamWarmThroughput', { ...s, WarmThroughputMiBps: 10 })
  await f.ok('UpdateMaxRecordSize', { StreamARN, MaxRecordSizeInKiB: 2_048 })
  const large = Buffer.alloc(2_000_000).toString('base64')
  await f.ok('PutRecord', { ...s, PartitionKey: 'k', Data: large })
  assert.equal((await f.refused('PutRecord', { ...s, Data: '' }))[0], 'ValidationException')
  await f.ok('UpdateStreamRecordDistributionStrategy', { StreamARN, RecordDistributionStrategy: 'AUTO' })
  await f.ok('PutRecord', { ...s, Data: '' })
  const { StreamDescriptionSummary: summary } = await f.ok('DescribeStreamSummary', s)
  assert.deepEqual(
    [summary.MaxRecordSizeInKiB, summary.RecordDistributionStrategy, summary.WarmThroughput.TargetMiBps],
    [2_048, 'AUTO', 10],
  )
})

test('channels: the account has a limit of none', async (t) => {
  const f = await kinesis(t)
  assert.deepEqual(await f.ok('ListChannels', {}), { ChannelSummaries: [] })
  const asked = {
    ChannelName: 'c',
    ServiceExecutionRoleARN: 'arn:aws:iam::000000000000:role/r',
    StreamConfigurationList: [{}],
  }
  assert.equal((await f.refused('CreateChannel', asked))[0], 'LimitExceededException')
  const ChannelARN = 'arn:aws:kinesis:us-east-1:000000000000:channel/c:1'
  for (const operation of ['DescribeChannel', 'DeleteChannel'])
    assert.equal((await f.refused(operation, { ChannelARN }))[0], 'ResourceNotFoundException')
})

test('model=2020: five shards share one running index, over a restart too, and positions are found by it', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'kinesis-2020-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const start = () => kinesis(t, { settings: { data: dir, kinesis: ['model=2020'] } })
  let f = await start()
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 2 })
  const put = async (n: number): Promise<[string, string]> => {
    // Turn about between the two shards.
    const ExplicitHashKey = n % 2 === 0 ? '0' : String(2n ** 128n - 1n)
    const record = { StreamName: 's', PartitionKey: 'k', ExplicitHashKey, Data: base64Of(String(n)) }
    const { ShardId, SequenceNumber } = await f.ok('PutRecord', record)
    return [ShardId, SequenceNumber]
  }
  const puts: [string, string][] = []
  for (let n = 0; n < 10; n++) puts.push(await put(n))
  await f.stop()
  f = await start()
  for (let n = 10; n < 20; n++) puts.push(await put(n))
  const indexes = puts.map(([, number]) => Number(parseSequenceNumber(number)!.index))
  assert.deepEqual(
    indexes,
    indexes.map((_, n) => indexes[0]! + n),
  )
  for (const [n, [ShardId, StartingSequenceNumber]] of puts.entries()) {
    const behind = async (ShardIteratorType: string): Promise<number[]> => {
      const { ShardIterator } = await f.ok('GetShardIterator', {
        StreamName: 's',
        ShardId,
        ShardIteratorType,
        StartingSequenceNumber,
      })
      return (await f.ok('GetRecords', { ShardIterator })).Records.map((record: never) => Number(dataText(record)))
    }
    const wanted = puts.flatMap(([shard], i) => (shard === ShardId && i >= n ? [i] : []))
    assert.deepEqual(await behind('AT_SEQUENCE_NUMBER'), wanted)
    assert.deepEqual(await behind('AFTER_SEQUENCE_NUMBER'), wanted.slice(1))
  }
})

test('a stream that somebody makes by another protocol in the same moment is in use', () => {
  const { type } = serviceError(new Fault('log.topic-exists', { topic: 't' }))
  assert.equal(type, 'ResourceInUseException')
})
