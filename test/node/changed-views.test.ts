/** Views of a program and of a project whose queries have changed since the last start. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { type AnyView, count, defineTopic, defineView, sql, sum } from '../../src/dsl/index.ts'
import { offset } from '../../src/lib/brand.ts'
import type { Fault } from '../../src/lib/fault.ts'
import { type Logger, silent } from '../../src/lib/logger.ts'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import type { World } from '../../src/lib/world.ts'
import { resolveConfig } from '../../src/node/config.ts'
import { type Running, startMillrace } from '../../src/node/millrace.ts'
import { loadProject } from '../../src/node/project.ts'
import type { Definitions } from '../../src/node/apply.ts'

const sales = defineTopic('sales', { schema: z.object({ item: z.string(), n: z.int() }), key: 'item' })
const counts = sales
  .stream()
  .groupBy('item')
  .aggregate({ n: count(), s: sum('n') })
const plain = defineView('counts', counts)

class House {
  readonly world: World = { ...realWorld(), disk: memoryDisk() }
  readonly said: string[] = []
  running: Running | null = null

  async start(definitions: Definitions): Promise<void> {
    const { config } = resolveConfig({ data: 'data', listen: ['http=off', 'kafka=off', 'peer=off'] }, {}, {})
    this.said.length = 0
    const logger: Logger = { ...silent, info: (text) => void this.said.push(text) }
    this.running = await startMillrace({ config, world: this.world, logger, definitions })
  }
  startWith(...views: AnyView[]): Promise<void> {
    return this.start({ sql: [], definitions: [sales, ...views] })
  }
  async stop(): Promise<void> {
    await this.running?.close()
    this.running = null
  }
  async rows(text: string): Promise<unknown[][]> {
    const found: unknown[][] = []
    for await (const row of (await this.running!.engine.run(text)).rows) found.push([...row])
    return found
  }
  /** What lies in the topic is there no more: whoever begins anew sees nothing of it. */
  async forget(topic: string): Promise<void> {
    const { log } = this.running!
    const [bounds] = await log.bounds([{ topic, index: 0 }])
    await log.topics.trim([{ partition: { topic, index: 0 }, offset: offset(bounds!.end) }])
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}
async function sold(house: House): Promise<void> {
  await house.rows(`INSERT INTO sales VALUES ('a', 1), ('a', 10), ('b', 2); FLUSH`)
}

test('a view of another plan is made anew, with what reads it; one of the same plan is left alone', async () => {
  await using house = new House()
  const reader = defineView(
    'many',
    plain.stream().where(({ n }) => n.gt(1)),
  )
  await house.startWith(plain, reader)
  await sold(house)
  assert.deepEqual(await house.rows('SELECT * FROM many'), [['a', 2, 11]])
  await house.stop()
  await house.startWith(plain, reader)
  assert.deepEqual(house.said, [])
  await house.stop()

  const changed = defineView(
    'counts',
    sales
      .stream()
      .where(({ n }) => n.gt(1))
      .groupBy('item')
      .aggregate({ n: count(), s: sum('n') }),
  )
  await house.startWith(
    changed,
    defineView(
      'many',
      changed.stream().where(({ n }) => n.gt(1)),
    ),
  )
  assert.deepEqual(house.said, ['view counts has changed: it is made anew', 'view many has changed: it is made anew'])
  await house.rows(`INSERT INTO sales VALUES ('a', 5); FLUSH`)
  assert.deepEqual(await house.rows('SELECT * FROM counts ORDER BY item'), [
    ['a', 2, 15],
    ['b', 1, 2],
  ])
  assert.deepEqual(await house.rows('SELECT * FROM many'), [['a', 2, 15]])
})

test('one that others read who are not of the program is not made anew', async () => {
  await using house = new House()
  await house.startWith(plain)
  await house.rows('CREATE MATERIALIZED VIEW totals AS SELECT sum(n) AS n FROM counts')
  await sold(house)
  await house.stop()
  const changed = defineView(
    'counts',
    sales
      .stream()
      .where(({ n }) => n.gt(1))
      .groupBy('item')
      .aggregate({ n: count(), s: sum('n') }),
  )
  await assert.rejects(house.startWith(changed), (error: Fault) => error.code === 'project.has-reader')
})

test("with startFrom: 'resume' it goes on with the state that both plans have", async () => {
  await using house = new House()
  await house.startWith(plain)
  await sold(house)
  await house.forget('sales')
  await house.stop()
  const options = { startFrom: 'resume' } as const
  await house.startWith(
    defineView(
      'counts',
      counts.where(({ n }) => n.gt(1)),
      options,
    ),
  )
  assert.deepEqual(house.said, ['view counts has changed: it goes on with its state'])
  await house.rows(`INSERT INTO sales VALUES ('b', 3); FLUSH`)
  assert.deepEqual(await house.rows('SELECT * FROM counts ORDER BY item'), [
    ['a', 2, 11],
    ['b', 2, 5],
  ])
  await house.stop()
  await house.startWith(
    defineView(
      'counts',
      counts.where(({ n }) => n.gt(1)),
      options,
    ),
  )
  assert.deepEqual(house.said, [])
  assert.equal((await house.rows('SELECT * FROM counts')).length, 2)
})

test('START FROM RESUME in a file: changed, the view goes on with the state of both; written otherwise it is the same', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-changed-'))
  try {
    await using house = new House()
    const write = (text: string): void =>
      writeFileSync(join(dir, 'views.sql'), `CREATE STREAM sales (item text, n int); ${text}`)
    write(
      'create materialized view counts as SELECT item, count(*) AS n, sum(n) AS s FROM sales GROUP BY item START FROM RESUME;',
    )
    await house.start(await loadProject(dir))
    await sold(house)
    await house.forget('sales')
    await house.stop()
    write(
      `create materialized view counts as SELECT item, count(*) AS n, sum(n) AS s FROM sales GROUP BY item HAVING count(*) > 1
       START FROM RESUME;`,
    )
    await house.start(await loadProject(dir))
    assert.match(house.said.join(), /view counts has changed: it goes on where the one before has come to/)
    assert.deepEqual(await house.rows('FLUSH; SELECT * FROM counts'), [['a', 2, 11]])
    await house.stop()
    await house.start(await loadProject(dir))
    assert.deepEqual(house.said, [])
  } finally {
    rmSync(dir, { recursive: true })
  }
})

test('a view in SQL takes all its options', async () => {
  await using house = new House()
  const options = { memoryBudget: '64MB', stateTtl: '1h', parallelism: 2, allowUnboundedState: true }
  await house.startWith(defineView('tagged', sql`SELECT item, count(*) AS n FROM ${sales} GROUP BY item`, options))
  const text = house.running!.engine.relation('tagged')!.sql!
  for (const part of ["memory_budget = '64MB'", "state_ttl = '1h'", 'parallelism = 2', 'allow_unbounded_state = true'])
    assert.ok(text.includes(part), text)
})
