/** What goes on when records are refused for want of space, and what is refused when there is hardly any left. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { limits } from '../../../src/lib/limits.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { base64Of, dataText, kinesis, readShard } from './fixture.ts'

/** The guard of the disk asks again after this. */
const askedAgainMs = 400
const roomBytes = 1024 * 1024 * 1024
const StreamName = 's'
const StreamARN = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
const QueueARN = 'arn:aws:kinesis:us-east-1:000000000000:queue/q'

test('a full disk refuses by itself, readers go on for longer, and all goes on when there is room', async (t) => {
  let free = roomBytes
  const disk = memoryDisk({ free: () => free })
  const f = await kinesis(t, { world: { ...realWorld(), disk }, settings: { data: 'data' } })
  await f.ok('CreateStream', { StreamName, ShardCount: 1 })
  await f.ok('CreateStream', { StreamName: 'other', ShardCount: 1 })
  await f.ok('CreateQueue', {
    QueueName: 'q',
    StreamConfigurationList: [{ StreamARN, StartingPosition: { Type: 'TRIM_HORIZON' } }],
  })
  const put = async (text: string): Promise<unknown> => {
    const Records = [{ PartitionKey: 'k', Data: base64Of(text) }]
    return (await f.ok('PutRecords', { StreamName, Records })).Records[0].ErrorCode ?? null
  }
  const half = { ShardToSplit: '0', NewStartingHashKey: String(2n ** 127n) }
  const status = async (operation: string, input: object): Promise<number> => (await f.call(operation, input)).status
  assert.equal(await put('one'), null)

  free = limits.diskReserveBytes - 1
  await sleep(askedAgainMs)
  assert.equal(await put('two'), 'InternalFailure')
  assert.equal(await status('PutRecord', { StreamName, PartitionKey: 'k', Data: base64Of('two') }), 503)
  const [received] = (await f.ok('ReceiveQueueRecords', { QueueARN, WaitTimeSeconds: 1 })).QueueRecords
  const Entries = [{ ReceiptHandle: received.ReceiptHandle }]
  assert.equal((await f.ok('AcknowledgeQueueRecords', { QueueARN, Entries })).Successful.length, 1)
  await f.ok('RegisterStreamConsumer', { StreamARN, ConsumerName: 'c' })
  // It makes room.
  await f.ok('DeleteStream', { StreamName: 'other' })

  free = 0
  await sleep(askedAgainMs)
  assert.equal(await status('RegisterStreamConsumer', { StreamARN, ConsumerName: 'd' }), 503)
  assert.equal(await status('SplitShard', { StreamName, ...half }), 503)
  assert.equal((await f.ok('ListShards', { StreamName })).Shards.length, 1)
  assert.deepEqual((await readShard(f, StreamName, '0')).records.map(dataText), ['one'])

  free = roomBytes
  await sleep(askedAgainMs)
  assert.equal(await put('two'), null)
  await f.ok('RegisterStreamConsumer', { StreamARN, ConsumerName: 'd' })
  await f.ok('SplitShard', { StreamName, ...half })
  assert.equal((await f.ok('ListShards', { StreamName })).Shards.length, 3)
})
