/** Where the machine has no memory left the largest view ends, and nobody else; what ended takes none any more. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guardMemory } from '../../src/flow/runtime/memory-guard.ts'
import type { ViewInfo } from '../../src/flow/runtime/flow.ts'
import type { Fault } from '../../src/lib/fault.ts'
import { limits } from '../../src/lib/limits.ts'
import { simulate } from '../../src/lib/sim/world.ts'
import { openHouse } from '../query/house.ts'

const view = (name: string, stateBytes: number, status: ViewInfo['status'] = 'running'): ViewInfo =>
  ({ name, stateBytes, status }) as ViewInfo

test('the view with the largest state is ended, once in a while, and only where memory is scarce', async () => {
  const { clock } = simulate(1)
  const large = limits.guardedStateBytes
  const views = [view('a', large), view('b', large * 3), view('c', large * 9, 'failed'), view('d', 1_000)]
  const ended = new Array<[string, Fault]>()
  const taken = { used: 500, free: 500 }
  const stop = guardMemory({
    clock,
    memory: { limit: 1_000, used: () => taken.used, free: () => taken.free },
    flow: {
      views: () => views,
      end: async (name, fault) => {
        ended.push([name, fault])
        views.splice(
          views.findIndex((one) => one.name === name),
          1,
        )
      },
    },
  })
  await clock.advance(3_000)
  assert.equal(ended.length, 0)
  taken.used = 900
  await clock.advance(1_000)
  assert.deepEqual(
    ended.map(([name, { code }]) => [name, code]),
    [['b', 'flow.no-memory']],
  )
  assert.match(ended[0]![1].message, /900 of 1000 bytes were taken/)
  await clock.advance(10_000)
  // What is left is too small to be worth it.
  assert.deepEqual(
    ended.map(([name]) => name),
    ['b', 'a'],
  )
  stop()
})
test('a view that was ended keeps nothing in memory, says why, and starts again from its last commit', async () => {
  await using house = await openHouse()
  await house.sql(`CREATE STREAM s (k text, n int); CREATE MATERIALIZED VIEW v AS SELECT k, sum(n) AS n FROM s GROUP BY k;
    CREATE MATERIALIZED VIEW other AS SELECT count(*) AS c FROM s`)
  const rows = Array.from({ length: 5_000 }, (_, i) => `('k${i}', 1)`)
  await house.sql(`INSERT INTO s VALUES ${rows.join()}; FLUSH`)
  const before = house.flow.view('v')
  const { Fault } = await import('../../src/lib/fault.ts')
  await house.flow.end('v', new Fault('flow.no-memory', { view: 'v', bytes: before.stateBytes, used: 9, limit: 10 }))
  for (let i = 0; i < 200 && house.flow.view('v').status !== 'failed'; i++) await new Promise((r) => setTimeout(r, 10))
  const { status, error, stateBytes, rowsIn } = house.flow.view('v')
  assert.deepEqual([status, error?.code, rowsIn], ['failed', 'flow.no-memory', 5_000])
  assert.ok(stateBytes < before.stateBytes / 10, `${stateBytes} bytes of ${before.stateBytes}`)
  await house.sql("INSERT INTO s VALUES ('k1', 5); FLUSH")
  assert.deepEqual(await house.sql('SELECT c FROM other'), [[5_001]])
  await house.sql('ALTER MATERIALIZED VIEW v RESUME; FLUSH')
  assert.deepEqual(await house.sql("SELECT n FROM v WHERE k = 'k1'"), [[6]])
  assert.deepEqual(await house.sql('SELECT count(*) FROM v'), [[5_000]])
})
