/** Avro and Protobuf from the topic to a view and to an answer, as Confluent's own serializers write them, and plain. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodeBatch } from '../../src/log/batch.ts'
import { type House, openHouse } from './house.ts'

interface Fixture {
  readonly schemas: readonly { readonly key: object; readonly value: { id: number; subject: string } }[]
  readonly values: readonly { readonly topic: string; readonly value: string }[]
}
/** Written by `write.py` beside it. */
const fixture = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/confluent/values.json'), 'utf8'),
) as Fixture
const valuesOf = (topic: string): Buffer[] =>
  fixture.values.filter((one) => one.topic === topic).map(({ value }) => Buffer.from(value, 'base64'))

async function append(
  house: House,
  topic: string,
  values: readonly Buffer[],
  keys: readonly string[] = [],
): Promise<void> {
  const records = values.map((value, i) => ({
    key: keys[i] === undefined ? null : Buffer.from(keys[i]),
    value,
    timeMs: 5,
  }))
  const [done] = await house.log.writer().append([{ partition: { topic, index: 0 }, batch: encodeBatch(records) }])
  assert.ok(done !== undefined && !('fault' in done), topic)
}
async function register(house: House, only: (subject: string) => boolean = () => true): Promise<void> {
  if ((await house.log.topics.get('_schemas')) === null)
    await house.log.topics.create([{ name: '_schemas', partitions: 1, config: {} }])
  const noise = [
    { key: '{"keytype":"NOOP","magic":0}', value: null },
    { key: '{"keytype":"CONFIG","subject":null,"magic":0}', value: '{"compatibilityLevel":"BACKWARD"}' },
    { key: 'no JSON', value: 'no JSON' },
  ]
  const schemas = fixture.schemas
    .filter(({ value }) => only(value.subject))
    .map(({ key, value }) => ({ key: JSON.stringify(key), value: JSON.stringify(value) }))
  const records = [...noise, ...schemas].map(({ key, value }) => ({
    ...{ key: Buffer.from(key), value: value === null ? null : Buffer.from(value), timeMs: 5 },
  }))
  await house.log.writer().append([{ partition: { topic: '_schemas', index: 0 }, batch: encodeBatch(records) }])
}
const quarantined = async (house: House, topic: string): Promise<string[]> => {
  const partition = { topic: `${topic}.quarantine`, index: 0 }
  for (let i = 0; i < 400; i++) {
    if ((await house.log.topics.get(partition.topic)) !== null) {
      const [chunk] = await house.log.reader().read([{ partition, offset: 0 as never }], { ms: 0 })
      const { decodeBatch } = await import('../../src/log/batch.ts')
      const batches = chunk !== undefined && 'batches' in chunk ? chunk.batches : []
      const found = batches.flatMap((batch) =>
        decodeBatch(batch).map(({ headers }) =>
          Buffer.from(headers.find(([name]) => name === 'mr-reason')![1]!).toString(),
        ),
      )
      if (found.length > 0) return found
    }
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  return []
}

test('Avro by Confluent: columns by name, whichever schema wrote them', async () => {
  await using house = await openHouse()
  await register(house)
  await house.sql(`CREATE STREAM orders (id bigint NOT NULL, item text, amount numeric(10,2), at timestamptz, note text,
    channel text, tags text[], state text, buyer STRUCT<name text, born date>, counts jsonb, ref uuid,
    WATERMARK FOR at AS at) WITH (format = 'avro')`)
  await house.sql(`CREATE MATERIALIZED VIEW big AS
    SELECT id, item, amount, at, note, channel, tags, state, (buyer).name AS buyer, (buyer).born, counts, ref FROM orders`)
  await append(house, 'orders', valuesOf('orders'))
  const row = (channel: string | null, tags: unknown) => [
    ...[9007199254740993n, 'Äpfel', -12.5, '2026-01-31T12:00:00.25Z', null, channel, tags, 'PAID', 'Ada', '1815-12-10'],
    ...[{ x: 1, y: -2 }, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ]
  for (let i = 0; i < 200 && (await house.sql('SELECT id FROM big')).length < 2; i++)
    await new Promise((resolve) => setTimeout(resolve, 10))
  assert.deepEqual(await house.sql('SELECT * FROM big'), [row(null, ['a', 'b']), row('app', ['a', 'b'])])
  // One-off, over the topic.
  assert.deepEqual(await house.sql("SELECT item, (buyer).name FROM orders WHERE channel = 'app'"), [['Äpfel', 'Ada']])
})

test('Avro by Confluent, read by a schema of one’s own: aliases and defaults', async () => {
  await using house = await openHouse()
  await register(house)
  const schema = JSON.stringify({
    ...{ type: 'record', name: 'Order', namespace: 'mine' },
    fields: [
      { name: 'number', aliases: ['id'], type: 'long' },
      { name: 'channel', type: 'string', default: 'shop' },
      { name: 'born', type: ['null', 'string'], default: null },
      { name: 'state', type: { type: 'enum', name: 'State', symbols: ['OPEN', 'OTHER'], default: 'OTHER' } },
    ],
  })
  await house.sql(`CREATE STREAM orders WITH (format = 'avro', framing = 'confluent', schema = '${schema}')`)
  await append(house, 'orders', valuesOf('orders'))
  assert.deepEqual(await house.sql('SELECT number, channel, born, state FROM orders'), [
    [9007199254740993n, 'shop', null, 'OTHER'],
    [9007199254740993n, 'app', null, 'OTHER'],
  ])
})

test('Protobuf by Confluent: messages by their place in the file', async () => {
  await using house = await openHouse()
  await register(house)
  const columns = `id bigint, payer text, at timestamptz, parts int[], rates jsonb, card text, account numeric(20,0),
    state text, paid boolean`
  const payment = [
    ...[-5, 'Zoë', '2026-01-31T12:00:00.25Z', [1, -2, 300], { eur: 1.5 }, null, 18446744073709551615n, 'DONE', null],
  ]
  const shown = (rows: unknown[][]): unknown =>
    rows.map((row) => row.map((v) => (v === '18446744073709551615' ? 18446744073709551615n : v)))
  await house.sql(`CREATE STREAM payments (${columns}) WITH (format = 'protobuf')`)
  await append(house, 'payments', valuesOf('payments'))
  assert.deepEqual(shown(await house.sql('SELECT * FROM payments')), [payment])
  await house.sql(`CREATE STREAM envelopes (payment STRUCT<${columns}>) WITH (format = 'protobuf')`)
  await append(house, 'envelopes', valuesOf('envelopes'))
  assert.deepEqual(await house.sql('SELECT (payment).payer, (payment).card, (payment).parts[3] FROM envelopes'), [
    ['Zoë', null, 300],
  ])
  await house.sql("CREATE STREAM others (x int) WITH (format = 'protobuf', message = 'Other')")
  await append(house, 'others', [...valuesOf('others'), ...valuesOf('payments')])
  await house.sql('CREATE MATERIALIZED VIEW xs AS SELECT x FROM others')
  assert.deepEqual(await house.settled('SELECT * FROM xs', [[7]]), [[7]])
  assert.deepEqual(await quarantined(house, 'others'), ['schema.invalid'])
})

test('an id that nobody has registered is waited for, then goes to quarantine; others go on', async () => {
  await using house = await openHouse()
  await house.sql("CREATE STREAM orders (id bigint, item text) WITH (format = 'avro')")
  await house.sql('CREATE MATERIALIZED VIEW items AS SELECT item FROM orders')
  // Registered while it is waited for.
  await append(house, 'orders', valuesOf('orders').slice(0, 1))
  setTimeout(() => void register(house), 300)
  assert.deepEqual(await house.settled('SELECT * FROM items', [['Äpfel']]), [['Äpfel']])
  const unknown = Buffer.from(valuesOf('orders')[0]!)
  unknown.writeInt32BE(77, 1)
  const negative = Buffer.from(unknown)
  negative.writeInt32BE(-1, 1)
  await append(house, 'orders', [unknown, negative, Buffer.from('{"id":1}'), ...valuesOf('orders').slice(1)])
  assert.deepEqual(await quarantined(house, 'orders'), ['schema.unknown-id', 'schema.unknown-id', 'schema.malformed'])
  assert.deepEqual(await house.settled('SELECT * FROM items', [['Äpfel'], ['Äpfel']]), [['Äpfel'], ['Äpfel']])
})

test('a table of plain Avro: columns of its schema, the newest row of each key', async () => {
  await using house = await openHouse()
  const schema = '{"type":"record","name":"P","fields":[{"name":"id","type":"int"},{"name":"name","type":"string"}]}'
  await house.sql(`CREATE TABLE people (PRIMARY KEY (id)) WITH (format = 'avro', schema = '${schema}')`)
  const person = (id: number, name: string): Buffer => Buffer.from([id * 2, name.length * 2, ...Buffer.from(name)])
  await append(house, 'people', [person(1, 'Ada'), person(2, 'Bob'), person(1, 'Eve')], ['1', '2', '1'])
  assert.deepEqual(
    await house.settled('SELECT * FROM people ORDER BY id', [
      [1, 'Eve'],
      [2, 'Bob'],
    ]),
    [
      [1, 'Eve'],
      [2, 'Bob'],
    ],
  )
  await assert.rejects(house.sql("INSERT INTO people VALUES (3, 'Mae')"), /INSERT writes JSON/)
})
