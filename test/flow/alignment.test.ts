/** Sources aligned by event time: who is far ahead waits, whoever is behind never does, silence ends the wait, nothing is lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { count, defineTopic, defineView } from '../../src/dsl/index.ts'
import type { ViewPlan } from '../../src/flow/plan.ts'
import { testMillrace } from '../../src/testing.ts'
import { type House, memoryWorld, openHouse, until } from './house.ts'

const start = Date.UTC(2026, 0, 1)
const driftSeconds = 60
/** What one step may read beyond it. */
const stepRows = 256
const schema = z.object({ n: z.int(), at: z.iso.datetime() })
const alignment = { group: 'g', maxDrift: `${driftSeconds}s` }
const row = (second: number) => ({ n: second, at: new Date(start + second * 1000).toISOString() })
const rows = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => row(from + i))

const topicOf = (name: string, aligned = true) =>
  defineTopic(name, { schema, eventTime: 'at', ...(aligned ? { alignment } : {}) })
/** The rows of both, by their place; silent after a second and a half. */
function bothOf(aligned: boolean): ViewPlan {
  const [fast, slow] = [topicOf('fast', aligned), topicOf('slow', aligned)]
  const rows = (topic: typeof fast) => topic.stream().select((event) => ({ n: event.n }))
  return { ...defineView('both', rows(fast).merge(rows(slow))).plan()!, idleMs: 1_500 }
}
async function takenIn(house: House): Promise<{ readonly fast: number; readonly slow: number }> {
  const { positions } = await house.flow.examine('both')
  const of = (topic: string): number =>
    positions.filter(({ partition }) => partition.topic === topic).reduce((sum: number, { offset }) => sum + offset, 0)
  return { fast: of('fast'), slow: of('slow') }
}
/** Long enough for everything that may be taken, and shorter than what counts as silence. */
const rest = () => new Promise((resolve) => setTimeout(resolve, 400))

test('not aligned, a source is read to its end', async () => {
  await using house = await openHouse()
  for (const topic of ['fast', 'slow']) await house.topic(topic)
  await house.send('slow', [row(0)])
  await house.send('fast', rows(0, 2_000))
  await house.flow.start(bothOf(false))
  await until(async () => (await takenIn(house)).fast === 2_000, 'all of it')
})
test('aligned, it is read as far as the slowest allows, through a restart, until that one is silent', async () => {
  const world = memoryWorld()
  {
    await using house = await openHouse(world)
    for (const topic of ['fast', 'slow']) await house.topic(topic)
    await house.send('slow', [row(0)])
    await house.send('fast', rows(0, 2_000))
    await house.flow.start(bothOf(true))
    await rest()
    const { fast, slow } = await takenIn(house)
    assert.equal(slow, 1)
    assert.ok(fast > 0 && fast <= driftSeconds + stepRows, `${fast} rows`)
    await house.send('slow', rows(1, 1_000))
    await until(async () => (await takenIn(house)).slow === 1_000, 'the slow one')
  }
  await using house = await openHouse(world)
  await house.flow.start(bothOf(true))
  await rest()
  const { fast } = await takenIn(house)
  assert.ok(Math.abs(fast - 1_000 - driftSeconds) <= stepRows, `${fast} rows`)
  // Who says nothing for long keeps nobody waiting; what it brings then is taken at once, and counts again.
  await until(async () => (await takenIn(house)).fast === 2_000, 'the other is silent')
  await house.send('slow', rows(1_000, 1_100))
  await until(async () => (await takenIn(house)).slow === 1_100, 'it speaks again')
  await house.send('fast', rows(2_000, 3_000))
  await rest()
  assert.ok((await takenIn(house)).fast <= 2_000 + stepRows, `${(await takenIn(house)).fast} rows`)
  await house.send('slow', rows(1_100, 3_000))
  await until(async () => (await takenIn(house)).fast === 3_000 && (await takenIn(house)).slow === 3_000, 'all')
  assert.equal((await house.read('both')).length, 6_000)
  assert.deepEqual(house.faults, [])
})

test('what never had an event keeps nobody waiting, and partitions of one source wait for one another', async () => {
  await using house = await openHouse()
  await house.topic('fast', 2)
  await house.topic('slow')
  await house.flow.start(bothOf(true))
  await house.send('fast', rows(0, 1_000), { partition: 0 })
  await until(async () => (await takenIn(house)).fast === 1_000, 'there is nobody to wait for')
  await house.send('fast', rows(0, 10), { partition: 1 })
  await until(async () => (await takenIn(house)).fast === 1_010, 'the second partition')
  await house.send('fast', rows(1_000, 3_000), { partition: 0 })
  await rest()
  assert.ok((await takenIn(house)).fast <= 1_010 + stepRows, `${(await takenIn(house)).fast} rows`)
  await house.send('fast', rows(10, 4_000), { partition: 1 })
  await until(async () => (await takenIn(house)).fast === 7_000, 'all')
})

test('a join over aligned sources gives what it gives without, and windows close as they would', async () => {
  const results: unknown[] = []
  for (const aligned of [false, true]) {
    const [a, b] = [topicOf('a', aligned), topicOf('b', aligned)]
    const joined = a.stream().join(
      b.stream(),
      (x, y) => x.n.eq(y.n),
      (x) => ({ n: x.n, at: x.at }),
      { within: '10s' },
    )
    const minutes = joined.window({ tumbling: '1m' }).groupBy().aggregate({ c: count() }, { emit: 'close' })
    const views = [defineView('pairs', joined.groupBy().aggregate({ c: count() })), defineView('minutes', minutes)]
    await using millrace = await testMillrace({ topics: [a, b], views })
    await millrace.topic(b).send(row(0))
    await millrace.topic(a).send(rows(0, 1_500))
    for (let at = 1; at < 1_500; at += 100) {
      await millrace.topic(b).send(rows(at, at + 100))
      await millrace.clock.advance('1s')
    }
    results.push(
      await millrace.sql('SELECT * FROM pairs'),
      await millrace.sql('SELECT * FROM minutes ORDER BY window_end'),
    )
  }
  assert.deepEqual(results.slice(0, 2), results.slice(2))
  assert.ok((results[1] as unknown[]).length > 20, JSON.stringify(results))
})

test('the options of SQL are said together, as a duration and a name', async () => {
  await using millrace = await testMillrace({})
  const make = (options: string) =>
    millrace.sql(`CREATE STREAM x (n int, at timestamptz, WATERMARK FOR at AS at) WITH (${options})`)
  await assert.rejects(make("watermark_alignment_group = 'g'"), /without watermark_alignment_max_drift/)
  await assert.rejects(make("watermark_alignment_max_drift = '1m'"), /without watermark_alignment_group/)
  await assert.rejects(
    make("watermark_alignment_group = 'g', watermark_alignment_max_drift = 'far'"),
    /a duration like/,
  )
  await make("'watermark.alignment.group' = 'g', 'watermark.alignment.max-drift' = '1m'")
})
