/** Global windows against plain loops over all rows: each trigger with each kind of what a window keeps. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Kept, Plan, Trigger } from '../../src/flow/plan.ts'
import { Bench, type Input, aggregate, column, cuts, field, random, show, source, t } from './plans.ts'

const columns = [
  field('k', t.text),
  field('n', t.int),
  field('x', t.double),
  field('f', t.boolean),
  field('w', t.boolean),
  field('at', t.timestamptz),
]
const delayMs = 2_000
const of = (name: string) => column(columns, name)
const windows = (trigger: Partial<Trigger>, keep: Kept): Plan => ({
  op: 'global-window',
  input: source('s', columns, { time: { column: 5, delayMs } }),
  keys: [0],
  aggregates: [
    aggregate('count', t.bigint),
    aggregate('sum', t.bigint, [of('n')]),
    aggregate('min', t.int, [of('n')]),
    aggregate('max', t.double, [of('x')]),
    aggregate('count', t.bigint, [of('n')], { distinct: true }),
    aggregate('sum', t.double, [of('x')], { filter: of('f') }),
  ],
  time: 5,
  trigger: { rows: null, when: null, afterMs: null, everyMs: null, clock: 'event', ...trigger },
  keep,
  columns: [
    columns[0]!,
    field('count', t.bigint),
    field('sum', t.bigint),
    field('min', t.int),
    field('max', t.double),
    field('distinct', t.bigint),
    field('filtered', t.double),
  ],
})
interface Event {
  readonly k: string
  readonly n: number | null
  readonly x: number
  readonly f: boolean
  readonly w: boolean | null
  readonly at: number
}
const eventsOf = (next: () => number, count = 120): Event[] =>
  Array.from({ length: count }, (_, i) => ({
    k: 'abc'[Math.floor(next() * 3)]!,
    n: next() < 0.1 ? null : Math.floor(next() * 6) - 2,
    // Sums of these are exact, in whatever order.
    x: Math.floor(next() * 64) / 8,
    f: next() < 0.5,
    w: next() < 0.1 ? null : next() < 0.1,
    at: 1_000_000 + i * 300 - Math.floor(next() < 0.2 ? next() * 9_000 : next() * 900),
  }))
const input = (event: Event): Input => ({
  topic: 's',
  partition: 0,
  value: { ...event, at: new Date(event.at).toISOString() },
})

/** One row after the other. */
class Loop {
  readonly given: string[] = []
  late = 0
  watermark = -Infinity
  private readonly keys = new Map<string, { rows: Event[]; since: number; due: number }>()
  private readonly trigger: Partial<Trigger>
  private readonly keep: Kept

  constructor(trigger: Partial<Trigger>, keep: Kept) {
    this.trigger = trigger
    this.keep = keep
  }
  get isByClock(): boolean {
    return this.trigger.clock === 'processing'
  }
  event(event: Event, nowMs: number): void {
    if (!this.isByClock) this.fireDue(this.watermark)
    this.take(event, nowMs)
    this.watermark = Math.max(this.watermark, event.at - delayMs)
  }
  private take(event: Event, nowMs: number): void {
    const { keep, trigger } = this
    const key = this.keys.get(event.k) ?? { rows: [] as Event[], since: 0, due: Infinity }
    this.keys.set(event.k, key)
    if (keep.of === 'within' && key.rows.some(({ at }) => event.at <= at - keep.ms)) {
      this.late++
      return
    }
    key.rows.push(event)
    if (keep.of === 'last') key.rows = key.rows.slice(-keep.rows)
    if (keep.of === 'within') {
      const newest = Math.max(...key.rows.map(({ at }) => at))
      key.rows = key.rows.filter(({ at }) => at > newest - keep.ms)
    }
    key.since++
    const from = this.isByClock ? nowMs : event.at
    const { afterMs = null, everyMs = null, rows = null, when = null } = trigger
    if (afterMs !== null) key.due = Math.min(key.due, from + afterMs)
    if (everyMs !== null) key.due = Math.min(key.due, from - (from % everyMs) + everyMs)
    if ((rows !== null && key.since >= rows) || (when !== null && event.w === true)) this.fire(event.k)
  }
  fireDue(upTo: number): void {
    for (;;) {
      const [first] = [...this.keys]
        .filter(([, { due }]) => due <= upTo && due < Infinity)
        .toSorted(([a, x], [b, y]) => x.due - y.due || (a < b ? -1 : 1))
      if (first === undefined) return
      this.fire(first[0])
    }
  }
  private fire(k: string): void {
    const key = this.keys.get(k)!
    const ns = key.rows.flatMap(({ n }) => (n === null ? [] : [n]))
    const filtered = key.rows.filter(({ f }) => f)
    const row = [
      k,
      key.rows.length,
      ns.length === 0 ? null : ns.reduce((a, b) => a + b),
      ns.length === 0 ? null : Math.min(...ns),
      Math.max(...key.rows.map(({ x }) => x)),
      new Set(ns).size,
      filtered.length === 0 ? null : filtered.reduce((sum, { x }) => sum + x, 0),
    ]
    this.given.push(show(row))
    key.since = 0
    key.due = Infinity
    if (this.keep.of === 'none') key.rows = []
  }
}
const rowsOf = (bench: Bench): string[] =>
  bench.deltas.flat().map(({ weight, values }) => {
    assert.equal(weight, 1)
    return show(values)
  })

const triggers: Readonly<Record<string, Partial<Trigger>>> = {
  'every row': { rows: 1 },
  'every 4 rows': { rows: 4 },
  'rows that say so': { when: 4 },
  'a time after the first': { afterMs: 1_700 },
  'spans of time': { everyMs: 2_000 },
  'rows or a time': { rows: 7, afterMs: 3_000, when: 4 },
  'a time by the clock': { afterMs: 1_700, clock: 'processing' },
  'spans by the clock, or rows': { everyMs: 2_500, rows: 9, clock: 'processing' },
}
const kept: readonly Kept[] = [{ of: 'none' }, { of: 'all' }, { of: 'last', rows: 5 }, { of: 'within', ms: 2_500 }]

for (const [name, trigger] of Object.entries(triggers))
  test(`fired by ${name}: as in plain loops, over cuts, undone steps and restarts`, () => {
    let late = 0
    let fired = 0
    for (const keep of kept)
      for (let seed = 1; seed <= 3; seed++)
        for (const longest of [1, 9, 120]) {
          const next = random(seed)
          const events = eventsOf(next)
          const loop = new Loop(trigger, keep)
          const bench = new Bench(windows(trigger, keep))
          for (const piece of cuts(events, next, longest)) {
            bench.nowMs += Math.floor(next() * 900)
            if (loop.isByClock) loop.fireDue(bench.nowMs)
            for (const event of piece) loop.event(event, bench.nowMs)
            if (!loop.isByClock) loop.fireDue(loop.watermark)
            bench.step(piece.map(input))
            if (next() > 0.5) continue
            bench.commit()
            if (next() < 0.4) bench.tryOut(() => void bench.step(eventsOf(next, 20).map(input)))
            if (next() < 0.4) bench.restart()
          }
          const what = `${keep.of}, seed ${seed}, batches up to ${longest}`
          assert.deepEqual(rowsOf(bench), loop.given, what)
          assert.equal(bench.late, loop.late, what)
          late += bench.late
          fired += loop.given.length
          if (loop.isByClock) continue
          loop.fireDue(Number.MAX_VALUE)
          bench.finish()
          assert.deepEqual(rowsOf(bench), loop.given, `${what}, at the end`)
          bench.commit()
          const [left, , rows] = bench.graph.nodes.at(-1)!.tables.map(({ count }) => count)
          if (keep.of === 'none' && (trigger.afterMs ?? trigger.everyMs) !== undefined) assert.equal(left, 0, what)
          if (keep.of === 'last') assert.ok(rows! <= 3 * 5, what)
        }
    assert.ok(fired > 300, `only ${fired} results`)
    assert.ok(late > 0, 'some rows came when the window had gone beyond them')
  })

test('a row that fires twice over fires once, and the clock alone brings rows when it is time', () => {
  const trigger = { rows: 1, when: 4, afterMs: 1_000, clock: 'processing' } as const
  const bench = new Bench(windows(trigger, { of: 'none' }))
  const event = (w: boolean): Input => input({ k: 'a', n: 1, x: 1, f: true, w, at: 1_000_000 })
  assert.equal(bench.step([event(true), event(false)]).length, 2)
  assert.equal(bench.graph.nextDueMs(), Infinity)
  const later = new Bench(windows({ ...trigger, rows: 3 }, { of: 'none' }))
  assert.equal(later.step([event(false)]).length, 0)
  assert.equal(later.graph.nextDueMs(), later.nowMs + 1_000)
  later.nowMs += 1_000
  assert.equal(later.step([]).length, 1)
  assert.equal(later.graph.nextDueMs(), Infinity)
})

test('windows that had no row for the time to live go, with the rows that they kept', () => {
  const ttlMs = 60_000
  for (const keep of kept) {
    const bench = new Bench(windows({ rows: 3 }, keep), {}, { ttlMs })
    const send = (k: string): unknown[] => {
      const given = bench.step([input({ k, n: 1, x: 1, f: true, w: false, at: bench.nowMs })])
      bench.commit()
      return given.map(({ values }) => values.slice(0, 2))
    }
    send('a')
    send('b')
    bench.nowMs += ttlMs / 2
    send('a')
    bench.restart()
    bench.nowMs += (ttlMs * 3) / 4
    send('b')
    bench.commit()
    // b began anew.
    assert.deepEqual(send('b'), [])
    assert.deepEqual(send('b'), [['b', 3]])
    const rows = bench.graph.nodes.at(-1)!.tables
    bench.nowMs += ttlMs * 3
    bench.step([])
    bench.commit()
    assert.deepEqual(
      rows.map(({ count }) => count),
      rows.map(() => 0),
      keep.of,
    )
  }
})

test('an input that withdraws rows is refused', () => {
  const plan = windows({ rows: 3 }, { of: 'none' }) as Plan & { op: 'global-window' }
  const table = source('s', columns, { mode: 'upsert', key: [0] })
  assert.throws(() => new Bench({ ...plan, input: table }), /global window must be append-only/)
})
