/** Values as PostgreSQL has them: results below were printed by PostgreSQL 17. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileScalar } from '../../src/flow/compile.ts'
import * as decimal from '../../src/flow/decimal.ts'
import type { Expression, Value } from '../../src/flow/expression.ts'
import { doubleText, realText } from '../../src/flow/functions/casts.ts'
import { canonicalJsonb } from '../../src/flow/json-text.ts'
import { isoText, parseInstant, timestamptzText } from '../../src/flow/time-text.ts'
import { Fault } from '../../src/lib/fault.ts'
import type { DataType } from '../../src/schema/types.ts'

const d = (text: string): decimal.Decimal => decimal.parseDecimal(text)!
const text = (v: decimal.Decimal): string => decimal.decimalText(v.digits, v.scale)
const lit = (value: Value, type: DataType): Expression => ({ kind: 'literal', value, type })
const evaluate = (e: Expression): Value => compileScalar(e)([], 0)
const cast = (value: Value, from: DataType, to: DataType): Value =>
  evaluate({ kind: 'call', name: 'cast', args: [lit(value, from)], type: to })

test('numeric arithmetic has the scales of PostgreSQL', () => {
  assert.equal(text(decimal.add(d('1.10'), d('2.2'))), '3.30')
  assert.equal(text(decimal.multiply(d('1.10'), d('2.2'))), '2.420')
  assert.equal(text(decimal.divide(d('10'), d('3'))), '3.3333333333333333')
  assert.equal(text(decimal.divide(d('1'), d('3'))), '0.33333333333333333333')
  assert.equal(text(decimal.divide(d('1000000'), d('7'))), '142857.142857142857')
  assert.equal(text(decimal.divide(d('-2.5'), d('1.25'))), '-2.0000000000000000')
  assert.equal(text(decimal.divide(d('1e20'), d('3'))), '33333333333333333333')
  assert.equal(text(decimal.remainder(d('-7.5'), d('2'))), '-1.5')
  assert.equal(text(decimal.squareRoot(d('2'))), '1.414213562373095')
  assert.equal(text(decimal.squareRoot(d('4.00'))), '2.000000000000000')
  assert.throws(
    () => decimal.divide(d('1'), d('0')),
    (e: Fault) => e.code === 'value.division-by-zero',
  )
})
test('text of numerics is read and written digit for digit', () => {
  for (const [from, to] of [
    ['1e3', '1000'],
    ['1.50e1', '15.0'],
    ['1.5e-3', '0.0015'],
    ['-0.00', '0.00'],
    ['+.5', '0.5'],
    ['5.', '5'],
    ['00012.30', '12.30'],
  ])
    assert.equal(text(d(from!)), to)
  for (const bad of ['', '.', '1e', 'abc', '1 2', '0x10', 'NaN']) assert.equal(decimal.parseDecimal(bad), null, bad)
  assert.throws(
    () => decimal.parseDecimal('1e200000'),
    (e: Fault) => e.code === 'value.out-of-range',
  )
})
test('integer division truncates, overflow is an error', () => {
  const int: DataType = { kind: 'int' }
  const big: DataType = { kind: 'bigint' }
  const op = (name: string, a: Value, b: Value, type: DataType): Value =>
    evaluate({ kind: 'call', name, args: [lit(a, type), lit(b, type)], type })
  assert.equal(op('/', -7, 2, int), -3)
  assert.equal(op('%', -7, 2, int), -1)
  assert.ok(Object.is(op('*', 0, -5, int), 0))
  assert.equal(op('*', 3037000500, 3037000499, big), 9223372033963249500n)
  assert.equal(op('-', 9223372036854775807n, 9223372036854775806n, big), 1)
  for (const [name, a, b, type] of [
    ['+', 2147483647, 1, int],
    ['-', -2147483648, 1, int],
    ['/', -2147483648, -1, int],
    ['+', 9223372036854775807n, 1, big],
    ['*', 9223372036854775807n, 2, big],
    ['/', -9223372036854775808n, -1, big],
  ] as const)
    assert.throws(
      () => op(name, a, b, type),
      (e: Fault) => e.code === 'value.out-of-range',
      `${a} ${name} ${b}`,
    )
})
test('three-valued logic', () => {
  const boolean: DataType = { kind: 'boolean' }
  const values = [true, false, null]
  const table = (kind: 'and' | 'or'): Value[] =>
    values.flatMap((a) =>
      values.map((b) => evaluate({ kind, args: [lit(a, boolean), lit(b, boolean)], type: boolean })),
    )
  assert.deepEqual(table('and'), [true, false, null, false, false, false, null, false, null])
  assert.deepEqual(table('or'), [true, true, true, true, false, null, true, null, null])
})
test('a CASE computes only what it needs', () => {
  const int: DataType = { kind: 'int' }
  const divided: Expression = { kind: 'call', name: '/', args: [lit(1, int), lit(0, int)], type: int }
  const e: Expression = {
    kind: 'case',
    branches: [
      { when: lit(false, { kind: 'boolean' }), then: divided },
      { when: lit(true, { kind: 'boolean' }), then: lit(5, int) },
    ],
    otherwise: divided,
    type: int,
  }
  assert.equal(evaluate(e), 5)
})
test('casts', () => {
  const numeric: DataType = { kind: 'numeric', precision: null, scale: null }
  const money: DataType = { kind: 'numeric', precision: 5, scale: 2 }
  assert.equal(cast(2.5, { kind: 'double' }, { kind: 'int' }), 2)
  assert.equal(cast(3.5, { kind: 'double' }, { kind: 'int' }), 4)
  assert.equal(cast(d('2.5') as Value, numeric, { kind: 'int' }), 3)
  assert.equal(cast(d('-2.5') as Value, numeric, { kind: 'int' }), -3)
  assert.equal(cast('  12 ', { kind: 'text' }, { kind: 'int' }), 12)
  assert.equal(cast('9007199254740993', { kind: 'text' }, { kind: 'bigint' }), 9007199254740993n)
  assert.equal(cast('1.005', { kind: 'text' }, money), 101)
  assert.equal(
    cast(0.1, { kind: 'double' }, numeric) !== null && text(cast(0.1, { kind: 'double' }, numeric) as decimal.Decimal),
    '0.1',
  )
  assert.equal(
    cast(1 / 3, { kind: 'double' }, numeric) !== null &&
      text(cast(1 / 3, { kind: 'double' }, numeric) as decimal.Decimal),
    '0.333333333333333',
  )
  assert.equal(cast('yes', { kind: 'text' }, { kind: 'boolean' }), true)
  assert.equal(cast('T', { kind: 'text' }, { kind: 'boolean' }), true)
  assert.equal(
    cast('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', { kind: 'text' }, { kind: 'uuid' }),
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  )
  assert.equal(cast('abcdef', { kind: 'text' }, { kind: 'varchar', length: 3 }), 'abc')
  const fails: [Value, DataType, DataType, string][] = [
    ['1000', { kind: 'text' }, money, 'value.out-of-range'],
    ['40000', { kind: 'text' }, { kind: 'smallint' }, 'value.out-of-range'],
    ['1.5', { kind: 'text' }, { kind: 'int' }, 'value.invalid-text'],
    ['o', { kind: 'text' }, { kind: 'boolean' }, 'value.invalid-text'],
    ['2026-02-30', { kind: 'text' }, { kind: 'date' }, 'value.invalid-time'],
    [NaN, { kind: 'double' }, { kind: 'int' }, 'value.out-of-range'],
  ]
  for (const [value, from, to, code] of fails)
    assert.throws(
      () => cast(value, from, to),
      (e: Fault) => e.code === code,
      String(value),
    )
})
test('texts of doubles', () => {
  const doubles: [number, string][] = [
    [1e15, '1e+15'],
    [123456789012345, '123456789012345'],
    [1e-5, '1e-05'],
    [0.0001, '0.0001'],
    [-0, '-0'],
    [1.5e300, '1.5e+300'],
    [NaN, 'NaN'],
    [-Infinity, '-Infinity'],
  ]
  for (const [v, shown] of doubles) assert.equal(doubleText(v), shown)
  assert.equal(realText(Math.fround(0.1)), '0.1')
  assert.equal(realText(Math.fround(1e6)), '1e+06')
  assert.equal(realText(Math.fround(16777216)), '1.6777216e+07')
})
test('times', () => {
  const instants: [string, string][] = [
    ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00Z'],
    ['2026-01-31 12:00:00.5+02', '2026-01-31T10:00:00.5Z'],
    ['2026-01-31', '2026-01-31T00:00:00Z'],
    ['1969-12-31T23:59:59.999999Z', '1969-12-31T23:59:59.999999Z'],
    ['2024-02-29T24:00:00Z', '2024-03-01T00:00:00Z'],
    ['2026-01-31T12:00:00.1234567-05:30', '2026-01-31T17:30:00.123457Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00Z'],
  ]
  for (const [from, to] of instants) assert.equal(isoText(parseInstant(from)!), to)
  assert.equal(timestamptzText(parseInstant('2026-01-31T12:00:00.25Z')!), '2026-01-31 12:00:00.25+00')
  for (const bad of ['2026-13-01', '2026-02-29', '2026-01-01T25:00:00Z', 'yesterday', '', '2026-01-01T12:60:00Z'])
    assert.equal(parseInstant(bad), null, bad)
  for (let i = 0; i < 2000; i++) {
    const ms = Math.floor((i - 1000) * 8.64e7 * 13.37 + i * 1234.5)
    assert.equal(isoText(ms * 1000), new Date(ms).toISOString().replace(/\.?0+Z$/, 'Z'))
  }
})
test('jsonb is written as PostgreSQL writes it', () => {
  assert.equal(canonicalJsonb('{"bb":1,"a":[1.50,null,"x"],"a":{"é":true}}'), '{"a": {"é": true}, "bb": 1}')
  assert.equal(canonicalJsonb('[1e2, 12345678901234567890.10]'), '[100, 12345678901234567890.10]')
})
