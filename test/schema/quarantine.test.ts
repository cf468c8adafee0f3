import assert from 'node:assert/strict'
import { test } from 'node:test'
import { offset } from '../../src/lib/brand.ts'
import { silent } from '../../src/lib/logger.ts'
import type { World } from '../../src/lib/world.ts'
import { type LogRecord, decodeBatch, encodeBatch, isControl } from '../../src/log/batch.ts'
import type { Catalog } from '../../src/log/catalog.ts'
import { type Commits, openCommits } from '../../src/log/commits.ts'
import { openLocalLog } from '../../src/log/local/open.ts'
import type { Log } from '../../src/log/log.ts'
import { decodeOrigin } from '../../src/log/origin.ts'
import { openContracts } from '../../src/schema/contracts.ts'
import { startQuarantine } from '../../src/schema/quarantine-service.ts'
import { simulate } from '../../src/lib/sim/world.ts'
import { memoryCatalog } from './memory-catalog.ts'

async function start(world: World, catalog: Catalog) {
  const contracts = openContracts({ catalog })
  const log = await openLocalLog({ world, dir: '/data', intake: contracts.intake })
  const commits: Commits = openCommits(await log.owner(), world.clock)
  const service = startQuarantine({ log, commits, contracts, clock: world.clock, logger: silent })
  const close = async (): Promise<void> => {
    await service.close()
    await commits.close()
    await log.close()
  }
  return { log, contracts, service, close }
}
type Started = Awaited<ReturnType<typeof start>>

/** As a Kafka client does; `bad` values hold text where a number must be. */
async function produce({ log }: Started, partition: number, from: number, count: number): Promise<boolean> {
  const records = Array.from({ length: count }, (_, i) => ({
    key: Buffer.from(`k${from + i}`),
    value: Buffer.from((from + i) % 3 === 0 ? `{"n":"${from + i}"}` : `{"n":${from + i}}`),
    headers: [['h', Buffer.from('1')] as const],
    timeMs: 1_700_000_000_000,
  }))
  const batch = encodeBatch(records)
  const [answer] = await log.produce({
    acks: 'all',
    transactionalId: null,
    entries: [{ partition: { topic: 't', index: partition }, records: batch }],
  })
  return answer !== undefined && 'baseOffset' in answer
}
async function read(log: Log, topic: string, partitions: number): Promise<{ partition: number; record: LogRecord }[]> {
  const out: { partition: number; record: LogRecord }[] = []
  const reader = log.reader()
  for (let index = 0; index < partitions; index++) {
    const [bounds] = await log.bounds([{ topic, index }])
    for (let at = bounds!.start; at < bounds!.stable;) {
      const [chunk] = await reader.read([{ partition: { topic, index }, offset: offset(at) }])
      if (chunk === undefined || 'fault' in chunk) throw new Error('cannot read')
      for (const batch of chunk.batches)
        if (!isControl(batch))
          for (const record of decodeBatch(batch)) if (record.offset >= at) out.push({ partition: index, record })
      at = chunk.next
    }
  }
  return out
}
const text = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString()
const header = (record: LogRecord, name: string): Uint8Array | null =>
  record.headers.find(([n]) => n === name)?.[1] ?? null

test('what Kafka clients sent wrong is moved with reason, origin and its own bytes, though nobody reads the topic', async () => {
  const machine = simulate(1)
  await machine.run(async () => {
    const run = await start(machine, memoryCatalog())
    await run.log.topics.create([{ name: 't', partitions: 2 }])
    await run.contracts.change('t', { schema: { properties: { n: { type: 'number' } } }, onInvalid: 'quarantine' })
    await produce(run, 1, 0, 5)
    await machine.clock.sleep(100)
    const kept = await read(run.log, 't.quarantine', 2)
    assert.deepEqual(
      kept.map(({ record }) => text(record.value)),
      ['{"n":"0"}', '{"n":"3"}'],
    )
    const [{ partition, record }] = kept as [{ partition: number; record: LogRecord }]
    assert.equal(partition, 1, 'the same partition as in the topic')
    assert.equal(text(record.key), 'k0')
    assert.deepEqual(
      record.headers.map(([name]) => name),
      ['h', 'mr-reason', 'mr-error', 'mr-origin'],
    )
    assert.equal(text(header(record, 'mr-reason')), 'schema.invalid')
    const info = await run.log.topics.get('t')
    const origin = decodeOrigin(header(record, 'mr-origin')!)
    assert.deepEqual(origin, {
      ranges: [{ topicId: origin.ranges[0]!.topicId, partition: 1, first: 0, last: 0 }],
      state: false,
    })
    assert.equal(origin.ranges[0]!.topicId.replaceAll('-', ''), info!.id.replaceAll('-', ''))
    assert.equal((await read(run.log, 't', 2)).length, 5, 'the topic keeps what was sent')
    await run.contracts.change('t', { onInvalid: 'reject' })
    assert.equal(await produce(run, 0, 0, 1), false, 'refused at the door')
    await run.close()
  })
})

test('where nothing is wrong its position follows too, once a second at most, and an idle task writes nothing', async () => {
  const machine = simulate(2)
  await machine.run(async () => {
    const run = await start(machine, memoryCatalog())
    await run.log.topics.create([{ name: 't', partitions: 2 }])
    await run.contracts.change('t', { schema: { properties: { n: { type: 'number' } } } })
    const positions = async (): Promise<number[]> =>
      (await run.log.groups.positions('_millrace_quarantine.t')).map((at) => at.offset)
    const commits = async (): Promise<number> => {
      const count = (await run.log.topics.get('__consumer_offsets'))!.partitions
      const all = Array.from({ length: count }, (_, index) => ({ topic: '__consumer_offsets', index }))
      return (await run.log.bounds(all)).reduce((sum, { end }) => sum + end, 0)
    }
    // Events that fit, one at a time, for ten seconds.
    const before = await commits()
    for (let n = 0; n < 100; n++) {
      await produce(run, n % 2, 3 * n + 1, 1)
      await machine.clock.sleep(100)
      if (n > 20) assert.ok((await positions()).reduce((a, b) => a + b, 0) >= n - 15, `event ${n}`)
    }
    await machine.clock.sleep(2_000)
    assert.deepEqual(await positions(), [50, 50])
    const spent = (await commits()) - before
    assert.ok(spent > 0 && spent <= 12 * 6, `${spent} records of positions`)
    const quiet = await commits()
    await machine.clock.sleep(120_000)
    assert.equal(await commits(), quiet)
    await run.close()
  })
})

for (const seed of [11, 12, 13, 14, 15, 16])
  test(`each bad event is moved exactly once, however often the machine dies (seed ${seed})`, async () => {
    const machine = simulate(seed)
    const catalog = memoryCatalog()
    const first = await machine.run(() => start(machine, catalog))
    await machine.run(async () => {
      await first.log.topics.create([{ name: 't', partitions: 3 }])
      await first.contracts.change('t', { schema: { properties: { n: { type: 'number' } } } })
    })
    let run = first
    let next = 0
    for (let life = 0; life < 8; life++) {
      const steps = 1 + Math.floor(machine.random.fraction() * 6)
      for (let step = 0; step < steps; step++) {
        const from = next
        next += 7
        void produce(run, step % 3, from, 7).catch(() => {})
        await machine.advance(machine.random.fraction() * 8)
      }
      if (machine.random.fraction() < 0.5) machine.kill()
      else machine.powerCut()
      // The catalogue of this test forgets its watchers with the process.
      run = await machine.run(() => start(machine, catalog))
    }
    await machine.run(async () => {
      await machine.clock.sleep(2_000)
      const bad = (await read(run.log, 't', 3)).filter(({ record }) => text(record.value).includes('"n":"'))
      const kept = (await run.log.topics.get('t.quarantine')) === null ? [] : await read(run.log, 't.quarantine', 3)
      const places = kept.map(({ record }) => {
        const [range] = decodeOrigin(header(record, 'mr-origin')!).ranges
        return `${range!.partition}:${range!.first} ${text(record.value)}`
      })
      assert.deepEqual(
        places.sort(),
        bad.map(({ partition, record }) => `${partition}:${record.offset} ${text(record.value)}`).sort(),
      )
      assert.ok(bad.length > 0)
      await run.close()
    })
  })
