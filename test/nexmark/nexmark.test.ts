/**
 * Our Nexmark queries give what plain loops give, on events in order, out of order, and with late ones; and the loops and
 * the generator give what Flink 2.3 gave on the files of `expected/`: on one of them, with NEXMARK_FILES=all on the three,
 * and then so do our queries.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { nexmarkEvents, type NexmarkOptions } from '../../bench/nexmark/generate.ts'
import { queries } from '../../bench/nexmark/queries.ts'
import { runNexmark } from '../../bench/nexmark/run.ts'
import { reference } from './reference.ts'

const seed = Number(process.env['SEED'] ?? 1)
const count = Number(process.env['NEXMARK_EVENTS'] ?? 8_000)
const shapes: Readonly<Record<string, Omit<NexmarkOptions, 'events' | 'seed'>>> = {
  'in order': { rate: 500 },
  'out of order': { rate: 500, outOfOrderGroup: 1_000 },
  'with late events': { rate: 500, delayProbability: 0.02, delayMaxMs: 20_000 },
}
const digest = (lines: readonly string[]): string =>
  createHash('sha256')
    .update(lines.map((line) => `${line}\n`).join(''))
    .digest('hex')

for (const [name, shape] of Object.entries(shapes))
  test(`every query equals the plain loops: ${name}`, async () => {
    const events = [...nexmarkEvents({ events: count, seed, ...shape })]
    const wanted = reference(events)
    await runNexmark(events, {
      rows: (query, lines) => {
        assert.ok(wanted[query]!.length > 0, `${query} has rows`)
        const other = lines.findIndex((line, i) => line !== wanted[query]![i])
        assert.equal(lines[other], wanted[query]![other], `${query}, seed ${seed}: row ${other} of ${lines.length}`)
        assert.equal(lines.length, wanted[query]!.length, `${query}, seed ${seed}`)
      },
    })
  })

// Of four parts on three threads, one has two.
for (const { parallel, workers, closing } of [
  { parallel: 2, workers: 2, closing: false },
  { parallel: 4, workers: 3, closing: true },
])
  test(`every query gives the same in ${parallel} parts on ${workers} threads${closing ? ', windows that close' : ''}`, async () => {
    const events = [...nexmarkEvents({ events: count, seed, ...shapes['out of order']! })]
    const wanted = reference(events)
    const found = await runNexmark(events, { parallel, workers, closing })
    assert.equal(Object.keys(found).length, Object.keys(queries).length)
    for (const [query, { sha256 }] of Object.entries(found))
      assert.equal(sha256, digest(wanted[query]!), `${query}, seed ${seed}`)
  })

for (const closing of [false, true])
  test(`every query gives the same with hardly any memory for its state${closing ? ', windows that close' : ''}`, async () => {
    const events = [...nexmarkEvents({ events: count, seed, ...shapes['out of order']! })]
    const wanted = reference(events)
    const found = await runNexmark(events, { memory: '100kB', closing })
    assert.equal(Object.keys(found).length, Object.keys(queries).length)
    for (const [query, { sha256 }] of Object.entries(found))
      assert.equal(sha256, digest(wanted[query]!), `${query}, seed ${seed}`)
  })

test('windows that close give the same rows, late events or not', async () => {
  const events = [...nexmarkEvents({ events: count, seed, ...shapes['with late events']! })]
  const wanted = reference(events)
  const found = await runNexmark(events, { only: ['q5', 'q7', 'q8', 'q11'], closing: true })
  for (const [query, { rows, sha256 }] of Object.entries(found)) {
    assert.equal(rows, wanted[query]!.length, `${query}, seed ${seed}`)
    assert.equal(sha256, digest(wanted[query]!), `${query}, seed ${seed}`)
  }
})

const files: Readonly<Record<string, { readonly sha256: string; readonly options: NexmarkOptions }>> = {
  A: {
    sha256: '3348619a29c9dbbedac6f929aeeacd214906ed24115b890da5a61d16d5e2a0e8',
    options: { events: 100_000, seed: 1, rate: 1_000 },
  },
  C: {
    sha256: '8fb25f751916c61c533ef8c20b0709806b6b803e3d8d30aee54f2cabf173cae2',
    options: { events: 100_000, seed: 3, rate: 1_000, outOfOrderGroup: 1_000 },
  },
  D: {
    sha256: '609d7e0963a681382159ff26980d25ea6eba802631efe40d0cfdfe95ecd5caf4',
    options: { events: 100_000, seed: 4, rate: 1_000, delayProbability: 0.02, delayMaxMs: 20_000 },
  },
}
const all = process.env['NEXMARK_FILES'] === 'all'
const expectedOf = (name: string): Record<string, { rows: number; sha256: string }> =>
  JSON.parse(readFileSync(join(import.meta.dirname, 'expected', `${name}.json`), 'utf8')) as ReturnType<
    typeof expectedOf
  >

for (const [name, { sha256, options }] of Object.entries(files)) {
  test(
    `file ${name}: the events, and Flink's results`,
    { skip: all || name === 'D' ? false : 'with NEXMARK_FILES=all: it takes a while' },
    () => {
      const events = [...nexmarkEvents(options)]
      assert.equal(digest(events), sha256, 'the file')
      const expected = expectedOf(name)
      const found = reference(events)
      for (const query of Object.keys(queries)) {
        assert.equal(found[query]!.length, expected[query]!.rows, query)
        assert.equal(digest(found[query]!), expected[query]!.sha256, query)
      }
    },
  )
  test(
    `file ${name}: our results are Flink's`,
    { skip: all ? false : 'with NEXMARK_FILES=all: it takes some minutes' },
    async () => assert.deepEqual(await runNexmark(nexmarkEvents(options)), expectedOf(name)),
  )
}
