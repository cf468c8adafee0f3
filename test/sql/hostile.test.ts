/** Texts made to hurt: whatever comes in, the answer is a fault with its place, soon, and never a crash. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '../../src/lib/fault.ts'
import { limits } from '../../src/lib/limits.ts'
import { SqlFault } from '../../src/sql/fault.ts'
import { parseStatements } from '../../src/sql/syntax/parse.ts'
import { plan, shopRelations } from './fixture.ts'
import { evaluate } from './evaluate.ts'

function faultOf(work: () => unknown): Fault | null {
  try {
    work()
    return null
  } catch (error) {
    assert.ok(error instanceof Fault, error instanceof Error ? error.stack : String(error))
    return error
  }
}

describe('hostile texts', () => {
  const bombs: Readonly<Record<string, string>> = {
    parentheses: `SELECT ${'('.repeat(50_000)}1`,
    'closed parentheses': `SELECT ${'('.repeat(5_000)}1${')'.repeat(5_000)}`,
    'nested queries': `SELECT ${'(SELECT '.repeat(5_000)}1`,
    'nested derived tables': `SELECT * FROM ${'(SELECT * FROM '.repeat(5_000)}t`,
    'nested joins': `SELECT * FROM ${'('.repeat(5_000)}a`,
    NOT: `SELECT ${'NOT '.repeat(50_000)}true`,
    signs: `SELECT ${'- '.repeat(50_000)}1`,
    CASE: `SELECT ${'CASE WHEN true THEN '.repeat(5_000)}1`,
    calls: `SELECT ${'abs('.repeat(5_000)}1`,
    sums: `SELECT 1${' + 1'.repeat(50_000)}`,
    casts: `SELECT 1${'::int'.repeat(50_000)}`,
    'joins without conditions': `SELECT * FROM a${' JOIN a'.repeat(20_000)}`,
    arrays: `SELECT ${'ARRAY['.repeat(5_000)}`,
    'bracketed arrays': `SELECT ARRAY${'['.repeat(5_000)}`,
    comments: '/*'.repeat(100_000),
    unions: `SELECT 1${' UNION ALL SELECT 1'.repeat(20_000)}`,
    subscripts: `SELECT a${'[1]'.repeat(10_000)}`,
    comparisons: `SELECT 1${' BETWEEN 1 AND 2 OR 1'.repeat(20_000)}`,
  }
  for (const [name, text] of Object.entries(bombs)) {
    test(`a bomb of ${name} is refused or read within a second`, () => {
      const began = performance.now()
      faultOf(() => parseStatements(text))
      assert.ok(performance.now() - began < 1_000)
    })
  }
  test('a chain of unions or joins is bounded where it is read', () => {
    for (const text of [bombs['unions']!, `SELECT * FROM a${' CROSS JOIN a'.repeat(20_000)}`]) {
      assert.equal(faultOf(() => parseStatements(text))?.code, 'sql.too-complex')
    }
  })
  test('a text beyond the limit is not read', () => {
    assert.equal(faultOf(() => parseStatements(' '.repeat(limits.sqlBytes + 1)))?.code, 'wire.too-large')
  })
  test('a long list of conditions binds and runs', () => {
    const list = Array.from({ length: 3_000 }, (_, i) => i).join(', ')
    assert.equal(evaluate(`2999 IN (${list})`), true)
    assert.equal(evaluate(Array.from({ length: 3_000 }, () => 'true').join(' AND ')), true)
  })
  test('an INSERT of a megabyte is read soon', () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => `(${i}, 'some text ${i}')`).join(', ')
    const began = performance.now()
    assert.equal(parseStatements(`INSERT INTO t VALUES ${rows}`).length, 1)
    assert.ok(performance.now() - began < 2_000)
  })
  test('names of objects every program has are only names', () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf']) {
      assert.equal(faultOf(() => evaluate(`${name}(1)`))?.code, 'sql.unknown-function', name)
      assert.equal(faultOf(() => evaluate(`1::${name}`))?.code, 'sql.unknown-type', name)
      assert.equal(faultOf(() => evaluate(name))?.code, 'sql.unknown-column', name)
      assert.equal(faultOf(() => plan(`CREATE STREAM s (a int) WITH (${name} = 1)`))?.code, 'sql.invalid-value', name)
      assert.equal(faultOf(() => evaluate(`extract(${name} FROM now())`))?.code, 'value.invalid-argument', name)
      assert.equal(plan(`CREATE STREAM ${name} (${name} int)`).relations.length, 1)
    }
  })
  test('nothing that a user writes becomes part of generated code', () => {
    for (const text of [
      "'); process.exit(1); ('",
      '${process.exit(1)}',
      '`',
      "\\'",
      '\u2028',
      '*/ process.exit(1) /*',
    ]) {
      const quoted = `'${text.replaceAll("'", "''")}'`
      assert.equal(evaluate(`${quoted} || 'x'`), `${text}x`)
      assert.equal(evaluate(`replace(${quoted}, 'q', ${quoted})`), text)
      assert.equal(evaluate(`${quoted} = ${quoted}`), true)
    }
  })
})

describe('random texts', () => {
  const word = fc.constantFrom(
    ...'select from where group by having order limit offset with as case when then else end and or not in is null like between cast create stream table materialized view alert notify webhook log key every interval message emit on window close tumble over partition rows unbounded preceding row_number union all join for system_time of insert into values drop alter show describe explain subscribe to watermark primary generated always filter distinct exists extract purchases items item amount bought_at count sum max ( ) ( ) , , . ; * + - / = < > || :: -> \'text\' 1 2.5 "q" $1 true'.split(
      ' ',
    ),
    "'1 day'",
    "'1 minute'",
  )
  const text = fc.array(word, { maxLength: 40 }).map((words) => words.join(' '))
  test('either parse or are a fault with a place in the text', () => {
    fc.assert(
      fc.property(text, (sql) => {
        const fault = faultOf(() => parseStatements(sql))
        if (fault instanceof SqlFault)
          assert.ok(
            fault.position.line === 1 && fault.position.column >= 1 && fault.position.column <= sql.length + 1,
            fault.message,
          )
      }),
      { numRuns: 3_000 },
    )
  })
  test('either plan or are a fault', () => {
    const statements = [
      (t: string): string => `CREATE MATERIALIZED VIEW v AS SELECT ${t} FROM purchases`,
      (t: string): string => `CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE ${t}`,
      (t: string): string =>
        `CREATE MATERIALIZED VIEW v AS SELECT item, count(*) FROM purchases GROUP BY item HAVING ${t}`,
      (t: string): string => `CREATE STREAM s (${t})`,
      (t: string): string => `CREATE ALERT a AS SELECT item FROM items ${t}`,
    ]
    fc.assert(
      fc.property(text, fc.constantFrom(...statements), (words, wrap) => {
        const sql = wrap(words)
        faultOf(() => {
          const only = parseStatements(sql)
          if (only.length === 1 && only[0]!.kind.startsWith('create-')) plan(sql, shopRelations)
        })
      }),
      { numRuns: 3_000 },
    )
  })
  const value = fc.constantFrom(
    '1',
    '-2.5',
    "'a'",
    'null',
    'true',
    "date '2024-01-31'",
    "timestamp '2024-01-31 10:00'",
    "interval '1 day 2 hours'",
    '\'{"a": [1]}\'::jsonb',
    '9223372036854775807',
    "'NaN'::double precision",
    '1e300::double precision',
    "''",
    "'\\x00'::bytea",
    "'infinity'::timestamp",
  )
  const names = fc.constantFrom(
    ...'+ - * / % ^ = < || -> ->> @> ~ like'.split(' '),
    ...'abs round trunc length upper substring date_trunc extract to_char age concat replace split_part regexp_replace regexp_match coalesce greatest nullif lpad repeat to_timestamp make_date jsonb_typeof md5 encode chr format'.split(
      ' ',
    ),
  )
  test('calls with any values give a value or a fault', () => {
    fc.assert(
      fc.property(names, fc.array(value, { minLength: 1, maxLength: 3 }), (name, args) => {
        const expression =
          /^[a-z]/.test(name) && name !== 'like' ? `${name}(${args.join(', ')})` : args.join(` ${name} `)
        faultOf(() => evaluate(expression))
        faultOf(() => evaluate(`(${expression})::text`))
      }),
      { numRuns: 2_000 },
    )
  })
})
