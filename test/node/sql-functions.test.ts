/** Functions for SQL as parts of a project and of a program: loaded like views, and views follow their versions. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import {
  type AlertOptions,
  type SqlFunctionDefinition,
  defineAlert,
  defineSqlFunction,
  defineTopic,
  defineView,
  sql,
} from '../../src/dsl/index.ts'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { startIn } from '../../src/node/embedded.ts'
import { loadProject } from '../../src/node/project.ts'
import { testMillrace } from '../../src/testing.ts'

const sales = defineTopic('sales', { schema: z.object({ item: z.string(), amount: z.number() }) })
const tier = (limit: number, version: number): SqlFunctionDefinition =>
  defineSqlFunction('tier', { args: ['double'], returns: 'text', version }, (amount) =>
    amount < limit ? 'low' : 'high',
  )
const tiers = defineView<{ tier: string; n: number }>(
  'tiers',
  sql`SELECT tier(amount) AS tier, count(*) AS n FROM ${sales} GROUP BY 1`,
)
const dear = defineAlert('dear', sql`SELECT item FROM ${sales} WHERE tier(amount) = 'high'`, { notify: ['log'] })

test('a project exports them from any of its files', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-functions-'))
  try {
    writeFileSync(
      join(dir, 'functions.ts'),
      `import { defineSqlFunction } from 'millrace'
       export const shout = defineSqlFunction('shout', { args: ['text'], returns: 'text' }, (text: string) => text.toUpperCase() + '!')`,
    )
    writeFileSync(
      join(dir, 'views.sql'),
      'CREATE STREAM words (w text); CREATE MATERIALIZED VIEW loud AS SELECT shout(w) AS w FROM words;',
    )
    const { definitions } = await loadProject(dir)
    assert.deepEqual(
      definitions.map(({ name }) => name),
      ['shout'],
    )
    const functions = definitions as unknown as readonly SqlFunctionDefinition[]
    await using millrace = await testMillrace({ functions })
    for (const text of [
      'CREATE STREAM words (w text)',
      'CREATE MATERIALIZED VIEW loud AS SELECT shout(w) AS w FROM words',
    ])
      await millrace.sql(text)
    await millrace.sql("INSERT INTO words VALUES ('hello')")
    assert.deepEqual(await millrace.sql('SELECT w FROM loud'), [{ w: 'HELLO!' }])
    await millrace.crash()
    await millrace.sql("INSERT INTO words VALUES ('again')")
    assert.deepEqual(await millrace.sql('SELECT w FROM loud ORDER BY w'), [{ w: 'AGAIN!' }, { w: 'HELLO!' }])
  } finally {
    rmSync(dir, { recursive: true })
  }
})

test('what calls another version is made anew at the next start, what calls the same goes on', async () => {
  const world = { ...realWorld(), disk: memoryDisk() }
  const said: string[] = []
  const say = (text: string): void => void (text.includes('has changed') && said.push(text))
  const logger = { info: say, warn: say, error: say }
  const open = (of: SqlFunctionDefinition) =>
    startIn(world, { data: 'data', functions: [of], topics: [sales], views: [tiers], alerts: [dear], logger })
  const rows = async (millrace: Awaited<ReturnType<typeof open>>) => {
    await millrace.sql('FLUSH')
    return millrace.sql('SELECT tier, n FROM tiers ORDER BY tier')
  }
  {
    await using millrace = await open(tier(10, 1))
    await millrace.topic(sales).send([
      { item: 'bread', amount: 3 },
      { item: 'lamp', amount: 15 },
    ])
    assert.deepEqual(await rows(millrace), [
      { tier: 'high', n: 1 },
      { tier: 'low', n: 1 },
    ])
  }
  {
    await using millrace = await open(tier(10, 1))
    assert.equal((await rows(millrace)).length, 2)
    assert.deepEqual(said, [])
  }
  await using millrace = await open(tier(20, 2))
  assert.deepEqual(await rows(millrace), [{ tier: 'low', n: 2 }])
  assert.deepEqual(said.toSorted(), [
    'alert dear has changed: it is made anew',
    'view tiers has changed: it is made anew',
  ])
})

test('an alert that only tells others goes on with what it has fired', async () => {
  const world = { ...realWorld(), disk: memoryDisk() }
  const said: string[] = []
  const say = (text: string): void => void (text.includes('has changed') && said.push(text))
  const logger = { info: say, warn: say, error: say }
  const open = (notify: AlertOptions['notify'], above: number) =>
    startIn(world, {
      data: 'data',
      topics: [sales],
      alerts: [defineAlert('big', sql`SELECT item, amount FROM ${sales} WHERE amount > ${above}`, { notify })],
      logger,
    })
  {
    await using millrace = await open(['log'], 10)
    assert.ok(millrace)
  }
  {
    await using millrace = await open(['console', { webhook: 'https://x.test/', retryFor: '24h' }], 10)
    const [{ sql: text }] = (await millrace.sql('SHOW CREATE big')) as [{ sql: string }]
    assert.match(text, /amount > 10 NOTIFY CONSOLE, WEBHOOK 'https:\/\/x.test\/' WITH \(retry.for = '24h'\)/)
  }
  assert.deepEqual(said.splice(0), ['alert big has changed: it tells others, and goes on'])
  {
    await using millrace = await open(['console'], 20)
    assert.ok(millrace)
  }
  assert.deepEqual(said, ['alert big has changed: it is made anew'])
})
