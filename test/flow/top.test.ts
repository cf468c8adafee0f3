/** The first rows of each partition, over inputs that only grow and inputs that withdraw: after every batch as sorted anew. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan } from '../../src/flow/plan.ts'
import { Bench, type Input, cuts, field, random, show, sorted, source, t } from './plans.ts'

const columns = [field('id', t.int, false), field('k', t.text), field('n', t.int)]
const limit = 3
const top = (mode: 'append' | 'upsert', rank: boolean): Plan => ({
  op: 'top',
  input: source('s', columns, mode === 'upsert' ? { mode, key: [0] } : {}),
  partitionBy: [1],
  order: [{ column: 2, descending: true, nullsFirst: false }],
  limit,
  rank,
  columns: rank ? [...columns, field('rank', t.bigint)] : columns,
})
interface Row {
  readonly id: number
  readonly k: string
  readonly n: number | null
}
/** NULLs last, ties by `tie`. */
function expected(rows: readonly Row[], rank: boolean, tie: (a: Row, b: Row) => number): Map<string, number> {
  const out = new Map<string, number>()
  for (const k of new Set(rows.map((r) => r.k))) {
    const order = rows
      .filter((r) => r.k === k)
      .toSorted((a, b) => (a.n === null ? 1 : 0) - (b.n === null ? 1 : 0) || (b.n ?? 0) - (a.n ?? 0) || tie(a, b))
    order.slice(0, limit).forEach((r, i) => {
      const text = show([r.id, r.k, r.n, ...(rank ? [i + 1] : [])])
      out.set(text, (out.get(text) ?? 0) + 1)
    })
  }
  return out
}
const rowOf = (next: () => number, id: number): Row => ({
  id,
  k: 'ab'[Math.floor(next() * 2)]!,
  n: next() < 0.1 ? null : Math.floor(next() * 6),
})

for (const rank of [false, true]) {
  test(`append-only${rank ? ', ranked' : ''}: ties by arrival, only the first rows are kept`, () => {
    for (let seed = 1; seed <= 15; seed++) {
      const next = random(seed)
      const rows = Array.from({ length: 120 }, (_, id) => rowOf(next, id))
      const bench = new Bench(top('append', rank))
      let seen = 0
      for (const piece of cuts(rows, next, 9)) {
        bench.step(piece.map((value): Input => ({ topic: 's', partition: 0, value })))
        seen += piece.length
        assert.deepEqual(
          sorted(bench.sum()),
          sorted(expected(rows.slice(0, seen), rank, (a, b) => a.id - b.id)),
          `seed ${seed}`,
        )
      }
      assert.ok(bench.graph.nodes.at(-1)!.tables[0]!.count <= 2 * limit)
    }
  })
  test(`with withdrawals${rank ? ', ranked' : ''}: what moves up comes back`, () => {
    for (let seed = 1; seed <= 15; seed++) {
      const next = random(seed)
      const rows = new Map<number, Row>()
      const bench = new Bench(top('upsert', rank))
      for (let step = 0; step < 40; step++) {
        const inputs: Input[] = []
        for (let i = 0; i < next() * 8; i++) {
          const id = Math.floor(next() * 25)
          if (next() < 0.3) {
            rows.delete(id)
            inputs.push({ topic: 's', partition: 0, key: String(id), value: null })
          } else {
            const row = rowOf(next, id)
            rows.set(id, row)
            inputs.push({ topic: 's', partition: 0, key: String(id), value: row })
          }
        }
        bench.step(inputs)
        assert.deepEqual(
          sorted(bench.sum()),
          sorted(expected([...rows.values()], rank, (a, b) => a.id - b.id)),
          `seed ${seed}, step ${step}`,
        )
      }
    }
  })
}
test('ordered by the event-time column descending, the later arrival of a tie comes first', () => {
  const timed = [field('id', t.int), field('at', t.timestamptz)]
  const plan = (descending: boolean): Plan => ({
    op: 'top',
    input: source('s', timed, { time: { column: 1, delayMs: 0 } }),
    partitionBy: [],
    order: [{ column: 1, descending, nullsFirst: descending }],
    limit: 2,
    rank: false,
    columns: timed,
  })
  const rows = [1, 2, 3].map((id): Input => ({ topic: 's', partition: 0, value: { id, at: 5_000 } }))
  const first = (descending: boolean): unknown[] => {
    const bench = new Bench(plan(descending))
    bench.step(rows)
    return [...bench.sum().keys()].map((k) => (JSON.parse(k) as number[])[0]!).sort((a, b) => a - b)
  }
  assert.deepEqual(first(true), [2, 3])
  assert.deepEqual(first(false), [1, 2])
})
