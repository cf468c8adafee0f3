/** CREATE SOURCE and SINK, and what is done with them, in SQL. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../src/lib/fault.ts'
import type { Running } from '../../src/node/millrace.ts'
import { opened, plain, put, until } from './millraces.ts'

async function rows({ engine }: Running, sql: string): Promise<unknown[][]> {
  const found: unknown[][] = []
  for await (const row of (await engine.run(sql)).rows) found.push([...row])
  return found
}
const isFault = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof Fault && error.code === code && message.test(error.message)

test('a source and a sink are made, shown, paused, resumed and dropped', async () => {
  await using stack = new AsyncDisposableStack()
  const [there, here] = [await opened(stack, 'kafka'), await opened(stack, 'kafka')]
  const brokers = there.listening().kafka!
  await there.log.topics.create([{ name: 'orders', partitions: 1 }])
  await put(there, 'orders', 0, { key: null, value: Buffer.from('a'), timeMs: 1 })
  const source = `CREATE SOURCE IF NOT EXISTS west FROM kafka WITH (brokers = '${brokers}', topics = orders, refresh = '1s')`
  assert.equal((await here.engine.run(source)).command, 'CREATE SOURCE')
  await here.engine.run(source)
  await here.engine.run(
    `CREATE SINK back FROM orders INTO kafka WITH (brokers = '${brokers}', into = 'copy', 'restart.delay' = '1s')`,
  )
  await until('it went round', async () => (await plain(there, 'copy')).includes('a'))
  const shown = await rows(here, 'SHOW CONNECTORS')
  assert.deepEqual(
    shown.map((row) => row.slice(0, 4)),
    [
      ['back', 'sink', 'kafka', 'running'],
      ['west', 'source', 'kafka', 'running'],
    ],
  )
  assert.equal((await here.engine.run('ALTER SOURCE west PAUSE')).command, 'ALTER SOURCE')
  assert.equal((await here.connectors.get('west'))!.status, 'paused')
  await here.engine.run('ALTER SOURCE west RESUME')
  assert.equal((await here.connectors.get('west'))!.status, 'running')
  await assert.rejects(here.engine.run('DROP SINK west'), isFault('sql.wrong-kind', /"west" is a source/))
  await assert.rejects(here.engine.run('DROP SINK nothing'), isFault('connect.unknown-connector', /nothing/))
  await here.engine.run('DROP SINK IF EXISTS nothing')
  assert.equal((await here.engine.run('DROP SINK back')).command, 'DROP SINK')
  await here.engine.run('DROP SOURCE west')
  assert.deepEqual(await rows(here, 'SHOW CONNECTORS'), [])
})

test('what cannot be a connector is refused, with what could have stood there', async () => {
  await using stack = new AsyncDisposableStack()
  const here = await opened(stack, 'kafka')
  const refused = (sql: string, code: string, message: RegExp) =>
    assert.rejects(here.engine.run(sql), isFault(code, message), sql)
  await refused('CREATE SOURCE a FROM oracle WITH (x = 1)', 'connect.unknown-kind', /oracle/)
  await refused("CREATE SOURCE a FROM kafka WITH (broker = 'x:1')", 'connect.invalid-setting', /is brokers meant/)
  await refused("CREATE SINK a FROM t INTO kafka WITH (topics = 't')", 'sql.invalid-value', /behind FROM/)
  await refused('CREATE SINK a FROM t', 'sql.unsupported', /CREATE SINK/)
  await refused('ALTER SINK a STOP', 'sql.syntax', /STOP/)
})
