/** State that memory has no room for: the same rows in the same order, step for step, as where all of it is in memory. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeldParts } from '../../src/flow/parts/held-parts.ts'
import type { Plan } from '../../src/flow/plan.ts'
import { keyOfChangelog } from '../../src/flow/state-marks.ts'
import { simulate } from '../../src/lib/sim/world.ts'
import { aggregate, Bench, column, field, type Input, source, t } from './plans.ts'
import { type Next, restored, spilled, twins, whole } from './spill-twins.ts'

const columns = [field('id', t.int, false), field('k', t.text), field('n', t.int), field('s', t.text)]
const kinds = ['inner', 'left', 'right', 'full', 'semi', 'anti'] as const
const modes = [
  ['append', 'append'],
  ['append', 'upsert'],
  ['upsert', 'upsert'],
] as const

function told(topic: string, mode: 'append' | 'upsert', next: Next, count: number): Input {
  const id = mode === 'upsert' ? whole(next, 30) : count
  const key = String(id)
  if (mode === 'upsert' && next() < 0.2) return { topic, partition: 0, key, value: null }
  const k = next() < 0.1 ? null : `key ${whole(next, 12)}`
  const row = { id, k, n: whole(next, 5), s: 'x'.repeat(whole(next, 200)) }
  return { topic, partition: 0, key, value: row }
}
const seeds = Number(process.env['RUNS'] ?? 3)
for (const kind of kinds)
  test(`a ${kind} join`, () => {
    for (const of of modes) {
      const sides = of.map((mode, i) => source('lr'[i]!, columns, mode === 'upsert' ? { mode, key: [0] } : {}))
      const plan: Plan = {
        op: 'join',
        left: sides[0]!,
        right: sides[1]!,
        kind,
        leftKeys: [1],
        rightKeys: [1],
        windowEnd: null,
        where: null,
        columns: kind === 'semi' || kind === 'anti' ? columns : [...columns, ...columns],
      }
      let most = 0
      for (let seed = 1; seed <= seeds; seed++)
        most = Math.max(
          most,
          twins(
            plan,
            (next, count) => {
              const side = next() < 0.5 ? 0 : 1
              return told('lr'[side]!, of[side]!, next, count)
            },
            seed,
            `${kind} ${of.join(' ')}`,
          ),
        )
      assert.ok(most > 20, `${most} rows in files`)
    }
  })

const many = (plan: Plan, mode: 'append' | 'upsert', what: string): void => {
  let most = 0
  for (let seed = 1; seed <= seeds * 2; seed++)
    most = Math.max(
      most,
      twins(plan, (next, count) => told('l', mode, next, count), seed, what),
    )
  assert.ok(most > 5, `${most} rows in files`)
}
const append = source('l', columns)
const upsert = source('l', columns, { mode: 'upsert', key: [0] })

test('a table by itself', () => many(upsert, 'upsert', 'a table'))
test('a table by a key of texts', () => {
  const byText = source('l', columns, { mode: 'upsert', key: [1] })
  let most = 0
  for (let seed = 1; seed <= seeds * 2; seed++)
    most = Math.max(
      most,
      twins(
        byText,
        (next, id) => {
          const k = `key ${whole(next, 40)}`
          const value = next() < 0.2 ? null : { id, k, n: whole(next, 5), s: 'x'.repeat(whole(next, 200)) }
          return { topic: 'l', partition: 0, key: k, value }
        },
        seed,
        'a table by texts',
      ),
    )
  assert.ok(most > 5, `${most} rows in files`)
})

for (const [what, input, mode] of [
  ['of a stream', append, 'append'],
  ['of a table', upsert, 'upsert'],
] as const)
  test(`GROUP BY ${what}`, () => {
    const calls =
      mode === 'append'
        ? [aggregate('count', t.bigint), aggregate('max', t.text, [column(columns, 's')])]
        : [aggregate('count', t.bigint), aggregate('sum', t.bigint, [column(columns, 'n')])]
    const plan: Plan = {
      op: 'aggregate',
      input,
      keys: [1, 2],
      aggregates: calls,
      windowEnd: null,
      emit: 'update',
      columns: [columns[1]!, columns[2]!, field('c', t.bigint), field('x', calls[1]!.type)],
    }
    many(plan, mode, what)
  })

for (const rank of [false, true])
  test(`the first three of each partition${rank ? ', with their ranks' : ''}`, () => {
    const plan: Plan = {
      op: 'top',
      input: append,
      partitionBy: [1],
      order: [
        { column: 2, descending: true, nullsFirst: false },
        { column: 3, descending: false, nullsFirst: true },
      ],
      limit: 3,
      offset: 0,
      rank,
      columns: rank ? [...columns, field('rank', t.bigint)] : columns,
    } as Plan
    many(plan, 'append', `top ${rank}`)
  })

for (const [what, threads, ttl] of [
  ['', 0, {}],
  ['; in parts on two more threads', 2, {}],
  ['; where rows are forgotten by the clock', 0, { ttlMs: 5_000 }],
] as const)
  test(`a start whose changelog has older rows of keys, and rows that were removed${what}`, () => {
    const [stream, table] = [source('l', columns), source('l', columns, { mode: 'upsert', key: [0] })]
    const group = (input: Plan): Plan => ({
      op: 'aggregate',
      input,
      keys: [0],
      aggregates: [aggregate('count', t.bigint), aggregate('sum', t.bigint, [column(columns, 'n')])],
      windowEnd: null,
      emit: 'update',
      columns: [columns[0]!, field('c', t.bigint), field('x', t.bigint)],
    })
    const top: Plan = {
      op: 'top',
      input: stream,
      partitionBy: [0],
      order: [{ column: 2, descending: true, nullsFirst: false }],
      limit: 3,
      rank: false,
      columns,
    }
    const join = (kind: (typeof kinds)[number]): Plan => ({
      op: 'join',
      left: table,
      right: source('r', columns, { mode: 'upsert', key: [0] }),
      kind,
      leftKeys: [1],
      rightKeys: [1],
      windowEnd: null,
      where: null,
      columns: [...columns, ...columns],
    })
    const row = (topic: string, next: Next): Input => {
      const id = whole(next, 60)
      const value = { id, k: `key ${id % 25}`, n: whole(next, 1000), s: 'x'.repeat(whole(next, 100)) }
      return { topic, partition: 0, key: String(id), value }
    }
    const changed = (topic: string, next: Next): Input => {
      const input = row(topic, next)
      return next() < 0.4 ? { ...input, value: null } : input
    }
    for (let seed = threads + 1; seed <= seeds; seed += 2) {
      restored(table, (next) => changed('l', next), seed, 'a table', threads, ttl)
      restored(group(stream), (next) => row('l', next), seed, 'GROUP BY of a stream', threads, ttl)
      restored(group(table), (next) => changed('l', next), seed, 'GROUP BY of a table', threads, ttl)
      for (const kind of ['inner', 'full'] as const)
        restored(join(kind), (next) => changed(next() < 0.5 ? 'l' : 'r', next), seed, `${kind} join`, threads, ttl)
      restored(
        top,
        (next, count) => {
          const { value } = row('l', next)
          // Ever higher, so that places in partitions are taken again and again.
          return { topic: 'l', partition: 0, key: null, value: { ...(value as object), n: count } }
        },
        seed,
        'top',
        threads,
        ttl,
      )
    }
  })

test('parts on another thread make room while they are restored, after rows went that they had known of', () => {
  const plan = source('l', columns, { mode: 'upsert', key: [0] })
  const { disk } = simulate(1)
  const memory = { bytes: 1 << 20, folder: 'spill' }
  const held = new HeldParts({ plan, parts: [0], parallelism: 1, steps: [1], ttlMs: null, memory }, disk)
  const bench = new Bench(plan)
  const write = (id: number, n: number | null): void => {
    bench.step([{ topic: 'l', partition: 0, key: String(id), value: n === null ? null : { id, k: 'k', n, s: 'x' } }])
    bench.commit()
  }
  for (let id = 0; id < 20; id++) write(id, id)
  const known = bench.history.length
  for (let id = 0; id < 10; id++) write(id, null)
  // In their places.
  for (let id = 20; id < 30; id++) write(id, id)
  for (let id = 20; id < 25; id++) write(id, null)
  const first = keyOfChangelog(bench.history.find(({ key }) => keyOfChangelog(key).operator !== 0)!.key)
  const restore = (entries: typeof bench.history): void => {
    for (const { key, value, timeMs } of entries) {
      const { operator, table, rest } = keyOfChangelog(key)
      if (operator === first.operator) held.restore(1, 0, table, rest, value, timeMs)
    }
  }
  restore(bench.history.slice(0, known))
  held.evict(1, 1)
  restore(bench.history.slice(known))
  held.evict(1, 1 << 20)
  held.restored()
  const [{ state, operator }] = held.at(1).operators as [(typeof held.steps)[number]['operators'][number]]
  assert.equal(state[0]!.count, 0)
  assert.equal(operator.content!(state).count, 0)
  assert.ok(state[0]!.rows >= 15)
})

/** Both sides of an inner join of streams by `k`, with little memory. */
function joined(disk: ReturnType<typeof simulate>['disk'], fileBytes = 64 << 20): Bench {
  const plan: Plan = {
    op: 'join',
    left: source('l', columns),
    right: source('r', columns),
    kind: 'inner',
    leftKeys: [1],
    rightKeys: [1],
    windowEnd: null,
    where: null,
    columns: [...columns, ...columns],
  }
  return new Bench(plan, {}, { memory: { bytes: 100_000, disk, folder: 'spill', fileBytes } })
}
const hot = (topic: string, id: number): Input => ({ topic, partition: 0, value: { id, k: 'hot', n: 0, s: 'x' } })

test('a key of very many rows goes and comes back', () => {
  const bench = joined(simulate(1).disk)
  const count = 150_000
  bench.step(Array.from({ length: count }, (_, id) => hot('l', id)))
  bench.commit()
  assert.equal(spilled(bench), count)
  assert.equal(bench.step([hot('r', 0)]).length, count)
})
test('rows of a key go to files beside those that are there, which need not come back for them', () => {
  const bench = joined(simulate(1).disk)
  for (let step = 0; step < 20; step++) {
    bench.step(Array.from({ length: 2_000 }, (_, i) => hot('l', step * 2_000 + i)))
    bench.commit()
  }
  assert.equal(bench.graph.readFromFilesBytes, 0)
  const ids = bench.step([hot('r', 0)]).map(({ values }) => values[0])
  assert.equal(new Set(ids).size, 40_000)
})
test('what the disk gives back otherwise than it was written is a fault that passes', () => {
  for (const spoil of ['changed', 'short']) {
    const { disk } = simulate(1)
    const bench = joined(disk)
    bench.step(Array.from({ length: 2_000 }, (_, id) => hot('l', id)))
    bench.commit()
    const file = disk.open('spill/0', 'write')
    if (spoil === 'changed') file.write([Buffer.from('!')], 50_000)
    else file.truncate(50_000)
    assert.throws(() => bench.step([hot('r', 0)]), { code: 'store.failed', retry: true }, spoil)
  }
})
test('a folder that nothing can be done with is a fault that passes, and ends neither a start nor a stop', () => {
  const { disk } = simulate(1)
  const refused = (): never => {
    throw Object.assign(new Error('EPERM'), { code: 'EPERM' })
  }
  const readOnly = new Proxy(disk, {
    get: (of, name) =>
      name === 'remove' || name === 'makeDirectory' ? refused : (Reflect.get(of, name) as () => void).bind(of),
  })
  const bench = joined(readOnly)
  bench.step(Array.from({ length: 2_000 }, (_, id) => hot('l', id)))
  assert.throws(() => bench.commit(), { code: 'store.failed', retry: true })
  bench.graph.closeFiles()
})
