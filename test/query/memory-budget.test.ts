/** Views with little memory: the same rows as with enough of it, also after a restart; and an end where rows cannot go to disk. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { feedEvents, openNexmark } from '../../bench/nexmark/engine.ts'
import { nexmarkEvents } from '../../bench/nexmark/generate.ts'
import { queries } from '../../bench/nexmark/queries.ts'
import type { Running } from '../../src/node/millrace.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-budget-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const budgets: Readonly<Record<string, string>> = {
  ...{ q5: '100kB', q9: '100kB', q11: '20kB', q16: '50kB', q17: '20kB', q18: '100kB', q20: '200kB' },
}
const names = Object.keys(budgets)
const events = [...nexmarkEvents({ events: 4_000, seed: 3, rate: 100 })]

async function make(running: Running, name: string, more: string): Promise<void> {
  const text = `CREATE MATERIALIZED VIEW ${name} WITH (allow_unbounded_state = true${more}) AS ${queries[name]!}; FLUSH`
  await running.engine.run(text)
}
async function rowsOf(running: Running, name: string): Promise<string[]> {
  const lines: string[] = []
  for await (const row of (await running.engine.run(`SELECT * FROM ${name}`)).rows)
    lines.push(row.map((value) => String(value)).join(' | '))
  return lines.sort()
}
const filesOf = (data: string, name: string): number =>
  existsSync(join(data, 'spill', name)) ? readdirSync(join(data, 'spill', name)).length : 0

for (const [how, workers, parallelism] of [
  ['whole', '1', 1],
  ['in parts on two threads', '2', 2],
] as const)
  test(`joins, groups and first rows of a little memory, ${how}, and what becomes of them`, async () => {
    const roomy = await openNexmark(join(folder, `roomy ${workers}`))
    const data = join(folder, `tight ${workers}`)
    let tight = await openNexmark(data, {}, { workers })
    try {
      for (const running of [roomy, tight]) await feedEvents(running, events.slice(0, 3_000), { closes: false })
      for (const name of names) {
        await make(roomy, name, '')
        await make(tight, name, `, memory_budget = '${budgets[name]!}', parallelism = ${parallelism}`)
        assert.deepEqual(await rowsOf(tight, name), await rowsOf(roomy, name), name)
        assert.ok(filesOf(data, name) > 0, `${name} has rows in files`)
        // What only adds values up is not worth another thread.
        const hasFar = parallelism > 1 && name !== 'q17'
        assert.equal(
          filesOf(data, `${name}/part1`) > 0,
          hasFar,
          `${name} has ${hasFar ? 'some' : 'none'} on the other thread`,
        )
      }
      await tight.close()
      tight = await openNexmark(data, {}, { isNew: false, workers })
      for (const running of [roomy, tight]) {
        await feedEvents(running, events.slice(3_000), { closes: false })
        await running.engine.run('FLUSH')
      }
      for (const name of names) {
        assert.deepEqual(await rowsOf(tight, name), await rowsOf(roomy, name), `${name} after a restart`)
        assert.ok(filesOf(data, name) > 0, `${name} has rows in files`)
        await tight.engine.run(`DROP MATERIALIZED VIEW ${name}`)
        // A thread with parts of it is told, and not waited for.
        for (let waited = 0; waited < 100 && filesOf(data, name) > 0; waited++) await sleep(20)
        assert.equal(filesOf(data, name), 0, `${name} is gone`)
      }
    } finally {
      await roomy.close()
      await tight.close()
    }
  })

test('state that cannot go to disk ends its view, and nobody else', async () => {
  const running = await openNexmark(join(folder, 'ends'))
  try {
    await feedEvents(running, events, { closes: false })
    await make(running, 'q17', '')
    await running.engine.run(
      `CREATE MATERIALIZED VIEW early WITH (memory_budget = '20kB') AS
        WITH auction AS (SELECT (auction).id, dateTime FROM events WHERE event_type = 1),
          bid AS (SELECT (bid).auction, (bid).price, dateTime FROM events WHERE event_type = 2)
        SELECT A.id, B.price FROM auction A JOIN bid B
          ON A.id = B.auction AND B.dateTime BETWEEN A.dateTime AND A.dateTime + INTERVAL '1 hour'; FLUSH`,
    )
    const errorOf = (): string | undefined => running.engine.views().find(({ name }) => name === 'early')?.error?.code
    // The tick that was too much is committed still.
    for (let waited = 0; waited < 100 && errorOf() === undefined; waited++) await sleep(50)
    assert.equal(errorOf(), 'flow.over-memory')
    assert.ok((await rowsOf(running, 'q17')).length > 0)
  } finally {
    await running.close()
  }
})
