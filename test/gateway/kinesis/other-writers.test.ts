/** Others write to the partitions of a stream too: what a reader that follows shards gets of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { partitionOf } from '../../../src/gateway/mqtt/appender.ts'
import { LogTopic } from '../../../src/gateway/mqtt/log-topics.ts'
import { Fault } from '../../../src/lib/fault.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { RecordInput } from '../../../src/log/batch.ts'
import type { TopicInfo } from '../../../src/log/log.ts'
import { Placing } from '../../../src/log/placing.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { batch } from '../../log/local/support.ts'
import { type Json, type KinesisFixture, dataText, kinesis } from './fixture.ts'

const StreamName = 's'
const streamArn = `arn:aws:kinesis:us-east-1:000000000000:stream/${StreamName}`
const idOf = (shard: number): string => `shardId-${String(shard).padStart(12, '0')}`
async function write(log: LocalLog, index: number, text: string): Promise<void> {
  const entry = { partition: { topic: StreamName, index }, batch: batch([text]) }
  const [appended] = await log.writer().append([entry])
  assert.ok(appended !== undefined && !('fault' in appended))
}
async function iterator(f: KinesisFixture, shard: number): Promise<string> {
  const at = { StreamName, ShardId: idOf(shard), ShardIteratorType: 'TRIM_HORIZON' }
  return (await f.ok('GetShardIterator', at)).ShardIterator
}
/** Until nothing more comes. */
async function readOn(f: KinesisFixture, from: string): Promise<{ texts: string[]; next: string | null }> {
  const texts: string[] = []
  for (let next = from; ;) {
    const found = await f.ok('GetRecords', { ShardIterator: next })
    texts.push(...found.Records.map(dataText))
    if (found.NextShardIterator === undefined || found.Records.length === 0)
      return { texts, next: found.NextShardIterator ?? null }
    next = found.NextShardIterator
  }
}
const split = (f: KinesisFixture, shard: number, exponent: bigint): Promise<unknown> =>
  f.ok('SplitShard', { StreamName, ShardToSplit: idOf(shard), NewStartingHashKey: String(2n ** exponent) })
const listed = async (f: KinesisFixture, filter?: object): Promise<Json[]> =>
  (await f.ok('ListShards', { StreamName, ...(filter === undefined ? {} : { ShardFilter: filter }) })).Shards

test('partitions that Kafka adds to a stream with shards of its own are listed, and read without end', async (t) => {
  const f = await kinesis(t)
  const log = f.local!
  await f.ok('CreateStream', { StreamName, ShardCount: 1 })
  await split(f, 0, 127n)
  await log.topics.alter(StreamName, { partitions: 4 })
  const listsIt = async (): Promise<void> => {
    for (const filter of [
      undefined,
      { Type: 'AT_LATEST' },
      { Type: 'AT_TRIM_HORIZON' },
      { Type: 'FROM_TIMESTAMP', Timestamp: Date.now() / 1_000 },
    ]) {
      const found = (await listed(f, filter)).find(({ ShardId }) => ShardId === idOf(3))
      assert.equal(found.SequenceNumberRange.EndingSequenceNumber, undefined)
    }
  }
  await listsIt()
  await write(log, 3, 'one')
  let { texts, next } = await readOn(f, await iterator(f, 3))
  assert.deepEqual(texts, ['one'])
  // Also when shards are changed again.
  await split(f, 1, 120n)
  await listsIt()
  assert.equal((await f.ok('DescribeStreamSummary', { StreamName })).StreamDescriptionSummary.OpenShardCount, 3)
  await write(log, 3, 'two')
  ;({ texts, next } = await readOn(f, next!))
  assert.deepEqual(texts, ['two'])
  assert.ok(next !== null)
  // Kinesis puts nothing there.
  for (let i = 0; i < 50; i++) await f.ok('PutRecord', { StreamName, PartitionKey: `k${i}`, Data: 'YQ==' })
  assert.deepEqual((await readOn(f, next)).texts, [])
})

test('a shard that was closed while others had a transaction open in it ends when that has ended', async (t) => {
  const f = await kinesis(t)
  const log = f.local!
  await f.ok('CreateStream', { StreamName, ShardCount: 1 })
  const partition = { topic: StreamName, index: 0 }
  const identity = await log.transactions.init({ transactionalId: 'x', timeoutMs: 60_000, expected: null })
  const me = { transactionalId: 'x', ...identity }
  await log.transactions.addPartitions(me, [partition], false)
  const records = batch(['in the transaction'], { ...identity, sequence: 0, transactional: true })
  await log.produce({ acks: 'all', transactionalId: 'x', joins: false, entries: [{ partition, records }] })
  await split(f, 0, 127n)
  const before = await readOn(f, await iterator(f, 0))
  assert.deepEqual(before.texts, [])
  assert.ok(before.next !== null, 'it has not ended')
  await log.transactions.end(me, { commit: true, bumps: false })
  assert.deepEqual(await readOn(f, before.next), { texts: ['in the transaction'], next: null })
})

test('what others write to a closed shard is there for who reads it later, and for queues; who has left does not see it', async (t) => {
  const f = await kinesis(t)
  const log = f.local!
  await f.ok('CreateStream', { StreamName, ShardCount: 1 })
  await f.ok('CreateQueue', {
    QueueName: 'q',
    StreamConfigurationList: [{ StreamARN: streamArn, StartingPosition: { Type: 'TRIM_HORIZON' } }],
  })
  await f.ok('PutRecord', { StreamName, PartitionKey: 'k', Data: Buffer.from('early') })
  const slow = await iterator(f, 0)
  await split(f, 0, 127n)
  assert.deepEqual(await readOn(f, await iterator(f, 0)), { texts: ['early'], next: null })
  await listed(f)
  assert.ok(!f.said.some((one) => one.includes('closed shard')))
  await write(log, 0, 'late')
  assert.deepEqual(await readOn(f, slow), { texts: ['early', 'late'], next: null })
  // It is said, once.
  for (let i = 0; i < 2; i++) await listed(f)
  const said = f.said.filter((one) => one.includes('closed shard'))
  assert.deepEqual([said.length, said[0]?.includes(`"shard":"${idOf(0)}","records":1`)], [1, true])
  const QueueARN = 'arn:aws:kinesis:us-east-1:000000000000:queue/q'
  const { QueueRecords } = await f.ok('ReceiveQueueRecords', { QueueARN, WaitTimeSeconds: 1 })
  assert.deepEqual(QueueRecords.map(dataText), ['early', 'late'])
})

test('our own writers put nothing into closed shards: who follows shards gets all of it, of each key in order', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName, ShardCount: 3 })
  const placing = new Placing({ world: realWorld(), log: f.log, commits: f.commits })
  let made = 0
  const info = (): TopicInfo => f.local!.catalog.byName(StreamName)!
  const write = async (): Promise<number[]> => {
    const topic = info()
    const record = (key: string | null): RecordInput => ({
      key: key === null ? null : Buffer.from(key),
      value: Buffer.from(`${key} ${made++}`),
      timeMs: Date.now(),
    })
    const records = Array.from({ length: 60 }, (_, i) => record(i % 10 === 0 ? null : `k${i % 7}`))
    const placed = await placing.placeEach(
      records.map((one) => ({ topic, partition: null, record: one })),
      'all',
    )
    const values = Array.from({ length: 20 }, (_, i) => `('s${i}', 's${i} ${made++}')`)
    await f.engine.run(`INSERT INTO written VALUES ${values.join(', ')}`)
    return placed.map((one) => (one instanceof Fault ? assert.fail(one.message) : one.partition))
  }
  await f.engine.run(`CREATE STREAM written (k text, v text) WITH (topic = '${StreamName}', key = 'k')`)
  const left = new Map<number, string>()
  const texts: string[] = []
  // A reader as the client library is one: it leaves a shard at its end, and goes on with those that came of it.
  const follow = async (): Promise<void> => {
    const seen = new Set(left.keys())
    for (const { ShardId } of await listed(f)) {
      const shard = Number(ShardId.slice('shardId-'.length))
      if (!seen.has(shard)) left.set(shard, await iterator(f, shard))
    }
    for (const [shard, from] of left) {
      if (from === '') continue
      const found = await readOn(f, from)
      texts.push(...found.texts)
      left.set(shard, found.next ?? '')
    }
  }
  await write()
  await follow()
  await split(f, 0, 126n)
  await follow()
  assert.ok(!(await write()).includes(0))
  await follow()
  await f.ok('MergeShards', { StreamName, ShardToMerge: idOf(1), AdjacentShardToMerge: idOf(2) })
  await follow()
  await write()
  await f.ok('UpdateShardCount', { StreamName, TargetShardCount: 4, ScalingType: 'UNIFORM_SCALING' })
  await follow()
  const closed = new Set<number>(
    (await listed(f)).flatMap(({ ShardId, SequenceNumberRange }: Json) =>
      SequenceNumberRange.EndingSequenceNumber === undefined ? [] : [Number(ShardId.slice('shardId-'.length))],
    ),
  )
  assert.ok(closed.size >= 3)
  for (const partition of await write()) assert.ok(!closed.has(partition))
  const mqtt = new LogTopic(info())
  for (let i = 0; i < 200; i++)
    assert.ok(!closed.has(partitionOf(mqtt, { key: Buffer.from(`m${i}`), value: null, timeMs: 0 }).index))
  await follow()
  assert.equal(texts.length, made)
  const byKey = Map.groupBy(
    texts.map((text) => /(\w+) (\d+)/.exec(text)!),
    ([, key]) => key!,
  )
  for (const [key, of] of byKey) {
    const numbers = of.map(([, , number]) => Number(number))
    if (key !== 'null')
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
        key,
      )
  }
})
