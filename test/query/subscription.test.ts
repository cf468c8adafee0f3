/** Subscribers that do not keep up, and rows that change only at frontiers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../src/lib/fault.ts'
import type { SourcePlan } from '../../src/flow/plan.ts'
import type { Change } from '../../src/query/engine.ts'
import { LiveRows } from '../../src/query/live.ts'
import { subscription } from '../../src/query/subscription.ts'
import { type House, openHouse } from './house.ts'

const source: SourcePlan = {
  op: 'source',
  name: 't',
  topic: 't',
  mode: 'upsert',
  format: 'json',
  columns: [
    { name: 'id', type: { kind: 'int' }, nullable: false },
    { name: 'n', type: { kind: 'int' }, nullable: true },
  ],
  fields: [
    { from: 'value', path: ['id'] },
    { from: 'value', path: ['n'] },
  ],
  key: [0],
  time: null,
  onInvalid: 'quarantine',
}
const values = (n: number): string => Array.from({ length: 20 }, (_, id) => `(${id}, ${n})`).join(', ')

async function withRows(work: (house: House, rows: LiveRows) => Promise<void>): Promise<void> {
  await using house = await openHouse()
  await house.sql('CREATE TABLE t (id int PRIMARY KEY, n int) WITH (partitions = 4)')
  await house.sql(`INSERT INTO t VALUES ${values(0)}`)
  const rows = new LiveRows(source, house.log, house.world.clock)
  try {
    await work(house, rows)
  } finally {
    await rows.close()
  }
}

test('a subscriber too far behind is cut off with a fault, and one that keeps up is not', async () => {
  await withRows(async (house, rows) => {
    const stop = new AbortController()
    const options = {
      log: house.log,
      clock: house.world.clock,
      signal: stop.signal,
      snapshot: false,
      live: () => rows,
      watermark: () => null,
      backlogMax: 50,
    }
    const slow = subscription(source, options)[Symbol.asyncIterator]()
    const quick: Change[] = []
    const reading = (async (): Promise<void> => {
      for await (const change of subscription(source, options)) quick.push(change)
    })()
    assert.equal((await slow.next()).value?.op, 'progress')
    for (let n = 1; n <= 3; n++) {
      await house.sql(`INSERT INTO t VALUES ${values(n)}`)
      await rows.current()
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await assert.rejects(
      slow.next(),
      (error: unknown) => error instanceof Fault && error.code === 'query.slow-subscriber',
    )
    stop.abort()
    await reading
    assert.equal(quick.filter((change) => change.op === '+').length, 60)
    assert.equal(quick.filter((change) => change.op === '-').length, 60)
  })
})

test('a row that changes leaves before it comes again, and the sums add up at every progress mark', async () => {
  await withRows(async (house, rows) => {
    const stop = new AbortController()
    const changes = subscription(source, {
      log: house.log,
      clock: house.world.clock,
      signal: stop.signal,
      snapshot: true,
      live: () => rows,
      watermark: () => null,
    })
    const held = new Map<unknown, unknown>()
    let marks = 0
    const reading = (async (): Promise<void> => {
      for await (const change of changes) {
        if (change.op === 'progress') {
          marks++
          assert.equal(held.size, 20)
          // An INSERT over four partitions is one tick: all of its rows or none.
          assert.equal(new Set(held.values()).size, 1, JSON.stringify([...held]))
        } else if (change.op === '-') assert.ok(held.delete(change.row['id']))
        else {
          assert.ok(!held.has(change.row['id']))
          held.set(change.row['id'], change.row['n'])
        }
        if (change.op === 'progress' && held.get(0) === 9) return
      }
    })()
    for (let n = 1; n <= 9; n++) await house.sql(`INSERT INTO t VALUES ${values(n)}`)
    await reading
    stop.abort()
    assert.ok(marks >= 2)
  })
})

/** Rows added, until there are so many. */
async function added(changes: AsyncIterable<Change>, count: number): Promise<unknown[][]> {
  const rows: unknown[][] = []
  for await (const change of changes) {
    if (change.op === '+') rows.push(Object.values(change.row))
    if (rows.length >= count) break
  }
  return rows
}
test('windows do not close before all that was committed at once is read, whichever partition it is in', async () => {
  await using house = await openHouse()
  await house.sql(
    "CREATE STREAM o (id int, k text, at timestamptz, WATERMARK FOR at AS at) WITH (partitions = 4, key = 'k')",
  )
  const stop = new AbortController()
  const { changes } = await house.engine.subscribe(
    "SELECT window_start, count(*) AS n FROM TUMBLE(o, at, INTERVAL '10 seconds') GROUP BY window_start, window_end EMIT ON WINDOW CLOSE",
    { signal: stop.signal },
  )
  const following = changes[Symbol.asyncIterator]()
  // It stands at the end of empty partitions, of which none has ever held anything.
  assert.deepEqual((await following.next()).value?.op, 'progress')
  const rows = Array.from(
    { length: 60 },
    (_, i) => `(${i}, 'k${i % 7}', '2024-01-01 00:00:${String(i).padStart(2, '0')}Z')`,
  )
  await house.sql(`INSERT INTO o VALUES ${rows.join(', ')}`)
  const seen = await added({ [Symbol.asyncIterator]: () => following }, 4)
  assert.deepEqual(
    seen,
    [0, 1, 2, 3].map((tens) => [`2024-01-01T00:00:${tens}0Z`, 10]),
  )
  stop.abort()
})
test('who follows a temporal join waits for a silent table as long as a view would', async () => {
  await using house = await openHouse()
  await house.sql(`CREATE TABLE t (item text PRIMARY KEY, price int);
    CREATE STREAM o (id int, item text, at timestamptz, WATERMARK FOR at AS at)`)
  await house.sql("INSERT INTO t VALUES ('a', 7)")
  const sql = 'SELECT id, price FROM o LEFT JOIN t FOR SYSTEM_TIME AS OF o.at ON t.item = o.item'
  await house.sql(`CREATE MATERIALIZED VIEW v WITH (idle = '300ms') AS ${sql}`)
  const { plan } = house.flow.plan('v')
  const stop = new AbortController()
  const changes = subscription(plan, {
    log: house.log,
    clock: house.world.clock,
    signal: stop.signal,
    snapshot: true,
    live: () => null,
    watermark: () => null,
    idleMs: 300,
  })
  const seen = added(changes, 2)
  const later = (ms: number): string => new Date(house.world.clock.now() + ms).toISOString()
  await house.sql(`INSERT INTO o VALUES (1, 'a', '${later(60_000)}'), (2, 'b', '${later(61_000)}')`)
  const rows = [
    [1, 7],
    [2, null],
  ]
  assert.deepEqual(await seen, rows)
  assert.deepEqual(await house.settled('SELECT id, price FROM v ORDER BY id', rows), rows)
  stop.abort()
})
