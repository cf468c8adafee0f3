import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { avg, count, defineAlert, defineTopic, defineView, isDefinition, sql, sum } from '../../src/dsl/index.ts'

const purchases = defineTopic('purchases', {
  schema: z.object({ customerId: z.string(), item: z.string(), amount: z.number(), boughtAt: z.iso.datetime() }),
  key: 'customerId',
  eventTime: 'boughtAt',
  lateness: '5s',
})

test('columns come from the schema, the event time is a timestamp', () => {
  assert.deepEqual(
    purchases.columns.map(({ name, type, nullable }) => [name, type.kind, nullable]),
    [
      ['customerId', 'text', false],
      ['item', 'text', false],
      ['amount', 'double', false],
      ['boughtAt', 'timestamptz', false],
    ],
  )
})

test('a JSON Schema is a schema, of the type that is said', () => {
  const schema = {
    type: 'object',
    properties: {
      id: { type: 'integer' },
      at: { type: 'string' },
      any: true,
      tags: { type: 'array', items: { type: 'string' } },
    },
    required: ['id', 'at'],
  }
  const bids = defineTopic<{ id: number; at: string; any?: unknown; tags?: string[] }>('bids', {
    schema,
    key: 'id',
    eventTime: 'at',
  })
  assert.deepEqual(
    bids.columns.map(({ name, type, nullable }) => [name, type.kind, nullable]),
    [
      ['id', 'bigint', false],
      ['at', 'timestamptz', false],
      ['any', 'jsonb', true],
      ['tags', 'array', true],
    ],
  )
  const view = defineView(
    'v',
    bids
      .stream()
      .where((row) => row.id.gt(1))
      .select((row) => ({ id: row.id })),
  )
  assert.equal(view.plan()!.plan.op, 'project')
  defineTopic('untyped', { schema, key: 'id' })
  for (const [wrong, why] of [
    [{}, /no JSON Schema of an object/],
    [{ type: 'string' }, /no JSON Schema of an object/],
    [null, /it is a validator/],
    ['bids.json', /it is a validator/],
    [z.object({ n: z.bigint() }), /cannot be had/],
    [{ '~standard': { version: 1, vendor: 'mine', validate: (value: unknown) => ({ value }) } }, /pass jsonSchema/],
  ] as const)
    assert.throws(() => defineTopic('bids', { schema: wrong as never }), { code: 'config.invalid', message: why })
})

test('window, group and aggregate make one plan, keyed by window and group', () => {
  const revenue = defineView(
    'revenue',
    purchases
      .stream()
      .window({ tumbling: '1m' })
      .groupBy('item')
      .aggregate({ revenue: sum('amount'), n: count() }),
  )
  const plan = revenue.plan()!
  assert.deepEqual(
    plan.plan.columns.map(({ name }) => name),
    ['window_start', 'window_end', 'item', 'revenue', 'n'],
  )
  // Where a window begins says where it ends.
  assert.deepEqual(plan.key, [0, 2])
  assert.equal(plan.appendOnly, false)
  assert.ok(plan.plan.op === 'project' && plan.plan.input.op === 'aggregate')
  assert.ok(isDefinition(revenue) && isDefinition(purchases) && !isDefinition({ name: 'x' }))
})

test('an alert becomes its statement, with texts quoted', () => {
  const alert = defineAlert('big "one"', sql`SELECT * FROM ${purchases} WHERE amount > ${1000}`, {
    notify: ['log', { webhook: "https://example.org/it's", secret: 'whsec_x' }],
    key: ['item'],
    every: '1h',
    message: 'look: {item}',
  })
  assert.equal(
    alert.statement(),
    `CREATE ALERT "big ""one""" AS SELECT * FROM "purchases" WHERE amount > 1000 NOTIFY LOG, WEBHOOK 'https://example.org/it''s' SECRET 'whsec_x' KEY ("item") EVERY INTERVAL '3600 seconds' MESSAGE 'look: {item}'`,
  )
})

test('a webhook becomes its statement with all that is said of its deliveries', () => {
  const webhook = {
    webhook: 'https://example.org/',
    secret: 'whsec_new',
    previousSecret: 'whsec_old',
    headers: { 'x-team': "shop's" },
    retryFor: '24h',
    attempts: 40,
    handshake: 'shop.example',
  }
  const alert = defineAlert('a', sql`SELECT * FROM ${purchases}`, { notify: [webhook] })
  assert.equal(
    alert.statement(),
    `CREATE ALERT "a" AS SELECT * FROM "purchases" NOTIFY WEBHOOK 'https://example.org/' SECRET 'whsec_new' WITH (secret.previous = 'whsec_old', retry.for = '24h', retry.attempts = 40, handshake = 'shop.example', 'header.x-team' = 'shop''s')`,
  )
})

test('wrong fields do not type-check', () => {
  const wrong = (): void => {
    const stream = purchases.stream()
    // @ts-expect-error there is no such field
    stream.groupBy('colour')
    const grouped = stream.groupBy('item')
    // @ts-expect-error text has no sum
    grouped.aggregate({ s: sum('customerId') })
    // @ts-expect-error there is no such field to average
    grouped.aggregate({ a: avg('price') })
    // @ts-expect-error the key is a field
    defineTopic('t', { schema: z.object({ a: z.string() }), key: 'b' })
    const view = defineView('v', purchases.stream().groupBy('item').aggregate({ n: count() }))
    view.stream().filter((row) => {
      // @ts-expect-error the row has item and n
      return row.amount > 1
    })
    const rows: readonly { item: string; n: number }[] = []
    void rows
  }
  assert.equal(typeof wrong, 'function')
})

test('a column that does not exist is a fault also without types', () => {
  assert.throws(() => purchases.stream().groupBy('colour' as 'item'), /colour/)
  assert.throws(() => defineTopic('t', { schema: z.string() as never }), /events are objects/)
})
