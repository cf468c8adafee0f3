/** Windows of counts and global windows in TypeScript, through kills and power cuts, against a plain loop. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { avg, count, defineTopic, defineView, max, sum } from '../../src/dsl/index.ts'
import { testMillrace } from '../../src/testing.ts'
import { random } from '../flow/plans.ts'

const readings = defineTopic('readings', {
  schema: z.object({ sensor: z.string(), value: z.int(), last: z.boolean(), at: z.iso.datetime() }),
  eventTime: 'at',
  lateness: '2s',
})
const stream = readings.stream()
const start = Date.UTC(2026, 0, 1)
interface Reading {
  readonly sensor: string
  readonly value: number
  readonly last: boolean
  readonly at: string
}
const readingsOf = (next: () => number, length: number): Reading[] =>
  Array.from({ length }, (_, i) => ({
    sensor: 'abc'[Math.floor(next() * 3)]!,
    value: Math.floor(next() * 20) - 5,
    last: next() < 0.15,
    at: new Date(start + (i * 2 - Math.floor(next() * 4)) * 500).toISOString(),
  }))

const tens = stream
  .window({ count: 10 })
  .groupBy('sensor')
  .aggregate((row) => ({ n: count(), total: sum(row.value), doubled: sum(row.value.times(2)).filter(row.last) }))
const sliding = stream
  .window({ count: 5, every: 2 })
  .groupBy('sensor')
  .aggregate({ n: count(), mean: avg('value'), top: max('value') })
const orders = stream
  .window({ global: { when: (row) => row.last, count: 6 }, keep: 'none' })
  .groupBy('sensor')
  .aggregate({ n: count(), total: sum('value') })

interface Firing {
  readonly every: (since: readonly Reading[]) => boolean
  readonly keep: number
}
/** The rows that a window holds, each time it fires. */
function windowsOf(all: readonly Reading[], { every, keep }: Firing): (readonly Reading[])[] {
  const found: (readonly Reading[])[] = []
  const keys = new Map<string, { rows: Reading[]; since: Reading[] }>()
  for (const one of all) {
    const key = keys.get(one.sensor) ?? { rows: [], since: [] }
    keys.set(one.sensor, key)
    key.rows.push(one)
    key.since.push(one)
    if (!every(key.since)) continue
    found.push(keep === 0 ? key.since : key.rows.slice(-keep))
    key.since = []
  }
  return found
}
const total = (rows: readonly Reading[]): number => rows.reduce((all, { value }) => all + value, 0)

test('windows of counts and by what a row says are those of a run without batches, kills and power cuts', async (context) => {
  const seeds = Number(process.env['SEEDS'] ?? 6)
  const first = Number(process.env['SEED'] ?? 1)
  let crashes = 0
  for (let seed = first; seed < first + seeds; seed++) {
    const next = random(seed)
    const parallelism = 1 + (seed % 3)
    const options = { parallelism }
    const views = {
      tens: defineView('tens', tens, options),
      sliding: defineView('sliding', sliding, options),
      orders: defineView('orders', orders, options),
    }
    await using millrace = await testMillrace({ seed, topics: [readings], views: Object.values(views) })
    const all = readingsOf(next, 90)
    for (let at = 0; at < all.length;) {
      const piece = all.slice(at, (at += 1 + Math.floor(next() * 14)))
      await millrace.topic(readings).send(piece)
      if (next() < 0.5) await millrace.sql('FLUSH')
      if (next() < 0.3) {
        await millrace.crash(next() < 0.5 ? 'kill' : 'power')
        crashes++
      }
    }
    const rows = async (view: string, columns: string): Promise<readonly object[]> =>
      (await millrace.sql(`SELECT ${columns}, _offset AS place FROM ${view} ORDER BY _offset`)).map((row) =>
        Object.fromEntries(Object.entries(row).filter(([name]) => name !== 'place')),
      )
    const sensorOf = ([one]: readonly Reading[]): string => one!.sensor
    assert.deepEqual(
      await rows('tens', 'sensor, n, total, doubled'),
      windowsOf(all, { every: (since) => since.length === 10, keep: 0 }).map((of) => {
        const last = of.filter((one) => one.last)
        return { sensor: sensorOf(of), n: 10, total: total(of), doubled: last.length === 0 ? null : 2 * total(last) }
      }),
      `seed ${seed}`,
    )
    const means = await rows('sliding', 'sensor, n, CAST(mean AS double precision) AS mean, top')
    assert.deepEqual(
      means,
      windowsOf(all, { every: (since) => since.length === 2, keep: 5 }).map((of) => ({
        sensor: sensorOf(of),
        n: of.length,
        mean: total(of) / of.length,
        top: Math.max(...of.map(({ value }) => value)),
      })),
      `seed ${seed}`,
    )
    assert.ok(means.length > 30)
    assert.deepEqual(
      await rows('orders', 'sensor, n, total'),
      windowsOf(all, { every: (since) => since.at(-1)!.last || since.length === 6, keep: 0 }).map((of) => ({
        sensor: sensorOf(of),
        n: of.length,
        total: total(of),
      })),
      `seed ${seed}`,
    )
  }
  context.diagnostic(`${crashes} crashes`)
  assert.ok(crashes > seeds)
})

test('a batch of so many rows, or what came in so long by the clock, also over a crash', async () => {
  const batches = stream
    .window({ global: { count: 3, after: '10s', clock: 'processing' }, keep: 'none' })
    .groupBy()
    .aggregate({ n: count(), total: sum('value') })
  const view = defineView('batches', batches)
  await using millrace = await testMillrace({ topics: [readings], views: [view] })
  const send = (...values: number[]) =>
    millrace
      .topic(readings)
      .send(values.map((value) => ({ sensor: 'a', value, last: false, at: new Date(start).toISOString() })))
  await send(1, 2, 3, 4)
  await millrace.sql('FLUSH')
  assert.deepEqual(await millrace.view(view).rows(), [{ n: 3, total: 6 }])
  await millrace.clock.advance('5s')
  await millrace.crash('power')
  assert.equal((await millrace.view(view).rows()).length, 1)
  await millrace.clock.advance('6s')
  assert.deepEqual((await millrace.view(view).rows()).at(-1), { n: 1, total: 4 })
})

test('continuous by event time over all rows so far, and over those of the last seconds', async () => {
  const running = stream
    .window({ global: { every: '10s' }, keep: 'all' })
    .groupBy('sensor')
    .aggregate({ n: count() })
  const recent = stream
    .window({ global: { every: '10s' }, keep: { within: '5s' } })
    .groupBy('sensor')
    .aggregate({ n: count() })
  const views = [defineView('running', running), defineView('recent', recent)]
  await using millrace = await testMillrace({ topics: [readings], views })
  const at = (second: number): Reading => ({
    sensor: 'a',
    value: 1,
    last: false,
    at: new Date(start + second * 1000).toISOString(),
  })
  await millrace.topic(readings).send([0, 1, 8, 9, 11, 12.5, 25, 27.5, 33].map(at))
  await millrace.sql('FLUSH')
  const counts = async (view: string): Promise<unknown[]> =>
    (await millrace.sql<{ n: number }>(`SELECT n FROM ${view} ORDER BY _offset`)).map(({ n }) => n)
  // What comes before the watermark has passed 10 s counts, whatever its time.
  assert.deepEqual(await counts('running'), [6, 9])
  assert.deepEqual(await counts('recent'), [4, 1])
})

test('what cannot be is refused with what to do', () => {
  const table = defineTopic('t', { schema: z.object({ k: z.string(), v: z.int() }), key: 'k' })
  const group = (of: Parameters<typeof stream.window>[0]): unknown =>
    (stream.window(of as { count: number }).groupBy('sensor') as { aggregate(of: object): unknown }).aggregate({
      n: count(),
    })
  const cases: readonly (readonly [() => unknown, RegExp])[] = [
    [() => table.table().window({ count: 3 }).groupBy('k').aggregate({ n: count() }), /withdrawn/],
    [
      () =>
        table
          .stream()
          .window({ global: { after: '1s' }, keep: 'none' })
          .groupBy('k')
          .aggregate({ n: count() }),
      /no event-time column/,
    ],
    [() => group({ count: 0 } as never), /whole number of rows/],
    [() => group({ count: 2.5 } as never), /whole number of rows/],
    [() => group({ count: 3, every: -1 } as never), /whole number of rows/],
    [() => group({ global: {}, keep: 'none' } as never), /never fire/],
    [() => group({ global: { after: '0s' }, keep: 'none' } as never), /no time/],
    [() => group({ global: { count: 1 }, keep: { last: 0 } } as never), /whole number of rows/],
    [() => group({ global: { count: 1 }, keep: { within: 'soon' } } as never), /within/],
    [() => stream.window({ count: 3 }).groupBy('nobody' as 'sensor'), /no such column/],
  ]
  for (const [make, message] of cases) assert.throws(make, message)
  // Without event time rows and the clock still fire.
  assert.ok(
    table
      .stream()
      .window({ global: { count: 3, after: '1s', clock: 'processing' }, keep: { last: 2 } })
      .groupBy('k')
      .aggregate({ n: count() }),
  )
})
