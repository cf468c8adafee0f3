/** Shards are split and merged while records are put: parents read to their end before their children, nothing is lost or out of order. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type Shard,
  ShardFinder,
  evenShards,
  hashKeys,
  isOpen,
  merge,
  openInOrder,
  scaled,
  shardId,
  split,
} from '../../../src/gateway/kinesis/shards.ts'
import { firstNumber, lastNumber } from '../../../src/gateway/kinesis/describe.ts'
import type { Clock } from '../../../src/lib/world.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { wantedShards } from '../../../src/gateway/kinesis/growth.ts'
import { aggregated } from '../../../src/wire/kinesis/aggregation.ts'
import { type Json, type KinesisCaller, type KinesisFixture, dataText, kinesis, readShard } from './fixture.ts'

/** Open shards cover every hash key once. */
function assertCover(shards: readonly Shard[]): void {
  let next = 0n
  for (const i of openInOrder(shards)) {
    assert.equal(BigInt(shards[i]!.from), next)
    assert.ok(BigInt(shards[i]!.to) >= next)
    next = BigInt(shards[i]!.to) + 1n
  }
  assert.equal(next, hashKeys)
}
test('whatever is split, merged and scaled, open shards cover every hash key once', () => {
  const step = fc.record({
    kind: fc.constantFrom('split', 'merge', 'scale'),
    place: fc.nat(1_000),
    count: fc.integer({ min: 1, max: 12 }),
  })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 8 }), (count, steps) => {
      let shards = evenShards(count, 0)
      for (const { kind, place, count: target } of steps) {
        const open = openInOrder(shards)
        const at = place % open.length
        if (kind === 'split') {
          const { from, to } = shards[open[at]!]!
          const middle = (BigInt(from) + BigInt(to)) / 2n
          if (middle > BigInt(from) + 1n) shards = split(shards, open[at]!, middle, 1)
        } else if (kind === 'merge' && open.length > 1)
          shards = merge(shards, open[at % (open.length - 1)]!, open[(at % (open.length - 1)) + 1]!, 1)
        else if (kind === 'scale') {
          shards = scaled(shards, target, 1)
          assert.deepEqual(
            openInOrder(shards).map((i) => shards[i]!.from),
            evenShards(target, 0).map(({ from }) => from),
          )
        }
        assertCover(shards)
        const finder = new ShardFinder(shards)
        for (const key of [0n, hashKeys - 1n, hashKeys / 3n]) {
          const { from, to } = shards[finder.at(key)]!
          assert.ok(BigInt(from) <= key && key <= BigInt(to))
        }
        shards.forEach(({ parent, adjacent }, i) => {
          for (const one of [parent, adjacent]) {
            if (one === undefined) continue
            assert.ok(one < i && !isOpen(shards[one]!))
            assert.ok(BigInt(firstNumber(i, shards[i]!)) > BigInt(lastNumber(one, shards[one]!)), `${one} before ${i}`)
          }
        })
      }
    }),
  )
})

/** As the KCL does: children when all their parents are read. */
async function readInOrder(f: KinesisCaller, stream: string): Promise<Json[]> {
  const { Shards } = await f.ok('ListShards', { StreamName: stream })
  const done = new Set<string>()
  const found: Json[] = []
  while (done.size < Shards.length) {
    const ready = Shards.filter(
      ({ ShardId, ParentShardId, AdjacentParentShardId }: Json) =>
        !done.has(ShardId) && [ParentShardId, AdjacentParentShardId].every((one) => one === undefined || done.has(one)),
    )
    assert.ok(ready.length > 0)
    for (const { ShardId, SequenceNumberRange } of ready) {
      const { records, children } = await readShard(f, stream, ShardId)
      if (SequenceNumberRange.EndingSequenceNumber !== undefined)
        assert.ok(children !== null && children.length > 0, `${ShardId} is closed and has no children`)
      let last = BigInt(SequenceNumberRange.StartingSequenceNumber) - 1n
      for (const record of records) {
        assert.ok(BigInt(record.SequenceNumber) > last)
        last = BigInt(record.SequenceNumber)
      }
      if (SequenceNumberRange.EndingSequenceNumber !== undefined)
        assert.ok(last < BigInt(SequenceNumberRange.EndingSequenceNumber))
      found.push(...records)
      done.add(ShardId)
    }
  }
  return found
}

test('keys stay in order over splits, merges and scaling under load', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 2 })
  const keys = 16
  const sent = new Map<string, number>()
  let over = false
  const writer = async (key: string): Promise<void> => {
    for (let n = 0; !over || n < 5; n++) {
      await f.ok('PutRecord', { StreamName: 's', PartitionKey: key, Data: Buffer.from(`${key}:${n}`) })
      sent.set(key, n + 1)
    }
  }
  const writers = Array.from({ length: keys }, (_, i) => writer(`key-${i}`))
  const numbersOf = async (): Promise<Json[]> =>
    (await f.ok('ListShards', { StreamName: 's', ShardFilter: { Type: 'AT_LATEST' } })).Shards.toSorted(
      (a: Json, b: Json) => (BigInt(a.HashKeyRange.StartingHashKey) < BigInt(b.HashKeyRange.StartingHashKey) ? -1 : 1),
    )
  const [first] = await numbersOf()
  await f.ok('SplitShard', { StreamName: 's', ShardToSplit: first.ShardId, NewStartingHashKey: String(2n ** 125n) })
  const [, second, third] = await numbersOf()
  await f.ok('MergeShards', { StreamName: 's', ShardToMerge: second.ShardId, AdjacentShardToMerge: third.ShardId })
  for (const TargetShardCount of [5, 3, 1, 4])
    await f.ok('UpdateShardCount', { StreamName: 's', TargetShardCount, ScalingType: 'UNIFORM_SCALING' })
  over = true
  await Promise.all(writers)
  const found = new Map<string, number[]>()
  for (const record of await readInOrder(f, 's')) {
    const [key = '', n] = dataText(record).split(':')
    found.set(key, [...(found.get(key) ?? []), Number(n)])
  }
  assert.equal(found.size, keys)
  for (const [key, numbers] of found)
    assert.deepEqual(
      numbers,
      Array.from({ length: sent.get(key)! }, (_, n) => n),
      key,
    )
})

test('children of children begin behind them, however soon they are made, and take records in order', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 1 })
  let last = '0'
  // Only the last hexadecimal digit of a shard stands before the index.
  const rounds = 10
  const put = { StreamName: 's', PartitionKey: 'k', ExplicitHashKey: '0' }
  for (let n = 0; n < rounds; n++) {
    for (let i = 0; i < 3 - (n % 2); i++) {
      const { SequenceNumber } = await f.ok('PutRecord', { ...put, Data: 'YQ==', SequenceNumberForOrdering: last })
      assert.ok(BigInt(SequenceNumber) > BigInt(last))
      last = SequenceNumber
    }
    const { Shards } = await f.ok('ListShards', { StreamName: 's', ShardFilter: { Type: 'AT_LATEST' } })
    const first = Shards.find((one: Json) => one.HashKeyRange.StartingHashKey === '0')
    const at = { ShardToSplit: first.ShardId, NewStartingHashKey: String(2n ** BigInt(120 - n)) }
    await f.ok('SplitShard', { StreamName: 's', ...at })
    // They are open now, not in the seconds that stand in their numbers.
    const now = { Type: 'AT_TIMESTAMP', Timestamp: Date.now() / 1_000 }
    assert.equal((await f.ok('ListShards', { StreamName: 's', ShardFilter: now })).Shards.length, n + 2)
  }
})

test('filters of shards say which were open when', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 1 })
  await new Promise((resolve) => setTimeout(resolve, 20))
  const before = Date.now() / 1_000
  await new Promise((resolve) => setTimeout(resolve, 20))
  await f.ok('SplitShard', { StreamName: 's', ShardToSplit: '0', NewStartingHashKey: '1000' })
  const by = async (ShardFilter: object): Promise<string[]> =>
    (await f.ok('ListShards', { StreamName: 's', ShardFilter })).Shards.map((one: Json) => one.ShardId.at(-1))
  assert.deepEqual(await by({ Type: 'AT_LATEST' }), ['1', '2'])
  assert.deepEqual(await by({ Type: 'AT_TRIM_HORIZON' }), ['0'])
  assert.deepEqual(await by({ Type: 'FROM_TRIM_HORIZON' }), ['0', '1', '2'])
  assert.deepEqual(await by({ Type: 'AT_TIMESTAMP', Timestamp: before }), ['0'])
  assert.deepEqual(await by({ Type: 'FROM_TIMESTAMP', Timestamp: before }), ['0', '1', '2'])
  assert.deepEqual(await by({ Type: 'FROM_TIMESTAMP', Timestamp: Date.now() / 1_000 }), ['1', '2'])
  assert.deepEqual(await by({ Type: 'AFTER_SHARD_ID', ShardId: shardId(1) }), ['2'])
  assert.equal(
    (await f.refused('SplitShard', { StreamName: 's', ShardToSplit: '0', NewStartingHashKey: '2000' }))[0],
    'ResourceInUseException',
  )
})

test('records of the producer library are cut apart, in the shard they were sent to', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 2 })
  const inside = ['a', 'b', 'c'].map((key) => ({
    partitionKey: key,
    explicitHashKey: null,
    data: Buffer.from(`of ${key}`),
  }))
  const Data = aggregated(inside)
  const last = String(hashKeys - 1n)
  const put = await f.ok('PutRecord', { StreamName: 's', PartitionKey: 'any', ExplicitHashKey: last, Data })
  const { records } = await readShard(f, 's', 'shardId-000000000001')
  assert.deepEqual(
    records.map((one) => [one.PartitionKey, dataText(one)]),
    [
      ['a', 'of a'],
      ['b', 'of b'],
      ['c', 'of c'],
    ],
  )
  assert.equal(records[0].SequenceNumber, put.SequenceNumber)
  const broken = Buffer.from(Data)
  broken[10]! ^= 1
  const { Records } = await f.ok('PutRecords', {
    StreamName: 's',
    Records: [
      { PartitionKey: 'x', ExplicitHashKey: '0', Data: broken },
      { PartitionKey: 'y', ExplicitHashKey: '0', Data },
    ],
  })
  assert.equal(Records.length, 2)
  const other = await readShard(f, 's', 'shardId-000000000000')
  assert.deepEqual(
    other.records.map((one) => one.PartitionKey),
    ['x', 'a', 'b', 'c'],
  )
  assert.deepEqual(Buffer.from(other.records[0].Data, 'base64'), broken)
})

test('a change that takes its time goes on after a restart', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'kinesis-pending-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const start = (changeTime: string): Promise<KinesisFixture> =>
    kinesis(t, { settings: { data: dir, kinesis: [`change-time=${changeTime}`] } })
  const first = await start('0ms')
  for (const StreamName of ['split', 'gone']) await first.ok('CreateStream', { StreamName, ShardCount: 1 })
  await first.stop()
  const second = await start('1500ms')
  await second.ok('CreateStream', { StreamName: 'made', ShardCount: 1 })
  await second.ok('SplitShard', { StreamName: 'split', ShardToSplit: '0', NewStartingHashKey: '1000' })
  await second.ok('PutRecord', { StreamName: 'split', PartitionKey: 'k', Data: Buffer.from('while it is split') })
  await second.ok('DeleteStream', { StreamName: 'gone' })
  const status = async (f: KinesisFixture, StreamName: string): Promise<string> => {
    const { status: code, body } = await f.call('DescribeStreamSummary', { StreamName })
    return code === 200 ? body.StreamDescriptionSummary.StreamStatus : body.__type
  }
  assert.deepEqual(await Promise.all(['made', 'split', 'gone'].map((name) => status(second, name))), [
    'CREATING',
    'UPDATING',
    'DELETING',
  ])
  await second.stop()
  const third = await start('1500ms')
  for (const [name, wanted] of [
    ['made', 'ACTIVE'],
    ['split', 'ACTIVE'],
    ['gone', 'ResourceNotFoundException'],
  ] as const)
    for (const endMs = Date.now() + 10_000; (await status(third, name)) !== wanted;) {
      assert.ok(Date.now() < endMs, `${name} is ${await status(third, name)}`)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  const { records, children } = await readShard(third, 'split', '0')
  assert.deepEqual(records.map(dataText), ['while it is split'])
  assert.equal(children?.length, 2)
})
test('an on-demand stream that has no room for twice what is put doubles; others do not', async (t) => {
  assert.deepEqual(
    [
      wantedShards(4, { bytes: 0, records: 2_000 }),
      wantedShards(4, { bytes: 0, records: 2_001 }),
      wantedShards(4, { bytes: 3 * 1024 * 1024, records: 10 }),
      wantedShards(4, { bytes: 0, records: 50_000 }),
      wantedShards(150, { bytes: 0, records: 500_000 }),
      wantedShards(200, { bytes: 0, records: 500_000 }),
    ],
    [null, 8, 8, 8, 200, null],
  )
  const world = realWorld()
  let aheadMs = 0
  const monotonic = (): number => world.clock.monotonic() + aheadMs
  const clock = Object.create(world.clock, { monotonic: { value: monotonic } }) as Clock
  const f = await kinesis(t, { world: { ...world, clock } })
  await f.ok('CreateStream', { StreamName: 'grows', StreamModeDetails: { StreamMode: 'ON_DEMAND' } })
  await f.ok('CreateStream', { StreamName: 'stays', ShardCount: 4 })
  const records = Array.from({ length: 500 }, (_, i) => ({ PartitionKey: `k${i}`, Data: Buffer.from('x') }))
  const open = async (name: string): Promise<number> =>
    (await f.ok('DescribeStreamSummary', { StreamName: name })).StreamDescriptionSummary.OpenShardCount
  for (const StreamName of ['grows', 'stays'])
    for (let i = 0; i < 12; i++) await f.ok('PutRecords', { StreamName, Records: records.slice(0, i === 0 ? 1 : 500) })
  assert.equal(await open('grows'), 4)
  // Twice these are few for a minute; of a second they would be many.
  aheadMs = 60_001
  await f.ok('PutRecords', { StreamName: 'grows', Records: records })
  assert.equal(await open('grows'), 4)
  for (let i = 0; i < 300; i++) await f.ok('PutRecords', { StreamName: 'grows', Records: records })
  aheadMs += 60_001
  await f.ok('PutRecords', { StreamName: 'grows', Records: records })
  for (let i = 0; i < 100 && (await open('grows')) === 4; i++) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(await open('grows'), 8, 'twice 150,500 records a minute are more than four shards take')
  assert.equal(await open('stays'), 4)
})
