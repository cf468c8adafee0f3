/**
 * OVER against its definition, computed row by row: random calls with random frames, over streams and tables, restated
 * after every step, and waiting for event time; with undone steps and restarts.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Order, OverCall, Plan } from '../../src/flow/plan.ts'
import type { DataType } from '../../src/schema/types.ts'
import {
  Bench,
  type Input,
  aggregate,
  column,
  cuts,
  field,
  literal,
  overCall,
  overPlan,
  random,
  show,
  sorted,
  source,
  t,
} from './plans.ts'

const columns = [field('id', t.int, false), field('k', t.text), field('n', t.int), field('at', t.timestamptz)]
interface Row {
  readonly id: number
  readonly k: string | null
  readonly n: number | null
  /** ms */
  readonly at: number
}
type Next = () => number
const pick = <T>(next: Next, items: readonly T[]): T => items[Math.floor(next() * items.length)]!

const id = [column(columns, 'id')]
const rankings = ['row_number', 'rank', 'dense_rank'] as const
const whole = ['percent_rank', 'cume_dist', 'ntile'] as const
/** A call; `scale`: what one step of a range is. `ends`: nothing looks at all that may come. */
function randomCall(next: Next, scale: number, ends: boolean): readonly [OverCall, DataType] {
  const kind = next()
  if (kind < 0.2) return [overCall(aggregate(pick(next, rankings), t.bigint)), t.bigint]
  if (kind < 0.3 && !ends) {
    const name = pick(next, whole)
    if (name === 'ntile') return [overCall(aggregate(name, t.int, [literal(1 + Math.floor(next() * 5), t.int)])), t.int]
    return [overCall(aggregate(name, t.double)), t.double]
  }
  if (kind < 0.5) {
    const args = [...id, literal(Math.floor(next() * 3), t.int)]
    const name = pick(next, ['lag', 'lead'])
    return [overCall(aggregate(name, t.int, next() < 0.5 ? args : [...args, column(columns, 'n')])), t.int]
  }
  const unit = pick(next, ['rows', 'range'] as const)
  const by = unit === 'rows' ? 1 : scale
  const points: readonly ('..' | number)[] = [
    '..',
    -3 * by,
    -2 * by,
    -by,
    0,
    by,
    2 * by,
    ...(ends ? [] : (['..'] as const)),
  ]
  const from = Math.floor(next() * (points.length - (ends ? 0 : 1)))
  const to = Math.max(1, from + Math.floor(next() * (points.length - from)))
  const call = pick(next, [
    aggregate('count', t.bigint),
    aggregate('sum', t.bigint, id),
    aggregate('sum', t.bigint, [column(columns, 'n')]),
    aggregate('min', t.int, id),
    aggregate('max', t.int, [column(columns, 'n')]),
    aggregate('count', t.bigint, [column(columns, 'n')], { distinct: true }),
    aggregate('first_value', t.int, id),
    aggregate('last_value', t.int, id),
  ])
  return [overCall(call, unit, points[from]!, points[to]!), call.type]
}

/** The definition: for each row its frame, row by row. */
function expected(plan: Extract<Plan, { op: 'over' }>, rows: readonly Row[]): unknown[][] {
  const [by] = plan.order
  const key = (row: Row): number | null => (by?.column === 2 ? row.n : by?.column === 3 ? row.at * 1000 : null)
  const order = (a: Row, b: Row): number => {
    if (by === undefined) return 0
    const [x, y] = [key(a), key(b)]
    if (x === null || y === null) return x === y ? 0 : (x === null) === by.nullsFirst ? -1 : 1
    return by.descending ? y - x : x - y
  }
  const out: unknown[][] = []
  for (const k of new Set(rows.map((row) => row.k))) {
    const own = rows.filter((row) => row.k === k).toSorted((a, b) => order(a, b) || a.id - b.id)
    own.forEach((row, i) => {
      const values = plan.calls.map((call) =>
        valueOf(call, own, i, { key, order, descending: by?.descending === true }),
      )
      const { keep } = plan
      if (keep !== null && Number(values[keep.call]) > keep.rank) return
      out.push([row.id, row.k, row.n, row.at * 1000, ...values])
    })
  }
  return out
}
interface Ordering {
  readonly key: (row: Row) => number | null
  readonly order: (a: Row, b: Row) => number
  readonly descending: boolean
}
function valueOf(call: OverCall, own: readonly Row[], i: number, ordering: Ordering): unknown {
  const { key, order, descending } = ordering
  const row = own[i]!
  const before = own.filter((other) => order(other, row) < 0)
  const peers = own.filter((other) => order(other, row) === 0)
  switch (call.name) {
    case 'row_number':
      return i + 1
    case 'rank':
      return before.length + 1
    case 'dense_rank':
      return own.filter((other, j) => order(other, row) <= 0 && (j === 0 || order(own[j - 1]!, other) !== 0)).length
    case 'percent_rank':
      return own.length === 1 ? 0 : before.length / (own.length - 1)
    case 'cume_dist':
      return (before.length + peers.length) / own.length
    case 'ntile': {
      const [buckets] = call.args
      const sizes = Array.from({ length: buckets!.kind === 'literal' ? (buckets!.value as number) : 1 }, () => 0)
      for (let j = 0; j < own.length; j++) sizes[j % sizes.length]!++
      let bucket = 0
      for (let left = i; left >= sizes[bucket]!; bucket++) left -= sizes[bucket]!
      return bucket + 1
    }
    case 'lag':
    case 'lead': {
      const offset = call.args[1]!.kind === 'literal' ? (call.args[1]!.value as number) : 1
      const other = own[call.name === 'lag' ? i - offset : i + offset]
      return other === undefined ? (call.args[2] === undefined ? null : row.n) : other.id
    }
    default:
  }
  const { frame } = call
  const signed = (end: typeof frame.from): number =>
    'value' in end ? (end.at === 'preceding' ? -end.value : end.value) : 0
  const inFrame = (other: Row, j: number): boolean => {
    if (frame.unit === 'rows') {
      const fromThere = frame.from.at === 'unbounded' || j >= i + signed(frame.from)
      return fromThere && (frame.to.at === 'unbounded' || j <= i + signed(frame.to))
    }
    const at = (end: typeof frame.from, isFrom: boolean): boolean => {
      if (end.at === 'unbounded') return true
      const x = key(row)
      const y = key(other)
      if (end.at === 'current' || x === null) return isFrom ? order(other, row) >= 0 : order(other, row) <= 0
      if (y === null) return isFrom ? order(other, row) > 0 : order(other, row) < 0
      const distance = descending ? x - y : y - x
      return isFrom ? distance >= signed(end) : distance <= signed(end)
    }
    return at(frame.from, true) && at(frame.to, false)
  }
  const framed = own.filter(inFrame)
  const [arg] = call.args
  const values = framed.map((r) => (arg?.kind === 'column' && arg.index === 2 ? r.n : r.id))
  const present = values.filter((v) => v !== null)
  if (call.name === 'first_value') return values[0] ?? null
  if (call.name === 'last_value') return values.at(-1) ?? null
  if (call.name === 'count') return call.distinct ? new Set(present).size : framed.length
  if (present.length === 0) return null
  if (call.name === 'sum') return present.reduce((a, b) => a + b, 0)
  return call.name === 'min' ? Math.min(...present) : Math.max(...present)
}
const counted = (rows: readonly (readonly unknown[])[]): [string, number][] => {
  const sums = new Map<string, number>()
  for (const row of rows) sums.set(show(row), (sums.get(show(row)) ?? 0) + 1)
  return sorted(sums)
}

const rowOf = (next: Next, id: number): Row => ({
  id,
  k: next() < 0.1 ? null : pick(next, ['a', 'b']),
  n: next() < 0.15 ? null : Math.floor(next() * 7),
  at: 1_000_000 + Math.floor(next() * 40) * 100,
})
const json = ({ at, ...row }: Row): unknown => ({ ...row, at: new Date(at).toISOString() })

function checkRestated(mode: 'append' | 'upsert', seed: number, limited: boolean): void {
  const next = random(seed)
  const input = source('s', columns, mode === 'upsert' ? { mode, key: [0] } : {})
  const order: readonly Order[] =
    next() < 0.1 && !limited ? [] : [{ column: 2, descending: next() < 0.5, nullsFirst: next() < 0.5 }]
  const calls = limited
    ? [[overCall(aggregate(pick(next, rankings), t.bigint)), t.bigint] as const]
    : Array.from({ length: 1 + Math.floor(next() * 3) }, () => {
        const call = randomCall(next, 1, false)
        // A range is measured along an order.
        return order.length === 0 && call[0].frame.unit === 'range'
          ? ([overCall(aggregate('sum', t.bigint, id)), t.bigint] as const)
          : call
      })
  const keep = limited ? { call: 0, rank: 1 + Math.floor(next() * 3) } : null
  const plan = overPlan(input, [1], 2, calls, { time: null, order, keep })
  const bench = new Bench(plan)
  let held = new Map<number, Row>()
  let made = 0
  const tell = (rows: Map<number, Row>): Input => {
    const id = mode === 'append' ? made++ : Math.floor(next() * 15)
    const topic = { topic: 's', partition: 0, key: String(id) }
    if (mode === 'upsert' && next() < 0.3) {
      rows.delete(id)
      return { ...topic, value: null }
    }
    const row = rowOf(next, id)
    rows.set(id, row)
    return { ...topic, value: json(row) }
  }
  for (let step = 0; step < 12; step++) {
    bench.step(Array.from({ length: Math.floor(next() * 6) }, () => tell(held)))
    assert.deepEqual(
      sorted(bench.sum()),
      counted(expected(plan, [...held.values()])),
      `seed ${seed}, step ${step}: ${JSON.stringify(plan.calls)} ${JSON.stringify(order)}`,
    )
    if (next() < 0.3) {
      bench.commit()
      const [before, count] = [new Map(held), made]
      bench.tryOut(() => void bench.step(Array.from({ length: 4 }, () => tell(held))))
      held = before
      made = count
      if (next() < 0.4) bench.restart()
    }
  }
}
for (const mode of ['append', 'upsert'] as const) {
  test(`restated over ${mode === 'append' ? 'a stream' : 'a table'}: after every step as computed anew`, () => {
    for (let seed = 1; seed <= 70; seed++) checkRestated(mode, seed, false)
  })
  test(`the first ranks of ${mode === 'append' ? 'a stream' : 'a table'}: after every step as computed anew`, () => {
    for (let seed = 1; seed <= 40; seed++) checkRestated(mode, seed, true)
  })
}
test('what only looks back so far keeps nothing of a partition that has been silent for longer', () => {
  const call = [overCall(aggregate('sum', t.bigint, id), 'range', -1_000_000, 0), t.bigint] as const
  const distinct = [
    overCall(aggregate('count', t.bigint, id, { distinct: true }), 'range', -500_000, 0),
    t.bigint,
  ] as const
  const bench = new Bench(overPlan(source('s', columns, { time: { column: 3, delayMs: 0 } }), [1], 3, [call, distinct]))
  const event = (id: number, k: string, at: number): Input => ({
    topic: 's',
    partition: 0,
    value: json({ id, k, n: 0, at }),
  })
  for (let i = 0; i < 300; i++) {
    bench.step([event(i, `k${i}`, 1_000_000 + i * 100)])
    bench.commit()
    if (i % 50 === 0) bench.restart()
  }
  const counts = bench.graph.nodes.at(-1)!.tables.map(({ count }) => count)
  assert.ok(
    counts.every((count) => count > 0 && count < 14),
    counts.join(),
  )
  // A key that comes again begins anew.
  const again = bench.step([event(300, 'k1', 1_040_000), event(301, 'k2', 1_050_000)])
  assert.deepEqual(
    [...again, ...bench.finish()].map(({ values }) => [values[1], values[4], values[5]]),
    [
      ['k1', 300, 1],
      ['k2', 301, 1],
    ],
  )
})
test('ranks behind the first ones of a stream are forgotten', () => {
  const plan = overPlan(source('s', columns), [], 2, [[overCall(aggregate('dense_rank', t.bigint)), t.bigint]], {
    time: null,
    keep: { call: 0, rank: 2 },
  })
  const bench = new Bench(plan)
  const next = random(5)
  for (let i = 0; i < 50; i++)
    bench.step([
      { topic: 's', partition: 0, value: json({ id: i, k: 'a', n: 1000 - Math.floor(next() * 500), at: 0 }) },
    ])
  assert.ok(bench.graph.nodes.at(-1)!.tables[0]!.count < 8)
})

test('waiting: each row once, as computed from all of them, when the watermark lets it', () => {
  let early = 0
  for (let seed = 1; seed <= 80; seed++) {
    const next = random(seed)
    const delayMs = 1_000
    const rows = Array.from({ length: 60 }, (_, i): Row => ({
      ...rowOf(next, i),
      at: 1_000_000 + i * 60 - Math.floor(next() * 10) * 100,
    }))
    const calls = Array.from({ length: 1 + Math.floor(next() * 3) }, () => randomCall(next, 100_000, true))
    const plan = overPlan(source('s', columns, { time: { column: 3, delayMs } }), [1], 3, calls)
    const bench = new Bench(plan)
    const given: string[] = []
    const take = (out: readonly { readonly weight: number; readonly values: readonly unknown[] }[]): void => {
      for (const { weight, values } of out) {
        assert.equal(weight, 1)
        given.push(show(values))
      }
    }
    for (const piece of cuts(rows, next, 9)) {
      take(bench.step(piece.map((row): Input => ({ topic: 's', partition: 0, value: json(row) }))))
      if (next() < 0.3) {
        bench.commit()
        bench.tryOut(() => void bench.step([{ topic: 's', partition: 0, value: json({ ...rows[0]!, at: 2_000_000 }) }]))
        if (next() < 0.5) bench.restart()
      }
    }
    early += given.length / rows.length / 80
    take(bench.finish())
    assert.equal(bench.late, 0)
    const wanted = expected(plan, rows).map((row) => show(row))
    assert.deepEqual(given.toSorted(), wanted.toSorted(), `seed ${seed}: ${JSON.stringify(plan.calls)}`)
  }
  assert.ok(early > 0.5, `${early}`)
})
