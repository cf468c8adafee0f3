/** What one process on a log defines, pauses and drops is so in the others too, without a restart. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type House, openHouse } from './house.ts'

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (holds()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.fail(`never came: ${what}`)
}
const status = ({ engine }: House): string | undefined => engine.views().find(({ name }) => name === 'totals')?.status

test('definitions go from one process to the other, and each view runs in one of them', async () => {
  await using one = await openHouse()
  await using two = await openHouse({ beside: one })
  await one.sql('CREATE STREAM sales (item text, n int)')
  await one.sql('CREATE MATERIALIZED VIEW totals AS SELECT item, sum(n) AS n FROM sales GROUP BY item')
  await until('the view is known to the other', () => two.engine.relation('totals') !== null)
  await until('it runs in one', () => [one, two].filter((house) => status(house) === 'running').length === 1)
  await two.sql("INSERT INTO sales VALUES ('a', 1), ('b', 2), ('a', 3)")
  for (const house of [one, two])
    assert.deepEqual(
      await house.settled('SELECT item, n FROM totals ORDER BY item', [
        ['a', 4],
        ['b', 2],
      ]),
      [
        ['a', 4],
        ['b', 2],
      ],
    )

  await two.sql('ALTER MATERIALIZED VIEW totals PAUSE')
  await until('it is paused in both', () => [one, two].every((house) => status(house) === 'paused'))
  await one.sql("INSERT INTO sales VALUES ('a', 10)")
  await one.sql('ALTER MATERIALIZED VIEW totals RESUME')
  for (const house of [one, two])
    assert.deepEqual(await house.settled("SELECT n FROM totals WHERE item = 'a'", [[14]]), [[14]])

  await two.sql('DROP MATERIALIZED VIEW totals')
  await until('it is gone from the other', () => one.engine.relation('totals') === null)
  assert.equal(await one.log.topics.get('totals'), null)
  await one.sql('CREATE MATERIALIZED VIEW totals AS SELECT item, count(*) AS n FROM sales GROUP BY item')
  await until('the new one is known', () => two.engine.relation('totals')?.sql?.includes('count') === true)
  for (const house of [one, two])
    assert.deepEqual(await house.settled("SELECT n FROM totals WHERE item = 'a'", [[3]]), [[3]])
  assert.deepEqual([...one.faults, ...two.faults], [])
})
