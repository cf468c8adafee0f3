/** Definitions of a project: each stands before it runs, so that all of them can start at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Flow } from '../../src/flow/runtime/flow.ts'
import { Fault } from '../../src/lib/fault.ts'
import { openHouse } from './house.ts'

/** Every method of the flow, but for another way to start. */
const withStart = (flow: Flow, start: Flow['start']): Flow =>
  new Proxy(flow, {
    get: (target, name) => {
      if (name === 'start') return start
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
    },
  })
const statements = [
  'CREATE STREAM sales (item text, n int)',
  'CREATE MATERIALIZED VIEW counts AS SELECT item, count(*) AS c FROM sales GROUP BY item',
  'CREATE MATERIALIZED VIEW many AS SELECT item FROM counts WHERE c > 1',
]

test('views that read one another begin while none of them runs yet', async () => {
  const gate = Promise.withResolvers<void>()
  const asked: string[] = []
  await using house = await openHouse({
    flow: (flow) =>
      withStart(flow, async (view) => {
        asked.push(view.name)
        await gate.promise
        await flow.start(view)
      }),
  })
  const begun: { readonly started: Promise<void> }[] = []
  for (const text of statements) begun.push(await house.engine.begin(text))
  assert.deepEqual(asked, ['counts', 'many'])
  assert.deepEqual(
    house.flow.views().map(({ name }) => name),
    [],
  )
  gate.resolve()
  await Promise.all(begun.map(({ started }) => started))
  await house.sql(`INSERT INTO sales VALUES ('a', 1), ('a', 2), ('b', 3); FLUSH`)
  assert.deepEqual(await house.settled('SELECT * FROM many', [['a']]), [['a']])
})

test('a view that cannot start is not there any more, nor what reads it', async () => {
  const gate = Promise.withResolvers<void>()
  await using house = await openHouse({
    flow: (flow) =>
      withStart(flow, async (view) => {
        if (view.name === 'counts') {
          await gate.promise
          throw new Fault('store.full', { path: 'data', freeBytes: 0 })
        }
        await flow.start(view)
      }),
  })
  const begun: { readonly started: Promise<void> }[] = []
  for (const text of statements) begun.push(await house.engine.begin(text))
  gate.resolve()
  await assert.rejects(begun[1]!.started, (fault: Fault) => fault.code === 'store.full')
  // It runs, or is dropped while it starts.
  await begun[2]!.started.catch(() => {})
  for (const name of ['counts', 'many'])
    await assert.rejects(house.sql(`SELECT * FROM ${name}`), (fault: Fault) => fault.code === 'sql.unknown-relation')
  assert.deepEqual(await house.sql('SELECT * FROM sales'), [])
  await assert.rejects(house.engine.run(statements[1]!), (fault: Fault) => fault.code === 'store.full')
  await assert.rejects(house.sql('SELECT * FROM counts'), (fault: Fault) => fault.code === 'sql.unknown-relation')
})
