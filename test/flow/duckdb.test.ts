/** After every prefix of the input a view holds what DuckDB computes over that prefix: over streams and over tables. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { decimalToDouble } from '../../src/flow/decimal.ts'
import type { Value } from '../../src/flow/expression.ts'
import type { Plan } from '../../src/flow/plan.ts'
import type { DataType } from '../../src/schema/types.ts'
import { Bench, type Input, aggregate, call, column, cuts, field, literal, random, source, t } from './plans.ts'

const columns = [
  field('id', t.int, false),
  field('k', t.text),
  field('n', t.int),
  field('b', t.bigint),
  field('x', t.double),
  field('m', t.money),
  field('f', t.boolean),
]
const positive = call('>', t.boolean, column(columns, 'n'), literal(0, t.int))
const parts: readonly (readonly [string, ReturnType<typeof aggregate>])[] = [
  ['count(*)', aggregate('count', t.bigint)],
  ['count(n)', aggregate('count', t.bigint, [column(columns, 'n')])],
  ['sum(n)', aggregate('sum', t.bigint, [column(columns, 'n')])],
  ['sum(b)', aggregate('sum', t.numeric, [column(columns, 'b')])],
  ['fsum(x)', aggregate('sum', t.double, [column(columns, 'x')])],
  ['sum(m)', aggregate('sum', t.numeric, [column(columns, 'm')])],
  ['avg(n)', aggregate('avg', t.numeric, [column(columns, 'n')])],
  ['favg(x)', aggregate('avg', t.double, [column(columns, 'x')])],
  ['avg(m)', aggregate('avg', t.numeric, [column(columns, 'm')])],
  ['min(n)', aggregate('min', t.int, [column(columns, 'n')])],
  [
    'max(k || id)',
    aggregate('max', t.text, [call('||', t.text, column(columns, 'k'), call('cast', t.text, column(columns, 'id')))]),
  ],
  ['min(x)', aggregate('min', t.double, [column(columns, 'x')])],
  ['max(m)', aggregate('max', t.money, [column(columns, 'm')])],
  ['stddev_samp(x)', aggregate('stddev_samp', t.double, [column(columns, 'x')])],
  ['stddev_pop(n)', aggregate('stddev_pop', t.numeric, [column(columns, 'n')])],
  ['var_samp(m)', aggregate('var_samp', t.numeric, [column(columns, 'm')])],
  ['var_pop(x)', aggregate('var_pop', t.double, [column(columns, 'x')])],
  ['bool_and(f)', aggregate('bool_and', t.boolean, [column(columns, 'f')])],
  ['bool_or(f)', aggregate('bool_or', t.boolean, [column(columns, 'f')])],
  ['count(DISTINCT n)', aggregate('count', t.bigint, [column(columns, 'n')], { distinct: true })],
  ['sum(DISTINCT n)', aggregate('sum', t.bigint, [column(columns, 'n')], { distinct: true })],
  ['sum(n) FILTER (WHERE n > 0)', aggregate('sum', t.bigint, [column(columns, 'n')], { filter: positive })],
  ['max(n) FILTER (WHERE n > 0)', aggregate('max', t.int, [column(columns, 'n')], { filter: positive })],
]
const plan = (mode: 'append' | 'upsert'): Plan => ({
  op: 'aggregate',
  input: source('s', columns, mode === 'upsert' ? { mode, key: [0] } : {}),
  keys: [1],
  aggregates: parts.map(([, a]) => a),
  windowEnd: null,
  emit: 'update',
  columns: [columns[1]!, ...parts.map(([name, a]) => field(name, a.type))],
})

interface Row {
  readonly id: number
  readonly k: string | null
  readonly n: number | null
  readonly b: string | null
  readonly x: number | null
  readonly m: string | null
  readonly f: boolean | null
}
function rowOf(next: () => number, id: number): Row {
  const some = <T>(value: T): T | null => (next() < 0.12 ? null : value)
  return {
    id,
    k: some('abc'[Math.floor(next() * 3)]!),
    n: some(Math.floor(next() * 40) - 20),
    b: some(
      next() < 0.2
        ? String(9007199254740993n * BigInt(Math.floor(next() * 900) - 450))
        : String(Math.floor(next() * 1e6)),
    ),
    x: some((next() - 0.5) * 10 ** Math.floor(next() * 8)),
    m: some(((next() - 0.4) * 10_000).toFixed(2)),
    f: some(next() < 0.6),
  }
}
const json = (row: Row): string =>
  `{"id":${row.id},"k":${JSON.stringify(row.k)},"n":${row.n},"b":${row.b},"x":${row.x},"m":${row.m},"f":${row.f}}`

let instance: DuckDBInstance
let duck: DuckDBConnection
before(async () => {
  instance = await DuckDBInstance.create(':memory:')
  duck = await instance.connect()
})
after(() => {
  duck.closeSync()
  instance.closeSync()
})
async function theirs(rows: readonly Row[]): Promise<Map<string, unknown[]>> {
  const literals = rows.map((r) => {
    const text = (v: string | null): string => (v === null ? 'NULL' : `'${v}'`)
    return `(${r.id}, ${text(r.k)}, ${r.n}, ${r.b}, ${r.x}::DOUBLE, ${r.m}::DECIMAL(12,2), ${r.f})`
  })
  await duck.run(
    'CREATE OR REPLACE TABLE s (id INTEGER, k VARCHAR, n INTEGER, b BIGINT, x DOUBLE, m DECIMAL(12,2), f BOOLEAN)',
  )
  if (rows.length > 0) await duck.run(`INSERT INTO s VALUES ${literals.join(', ')}`)
  const select = parts.map(([name, { type }]) => (type.kind === 'double' ? `(${name})::DOUBLE` : `(${name})::VARCHAR`))
  const result = await duck.runAndReadAll(`SELECT k, ${select.join(', ')} FROM s GROUP BY k`)
  return new Map(result.getRows().map(([k, ...values]) => [String(k), values]))
}
/** Exact where both are, else to 12 digits; DuckDB's variances lose more. */
function agree(ours: Value, type: DataType, their: unknown, digits: number): boolean {
  if (ours === null || their === null) return ours === their
  if (type.kind === 'text') return ours === their
  if (type.kind === 'boolean') return String(ours) === their
  const [a, b] = [numberOf(ours, type), Number(their)]
  return Math.abs(a - b) <= 10 ** -digits * Math.max(Math.abs(a), Math.abs(b), 1e-6)
}
function numberOf(value: Value, type: DataType): number {
  if (type.kind !== 'numeric') return Number(value)
  if (typeof value === 'object')
    return decimalToDouble((value as { digits: bigint }).digits, (value as unknown as { scale: number }).scale)
  return decimalToDouble(value as number, type.scale ?? 0)
}
async function compare(bench: Bench, rows: readonly Row[], what: string): Promise<void> {
  const wanted = await theirs(rows)
  const sums = new Map<string, { weight: number; values: readonly Value[] }>()
  for (const { weight, values } of bench.deltas.flat()) {
    const key = JSON.stringify(values, (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v))
    sums.set(key, { weight: (sums.get(key)?.weight ?? 0) + weight, values })
  }
  const ours = [...sums.values()].filter((s) => s.weight !== 0)
  assert.ok(
    ours.every((s) => s.weight === 1),
    what,
  )
  assert.deepEqual(ours.map((s) => String(s.values[0])).sort(), [...wanted.keys()].sort(), what)
  for (const { values } of ours) {
    const their = wanted.get(String(values[0]))!
    parts.forEach(([name, { type }], i) => {
      const digits = /stddev|var/.test(name) ? 6 : 12
      assert.ok(
        agree(values[i + 1]!, type, their[i], digits),
        `${what}: ${name} of ${String(values[0])} is ${JSON.stringify(values[i + 1], (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v))}, DuckDB has ${String(their[i])}`,
      )
    })
  }
}
test('over a stream', async () => {
  for (let seed = 1; seed <= 3; seed++) {
    const next = random(seed)
    const rows = Array.from({ length: 90 }, (_, id) => rowOf(next, id))
    const bench = new Bench(plan('append'))
    let seen = 0
    for (const piece of cuts(rows, next, 20)) {
      bench.step(piece.map((row): Input => ({ topic: 's', partition: 0, value: json(row) })))
      seen += piece.length
      await compare(bench, rows.slice(0, seen), `seed ${seed}, ${seen} rows`)
    }
    assert.equal(bench.invalid, 0)
  }
})
test('over a table: what is withdrawn leaves no trace, not in one bit', async () => {
  for (let seed = 1; seed <= 3; seed++) {
    const next = random(seed)
    const rows = new Map<number, Row>()
    const bench = new Bench(plan('upsert'))
    for (let step = 0; step < 12; step++) {
      const inputs: Input[] = []
      for (let i = 0; i < next() * 25; i++) {
        const id = Math.floor(next() * 30)
        if (next() < 0.3) {
          rows.delete(id)
          inputs.push({ topic: 's', partition: 0, key: String(id), value: null })
        } else {
          const row = rowOf(next, id)
          rows.set(id, row)
          inputs.push({ topic: 's', partition: 0, key: String(id), value: json(row) })
        }
      }
      bench.step(inputs)
      await compare(bench, [...rows.values()], `seed ${seed}, step ${step}`)
    }
    const fresh = new Bench(plan('append'))
    fresh.step([...rows.values()].toReversed().map((row): Input => ({ topic: 's', partition: 0, value: json(row) })))
    const bits = (of: Bench): Map<unknown, Value[]> =>
      new Map(
        [...of.sum().keys()]
          .map((key) => JSON.parse(key) as Value[])
          .map((v) => [v[0], parts.flatMap(([, a], i) => (a.type.kind === 'double' ? [v[i + 1]!] : []))]),
      )
    assert.deepEqual(bits(bench), bits(fresh), 'doubles of the same rows are the same bits')
  }
})
