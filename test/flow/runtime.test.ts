import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Batch, rowsOf } from '../../src/flow/batch.ts'
import type { Plan, ViewPlan } from '../../src/flow/plan.ts'
import { openHouse, until } from './house.ts'
import { runtimeCases } from './runtime-cases.ts'
import { aggregate, column, field, show, source, t } from './plans.ts'

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

runtimeCases(openHouse)

const passing: Plan = source('events', columns)
const grown = view(passing, { name: 'all', key: null, appendOnly: true })

test('an observer hears of every committed tick, from a snapshot on', async () => {
  await using house = await openHouse()
  await house.topic('events')
  await house.flow.start(view(counts))
  await house.send('events', [
    { k: 'a', n: 1 },
    { k: 'b', n: 1 },
  ])
  await until(() => house.flow.view('counts').rowsIn === 2, 'two rows')
  const held = new Map<string, number>()
  const add = (delta: Batch): void => {
    for (const { weight, values } of rowsOf(
      delta,
      counts.columns.map((c) => c.type),
    ))
      held.set(show(values), (held.get(show(values)) ?? 0) + weight)
  }
  const stop = await house.flow.observe('counts', { committed: (deltas) => deltas.forEach(add) }, add)
  assert.deepEqual(
    held,
    new Map([
      [show(['a', 1, 1]), 1],
      [show(['b', 1, 1]), 1],
    ]),
  )
  await house.send('events', [{ k: 'a', n: 5 }])
  await until(() => house.flow.view('counts').rowsIn === 3, 'a third row')
  assert.deepEqual(
    held,
    new Map([
      [show(['a', 1, 1]), 0],
      [show(['b', 1, 1]), 1],
      [show(['a', 2, 6]), 1],
    ]),
  )
  stop()
  await house.send('events', [{ k: 'a', n: 5 }])
  await until(() => house.flow.view('counts').rowsIn === 4, 'a fourth row')
  assert.equal(held.size, 3)
})
test('an observer that throws harms nobody', async () => {
  await using house = await openHouse()
  await house.topic('events')
  await house.flow.start(grown)
  await house.flow.observe('all', {
    committed: () => {
      throw new Error('mine')
    },
  })
  await house.send('events', [{ k: 'a', n: 1 }])
  await until(() => house.flow.view('all').rowsIn === 1, 'taken')
  assert.equal(house.flow.view('all').status, 'running')
  assert.deepEqual(
    house.faults.map((f) => f.message),
    ['internal error: mine'],
  )
})
