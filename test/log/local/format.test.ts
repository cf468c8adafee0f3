/** A data folder of the whole log as an earlier program left it when killed. `MILLRACE_WRITE_FIXTURE=1` makes a missing one. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Simulation, simulate } from '../../../src/lib/sim/world.ts'
import type { TimeMs } from '../../../src/lib/brand.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { decodeBatch } from '../../../src/log/batch.ts'
import { openCatalog } from '../../../src/log/catalog.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import { dataFormat } from '../../../src/store/meta.ts'
import { at, batch, off, produceOne, said, withTopic } from './support.ts'

const fixture = new URL('../../fixtures/format-1/log', import.meta.url).pathname
const timeMs = 1_700_000_000_000
const static_ = { groupInstanceId: 'one', memberTimeoutMs: 30_000 }

async function write(machine: Simulation): Promise<void> {
  const log = await openLocalLog({ world: machine, dir: '/data', snapshotBytes: 300, compactEveryMs: 100 })
  await withTopic(log, 'Purchases', { 'retention.ms': '-1' }, 2)
  await withTopic(log, 'gone')
  await withTopic(log, 'state', { 'cleanup.policy': 'compact', 'internal.segment.bytes': '500' })
  await log.topics.remove(['gone'])
  const catalog = await openCatalog(log, () => timeMs)
  await catalog.change([{ kind: 'view', name: 'revenue', value: { sql: 'SELECT 1' } }])
  const { producerId } = await log.initProducer()
  assert.equal(producerId, 0)
  for (let i = 0; i < 8; i++)
    await produceOne(log, at('Purchases'), batch([`a${i}`, `b${i}`], { producerId, sequence: 2 * i, timeMs }))
  const changes = log
    .join('task', { topics: ['Purchases'], warm: () => [] })
    .changes()
    [Symbol.asyncIterator]()
  const { value: change } = await changes.next()
  change!.accept()
  const owner = await log.owner()
  for (let i = 0; i < 20; i++) {
    const tick = owner.begin()
    await tick.append([{ partition: at('state'), batch: batch([`state ${i}`], { timeMs }) }])
    if (i % 5 === 4) await tick.abort()
    else await tick.commit([{ claim: change!.claim, positions: [{ partition: at('Purchases'), offset: off(i) }] }])
  }
  const joined = await log.coordinator.join({
    group: 'consumers',
    memberId: '',
    instanceId: static_.groupInstanceId,
    clientId: 'client',
    host: '/127.0.0.1',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from([0, 1, 0, 0, 0, 0, 255, 255, 255, 255]) }],
    sessionTimeoutMs: static_.memberTimeoutMs,
    rebalanceTimeoutMs: static_.memberTimeoutMs,
    memberIdRequired: false,
    skipsAssignment: true,
  })
  assert.ok('generation' in joined)
  const { memberId, generation } = joined
  const member = { group: 'consumers', memberId, generation, instanceId: static_.groupInstanceId }
  await log.coordinator.sync({
    ...member,
    protocolType: null,
    protocol: null,
    assignments: [{ memberId, assignment: Buffer.from('mine') }],
  })
  const offsets = [{ partition: at('Purchases'), offset: off(5), leaderEpoch: 0, metadata: 'note' }]
  await log.coordinator.commit({ ...member, offsets })
  await machine.clock.sleep(500)
  // What a dead process leaves: a tick without a commit.
  const open = owner.begin()
  await open.append([{ partition: at('Purchases', 1), batch: batch(['never'], { timeMs }) }])
  await machine.clock.sleep(100)
}

if (process.env['MILLRACE_WRITE_FIXTURE'] === '1' && !existsSync(fixture))
  test(`writes the fixture of format ${dataFormat}: log`, async () => {
    const machine = simulate(1)
    await machine.run(() => write(machine))
    machine.kill()
    for (const path of machine.disk.paths('/data')) {
      const to = fixture + path.slice('/data'.length)
      mkdirSync(to.slice(0, to.lastIndexOf('/')), { recursive: true })
      writeFileSync(to, machine.disk.contents(path))
    }
  })

test('a data folder of format 1 opens with all that the log knew', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-format-'))
  cpSync(fixture, dir, { recursive: true })
  // Soon after it was written: producers are forgotten after a day.
  const real = realWorld()
  const world = { ...real, clock: { ...real.clock, now: () => (timeMs + 60_000) as TimeMs } }
  const log = await openLocalLog({ world, dir })
  assert.deepEqual(log.recovery.damaged, [])
  assert.deepEqual(
    log.catalog
      .all()
      .map(({ name, partitions }) => [name, partitions])
      .filter(([name]) => !String(name).startsWith('_')),
    [
      ['Purchases', 2],
      ['state', 1],
    ],
  )
  assert.deepEqual(log.catalog.byName('Purchases')?.config, { 'retention.ms': '-1' })
  const values = async (topic: string, index = 0): Promise<string[]> => {
    const partition = at(topic, index)
    const found: string[] = []
    for (let offset = off(0), end = off(1); offset < end;) {
      const [chunk] = await log.reader().read([{ partition, offset }], { ms: 200 })
      assert.ok(chunk !== undefined && 'batches' in chunk)
      for (const one of chunk.batches)
        found.push(...decodeBatch(one).map(({ value }) => Buffer.from(value!).toString()))
      const [bounds] = await log.bounds([partition])
      end = bounds!.stable
      offset = chunk.next
    }
    return found
  }
  assert.deepEqual(await values('Purchases'), Array.from({ length: 8 }, (_, i) => [`a${i}`, `b${i}`]).flat())
  assert.deepEqual(await values('Purchases', 1), [], 'an open tick of a dead process is aborted')
  const state = await values('state')
  assert.equal(state.at(-1), 'state 18')
  assert.ok(state.length < 16 && !state.includes('state 19'), 'compacted, without what was aborted')
  assert.deepEqual(await log.groups.positions('task'), [{ partition: at('Purchases'), offset: 18 }])
  const [position] = await log.coordinator.offsets('consumers', [at('Purchases')], true)
  assert.deepEqual([position?.offset, position?.metadata], [5, 'note'])
  const group = await log.coordinator.describe('consumers')
  assert.deepEqual([group?.state, group?.members[0]?.instanceId], ['Stable', static_.groupInstanceId])
  const again = batch(['a7', 'b7'], { producerId: 0, sequence: 14, timeMs })
  assert.equal(said(await produceOne(log, at('Purchases'), again)), 14, 'its producers are known')
  assert.ok((await log.initProducer()).producerId >= 1000, 'no producer id is given twice')
  const catalog = await openCatalog(log, () => timeMs)
  assert.deepEqual(catalog.get('view', 'revenue')?.value, { sql: 'SELECT 1' })
  await catalog.close()
  await log.close()
  rmSync(dir, { recursive: true })
})
