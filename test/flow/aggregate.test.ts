import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan } from '../../src/flow/plan.ts'
import { Bench, type Input, aggregate, column, cuts, field, random, show, sorted, source, t } from './plans.ts'

const columns = [field('k', t.text), field('n', t.int), field('x', t.double)]
const plan: Plan = {
  op: 'aggregate',
  input: source('s', columns),
  keys: [0],
  aggregates: [
    aggregate('count', t.bigint),
    aggregate('sum', t.bigint, [column(columns, 'n')]),
    aggregate('min', t.int, [column(columns, 'n')]),
    aggregate('max', t.int, [column(columns, 'n')]),
    aggregate('sum', t.double, [column(columns, 'x')]),
  ],
  windowEnd: null,
  emit: 'update',
  columns: [
    field('k', t.text),
    field('c', t.bigint),
    field('s', t.bigint),
    field('lo', t.int),
    field('hi', t.int),
    field('sx', t.double),
  ],
}
function expected(rows: readonly { k: string | null; n: number | null; x: number }[]): [string, number][] {
  const groups = new Map<string | null, typeof rows>()
  for (const row of rows) groups.set(row.k, [...(groups.get(row.k) ?? []), row])
  return [...groups]
    .map(([k, of]): [string, number] => {
      const ns = of.flatMap((r) => (r.n === null ? [] : [r.n]))
      const xs = of.map((r) => r.x)
      return [
        show([
          k,
          of.length,
          ns.length === 0 ? null : ns.reduce((a, b) => a + b, 0),
          ns.length === 0 ? null : Math.min(...ns),
          ns.length === 0 ? null : Math.max(...ns),
          xs.reduce((a, b) => a + b, 0),
        ]),
        1,
      ]
    })
    .sort(([a], [b]) => (a < b ? -1 : 1))
}
test('after every batch the sum of the deltas is the result over what came so far', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const next = random(seed)
    const rows = Array.from({ length: 200 }, () => ({
      k: next() < 0.1 ? null : 'abc'[Math.floor(next() * 3)]!,
      n: next() < 0.1 ? null : Math.floor(next() * 100) - 50,
      x: Math.floor(next() * 1000) / 4,
    }))
    const bench = new Bench(plan)
    let seen = 0
    for (const piece of cuts(rows, next, 17)) {
      bench.step(piece.map((value): Input => ({ topic: 's', partition: 0, value })))
      seen += piece.length
      assert.deepEqual(sorted(bench.sum()), expected(rows.slice(0, seen)), `seed ${seed}, ${seen} rows`)
    }
  }
})
