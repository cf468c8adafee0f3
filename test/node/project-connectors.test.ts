/** Sources and sinks in the files of a project. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../src/lib/fault.ts'
import { type Logger, silent } from '../../src/lib/logger.ts'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import type { World } from '../../src/lib/world.ts'
import { resolveConfig } from '../../src/node/config.ts'
import { type Running, startMillrace } from '../../src/node/millrace.ts'
import { opened, plain, put, until } from '../connect/millraces.ts'

class House implements AsyncDisposable {
  readonly #world: World = { ...realWorld(), disk: memoryDisk() }
  readonly said: string[] = []
  running: Running | null = null

  async start(files: Readonly<Record<string, string>>): Promise<Running> {
    await this.stop()
    this.said.length = 0
    const logger: Logger = { ...silent, info: (text) => void this.said.push(text) }
    const listen = ['http=off', 'kafka=off', 'peer=off']
    const { config } = resolveConfig({ data: 'data', listen, workers: '0' }, {}, {})
    const sql = Object.entries(files).map(([file, text]) => ({ file, text }))
    this.running = await startMillrace({ config, world: this.#world, logger, definitions: { sql, definitions: [] } })
    return this.running
  }
  async stop(): Promise<void> {
    await this.running?.close()
    this.running = null
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}
const record = (value: string) => ({ key: null, value: Buffer.from(value), timeMs: 1 })

test('connectors of a project are made, left alone, changed where they are, and stay when the file is gone', async () => {
  await using stack = new AsyncDisposableStack()
  const there = await opened(stack, 'kafka')
  await there.log.topics.create([{ name: 'orders', partitions: 1 }])
  await put(there, 'orders', 0, record('a'))
  const house = stack.use(new House())
  const source = (more = ''): string => `CREATE STREAM local (a int);
    CREATE SOURCE West FROM kafka WITH (brokers = '${there.listening().kafka}', topics = orders${more});`
  let here = await house.start({ 'a.sql': source() })
  await until('the first came', async () => (await plain(here, 'orders')).length === 1)

  here = await house.start({ 'a.sql': source() })
  assert.deepEqual(house.said, [])
  await here.connectors.alter('West', { paused: true })
  here = await house.start({ 'a.sql': source() })
  assert.equal((await here.connectors.get('West'))!.status, 'paused', 'a file says nothing of pauses')
  await here.connectors.alter('West', { paused: false })

  await put(there, 'orders', 0, record('b'))
  here = await house.start({ 'a.sql': source(`, refresh = '2s', "restart.delay" = '1s'`) })
  assert.deepEqual(house.said, ['source West has changed: it goes on where it was'])
  await until('the second came', async () => (await plain(here, 'orders')).length > 1)
  assert.deepEqual(await plain(here, 'orders'), ['a', 'b'])
  here = await house.start({ 'a.sql': source() })
  assert.equal((await here.connectors.get('West'))!.settings['refresh'], undefined, 'what is not said is the default')

  here = await house.start({
    'b.sql': `CREATE SINK West FROM orders INTO kafka WITH (brokers = '${there.listening().kafka}', into = 'back');`,
  })
  assert.deepEqual(house.said, ['sink West has changed: it begins anew'])
  await until('both went back', async () => (await plain(there, 'back')).length === 2)
  here = await house.start({})
  assert.equal((await here.connectors.get('West'))!.direction, 'sink')
})

test('what is wrong with one says where, before anything is changed', async () => {
  await using house = new House()
  const refused = (files: Readonly<Record<string, string>>, code: string, message: RegExp) =>
    assert.rejects(house.start(files), (fault) => {
      assert.ok(fault instanceof Fault)
      assert.equal(fault.code, code, fault.message)
      assert.match(fault.message, message)
      return true
    })
  const stream = 'CREATE STREAM s (a int);\n'
  const good = "CREATE SOURCE west FROM kafka WITH (brokers = 'x:1', topics = 't');"
  await refused(
    { 'a.sql': `${stream}CREATE SOURCE west FROM kafka WITH (broker = 'x:1');` },
    'connect.invalid-setting',
    /^a\.sql:2: .*is brokers meant/,
  )
  await refused({ 'a.sql': 'CREATE SOURCE west FROM oracle' }, 'connect.unknown-kind', /^a\.sql:1: .*oracle/)
  await refused(
    { 'a.sql': `${stream}CREATE SINK x FROM s INTO kafka WITH (topics = 's');` },
    'sql.invalid-value',
    /^a\.sql:2:\d+: the topics of a sink stand behind FROM/,
  )
  await refused({ 'a.sql': good, 'b.sql': good }, 'project.duplicate', /connector west .* in a\.sql and b\.sql/)
  const running = await house.start({})
  assert.equal(running.engine.relation('s'), null)
  assert.deepEqual(await running.connectors.list(), [])
})
