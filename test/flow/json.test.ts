/** JSON in and out: the scanner against JSON.parse, values digit for digit, what does not fit. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isUtf8 } from 'node:buffer'
import { rowsOf } from '../../src/flow/batch.ts'
import { SourceClock, clockTable } from '../../src/flow/clock.ts'
import { type Decoded, createDecoder } from '../../src/flow/decode.ts'
import { readDouble } from '../../src/flow/decode-value.ts'
import { keyReader, keyText } from '../../src/flow/encode-key.ts'
import type { Value } from '../../src/flow/expression.ts'
import { JsonSyntax, skipSpace, valueEnd } from '../../src/flow/json-scan.ts'
import { Slab, rowBytes } from '../../src/flow/json-bytes.ts'
import { fromJs, rowObject, rowWriter, toJson } from '../../src/flow/json-value.ts'
import type { SourcePlan } from '../../src/flow/plan.ts'
import { StateTable } from '../../src/flow/state.ts'
import { parseInstant, parseTimestamp, readPlainInstant } from '../../src/flow/time-text.ts'
import type { Columns, DataType } from '../../src/schema/types.ts'
import { mutated } from './mutate.ts'
import { call, field, random, raw, record, source, t } from './plans.ts'

const seed = Number(process.env['SEED'] ?? 5)
function scans(text: Buffer): boolean {
  if (!isUtf8(text)) return false
  try {
    return skipSpace(text, valueEnd(text, skipSpace(text, 0), text.length)) === text.length
  } catch (error) {
    assert.ok(error instanceof JsonSyntax)
    return false
  }
}
function parses(text: Buffer): boolean {
  if (!isUtf8(text)) return false
  try {
    JSON.parse(text.toString('utf8'))
    return true
  } catch {
    return false
  }
}
const samples = [
  '{"a":1,"b":[true,false,null],"c":{"d":"e\\n\\u00e9\\\\"},"f":-1.5e+10}',
  ' [ ] ',
  '{}',
  '"\\ud83d\\ude00"',
  '-0',
  '1E5',
  '[1,2,[3,[4,"😀"]]]',
  '{"a":{"a":{"a":"a"}},"":""}',
  'null',
  '0.5',
  '"/\\/\\b"',
]
test('the scanner takes exactly what JSON.parse takes: mutated texts', () => {
  const next = random(seed)
  for (let i = 0; i < 60_000; i++) {
    const text = mutated(Buffer.from(samples[Math.floor(next() * samples.length)]!), next)
    assert.equal(scans(text), parses(text), `seed ${seed}: ${JSON.stringify(text.toString('latin1'))}`)
  }
})
test('depth is bounded', () => {
  assert.equal(scans(Buffer.from('['.repeat(60) + ']'.repeat(60))), true)
  assert.equal(scans(Buffer.from('['.repeat(100_000) + ']'.repeat(100_000))), false)
})
test('doubles are read as the engine reads them', () => {
  const next = random(seed)
  for (let i = 0; i < 20_000; i++) {
    const text =
      next() < 0.5
        ? String((next() - 0.5) * 10 ** Math.floor(next() * 40 - 20))
        : `${next() < 0.3 ? '-' : ''}${Math.floor(next() * 10 ** (next() * 18))}.${String(Math.floor(next() * 1e15)).slice(0, 1 + Math.floor(next() * 15))}`
    const bytes = Buffer.from(text)
    assert.ok(Object.is(readDouble(bytes, 0, bytes.length), Number(text)), text)
  }
})

function decode(plan: SourcePlan, values: readonly unknown[], keys: readonly (string | null)[] = []): Decoded {
  const clock = new SourceClock(0, { delayMs: 0, idleMs: 1e9, maxFutureMs: 1e15 }, new StateTable(clockTable))
  clock.open([{ partition: 0, unread: true }], 0)
  const records = values.map((value, i) => record({ topic: 's', partition: 0, value, key: keys[i] ?? null }, i))
  return createDecoder(plan, 0).decode([{ partition: 0, records: raw(records) }], clock, 0)
}
const one = (type: DataType, json: string): Value | string => {
  const { batch, invalid } = decode(source('s', [field('x', type)]), [`{"x":${json}}`])
  if (invalid.length > 0) return `! ${invalid[0]!.fault.message.replace(/^.*?schema of s: /, '')}`
  return rowsOf(batch, [type])[0]!.values[0]!
}
test('numbers keep every digit that their column can hold', () => {
  assert.equal(one(t.bigint, '9007199254740993'), 9007199254740993n)
  assert.equal(one(t.bigint, '9223372036854775807'), 9223372036854775807n)
  assert.equal(one(t.bigint, '"9007199254740993"'), 9007199254740993n)
  assert.equal(one(t.bigint, '1e3'), 1000)
  assert.equal(one(t.bigint, '9223372036854775808'), '! x is a number (9223372036854775808), expected bigint')
  assert.deepEqual(one(t.numeric, '12345678901234567890.123456789'), {
    digits: 12345678901234567890123456789n,
    scale: 9,
  })
  assert.deepEqual(one(t.numeric, '"1.50"'), { digits: 150n, scale: 2 })
  assert.equal(one(t.money, '1.005'), 101)
  assert.equal(one(t.money, '0.1'), 10)
  assert.equal(one(t.money, '99999999999'), '! x is 99999999999, expected numeric(12,2)')
  assert.equal(one({ kind: 'numeric', precision: 30, scale: 2 }, '1234567890123456789.99'), 123456789012345678999n)
  assert.equal(one(t.int, '5.0'), 5)
  assert.equal(one(t.int, '5.5'), '! x is a number (5.5), expected int')
  assert.equal(one(t.int, '"5"'), '! x is a text ("5"), expected int')
  assert.equal(one(t.int, '2147483648'), '! x is a number (2147483648), expected int')
  assert.equal(one(t.double, '1e400'), '! x is a number (1e400), expected double precision')
  assert.equal(one(t.double, '"NaN"'), NaN)
  assert.ok(Object.is(one(t.double, '-0'), -0))
})
test('texts, times, JSON, bytes', () => {
  assert.equal(one(t.text, '"a\\u00e9\\n\\ud83d\\ude00"'), 'aé\n😀')
  assert.equal(one(t.text, '5'), '! x is a number (5), expected text')
  assert.equal(one({ kind: 'varchar', length: 2 }, '"😀é"'), '😀é')
  assert.equal(one({ kind: 'varchar', length: 2 }, '"abc"'), '! x is a text ("abc"), expected varchar(2)')
  assert.equal(one(t.timestamptz, '"2026-01-31 12:00:00.5+01:00"'), Date.parse('2026-01-31T11:00:00.5Z') * 1000)
  assert.equal(one(t.timestamptz, '1700000000123'), 1700000000123000)
  assert.equal(one(t.timestamptz, '"soon"'), '! x is a text ("soon"), expected timestamptz')
  assert.equal(one({ kind: 'date' }, '"1970-01-03"'), 2)
  assert.equal(one({ kind: 'time' }, '"00:00:01.5"'), 1_500_000)
  assert.equal(one({ kind: 'json' }, '{"b":1,"a":[1.0]}'), '{"b":1,"a":[1.0]}')
  assert.equal(one({ kind: 'jsonb' }, '{"bb":1,"a":[1.0]}'), '{"a": [1.0], "bb": 1}')
  assert.deepEqual(one({ kind: 'bytea' }, '"\\\\x00ff"'), Buffer.from([0, 255]))
  assert.deepEqual(one({ kind: 'bytea' }, '"AP8="'), Buffer.from([0, 255]))
  assert.equal(one({ kind: 'uuid' }, '"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"'), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')
  assert.deepEqual(one({ kind: 'array', of: t.int }, '[1,null,3]'), [1, null, 3])
  assert.deepEqual(one({ kind: 'composite', fields: [field('a', t.int), field('b', t.text)] }, '{"b":"x","z":1}'), {
    a: null,
    b: 'x',
  })
  assert.equal(one(t.boolean, 'true'), true)
  assert.equal(one(t.boolean, '1'), '! x is a number (1), expected boolean')
})
test('a missing field is NULL, of equal names the last counts, an unknown field is let pass', () => {
  const columns = [field('a', t.int), field('b', t.int)]
  const plan = source('s', columns)
  const rows = (value: string): unknown => rowsOf(decode(plan, [value]).batch, [t.int, t.int])[0]?.values
  assert.deepEqual(rows('{}'), [null, null])
  assert.deepEqual(rows('{"a":1,"a":2,"z":{"a":9}}'), [2, null])
  assert.deepEqual(rows('{"\\u0061":3,"b":null}'), [3, null])
  assert.equal(rows('[1]'), undefined)
  const nested = source('s', [field('x', t.int), field('y', t.text)], {
    fields: [
      { from: 'value', path: ['a', 'b'] },
      { from: 'value', path: ['a', 'c', 'd'] },
    ],
  })
  assert.deepEqual(rowsOf(decode(nested, ['{"a":{"b":1,"c":{"d":"z"}}}']).batch, [t.int, t.text])[0]!.values, [1, 'z'])
  assert.deepEqual(rowsOf(decode(nested, ['{"a":{"b":1},"a":{"c":{"d":"q"}}}']).batch, [t.int, t.text])[0]!.values, [
    null,
    'q',
  ])
})
test('pseudo-columns and computed columns', () => {
  const columns: Columns = [
    field('n', t.int),
    field('_topic', t.text),
    field('_partition', t.int),
    field('_offset', t.bigint),
    field('_timestamp', t.timestamptz),
    field('_key', t.text),
    field('half', t.int),
  ]
  const plan = source('s', columns, {
    fields: [
      { from: 'value', path: ['n'] },
      { from: 'topic' },
      { from: 'partition' },
      { from: 'offset' },
      { from: 'timestamp' },
      { from: 'key' },
      {
        from: 'computed',
        expression: call(
          '/',
          t.int,
          { kind: 'literal', value: 10, type: t.int },
          { kind: 'column', index: 0, type: t.int },
        ),
      },
    ],
  })
  const { batch, invalid } = decode(plan, ['{"n":3}', '{"n":0}', '{"n":5}'], ['k', null, 'm'])
  assert.deepEqual(
    rowsOf(
      batch,
      columns.map((c) => c.type),
    ).map((r) => r.values),
    [
      [3, 's', 0, 0, 1e9, 'k', 3],
      [5, 's', 0, 2, 1e9, 'm', 2],
    ],
  )
  assert.deepEqual(
    invalid.map((i) => [i.record.offset, i.fault.code]),
    [[1, 'value.division-by-zero']],
  )
})
test('onInvalid null: what does not fit becomes NULL', () => {
  const plan = source('s', [field('a', t.int), field('b', t.text)], { onInvalid: 'null' })
  const { batch, invalid } = decode(plan, ['{"a":"x","b":"y"}', '{nope', '{"a":1}'])
  assert.deepEqual(
    rowsOf(batch, [t.int, t.text]).map((r) => r.values),
    [
      [null, 'y'],
      [null, null],
      [1, null],
    ],
  )
  assert.equal(invalid.length, 0)
})
test('keyed records: the key must say what the payload says, and fills what it lacks', () => {
  const plan = source('s', [field('id', t.int, false), field('b', t.text)], { mode: 'upsert', key: [0] })
  const { batch, invalid } = decode(
    plan,
    ['{"id":1,"b":"x"}', '{"b":"y"}', '{"id":3}', '{"id":4}', null, '{"b":"z"}', null],
    ['1', '2', '7', null, '5', null, null],
  )
  assert.deepEqual(
    rowsOf(batch, [t.int, t.text, t.boolean]).map((r) => r.values),
    [
      [1, 'x', false],
      [2, 'y', false],
      [4, null, false],
      [5, null, true],
    ],
  )
  assert.deepEqual(
    invalid.map((i) => i.record.offset),
    [2, 5, 6],
  )
})
test('key bytes: one column as plain text, several as JSON; equal keys have equal bytes', () => {
  const uuid: DataType = { kind: 'uuid' }
  const cases: [DataType, Value, string][] = [
    [t.text, 'a"b', 'a"b'],
    [t.int, -5, '-5'],
    [t.bigint, 9007199254740993n, '9007199254740993'],
    [t.money, 150, '1.5'],
    [t.numeric, { digits: 1500n, scale: 3 }, '1.5'],
    [t.double, 0.5, '0.5'],
    [uuid, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    [t.timestamptz, 0, '1970-01-01T00:00:00Z'],
    [t.boolean, true, 'true'],
    [t.int, null, '[null]'],
  ]
  for (const [type, value, text] of cases) {
    const columns = [field('k', type)]
    assert.equal(keyText(columns)([value]), text)
    const [back] = keyReader(columns)(Buffer.from(text))
    assert.equal(keyText(columns)([back!]), text)
  }
  const two = [field('a', t.text), field('b', t.money)]
  assert.equal(keyText(two)(['x,"', 150]), '["x,\\"",1.5]')
  assert.deepEqual(keyReader(two)(Buffer.from(' ["x,\\"", 1.50 ] ')), ['x,"', 150])
  assert.throws(() => keyReader(two)(Buffer.from('["x"]')))
})
test('rows written and read again are the same rows', () => {
  const columns: Columns = [
    field('b', t.boolean),
    field('i', t.int),
    field('l', t.bigint),
    field('d', t.double),
    field('m', t.money),
    field('n', t.numeric),
    field('s', t.text),
    field('t', t.timestamptz),
    field('y', { kind: 'bytea' }),
    field('j', { kind: 'json' }),
    field('a', { kind: 'array', of: t.text }),
    field('iv', { kind: 'real' }),
  ]
  const row =
    '{"b":true,"i":-3,"l":9007199254740993,"d":0.1,"m":5.00,"n":1.230,"s":"q\\"","t":"2026-01-31T12:00:00.25Z","y":"\\\\x0aff","j":{"k":[1.50]},"a":["x",null],"iv":0.1}'
  const { batch, invalid } = decode(source('s', columns), [row, '{}'])
  assert.deepEqual(invalid, [])
  assert.equal(rowWriter(columns)(batch, 0), row)
  assert.equal(rowWriter(columns)(batch, 1), `{${columns.map((c) => `"${c.name}":null`).join(',')}}`)
  assert.deepEqual(rowObject(batch, 0, columns)['l'], 9007199254740993n)
  assert.deepEqual(rowObject(batch, 0, columns)['m'], 5)
})
test('fields are found wherever they stand, as JSON.parse would', () => {
  const next = random(seed)
  const json: DataType = { kind: 'json' }
  const paths = [['a'], ['b'], ['c', 'x'], ['c', 'y'], ['d', 'e', 'f'], ['long name é']]
  const plan = source(
    's',
    paths.map((_, i) => field(`f${i}`, json)),
    { fields: paths.map((path) => ({ from: 'value', path })) },
  )
  const decoder = createDecoder(plan, 0)
  const clock = new SourceClock(0, { delayMs: 0, idleMs: 1e9, maxFutureMs: 1e15 }, new StateTable(clockTable))
  clock.open([{ partition: 0, unread: true }], 0)
  const scalar = (): string =>
    ['1', '-2.5e3', 'true', 'null', '"t\\u00e9"', '[1,{"a":2}]', '{}'][Math.floor(next() * 7)]!
  const object = (depth: number): string => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'x', 'y', 'long name é', 'z', '\\u0061']
    const count = Math.floor(next() * 9)
    const fields = Array.from({ length: count }, () => {
      const name = names[Math.floor(next() * names.length)]!
      const value =
        depth < 3 && (name === 'c' || name === 'd' || name === 'e') && next() < 0.8 ? object(depth + 1) : scalar()
      return `${next() < 0.2 ? ' ' : ''}"${name}":${value}`
    })
    return `{${fields.join(next() < 0.2 ? ' , ' : ',')}}`
  }
  const texts = Array.from({ length: 4_000 }, () => object(0))
  const records = texts.map((value, i) => record({ topic: 's', partition: 0, value }, i))
  const { batch, invalid } = decoder.decode([{ partition: 0, records: raw(records) }], clock, 0)
  assert.equal(invalid.length, 0)
  rowsOf(
    batch,
    plan.columns.map((c) => c.type),
  ).forEach(({ values }, row) => {
    const whole = JSON.parse(texts[row]!) as unknown
    paths.forEach((path, c) => {
      let wanted: unknown = whole
      for (const name of path)
        wanted =
          typeof wanted === 'object' && wanted !== null && !Array.isArray(wanted)
            ? (wanted as Record<string, unknown>)[name]
            : undefined
      const found = values[c] === null ? null : (JSON.parse(values[c] as string) as unknown)
      assert.deepEqual(found, wanted ?? null, `seed ${seed}: ${path.join('.')} of ${texts[row]}`)
    })
  })
})
test('plain instants are read from their bytes as from their text', () => {
  const next = random(seed)
  for (let i = 0; i < 20_000; i++) {
    const ms = Math.floor((next() - 0.3) * 4e12)
    let text = new Date(ms).toISOString()
    if (next() < 0.3)
      text = text.replace(
        /\.\d+Z/,
        next() < 0.5 ? 'Z' : `.${String(Math.floor(next() * 1e6)).padStart(1 + Math.floor(next() * 6), '0')}Z`,
      )
    if (next() < 0.5) text = text.replace('T', ' ').replace('Z', next() < 0.5 ? '' : 'Z')
    if (next() < 0.4) {
      const at = Math.floor(next() * text.length)
      text = text.slice(0, at) + '0123456789-:.TZ x'[Math.floor(next() * 17)]! + text.slice(at + 1)
    }
    const plain = readPlainInstant(Buffer.from(`"${text}"`), 1, text.length + 1)
    if (plain === plain) {
      assert.equal(plain, parseInstant(text), text)
      assert.equal(plain, parseTimestamp(text), text)
    }
  }
  const day = Buffer.from('2026-01-31T12:00:00.25Z')
  assert.equal(readPlainInstant(day, 0, day.length), Date.parse('2026-01-31T12:00:00.25Z') * 1000)
})
test('rows as bytes are rows as text', () => {
  const columns: Columns = [
    field('t', t.text),
    field('i', t.int),
    field('d', t.double),
    field('m', t.money),
    field('at', t.timestamptz),
    field('j', { kind: 'json' }),
    field('a', { kind: 'array', of: t.int }),
    field('b', t.boolean),
  ]
  const next = random(seed)
  const texts = ['', 'plain', 'q"uote', 'back\\slash', 'tab\t', 'é😀', 'x'.repeat(300)]
  const rows = Array.from({ length: 300 }, () =>
    JSON.stringify({
      t: next() < 0.1 ? null : texts[Math.floor(next() * texts.length)],
      i: Math.floor((next() - 0.5) * 1e6),
      d: (next() - 0.5) * 10 ** Math.floor(next() * 30 - 10),
      m: Math.floor(next() * 1e6) / 100,
      at: Math.floor(next() * 2e12),
      j: { n: next() },
      a: [1, null],
      b: next() < 0.5,
    }),
  )
  const { batch } = decode(source('s', columns), rows)
  assert.equal(batch.count, rows.length)
  const slab = new Slab(64)
  const bytes = rowBytes(columns)
  const text = rowWriter(columns)
  const pieces = rows.map((_, row) => {
    bytes(batch, row, slab)
    return slab.cut()
  })
  pieces.forEach((piece, row) => assert.equal(piece.toString(), text(batch, row)))
})
test('values of user code are taken as JSON would be', () => {
  assert.equal(fromJs(t.bigint)(9007199254740993n), 9007199254740993n)
  assert.equal(fromJs(t.timestamptz)(new Date(5)), 5000)
  assert.deepEqual(fromJs({ kind: 'json' })({ a: [1n] }), '{"a":[1]}')
  assert.equal(fromJs(t.int)(undefined), null)
  assert.equal(fromJs(t.double)(NaN), NaN)
  assert.throws(() => fromJs(t.int)('x'), /expected int/)
  assert.equal(toJson({ digits: 12345678901234567890n, scale: 2 }, t.numeric), '123456789012345678.90')
})
