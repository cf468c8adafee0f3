/** A failed sync or a full disk cuts a partition's end away: what was derived from it goes with it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DiskFailure, DiskOperation } from '../../../src/lib/sim/disk.ts'
import { type Simulation, simulate } from '../../../src/lib/sim/world.ts'
import { decodeBatch } from '../../../src/log/batch.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import type { Claim, Partition } from '../../../src/log/log.ts'
import { openStore } from '../../../src/store/open.ts'
import { at, batch, off, produceOne, said, withTopic } from './support.ts'

/** Nothing is kept in memory: every read goes to a file and takes its time. */
const open = async (machine: Simulation): Promise<LocalLog> => {
  const store = await openStore({ world: machine, dir: '/data', hotBytes: 0 })
  return openLocalLog({ world: machine, dir: '/data', store })
}
const inLog = async (seed: number, run: (log: LocalLog, machine: Simulation) => Promise<void>): Promise<void> => {
  const machine = simulate(seed, { syncMsMax: 3 })
  await machine.run(async () => {
    const log = await open(machine)
    await run(log, machine)
    await log.close()
  })
}
const syncs: readonly DiskOperation[] = ['datasync', 'syncDirectory']
/** From now on these calls of one topic's files fail, `times` of them. */
function fail(machine: Simulation, topic: string, of: readonly DiskOperation[], failure: DiskFailure, times = 1): void {
  machine.disk.plan = ({ operation, path }) =>
    of.includes(operation) && path.includes(`/topics/${topic}~`) && times-- > 0 ? failure : null
}
async function values(log: LocalLog, partition: Partition, committedOnly = true): Promise<string[]> {
  const found: string[] = []
  const reader = log.reader({ uncommitted: !committedOnly, maxBytes: 1 })
  for (let offset = off(0); ;) {
    const [chunk] = await reader.read([{ partition, offset }])
    assert.ok(chunk !== undefined && 'batches' in chunk)
    if (chunk.next === offset) return found
    for (const one of chunk.batches) found.push(...decodeBatch(one).map(({ value }) => Buffer.from(value!).toString()))
    offset = chunk.next
  }
}
async function claimOf(log: LocalLog, group: string, topic: string): Promise<Claim> {
  const membership = log.join(group, { topics: [topic], warm: () => [] })
  const { value } = await membership.changes()[Symbol.asyncIterator]().next()
  value!.accept()
  return value!.claim
}

test('an idempotent producer repeats five batches that a failed sync took back, and each is there once', async () => {
  for (let seed = 1; seed <= 20; seed++)
    await inLog(seed, async (log, machine) => {
      const partition = await withTopic(log)
      const { producerId } = await log.initProducer()
      const send = (first: number): Promise<(number | string)[]> =>
        Promise.all(
          [0, 1, 2, 3, 4].map(async (i) => {
            const values = [`${first + 2 * i}`, `${first + 2 * i + 1}`]
            const sent = batch(values, { producerId, sequence: first + 2 * i, timeMs: 1 })
            // The second half goes out while the first is on its way to the disk.
            if (i > 2) await machine.clock.sleep(1)
            return said(await produceOne(log, partition, sent))
          }),
        )
      assert.deepEqual(await send(0), [0, 2, 4, 6, 8])
      fail(machine, 't', syncs, { code: 'EIO' })
      const lost = await send(10)
      assert.equal(lost[0], 'store.failed')
      // Of what comes behind a batch that is not there, its producer hears that, as with Kafka.
      for (const answer of lost)
        assert.ok(['store.failed', 'log.out-of-order-sequence'].includes(String(answer)), String(lost))
      machine.disk.plan = null
      // Another one takes the offsets that the first was to have.
      while (said(await produceOne(log, partition, batch(['other'], { timeMs: 1 }))) === 'store.failed')
        await machine.clock.sleep(5)
      const again = await send(10)
      assert.ok(!again.includes('log.duplicate-sequence') && !again.includes('store.failed'), String(again))
      assert.deepEqual(await send(10), again, 'a second repetition hears the same')
      const there = await values(log, partition)
      again.forEach((offset, i) => assert.equal(there[offset as number], String(10 + 2 * i)))
      assert.deepEqual(
        there.filter((value) => value !== 'other'),
        Array.from({ length: 20 }, (_, i) => String(i)),
      )
    })
})

test('a full disk takes back what was not written, and nothing else', async () => {
  await inLog(1, async (log, machine) => {
    const partition = await withTopic(log)
    const { producerId } = await log.initProducer()
    const send = (sequence: number): Promise<number | string> =>
      produceOne(log, partition, batch([String(sequence)], { producerId, sequence, timeMs: 1 })).then(said)
    assert.equal(await send(0), 0)
    const first = send(1)
    // Written, on its way to the disk; the next write finds no room.
    await new Promise<void>((resolve) => machine.clock.soon(resolve))
    fail(machine, 't', ['write'], { code: 'ENOSPC', written: 10 })
    assert.deepEqual(await Promise.all([first, send(2), send(3)]), [1, 'store.full', 'store.full'])
    machine.disk.plan = null
    await machine.clock.sleep(2_000)
    assert.equal(await send(1), 1)
    assert.equal(await send(2), 2)
    assert.equal(await send(3), 3)
    assert.deepEqual(await values(log, partition), ['0', '1', '2', '3'])
  })
})

test('a committed reader is shown nothing of an aborted tick when its marker is cut away under it', async () => {
  let isCut = 0
  for (let seed = 1; seed <= 60; seed++)
    await inLog(seed, async (log, machine) => {
      const partition = await withTopic(log)
      const owner = await log.owner()
      const tick = owner.begin()
      await tick.append([{ partition, batch: batch(['never'], { timeMs: 1 }) }])
      await produceOne(log, partition, batch(['after'], { timeMs: 1 }))
      await tick.abort()
      const reading = values(log, partition)
      fail(machine, 't', syncs, { code: 'EIO' }, 4)
      const found = await reading
      assert.ok(!found.includes('never'), `seed ${seed}: ${found.join()}`)
      await machine.clock.sleep(1_000)
      if ((await log.bounds([partition]))[0]!.end === off(3)) isCut++
      assert.deepEqual(await values(log, partition), ['after'], 'the marker is written again')
    })
  assert.ok(isCut > 0)
})

test('a tick whose appends were cut away does not commit, and ends', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const machine = simulate(seed, { syncMsMax: 3 })
    const [one, two] = [at('one'), at('two')]
    await machine.run(async () => {
      const log = await open(machine)
      for (const name of ['one', 'two']) await withTopic(log, name)
      const owner = await log.owner()
      for (let i = 0; i < 10; i++) {
        const tick = owner.begin()
        await tick.append([{ partition: two, batch: batch(['never'], { timeMs: 1 }) }])
        await tick.abort()
      }
      await log.close()
    })
    await machine.run(async () => {
      const log = await open(machine)
      const owner = await log.owner()
      fail(machine, 'one', syncs, { code: 'EIO' })
      // The second partition has to be opened first, which takes longer than the sync of the first that fails.
      const tick = owner.begin()
      const appended = tick.append([
        { partition: one, batch: batch(['lost'], { timeMs: 1 }) },
        { partition: two, batch: batch(['in vain'], { timeMs: 1 }) },
      ])
      const ended = await Promise.race([
        appended.then(
          () => 'written',
          () => 'failed',
        ),
        machine.clock.sleep(10_000).then(() => 'hangs'),
      ])
      assert.notEqual(ended, 'hangs', `seed ${seed}`)
      assert.equal(await tick.commit([]), 'retry', `seed ${seed}`)
      machine.disk.plan = null
      await machine.clock.sleep(500)
      const again = owner.begin()
      for (const partition of [one, two]) await again.append([{ partition, batch: batch(['kept'], { timeMs: 1 }) }])
      assert.equal(await again.commit([]), 'committed')
      for (const partition of [one, two]) assert.deepEqual(await values(log, partition), ['kept'])
      await log.close()
    })
  }
})

test('restoring state ends where the log ends, also when the end is cut away meanwhile', async () => {
  await inLog(1, async (log, machine) => {
    const partition = await withTopic(log)
    const claim = await claimOf(log, 'g', 't')
    await produceOne(log, partition, batch(['kept'], { timeMs: 1 }))
    fail(machine, 't', syncs, { code: 'EIO' })
    const lost = produceOne(log, partition, batch(['lost'], { timeMs: 1 }))
    const restored: string[] = []
    const restore = async (): Promise<string> => {
      for await (const chunk of log.reader().restore(partition, claim))
        if ('batches' in chunk)
          for (const one of chunk.batches) restored.push(Buffer.from(decodeBatch(one)[0]!.value!).toString())
      return 'ended'
    }
    const ended = Promise.race([restore(), machine.clock.sleep(60_000).then(() => 'hangs')])
    assert.equal(said(await lost), 'store.failed')
    assert.equal(await ended, 'ended')
    assert.deepEqual(restored, ['kept'])
  })
})

test('what system topics say after a restart is what was answered before, whatever the disk took back', async () => {
  const failures: readonly [readonly DiskOperation[], DiskFailure][] = [
    [syncs, { code: 'EIO' }],
    [['write'], { code: 'ENOSPC', written: 20 }],
  ]
  let refused = 0
  for (let seed = 1; seed <= 30; seed++) {
    const machine = simulate(seed, { syncMsMax: 3 })
    const topics = ['t', 'u', 'v', 'w']
    const log = await machine.run(() => open(machine))
    const answers = await machine.run(async () => {
      await withTopic(log)
      const asked: Promise<unknown>[] = []
      for (const [i, name] of topics.entries()) {
        const [of, failure] = failures[(seed + i) % 2]!
        if (i === 2) fail(machine, seed % 4 < 2 ? '__consumer_offsets' : '_millrace_catalog', of, failure)
        asked.push(log.topics.create([{ name: `new-${name}`, partitions: 1 }]))
        asked.push(
          log.coordinator.commit({
            group: `g${i}`,
            generation: -1,
            memberId: '',
            instanceId: null,
            offsets: [{ partition: at('t'), offset: off(10 + i), leaderEpoch: -1, metadata: null }],
          }),
        )
        await machine.clock.sleep(1)
      }
      return (await Promise.all(asked)).flat()
    })
    refused += answers.filter((answer) => answer !== null).length
    machine.disk.plan = null
    const known = async (of: LocalLog): Promise<unknown> => [
      (await of.topics.list()).map(({ name, id }) => `${name} ${id}`).filter((one) => !one.startsWith('_')),
      await Promise.all(topics.map((_, i) => of.groups.positions(`g${i}`))),
    ]
    const before = await machine.run(() => known(log))
    await machine.advance(1_000)
    machine.kill()
    const again = await machine.run(() => open(machine))
    assert.deepEqual(await machine.run(() => known(again)), before, `seed ${seed}`)
    await machine.run(() => again.close())
  }
  assert.ok(refused > 10, `${refused} refused`)
})

test('positions in a removed topic do not come back, whether the disk fails or the process dies then', async () => {
  for (const dies of [false, true]) {
    const machine = simulate(4)
    let log = await machine.run(() => open(machine))
    await machine.run(async () => {
      await withTopic(log)
      await log.groups.reset('g', [{ partition: at('t'), offset: off(7) }])
      fail(machine, '__consumer_offsets', syncs, { code: 'EIO' }, dies ? Number.POSITIVE_INFINITY : 1)
      await log.topics.remove(['t'])
      await machine.clock.sleep(2_000)
    })
    machine.disk.plan = null
    machine.kill()
    log = await machine.run(() => open(machine))
    await machine.run(async () => {
      await withTopic(log)
      assert.deepEqual(await log.groups.positions('g'), [])
      await log.close()
    })
  }
})
