/** The kafka connector between two Millraces of this process, over its own protocol and real sockets. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../../src/lib/fault.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { type RecordInput, encodeBatch } from '../../src/log/batch.ts'
import { openClusterClient } from '../../src/log/cluster/client.ts'
import type { Running } from '../../src/node/millrace.ts'
import { readAll, text } from './fixture.ts'
import { opened, plain, put, until } from './millraces.ts'

const brokersOf = (running: Running): string => running.listening().kafka!
const record = (key: string | null, value: string, timeMs = 1_700_000_000_000): RecordInput => ({
  key: key === null ? null : Buffer.from(key),
  value: Buffer.from(value),
  headers: [
    ['trace', Buffer.from('1')],
    ['empty', null],
  ],
  timeMs,
})

test('a source keeps partitions, keys, headers and times, and finds topics and partitions that come later', async () => {
  await using stack = new AsyncDisposableStack()
  const [there, here] = [await opened(stack, 'kafka'), await opened(stack, 'kafka')]
  await there.log.topics.create([{ name: 'orders', partitions: 3 }])
  for (let i = 0; i < 300; i++) await put(there, 'orders', i % 3, record(`k${i}`, `v${i}`, 1_700_000_000_000 + i))
  await here.connectors.create({
    name: 'west',
    kind: 'kafka',
    direction: 'source',
    settings: { brokers: brokersOf(there), 'topics.pattern': 'o.*', into: 'west.{topic}', refresh: '200ms' },
  })
  await until('all came', async () => (await plain(here, 'west.orders')).length === 300)
  assert.equal((await here.log.topics.get('west.orders'))?.partitions, 3)
  const [theirs, ours] = [await readAll(there.log, 'orders'), await readAll(here.log, 'west.orders')]
  const bare = (all: typeof ours) =>
    all.map(({ key, value, headers, timeMs }) => [
      text(key),
      text(value),
      headers.map(([n, v]) => [n, v && text(v)]),
      timeMs,
    ])
  assert.deepEqual(bare(ours), bare(theirs))

  await there.log.topics.create([{ name: 'other', partitions: 1 }])
  await put(there, 'other', 0, record(null, 'alone'))
  await there.log.topics.alter('orders', { partitions: 4 })
  await put(there, 'orders', 3, record('x', 'fourth'))
  await until('later ones came', async () => {
    const fourth = await plain(here, 'west.orders')
    return fourth.includes('fourth') && (await plain(here, 'west.other')).length === 1
  })
  const info = (await here.connectors.get('west'))!
  assert.deepEqual([info.status, info.records, info.lag, info.fault], ['running', 302, 0, null])
})

test('started from latest it leaves out what was there, and takes all of what comes later', async () => {
  await using stack = new AsyncDisposableStack()
  const [there, here] = [await opened(stack, 'kafka'), await opened(stack, 'kafka')]
  await there.log.topics.create([{ name: 'orders', partitions: 1 }])
  await put(there, 'orders', 0, record('a', 'old'))
  const settings = { brokers: brokersOf(there), 'topics.pattern': 'o.*', start: 'latest', refresh: '100ms' }
  await here.connectors.create({ name: 'west', kind: 'kafka', direction: 'source', settings })
  await until('it has begun', async () => (await here.log.topics.get('orders')) !== null)
  await sleep(300)
  await here.connectors.alter('west', { paused: true })
  await put(there, 'orders', 0, record('a', 'new'))
  await there.log.topics.create([{ name: 'o2', partitions: 1 }])
  await put(there, 'o2', 0, record('a', 'whole'))
  await here.connectors.alter('west', { paused: false })
  await until(
    'new ones came',
    async () => (await plain(here, 'o2')).length > 0 && (await plain(here, 'orders')).length > 0,
  )
  assert.deepEqual([await plain(here, 'orders'), await plain(here, 'o2')], [['new'], ['whole']])
})

for (const delivery of ['exactly-once', 'at-least-once'])
  test(`a sink carries out, ${delivery}, and goes on where it was`, async () => {
    await using stack = new AsyncDisposableStack()
    const [there, here] = [await opened(stack, 'kafka'), await opened(stack, 'kafka')]
    await here.log.topics.create([{ name: 'totals', partitions: 2 }])
    for (let i = 0; i < 100; i++) await put(here, 'totals', i % 2, record(`k${i}`, `v${i}`, 1_700_000_000_000 + i))
    await here.connectors.create({
      name: 'out',
      kind: 'kafka',
      direction: 'sink',
      settings: { brokers: brokersOf(there), topics: 'totals', into: 'copy-{topic}', delivery },
    })
    await until('all are there', async () => (await plain(there, 'copy-totals')).length === 100)
    await here.connectors.alter('out', { settings: { 'restart.delay': '2s' } })
    await put(here, 'totals', 1, record('k', 'last'))
    await until('the last is there', async () => (await plain(there, 'copy-totals')).includes('last'))
    const bare = async (of: Running, topic: string) =>
      (await readAll(of.log, topic)).map(({ key, value, timeMs, headers }) => [
        text(key),
        text(value),
        timeMs,
        headers.length,
      ])
    assert.deepEqual(await bare(there, 'copy-totals'), await bare(here, 'totals'))
    await until('nothing is left', async () => (await here.connectors.get('out'))!.lag === 0)
  })

test('what the sink has written, and did not get to note here, it does not write again', async () => {
  await using stack = new AsyncDisposableStack()
  const [there, here] = [await opened(stack, 'kafka'), await opened(stack, 'kafka')]
  await here.log.topics.create([{ name: 'totals', partitions: 1 }])
  await put(here, 'totals', 0, record('a', '1'), record('b', '2'))
  const out = { name: 'out', kind: 'kafka', direction: 'sink' } as const
  const settings = { brokers: brokersOf(there), topics: 'totals' }
  await here.connectors.create({ ...out, settings })
  await until('both are there', async () => (await plain(there, 'totals')).length === 2)
  await until('it is noted', async () => (await here.log.groups.positions('_millrace_connector.out')).length > 0)
  await here.connectors.alter('out', { paused: true })
  // As a crash between the two commits leaves it.
  const behind = (await here.log.groups.positions('_millrace_connector.out')).map((at) => ({
    ...at,
    offset: 0 as never,
  }))
  await here.log.groups.reset('_millrace_connector.out', behind)
  await put(here, 'totals', 0, record('c', '3'))
  await here.connectors.alter('out', { paused: false })
  await until('the third is there', async () => (await plain(there, 'totals')).length >= 3)
  await sleep(300)
  assert.deepEqual(await plain(there, 'totals'), ['1', '2', '3'])
})

test('another start of the same sink fences the first: what that one still writes is refused', async () => {
  await using stack = new AsyncDisposableStack()
  const there = await opened(stack, 'kafka')
  await there.log.topics.create([{ name: 'totals', partitions: 1 }])
  const [host = '', port] = brokersOf(there).split(':')
  const client = await openClusterClient({ world: realWorld(), brokers: [{ host, port: Number(port) }] })
  stack.defer(() => client.close())
  const entry = (value: string) => ({
    partition: { topic: 'totals', index: 0 },
    batch: encodeBatch([record('a', value)]),
  })
  const first = (await client.owner('millrace.connect.x')).begin()
  await first.append([entry('zombie')])
  const second = (await client.owner('millrace.connect.x')).begin()
  await second.append([entry('heir')])
  assert.equal(await second.commit([]), 'committed')
  assert.equal(await first.commit([]), 'retry')
  assert.deepEqual(await plain(there, 'totals'), ['heir'])
})

test('a broker that is away is a fault that says so, and passes; a mechanism that is refused does not', async () => {
  await using stack = new AsyncDisposableStack()
  const here = await opened(stack, 'kafka')
  const settings = { brokers: '127.0.0.1:9', topics: 'orders' }
  for (const wrong of [
    { ...settings, brokers: 'nowhere' },
    { ...settings, into: '_millrace_{topic}' },
    { ...settings, 'sasl.mechanism': 'PLAIN', username: 'a', password: 'b' },
    { ...settings, username: 'a' },
    { ...settings, 'topics.pattern': '(' },
  ])
    await assert.rejects(
      here.connectors.create({ name: 'west', kind: 'kafka', direction: 'source', settings: wrong }),
      (error: unknown) => error instanceof Fault && error.code === 'connect.invalid-setting',
    )
  await here.connectors.create({ name: 'west', kind: 'kafka', direction: 'source', settings })
  // It is looked for for a while, and no longer than it is wanted.
  const began = performance.now()
  await here.connectors.alter('west', { settings: { 'restart.delay': '2s' } })
  await here.connectors.alter('west', { paused: true })
  assert.ok(performance.now() - began < 5_000)
  await here.connectors.alter('west', { paused: false })
  await sleep(14_000)
  await until('it says so', async () => (await here.connectors.get('west'))?.status === 'failed')
  const info = (await here.connectors.get('west'))!
  assert.equal(info.fault?.code, 'cluster.unavailable')
  assert.ok(info.restartsAt !== null)
})

for (const delivery of ['exactly-once', 'at-least-once'])
  test(`a record that the other cluster does not take stands alone in the dead letters, ${delivery}`, async () => {
    await using stack = new AsyncDisposableStack()
    const [there, here] = [await opened(stack, 'kafka'), await opened(stack, 'kafka')]
    await here.log.topics.create([{ name: 'totals', partitions: 2 }])
    const config = { 'max.message.bytes': '50000' }
    await there.log.topics.create([{ name: 'totals', partitions: 2, config }])
    const large = 'x'.repeat(60_000)
    for (let i = 0; i < 100; i++) await put(here, 'totals', i % 2, record(`k${i}`, i % 40 === 7 ? large : `v${i}`))
    const settings = { brokers: brokersOf(there), topics: 'totals', delivery }
    await here.connectors.create({ name: 'out', kind: 'kafka', direction: 'sink', settings })
    await until('all are handed over', async () => (await here.connectors.get('out'))!.lag === 0)
    const taken = (partition: number): string[] =>
      Array.from({ length: 50 }, (_, i) => 2 * i + partition)
        .filter((i) => i % 40 !== 7)
        .map((i) => `v${i}`)
    const arrived = await plain(there, 'totals')
    const once = delivery === 'exactly-once' ? arrived : [...new Set(arrived)]
    assert.deepEqual(once, [...taken(0), ...taken(1)])
    const info = (await here.connectors.get('out'))!
    assert.deepEqual([info.status, info.records, info.refused, info.restarts], ['running', 97, 3, 0])
    await until('they are kept', async () => (await readAll(here.log, 'out.dlq')).length >= 3)
    const kept = await readAll(here.log, 'out.dlq')
    assert.deepEqual(
      kept.map(({ key, value }) => [text(key), value?.length]),
      [7, 47, 87].map((i) => [`k${i}`, 60_000]),
    )
    const headers = new Map(kept[0]!.headers)
    assert.match(text(headers.get('mr-error')), /50000|too large|max\.message\.bytes|error 10/)
    await put(here, 'totals', 0, record('k', 'after'))
    await until('what follows goes on', async () => (await plain(there, 'totals')).includes('after'))
  })

test('a topic over there that takes smaller batches gets them; one that is compacted refuses what has no key', async () => {
  await using stack = new AsyncDisposableStack()
  const [there, here] = [await opened(stack, 'kafka'), await opened(stack, 'kafka')]
  await here.log.topics.create([{ name: 'small', partitions: 1 }])
  await there.log.topics.create([
    { name: 'small', partitions: 1, config: { 'max.message.bytes': '20000', 'cleanup.policy': 'compact' } },
  ])
  const records = Array.from({ length: 60 }, (_, i) => record(i === 30 ? null : `k${i}`, `${i} ${'y'.repeat(3_000)}`))
  await put(here, 'small', 0, ...records)
  const settings = { brokers: brokersOf(there), topics: 'small' }
  await here.connectors.create({ name: 'out', kind: 'kafka', direction: 'sink', settings })
  await until('all are handed over', async () => (await here.connectors.get('out'))!.lag === 0)
  const numbers = (await plain(there, 'small')).map((value) => Number.parseInt(value))
  assert.deepEqual(
    numbers,
    Array.from({ length: 60 }, (_, i) => i).filter((i) => i !== 30),
  )
  assert.deepEqual(
    (await plain(here, 'out.dlq')).map((value) => Number.parseInt(value)),
    [30],
  )
})

test('however often both directions are paused and resumed while records come, each comes once, in order', async () => {
  await using stack = new AsyncDisposableStack()
  const [there, here] = [await opened(stack, 'kafka'), await opened(stack, 'kafka')]
  await there.log.topics.create([{ name: 'orders', partitions: 2 }])
  const settings = { brokers: brokersOf(there), topics: 'orders', refresh: '200ms', 'restart.delay': '50ms' }
  await here.connectors.create({ name: 'in', kind: 'kafka', direction: 'source', settings })
  const back = { brokers: brokersOf(there), topics: 'orders', into: 'back', 'restart.delay': '50ms' }
  await here.connectors.create({ name: 'out', kind: 'kafka', direction: 'sink', settings: back })
  const count = 3_000
  const writing = (async () => {
    for (let i = 0; i < count; i += 10) {
      const some = Array.from({ length: 10 }, (_, j) => record('k', String(i + j)))
      await put(there, 'orders', (i / 10) % 2, ...some)
      await sleep(5)
    }
  })()
  for (let turn = 0; turn < 12; turn++)
    for (const name of ['in', 'out']) {
      await here.connectors.alter(name, { paused: true })
      await sleep(20)
      await here.connectors.alter(name, { paused: false })
      await sleep(60)
    }
  await writing
  await until('all went round', async () => (await plain(there, 'back')).length >= count)
  await sleep(300)
  const wanted = await plain(there, 'orders')
  assert.equal(wanted.length, count)
  assert.deepEqual(await plain(here, 'orders'), wanted)
  assert.deepEqual(await plain(there, 'back'), wanted)
})
