import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ago, bytes, compact, duration, readTime, shortTime, time } from '../../console/src/lib/format.ts'
import { fuzzy } from '../../console/src/lib/fuzzy.ts'
import { ExactNumber, cellText, compactJson, parseJson, printJson } from '../../console/src/lib/json.ts'
import { bytesOf, hexDump, payloadLine, textOf } from '../../console/src/lib/payload.ts'
import { caretOf, problemOf } from '../../console/src/lib/problem.ts'
import { formatRoute, parseRoute } from '../../console/src/lib/route.ts'
import { exampleOf } from '../../console/src/lib/schema-example.ts'
import { isSubscribe, onlyReads, quoteName, sqlTokens } from '../../console/src/lib/sql-text.ts'

test('an address survives being written and read, whatever names and values hold', () => {
  const text = fc.string({ unit: 'grapheme' }).filter((s) => s !== '' && s.isWellFormed())
  fc.assert(
    fc.property(fc.array(text), fc.dictionary(text, text), (path, query) => {
      const read = parseRoute(formatRoute(path, query))
      assert.deepEqual(read.path, path)
      assert.deepEqual({ ...read.query }, { ...query })
    }),
  )
})

test('an address behind # is the same place, and a query too long for a request line stands behind #?', () => {
  assert.deepEqual(parseRoute('/#/topics/a%2Fb?tab=x'), parseRoute('/topics/a%2Fb?tab=x'))
  const long = 'SELECT 1 -- '.repeat(1000)
  const address = formatRoute(['sql'], { q: long })
  assert.match(address, /^\/sql#\?q=/)
  assert.equal(parseRoute(address).query['q'], long)
})

test('an address that is no address is still one', () => {
  assert.deepEqual(parseRoute('/topics/%zz').path, ['topics', '%zz'])
  assert.deepEqual(parseRoute('').path, [])
  assert.equal(parseRoute('/a?__proto__=x').query['__proto__'], 'x')
})

test('numbers that a double cannot hold keep their text', () => {
  const parsed = parseJson('{"id":9007199254740993,"small":12,"price":0.1,"exact":12345678901234567.25}') as Record<
    string,
    unknown
  >
  assert.ok(parsed['id'] instanceof ExactNumber)
  assert.equal(compactJson(parsed), '{"id":9007199254740993,"small":12,"price":0.1,"exact":12345678901234567.25}')
  assert.equal(cellText(parsed['id']), '9007199254740993')
})

test('a print of JSON is the JSON, indented', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      const text = printJson(value)
        .tokens.map((t) => t.text)
        .join('')
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)))
    }),
  )
  assert.equal(printJson(Array(1000).fill('long'), 100).cut, true)
})

test('a row compares equal exactly when its JSON does', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => assert.equal(compactJson(value), JSON.stringify(value))))
})

test('numbers, sizes and durations are short', () => {
  assert.deepEqual([0, 0.42, 7, 999, 1234, 45_678, 999_999, 3_400_000].map(compact), [
    '0',
    '0.4',
    '7',
    '999',
    '1.2k',
    '46k',
    '1.0M',
    '3.4M',
  ])
  assert.deepEqual([0, 999, 1200, 45e6].map(bytes), ['0 B', '999 B', '1.2 kB', '45 MB'])
  assert.deepEqual([3, 999, 4200, 59_600, 192_000, 7_500_000, 273_600_000, -5000].map(duration), [
    '3 ms',
    '999 ms',
    '4.2 s',
    '1 m',
    '3 m 12 s',
    '2 h 5 m',
    '3 d 4 h',
    '−5.0 s',
  ])
})

test('times are UTC and lose only zeroes', () => {
  assert.equal(time('1997-03-01T00:00:00.000Z'), '1997-03-01 00:00:00.000')
  assert.equal(shortTime('1997-03-01T00:00:00.000Z'), '1997-03-01')
  assert.equal(shortTime('1997-03-01T12:30:00.000Z'), '1997-03-01 12:30')
  assert.equal(shortTime('1997-03-01T12:30:05.250Z'), '1997-03-01 12:30:05.250')
  assert.equal(time('not a time'), 'not a time')
  assert.deepEqual(
    [500, 12_400, 200_000, 8_000_000].map((ms) => ago(new Date(1e12).toISOString(), 1e12 + ms)),
    ['now', '12 s ago', '3 m ago', '2 h ago'],
  )
})

test('a time may be typed in every usual form, to the millisecond', () => {
  assert.equal(readTime('2026-01-31 12:34:56.789'), '2026-01-31T12:34:56.789Z')
  assert.equal(readTime('2026-01-31T12:34:56.789Z'), '2026-01-31T12:34:56.789Z')
  assert.equal(readTime('2026-01-31 12:34+0200'), '2026-01-31T10:34:00.000Z')
  assert.equal(readTime('2026-01-31'), '2026-01-31T00:00:00.000Z')
  assert.equal(readTime('1769862896789'), '2026-01-31T12:34:56.789Z')
  for (const wrong of ['', 'yesterday', '2026-13-01', '12:30', '2026-01-31 25:00'])
    assert.equal(readTime(wrong), null, wrong)
})

test('the palette prefers starts, then words, then letters in order', () => {
  const names = ['purchases.quarantine', 'items', 'my-purchases', 'purchases', 'pump-chassis']
  const found = names
    .flatMap((name) => {
      const match = fuzzy('purchas', name)
      return match === null ? [] : [{ name, score: match.score }]
    })
    .sort((a, b) => b.score - a.score)
  assert.deepEqual(found.map((f) => f.name).slice(0, 3), ['purchases', 'purchases.quarantine', 'my-purchases'])
  assert.equal(fuzzy('xyz', 'purchases'), null)
})

test('payloads of every kind become lines, text and bytes', () => {
  assert.equal(payloadLine({ json: { a: 'x' } }), '{"a":"x"}')
  assert.equal(payloadLine({ json: '1' }), '"1"')
  assert.equal(payloadLine({ text: 'x'.repeat(500) })!.length, 401)
  assert.equal(payloadLine({ base64: 'AAH/' }), '00 01 ff')
  assert.equal(payloadLine(null), null)
  assert.equal(textOf({ base64: Buffer.from('grün').toString('base64') }), 'grün')
  assert.deepEqual([...bytesOf({ text: 'ü' })], [0xc3, 0xbc])
  assert.equal(hexDump(new TextEncoder().encode('Millrace, sixteen+')).lines[1], `00000010  ${'6e 2b'.padEnd(48)}  n+`)
})

test('the caret points where the problem says', () => {
  const { problem } = problemOf(
    400,
    JSON.stringify({ code: 'sql.syntax', detail: 'expected FROM', position: { line: 2, column: 3 } }),
  )
  assert.deepEqual(caretOf(problem, 'SELECT *\nFORM x'), { line: 'FORM x', number: 2, column: 3 })
  assert.equal(caretOf(problem, 'one line'), null)
  assert.equal(problemOf(502, '<html>bad gateway').problem.status, 502)
  assert.equal(problemOf(503, '').passing, true)
  assert.equal(problemOf(404, '').passing, false)
})

test('only a statement that changes nothing runs from a link', () => {
  for (const sql of [
    'SELECT 1',
    ' select * from t;',
    'SHOW views',
    'SUBSCRIBE TO v',
    "SELECT 'drop table x'",
    'EXPLAIN SELECT 1',
    '-- drop\nSELECT 1',
  ])
    assert.equal(onlyReads(sql), true, sql)
  for (const sql of [
    '',
    'DROP VIEW v',
    'SELECT 1; DROP VIEW v',
    'INSERT INTO t VALUES (1)',
    'WITH x AS (INSERT INTO t VALUES (1)) SELECT 1',
    'EXPLAIN ANALYZE DELETE FROM t',
    'CREATE VIEW v AS SELECT 1',
    '/* SELECT */ DROP VIEW v',
  ])
    assert.equal(onlyReads(sql), false, sql)
  assert.equal(isSubscribe('-- live\nsubscribe to v'), true)
})

test('the colours of SQL lose no character', () => {
  fc.assert(
    fc.property(fc.string(), (sql) =>
      assert.equal(
        sqlTokens(sql)
          .map((t) => t.text)
          .join(''),
        sql,
      ),
    ),
  )
  assert.deepEqual(
    sqlTokens("SELECT 'it''s' -- x").map((t) => t.kind),
    ['keyword', 'other', 'text', 'other', 'comment'],
  )
  assert.equal(quoteName('stock'), 'stock')
  assert.equal(quoteName('my view'), '"my view"')
  assert.equal(quoteName('Order"s'), '"Order""s"')
})

test('a schema gives a value to begin with', () => {
  const schema = {
    type: 'object',
    properties: {
      id: { type: 'integer', minimum: 1 },
      at: { type: 'string', format: 'date-time' },
      tags: { type: 'array', items: { enum: ['a', 'b'] } },
      more: { type: ['object', 'null'], properties: { ok: { type: 'boolean' } } },
    },
  }
  assert.deepEqual(JSON.parse(exampleOf(schema)), {
    id: 1,
    at: '2026-01-31T12:00:00Z',
    tags: ['a'],
    more: { ok: false },
  })
  // Libraries that write schemas bound every integer by what a double holds.
  const safe = { type: 'integer', minimum: -9007199254740991, maximum: 9007199254740991 }
  assert.equal(exampleOf(safe), '0')
  assert.equal(exampleOf({ type: 'integer', minimum: 3 }), '3')
  assert.equal(exampleOf({ type: 'integer', exclusiveMinimum: 0 }), '1')
  assert.equal(exampleOf({ type: 'number', maximum: -5 }), '-5')
  assert.equal(exampleOf(null), '{}')
})
