/**
 * Interval joins against their definition: a pair counts if neither row had been given up by the watermark that stood
 * before the other; however the inputs interleave and are cut.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Expression } from '../../src/flow/expression.ts'
import type { Plan } from '../../src/flow/plan.ts'
import { aggregate, Bench, call, column, field, type Input, random, show, sorted, source, t } from './plans.ts'

const kinds = ['inner', 'left', 'right', 'full'] as const
const columns = [field('id', t.int), field('k', t.text), field('n', t.int), field('at', t.timestamptz)]
const delays = { l: 300, r: 500 } as const
interface Row {
  readonly id: number
  readonly k: string | null
  readonly n: number
  /** ms */
  readonly at: number
}
interface Event extends Row {
  readonly topic: 'l' | 'r'
  readonly partition: number
  /** That stood before it at its partition. */
  readonly watermark: number
}
interface Shape {
  readonly kind: (typeof kinds)[number]
  readonly lowMs: number
  readonly highMs: number
  readonly keyed: boolean
  readonly where: boolean
}
const side = (name: 'l' | 'r'): Plan => source(name, columns, { time: { column: 3, delayMs: delays[name] } })
const lessThan: Expression = call('<', t.boolean, column(columns, 'n'), { kind: 'column', index: 6, type: t.int })
const planOf = ({ kind, lowMs, highMs, keyed, where }: Shape): Plan => ({
  op: 'join',
  left: side('l'),
  right: side('r'),
  kind,
  leftKeys: keyed ? [1] : [],
  rightKeys: keyed ? [1] : [],
  windowEnd: null,
  interval: { leftTime: 3, rightTime: 3, lowUs: lowMs * 1000, highUs: highMs * 1000 },
  where: where ? lessThan : null,
  columns: [...columns, ...columns],
})

/** Two streams of two partitions, each in about the order of time. */
function eventsOf(next: () => number, count: number): Event[] {
  const newest = new Map<string, number>()
  return Array.from({ length: count }, (_, id): Event => {
    const topic = next() < 0.5 ? 'l' : 'r'
    const partition = Math.floor(next() * 2)
    const at = 1_000_000 + id * 40 - Math.floor(next() < 0.15 ? next() * 3_000 : next() * 400)
    const place = `${topic}/${partition}`
    const watermark = (newest.get(place) ?? -Infinity) - delays[topic]
    newest.set(place, Math.max(newest.get(place) ?? -Infinity, at))
    return {
      id,
      k: next() < 0.1 ? null : 'ab'[Math.floor(next() * 2)]!,
      n: Math.floor(next() * 6),
      at,
      topic,
      partition,
      watermark,
    }
  })
}
function expected({ kind, lowMs, highMs, keyed, where }: Shape, events: readonly Event[]) {
  const isLate = ({ at, watermark }: Event): boolean => at + highMs - lowMs <= watermark
  const late = events.filter(isLate)
  const lefts = events.filter((e) => e.topic === 'l' && !isLate(e))
  const rights = events.filter((e) => e.topic === 'r' && !isLate(e))
  const meets = (l: Event, r: Event): boolean =>
    (!keyed || (l.k !== null && l.k === r.k)) &&
    r.at >= l.at + lowMs &&
    r.at <= l.at + highMs &&
    r.watermark < l.at + highMs &&
    l.watermark < r.at - lowMs &&
    (!where || l.n < r.n)
  const shown = ({ id, k, n, at }: Row): unknown[] => [id, k, n, at * 1000]
  const nothing = [null, null, null, null]
  const rows = lefts.flatMap((l) => rights.filter((r) => meets(l, r)).map((r) => [...shown(l), ...shown(r)]))
  if (kind === 'left' || kind === 'full')
    for (const l of lefts) if (!rights.some((r) => meets(l, r))) rows.push([...shown(l), ...nothing])
  if (kind === 'right' || kind === 'full')
    for (const r of rights) if (!lefts.some((l) => meets(l, r))) rows.push([...nothing, ...shown(r)])
  return { rows: sorted(new Map(rows.map((row) => [show(row), 1]))), late: late.length }
}
/** In the order of each partition, but the partitions against each other in any. */
function interleaved(next: () => number, events: readonly Event[]): Event[] {
  const lanes = [...Map.groupBy(events, ({ topic, partition }) => `${topic}/${partition}`).values()]
  const out: Event[] = []
  for (
    let left = lanes.filter((lane) => lane.length > 0);
    left.length > 0;
    left = lanes.filter((lane) => lane.length > 0)
  )
    out.push(...left[Math.floor(next() * left.length)]!.splice(0, 1 + Math.floor(next() * 4)))
  return out
}
const input = ({ topic, partition, at, id, k, n }: Event): Input => ({
  topic,
  partition,
  value: { id, k, n, at: new Date(at).toISOString() },
})
const open = (plan: Plan): Bench => new Bench(plan, { l: 2, r: 2 })

let lateRows = 0
for (const kind of kinds)
  test(`${kind} join: every pair once, as by definition, however the inputs interleave`, () => {
    let seed = 0
    for (const [lowMs, highMs] of [
      [-300, 300],
      [0, 700],
      [-900, -100],
      [100, 400],
    ] as const)
      for (const keyed of [true, false])
        for (const where of [false, true])
          for (let i = 0; i < 3; i++) {
            const next = random(++seed)
            const shape = { kind, lowMs, highMs, keyed, where }
            const events = eventsOf(next, 90)
            const wanted = expected(shape, events)
            const bench = open(planOf(shape))
            const told = interleaved(next, events)
            for (let at = 0; at < told.length;) {
              const count = 1 + Math.floor(next() * 9)
              const out = bench.step(told.slice(at, at + count).map(input))
              assert.ok(out.every(({ weight }) => weight === 1))
              at += count
              if (next() > 0.3) continue
              bench.commit()
              bench.tryOut(() => void bench.step([input({ ...told[0]!, at: 5_000_000 })]))
              if (next() < 0.4) bench.restart()
            }
            bench.finish()
            assert.deepEqual(sorted(bench.sum()), wanted.rows, `${JSON.stringify(shape)} seed ${seed}`)
            assert.equal(bench.late, wanted.late)
            lateRows += bench.late
            const { tables } = bench.graph.nodes.at(-1)!
            assert.deepEqual(
              tables.map((table) => table.count),
              [0, 0],
            )
          }
    assert.ok(lateRows > 0)
  })

test('a row without partner goes out when the watermark of both has passed it, and not before', () => {
  const bench = open(planOf({ kind: 'left', lowMs: -100, highMs: 200, keyed: true, where: false }))
  // The keys differ: nothing meets.
  const at = (topic: 'l' | 'r', partition: number, ms: number): Input =>
    input({ topic, partition, id: ms, k: topic, n: 0, at: 1_000_000 + ms, watermark: 0 })
  bench.step([at('l', 0, 0), at('r', 1, 0)])
  const others = [at('l', 0, 5_000), at('l', 1, 5_000), at('r', 0, 5_000)]
  for (const other of others) assert.equal(bench.step([other]).length, 0)
  assert.equal(bench.step([at('r', 1, 699)]).length, 0)
  assert.deepEqual(
    bench.step([at('r', 1, 700)]).map(({ values }) => [values[0], values[4]]),
    [[0, null]],
  )
})
test('windows behind a join lose nothing of it', () => {
  const shape = { kind: 'inner', lowMs: -300, highMs: 700, keyed: true, where: false } as const
  const join = planOf(shape)
  const bounds = [field('window_start', t.timestamptz, false), field('window_end', t.timestamptz, false)]
  const window: Plan = {
    op: 'window',
    input: join,
    window: { kind: 'tumble', sizeMs: 1_000 },
    time: 3,
    columns: [...join.columns, ...bounds],
  }
  const counted: Plan = {
    op: 'aggregate',
    input: window,
    keys: [9],
    aggregates: [aggregate('count', t.bigint)],
    windowEnd: 0,
    emit: 'close',
    columns: [bounds[1]!, field('count', t.bigint)],
  }
  for (let seed = 1; seed <= 30; seed++) {
    const next = random(seed)
    // Nothing is late at its own partition.
    const events = eventsOf(next, 150).filter(({ at, watermark }) => at > watermark)
    const wanted = new Map<string, number>()
    for (const [row] of expected(shape, events).rows) {
      const end = (Math.floor((JSON.parse(row) as number[])[3]! / 1_000_000) + 1) * 1_000_000
      wanted.set(String(end), (wanted.get(String(end)) ?? 0) + 1)
    }
    const bench = open(counted)
    const told = interleaved(next, events)
    for (let at = 0; at < told.length; at += 5) bench.step(told.slice(at, at + 5).map(input))
    bench.finish()
    assert.deepEqual(
      sorted(bench.sum()).map(([row]) => (JSON.parse(row) as unknown[]).map(String)),
      [...wanted].map(([end, count]) => [end, String(count)]).toSorted((a, b) => (a[0]! < b[0]! ? -1 : 1)),
      `seed ${seed}`,
    )
    assert.equal(bench.late, 0)
  }
})
