/** Views that other processes keep a copy of: what is taken over, and what is left to read then. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Log } from '../../src/log/log.ts'
import { type House, openHouse } from './house.ts'

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (holds()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.fail(`never came: ${what}`)
}
const view = ({ engine }: House) => engine.views().find(({ name }) => name === 'totals')
/** From where each restoring of a changelog began, from now on. */
function restorings(log: Log): number[] {
  const begun: number[] = []
  const reader = log.reader.bind(log)
  log.reader = (options) => {
    const real = reader(options)
    return {
      read: (from, wait, signal) => real.read(from, wait, signal),
      restore(partition, claim, from) {
        if (partition.topic.startsWith('_millrace_state')) begun.push(from ?? 0)
        return real.restore(partition, claim, from)
      },
    }
  }
  return begun
}
async function fed(house: House, items: number): Promise<void> {
  const rows = Array.from({ length: items }, (_, i) => `('item ${i}', ${i})`)
  await house.sql(`INSERT INTO sales VALUES ${rows.join(', ')}; FLUSH`)
}
const query = 'SELECT item, sum(n) AS n, count(*) AS c FROM sales GROUP BY item'

for (const standbys of [0, 1])
  test(`with ${standbys} standbys, the process that goes on reads ${standbys === 0 ? 'all of the state' : 'what is new'}`, async () => {
    await using one = await openHouse()
    const begun = restorings(one.log)
    const two = await openHouse({ beside: one })
    try {
      await one.sql('CREATE STREAM sales (item text, n int)')
      await one.sql(`CREATE MATERIALIZED VIEW totals ${standbys === 0 ? '' : 'WITH (standbys = 1)'} AS ${query}`)
      await until('known to both', () => two.engine.relation('totals') !== null)
      const runs = (): House[] => [one, two].filter((house) => view(house)?.status === 'running')
      await until('it runs in one', () => runs().length === 1)
      const [active] = runs() as [House]
      const other = active === one ? two : one
      const empty = view(other)!.stats.stateBytes
      await fed(active, 100)
      await fed(active, 50)
      if (standbys === 1) await until('a copy of the state', () => view(other)!.stats.stateBytes > empty)
      else assert.equal(view(other)!.stats.stateBytes, empty)
      begun.length = 0
      await active.flow.stop('totals')
      await until('the other goes on', () => view(other)?.status === 'running')
      assert.ok(begun.length > 0 && begun.every((from) => from > 0 === (standbys === 1)), begun.join())
      await fed(other, 10)
      const all = await other.sql('SELECT item, n, c FROM totals')
      assert.deepEqual(all.toSorted(), (await other.sql(query)).toSorted())
      assert.equal(all.length, 100)
      assert.deepEqual(all.find(([item]) => item === 'item 9')?.[2], 3)
    } finally {
      await two[Symbol.asyncDispose]()
    }
  })

test('hand-overs back and forth, also before a copy is whole, leave what the query gives', async () => {
  const queries = {
    counts: 'SELECT item, count(*) AS c, count(DISTINCT n) AS d, max(n) AS m FROM sales GROUP BY item',
    pairs: 'SELECT s.item, s.n, p.price FROM sales AS s LEFT JOIN prices AS p ON p.item = s.item',
    best: 'SELECT item, n FROM (SELECT item, n, row_number() OVER (PARTITION BY item ORDER BY n DESC) AS place FROM sales) WHERE place <= 2',
  }
  const names = Object.keys(queries) as (keyof typeof queries)[]
  await using one = await openHouse()
  const two = await openHouse({ beside: one })
  const houses = [one, two]
  try {
    await one.sql('CREATE STREAM sales (item text, n int); CREATE TABLE prices (item text PRIMARY KEY, price int)')
    for (const name of names)
      await one.sql(
        `CREATE MATERIALIZED VIEW ${name} WITH (standbys = 1, parallelism = 3, allow_unbounded_state = true) AS ${queries[name]}`,
      )
    await until('known to both', () => names.every((name) => two.engine.relation(name) !== null))
    const runner = (name: string): House | undefined =>
      houses.find((house) => house.flow.has(name) && house.flow.view(name).status === 'running')
    for (let round = 0; round < 12; round++) {
      const sales = Array.from({ length: 40 }, (_, i) => `('item ${(i * 7 + round) % 11}', ${(i * round) % 23})`)
      await houses[round % 2]!.sql(`INSERT INTO sales VALUES ${sales.join(', ')}`)
      await houses[round % 2]!.sql(`INSERT INTO prices VALUES ('item ${round}', ${round}), ('item 3', ${round})`)
      for (const name of names) {
        await until(`${name} runs`, () => runner(name) !== undefined)
        const from = runner(name)!
        if (round % 3 === 0) await from.sql('FLUSH')
        const plan = from.flow.plan(name)
        await from.flow.stop(name)
        await from.flow.start(plan)
      }
    }
    for (const name of names) {
      await until(`${name} runs`, () => runner(name) !== undefined)
      await runner(name)!.sql('FLUSH')
    }
    const sorted = (rows: unknown[][]): string[] => rows.map((row) => JSON.stringify(row)).toSorted()
    for (const name of names)
      assert.deepEqual(sorted(await one.sql(`SELECT * FROM ${name}`)), sorted(await one.sql(queries[name])), name)
    assert.deepEqual([...one.faults, ...two.faults], [])
  } finally {
    await two[Symbol.asyncDispose]()
  }
})
