/**
 * Protobuf against protobufjs: what that library writes is read to the values that went in; the rules of the wire (order,
 * repetition, merging, oneofs, packing), and bytes that lie. SEED and ROUNDS come from the environment.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rowsOf } from '../../src/flow/batch.ts'
import { SourceClock, clockTable } from '../../src/flow/clock.ts'
import { createDecoder } from '../../src/flow/decode.ts'
import type { SourcePlan } from '../../src/flow/plan.ts'
import { StateTable } from '../../src/flow/state.ts'
import { messageNamed, parseProtobuf, protobufColumns } from '../../src/schema/formats/protobuf.ts'
import type { Columns } from '../../src/schema/types.ts'
import { fileOf, messageOf, protobufType } from './protobuf-values.ts'
import { random, raw, source } from './plans.ts'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e6))
const rounds = Number(process.env['ROUNDS'] ?? 40)

const protoSource = (text: string, columns: Columns, message: string | null = null): SourcePlan =>
  source('s', columns, {
    format: 'protobuf',
    schema: { framing: 'none', text, message, imports: {} },
    fields: columns.map(({ name }) => ({ from: 'value', path: name.split('.') })),
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

test(`what protobufjs writes is read to what went in (seed ${seed})`, () => {
  for (let round = 0; round < rounds; round++) {
    const next = random(seed * 1_000 + round)
    const isV2 = next() < 0.3
    const form = messageOf(next, 0, isV2, 8)
    const file = fileOf(form, isV2)
    const type = protobufType(file, form.type)
    const made = Array.from({ length: 10 }, () => form.make(next))
    const plan = protoSource(file, protobufColumns(messageNamed(parseProtobuf(file), null)))
    const bytes = made.map(({ js }) => Buffer.from(type.encode(type.fromObject(js as object)).finish()))
    const found = read(plan, bytes)
    assert.deepEqual(found.invalid, [], file)
    const expected = made.map(({ held }) => plan.columns.map(({ name }) => (held as Record<string, unknown>)[name]))
    assert.deepEqual(found.rows, expected, `seed ${seed}, round ${round}: ${file}`)
  }
})

/** A field as the wire has it: its tag, then bytes as they are, or a length and text. */
const varint = (value: number | bigint): number[] => {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return [...bytes, Number(rest)]
}
const whole = (number: number, value: number | bigint): number[] => [...varint(number * 8), ...varint(value)]
const sized = (number: number, bytes: readonly number[] | string): number[] => {
  const content = typeof bytes === 'string' ? [...Buffer.from(bytes)] : bytes
  return [...varint(number * 8 + 2), ...varint(content.length), ...content]
}
const file = `syntax = "proto3"; message M {
  int32 i = 1; string s = 2; repeated int32 list = 3; Inner inner = 4; map<string, int32> map = 5;
  oneof one { string a = 6; Inner b = 7; int64 c = 8; } optional bool maybe = 9; E e = 10; bytes raw = 11;
  message Inner { int32 x = 1; string y = 2; repeated int32 z = 3; M again = 4; }
  enum E { ZERO = 0; ONE = 1; } }`
const columnsOf = protobufColumns(messageNamed(parseProtobuf(file), 'M'))
const rowOf = (...parts: (readonly number[])[]): Record<string, unknown> => {
  const plan = protoSource(file, columnsOf, 'M')
  const { rows, invalid } = read(plan, [Buffer.from(parts.flat())])
  if (invalid.length > 0) throw new Error(invalid[0])
  return Object.fromEntries(columnsOf.map(({ name }, c) => [name, rows[0]![c]]))
}
const nothing = { i: 0, s: '', list: [], inner: null, map: '{}', a: null, b: null, c: null, maybe: null, e: 'ZERO' }
const empty = { ...nothing, raw: Buffer.alloc(0) }
const inner = { x: 0, y: '', z: [], again: null }

test('the rules of the wire: defaults, order, repetition, packing, merging, oneofs, unknown fields', () => {
  assert.deepEqual(rowOf(), empty)
  // The last of several single values; negative numbers have ten bytes; high bits of 32 are cut off.
  assert.deepEqual(rowOf(sized(2, 'x'), whole(1, 5), sized(2, 'é'), whole(1, -7)), { ...empty, i: -7, s: 'é' })
  assert.equal(rowOf(whole(1, 2n ** 32n + 3n))['i'], 3)
  // Lists in any way of writing, also mixed.
  assert.deepEqual(
    rowOf(whole(3, 1), sized(3, [...varint(2), ...varint(-3)]), whole(1, 9), whole(3, 4), sized(3, []))['list'],
    [1, 2, -3, 4],
  )
  // Messages are merged.
  assert.deepEqual(
    rowOf(sized(4, [...whole(1, 1), ...whole(3, 1)]), sized(4, [...sized(2, 'y'), ...whole(3, 2)]))['inner'],
    {
      ...{ ...inner, x: 1, y: 'y', z: [1, 2] },
    },
  )
  assert.equal(
    rowOf(sized(5, [...sized(1, 'k'), ...whole(2, 1)]), sized(5, sized(1, 'k')), sized(5, whole(2, 7)))['map'],
    '{"": 7, "k": 0}',
  )
  // Of a oneof the last member, and what it was before is gone.
  assert.deepEqual(rowOf(sized(6, 'a'), whole(8, 5)), { ...empty, c: 5 })
  assert.deepEqual(rowOf(sized(7, whole(1, 1)), sized(6, 'a'), sized(7, sized(2, 'y'))), {
    ...empty,
    b: { ...inner, y: 'y' },
  })
  // What is written in another way than the schema says is not known, nor is what it does not name.
  assert.deepEqual(
    rowOf(
      sized(1, 'no number'),
      whole(2, 5),
      [...varint(99 * 8 + 1), 1, 2, 3, 4, 5, 6, 7, 8],
      [...varint(98 * 8 + 5), 1, 2, 3, 4],
      whole(97, 1),
    ),
    empty,
  )
  assert.deepEqual(rowOf(whole(9, 0), whole(10, 1), sized(11, [255])), {
    ...empty,
    maybe: false,
    e: 'ONE',
    raw: Buffer.from([255]),
  })
  assert.equal(rowOf(whole(10, -5))['e'], '-5')
})
test('fields of messages: absent messages are NULL, those that are there have defaults', () => {
  const plan = protoSource(
    file,
    [
      { name: 'inner.x', type: { kind: 'int' }, nullable: true },
      { name: 'b.y', type: { kind: 'text' }, nullable: true },
      { name: 'e', type: { kind: 'int' }, nullable: true },
    ],
    'M',
  )
  const values = [
    [],
    sized(4, []),
    [...sized(7, sized(2, 'q')), ...whole(8, 1)],
    [...whole(8, 1), ...sized(7, []), ...whole(10, 7)],
  ]
  assert.deepEqual(
    read(
      plan,
      values.map((value) => Buffer.from(value)),
    ).rows,
    [
      [null, null, 0],
      [0, null, 0],
      [null, null, 0],
      [null, '', 7],
    ],
  )
})
test('what proto2 says: declared defaults, required fields, closed enums', () => {
  const v2 = `message M { required int32 r = 1; optional int64 d = 2 [default = -5]; optional string t = 3 [default = "hi"];
    optional E e = 4 [default = B]; optional E plain = 5; repeated E all = 6; enum E { A = 1; B = 2; } }`
  const columns = protobufColumns(messageNamed(parseProtobuf(v2), null))
  const found = read(protoSource(v2, columns), [
    Buffer.from(whole(1, 1)),
    Buffer.from([...whole(1, 1), ...whole(5, 1), ...whole(5, 9), ...whole(6, 1), ...whole(6, 9), ...whole(6, 2)]),
    Buffer.from([]),
  ])
  assert.deepEqual(found.rows, [
    [1, -5, 'hi', 'B', null, []],
    [1, -5, 'hi', 'B', 'A', ['A', 'B']],
  ])
  assert.deepEqual(found.invalid, ['schema.invalid: the event does not fit the schema of s: r is required'])
})
test('bytes that lie are refused at once', () => {
  const deep = (levels: number): number[] => (levels === 0 ? [] : sized(4, sized(4, deep(levels - 1))))
  const cases: readonly (readonly [readonly number[], RegExp])[] = [
    [[...varint(18), ...varint(2n ** 40n), 65], /at byte 7: a length beyond the end/],
    [[10], /it ends within a value/],
    [[8], /it ends within a value/],
    [[8, ...Array.from({ length: 11 }, () => 255)], /a number of more than 64 bits/],
    [[0, 0], /a field without a number/],
    [[...varint(2n ** 35n), 0], /a field without a number/],
    [[11, 12], /a group, which is not read/],
    [[15], /a field of an unknown kind/],
    [sized(2, [255]), /s is not UTF-8/],
    [deep(40), /inner is nested deeper than 64/],
    [sized(4, [10]), /inner is malformed: it ends within a value/],
    [sized(3, [128]), /list is malformed: it ends within a value/],
    [sized(5, [8, 1, 250]), /map is malformed: it ends within a value/],
  ]
  for (const [bytes, why] of cases) {
    const { invalid } = read(protoSource(file, columnsOf, 'M'), [Buffer.from(bytes)])
    assert.equal(invalid.length, 1, String(why))
    assert.match(invalid[0]!, why)
  }
})
test('files that would keep the thread busy are refused before they are parsed', () => {
  const fields = Array.from({ length: 4_500 }, (_, i) => `int32 f${i} = ${i + 1};`)
  const startedMs = performance.now()
  assert.throws(
    () => parseProtobuf(`syntax = "proto3"; message A { ${fields.join(' ')} }`),
    /more than 4000 statements/,
  )
  const blocks = fields.map((one) => one.replace(';', ' { }'))
  assert.throws(
    () => parseProtobuf(`syntax = "proto3"; message A { ${blocks.join(' ')} }`),
    /more than 4000 statements/,
  )
  assert.ok(performance.now() - startedMs < 1_000)
})
test('a oneof of a thousand members is read, if not by generated code', () => {
  const members = Array.from({ length: 1_000 }, (_, i) => `int32 f${i} = ${i + 1};`)
  const text = `syntax = "proto3"; message A { oneof o { ${members.join(' ')} } }`
  const plan = protoSource(text, protobufColumns(messageNamed(parseProtobuf(text), null)))
  const decoder = createDecoder(plan, 0)
  const value = Buffer.from([...whole(7, 1), ...whole(1_000, 5)])
  const records = Array.from({ length: 100 }, (_, offset) => ({ offset, timeMs: 0, key: null, value, headers: [] }))
  const clock = new SourceClock(0, { delayMs: 0, idleMs: 1e9, maxFutureMs: 1e15 }, new StateTable(clockTable))
  clock.open([{ partition: 0, unread: true }], 0)
  const { batch } = decoder.decode([{ partition: 0, records: raw(records) }], clock, 0)
  const [first] = rowsOf(
    batch,
    plan.columns.map(({ type }) => type),
  )
  assert.deepEqual(
    first!.values.map((v, i) => [i, v]).filter(([, v]) => v !== null),
    [[999, 5]],
  )
})
test('a message that says little costs no more than its text', () => {
  // Two bytes an item, of which each is shown with its long name.
  const name = 'n'.repeat(200)
  const wide = `syntax = "proto3"; message A { int32 ${name} = 1; } message M { repeated A all = 1; }`
  const plan = protoSource(wide, [{ name: 'all', type: { kind: 'jsonb' }, nullable: true }], 'M')
  const { invalid } = read(plan, [Buffer.from(Array.from({ length: 100_000 }, () => [10, 0]).flat())])
  assert.match(invalid[0]!, /all is more than 16777216 characters/)
})
