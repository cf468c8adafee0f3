/** One key that has nearly all rows: what goes of it at once goes in time that its number is in proportion to. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan } from '../../src/flow/plan.ts'
import { Bench, type Input, aggregate, column, field, overCall, overPlan, source, t } from './plans.ts'

const count = 200_000
const columns = [field('id', t.int), field('k', t.text), field('at', t.timestamptz)]
const stream = (name: string): Plan => source(name, columns, { time: { column: 2, delayMs: 0 } })
const events = (topic: string): Input[] =>
  Array.from({ length: count }, (_, id) => ({ topic, partition: 0, value: { id, k: 'hot', at: 1_000_000 + id } }))
const last = (topic: string): Input => ({ topic, partition: 0, value: { id: -1, k: 'last', at: 9_000_000 } })
function within<T>(ms: number, work: () => T): T {
  const began = performance.now()
  const result = work()
  const took = performance.now() - began
  assert.ok(took < ms, `it took ${Math.round(took)} ms`)
  return result
}

test('OVER lets all rows of a partition go', () => {
  const sum = overCall(aggregate('sum', t.bigint, [column(columns, 'id')]), 'range', -1_000_000_000, 0)
  const bench = new Bench(overPlan(stream('s'), [1], 2, [[sum, t.bigint]]))
  bench.step(events('s'))
  bench.commit()
  const given = within(10_000, () => bench.step([last('s')]))
  bench.commit()
  assert.ok(given.length + bench.deltas[0]!.length >= count)
  within(10_000, () => bench.step([{ topic: 's', partition: 0, value: { id: -2, k: 'last', at: 99_000_000 } }]))
})
test('an interval join gives all rows of a key up', () => {
  const bench = new Bench({
    op: 'join',
    left: stream('l'),
    right: stream('r'),
    kind: 'left',
    leftKeys: [1],
    rightKeys: [1],
    windowEnd: null,
    interval: { leftTime: 2, rightTime: 2, lowUs: -1_000_000_000, highUs: 1_000_000_000 },
    where: null,
    columns: [...columns, ...columns],
  })
  bench.step(events('l'))
  bench.commit()
  const given = within(10_000, () => bench.step([last('l'), last('r')]))
  assert.equal(given.filter(({ values }) => values[1] === 'hot').length, count)
})
