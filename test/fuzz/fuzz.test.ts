/**
 * Random queries against DuckDB: a few of the full run (`npm run test:fuzz`). The seed is that of the day, SEED chooses
 * another. And a check of the checker: a wrong answer is found and made small.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { difference } from './compare.ts'
import { fuzz } from './fuzz.ts'
import { type Expr, query, type Query } from './node.ts'
import { report } from './report.ts'
import { Arena } from './run.ts'
import { shrink } from './shrink.ts'
import { Chance } from './chance.ts'
import { randomDataset } from './tables.ts'

const seed = Number(process.env['SEED'] ?? Math.floor(Date.now() / 86_400_000) * 1_000)

test(`200 random queries from seed ${seed}: the same as DuckDB, asked once and kept by a view`, async () => {
  const told: string[] = []
  const result = await fuzz({ seed, queries: 200, failuresMax: 1, log: (text) => told.push(text) })
  assert.ok(result.isGood, [...told, result.summary].join('\n'))
})

const columnOf = (name: string): Expr => ({
  node: 'expr',
  ours: name,
  theirs: name,
  args: [],
  kind: 'int',
  bound: 400,
  exact: true,
})
test('a planted difference is found, and shrunk to the row and the part of the query that it needs', async () => {
  await using arena = await Arena.open()
  const dataset = randomDataset(new Chance(1))
  const id = Number(dataset.changes.find(({ relation }) => relation.name === 's0')!.row![0])
  const wrong: Expr = {
    ...columnOf('a0.id'),
    ours: '$1',
    theirs: `CASE WHEN $1 = ${id} THEN -1 ELSE $1 END`,
    args: [columnOf('a0.id')],
  }
  const asked: Query = query({
    node: 'select',
    distinct: true,
    items: [
      { expr: wrong, name: 'c0' },
      { expr: columnOf('a0.k'), name: 'c1' },
    ],
    from: { node: 'table', name: 's0', alias: 'a0', window: null },
    where: [{ ...columnOf('a0.id < 1000'), kind: 'boolean' }],
    groupBy: [],
    having: [],
  })
  const outcome = await arena.check(dataset, asked, 1)
  assert.ok(outcome.kind === 'different', JSON.stringify(outcome))
  const small = await shrink(arena, { seed: 1, dataset, query: asked }, outcome)
  assert.equal(small.found.dataset.changes.length, 1)
  const { body } = small.found.query
  assert.ok(body.node === 'select' && body.items.length === 1 && body.where.length === 0 && !body.distinct)
  assert.match(
    report(small.found, small.outcome),
    new RegExp(`missing:\\n {4}-1\\n {2}too much:\\n {4}${id}\\n[^]*"id":${id}`),
  )
})

test('bags of rows: how often a row is there counts, and so does each digit of the first twelve', () => {
  assert.equal(difference([['1'], ['2'], ['1']], [['1'], ['1'], ['2']], [false]), null)
  assert.match(difference([['1']], [['1'], ['1']], [false])!, /missing/)
  assert.match(difference([['1', '2']], [['1', '3']], [false, false])!, /missing[^]*too much/)
  assert.equal(difference([['0.3333333333333333']], [['0.33333333333333337']], [true]), null)
  assert.notEqual(difference([['0.33333333']], [['0.33333334']], [true]), null)
  assert.notEqual(difference([['NaN']], [['1']], [true]), null)
  assert.equal(difference([['12e-1']], [['1.2']], [true]), null)
})
