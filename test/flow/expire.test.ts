/** Filters by the clock against their definition, at every moment: rows that come and go, and are withdrawn meanwhile. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Expression } from '../../src/flow/expression.ts'
import type { Plan } from '../../src/flow/plan.ts'
import { Bench, call, column, field, type Input, literal, random, show, sorted, source, t } from './plans.ts'

const columns = [field('id', t.int, false), field('at', t.timestamptz)]
const span = { from: -2_000, until: 5_000 }
const moved = (ms: number): Expression =>
  call(
    '+',
    t.timestamptz,
    column(columns, 'at'),
    literal({ months: 0, days: 0, micros: ms * 1000 }, { kind: 'interval' }),
  )
const planOf = (mode: 'append' | 'upsert', bounds: { from: boolean; until: boolean }): Plan => ({
  op: 'expire',
  input: source('s', columns, mode === 'upsert' ? { mode, key: [0] } : {}),
  from: bounds.from ? moved(span.from) : null,
  until: bounds.until ? moved(span.until) : null,
  columns,
})

for (const mode of ['append', 'upsert'] as const)
  for (const bounds of [
    { from: true, until: true },
    { from: true, until: false },
    { from: false, until: true },
  ])
    test(`${mode}, ${JSON.stringify(bounds)}: what stands there is what the definition says, at every moment`, () => {
      for (let seed = 1; seed <= 20; seed++) {
        const next = random(seed)
        const bench = new Bench(planOf(mode, bounds))
        const rows = new Map<number, number | null>()
        let count = 0
        for (let step = 0; step < 60; step++) {
          const inputs = Array.from({ length: Math.floor(next() * 4) }, (): Input => {
            const id = mode === 'upsert' ? Math.floor(next() * 6) : count++
            const place = { topic: 's', partition: 0, key: String(id), timeMs: bench.nowMs }
            if (mode === 'upsert' && next() < 0.2) {
              rows.delete(id)
              return { ...place, value: null }
            }
            const at = next() < 0.1 ? null : bench.nowMs + Math.floor((next() - 0.5) * 16_000)
            rows.set(id, at)
            return { ...place, value: { id, at: at === null ? null : new Date(at).toISOString() } }
          })
          bench.step(inputs)
          const wanted = [...rows].filter(
            ([, at]) =>
              at !== null &&
              (!bounds.from || bench.nowMs >= at + span.from) &&
              (!bounds.until || bench.nowMs < at + span.until),
          )
          assert.deepEqual(
            sorted(bench.sum()),
            sorted(new Map(wanted.map(([id, at]) => [show([id, at! * 1000]), 1]))),
            `seed ${seed}, step ${step}`,
          )
          if (next() < 0.4) {
            bench.commit()
            if (next() < 0.4) bench.restart()
          }
          // Either straight to the next change, or past several of them.
          const due = bench.graph.nextDueMs()
          if (next() < 0.5 && due < Infinity) bench.nowMs = Math.max(bench.nowMs, due)
          else bench.nowMs += Math.floor(next() * 4_000)
        }
        if (bounds.until) {
          bench.nowMs += 100_000
          bench.step([])
          assert.equal(bench.sum().size, 0)
          assert.equal(bench.graph.nodes.at(-1)!.tables[0]!.count, 0)
        }
      }
    })
