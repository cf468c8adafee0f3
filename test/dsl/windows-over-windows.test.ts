/** Windows over the results of windows: each counts in the longer one that it lies in, in one chain and over another view. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { count, defineTopic, defineView, sum } from '../../src/dsl/index.ts'
import { testMillrace } from '../../src/testing.ts'

const clicks = defineTopic('clicks', {
  schema: z.object({ page: z.string(), at: z.iso.datetime() }),
  eventTime: 'at',
  lateness: '1s',
})
const tens = clicks.stream().window({ tumbling: '10s' }).groupBy('page').aggregate({ n: count() }, { emit: 'close' })
const minutely = { emit: 'close' } as const
const tenSeconds = defineView('ten_seconds', tens)
const chained = defineView(
  'chained',
  tens
    .window({ tumbling: '1m' })
    .groupBy()
    .aggregate({ n: sum('n') }, minutely),
)
const overView = defineView(
  'over_view',
  tenSeconds
    .stream()
    .window({ tumbling: '1m' })
    .groupBy()
    .aggregate({ n: sum('n') }, minutely),
)
const sessions = defineView(
  'sessions',
  tenSeconds
    .stream()
    .window({ session: '5s' })
    .groupBy('page')
    .aggregate({ n: sum('n') }, minutely),
)
const at = (second: number): string => new Date(Date.UTC(2026, 0, 1) + second * 1000).toISOString()

test('a minute is the sum of its six ten seconds, also of several pages and through a crash', async () => {
  await using millrace = await testMillrace({ topics: [clicks], views: [tenSeconds, chained, overView, sessions] })
  for (let second = 0; second < 180; second++)
    await millrace.topic(clicks).send([
      { page: 'a', at: at(second) },
      { page: 'b', at: at(second) },
    ])
  await millrace.crash('kill')
  for (const second of [200, 300]) await millrace.topic(clicks).send({ page: 'a', at: at(second) })
  for (const view of [chained, overView]) {
    const rows = await millrace.view(view).rows()
    assert.deepEqual(
      rows.slice(0, 3).map(({ window_start, n }) => [window_start, n]),
      [0, 60, 120].map((second) => [at(second).replace('.000', ''), 120]),
      view.name,
    )
  }
  // The rows of ten seconds are 10 s apart: each is a session of its own.
  const [first] = await millrace.view(sessions).rows()
  assert.equal(first?.n, 10)
  assert.equal(first?.window_start, '2026-01-01T00:00:09.999Z')
  const whole = await millrace.view(tenSeconds).rows()
  assert.equal(whole.length, 37)
})
