/** Joins of two inputs that change, against all pairs computed anew: after every step, with withdrawals on both sides. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Expression } from '../../src/flow/expression.ts'
import type { Plan } from '../../src/flow/plan.ts'
import { aggregate, Bench, call, column, field, type Input, random, show, sorted, source, t } from './plans.ts'

const kinds = ['inner', 'left', 'right', 'full', 'semi', 'anti'] as const
type Kind = (typeof kinds)[number]
type Mode = 'append' | 'upsert'
interface Row {
  readonly id: number
  readonly k: string | null
  readonly n: number | null
}
const columns = [field('id', t.int, false), field('k', t.text), field('n', t.int)]
const lessThan: Expression = call('<', t.boolean, column(columns, 'n'), { kind: 'column', index: 5, type: t.int })
const side = (name: string, mode: Mode): Plan => source(name, columns, mode === 'upsert' ? { mode, key: [0] } : {})
/** A project between hides the keys, so that equal rows meet. */
const withoutId = (input: Plan): Plan => ({
  op: 'project',
  input,
  expressions: [1, 1, 2].map((i) => ({ kind: 'column', index: i, type: columns[i]!.type })),
  columns: [columns[1]!, columns[1]!, columns[2]!],
})
interface Shape {
  readonly kind: Kind
  readonly modes: readonly [Mode, Mode]
  readonly keyed: boolean
  readonly where: boolean
  readonly bare: boolean
}
function planOf({ kind, modes, keyed, where, bare }: Shape): Plan {
  const [left, right] = [side('l', modes[0]), side('r', modes[1])].map((s) => (bare ? withoutId(s) : s))
  const both = [...left!.columns, ...right!.columns]
  return {
    op: 'join',
    left: left!,
    right: right!,
    kind,
    leftKeys: keyed ? [1] : [],
    rightKeys: keyed ? [1] : [],
    windowEnd: null,
    where: where ? lessThan : null,
    columns: kind === 'semi' || kind === 'anti' ? left!.columns : both,
  }
}
type Shown = readonly (string | number | null)[]
function expected(
  { kind, keyed, where, bare }: Shape,
  left: readonly Row[],
  right: readonly Row[],
): Map<string, number> {
  const sums = new Map<string, number>()
  const add = (row: Shown): void => void sums.set(show(row), (sums.get(show(row)) ?? 0) + 1)
  const shown = ({ id, k, n }: Row): Shown => (bare ? [k, k, n] : [id, k, n])
  const meets = (l: Row, r: Row): boolean =>
    (!keyed || (l.k !== null && l.k === r.k)) && (!where || (l.n !== null && r.n !== null && l.n < r.n))
  const nothing = [null, null, null]
  for (const l of left) {
    const partners = right.filter((r) => meets(l, r))
    if (kind === 'semi' || kind === 'anti') {
      if (partners.length > 0 === (kind === 'semi')) add(shown(l))
      continue
    }
    for (const r of partners) add([...shown(l), ...shown(r)])
    if (partners.length === 0 && (kind === 'left' || kind === 'full')) add([...shown(l), ...nothing])
  }
  if (kind === 'right' || kind === 'full')
    for (const r of right) if (!left.some((l) => meets(l, r))) add([...nothing, ...shown(r)])
  return sums
}

/** A side as its topic tells it, and what of it there is. */
class Told {
  readonly rows = new Map<number, Row>()
  private next: () => number
  private readonly name: string
  private readonly mode: Mode
  private count = 0

  constructor(name: string, mode: Mode, next: () => number) {
    this.name = name
    this.mode = mode
    this.next = next
  }
  tell(): Input {
    const { next } = this
    const upsert = this.mode === 'upsert'
    const id = upsert ? Math.floor(next() * 12) : this.count++
    const topic = { topic: this.name, partition: 0, key: String(id) }
    if (upsert && next() < 0.3) {
      this.rows.delete(id)
      return { ...topic, value: null }
    }
    const k = next() < 0.15 ? null : 'pqr'[Math.floor(next() * 3)]!
    const row: Row = { id, k, n: next() < 0.1 ? null : Math.floor(next() * 5) }
    this.rows.set(id, row)
    return { ...topic, value: row }
  }
}

function check(shape: Shape, seed: number): void {
  const next = random(seed)
  const told = [new Told('l', shape.modes[0], next), new Told('r', shape.modes[1], next)]
  const rows = [1, 3, Infinity][seed % 3]!
  const bench = new Bench(planOf(shape), {}, { room: { rows, bytes: Infinity } })
  for (let step = 0; step < 14; step++) {
    const inputs = Array.from({ length: Math.floor(next() * 7) }, () => told[next() < 0.5 ? 0 : 1]!.tell())
    bench.step(inputs)
    const [left, right] = told.map(({ rows }) => [...rows.values()])
    assert.deepEqual(
      sorted(bench.sum()),
      sorted(expected(shape, left!, right!)),
      `${JSON.stringify(shape)} seed ${seed}`,
    )
    if (next() < 0.4) {
      bench.commit()
      // Steps that are undone, of rows that nobody tells again.
      if (next() < 0.5)
        bench.tryOut(() => {
          const other = [new Told('l', shape.modes[0], next), new Told('r', shape.modes[1], next)]
          bench.step(Array.from({ length: 5 }, () => other[next() < 0.5 ? 0 : 1]!.tell()))
        })
      if (next() < 0.3) bench.restart()
    }
  }
}

for (const kind of kinds)
  test(`${kind} join: what it holds is the join of what both sides hold`, () => {
    let seed = 0
    for (const modes of [
      ['append', 'append'],
      ['append', 'upsert'],
      ['upsert', 'append'],
      ['upsert', 'upsert'],
    ] as const)
      for (const keyed of [true, false])
        for (const where of [false, true])
          for (const bare of [false, true])
            for (let i = 0; i < 4; i++) check({ kind, modes, keyed, where, bare }, ++seed)
  })

test('an inner join of streams withdraws nothing, and its rows come with the later of the two', () => {
  const bench = new Bench(
    planOf({ kind: 'inner', modes: ['append', 'append'], keyed: true, where: false, bare: false }),
  )
  const row = (topic: string, id: number, timeMs: number): Input => ({
    topic,
    partition: 0,
    timeMs,
    value: { id, k: 'p', n: 1 },
  })
  bench.step([row('l', 1, 5_000)])
  const out = bench.step([row('r', 2, 1_000), row('r', 3, 9_000)])
  assert.deepEqual(
    out.map(({ weight, values }) => [weight, values[0], values[3]]),
    [
      [1, 1, 2],
      [1, 1, 3],
    ],
  )
})

test('a condition without a value leaves its pair out and tells it', () => {
  const plan = planOf({ kind: 'left', modes: ['append', 'append'], keyed: true, where: false, bare: false })
  assert.ok(plan.op === 'join')
  const zero: Expression = call('/', t.int, column(columns, 'n'), { kind: 'column', index: 5, type: t.int })
  const where = call('>', t.boolean, zero, { kind: 'literal', value: 0, type: t.int })
  const bench = new Bench({ ...plan, where })
  const row = (topic: string, id: number, n: number): Input => ({ topic, partition: 0, value: { id, k: 'p', n } })
  bench.step([row('l', 1, 4), row('r', 2, 0), row('r', 3, 2)])
  assert.deepEqual(bench.failed, ['division by zero'])
  assert.deepEqual([...bench.sum()], [[show([1, 'p', 4, 3, 'p', 2]), 1]])
})

const times = [field('id', t.int), field('at', t.timestamptz)]
const perWindow = (name: string): Plan => {
  const input = source(name, times, { time: { column: 1, delayMs: 0 } })
  const bounds = [field('window_start', t.timestamptz, false), field('window_end', t.timestamptz, false)]
  const window: Plan = {
    op: 'window',
    input,
    window: { kind: 'tumble', sizeMs: 1_000 },
    time: 1,
    columns: [...times, ...bounds],
  }
  return {
    op: 'aggregate',
    input: window,
    keys: [3],
    aggregates: [aggregate('count', t.bigint)],
    windowEnd: 0,
    emit: 'update',
    columns: [bounds[1]!, field('count', t.bigint)],
  }
}
test('rows of a window go from the state of both sides when it has closed', () => {
  const [left, right] = [perWindow('l'), perWindow('r')]
  const bench = new Bench({
    op: 'join',
    left,
    right,
    kind: 'full',
    leftKeys: [0],
    rightKeys: [0],
    windowEnd: 0,
    where: null,
    columns: [...left.columns, ...right.columns],
  })
  const wanted = new Map<string, number>()
  for (let second = 0; second < 50; second++) {
    const at = (ms: number): string => new Date(1_000_000 + second * 1_000 + ms).toISOString()
    const end = (1_001_000 + second * 1_000) * 1_000
    const both = second % 3 !== 0
    bench.step([{ topic: 'l', partition: 0, value: { id: 1, at: at(10) } }])
    bench.step([{ topic: 'l', partition: 0, value: { id: 1, at: at(20) } }])
    if (both) bench.step([{ topic: 'r', partition: 0, value: { id: 1, at: at(15) } }])
    wanted.set(show([end, 2, ...(both ? [end, 1] : [null, null])]), 1)
    bench.commit()
    if (second % 7 === 0) bench.restart()
  }
  bench.finish()
  assert.deepEqual(sorted(bench.sum()), sorted(wanted))
  const tables = bench.graph.nodes.at(-1)!.tables
  assert.deepEqual(
    tables.map(({ count }) => count),
    [0, 0],
  )
})
