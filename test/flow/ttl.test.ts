/** State that was not written for `state_ttl` goes without a word: rows, groups, first rows; what comes then finds nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan } from '../../src/flow/plan.ts'
import { simulate } from '../../src/lib/sim/world.ts'
import { aggregate, Bench, column, field, type Input, source, t } from './plans.ts'

const columns = [field('id', t.int, false), field('k', t.text), field('n', t.int)]
const ttlMs = 1_000
const row = (topic: string, id: number, k: string, n = 1): Input => ({
  topic,
  partition: 0,
  key: String(id),
  value: { id, k, n },
})
const gone = (topic: string, id: number): Input => ({ topic, partition: 0, key: String(id), value: null })
const shown = (rows: readonly { readonly weight: number; readonly values: readonly unknown[] }[]): string[] =>
  rows.map(({ weight, values }) => `${weight > 0 ? '+' : '-'} ${values.join(' ')}`)
function tick(bench: Bench, atMs: number, ...inputs: Input[]): string[] {
  bench.nowMs = 1_000_000 + atMs
  const out = shown(bench.step(inputs))
  bench.commit()
  return out
}
const stateRows = ({ graph }: Bench): number =>
  graph.nodes.reduce((sum, { tables, operator }) => sum + (operator?.kind === 'upsert' ? 0 : (tables[0]?.rows ?? 0)), 0)
/** Of the changelog, but for those of the clocks: format version, slot, operator. */
const entriesOf = ({ changelog }: Bench): number => [...changelog.values()].filter(({ key }) => key[2] !== 0).length
const modes = { append: {}, upsert: { mode: 'upsert', key: [0] } } as const
const join = (kind: 'inner' | 'left', mode: keyof typeof modes): Plan => ({
  op: 'join',
  left: source('l', columns, modes[mode]),
  right: source('r', columns, modes[mode]),
  kind,
  leftKeys: [1],
  rightKeys: [1],
  windowEnd: null,
  where: null,
  columns: [...columns, ...columns],
})

const counts: Plan = {
  op: 'aggregate',
  input: source('l', columns),
  keys: [1],
  aggregates: [aggregate('count', t.bigint)],
  windowEnd: null,
  emit: 'update',
  columns: [columns[1]!, field('c', t.bigint)],
}

test('a join meets rows that were written within the time, also after a restart and after an undone tick', () => {
  const bench = new Bench(join('inner', 'append'), {}, { ttlMs })
  tick(bench, 0, row('l', 1, 'a'))
  tick(bench, 600, row('l', 2, 'a'))
  assert.deepEqual(tick(bench, 999, row('r', 3, 'a')), ['+ 1 a 1 3 a 1', '+ 2 a 1 3 a 1'])
  // The first one is old now: a tick that sees it go and is undone leaves it where it was, as does a restart.
  bench.nowMs = 1_000_000 + 1_100
  bench.tryOut(() => assert.deepEqual(shown(bench.step([row('r', 4, 'a')])), ['+ 2 a 1 4 a 1']))
  bench.restart()
  assert.deepEqual(tick(bench, 1_100, row('r', 4, 'a')), ['+ 2 a 1 4 a 1'])
  assert.deepEqual(tick(bench, 1_700, row('r', 5, 'a')), [])
  assert.deepEqual(tick(bench, 2_699, row('l', 6, 'a')), ['+ 6 a 1 5 a 1'])
  tick(bench, 9_000)
  assert.equal(stateRows(bench), 0)
  assert.equal(entriesOf(bench), 0)
})

test('what a tick wrote that was undone is as old as it was before', () => {
  const bench = new Bench(counts, {}, { ttlMs })
  assert.deepEqual(tick(bench, 0, row('l', 1, 'a')), ['+ a 1'])
  bench.nowMs = 1_000_000 + 900
  bench.tryOut(() => assert.deepEqual(shown(bench.step([row('l', 2, 'a')])), ['- a 1', '+ a 2']))
  assert.deepEqual(tick(bench, 1_000, row('l', 2, 'a')), ['+ a 1'])
})

test('a withdrawal of what has gone changes nothing', () => {
  const bench = new Bench(join('left', 'upsert'), {}, { ttlMs })
  assert.deepEqual(tick(bench, 0, row('l', 1, 'a')), ['+ 1 a 1   '])
  assert.deepEqual(tick(bench, 2_000, gone('l', 1)), [])
  assert.deepEqual(tick(bench, 2_100, row('l', 1, 'b')), ['+ 1 b 1   '])
})

test('a group begins anew', () => {
  const plan: Plan = {
    op: 'aggregate',
    input: source('l', columns),
    keys: [1],
    aggregates: [
      aggregate('count', t.bigint),
      aggregate('count', t.bigint, [column(columns, 'n')], { distinct: true }),
    ],
    windowEnd: null,
    emit: 'update',
    columns: [columns[1]!, field('c', t.bigint), field('d', t.bigint)],
  }
  const bench = new Bench(plan, {}, { ttlMs })
  assert.deepEqual(tick(bench, 0, row('l', 1, 'a', 1), row('l', 2, 'b', 1)), ['+ a 1 1', '+ b 1 1'])
  assert.deepEqual(tick(bench, 900, row('l', 3, 'a', 2)), ['- a 1 1', '+ a 2 2'])
  assert.deepEqual(tick(bench, 1_100, row('l', 4, 'b', 1)), ['+ b 1 1'])
  assert.deepEqual(tick(bench, 1_800, row('l', 5, 'a', 2)), ['- a 2 2', '+ a 3 2'])
  assert.deepEqual(tick(bench, 2_900, row('l', 6, 'a', 1)), ['+ a 1 1'])
  assert.equal(stateRows(bench), 1)
})

for (const limit of [2, 100])
  test(`first rows, ${limit} of each partition`, () => {
    const plan: Plan = {
      op: 'top',
      input: source('l', columns),
      partitionBy: [1],
      order: [{ column: 2, descending: true, nullsFirst: false }],
      limit,
      rank: false,
      columns,
    }
    const bench = new Bench(plan, {}, { ttlMs })
    tick(bench, 0, row('l', 1, 'a', 5), row('l', 2, 'b', 5))
    tick(bench, 600, row('l', 3, 'b', 4))
    const late = tick(bench, 1_100, row('l', 4, 'a', 1), row('l', 5, 'b', 6))
    // Of a partition with slots all go together: b was written to lately.
    assert.deepEqual(late, limit === 2 ? ['+ 4 a 1', '- 3 b 4', '+ 5 b 6'] : ['+ 4 a 1', '+ 5 b 6'])
    assert.equal(stateRows(bench), 3)
    tick(bench, 5_000)
    assert.equal(stateRows(bench), 0)
  })

test('rows in files get older too', () => {
  const memory = { bytes: 1, disk: simulate(1).disk, folder: 'spill' }
  const joined = new Bench(join('inner', 'append'), {}, { ttlMs, memory })
  const counted = new Bench(counts, {}, { ttlMs, memory: { ...memory, folder: 'other' } })
  for (const bench of [joined, counted]) {
    tick(bench, 0, row('l', 1, 'a'), row('l', 2, 'b'))
    // Only keys that were not used since the hand came by go.
    for (let more = 1; more <= 3; more++) tick(bench, more)
    assert.equal(stateRows(bench), 2)
    assert.equal(bench.graph.nodes.at(-1)!.tables[0]!.count, 0, 'all are in files')
  }
  assert.deepEqual(tick(joined, 900, row('r', 3, 'a')), ['+ 1 a 1 3 a 1'])
  assert.deepEqual(tick(joined, 1_500, row('r', 4, 'b')), [])
  assert.deepEqual(tick(counted, 900, row('l', 3, 'a')), ['- a 1', '+ a 2'])
  assert.deepEqual(tick(counted, 1_500, row('l', 4, 'b')), ['+ b 1'])
})
