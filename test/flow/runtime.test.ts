import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan, ViewPlan } from '../../src/flow/plan.ts'
import { memoryWorld, newest, openHouse, textOf, until } from './house.ts'
import { aggregate, column, field, source, t } from './plans.ts'

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
