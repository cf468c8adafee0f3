/** Delayed delivery in virtual time: when records come, that each comes once, and what cannot be delivered. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../src/lib/fault.ts'
import { SeededRandom } from '../../src/lib/sim/random.ts'
import { type Simulation, simulate } from '../../src/lib/sim/world.ts'
import { type RecordInput, Unread, encodeBatch } from '../../src/log/batch.ts'
import { openCommits } from '../../src/log/commits.ts'
import { startDelays } from '../../src/log/delays/delays.ts'
import type { LocalLog } from '../../src/log/local/local-log.ts'
import { openLocalLog } from '../../src/log/local/open.ts'
import { Placing } from '../../src/log/placing.ts'
import { decodeOrigin } from '../../src/log/origin.ts'
import { durationOf, timeOf } from '../../src/log/record-headers.ts'
import { at, off, withTopic } from './local/support.ts'

const hour = 3_600_000
interface Life {
  readonly log: LocalLog
  readonly said: string[]
  close(): Promise<void>
}
async function live(world: Simulation): Promise<Life> {
  const log = await openLocalLog({ world, dir: '/data', compactEveryMs: 60_000 })
  const commits = openCommits(await log.owner(), world.clock)
  const said: string[] = []
  const note = (message: string, facts?: object): void => void said.push(`${message} ${JSON.stringify(facts)}`)
  const delays = startDelays({ log, commits, world, logger: { info: note, warn: note, error: note } })
  const close = async (): Promise<void> => {
    await delays.close()
    await commits.close()
    await log.close()
  }
  return { log, said, close }
}
const record = (name: string, timeMs: number, headers: Record<string, string> = {}): RecordInput => ({
  key: Buffer.from(name),
  value: Buffer.from(`value of ${name}`),
  timeMs,
  headers: Object.entries(headers).map(([header, text]): [string, Uint8Array] => [header, Buffer.from(text)]),
})
async function send(log: LocalLog, records: readonly RecordInput[], topic = 'later', index = 0): Promise<void> {
  const [appended] = await log.writer().append([{ partition: at(topic, index), batch: encodeBatch(records) }])
  if (appended === undefined || 'fault' in appended) throw appended?.fault ?? new Error('no answer')
}
async function all(
  log: LocalLog,
  topic: string,
): Promise<{ key: string; timeMs: number; headers: [string, string][]; partition: number }[]> {
  const found = []
  const { partitions } = (await log.topics.get(topic))!
  for (let index = 0; index < partitions; index++) {
    const [bounds] = await log.bounds([at(topic, index)])
    for (let next: number = bounds!.start; next < bounds!.stable;) {
      const [chunk] = await log.reader().read([{ partition: at(topic, index), offset: off(next) }])
      assert.ok(chunk !== undefined && !('fault' in chunk) && chunk.next > next)
      for (const unread = new Unread(chunk.batches); !unread.isEmpty;)
        for (const { key, timeMs, headers } of unread.next())
          found.push({
            key: Buffer.from(key!).toString(),
            timeMs,
            headers: headers.map(([name, value]): [string, string] => [name, Buffer.from(value!).toString()]),
            partition: index,
          })
      next = chunk.next
    }
  }
  return found.toSorted((a, b) => a.timeMs - b.timeMs)
}

test('records come when they are to, in the order of their times, with what they carry', async () => {
  const world = simulate(1)
  await world.run(async () => {
    const { log, close } = await live(world)
    await withTopic(log, 'orders', {}, 3)
    await withTopic(log, 'later', { 'deliver.to': 'orders' }, 2)
    const t = world.clock.now()
    const iso = new Date(t + 2 * hour).toISOString()
    await send(log, [
      record('two hours', t, { 'mr-deliver-at': iso, mine: 'x' }),
      record('ten minutes', t, { 'mr-deliver-after': '10m' }),
      record('now', t),
      record('past', t, { 'mr-deliver-at': '1000' }),
    ])
    await send(log, [record('an hour', t, { 'mr-deliver-at': String(t + hour) })], 'later', 1)
    await world.clock.sleep(1_000)
    assert.deepEqual((await all(log, 'orders')).map(({ key }) => key).toSorted(), ['now', 'past'])
    await world.clock.sleep(3 * hour)
    const found = await all(log, 'orders')
    assert.deepEqual(
      found.slice(2).map(({ key }) => key),
      ['ten minutes', 'an hour', 'two hours'],
    )
    const [ten, one, two] = found.slice(2).map(({ timeMs }) => timeMs - t)
    for (const [ms, wanted] of [
      [ten, hour / 6],
      [one, hour],
      [two, 2 * hour],
    ] as const)
      assert.ok(ms! >= wanted && ms! < wanted + 1_100, `${ms}`)
    const last = found.at(-1)!
    assert.deepEqual(last.headers[0], ['mine', 'x'])
    assert.deepEqual(
      last.headers.map(([name]) => name),
      ['mine', 'mr-origin'],
    )
    await close()
  })
})
test('where it came from stands in its origin; more partitions and topics are found as they come', async () => {
  const world = simulate(2)
  await world.run(async () => {
    const { log, close } = await live(world)
    await withTopic(log, 'orders')
    await world.clock.sleep(100)
    await withTopic(log, 'later', { 'deliver.to': 'orders' })
    await send(log, [record('a', world.clock.now())])
    await world.clock.sleep(1_000)
    await log.topics.alter('later', { partitions: 2 })
    await send(log, [record('b', world.clock.now())], 'later', 1)
    await world.clock.sleep(1_000)
    assert.deepEqual(
      (await all(log, 'orders')).map(({ key }) => key),
      ['a', 'b'],
    )
    const [chunk] = await log.reader().read([{ partition: at('orders'), offset: off(0) }])
    assert.ok(chunk !== undefined && !('fault' in chunk))
    const [first] = new Unread(chunk.batches).next()
    const origin = decodeOrigin(first!.headers.find(([name]) => name === 'mr-origin')![1]!)
    assert.deepEqual(origin.ranges, [{ topicId: log.catalog.byName('later')!.id, partition: 0, first: 0, last: 0 }])
    await log.topics.alter('later', { config: { 'deliver.to': null } })
    await send(log, [record('c', world.clock.now())])
    await world.clock.sleep(5_000)
    assert.equal((await all(log, 'orders')).length, 2, 'nobody asks for it any more')
    await log.topics.alter('later', { config: { 'deliver.to': 'orders' } })
    await world.clock.sleep(5_000)
    assert.deepEqual(
      (await all(log, 'orders')).map(({ key }) => key),
      ['a', 'b', 'c'],
      'it goes on where it stopped',
    )
    await close()
  })
})
test('what cannot be delivered is kept with the reason; what has no place yet waits for it', async () => {
  const world = simulate(3)
  await world.run(async () => {
    const { log, said, close } = await live(world)
    await withTopic(log, 'small', { 'max.message.bytes': '200' })
    await withTopic(log, 'later', { 'deliver.to': 'small' })
    const t = world.clock.now()
    const large = { ...record('large', t), value: Buffer.alloc(5_000) }
    await send(log, [record('fits', t), large, record('too', t)])
    await world.clock.sleep(2_000)
    assert.deepEqual((await all(log, 'small')).map(({ key }) => key).toSorted(), ['fits', 'too'])
    const [dead] = await all(log, 'later.dlq')
    assert.equal(dead!.key, 'large')
    assert.deepEqual(dead!.headers[0], ['mr-reason', 'log.batch-too-large'])
    await log.topics.remove(['small'])
    await send(log, [record('waits', world.clock.now())])
    await world.clock.sleep(5_000)
    assert.equal(said.filter((line) => line.includes('log.unknown-topic')).length, 1, 'told once')
    await withTopic(log, 'small')
    await world.clock.sleep(5_000)
    assert.deepEqual(
      (await all(log, 'small')).map(({ key }) => key),
      ['waits'],
    )
    await close()
  })
})
test('what its topic would not keep until its time is refused, not lost', async () => {
  const world = simulate(6)
  await world.run(async () => {
    const { log, close } = await live(world)
    await withTopic(log, 'orders')
    await withTopic(log, 'later', { 'deliver.to': 'orders', 'retention.ms': String(hour) })
    const t = world.clock.now()
    const wait = (headers: Record<string, string>): Promise<void> => send(log, [record('a', t, headers)])
    await wait({ 'mr-deliver-after': '1h' })
    await assert.rejects(() => wait({ 'mr-deliver-after': '61m' }), /keeps records for 3600000 ms \(retention\.ms\)/)
    await assert.rejects(() => wait({ 'mr-deliver-at': String(t + 2 * hour) }), /keeps records for 3600000 ms/)
    // The same where records of several share a batch: each is refused on its own.
    const commits = openCommits(await log.owner(), world.clock)
    const placing = new Placing({ log, world, commits })
    const topic = (await log.topics.get('later'))!
    const outcomes = await placing.placeEach(
      [
        { topic, partition: null, record: record('b', t, { 'mr-deliver-after': '2h' }) },
        { topic, partition: null, record: record('c', t, { 'mr-deliver-after': '30m' }) },
      ],
      'all',
    )
    await commits.close()
    assert.deepEqual(
      outcomes.map((one) => (one instanceof Fault ? one.code : 'placed')),
      ['log.invalid-batch', 'placed'],
    )
    // Compacted topics keep what is newest, however old.
    assert.equal(log.checkAlter('later', { config: { 'cleanup.policy': 'compact' } }), null)
    await log.topics.alter('later', { config: { 'cleanup.policy': 'compact' } })
    await wait({ 'mr-deliver-after': '2h' })
    await close()
  })
})
test('where records go is checked', async () => {
  const world = simulate(4)
  await world.run(async () => {
    const { log, close } = await live(world)
    const refuses = async (name: string, to: string): Promise<string> => {
      const [fault] = await log.topics.create([{ name, partitions: 1, config: { 'deliver.to': to } }])
      return fault?.message ?? 'ok'
    }
    assert.match(await refuses('a', 'nowhere'), /no such topic/)
    await withTopic(log, 'x')
    assert.equal(await refuses('a', 'x'), 'ok')
    assert.match(await refuses('b', 'a'), /one step/)
    assert.match(await refuses('b', '__consumer_offsets'), /keeps it/)
    await withTopic(log, 'y')
    assert.match(log.checkAlter('x', { config: { 'deliver.to': 'y' } })!.message, /delivered to this topic/)
    assert.match(log.checkAlter('a', { config: { 'deliver.to': 'a' } })!.message, /one step/)
    const t = world.clock.now()
    for (const odd of [{ 'mr-deliver-at': 'tomorrow' }, { 'mr-deliver-after': '-1s' }])
      await assert.rejects(() => send(log, [record('odd', t, odd as Record<string, string>)], 'a'), /mr-deliver/)
    await send(log, [record('anything', t, { 'mr-deliver-at': 'tomorrow' })], 'y')
    await close()
  })
  assert.equal(timeOf('2026-01-31T10:00:00Z'), Date.UTC(2026, 0, 31, 10))
  assert.equal(timeOf('2026-01-31 10:00'), Date.UTC(2026, 0, 31, 10))
  assert.equal(timeOf('2026-01-31T10:00:00.5+02:00'), Date.UTC(2026, 0, 31, 8, 0, 0, 500))
  for (const odd of ['', '31.1.2026', '2026-13-31T10:00:00Z', '-5']) assert.equal(timeOf(odd), null, odd)
  assert.equal(durationOf('2m'), 120_000)
})

/** SEED=… replays one run, RUNS=… does more. */
const first = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32))
const runs = Number(process.env['RUNS'] ?? (process.env['SEED'] === undefined ? 20 : 1))
test('each record comes once and not before its time, through kills and power cuts', async (t) => {
  for (let seed = first; seed < first + runs; seed++)
    try {
      await crashes(seed)
    } catch (error) {
      t.diagnostic(`SEED=${seed} node --test test/log/delays.test.ts`)
      throw error
    }
  assert.ok(delivered > 10 * runs, `${delivered} records in ${runs} runs`)
})
let delivered = 0
async function crashes(seed: number): Promise<void> {
  const world = simulate(seed, { syncMsMax: 5 })
  const random = new SeededRandom(seed, 'delays')
  const due = new Map<string, number>()
  let number = 0
  const work = async (log: LocalLog): Promise<void> => {
    if ((await log.topics.get('orders')) === null) await withTopic(log, 'orders', {}, 2)
    if ((await log.topics.get('later')) === null) await withTopic(log, 'later', { 'deliver.to': 'orders' }, 2)
    for (;;) {
      const t = world.clock.now()
      const records = Array.from({ length: random.between(1, 5) }, () => {
        const waitMs = random.chance(0.3) ? 0 : random.between(0, 20_000)
        return { name: `r${number++}`, waitMs }
      })
      await send(
        log,
        records.map(({ name, waitMs }) => record(name, t, { 'mr-deliver-after': String(waitMs) })),
        'later',
        random.between(0, 1),
      )
      // Known to be there: what was not acknowledged may come or not.
      for (const { name, waitMs } of records) due.set(name, t + waitMs)
      await world.clock.sleep(random.between(10, 2_000))
    }
  }
  const lives = random.between(2, 6)
  for (let life = 0; life < lives; life++) {
    live(world).then(
      ({ log }) => work(log).catch(() => undefined),
      () => undefined,
    )
    await world.advance(random.between(50, 15_000))
    if (random.chance(0.6)) world.powerCut()
    else world.kill()
  }
  await world.run(async () => {
    const { log, close } = await live(world)
    await world.clock.sleep(40_000)
    if ((await log.topics.get('orders')) !== null) {
      const found = await all(log, 'orders')
      const names = found.map(({ key }) => key)
      delivered += names.length
      assert.equal(new Set(names).size, names.length, 'nothing twice')
      for (const [name] of due) assert.ok(names.includes(name), `${name} is missing`)
      for (const { key, timeMs } of found) assert.ok(timeMs >= (due.get(key) ?? -Infinity), `${key} came too early`)
    }
    await close()
  })
}
