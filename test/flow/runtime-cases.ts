/** What is asked of views wherever they run: on this thread (`runtime.test.ts`), on others (`workers/runtime.test.ts`). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan, ViewPlan } from '../../src/flow/plan.ts'
import type { Fault } from '../../src/lib/fault.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { decodeOrigin, encodeOrigin } from '../../src/log/origin.ts'
import { type OpenHouse, memoryWorld, newest, textOf, until } from './house.ts'
import { aggregate, call, column, field, literal, overPlan, source, t } from './plans.ts'

const columns = [field('k', t.text), field('n', t.int)]
const counts: Plan = {
  op: 'aggregate',
  input: source('events', columns),
  keys: [0],
  aggregates: [aggregate('count', t.bigint), aggregate('sum', t.bigint, [column(columns, 'n')])],
  windowEnd: null,
  emit: 'update',
  columns: [field('k', t.text), field('count', t.bigint), field('sum', t.bigint)],
}
const view = (plan: Plan, more: Partial<ViewPlan> = {}): ViewPlan => ({
  name: 'counts',
  plan,
  key: [0],
  appendOnly: false,
  lateTopic: null,
  idleMs: 30_000,
  maxFutureMs: 3_600_000,
  onError: 'stop',
  ...more,
})

const passing: Plan = source('events', columns)
const grown = view(passing, { name: 'all', key: null, appendOnly: true })

const divides = (onError: ViewPlan['onError']): ViewPlan =>
  view(
    {
      op: 'project',
      input: passing,
      expressions: [column(columns, 'k'), call('/', t.int, literal(100, t.int), column(columns, 'n'))],
      columns: [field('k', t.text), field('x', t.int)],
    },
    { name: 'divided', key: null, appendOnly: true, onError },
  )

export function runtimeCases(openHouse: OpenHouse): void {
  test('a view follows its topic: newest row per key, with where it came from', async () => {
    await using house = await openHouse()
    await house.topic('events')
    await house.flow.start(view(counts))
    await house.send('events', [
      { k: 'a', n: 1 },
      { k: 'b', n: 2 },
      { k: 'a', n: 3 },
    ])
    await until(() => house.flow.view('counts').rowsIn === 3, 'three rows in')
    const rows = newest(await house.read('counts'))
    assert.deepEqual(Object.fromEntries(rows), { a: { k: 'a', count: 2, sum: 4 }, b: { k: 'b', count: 1, sum: 2 } })
  })

  test('after a restart it goes on where it was, from its changelog', async () => {
    const world = memoryWorld()
    {
      await using house = await openHouse(world)
      await house.topic('events', 3)
      await house.flow.start(view(counts))
      for (const partition of [0, 1, 2])
        await house.send(
          'events',
          [
            { k: 'a', n: 1 },
            { k: 'b', n: 2 },
          ],
          { partition },
        )
      await until(() => house.flow.view('counts').rowsIn === 6, 'six rows in')
    }
    await using house = await openHouse(world)
    await house.flow.start(view(counts))
    await house.send('events', [{ k: 'a', n: 10 }], { partition: 1 })
    await until(() => house.flow.view('counts').rowsIn === 1, 'one row more')
    assert.deepEqual(newest(await house.read('counts')).get('a'), { k: 'a', count: 4, sum: 13 })
  })

  test('an idle view writes nothing', async () => {
    await using house = await openHouse()
    await house.topic('events')
    await house.flow.start(view(counts))
    await house.send('events', [{ k: 'a', n: 1 }])
    await until(() => house.flow.view('counts').rowsIn === 1, 'a row')
    const partitions = ['counts', '_millrace_state.counts', '__consumer_offsets'].map((topic) => ({ topic, index: 0 }))
    const ends = async (): Promise<number[]> => (await house.log.bounds(partitions)).map((b) => b.end)
    await new Promise((resolve) => setTimeout(resolve, 1200))
    const before = await ends()
    await new Promise((resolve) => setTimeout(resolve, 300))
    assert.deepEqual(await ends(), before)
  })

  test('what does not fit goes to the quarantine once, though two views read it', async () => {
    await using house = await openHouse()
    await house.topic('events')
    await house.flow.start(view(counts))
    await house.flow.start(view(counts, { name: 'again' }))
    await house.send('events', [{ k: 'a', n: 1 }, { k: 'a', n: 'x' }, '{oops'])
    await until(() => house.flow.view('counts').invalid === 2 && house.flow.view('again').invalid === 2, 'both saw it')
    const kept = await house.read('events.quarantine')
    assert.deepEqual(
      kept.map((r) => textOf(r.value)),
      ['{"k":"a","n":"x"}', '{oops'],
    )
    assert.deepEqual(
      kept.map((r) => r.headers.filter(([h]) => h !== 'mr-origin').map(([h, v]) => `${h}=${textOf(v)}`)),
      [
        [
          'mr-reason=schema.invalid',
          'mr-error=the event does not fit the schema of events: n is a text ("x"), expected int',
        ],
        ['mr-reason=json.malformed', 'mr-error=this is not JSON at byte 1: a missing field name'],
      ],
    )
  })

  test('an aggregate over everything has its row before the first event', async () => {
    await using house = await openHouse()
    await house.topic('events')
    const plan = { ...counts, keys: [], columns: counts.columns.slice(1) } as Plan
    await house.flow.start(view(plan, { name: 'total', key: [] }))
    await until(async () => (await house.read('total')).length === 1, 'the first row')
    await house.send('events', [{ k: 'a', n: 7 }])
    await until(async () => (await house.read('total')).length === 2, 'the second row')
    assert.deepEqual(
      (await house.read('total')).map((r) => [textOf(r.key), textOf(r.value)]),
      [
        ['[]', '{"count":0,"sum":null}'],
        ['[]', '{"count":1,"sum":7}'],
      ],
    )
  })
  test('paused, a view takes nothing; resumed, it takes what came meanwhile', async () => {
    await using house = await openHouse()
    await house.topic('events')
    await house.flow.start(grown)
    await house.flow.pause('all')
    assert.equal(house.flow.view('all').status, 'paused')
    await house.send('events', [{ k: 'a', n: 1 }])
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.equal(house.flow.view('all').rowsIn, 0)
    await house.flow.resume('all')
    await until(() => house.flow.view('all').rowsIn === 1, 'the row')
    assert.equal(house.flow.view('all').status, 'running')
  })
  test('dropped, a view leaves nothing behind, and its name is free', async () => {
    await using house = await openHouse()
    await house.topic('events')
    await house.send('events', [{ k: 'a', n: 1 }])
    for (let round = 0; round < 2; round++) {
      await house.flow.start(view(counts))
      await until(() => house.flow.view('counts').rowsIn === 1, `the row, round ${round}`)
      await assert.rejects(house.flow.start(view(counts)), /runs already/)
      await house.flow.drop('counts')
      assert.deepEqual(
        (await house.log.topics.list()).map((i) => i.name).filter((n) => n.includes('counts')),
        [],
      )
      assert.throws(() => house.flow.view('counts'), /does not run here/)
    }
  })
  test('an event that cannot be computed: stop names it and goes no further', async () => {
    await using house = await openHouse()
    await house.topic('events')
    await house.flow.start(grown)
    await house.flow.start(divides('stop'))
    await house.send('events', [{ k: 'a', n: 5 }])
    await until(() => house.flow.view('divided').rowsIn === 1, 'the first')
    await house.send('events', [
      { k: 'b', n: 4 },
      { k: 'c', n: 0 },
      { k: 'd', n: 2 },
    ])
    await until(() => house.flow.view('divided').status === 'failed', 'it fails')
    assert.equal(house.flow.view('divided').error?.message, 'view divided stopped at events:0:2: division by zero')
    assert.deepEqual(
      (await house.read('divided')).map((r) => textOf(r.value)),
      ['{"k":"a","x":20}'],
    )
    await until(() => house.flow.view('all').rowsIn === 4, 'its neighbour goes on')
    await house.flow.resume('divided')
    await until(() => house.flow.view('divided').status === 'failed', 'it fails again at the same event')
  })
  test('what anybody writes into a quarantine stops no view', async () => {
    const world = memoryWorld()
    {
      await using house = await openHouse(world)
      await house.topic('events')
      await house.flow.start(view(counts))
      await house.send('events', [{ k: 'a', n: 'x' }])
      await until(() => house.flow.view('counts').invalid === 1, 'a bad event')
      const { id } = (await house.log.topics.get('events'))!
      const wide = encodeOrigin({ ranges: [{ topicId: id, partition: 0, first: 0, last: 2 ** 50 }], state: false })
      const batch = encodeBatch(
        [wide, Buffer.from('no origin'), null].map((origin) => ({
          key: null,
          value: null,
          timeMs: 1,
          headers: [['mr-origin', origin] as const],
        })),
      )
      await house.log.writer().append([{ partition: { topic: 'events.quarantine', index: 0 }, batch }])
    }
    await using house = await openHouse(world)
    await house.flow.start(view(counts))
    await house.send('events', [
      { k: 'a', n: 'y' },
      { k: 'a', n: 1 },
    ])
    await until(() => house.flow.view('counts').rowsIn === 2, 'two rows more')
    assert.equal(house.flow.view('counts').status, 'running')
    const kept = (await house.read('events.quarantine')).map(({ value }) => textOf(value))
    assert.deepEqual(kept.filter(Boolean), ['{"k":"a","n":"x"}', '{"k":"a","n":"y"}'])
  })

  test('batches that unpack to much are decoded one after another; no record is left out or taken twice', async () => {
    const world = memoryWorld()
    const perBatch = 3_000
    const batches = 4
    const value = Buffer.from(JSON.stringify({ k: 'a', n: 1, filler: 'x'.repeat(3_000) }))
    const records = Array.from({ length: perBatch }, () => ({ key: null, value, timeMs: Date.now() }))
    {
      await using house = await openHouse(world)
      await house.topic('events')
      await house.flow.start(view(counts))
      for (let i = 0; i < batches; i++)
        await house.log
          .writer()
          .append([{ partition: { topic: 'events', index: 0 }, batch: encodeBatch(records, 'gzip') }])
      await until(() => house.flow.view('counts').rowsIn > 0, 'some rows in')
    }
    await using house = await openHouse(world)
    await house.flow.start(view(counts))
    const total = batches * perBatch
    await until(async () => {
      const row = newest(await house.read('counts')).get('a') as { count: number } | undefined
      return row?.count === total
    }, 'all rows in')
    await house.send('events', [{ k: 'a', n: 1 }])
    await until(async () => {
      const row = newest(await house.read('counts')).get('a') as { count: number } | undefined
      return row?.count === total + 1
    }, 'one row more')
  })

  for (const onError of ['skip', 'quarantine'] as const)
    test(`an event that cannot be computed: ${onError} leaves it out alone`, async () => {
      await using house = await openHouse()
      await house.topic('events')
      await house.flow.start(divides(onError))
      await house.send('events', [
        { k: 'a', n: 5 },
        { k: 'c', n: 0 },
        { k: 'd', n: 2 },
      ])
      await until(() => house.flow.view('divided').rowsIn === 3, 'all three')
      assert.deepEqual(
        (await house.read('divided')).map((r) => textOf(r.value)),
        ['{"k":"a","x":20}', '{"k":"d","x":50}'],
      )
      assert.equal(house.flow.view('divided').failed, 1)
      const kept = (await house.read('events.quarantine')).map((r) => [
        textOf(r.value),
        textOf(r.headers.find(([h]) => h === 'mr-reason')![1]),
      ])
      assert.deepEqual(kept, onError === 'skip' ? [] : [['{"k":"c","n":0}', 'value.division-by-zero']])
    })
  test('late events are counted and routed as they came', async () => {
    await using house = await openHouse()
    await house.topic('events')
    const timed = [...columns, field('at', t.timestamptz)]
    const windowed: Plan = {
      op: 'window',
      input: source('events', timed, { time: { column: 2, delayMs: 0 } }),
      window: { kind: 'tumble', sizeMs: 1_000 },
      time: 2,
      columns: [...timed, field('ws', t.timestamptz), field('we', t.timestamptz)],
    }
    const plan: Plan = {
      op: 'aggregate',
      input: windowed,
      keys: [3, 4],
      aggregates: [aggregate('count', t.bigint)],
      windowEnd: 1,
      emit: 'close',
      columns: [field('ws', t.timestamptz), field('we', t.timestamptz), field('c', t.bigint)],
    }
    await house.flow.start(
      view(plan, { name: 'windows', key: null, appendOnly: true, lateTopic: 'late', maxFutureMs: 1e15 }),
    )
    const at = (ms: number): string => new Date(1_000_000_000_000 + ms).toISOString()
    await house.send('events', [
      { k: 'a', n: 1, at: at(0) },
      { k: 'b', n: 2, at: at(5_000) },
      { k: 'c', n: 3, at: at(100) },
    ])
    await until(() => house.flow.view('windows').rowsIn === 3, 'all three')
    assert.equal(house.flow.view('windows').late, 1)
    const [late] = await house.read('late')
    assert.equal(textOf(late!.value), JSON.stringify({ k: 'c', n: 3, at: at(100) }))
    assert.equal(textOf(late!.headers.find(([h]) => h === 'mr-reason')![1]), 'late')
    assert.deepEqual(
      (await house.read('windows')).map((r) => textOf(r.value)),
      [`{"ws":"${at(0).replace('.000', '')}","we":"${at(1000).replace('.000', '')}","c":1}`],
    )
  })
  test('a view over a view follows its changes', async () => {
    await using house = await openHouse()
    await house.topic('events')
    await house.flow.start(view(counts))
    const over = source('counts', counts.columns, { mode: 'upsert', key: [0] })
    const best: Plan = {
      op: 'aggregate',
      input: over,
      keys: [],
      aggregates: [aggregate('max', t.bigint, [column(counts.columns, 'sum')]), aggregate('count', t.bigint)],
      windowEnd: null,
      emit: 'update',
      columns: [field('best', t.bigint), field('keys', t.bigint)],
    }
    await house.flow.start(view(best, { name: 'best', key: [] }))
    await house.send('events', [
      { k: 'a', n: 1 },
      { k: 'b', n: 9 },
      { k: 'a', n: 4 },
    ])
    await until(
      async () =>
        newest(await house.read('best')).get('[]') !== undefined &&
        (newest(await house.read('best')).get('[]') as { keys: number }).keys === 2,
      'both keys',
    )
    assert.deepEqual(newest(await house.read('best')).get('[]'), { best: 9, keys: 2 })
    await house.send('events', [{ k: 'b', n: -20 }])
    await until(
      async () => (newest(await house.read('best')).get('[]') as { best: number }).best === 5,
      'the maximum shrinks',
    )
  })
  test('a derived record says where it came from', async () => {
    await using house = await openHouse()
    await house.topic('events')
    await house.flow.start(view(counts))
    await house.flow.start(grown)
    await house.send('events', [
      { k: 'a', n: 1 },
      { k: 'b', n: 1 },
      { k: 'a', n: 2 },
    ])
    await until(() => house.flow.views().every((v) => v.rowsIn === 3), 'all three')
    const origins = async (topic: string): Promise<unknown[]> =>
      (await house.read(topic)).map((r) => {
        const { ranges, state } = decodeOrigin(r.headers.find(([h]) => h === 'mr-origin')![1]!)
        return [...ranges.map((o) => `${o.partition}:${o.first}..${o.last}`), state]
      })
    assert.deepEqual(await origins('counts'), [
      ['0:0..2', true],
      ['0:1..1', true],
    ])
    assert.deepEqual(await origins('all'), [
      ['0:0..0', false],
      ['0:1..1', false],
      ['0:2..2', false],
    ])
  })
  test('a fault of the plan or of its topics is met at the start', async () => {
    await using house = await openHouse()
    await assert.rejects(house.flow.start(grown), (e: Fault) => e.code === 'log.unknown-topic')
    await house.topic('events')
    const over = overPlan(counts, [], 1, [])
    await assert.rejects(house.flow.start(view(over, { name: 'o' })), (e: Fault) => e.code === 'flow.unsupported')
  })

  test('now() is drawn once per tick, and is the time of its records', async () => {
    await using house = await openHouse()
    await house.topic('events')
    const plan: Plan = {
      op: 'project',
      input: passing,
      expressions: [column(columns, 'n'), { kind: 'now', type: t.timestamptz }],
      columns: [field('n', t.int), field('at', t.timestamptz)],
    }
    await house.flow.start(view(plan, { name: 'stamped', key: null, appendOnly: true }))
    await house.send('events', [{ n: 1 }, { n: 2 }])
    await until(() => house.flow.view('stamped').rowsIn === 2, 'both')
    for (const { value, timeMs } of await house.read('stamped'))
      assert.equal(Date.parse((JSON.parse(textOf(value)!) as { at: string }).at), timeMs)
  })
  test('a view that withdraws without a key carries weights, and is read again with them', async () => {
    await using house = await openHouse()
    await house.topic('events')
    await house.flow.start(view(counts, { name: 'weighted', key: null }))
    const over: Plan = {
      op: 'aggregate',
      input: source('weighted', counts.columns, { mode: 'weighted' }),
      keys: [],
      aggregates: [aggregate('count', t.bigint), aggregate('sum', t.numeric, [column(counts.columns, 'sum')])],
      windowEnd: null,
      emit: 'update',
      columns: [field('keys', t.bigint), field('sum', t.numeric)],
    }
    await house.flow.start(view(over, { name: 'total', key: [] }))
    for (let n = 1; n <= 6; n++) {
      await house.send('events', [{ k: 'ab'[n % 2], n }])
      await until(() => house.flow.view('weighted').rowsIn === n, 'taken')
    }
    await until(
      async () => (newest(await house.read('total')).get('[]') as { sum: number } | undefined)?.sum === 21,
      'the sum of all',
    )
    assert.deepEqual(newest(await house.read('total')).get('[]'), { keys: 2, sum: 21 })
  })
}
