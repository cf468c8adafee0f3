/** One group added to another, as where two sessions become one: as if all rows had come into one group. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fold } from '../../src/flow/aggregates/fold.ts'
import { memberTable } from '../../src/flow/aggregates/members.ts'
import { type Batch, emptyBatch } from '../../src/flow/batch.ts'
import { columnBuilder } from '../../src/flow/columns.ts'
import type { Value } from '../../src/flow/expression.ts'
import { KeyWriter } from '../../src/flow/key.ts'
import { StateTable } from '../../src/flow/state.ts'
import { aggregate, call, column, field, literal, random, t } from './plans.ts'

const columns = [
  field('n', t.bigint),
  field('x', t.double),
  field('d', t.numeric),
  field('m', t.money),
  field('s', t.text),
]
const c = (name: string) => column(columns, name)
const positive = call('>', t.boolean, c('n'), literal(3, t.bigint))
const all = [
  aggregate('count', t.bigint),
  aggregate('count', t.bigint, [c('s')], { distinct: true }),
  aggregate('count', t.bigint, [c('s')], { distinct: true, filter: positive }),
  aggregate('sum', t.numeric, [c('n')], { distinct: true }),
  aggregate('sum', t.numeric, [c('n')]),
  aggregate('sum', t.double, [c('x')]),
  aggregate('avg', t.numeric, [c('m')]),
  aggregate('sum', t.numeric, [c('d')]),
  aggregate('min', t.bigint, [c('n')]),
  aggregate('max', t.double, [c('x')]),
  aggregate('max', t.text, [c('s')]),
  aggregate('min', t.numeric, [c('d')]),
  aggregate('bool_and', t.boolean, [positive]),
  aggregate('bool_or', t.boolean, [positive]),
  aggregate('stddev_samp', t.double, [c('x')]),
  aggregate('var_pop', t.numeric, [c('m')]),
]
function batchOf(rows: readonly (readonly Value[])[]): Batch {
  const builders = columns.map(({ type }) => columnBuilder(type))
  for (const row of rows) for (let i = 0; i < row.length; i++) builders[i]!.push(row[i]!)
  return { ...emptyBatch, count: rows.length, columns: builders.map((b) => b.done()) }
}
function someRow(next: () => number): Value[] {
  const of = (...values: readonly Value[]): Value => values[Math.floor(next() * values.length)]!
  return [
    of(1, 5, -7, 2n ** 60n, null),
    of(0.1, 1e100, -1e100, 3, NaN, Infinity, null, 1e-100),
    of({ digits: 15n, scale: 1 }, { digits: 2n, scale: 0 }, null),
    of(100, -250, 10n ** 20n, null),
    of('a', 'b', '', 'ä', null),
  ]
}
test('a group added to another has the results of all rows in one', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const next = random(seed)
    const fold = new Fold(all, true, 0, 0)
    const groups = new StateTable({ name: 'groups', numbers: fold.numbers, values: fold.values })
    const members = new StateTable(memberTable)
    const [into, from, whole] = [1, 2, 3].map((n) => {
      const key = new KeyWriter()
      key.double(n)
      return groups.add(key)
    })
    const rows = Array.from({ length: Math.floor(next() * 12) }, () => someRow(next))
    const batch = batchOf(rows)
    fold.prepare(batch, 0)
    for (let row = 0; row < rows.length; row++) {
      fold.add(groups, next() < 0.5 ? into! : from!, members, row, 1)
      fold.add(groups, whole!, members, row, 1)
    }
    fold.merge(groups, members, into!, from!)
    const results: Value[][] = [[], []]
    fold.results(groups, into!, members, results[0]!, 0)
    fold.results(groups, whole!, members, results[1]!, 0)
    assert.deepEqual(results[0], results[1], `seed ${seed}`)
    // What was added counts on: a value that both had seen is not new.
    const more = fold.prepare(batch, 0)
    for (let row = 0; row < more.batch.count; row++) {
      fold.add(groups, into!, members, row, 1)
      fold.add(groups, whole!, members, row, 1)
    }
    fold.results(groups, into!, members, results[0]!, 0)
    fold.results(groups, whole!, members, results[1]!, 0)
    assert.deepEqual(results[0], results[1], `seed ${seed}, with more rows`)
  }
})
