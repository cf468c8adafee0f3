/** Compaction of files: whatever a crash leaves, the log is what it was, or what it was to become. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate, type Simulation } from '../../src/lib/sim/world.ts'
import type { Offset } from '../../src/lib/brand.ts'
import { encodeBatch, encodeSparseBatch } from '../../src/log/batch.ts'
import { readBatchHeader } from '../../src/store/batch-header.ts'
import { openStore } from '../../src/store/open.ts'
import type { PartitionConfig, PartitionLog, SealedSegment, Store } from '../../src/store/store.ts'

const config: PartitionConfig = {
  segmentBytes: 300,
  segmentMs: 1e12,
  retentionBytes: -1,
  retentionMs: -1,
  flushMs: 10,
  timestampType: 'create-time',
  indexIntervalBytes: 100,
}
const record = (value: string) => ({ key: Buffer.from('k'), value: Buffer.from(value), timeMs: 5 })
const count = 24

async function fill(log: PartitionLog): Promise<void> {
  for (let i = 0; i < count; i++) log.append(encodeBatch([record(`value ${i}`)]))
  await log.whenDurable(log.end)
}
/** Every batch as [base, end, records]; offsets without a gap. */
async function contents(log: PartitionLog): Promise<[number, number, number][]> {
  const found: [number, number, number][] = []
  for (let at = log.start; at < log.durable;) {
    const [bytes] = await log.read(at, 1, log.durable)
    const { baseOffset, lastOffsetDelta, recordCount } = readBatchHeader(bytes!)
    const end = baseOffset + lastOffsetDelta + 1
    if (found.length > 0) assert.equal(baseOffset, found.at(-1)![1])
    found.push([baseOffset, end, recordCount])
    at = end as Offset
  }
  return found
}
/** One empty batch in the place of all. */
async function* nothing(of: readonly SealedSegment[]): AsyncIterable<Uint8Array> {
  yield encodeSparseBatch([], { base: of[0]!.base, end: of.at(-1)!.end, compression: 'none' })
}
const logFiles = (world: Simulation): string[] =>
  world.disk.list('/data/topics/t/0').filter((name) => name.includes('.log') && name !== 'log-start')
/** Without batches kept in memory: those would still be the old ones. */
const open = (world: Simulation): Promise<Store> => openStore({ world, dir: '/data', hotBytes: 0 })

test('neighbours become one, their files go, and reading goes on', async () => {
  const world = simulate(1)
  await world.run(async () => {
    const store = await open(world)
    const log = store.partition('t/0', config)
    await fill(log)
    const sealed = log.sealed(log.end)
    assert.ok(sealed.length > 4)
    const middle = sealed.slice(1, 4)
    const reading = contents(log)
    assert.equal(await log.replaceSealed(middle, nothing(middle)), true)
    await reading
    const found = await contents(log)
    assert.ok(found.some(([base, end, records]) => base === middle[0]!.base && end === middle[2]!.end && records === 0))
    assert.equal(found.at(-1)![1], count)
    assert.equal(logFiles(world).length, sealed.length + 1 - 2)
    assert.equal(await log.replaceSealed(middle, nothing(middle)), false, 'they are not there any more')
    const again = log.sealed(log.end).slice(0, 2)
    assert.equal(await log.replaceSealed(again, nothing(again)), true)
    const before = await contents(log)
    await store.close()
    const next = await open(world)
    assert.equal(next.recovery.clean, true)
    const reopened = next.partition('t/0', config)
    assert.deepEqual(await contents(reopened), before)
    assert.equal(reopened.damage, null)
    assert.deepEqual([...reopened.headers(0 as Offset)].length, before.length)
    await next.close()
  })
})
test('a power cut or a kill at any call of the disk leaves the old segments or the new one', async () => {
  let died = 0
  let wasReplaced = 0
  for (let call = 0; ; call++, died++) {
    const world = simulate(call)
    const store = await world.run(() => open(world))
    const log = store.partition('t/0', config)
    await world.run(() => fill(log))
    const before = await world.run(() => contents(log))
    const of = log.sealed(log.end).slice(0, 3)
    const from = world.disk.calls + call
    let reached = false
    world.disk.plan = ({ number }) => {
      reached ||= number >= from
      return number >= from ? { code: 'power' } : null
    }
    log.replaceSealed(of, nothing(of)).catch(() => undefined)
    await world.advance(1_000)
    world.disk.plan = null
    if (call % 3 === 0) world.kill()
    else world.powerCut()
    const next = await world.run(() => open(world))
    const reopened = next.partition('t/0', config)
    assert.equal(reopened.damage, null, `died at call ${call}`)
    const found = await world.run(() => contents(reopened))
    if (JSON.stringify(found) !== JSON.stringify(before)) {
      assert.deepEqual(found[0], [0, of[2]!.end, 0], `died at call ${call}`)
      assert.deepEqual(
        found.slice(1),
        before.filter(([base]) => base >= of[2]!.end),
      )
      wasReplaced++
    }
    assert.deepEqual(
      world.disk.list('/data/topics/t/0').filter((name) => name.includes('torn')),
      [],
    )
    // And it goes on: takes more, is compacted, is there after another death.
    const now = await world.run(async () => {
      reopened.append(encodeBatch([record('more')]))
      await reopened.whenDurable(reopened.end)
      const more = reopened.sealed(reopened.end).slice(0, 2)
      assert.equal(await reopened.replaceSealed(more, nothing(more)), true)
      return contents(reopened)
    })
    world.powerCut()
    const last = await world.run(() => open(world))
    assert.deepEqual(await world.run(() => contents(last.partition('t/0', config))), now, `died at call ${call}`)
    assert.equal(logFiles(world).length, last.partition('t/0', config).sealed(1e9 as Offset).length + 1)
    await world.run(() => last.close())
    if (!reached) break
  }
  assert.ok(died > 15 && wasReplaced > 2, `${died} deaths, ${wasReplaced} replaced`)
})
test('a disk that fails leaves the log as it was', async () => {
  for (const operation of ['write', 'datasync', 'rename', 'syncDirectory'] as const)
    for (let nth = 0; nth < 3; nth++) {
      const world = simulate(nth)
      await world.run(async () => {
        const store = await open(world)
        const log = store.partition('t/0', config)
        await fill(log)
        const before = await contents(log)
        const of = log.sealed(log.end).slice(0, 3)
        let seen = 0
        world.disk.plan = (call) => (call.operation === operation && seen++ === nth ? { code: 'EIO' } : null)
        const outcome = await log.replaceSealed(of, nothing(of)).then(
          () => 'done',
          () => 'failed',
        )
        world.disk.plan = null
        const found = await contents(log)
        const isNew = found[0]![2] === 0
        if (outcome === 'done') assert.ok(isNew)
        if (!isNew) assert.deepEqual(found, before)
        log.append(encodeBatch([record('more')]))
        await log.whenDurable(log.end)
        const now = await contents(log)
        await store.close()
        const next = await open(world)
        assert.deepEqual(await contents(next.partition('t/0', config)), now, `${operation} ${nth}`)
        await next.close()
      })
    }
})
test('what retention takes meanwhile is not brought back', async () => {
  const world = simulate(1)
  await world.run(async () => {
    const store = await open(world)
    const log = store.partition('t/0', config)
    await fill(log)
    const of = log.sealed(log.end).slice(0, 3)
    const slow = async function* (): AsyncIterable<Uint8Array> {
      await log.trim(of[1]!.end)
      yield* nothing(of)
    }
    assert.equal(await log.replaceSealed(of, slow()), false)
    assert.equal((await contents(log))[0]![0], of[2]!.base)
    await store.close()
  })
})
