/** Each cause for which nothing flows is planted; a connector that does what it should has none. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../src/lib/fault.ts'
import { simulate } from '../../src/lib/sim/world.ts'
import { Outside, type Started, start, write } from './fixture.ts'

const source = { name: 'in', kind: 'outside', direction: 'source', settings: { into: 'events' } } as const
const sink = { name: 'out', kind: 'outside', direction: 'sink', settings: { topics: 'events' } } as const
const gone = new Fault('connect.unavailable', { what: 'a test', why: 'it is away' })
const shut = new Fault('connect.refused', { what: 'a test', why: 'the password is wrong' })

type Work = (run: Started, outside: Outside, sleep: (ms: number) => Promise<void>) => Promise<void>
async function machineRun(work: Work, refuses: Parameters<typeof start>[2] = () => null): Promise<void> {
  const machine = simulate(5)
  await machine.run(async () => {
    const outside = new Outside()
    const run = await start(machine, outside, refuses)
    await run.log.topics.create([{ name: 'events', partitions: 1 }])
    await work(run, outside, (ms) => machine.clock.sleep(ms))
    await run.close()
  })
}
const codes = async ({ connectors }: Started, name: string): Promise<string[]> =>
  (await connectors.doctor(name)).map(({ code }) => code)

test('one that works is healthy, and quiet only when nothing has come for a while', () =>
  machineRun(async (run, outside, sleep) => {
    outside.send('a')
    await run.connectors.create(source)
    await sleep(500)
    assert.deepEqual(await codes(run, 'in'), [])
    await sleep(120_000)
    const [cause] = await run.connectors.doctor('in')
    assert.equal(cause?.code, 'no-new-records')
    assert.match(cause.says, /^Nothing has come for 3m: it knows of no record on the other side/)
    await assert.rejects(run.connectors.doctor('none'), { code: 'connect.unknown-connector' })
  }))

test('paused, with its last fault; counts outlive the pause', () =>
  machineRun(async (run, outside, sleep) => {
    outside.send('a')
    await run.connectors.create(source)
    await sleep(500)
    outside.fault = gone
    outside.faults = 1
    await sleep(5_000)
    const info = await run.connectors.alter('in', { paused: true })
    assert.deepEqual([info.status, info.records, info.restarts], ['paused', 1, 1])
    const [cause, ...more] = await run.connectors.doctor('in')
    assert.deepEqual([cause?.code, cause?.sure, more], ['paused', 'yes', []])
    assert.match(cause!.evidence.join(), /connect\.unavailable/)
    assert.match(cause!.remedy, /connector resume in/)
    outside.send('b')
    await run.connectors.alter('in', { paused: false })
    await sleep(500)
    assert.equal((await run.connectors.get('in'))!.records, 2)
  }))

test('the other side away, and a refusal that nothing cures but people', () =>
  machineRun(async (run, outside, sleep) => {
    outside.fault = gone
    outside.faults = 1e6
    await run.connectors.create(source)
    await sleep(20_000)
    const [away] = await run.connectors.doctor('in')
    assert.equal(away?.code, 'unreachable')
    assert.match(away.says, /it is away/)
    assert.match(away.remedy, /tried again at 20/)
    assert.match(away.evidence.join(), /started again \d+ times/)
    outside.fault = shut
    await run.connectors.alter('in', { paused: false })
    await sleep(500)
    const [refused] = await run.connectors.doctor('in')
    assert.equal(refused?.code, 'failed')
    assert.match(refused.says, /the password is wrong/)
    assert.match(refused.remedy, /connector resume in/)
  }))

test('topics of a sink that are not there', () =>
  machineRun(async (run, _outside, sleep) => {
    await run.connectors.create({ ...sink, settings: { topics: 'events,evnts' } })
    await run.connectors.create({ ...sink, name: 'all', settings: { 'topics.pattern': 'totals\\..*' } })
    await sleep(500)
    const [named] = await run.connectors.doctor('out')
    assert.equal(named?.code, 'no-topic')
    assert.match(named.says, /no topic evnts/)
    assert.deepEqual(named.evidence, ['carried out are events'])
    const [matched] = await run.connectors.doctor('all')
    assert.equal(matched?.code, 'no-topic')
    assert.match(matched.says, /totals/)
  }))

test('a contract that refuses everything is told with the count and the reason', () => {
  const fault = new Fault('schema.invalid', { topic: 'events', path: '/amount', why: 'must be number' } as never)
  return machineRun(
    async (run, outside, sleep) => {
      outside.send('a', 'b', 'c')
      await run.connectors.create(source)
      await sleep(500)
      const cause = (await run.connectors.doctor('in')).find(({ code }) => code === 'all-refused')
      assert.match(cause!.evidence[0]!, /^3 since this process runs it, .* lie in in\.dlq$/)
      assert.match(cause!.evidence[1]!, /^the newest, for events: schema\.invalid/)
      assert.match(cause!.remedy, /tail in\.dlq/)
    },
    () => fault,
  )
})

test('records wait and none goes over: the other side takes none', () =>
  machineRun(async (run, outside, sleep) => {
    await run.connectors.create(sink)
    await sleep(500)
    outside.hangs = true
    await write(run.log, 'events', 'a', 'b')
    await sleep(60_000)
    const [cause] = await run.connectors.doctor('out')
    assert.deepEqual([cause?.code, cause?.sure], ['stuck', 'likely'])
    assert.match(cause!.says, /^2 records wait, and none has gone over yet/)
    outside.letGo()
  }))
