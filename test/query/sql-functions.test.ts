/** Functions in TypeScript, called from SQL: what they get and give, what may go wrong, and what a view keeps of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SqlFunctionDefinition, defineSqlFunction } from '../../src/flow/user-functions.ts'
import { UserFunctions } from '../../src/sql/bind/user-functions.ts'
import { asFault } from '../../src/lib/fault.ts'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { openHouse } from './house.ts'

const initials = defineSqlFunction('initials', { args: ['text'], returns: 'text' }, (name) =>
  name
    .split(' ')
    .map((word) => word.slice(0, 1))
    .join(''),
)
const scale = defineSqlFunction('scale', { args: ['double', 'int'], returns: 'double' }, (x, by) => x * by)
const shout = [
  defineSqlFunction('shout', { args: ['text'], returns: 'text' }, (text) => `${text.toUpperCase()}!`),
  defineSqlFunction('shout', { args: ['int'], returns: 'text' }, (n) => `${n}!`),
  defineSqlFunction('shout', { args: ['text[]'], returns: 'text' }, (all) => `${all.join('! ')}!`),
  defineSqlFunction('shout', { args: ['int[]'], returns: 'text' }, (all) => `${all.length} numbers!`),
]
const orElse = defineSqlFunction('or_else', { args: ['text', 'text'], returns: 'text', strict: false }, (a, b) =>
  a === null ? `no ${b ?? 'thing'}` : a,
)
/** What it got, as text: `echo_numeric` … */
const echo = (
  type: 'bigint' | 'numeric' | 'real' | 'uuid' | 'date' | 'time' | 'timestamp' | 'timestamptz' | 'interval',
) => defineSqlFunction(`echo_${type}`, { args: [type], returns: 'text' }, (value) => `${typeof value} ${String(value)}`)
const echoes = (
  ['bigint', 'numeric', 'real', 'uuid', 'date', 'time', 'timestamp', 'timestamptz', 'interval'] as const
).map(echo)
const back = <T extends 'bigint' | 'numeric' | 'timestamptz' | 'jsonb' | 'int[]' | 'bytea' | 'date' | 'double'>(
  type: T,
) => defineSqlFunction(`back_${type.replace('[]', 's')}`, { args: [type], returns: type }, (value) => value as never)
const backs = (['bigint', 'numeric', 'timestamptz', 'jsonb', 'int[]', 'bytea', 'date', 'double'] as const).map((type) =>
  back(type),
)
/** Gives for a text what is not of its type. */
const wrong = (name: string, returns: 'int' | 'text' | 'timestamptz' | 'numeric' | 'jsonb', result: () => unknown) =>
  defineSqlFunction(name, { args: ['text'], returns }, () => result() as never)
const wrongs = [
  wrong('wrong_int', 'int', () => 1.5),
  wrong('wrong_text', 'text', () => 5),
  wrong('wrong_time', 'timestamptz', () => 'yesterday'),
  wrong('wrong_numeric', 'numeric', () => 'many'),
  wrong('wrong_half', 'text', () => '\ud800'),
  wrong('wrong_nothing', 'jsonb', () => undefined),
  wrong('wrong_promise', 'jsonb', async () => 1),
  wrong('wrong_throw', 'text', () => {
    throw new RangeError('out of luck')
  }),
  wrong('wrong_dice', 'int', () => dice++),
]
let dice = 0
const functions = [initials, scale, ...shout, orElse, ...echoes, ...backs, ...wrongs]

const value = async (house: Awaited<ReturnType<typeof openHouse>>, expression: string): Promise<unknown> =>
  (await house.sql(`SELECT ${expression}`))[0]![0]

test('any expression may call them, over constants and rows', async () => {
  await using house = await openHouse({ functions })
  assert.equal(await value(house, "initials('Ada King Lovelace')"), 'AKL')
  // numeric and int become the double that is asked for.
  assert.equal(await value(house, 'scale(1.5, 2) + 1'), 4)
  assert.equal(await value(house, 'scale(2, 3)'), 6)
  await house.sql('CREATE STREAM s (name text, n int)')
  await house.sql("INSERT INTO s VALUES ('Ada Lovelace', 1), ('Alan Turing', 2), (NULL, 3), ('Abe Lang', 4)")
  assert.deepEqual(
    await house.sql(
      `SELECT initials(name), count(*), sum(scale(n, 10)) FROM s WHERE shout(n) <> '2!' GROUP BY initials(name)
       HAVING max(initials(name)) IS NULL OR scale(count(*), 1) > 1 ORDER BY 1`,
    ),
    [
      ['AL', 2, 50],
      [null, 1, 30],
    ],
  )
  await house.sql('INSERT INTO s SELECT initials(name), n + 10 FROM s WHERE n = 1')
  assert.deepEqual(await house.sql('SELECT name FROM s WHERE n = 11'), [['AL']])
})

test('overloads are chosen by the types of the arguments', async () => {
  await using house = await openHouse({ functions })
  assert.equal(await value(house, "shout('a')"), 'A!')
  assert.equal(await value(house, "shout('a'::varchar)"), 'A!')
  assert.equal(await value(house, 'shout(1)'), '1!')
  assert.equal(await value(house, "shout(ARRAY['a', 'b'])"), 'a! b!')
  assert.equal(await value(house, 'shout(ARRAY[1, 2])'), '2 numbers!')
  const refused = async (text: string): Promise<string> => {
    try {
      return String(await house.sql(text))
    } catch (error) {
      return `${(error as Error).message} ${(error as { hint?: string }).hint}`
    }
  }
  assert.match(await refused('SELECT shout(1.5)'), /shout\(numeric\) does not exist It exists as shout\(text\)/)
  assert.match(await refused("SELECT initialz('a')"), /initialz\(unknown\) does not exist Perhaps you meant initials/)
  await assert.rejects(house.sql('SELECT initials()'), /initials\(\) does not exist/)
  await assert.rejects(house.sql("SELECT initials(DISTINCT 'a')"), /not an aggregate/)
})

test('a strict one is not called with NULL, another is', async () => {
  await using house = await openHouse({ functions })
  assert.equal(await value(house, 'initials(NULL)'), null)
  assert.equal(await value(house, 'scale(NULL, 2)'), null)
  assert.equal(await value(house, "or_else(NULL, 'bread')"), 'no bread')
  assert.equal(await value(house, 'or_else(NULL, NULL)'), 'no thing')
  assert.equal(await value(house, "or_else('a', NULL)"), 'a')
})

test('each type comes as its form in JavaScript, and goes back without loss', async () => {
  await using house = await openHouse({ functions })
  const got: readonly (readonly [string, unknown])[] = [
    ['echo_bigint(9007199254740993)', 'bigint 9007199254740993'],
    ['echo_bigint(7)', 'bigint 7'],
    ['echo_numeric(1234567890123456789.125)', 'string 1234567890123456789.125'],
    ['echo_numeric(1.50)', 'string 1.50'],
    ['echo_real(1.5::real)', 'number 1.5'],
    ["echo_uuid('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11')", 'string a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ["echo_date('2026-01-31')", 'string 2026-01-31'],
    ["echo_time('10:00:00.5')", 'string 10:00:00.5'],
    ["echo_timestamp('2026-01-31 10:00:00')", 'string 2026-01-31T10:00:00Z'],
    ["echo_timestamptz('2026-01-31 10:00:00.000001+01')", 'string 2026-01-31T09:00:00.000001Z'],
    ["echo_interval('1 day 2 hours')", 'string 1 day 02:00:00'],
    ['back_bigint(9007199254740993)::text', '9007199254740993'],
    ['back_numeric(1234567890123456789.125)::text', '1234567890123456789.125'],
    ["back_timestamptz('2026-01-31 10:00:00.000001+00')::text", '2026-01-31 10:00:00.000001+00'],
    [`back_jsonb('{"b":1,"a":[null,2.50]}')::text`, '{"a": [null, 2.5], "b": 1}'],
    ['(back_ints(ARRAY[1, NULL, 3]))[3]', 3],
    [`encode(back_bytea('\\x00ff'), 'hex')`, '00ff'],
    ["back_date('2026-01-31')::text", '2026-01-31'],
    ["back_double('NaN'::double precision)::text", 'NaN'],
  ]
  for (const [expression, expected] of got) assert.equal(await value(house, expression), expected, expression)
})

test('what throws, or gives another type than it says, is a fault that says so', async () => {
  await using house = await openHouse({ functions })
  const says: readonly (readonly [string, RegExp])[] = [
    ['wrong_int', /wrong_int\(\) gave what is a number \(1\.5\), expected int/],
    ['wrong_text', /wrong_text\(\) gave what is a number \(5\), expected text/],
    ['wrong_time', /wrong_time\(\) gave what is a text \("yesterday"\), expected timestamptz/],
    ['wrong_numeric', /wrong_numeric\(\) gave what is a text \("many"\), expected numeric/],
    ['wrong_half', /wrong_half\(\) gave what is text with half a surrogate pair/],
    ['wrong_nothing', /wrong_nothing\(\) gave what is undefined, expected jsonb/],
    ['wrong_promise', /wrong_promise\(\) gave what is a promise: a function must not be asynchronous/],
    ['wrong_throw', /wrong_throw\(\) threw: out of luck/],
    ['wrong_dice', /wrong_dice\(\) gave two results for the same arguments/],
  ]
  for (const [name, message] of says)
    await assert.rejects(house.sql(`SELECT ${name}('x')`), (error) => {
      assert.match(String((error as Error).message), message)
      assert.equal(asFault(error).code, 'flow.function-failed')
      return true
    })
})

const luck = defineSqlFunction('luck', { args: ['int'], returns: 'int' }, (n) => {
  if (n === 13) throw new Error('unlucky')
  return n * 2
})
test('a row whose call fails goes by the onError of its view, and its neighbours go on', async () => {
  await using house = await openHouse({ functions: [luck] })
  await house.sql('CREATE STREAM s (n int)')
  await house.sql("CREATE MATERIALIZED VIEW skips WITH (on_error = 'skip') AS SELECT luck(n) AS x FROM s")
  await house.sql("CREATE MATERIALIZED VIEW keeps WITH (on_error = 'quarantine') AS SELECT sum(luck(n)) AS x FROM s")
  await house.sql('CREATE MATERIALIZED VIEW stops AS SELECT luck(n) AS x FROM s')
  await house.sql('INSERT INTO s VALUES (1), (13), (2)')
  assert.deepEqual(await house.settled('SELECT x FROM skips ORDER BY x', [[2], [4]]), [[2], [4]])
  assert.deepEqual(await house.settled('SELECT x FROM keeps', [[6]]), [[6]])
  for (let i = 0; i < 200 && house.engine.relation('stops')!.status !== 'failed'; i++)
    await new Promise((resolve) => setTimeout(resolve, 10))
  assert.match(house.engine.relation('stops')!.error!.message, /unlucky/)
})

test('rows of a table that change are taken from where they had been put', async () => {
  await using house = await openHouse({ functions: [initials] })
  await house.sql('CREATE TABLE people (id int PRIMARY KEY, name text)')
  await house.sql(
    'CREATE MATERIALIZED VIEW by_initials AS SELECT initials(name) AS i, count(*) AS n FROM people GROUP BY 1',
  )
  await house.sql("INSERT INTO people VALUES (1, 'Ada Lovelace'), (2, 'Abe Lang'), (3, 'Alan Turing')")
  await house.sql('FLUSH')
  await house.sql("INSERT INTO people VALUES (2, 'Al Tait'), (1, 'Ada King')")
  const rows = [
    ['AK', 1],
    ['AT', 2],
  ]
  assert.deepEqual(await house.settled('SELECT i, n FROM by_initials ORDER BY i', rows), rows)
})

const draw = defineSqlFunction('draw', { args: ['int'], returns: 'double', volatile: true }, (n) => n + Math.random())
test('a volatile one is refused where its row may be computed again, and computed once elsewhere', async () => {
  await using house = await openHouse({ functions: [draw] })
  await house.sql('CREATE STREAM s (n int)')
  await house.sql('CREATE TABLE t (n int PRIMARY KEY, x text)')
  const refused = [
    'SELECT draw(n) AS d FROM t',
    'SELECT sum(draw(n)) AS d FROM t',
    'SELECT n FROM t WHERE draw(n) > 1',
    'SELECT draw(c::int) AS d FROM (SELECT count(*) AS c FROM s) q',
    'SELECT t.n FROM t JOIN t AS u ON t.n = u.n AND draw(t.n) > u.n',
    'SELECT s.n FROM s LEFT JOIN t FOR SYSTEM_TIME AS OF PROCTIME() ON t.n = s.n WHERE draw(t.n) > 1 GROUP BY s.n HAVING draw(s.n) > 1',
  ]
  for (const query of refused)
    await assert.rejects(house.sql(`CREATE MATERIALIZED VIEW v AS ${query}`), /volatile function over rows/, query)
  await house.sql(
    'CREATE MATERIALIZED VIEW v AS SELECT a, a AS b, a + 0 AS c FROM (SELECT draw(n) AS a FROM s) q WHERE a > 0',
  )
  await house
    .sql('INSERT INTO s SELECT n FROM generate_series(1, 3) AS g(n)')
    .catch(() => house.sql('INSERT INTO s VALUES (1), (2), (3)'))
  await house.sql('FLUSH')
  const rows = await house.sql('SELECT a, b, c FROM v')
  assert.equal(rows.length, 3)
  for (const [a, b, c] of rows) assert.ok(a === b && b === c)
})

test('EXPLAIN and SHOW FUNCTIONS name them', async () => {
  await using house = await openHouse({
    functions: [
      defineSqlFunction(
        'risk',
        { args: ['double', 'text'], returns: 'double', version: 3, about: 'How bad' },
        (x) => x,
      ),
    ],
  })
  await house.sql('CREATE STREAM s (amount double precision, city text)')
  const plan = (
    await house.sql('EXPLAIN CREATE MATERIALIZED VIEW v AS SELECT city FROM s WHERE risk(amount, city) > 1')
  ).flat()
  assert.ok(
    plan.some((line) => String(line).includes('where risk(amount, city) > ')),
    plan.join('\n'),
  )
  assert.ok(plan.includes('  calls in TypeScript: risk(double, text) version 3'), plan.join('\n'))
  assert.deepEqual(
    (await house.sql('SHOW FUNCTIONS')).filter(([name]) => name === 'risk'),
    [['risk', 'double precision, text', 'double precision', 'How bad (version 3)']],
  )
})

test('names that mean something in SQL are refused, and two of one signature', () => {
  const named = (name: string, args: readonly ('int' | 'text')[] = ['int']): SqlFunctionDefinition =>
    defineSqlFunction(name, { args, returns: 'int' }, () => 1)
  for (const name of [
    'abs',
    'sum',
    'row_number',
    'coalesce',
    'now',
    'int4',
    'extract',
    'select',
    'case',
    'tumble',
    'greatest',
    'exists',
    'row',
    'substring',
  ])
    assert.throws(() => new UserFunctions([named(name)]), /SQL has something of this name already/, name)
  assert.throws(() => new UserFunctions([named('f'), named('f')]), /f\(int\).*defined twice/)
  assert.equal(new UserFunctions([named('f'), named('f', ['text']), named('f', [])]).named('f').length, 3)
  for (const name of ['', 'A', 'a b', 'a"b', '1a', 'ä', 'a'.repeat(64)])
    assert.throws(() => named(name), /lower-case letters/, name)
  assert.throws(
    () => defineSqlFunction('f', { args: ['money' as 'int'], returns: 'int' }, () => 1),
    /types are boolean/,
  )
  assert.throws(
    () => defineSqlFunction('f', { args: Array(101).fill('int') as 'int'[], returns: 'int' }, () => 1),
    /more than 100/,
  )
})

test('a view goes on with the same version after a restart, and stands still with another', async () => {
  const disk = memoryDisk()
  const version = (of: number) =>
    defineSqlFunction('grade', { args: ['int'], returns: 'text', version: of }, (n) => (n >= of * 10 ? 'good' : 'bad'))
  const texts = [
    'CREATE STREAM s (n int)',
    'CREATE MATERIALIZED VIEW v AS SELECT grade(n) AS g, count(*) AS c FROM s GROUP BY 1',
  ]
  {
    await using house = await openHouse({ disk, functions: [version(1)] })
    for (const text of texts) await house.sql(text)
    await house.sql('INSERT INTO s VALUES (5), (15)')
    await house.sql('FLUSH')
  }
  const rows = 'SELECT g, c FROM v ORDER BY g'
  {
    await using house = await openHouse({ disk, functions: [version(1)] })
    await house.sql('INSERT INTO s VALUES (16)')
    assert.deepEqual(
      await house.settled(rows, [
        ['bad', 1],
        ['good', 2],
      ]),
      [
        ['bad', 1],
        ['good', 2],
      ],
    )
  }
  {
    await using house = await openHouse({ disk })
    assert.match(house.engine.relation('v')!.error!.message, /function grade\(integer|int\) does not exist/)
  }
  await using house = await openHouse({ disk, functions: [version(2)] })
  const { status, error } = house.engine.relation('v')!
  assert.equal(status, 'failed')
  assert.equal(error!.code, 'flow.function-changed')
  assert.deepEqual(
    house.engine.outdated().map(({ name }) => name),
    ['v'],
  )
  await house.sql(texts[1]!.replace('CREATE', 'CREATE OR REPLACE'))
  assert.deepEqual(await house.settled(rows, [['bad', 3]]), [['bad', 3]])
})

test('wrong types do not type-check', () => {
  const wrongTypes = (): void => {
    // @ts-expect-error there is no such type
    defineSqlFunction('f', { args: ['money'], returns: 'int' }, () => 1)
    // @ts-expect-error a text is no int
    defineSqlFunction('f', { args: ['text'], returns: 'int' }, (text) => text)
    // @ts-expect-error bigint is not number
    defineSqlFunction('f', { args: ['bigint'], returns: 'double' }, (n) => n * 2)
    // @ts-expect-error numeric is text, without loss
    defineSqlFunction('f', { args: ['numeric'], returns: 'double' }, (n) => n * 2)
    // @ts-expect-error one argument is given, not two
    defineSqlFunction('f', { args: ['int'], returns: 'int' }, (a: number, b: number) => a + b)
    // @ts-expect-error what is not strict may get null
    defineSqlFunction('f', { args: ['text'], returns: 'int', strict: false }, (text) => text.length)
    // @ts-expect-error elements may be null
    defineSqlFunction('f', { args: ['text[]'], returns: 'int' }, (all) => all.map((one) => one.length)[0]!)
    // @ts-expect-error a promise is no value
    defineSqlFunction('f', { args: ['int'], returns: 'int' }, async (n) => n)
    // @ts-expect-error undefined is no value: null is NULL
    defineSqlFunction('f', { args: ['int'], returns: 'int' }, () => {})
    defineSqlFunction('f', { args: ['int', 'text'], returns: 'timestamptz' }, (n, text) =>
      text === '' ? null : new Date(n),
    )
  }
  assert.equal(typeof wrongTypes, 'function')
})
