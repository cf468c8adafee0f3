/** Killed again and again: what was answered is there, as it was answered, and sequence numbers go on. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Json, type KinesisCaller, dataText, kinesisCaller, readShard } from '../gateway/kinesis/fixture.ts'
import { type Millrace, startMillrace } from './setup/index.ts'

const data = mkdtempSync(join(tmpdir(), 'kinesis-crash-'))
after(() => rmSync(data, { recursive: true, force: true }))
const lives = process.env['MILLRACE_QUICK'] === '1' ? 3 : 6
const keys = 8
const streamArn = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
const queueArn = 'arn:aws:kinesis:us-east-1:000000000000:queue/q'

async function start(): Promise<{ millrace: Millrace; f: KinesisCaller }> {
  const millrace = await startMillrace({ data, args: ['--listen', 'kinesis=127.0.0.1:0', '--workers', '0'] })
  return { millrace, f: kinesisCaller(Number(millrace.listen['kinesis']!.split(':').at(-1))) }
}
interface Acknowledged {
  readonly shard: string
  readonly number: string
}

test('nothing that was answered is lost over kills', { timeout: 300_000 }, async () => {
  let { millrace, f } = await start()
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 2, Tags: { team: 'a' } })
  await f.ok('RegisterStreamConsumer', { StreamARN: streamArn, ConsumerName: 'c' })
  const start0 = { StreamARN: streamArn, StartingPosition: { Type: 'TRIM_HORIZON' } }
  await f.ok('CreateQueue', { QueueName: 'q', StreamConfigurationList: [start0] })
  const acknowledged = new Map<string, Acknowledged>()
  const lastOf = new Map<string, number>()
  const accepted = new Set<string>()
  let shardsSaid: Json[] = []
  let iterator: string | null = null
  let serial = 0
  for (let life = 0; life < lives; life++) {
    let dead = false
    const writers = Array.from({ length: keys }, async (_, key) => {
      while (!dead) {
        const text = `k${key}:${serial++}`
        const put = { StreamName: 's', PartitionKey: `k${key}`, Data: Buffer.from(text) }
        const answer = await f.call('PutRecord', put).catch(() => null)
        if (answer?.status !== 200) continue
        const { ShardId: shard, SequenceNumber: number } = answer.body
        acknowledged.set(text, { shard, number })
        lastOf.set(`k${key}`, Number(text.split(':')[1]))
      }
    })
    const changer = (async () => {
      for (let count = 3; !dead; count = count === 3 ? 2 : 3) {
        const asked = { StreamName: 's', TargetShardCount: count, ScalingType: 'UNIFORM_SCALING' }
        const answer = await f.call('UpdateShardCount', asked).catch(() => null)
        if (answer?.status === 200) {
          const listed = await f.call('ListShards', { StreamName: 's' }).catch(() => null)
          if (listed?.status === 200) shardsSaid = listed.body.Shards
        }
        await sleep(60)
      }
    })()
    const worker = (async () => {
      while (!dead) {
        const found = await f.call('ReceiveQueueRecords', { QueueARN: queueArn, WaitTimeSeconds: 1 }).catch(() => null)
        const records: Json[] = found?.status === 200 ? found.body.QueueRecords : []
        if (records.length === 0) continue
        const Entries = records.map(({ ReceiptHandle }) => ({ ReceiptHandle }))
        const done = await f.call('AcknowledgeQueueRecords', { QueueARN: queueArn, Entries }).catch(() => null)
        if (done?.status !== 200) continue
        const handles = new Set(done.body.Successful.map((one: Json) => one.ReceiptHandle))
        for (const record of records) {
          if (!handles.has(record.ReceiptHandle)) continue
          assert.ok(!accepted.has(dataText(record)), `${dataText(record)} was received again after it was acknowledged`)
          accepted.add(dataText(record))
        }
      }
    })()
    await sleep(700 + life * 150)
    const at = await f.ok('GetShardIterator', { StreamName: 's', ShardId: '0', ShardIteratorType: 'TRIM_HORIZON' })
    iterator = at.ShardIterator
    dead = true
    await millrace.kill('SIGKILL')
    await Promise.all([...writers, changer, worker])
    ;({ millrace, f } = await start())

    // Iterators are good over a restart.
    await f.ok('GetRecords', { ShardIterator: iterator! })
    assert.deepEqual((await f.ok('ListTagsForStream', { StreamName: 's' })).Tags, [{ Key: 'team', Value: 'a' }])
    assert.equal((await f.ok('ListStreamConsumers', { StreamARN: streamArn })).Consumers.length, 1)
    const { Shards } = await f.ok('ListShards', { StreamName: 's' })
    // What was said of shards holds: there may be more, and open ones may be closed.
    for (const said of shardsSaid) {
      const now = Shards.find((one: Json) => one.ShardId === said.ShardId)
      assert.deepEqual(now.HashKeyRange, said.HashKeyRange)
      assert.equal(now.SequenceNumberRange.StartingSequenceNumber, said.SequenceNumberRange.StartingSequenceNumber)
    }
    const stored = new Map<string, Acknowledged>()
    const orders = new Map<string, number[]>()
    for (const { ShardId: shard } of Shards)
      for (const record of (await readShard(f, 's', shard)).records) {
        const text = dataText(record)
        stored.set(text, { shard, number: record.SequenceNumber })
        const [key = '', n] = text.split(':')
        orders.set(`${shard} ${key}`, [...(orders.get(`${shard} ${key}`) ?? []), Number(n)])
      }
    for (const [text, where] of acknowledged) assert.deepEqual(stored.get(text), where, text)
    for (const [where, numbers] of orders)
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
        where,
      )
    const highest = new Map<string, bigint>()
    for (const { shard, number } of stored.values())
      if (BigInt(number) > (highest.get(shard) ?? 0n)) highest.set(shard, BigInt(number))
    const next = await f.ok('PutRecord', { StreamName: 's', PartitionKey: 'k0', Data: Buffer.from(`k0:${serial++}`) })
    assert.ok(BigInt(next.SequenceNumber) > (highest.get(next.ShardId) ?? 0n))
  }
  assert.ok(acknowledged.size > lives * 20, `${acknowledged.size} records`)
  assert.ok(accepted.size > 0)
  await millrace.stop()
})
