/** The kinesis connector beside the Kinesis gateway of another Millrace of this process; the AWS SDK is what it stands on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as sdk from '@aws-sdk/client-kinesis'
import { aggregated } from '../../src/wire/kinesis/aggregation.ts'
import type { Running } from '../../src/node/millrace.ts'
import { readAll, text } from './fixture.ts'
import { opened, plain, put, until } from './millraces.ts'

const account = { region: 'eu-central-1', 'access.key.id': 'AKID', 'secret.access.key': 'not-a-secret-here' }
const settingsOf = (running: Running): Record<string, string> => ({
  ...account,
  endpoint: `http://${running.listening().kinesis!}`,
})
async function service(stack: AsyncDisposableStack): Promise<{ there: Running; client: sdk.KinesisClient }> {
  const there = await opened(stack, 'kinesis')
  const client = new sdk.KinesisClient({
    region: account.region,
    endpoint: settingsOf(there)['endpoint']!,
    credentials: { accessKeyId: 'AKID', secretAccessKey: account['secret.access.key'] },
  })
  stack.defer(() => client.destroy())
  return { there, client }
}
async function active(client: sdk.KinesisClient, StreamName: string): Promise<void> {
  await until('the stream is active', async () => {
    const { StreamDescriptionSummary: of } = await client.send(new sdk.DescribeStreamSummaryCommand({ StreamName }))
    return of?.StreamStatus === 'ACTIVE'
  })
}
const send = (client: sdk.KinesisClient, StreamName: string, from: number, count: number) =>
  client.send(
    new sdk.PutRecordsCommand({
      StreamName,
      Records: Array.from({ length: count }, (_, i) => ({
        PartitionKey: `k${(from + i) % 10}`,
        Data: Buffer.from(String(from + i)),
      })),
    }),
  )
/** Of each key in the order of the topic. */
async function byKey(running: Running, topic: string): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>()
  for (const { key, value } of await readAll(running.log, topic))
    found.set(text(key), [...(found.get(text(key)) ?? []), Number(text(value))])
  return found
}

test('a source takes all of a stream once, in the order of its keys, over splits, merges and pauses', async () => {
  await using stack = new AsyncDisposableStack()
  const { there, client } = await service(stack)
  const here = await opened(stack, 'kafka')
  await client.send(new sdk.CreateStreamCommand({ StreamName: 'orders', ShardCount: 2 }))
  await active(client, 'orders')
  await send(client, 'orders', 0, 200)
  const settings = { ...settingsOf(there), stream: 'orders', into: 'west.{topic}', poll: '100ms', refresh: '300ms' }
  await here.connectors.create({ name: 'in', kind: 'kinesis', direction: 'source', settings })
  const { Shards = [] } = await client.send(new sdk.ListShardsCommand({ StreamName: 'orders' }))
  const [first, second] = Shards
  const range = first!.HashKeyRange!
  const NewStartingHashKey = String((BigInt(range.StartingHashKey!) + BigInt(range.EndingHashKey!)) / 2n)
  await client.send(
    new sdk.SplitShardCommand({ StreamName: 'orders', ShardToSplit: first!.ShardId!, NewStartingHashKey }),
  )
  await active(client, 'orders')
  await send(client, 'orders', 200, 200)
  await here.connectors.alter('in', { paused: true })
  const after = (await client.send(new sdk.ListShardsCommand({ StreamName: 'orders' }))).Shards!
  const child = after.filter(({ ParentShardId }) => ParentShardId === first!.ShardId).at(-1)!
  await client.send(
    new sdk.MergeShardsCommand({
      StreamName: 'orders',
      ShardToMerge: child.ShardId!,
      AdjacentShardToMerge: second!.ShardId!,
    }),
  )
  await active(client, 'orders')
  await send(client, 'orders', 400, 200)
  await here.connectors.alter('in', { paused: false })
  await until('all came', async () => (await plain(here, 'west.orders')).length >= 600)
  await new Promise((resolve) => setTimeout(resolve, 500))
  const wanted = Array.from({ length: 10 }, (_, k) => [`k${k}`, Array.from({ length: 60 }, (_one, i) => i * 10 + k)])
  assert.deepEqual([...(await byKey(here, 'west.orders'))].toSorted(), wanted)
  const info = (await here.connectors.get('in'))!
  assert.deepEqual([info.status, info.fault, info.settings['secret.access.key']], ['running', null, '…'])
})

test('from latest it leaves out what was there; records that were put together come apart', async () => {
  await using stack = new AsyncDisposableStack()
  const { there, client } = await service(stack)
  const here = await opened(stack, 'kafka')
  await client.send(new sdk.CreateStreamCommand({ StreamName: 's', ShardCount: 1 }))
  await active(client, 's')
  await send(client, 's', 0, 5)
  const settings = { ...settingsOf(there), stream: 's', start: 'latest', poll: '100ms' }
  await here.connectors.create({ name: 'in', kind: 'kinesis', direction: 'source', settings })
  await until('it has begun', async () => (await readAll(here.log, '_millrace_connect')).length > 0)
  const Data = aggregated([
    { partitionKey: 'a', explicitHashKey: null, data: Buffer.from('1') },
    { partitionKey: 'b', explicitHashKey: null, data: Buffer.from('2') },
  ])
  await client.send(new sdk.PutRecordCommand({ StreamName: 's', PartitionKey: 'x', Data }))
  await until('they came', async () => (await plain(here, 's')).length === 2)
  const records = await readAll(here.log, 's')
  assert.deepEqual(
    records.map(({ key, value }) => [text(key), text(value)]),
    [
      ['a', '1'],
      ['b', '2'],
    ],
  )
})

test('a sink puts what is there and what comes; what a stream can never take is kept with the reason', async () => {
  await using stack = new AsyncDisposableStack()
  const { there, client } = await service(stack)
  const here = await opened(stack, 'kafka')
  await client.send(new sdk.CreateStreamCommand({ StreamName: 'copy-totals', ShardCount: 2 }))
  await active(client, 'copy-totals')
  await here.log.topics.create([{ name: 'totals', partitions: 1 }])
  const record = (key: string | null, value: string) => ({
    key: key === null ? null : Buffer.from(key),
    value: Buffer.from(value),
    timeMs: 1_700_000_000_000,
  })
  await put(
    here,
    'totals',
    0,
    ...Array.from({ length: 1_200 }, (_, i) => record(i % 3 === 0 ? null : `k${i % 7}`, String(i))),
  )
  await put(here, 'totals', 0, record('x'.repeat(300), 'long'))
  const settings = { ...settingsOf(there), topics: 'totals', stream: 'copy-{topic}' }
  await here.connectors.create({ name: 'out', kind: 'kinesis', direction: 'sink', settings })
  const values = async (): Promise<string[]> =>
    (await plain(there, 'copy-totals')).toSorted((a, b) => Number(a) - Number(b))
  await until('all are there', async () => (await values()).length === 1_200)
  await put(here, 'totals', 0, record('k', '1200'))
  await until('the last is there', async () => (await values()).length === 1_201)
  assert.deepEqual(
    await values(),
    Array.from({ length: 1_201 }, (_, i) => String(i)),
  )
  for (const numbers of [...(await byKey(there, 'copy-totals'))]
    .filter(([key]) => /^k\d$/.test(key))
    .map(([, of]) => of))
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    )
  await until('it is noted', async () => (await here.connectors.get('out'))!.lag === 0)
  assert.deepEqual(await plain(here, 'out.dlq'), ['long'])
})

test('records without keys stay so, and large ones go where a stream takes them', async () => {
  await using stack = new AsyncDisposableStack()
  const { there, client } = await service(stack)
  const here = await opened(stack, 'kafka')
  await there.log.topics.create([{ name: 'keyless', partitions: 1 }])
  await put(there, 'keyless', 0, { key: null, value: Buffer.from('one'), timeMs: 1_700_000_000_000 })
  const source = { ...settingsOf(there), stream: 'keyless', poll: '100ms' }
  await here.connectors.create({ name: 'in', kind: 'kinesis', direction: 'source', settings: source })
  await until('it came', async () => (await plain(here, 'keyless')).length === 1)
  assert.equal((await readAll(here.log, 'keyless'))[0]!.key, null)

  await client.send(new sdk.CreateStreamCommand({ StreamName: 'large', ShardCount: 1, MaxRecordSizeInKiB: 2_048 }))
  await active(client, 'large')
  const config = { 'max.message.bytes': String(4 * 1024 * 1024) }
  await here.log.topics.create([{ name: 'large', partitions: 1, config }])
  const record = (mebibytes: number) => ({
    key: Buffer.from(`${mebibytes}`),
    value: Buffer.alloc(mebibytes * 1024 * 1024 - 1, 'x'),
    timeMs: 1_700_000_000_000,
  })
  for (const mebibytes of [3, 2, 1]) await put(here, 'large', 0, record(mebibytes))
  const sink = { ...settingsOf(there), topics: 'large' }
  await here.connectors.create({ name: 'out', kind: 'kinesis', direction: 'sink', settings: sink })
  await until('those that it takes came', async () => (await plain(there, 'large')).length === 2)
  assert.deepEqual(
    (await readAll(there.log, 'large')).map(({ key }) => text(key)),
    ['2', '1'],
  )
  await until('the other is kept', async () => (await plain(here, 'out.dlq')).length === 1)
})

test('a stream that is not there is a fault that stays; a package that is not there names the way to it', async () => {
  await using stack = new AsyncDisposableStack()
  const { there } = await service(stack)
  const here = await opened(stack, 'kafka')
  const settings = { ...settingsOf(there), stream: 'nothing' }
  await here.connectors.create({ name: 'in', kind: 'kinesis', direction: 'source', settings })
  await until('it says so', async () => (await here.connectors.get('in'))!.status === 'failed')
  const { fault, restartsAt } = (await here.connectors.get('in'))!
  assert.deepEqual([fault?.code, restartsAt], ['connect.refused', null])
  assert.match(fault?.message ?? '', /ResourceNotFoundException/)
})
