/**
 * Avro against avsc: what that library writes is read to the values that went in; what one schema wrote is read by
 * another; and bytes that lie are refused in time. SEED and ROUNDS come from the environment.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import avsc from 'avsc'
import { rowsOf } from '../../src/flow/batch.ts'
import { SourceClock, clockTable } from '../../src/flow/clock.ts'
import { columnBuilder } from '../../src/flow/columns.ts'
import { createDecoder } from '../../src/flow/decode.ts'
import type { SourcePlan } from '../../src/flow/plan.ts'
import { StateTable } from '../../src/flow/state.ts'
import { avroReader, AvroLocator } from '../../src/flow/formats/avro.ts'
import { wantsOf } from '../../src/flow/formats/binary.ts'
import { avroColumns, parseAvro, resolve } from '../../src/schema/formats/avro.ts'
import type { Columns } from '../../src/schema/types.ts'
import { avscType, recordOf } from './avro-values.ts'
import { field, random, raw, source, t } from './plans.ts'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e6))
const rounds = Number(process.env['ROUNDS'] ?? 40)

export const avroSource = (text: string, columns: Columns, more: Partial<SourcePlan> = {}): SourcePlan =>
  source('s', columns, {
    format: 'avro',
    schema: { framing: 'none', text, message: null, imports: {} },
    fields: columns.map(({ name }) => ({ from: 'value', path: name.split('.') })),
    ...more,
  })
function read(plan: SourcePlan, values: readonly (Buffer | null)[]): { rows: unknown[][]; invalid: string[] } {
  const clock = new SourceClock(0, { delayMs: 0, idleMs: 1e9, maxFutureMs: 1e15 }, new StateTable(clockTable))
  clock.open([{ partition: 0, unread: true }], 0)
  const records = values.map((value, offset) => ({ offset, timeMs: 0, key: null, value, headers: [] }))
  const decoder = createDecoder(plan, 0, { generate: false })
  const { batch, invalid } = decoder.decode([{ partition: 0, records: raw(records) }], clock, 0)
  const types = plan.columns.map(({ type }) => type)
  return {
    rows: rowsOf(batch, types).map(({ values }) => [...values]),
    invalid: invalid.map(({ fault }) => `${fault.code}: ${fault.message}`),
  }
}

test(`what avsc writes is read to what went in (seed ${seed})`, () => {
  for (let round = 0; round < rounds; round++) {
    const next = random(seed * 1_000 + round)
    const form = recordOf(next, 0, 8)
    const text = JSON.stringify(form.schema)
    const type = avscType(form.schema)
    const made = Array.from({ length: 10 }, () => form.make(next))
    const plan = avroSource(text, avroColumns(parseAvro(text)))
    const found = read(
      plan,
      made.map(({ js }) => type.toBuffer(js)),
    )
    assert.deepEqual(found.invalid, [], text)
    const expected = made.map(({ held }) =>
      form.fields.map(({ name }) => (held as Record<string, unknown>)[name] ?? null),
    )
    assert.deepEqual(found.rows, expected, `seed ${seed}, round ${round}: ${text}`)
  }
})

const record = (fields: readonly unknown[], more: object = {}): string =>
  JSON.stringify({ type: 'record', name: 'R', fields, ...more })
/** A payload that one schema wrote, read by the other, by which the columns are named. */
function resolved(writer: string, value: object, reader: string, columns: Columns): { row: unknown; other: unknown } {
  const types = [writer, reader].map((text) =>
    avsc.Type.forSchema(JSON.parse(text) as avsc.Schema, { wrapUnions: 'always' }),
  ) as [avsc.Type, avsc.Type]
  const bytes = types[0].toBuffer(value)
  const node = resolve(parseAvro(writer), parseAvro(reader))
  const locator = new AvroLocator(wantsOf(columns.map(({ name }) => [name])), columns.length)
  locator.locate(bytes, 0, node)
  const row = columns.map(({ name, type }, c) => {
    const found = locator.places[c]
    if (found === null || found === undefined) return [name, null]
    const builder = columnBuilder(type)
    try {
      avroReader(found.node, type)(found.bytes, found.from, found.to, builder)
    } catch (error) {
      return [name, (error as Error).message]
    }
    return [name, builder.last(type)]
  })
  let other: unknown = 'cannot be resolved'
  try {
    other = types[1].fromBuffer(bytes, types[1].createResolver(types[0]))
  } catch {
    // It says so of the schemas, before there is a value.
  }
  return { row: Object.fromEntries(row) as unknown, other }
}
test('what one schema wrote is read by another, as avsc resolves it', () => {
  const colours = (symbols: string[], more: object = {}) => ({ type: 'enum', name: 'E', symbols, ...more })
  const writer = record([
    { name: 'old', type: 'int' },
    { name: 'gone', type: { type: 'array', items: 'string' } },
    { name: 'wide', type: 'int' },
    { name: 'part', type: 'float' },
    { name: 'text', type: 'bytes' },
    { name: 'maybe', type: 'string' },
    { name: 'sure', type: ['null', 'long'] },
    { name: 'colour', type: colours(['RED', 'PINK']) },
  ])
  const reader = record(
    [
      { name: 'wide', type: 'double' },
      { name: 'new', aliases: ['x', 'old'], type: 'long' },
      { name: 'more', type: 'string', default: 'é' },
      { name: 'list', type: { type: 'array', items: 'int' }, default: [1, 2] },
      { name: 'part', type: 'double' },
      { name: 'text', type: 'string' },
      { name: 'maybe', type: ['null', 'string'] },
      { name: 'sure', type: ['long', 'null'] },
      { name: 'colour', type: colours(['NONE', 'RED'], { default: 'NONE' }) },
    ],
    { aliases: ['W'] },
  )
  const value = {
    old: -7,
    gone: ['a'],
    wide: 5,
    part: 0.5,
    text: Buffer.from('bytes'),
    maybe: 'yes',
    sure: { long: 3 },
    colour: 'PINK',
  }
  const columns = avroColumns(parseAvro(reader))
  const { row, other } = resolved(writer, value, reader, columns)
  const plain = {
    wide: 5,
    new: -7,
    more: 'é',
    list: [1, 2],
    part: 0.5,
    text: 'bytes',
    maybe: 'yes',
    sure: 3,
    colour: 'NONE',
  }
  assert.deepEqual(row, plain)
  assert.deepEqual(JSON.parse(JSON.stringify(other)), { ...plain, maybe: { string: 'yes' }, sure: { long: 3 } })
})
test('what cannot be resolved is an error where it is wanted, and nowhere else', () => {
  const fields = (types: Record<string, unknown>) =>
    record(Object.entries(types).map(([name, type]) => ({ name, type })))
  const columns = [field('a', t.int), field('b', t.text), field('c', t.int), field('d', t.text)]
  const writer = fields({
    a: 'string',
    b: ['null', 'string', 'int'],
    d: { type: 'enum', name: 'E', symbols: ['X', 'Y'] },
  })
  const reader = fields({ a: 'int', b: ['null', 'string'], c: 'int', d: { type: 'enum', name: 'E', symbols: ['Y'] } })
  const of = (b: unknown, d: string): unknown => resolved(writer, { a: '5', b, d }, reader, columns).row
  const a = 'was written as string, the schema to read by has int'
  const c = 'was not written, and the schema to read by has no default for it'
  assert.deepEqual(of({ string: 'x' }, 'Y'), { a, b: 'x', c, d: 'Y' })
  assert.deepEqual(of({ int: 1 }, 'X'), {
    ...{ a, b: 'was written as int, the schema to read by has union', c },
    d: 'has a symbol that the schema to read by does not know',
  })
})

test('a branch of a union is found by its whole name, its name, its aliases, and then by what it is promoted to', () => {
  const fixed = (name: string, more: object = {}) => ({ type: 'fixed', name, size: 1, ...more })
  const union = ['null', 'double', fixed('a.X'), fixed('b.X'), fixed('c.Y', { aliases: ['c.Z'] })]
  const kinds = (writer: unknown): string => {
    const node = resolve(parseAvro(JSON.stringify(writer)), parseAvro(JSON.stringify(union)))
    return node.kind === 'fixed' ? node.name : node.kind
  }
  assert.deepEqual([fixed('b.X'), fixed('d.X'), fixed('Z'), fixed('W'), 'int', 'string', 'null'].map(kinds), [
    'b.X',
    'd.X',
    'Z',
    'unreadable',
    'int',
    'unreadable',
    'null',
  ])
  const resolved = resolve(parseAvro(JSON.stringify(['int', 'string'])), parseAvro(JSON.stringify(union)))
  assert.equal(resolved.kind === 'union' && resolved.branches.map(({ kind }) => kind).join(), 'int,unreadable')
})

test('columns of other types than the schema’s: ranges, numbers of times, texts', () => {
  const text = record([
    { name: 'n', type: 'long' },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-micros' } },
    { name: 's', type: 'string' },
    { name: 'd', type: 'double' },
  ])
  const columns = [
    field('n', t.int),
    field('at', t.bigint),
    field('s', t.timestamptz),
    field('d', { kind: 'numeric', precision: 5, scale: 1 }),
    field('x', t.text),
  ]
  const type = avscType(JSON.parse(text))
  const values = [
    { n: 5n, at: -3n, s: '2026-01-31T12:00:00Z', d: 1.25 },
    { n: 2n ** 31n, at: 0n, s: '2026-01-31', d: 0 },
    { n: 0n, at: 0n, s: 'soon', d: 0 },
    { n: 0n, at: 0n, s: '2026-01-31', d: 12345 },
  ].map((value) => type.toBuffer(value))
  const plan = avroSource(text, columns)
  const micros = Date.UTC(2026, 0, 31, 12) * 1000
  const told = (fieldName: string, why: string): string =>
    `schema.invalid: the event does not fit the schema of s: ${fieldName} ${why}`
  assert.deepEqual(read(plan, [...values, null]), {
    rows: [[5, -3, micros, 13, null]],
    invalid: [
      told('n', 'is a number (2147483648), expected int'),
      told('s', 'is a text ("soon"), expected timestamptz'),
      told('d', 'is 12345, expected numeric(5,1)'),
      told('the value', 'is null'),
    ],
  })
  const asNull = read({ ...plan, onInvalid: 'null' }, [values[1]!, Buffer.from([1, 2, 3])])
  assert.deepEqual(asNull.rows, [
    [null, 0, Date.UTC(2026, 0, 31) * 1000, 0, null],
    [null, null, null, null, null],
  ])
})

test('bytes that lie are refused at once', () => {
  const list = { type: 'record', name: 'L', fields: [{ name: 'next', type: ['null', 'L'] }] }
  const text = record([
    { name: 's', type: 'string' },
    { name: 'nulls', type: { type: 'array', items: 'null' } },
    {
      name: 'empties',
      type: {
        type: 'array',
        items: {
          type: 'record',
          name: 'Empty'.padEnd(2_000, 'y'),
          fields: [{ name: 'n'.repeat(2_000), type: 'null' }],
        },
      },
    },
    { name: 'longs', type: { type: 'array', items: 'long' } },
    { name: 'map', type: { type: 'map', values: 'null' } },
    { name: 'list', type: list },
    { name: 'is', type: 'boolean' },
  ])
  const names = ['s', 'nulls', 'empties', 'longs', 'map', 'list', 'is']
  const json = { kind: 'jsonb' } as const
  const columns = names.map((name) => field(name, name === 's' ? t.text : name === 'is' ? t.boolean : json))
  const fine = [0, 0, 0, 0, 0, 0, 1]
  const long = (n: bigint): number[] => {
    const bytes: number[] = []
    for (n = n >= 0n ? n * 2n : -n * 2n - 1n; n > 127n; n >>= 7n) bytes.push(Number(n & 127n) | 128)
    return [...bytes, Number(n)]
  }
  const deep = [...Array.from({ length: 70 }, () => 2), 0]
  const cases: readonly (readonly [bytes: readonly number[], why: RegExp])[] = [
    [[...long(2n ** 40n), 65], /at byte 6: a length beyond the end/],
    [[...long(-1n)], /at byte 1: a length beyond the end/],
    [[0, ...long(2n ** 40n), 0, 0, 0, 0, 0, 1], /more items than there can be/],
    [[0, 0, ...long(60_000n), 0, 0, 0, 0, 1], /empties is more than 16777216 characters/],
    [[0, 0, 0, ...long(2n ** 62n), 1, 0, 0, 0, 1], /more items than there can be/],
    [[0, 0, 0, ...long(-(2n ** 63n)), 0, 0, 0, 0, 1], /more items than there can be/],
    [[0, 0, 0, ...long(-1n), ...long(9n), 0, 0, 0, 1], /a length beyond the end/],
    [[0, 0, 0, 0, ...long(100_000n), 0, 0, 1], /more items than there can be/],
    [[0, 0, 0, 0, 0, 4, 1], /a branch that the union does not have/],
    [[0, 0, 0, 0, 0, ...deep, 1], /the value is nested deeper than 64/],
    [[0, 0, 0, 0, 0, 0, 7], /is is malformed: a boolean that is neither/],
    [[...fine, 0], /something after the value/],
    [fine.slice(0, -1), /it ends within a value/],
    [Array.from({ length: 12 }, () => 255), /a number of more than 64 bits/],
    [[2, 255, 0, 0, 0, 0, 0, 1], /s is malformed|s is not UTF-8/],
    [[], /it ends within a value/],
  ]
  const plan = avroSource(text, columns)
  const startedMs = performance.now()
  for (const [bytes, why] of cases) {
    const { invalid } = read(plan, [Buffer.from(bytes)])
    assert.equal(invalid.length, 1, `${why} of ${bytes.join(' ')}`)
    assert.match(invalid[0]!, why)
  }
  assert.equal(read(plan, [Buffer.from(fine)]).rows.length, 1)
  assert.ok(performance.now() - startedMs < 5_000)
})
test('schemas that are bombs cost no more than their text', () => {
  // One record stands in the next twice: a million fields, none of which takes a byte.
  let type: unknown = { type: 'record', name: 'R0', fields: [{ name: 'a', type: 'null' }] }
  for (let i = 1; i < 30; i++)
    type = {
      type: 'record',
      name: `R${i}`,
      fields: [
        { name: 'a', type },
        { name: 'b', type: `R${i - 1}` },
      ],
    }
  const text = JSON.stringify({
    type: 'record',
    name: 'Top',
    fields: [
      { name: 'x', type },
      { name: 'n', type: 'int' },
    ],
  })
  assert.throws(() => avroColumns(parseAvro(text)), /more than 10000 fields/)
  assert.deepEqual(read(avroSource(text, [field('n', t.int)]), [Buffer.from([10])]).rows, [[5]])
  const { invalid } = read(avroSource(text, [field('x', { kind: 'jsonb' })]), [Buffer.from([10])])
  assert.match(invalid[0]!, /x is more than 16777216 characters/)
})
