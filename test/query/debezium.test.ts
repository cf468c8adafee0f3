/** Change events of Debezium: tables made of them, by a key and without, views that write them, and what does not fit. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { SeededRandom } from '../../src/lib/sim/random.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { SqlFault } from '../../src/sql/fault.ts'
import { type House, openHouse } from './house.ts'
import { readAll, textOf } from '../flow/house.ts'

type Row = Readonly<Record<string, unknown>>
type Op = 'c' | 'r' | 'u' | 'd'
interface Event {
  readonly key: Row | string | null
  readonly value: unknown
}
const change = (op: string, before: Row | null, after: Row | null): unknown => ({
  before,
  after,
  source: { connector: 'postgresql', table: 'items' },
  op,
  ts_ms: 1_700_000_000_000,
  transaction: null,
})
const wrapped = (payload: unknown): unknown => ({ schema: { type: 'struct', fields: [], optional: false }, payload })

async function send({ log }: House, topic: string, events: readonly Event[], partition = 0): Promise<void> {
  const bytes = (value: unknown): Buffer | null =>
    value === null ? null : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  const records = events.map(({ key, value }) => ({ key: bytes(key), value: bytes(value), timeMs: 1_700_000_000_000 }))
  const [answer] = await log.writer().append([{ partition: { topic, index: partition }, batch: encodeBatch(records) }])
  if (answer !== undefined && 'fault' in answer) throw answer.fault
}
const keyed = `CREATE TABLE items (id int PRIMARY KEY, name text, price numeric(10,2)) WITH (format = 'debezium-json')`
const bag = `CREATE TABLE items (id int, name text, price numeric(10,2)) WITH (format = 'debezium-json')`
const item = (id: number, name: string, price: number | null = null): Row => ({ id, name, price })
const event = (op: Op, before: Row | null, after: Row | null): Event => ({
  key: { id: (after ?? before)!['id'] },
  value: change(op, before, after),
})
const history: readonly Event[] = [
  event('r', null, item(1, 'pen', 1.5)),
  event('c', null, item(2, 'cup', 3)),
  event('u', item(1, 'pen', 1.5), item(1, 'pen', 2)),
  event('c', null, item(3, 'hat', 9)),
  event('d', item(2, 'cup', 3), null),
  { key: { id: 2 }, value: null },
]
const left = [
  [1, 'pen', 2],
  [3, 'hat', 9],
]

for (const [form, create] of [
  ['by a key', keyed],
  ['without a key', bag],
] as const)
  describe(`a table of change events ${form}`, () => {
    for (const [how, put] of [
      ['plain', (e: Event) => e],
      [
        'with their schema',
        ({ key, value }: Event) => ({
          key: key === null ? null : (wrapped(key) as Row),
          value: value === null ? null : wrapped(value),
        }),
      ],
    ] as const)
      test(`${how}: rows, and a view of them that is kept up to date`, async () => {
        await using house = await openHouse()
        await house.sql(`${create}; CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n, sum(price) AS p FROM items`)
        await send(house, 'items', history.slice(0, 3).map(put))
        await house.sql('FLUSH')
        assert.deepEqual(await house.sql('SELECT * FROM total'), [[2, 5]])
        await send(house, 'items', history.slice(3).map(put))
        await house.sql('FLUSH')
        assert.deepEqual(await house.sql('SELECT * FROM items ORDER BY id'), left)
        assert.deepEqual(await house.sql('SELECT * FROM total'), [[2, 11]])
        assert.equal((await readAll(house.log, 'items.quarantine')).length, 0)
      })

    test('random histories in random cuts, with restarts: the rows of the database', async () => {
      const random = new SeededRandom(form.length, 'debezium')
      for (let round = 0; round < 8; round++) {
        const disk = memoryDisk()
        const rows = new Map<number, Row>()
        let house = await openHouse({ disk })
        await house.sql(
          `${create}; CREATE MATERIALIZED VIEW v AS SELECT name, count(*) AS n, sum(id) AS s FROM items GROUP BY name`,
        )
        for (let step = 0; step < 12; step++) {
          const events = Array.from({ length: random.between(1, 12) }, (): readonly Event[] => {
            const id = random.between(1, 8)
            const before = rows.get(id) ?? null
            if (before !== null && random.chance(0.3)) {
              rows.delete(id)
              return [event('d', before, null), ...(random.chance(0.5) ? [{ key: { id }, value: null }] : [])]
            }
            const after = item(id, random.pick(['a', 'b', 'c']), random.between(0, 9))
            rows.set(id, after)
            return [event(before === null ? random.pick(['c', 'r'] as const) : 'u', before, after)]
          }).flat()
          await send(house, 'items', events)
          if (random.chance(0.3)) await house.sql('FLUSH')
          if (random.chance(0.2)) {
            await house[Symbol.asyncDispose]()
            house = await openHouse({ disk })
          }
        }
        await house.sql('FLUSH')
        const expected = [...Map.groupBy(rows.values(), (row) => String(row['name']))]
          .map(([name, some]) => [name, some.length, some.reduce((sum, row) => sum + Number(row['id']), 0)])
          .toSorted()
        assert.deepEqual(await house.sql('SELECT name, n, s FROM v ORDER BY name'), expected, `round ${round}`)
        await house[Symbol.asyncDispose]()
      }
    })
  })

describe('change events that say less', () => {
  test('by a key: a deletion of which the database logged the key alone, or of which only the null value is left', async () => {
    await using house = await openHouse()
    await house.sql(`CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL) WITH (format = 'debezium-json')`)
    const some = [1, 2, 3, 4].map((id) => event('c', null, { id, name: 'x' }))
    await send(house, 'items', some)
    await send(house, 'items', [
      { key: { id: 1 }, value: change('d', { id: 1 }, null) },
      { key: { id: 2 }, value: null },
      { key: { id: 3 }, value: change('d', null, null) },
    ])
    assert.deepEqual(await house.sql('SELECT id FROM items'), [[4]])
  })
  test('without a key: an update without the row before it goes to the quarantine as it came, and says why', async () => {
    await using house = await openHouse()
    await house.sql(`${bag}; CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM items`)
    const bad = change('u', null, item(1, 'pen', 2))
    await send(house, 'items', [event('c', null, item(1, 'pen', 1)), { key: { id: 1 }, value: bad }])
    await house.sql('FLUSH')
    assert.deepEqual(await house.sql('SELECT * FROM v'), [[1]])
    const [kept, ...more] = await readAll(house.log, 'items.quarantine')
    assert.equal(more.length, 0)
    assert.deepEqual(JSON.parse(textOf(kept!.value)!), bad)
    const reason = kept!.headers.find(([name]) => name === 'mr-error')![1]!
    assert.match(Buffer.from(reason).toString(), /REPLICA IDENTITY FULL/)
  })
})

const spoilt: readonly (readonly [string, unknown, RegExp])[] = [
  ['no JSON', '{"before":', /JSON/],
  ['a flattened row', { id: 1, name: 'pen' }, /no change event of Debezium/],
  ['another operation', change('t', null, null), /"t": c, r, u and d/],
  ['a row that is no object', change('c', null, 5 as never), /not an object/],
  ['no row', change('c', null, null), /is needed/],
  ['a column that does not fit', change('c', null, { id: 'x', name: 'pen' }), /id/],
  ['an op that is no text', change(7 as never, null, item(1, 'pen')), /op/],
]
for (const [what, value, why] of spoilt)
  test(`${what} is no change: it is kept in the quarantine byte for byte, and what follows counts`, async () => {
    for (const create of [keyed, bag]) {
      await using house = await openHouse()
      await house.sql(`${create}; CREATE MATERIALIZED VIEW v AS SELECT sum(id) AS s FROM items`)
      await send(house, 'items', [
        event('c', null, item(1, 'a')),
        { key: { id: 9 }, value },
        event('c', null, item(2, 'b')),
      ])
      await house.sql('FLUSH')
      assert.deepEqual(await house.sql('SELECT * FROM v'), [[3]])
      const [kept, ...more] = await readAll(house.log, 'items.quarantine')
      assert.equal(more.length, 0)
      assert.equal(textOf(kept!.value), typeof value === 'string' ? value : JSON.stringify(value))
      assert.match(Buffer.from(kept!.headers.find(([name]) => name === 'mr-error')![1]!).toString(), why)
    }
  })

for (const key of ['garbage', '{"id":1', '{"id":"x"}', '[1,2]'])
  test(`a null value whose key is ${key} is kept in the quarantine, and what follows counts`, async () => {
    await using house = await openHouse()
    await house.sql(`${keyed}; CREATE MATERIALIZED VIEW v AS SELECT sum(id) AS s FROM items`)
    await send(house, 'items', [event('c', null, item(1, 'a')), { key, value: null }, event('c', null, item(2, 'b'))])
    await house.sql('FLUSH')
    assert.deepEqual(await house.sql('SELECT * FROM v'), [[3]])
    assert.deepEqual(
      (await readAll(house.log, 'items.quarantine')).map((kept) => [textOf(kept.key), kept.value]),
      [[key, null]],
    )
    assert.deepEqual(house.faults, [])
  })

describe('a view that writes change events', () => {
  const topics = async (house: House, topic: string): Promise<[string | null, Record<string, unknown> | null][]> =>
    (await readAll(house.log, topic)).map(({ key, value }) => [
      textOf(key),
      value === null ? null : (JSON.parse(textOf(value)!) as Record<string, unknown>),
    ])
  const plain = (event: Record<string, unknown> | null): unknown =>
    event === null ? null : [event['op'], event['before'], event['after']]

  test('by a key: c, u with the row before, d, and a null value behind it', async () => {
    await using house = await openHouse()
    await house.sql(`${bag}; CREATE MATERIALIZED VIEW v WITH (format = 'debezium-json') AS
      SELECT name, count(*) AS n FROM items GROUP BY name`)
    for (const one of [
      event('c', null, item(1, 'pen')),
      event('c', null, item(2, 'pen')),
      event('d', item(1, 'pen'), null),
      event('d', item(2, 'pen'), null),
    ]) {
      await send(house, 'items', [one])
      await house.sql('FLUSH')
    }
    const n = (count: number): Row => ({ name: 'pen', n: count })
    assert.deepEqual(
      (await topics(house, 'v')).map(([key, value]) => [key, plain(value)]),
      [
        ['pen', ['c', null, n(1)]],
        ['pen', ['u', n(1), n(2)]],
        ['pen', ['u', n(2), n(1)]],
        ['pen', ['d', n(1), null]],
        ['pen', null],
      ],
    )
  })
  test('without a key: a c for each row that comes, a d for each that goes', async () => {
    await using house = await openHouse()
    await house.sql(`${bag}; CREATE MATERIALIZED VIEW v WITH (format = 'debezium-json') AS SELECT name FROM items`)
    await send(house, 'items', [event('c', null, item(1, 'pen')), event('c', null, item(2, 'pen'))])
    await house.sql('FLUSH')
    await send(house, 'items', [event('u', item(1, 'pen'), item(1, 'cup'))])
    await house.sql('FLUSH')
    const pen = { name: 'pen' }
    assert.deepEqual(
      (await topics(house, 'v')).map(([, value]) => plain(value)),
      [
        ['c', null, pen],
        ['c', null, pen],
        ['d', pen, null],
        ['c', null, { name: 'cup' }],
      ],
    )
    assert.deepEqual(await house.sql('SELECT name FROM v ORDER BY name'), [['cup'], ['pen']])
  })
  test('is read like any other: by queries, by views, by a table over its topic, over a restart', async () => {
    const disk = memoryDisk()
    {
      await using house = await openHouse({ disk })
      await house.sql(
        `${bag};
        CREATE MATERIALIZED VIEW v WITH (format = 'debezium-json') AS SELECT name, count(*) AS n FROM items GROUP BY name;
        CREATE MATERIALIZED VIEW grown WITH (format = 'debezium-json') AS SELECT window_end, count(*) AS n
          FROM TUMBLE(s, at, INTERVAL '1 second') GROUP BY window_start, window_end EMIT ON WINDOW CLOSE;
        `.replace(
          'CREATE MATERIALIZED VIEW grown',
          'CREATE STREAM s (at timestamptz, WATERMARK FOR at AS at); CREATE MATERIALIZED VIEW grown',
        ),
      )
      await house.sql('CREATE MATERIALIZED VIEW w AS SELECT n, count(*) AS names FROM v GROUP BY n')
      await house.sql(
        `CREATE TABLE copy (name text PRIMARY KEY, n bigint) WITH (topic = 'v', format = 'debezium-json')`,
      )
      await send(house, 'items', [
        event('c', null, item(1, 'pen')),
        event('c', null, item(2, 'cup')),
        event('c', null, item(3, 'cup')),
      ])
      await house.sql(`INSERT INTO s VALUES ('2026-01-01T00:00:00Z'), ('2026-01-01T00:00:05Z'); FLUSH`)
      await send(house, 'items', [event('d', item(1, 'pen'), null)])
      await house.sql('FLUSH')
    }
    await using house = await openHouse({ disk })
    await house.sql('FLUSH')
    assert.deepEqual(await house.sql('SELECT * FROM v'), [['cup', 2]])
    assert.deepEqual(await house.sql('SELECT * FROM copy'), [['cup', 2]])
    assert.deepEqual(await house.sql('SELECT * FROM w'), [[2, 1]])
    assert.deepEqual(await house.sql('SELECT n FROM grown'), [[1]])
  })
  test('that is to write rows from now on, or events, begins its topic anew', async () => {
    await using house = await openHouse()
    const of = (format: string, start = ''): string =>
      `CREATE OR REPLACE MATERIALIZED VIEW v WITH (format = '${format}') AS SELECT name, count(*) AS n FROM items GROUP BY name ${start}`
    await house.sql(`${bag}; ${of('json')}`)
    await send(house, 'items', [event('c', null, item(1, 'pen'))])
    await house.sql(`FLUSH; ${of('debezium-json')}; FLUSH`)
    assert.deepEqual(
      (await topics(house, 'v')).map(([, value]) => plain(value)),
      [['c', null, { name: 'pen', n: 1 }]],
    )
    await assert.rejects(house.sql(of('json', 'START FROM RESUME')), /in another format/)
    await house.sql(`CREATE SAVEPOINT before_that FOR v`)
    await assert.rejects(house.sql(of('json', 'START FROM SAVEPOINT before_that')), /in another format/)
    await house.sql(`${of('json')}; FLUSH`)
    assert.deepEqual(
      (await topics(house, 'v')).map(([, value]) => value),
      [{ name: 'pen', n: 1 }],
    )
    await send(house, 'items', [event('c', null, item(2, 'pen'))])
    await house.sql('FLUSH')
    assert.deepEqual(await house.sql('SELECT * FROM v'), [['pen', 2]])
  })
})

test('what has no meaning with change events is refused, and says what to write', async () => {
  await using house = await openHouse()
  const refused = async (sql: string, message: RegExp): Promise<void> =>
    assert.rejects(
      house.sql(sql),
      (error: unknown) => error instanceof SqlFault && message.test(`${error.message} ${error.hint}`),
    )
  await refused(`CREATE STREAM e (id int) WITH (format = 'debezium-json')`, /CREATE TABLE/)
  await refused(`CREATE TABLE e (id int) WITH (format = 'debezium-json', on_invalid = 'null')`, /quarantine/)
  await refused(
    `CREATE TABLE e (id int) WITH (format = 'debezium-json', 'debezium-json.schema-include' = true)`,
    /Leave it out/,
  )
  await refused(`CREATE TABLE e (id int) WITH (format = 'json')`, /PRIMARY KEY/)
  await house.sql(keyed)
  await refused(
    `INSERT INTO items VALUES (1, 'a', 2)`,
    /INSERT writes JSON, and "items" is of the format debezium-json/,
  )
  await refused(`DELETE FROM items WHERE id = 1`, /change events of a database/)
  await house.sql(`CREATE TABLE b (id int) WITH (topic = 'items', format = 'debezium-json')`)
  await refused(`SELECT _offset FROM b`, /_offset/)
})

describe('change events in Avro', () => {
  const schema = JSON.stringify({
    type: 'record',
    name: 'Envelope',
    fields: [
      {
        name: 'before',
        type: [
          'null',
          {
            type: 'record',
            name: 'Value',
            fields: [
              { name: 'id', type: 'int' },
              { name: 'name', type: ['null', 'string'], default: null },
            ],
          },
        ],
        default: null,
      },
      { name: 'after', type: ['null', 'Value'], default: null },
      { name: 'source', type: { type: 'record', name: 'Source', fields: [{ name: 'table', type: 'string' }] } },
      { name: 'op', type: 'string' },
      { name: 'ts_ms', type: ['null', 'long'], default: null },
    ],
  })
  const long = (n: number): Buffer => Buffer.from([n * 2])
  const string = (text: string): Buffer => Buffer.concat([long(text.length), Buffer.from(text)])
  const optional = (value: Buffer | null): Buffer => (value === null ? long(0) : Buffer.concat([long(1), value]))
  const row = (image: Row | null): Buffer =>
    optional(
      image === null ? null : Buffer.concat([long(image['id'] as number), optional(string(String(image['name'])))]),
    )
  const avro = (op: string, before: Row | null, after: Row | null): Buffer =>
    Buffer.concat([row(before), row(after), string('items'), string(op), optional(null)])
  const framed = (id: number, value: Buffer): Buffer => Buffer.concat([Buffer.from([0, 0, 0, 0, id]), value])

  for (const key of ['', ' PRIMARY KEY'])
    for (const framing of ['none', 'confluent'])
      test(`${key === '' ? 'without a key' : 'by a key'}, framing ${framing}`, async () => {
        await using house = await openHouse()
        if (framing === 'confluent') {
          await house.log.topics.create([{ name: '_schemas', partitions: 1, config: {} }])
          const registered = {
            key: { keytype: 'SCHEMA', subject: 'items-value', version: 1, magic: 1 },
            value: { subject: 'items-value', version: 1, id: 7, schema, deleted: false },
          }
          await send(house, '_schemas', [registered])
        }
        const how = framing === 'none' ? `, framing = 'none', schema = '${schema}'` : ''
        await house.sql(
          `CREATE TABLE items (id int${key}, name text) WITH (format = 'debezium-avro-confluent'${how});
           CREATE MATERIALIZED VIEW v AS SELECT name, count(*) AS n FROM items GROUP BY name`,
        )
        const put = (value: Buffer): Buffer => (framing === 'none' ? value : framed(7, value))
        const [a, b] = [item(1, 'pen'), item(2, 'pen')]
        const values = [
          avro('c', null, a),
          avro('r', null, b),
          avro('u', a, item(1, 'cup')),
          avro('x', a, null),
          avro('d', b, null),
        ]
        const records = [...values.map(put), null].map((value) => ({ key: Buffer.from('k'), value, timeMs: 5 }))
        await house.log.writer().append([{ partition: { topic: 'items', index: 0 }, batch: encodeBatch(records) }])
        await house.sql('FLUSH')
        assert.deepEqual(await house.sql('SELECT * FROM v'), [['cup', 1]])
        assert.deepEqual(await house.sql('SELECT * FROM items'), [[1, 'cup']])
        const kept = await readAll(house.log, 'items.quarantine')
        assert.deepEqual(
          kept.map(({ value }) => Buffer.from(value!).toString('hex')),
          [put(values[3]!).toString('hex')],
        )
      })
})
