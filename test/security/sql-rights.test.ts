/**
 * SQL and views over HTTP by the grants of the topics that they name: each kind of statement is answered with all of its
 * needs and refused without any single one; what may not be described is as good as not there.
 */
import assert from 'node:assert/strict'
import { type TestContext, before, after, test } from 'node:test'
import { decodeBatch } from '../../src/log/batch.ts'
import { type Operation, type ResourceType, clusterName } from '../../src/security/grants.ts'
import { until } from '../gateway/kafka/local-gateway.ts'
import { type Platform, makeUser, platform } from './platform.ts'

type Need = `${Operation} ${'topic' | 'cluster'}:${string}`
interface Answered {
  readonly status: number
  readonly text: string
  readonly code: string
}
const cleanups: (() => unknown)[] = []
const kept = { after: (call: () => unknown): void => void cleanups.push(call) } as unknown as TestContext
let p: Platform
before(async () => {
  p = await platform(kept)
  await makeUser(p, 'root', 'root-secret', true)
  await makeUser(p, 'alice', 'alice-secret')
  for (const text of [
    `CREATE STREAM orders (item text, amount int) WITH (topic = 'secret-orders', format = 'json')`,
    `CREATE TABLE prices (item text PRIMARY KEY, price int) WITH (topic = 'secret-prices', format = 'json')`,
    `CREATE MATERIALIZED VIEW hidden_totals AS SELECT item, count(*) AS n FROM orders GROUP BY item`,
    `CREATE MATERIALIZED VIEW open_totals AS SELECT item, count(*) AS n FROM orders GROUP BY item`,
    `INSERT INTO orders VALUES ('lamp', 3)`,
  ])
    assert.equal((await sql('root', text)).status, 200, text)
})
after(async () => {
  for (const call of cleanups.reverse()) await call()
})

async function ask(user: string | null, path: string, init: RequestInit = {}): Promise<Answered> {
  const headers: Record<string, string> = { ...(init.headers as Record<string, string>) }
  if (user !== null) headers['authorization'] = `Basic ${Buffer.from(`${user}:${user}-secret`).toString('base64')}`
  const response = await fetch(p.http + path, { ...init, headers })
  const text = await response.text()
  const code = response.headers.get('content-type')?.startsWith('application/problem') === true
  return { status: response.status, text, code: code ? (JSON.parse(text) as { code: string }).code : '' }
}
const sql = (user: string | null, text: string, accept = 'application/json'): Promise<Answered> =>
  ask(user, '/v1/sql', { method: 'POST', body: text, headers: { 'content-type': 'application/sql', accept } })

async function withGrants<T>(needs: readonly Need[], run: () => Promise<T>): Promise<T> {
  const grants = needs.map((need) => {
    const [operation, resource] = need.split(' ') as [Operation, string]
    const [type, name] = resource.split(':') as [ResourceType, string]
    return {
      resource: type,
      name: type === 'cluster' ? clusterName : name,
      pattern: 'literal',
      principal: 'User:alice',
      host: '*',
      permission: 'allow',
      operation,
    } as const
  })
  await p.security.grants.add(grants)
  try {
    return await run()
  } finally {
    await p.security.grants.remove(
      grants.map((grant) => ({ ...grant, resource: grant.resource, pattern: 'literal' as const })),
    )
  }
}
async function audited(): Promise<{ principal: string; action: string; outcome: string; resources: string[] }[]> {
  const partition = { topic: '_millrace_audit', index: 0 }
  const [chunk] = await p.log.reader().read([{ partition, offset: 0 as never }], { ms: 0 })
  if (chunk === undefined || 'fault' in chunk) return []
  return chunk.batches.flatMap((batch) =>
    [...decodeBatch(batch)].map(({ value }) => JSON.parse(Buffer.from(value!).toString()) as never),
  )
}

const cases: readonly { readonly text: string; readonly needs: readonly Need[]; readonly undo?: string }[] = [
  { text: 'SELECT * FROM orders', needs: ['read topic:secret-orders'] },
  { text: 'SELECT item FROM (SELECT item FROM orders) AS o', needs: ['read topic:secret-orders'] },
  { text: 'WITH o AS (SELECT * FROM orders) SELECT count(*) FROM o', needs: ['read topic:secret-orders'] },
  {
    text: 'SELECT item FROM orders UNION ALL SELECT item FROM prices',
    needs: ['read topic:secret-orders', 'read topic:secret-prices'],
  },
  {
    text: 'SELECT o.item FROM orders AS o JOIN prices AS p ON p.item = o.item',
    needs: ['read topic:secret-orders', 'read topic:secret-prices'],
  },
  { text: 'SELECT * FROM hidden_totals', needs: ['read topic:hidden_totals'] },
  { text: 'EXPLAIN SELECT * FROM orders', needs: ['describe topic:secret-orders'] },
  {
    text: 'EXPLAIN ANALYZE SELECT * FROM orders',
    needs: ['read topic:secret-orders'],
  },
  { text: 'DESCRIBE orders', needs: ['describe topic:secret-orders'] },
  { text: `INSERT INTO orders VALUES ('x', 1)`, needs: ['write topic:secret-orders'] },
  {
    text: 'INSERT INTO orders SELECT item, price FROM prices',
    needs: ['write topic:secret-orders', 'read topic:secret-prices'],
  },
  {
    text: 'CREATE MATERIALIZED VIEW mine AS SELECT item FROM orders',
    needs: ['read topic:secret-orders', 'write topic:mine', 'create topic:mine'],
    undo: 'DROP MATERIALIZED VIEW mine',
  },
  {
    text: `CREATE MATERIALIZED VIEW mine WITH (late_topic = 'secret-late') AS SELECT item, count(*) AS n
      FROM TUMBLE(orders, _timestamp, INTERVAL '1 minute') GROUP BY item, window_start, window_end EMIT ON WINDOW CLOSE`,
    needs: ['read topic:secret-orders', 'write topic:mine', 'create topic:mine', 'write topic:secret-late'],
    undo: 'DROP MATERIALIZED VIEW mine',
  },
  {
    text: `CREATE STREAM again (item text) WITH (topic = 'secret-orders', format = 'json')`,
    needs: ['alter topic:secret-orders'],
    undo: 'DROP STREAM again',
  },
  {
    text: `CREATE STREAM fresh (item text) WITH (topic = 'fresh', format = 'json')`,
    needs: ['alter topic:fresh', 'create topic:fresh'],
    undo: 'DROP STREAM fresh; DROP TOPIC fresh',
  },
  {
    text: `CREATE ALERT loud AS SELECT item FROM orders WHERE amount > 5 NOTIFY LOG`,
    needs: ['read topic:secret-orders', 'alter cluster:'],
    undo: 'DROP ALERT loud',
  },
  { text: 'SHOW ALERTS', needs: ['describe cluster:'] },
  { text: 'ALTER MATERIALIZED VIEW hidden_totals PAUSE', needs: ['alter topic:hidden_totals'] },
  { text: 'ALTER MATERIALIZED VIEW hidden_totals RESUME', needs: ['alter topic:hidden_totals'] },
]
/** Words of the platform that a request does not hold must not be in what is answered to it. */
function tellsNothing(text: string, answer: Answered): void {
  for (const name of ['secret-orders', 'secret-prices', 'secret-late', 'hidden_totals', 'open_totals'])
    if (!text.includes(name)) assert.ok(!answer.text.includes(name), `${text}: ${answer.text}`)
}

for (const { text, needs, undo } of cases)
  test(`${text.replaceAll(/\s+/g, ' ')}: needs ${needs.join(', ')}`, async () => {
    const refused = await sql('alice', text)
    assert.ok(refused.status === 403 || refused.status === 404, `${refused.status} ${refused.text}`)
    tellsNothing(text, refused)
    for (const need of needs) {
      const less = needs.filter((one) => one !== need)
      const answer = await withGrants(less, () => sql('alice', text))
      assert.ok(answer.status === 403 || answer.status === 404, `without ${need}: ${answer.status} ${answer.text}`)
      // Who may know that it is there is told what is missing.
      const [operation, resource] = need.split(' ') as [string, string]
      if (!resource.startsWith('topic:') || operation === 'describe') continue
      const told = await withGrants([...less, `describe ${resource}` as Need], () => sql('alice', text))
      assert.deepEqual([told.status, told.code], [403, 'security.not-authorized'], `with describe alone: ${told.text}`)
      assert.ok(told.text.includes(`${operation} topic ${resource.slice(6)}`), told.text)
    }
    const answer = await withGrants(needs, () => sql('alice', text))
    assert.equal(answer.status, 200, answer.text)
    if (undo !== undefined) assert.equal((await sql('root', undo)).status, 200, undo)
  })

test('what is hidden and what is not there are answered alike, in every statement', async () => {
  const same = async (text: (name: string) => string, hidden: string): Promise<void> => {
    const missing = hidden.replaceAll(/[a-z]/g, 'q')
    const [one, other] = [await sql('alice', text(hidden)), await sql('alice', text(missing))]
    assert.equal(one.text.replaceAll(hidden, missing), other.text, text(hidden))
    assert.equal(one.status, other.status)
  }
  await same((name) => `SELECT * FROM ${name}`, 'orders')
  await same((name) => `SELECT * FROM ${name}x`, 'orders')
  await same((name) => `SUBSCRIBE TO ${name}`, 'hidden_totals')
  await same((name) => `INSERT INTO ${name} VALUES (1)`, 'orders')
  await same((name) => `DESCRIBE ${name}`, 'orders')
  await same((name) => `EXPLAIN SELECT * FROM ${name}`, 'orders')
  await same((name) => `DROP STREAM ${name}`, 'orders')
  await same((name) => `DROP STREAM IF EXISTS ${name}`, 'orders')
  await same((name) => `DROP MATERIALIZED VIEW ${name} CASCADE`, 'hidden_totals')
  await same((name) => `DROP TOPIC "${name}"`, 'secret-orders')
  await same((name) => `ALTER MATERIALIZED VIEW ${name} PAUSE`, 'hidden_totals')
  await same((name) => `CREATE MATERIALIZED VIEW v AS SELECT * FROM ${name}`, 'orders')
  for (const path of ['', '/rows', '/changes', '/graph', '/doctor']) {
    const [one, other] = [await ask('alice', `/v1/views/orders${path}`), await ask('alice', `/v1/views/qqqqqq${path}`)]
    assert.equal(one.text.replaceAll('orders', 'qqqqqq'), other.text, path)
  }
  const drops = ['orders', 'qqqqqq'].map((name) => ask('alice', `/v1/views/${name}`, { method: 'DELETE' }))
  const [one, other] = await Promise.all(drops)
  assert.equal(one!.text.replaceAll('orders', 'qqqqqq'), other!.text)
})

test('lists show what may be described', async () => {
  for (const [text, name] of [
    ['SHOW STREAMS', 'orders'],
    ['SHOW TABLES', 'prices'],
    ['SHOW VIEWS', 'hidden_totals'],
    ['SHOW TOPICS', 'secret-orders'],
  ] as const) {
    const topics: Need[] = [
      'describe topic:secret-orders',
      'describe topic:secret-prices',
      'describe topic:hidden_totals',
    ]
    assert.ok(!(await sql('alice', text)).text.includes(name), text)
    const shown = await withGrants(topics, () => sql('alice', text))
    assert.ok(shown.text.includes(name), text)
    assert.ok(!shown.text.includes('open_totals'), shown.text)
  }
})

test('a view is read with Read of its topic alone, and does not say what it reads', async () => {
  await withGrants(['read topic:open_totals'], async () => {
    const rows = await sql('alice', 'SELECT * FROM open_totals')
    assert.equal(rows.status, 200, rows.text)
    for (const path of ['', '/graph', '/rows', '/doctor'])
      tellsNothing('open_totals', await ask('alice', `/v1/views/open_totals${path}`))
    tellsNothing('open_totals', await ask('alice', '/v1/views'))
    const described = await ask('alice', '/v1/views/open_totals')
    assert.equal((JSON.parse(described.text) as { sql: unknown }).sql, null)
  })
  const both: Need[] = ['read topic:open_totals', 'describe topic:secret-orders']
  await withGrants(both, async () => {
    assert.match((await ask('alice', '/v1/views/open_totals')).text, /FROM orders/)
    assert.match((await ask('alice', '/v1/views/open_totals/graph')).text, /"label":"orders"/)
  })
})

test('SUBSCRIBE needs Read, also as events', async () => {
  const refused = await sql('alice', 'SUBSCRIBE TO hidden_totals', 'text/event-stream')
  assert.equal(refused.status, 404, refused.text)
  await withGrants(['describe topic:hidden_totals'], async () => {
    assert.equal(
      (await sql('alice', 'SUBSCRIBE TO hidden_totals', 'text/event-stream')).code,
      'security.not-authorized',
    )
  })
})

test('a drop takes nothing along that may not be seen or deleted', async () => {
  const make = async (): Promise<void> => {
    await sql('root', `CREATE STREAM base (item text) WITH (topic = 'base', format = 'json')`)
    await sql('root', 'CREATE MATERIALIZED VIEW hidden_totals2 AS SELECT item FROM base')
  }
  await make()
  await withGrants(['alter topic:base'], async () => {
    const answer = await sql('alice', 'DROP STREAM base CASCADE')
    assert.equal(answer.code, 'sql.dependent', answer.text)
    assert.ok(!answer.text.includes('hidden_totals2'), answer.text)
  })
  await withGrants(['alter topic:base', 'describe topic:hidden_totals2'], async () => {
    assert.match((await sql('alice', 'DROP STREAM base')).text, /view hidden_totals2/)
    assert.equal((await sql('alice', 'DROP STREAM base CASCADE')).code, 'security.not-authorized')
  })
  await withGrants(['delete topic:hidden_totals2'], async () => {
    const gone = await ask('alice', '/v1/views/hidden_totals2', { method: 'DELETE' })
    assert.equal(gone.status, 204, gone.text)
  })
  assert.equal((await sql('root', 'SELECT * FROM hidden_totals2')).status, 404)
})

test('who has said nothing is asked who they are, whatever they name', async () => {
  for (const text of ['SELECT 1', 'SELECT * FROM orders', 'SELECT * FROM nothing', 'SHOW STREAMS'])
    assert.deepEqual((await sql(null, text)).code, 'security.not-authenticated', text)
})

test('refusals and changes of definitions are in the audit, with their topics', async () => {
  await sql('alice', 'SELECT * FROM orders')
  await withGrants(['alter topic:noted', 'create topic:noted'], () =>
    sql('alice', `CREATE STREAM noted (item text) WITH (topic = 'noted', format = 'json')`),
  )
  await until('both in the audit', async () => {
    const all = (await audited()).filter(({ principal }) => principal === 'User:alice')
    return (
      all.some(({ outcome, resources }) => outcome === 'refused' && resources[0] === 'describe topic:secret-orders') &&
      all.some(({ outcome, resources }) => outcome === 'done' && resources.includes('topic:noted'))
    )
  })
})
