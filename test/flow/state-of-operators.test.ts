/**
 * Every operator's state: after an undo it is as before, after a restart from the changelog it goes on as if nothing had
 * happened. Each plan runs plainly and with both at random points; the outputs must be equal, row for row.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OverCall, Plan } from '../../src/flow/plan.ts'
import type { DataType } from '../../src/schema/types.ts'
import {
  Bench,
  type Input,
  aggregate,
  call,
  column,
  cuts,
  field,
  literal,
  overCall,
  overPlan,
  random,
  show,
  source,
  t,
} from './plans.ts'

const columns = [
  field('id', t.int, false),
  field('k', t.text),
  field('n', t.int),
  field('x', t.double),
  field('at', t.timestamptz),
]
const stream = source('s', columns, { time: { column: 4, delayMs: 1_000 } })
const table = source('t', columns, { mode: 'upsert', key: [0], time: { column: 4, delayMs: 1_000 } })
const windowed: Plan = {
  op: 'window',
  input: stream,
  window: { kind: 'tumble', sizeMs: 5_000 },
  time: 4,
  columns: [...columns, field('ws', t.timestamptz), field('we', t.timestamptz)],
}
const all = [
  aggregate('count', t.bigint),
  aggregate('sum', t.bigint, [column(columns, 'n')]),
  aggregate('avg', t.double, [column(columns, 'x')]),
  aggregate('min', t.int, [column(columns, 'n')]),
  aggregate('max', t.double, [column(columns, 'x')]),
  aggregate('stddev_samp', t.double, [column(columns, 'x')]),
  aggregate('var_pop', t.numeric, [column(columns, 'n')]),
  aggregate('count', t.bigint, [column(columns, 'n')], { distinct: true }),
  aggregate('sum', t.bigint, [column(columns, 'n')], {
    filter: call('>', t.boolean, column(columns, 'n'), literal(3, t.int)),
  }),
  aggregate('bool_or', t.boolean, [call('>', t.boolean, column(columns, 'n'), literal(8, t.int))]),
]
const results = all.map((a, i) => field(`a${i}`, a.type))
const group = (input: Plan, keys: readonly number[], windowEnd: number | null, emit: 'update' | 'close'): Plan => ({
  op: 'aggregate',
  input,
  keys,
  aggregates: all,
  windowEnd,
  emit,
  columns: [...keys.map((k) => input.columns[k]!), ...results],
})
const conflicts = (input: Plan, policy: 'nothing' | 'error' | 'deduplicate'): Plan => ({
  op: 'conflict',
  input,
  key: [1],
  identity: input === table ? [0] : null,
  policy,
  columns,
})
const plans: Readonly<Record<string, Plan>> = {
  'the first of a table on conflict': conflicts(table, 'nothing'),
  'the last of a table on conflict': conflicts(table, 'deduplicate'),
  'the only one of a table on conflict': conflicts(table, 'error'),
  'the first of a stream on conflict': conflicts(stream, 'nothing'),
  'the last of a stream on conflict': conflicts(stream, 'deduplicate'),
  'newest rows of a changelog': {
    op: 'from-changelog',
    input: stream,
    code: 1,
    kinds: { a: 'INSERT', b: 'UPDATE_AFTER', c: 'DELETE' },
    skips: true,
    key: [0],
    columns: columns.filter((_, c) => c !== 1),
  },
  'group over a stream': group(stream, [1], null, 'update'),
  'group over a table': group(table, [1], null, 'update'),
  'group over everything': group(table, [], null, 'update'),
  'windows, updated': group(windowed, [6, 1], 0, 'update'),
  'windows, on close': group(windowed, [6, 1], 0, 'close'),
  'temporal join': {
    op: 'temporal-join',
    left: stream,
    right: table,
    leftKeys: [column(columns, 'id')],
    rightKeys: [0],
    leftTime: 4,
    kind: 'left',
    where: null,
    columns: [...columns, ...columns],
  },
  over: overPlan(
    stream,
    [1],
    4,
    all.map((a) => [overCall(a, 'rows', '..', 0), a.type]),
  ),
  'over frames': overPlan(stream, [1], 4, [
    ...all.map((a): readonly [OverCall, DataType] => [overCall(a, 'rows', -2, 1), a.type]),
    ...all.map((a): readonly [OverCall, DataType] => [overCall(a, 'range', -700_000, 300_000), a.type]),
    ...['row_number', 'rank', 'dense_rank'].map((name): readonly [OverCall, DataType] => [
      overCall(aggregate(name, t.bigint)),
      t.bigint,
    ]),
    [overCall(aggregate('lag', t.int, [column(columns, 'n'), literal(2, t.int), literal(-1, t.int)])), t.int],
    [overCall(aggregate('lead', t.int, [column(columns, 'n')])), t.int],
    [overCall(aggregate('first_value', t.int, [column(columns, 'n')])), t.int],
    [overCall(aggregate('last_value', t.int, [column(columns, 'n')]), 'rows', -3, -1), t.int],
  ]),
  'over a table': overPlan(
    table,
    [1],
    2,
    [
      ...all.map((a): readonly [OverCall, DataType] => [overCall(a, 'rows', -1, 1), a.type]),
      [overCall(aggregate('ntile', t.int, [literal(3, t.int)])), t.int],
      [overCall(aggregate('cume_dist', t.double)), t.double],
    ],
    { time: null },
  ),
  'top of a stream': {
    op: 'top',
    input: stream,
    partitionBy: [1],
    order: [{ column: 2, descending: true, nullsFirst: true }],
    limit: 3,
    rank: true,
    columns: [...columns, field('rank', t.bigint)],
  },
  'top of a table': {
    op: 'top',
    input: table,
    partitionBy: [1],
    order: [{ column: 2, descending: false, nullsFirst: false }],
    limit: 3,
    rank: true,
    columns: [...columns, field('rank', t.bigint)],
  },
  process: {
    op: 'process',
    input: stream,
    key: [1],
    fn: (event, state, emit) => {
      const seen = (state ?? { count: 0, ids: [] }) as { count: number; ids: number[] }
      seen.count++
      seen.ids.push(event['id'] as number)
      if (seen.count % 3 === 0) emit({ k: event['k'], ids: seen.ids.join(',') })
      return seen.count === 6 ? undefined : seen
    },
    columns: [field('k', t.text), field('ids', t.text)],
  },
  'over a union of a stream with itself': {
    op: 'over',
    input: {
      op: 'union',
      inputs: [
        stream,
        { op: 'filter', input: stream, where: call('>', t.boolean, column(columns, 'n'), literal(5, t.int)), columns },
      ],
      columns,
    },
    partitionBy: [1],
    order: [{ column: 4, descending: false, nullsFirst: false }],
    time: 4,
    calls: [overCall(aggregate('count', t.bigint), 'rows', '..', -1)],
    windowEnd: null,
    keep: null,
    columns: [...columns, field('before', t.bigint)],
  },
  'group over a top over a group': group(
    {
      op: 'top',
      input: table,
      partitionBy: [],
      order: [{ column: 3, descending: true, nullsFirst: false }],
      limit: 7,
      rank: false,
      columns,
    },
    [1],
    null,
    'update',
  ),
}
function inputsOf(next: () => number, count: number): Input[] {
  return Array.from({ length: count }, (_, i): Input => {
    const topic = next() < 0.5 ? 's' : 't'
    const id = Math.floor(next() * 12)
    const at = 1_000_000 + i * 150 - Math.floor(next() < 0.1 ? next() * 8_000 : next() * 900)
    const value = {
      id,
      k: next() < 0.1 ? null : 'abc'[Math.floor(next() * 3)],
      n: next() < 0.1 ? null : Math.floor(next() * 10),
      x: next() < 0.1 ? null : (next() - 0.3) * 1000,
      at,
    }
    const deleted = topic === 't' && next() < 0.2
    return { topic, partition: 0, key: topic === 't' ? String(id) : null, timeMs: at, value: deleted ? null : value }
  })
}
const rowsOf = (bench: Bench): string[] => bench.deltas.flat().map((d) => `${d.weight} ${show(d.values)}`)

for (const [name, plan] of Object.entries(plans))
  test(`${name}: undone steps leave no trace, a restart changes nothing`, () => {
    for (let seed = 1; seed <= 8; seed++) {
      const next = random(seed)
      const pieces = cuts(inputsOf(next, 150), next, 12)
      const plain = new Bench(plan)
      const shaken = new Bench(plan)
      pieces.forEach((piece, i) => {
        plain.step(piece)
        shaken.commit()
        if (next() < 0.4)
          shaken.tryOut(() => {
            for (const other of pieces.slice(i, i + 1 + Math.floor(next() * 3))) shaken.step(other)
          })
        if (next() < 0.3) shaken.restart()
        shaken.step(piece)
      })
      plain.finish()
      shaken.commit()
      shaken.restart()
      shaken.finish()
      assert.deepEqual(rowsOf(shaken), rowsOf(plain), `seed ${seed}`)
      assert.equal(shaken.late, plain.late)
      assert.ok(rowsOf(plain).length > 0, 'there is something to compare')
    }
  })
test('a function that throws changes nothing of its key, and its neighbours go on', () => {
  const plan: Plan = {
    op: 'process',
    input: source('s', [field('k', t.text), field('n', t.int)]),
    key: [0],
    fn: (event, state, emit) => {
      const box = (state ?? { sum: 0 }) as { sum: number }
      box.sum += event['n'] as number
      emit({ k: event['k'], sum: box.sum })
      if (event['n'] === 13) throw new Error('unlucky')
      return box
    },
    columns: [field('k', t.text), field('sum', t.int)],
  }
  const bench = new Bench(plan)
  bench.step([1, 13, 2].map((n): Input => ({ topic: 's', partition: 0, value: { k: 'a', n } })))
  assert.deepEqual(
    bench.deltas.flat().map((d) => d.values),
    [
      ['a', 1],
      ['a', 3],
    ],
  )
  assert.deepEqual(bench.failed, ['a function failed: unlucky'])
})
test('state of another plan is refused', () => {
  const one = new Bench(plans['group over a stream']!)
  one.step(inputsOf(random(1), 20))
  one.commit()
  const other = new Bench(group(stream, [2], null, 'update'))
  for (const entry of one.changelog.values()) other.graph.restore(entry.key, entry.value)
  assert.throws(() => other.graph.restored('view'), /not of this plan/)
})
