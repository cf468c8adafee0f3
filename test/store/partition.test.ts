import assert from 'node:assert/strict'
import type { Offset } from '../../src/lib/brand.ts'
import { BufferPool } from '../../src/lib/buffer-pool.ts'
import { readBatchHeader } from '../../src/store/batch-header.ts'
import { batch, config, fill, onEachDisk, readAll } from './support.ts'

const at = (offset: number): Offset => offset as Offset

onEachDisk('offsets are given in order and written into the batches', async ({ open }) => {
  const store = await open()
  const log = store.partition('orders~1/0', config)
  assert.equal(log.end, 0)
  const first = batch(3)
  assert.deepEqual(log.append(first), { baseOffset: 0, appendTimeMs: -1 })
  const second = batch(2)
  assert.deepEqual(log.append(second), { baseOffset: 3, appendTimeMs: -1 })
  assert.equal(log.end, 5)
  assert.equal(readBatchHeader(second).baseOffset, 3)
  assert.equal(readBatchHeader(second).leaderEpoch, log.leaderEpoch)
  await log.whenDurable(at(5))
  assert.equal(log.durable, 5)
  assert.deepEqual(await readAll(log), [first, second])
  await store.close()
})

onEachDisk('nothing is read past what is durable', async ({ open }) => {
  const store = await open()
  const log = store.partition('orders~1/0', config)
  log.append(batch(3))
  assert.equal(log.durable, 0)
  assert.deepEqual(await log.read(at(0), 1e6, at(3)), [])
  await log.whenWritten(at(3))
  await log.whenDurable(at(3))
  assert.equal((await log.read(at(0), 1e6, at(3))).length, 1)
  assert.deepEqual(await log.read(at(3), 1e6, at(3)), [])
  await assert.rejects(log.read(at(4), 1e6, at(4)), { code: 'log.offset-out-of-range' })
  await store.close()
})

onEachDisk('what nobody waits for is durable after flushMs', async ({ open, world }) => {
  const store = await open()
  const log = store.partition('orders~1/0', { ...config, flushMs: 20 })
  const durable = new Promise<number>((resolve) => {
    const stop = log.onDurable(() => {
      stop()
      resolve(world.clock.monotonic())
    })
  })
  const begun = world.clock.monotonic()
  log.append(batch(3))
  // A timer of the log keeps no process alive: the wait does.
  const waitedMs = await Promise.race([durable, world.clock.sleep(2000).then(() => Number.NaN)])
  assert.ok(waitedMs - begun >= 19, `after ${waitedMs - begun} ms`)
  assert.equal(log.durable, 3)
  await store.close()
})

onEachDisk('wantDurable does not wait for flushMs', async ({ open }) => {
  const store = await open()
  const log = store.partition('orders~1/0', { ...config, flushMs: 1e9 })
  log.append(batch(3))
  const moved = new Promise<void>((resolve) => log.onDurable(resolve))
  log.wantDurable()
  await moved
  assert.equal(log.durable, 3)
  await store.close()
})

onEachDisk(
  'a log reads the same over many segments, from memory and from files, and after a restart',
  async ({ open }) => {
    let store = await open({ hotBytes: 4000, handlesMax: 3 })
    let log = store.partition('orders~1/0', config)
    const batches = await fill(log, 200)
    assert.deepEqual(await readAll(log), batches)
    assert.ok(log.sizeBytes > 6 * config.segmentBytes)
    assert.equal(store.sizeBytes(), log.sizeBytes)
    await store.close()

    store = await open({ hotBytes: 0 })
    assert.equal(store.recovery.clean, true)
    assert.deepEqual(store.partitions(), ['orders~1/0'])
    log = store.partition('orders~1/0', config)
    assert.equal(log.end, 600)
    assert.equal(log.durable, 600)
    assert.deepEqual(await readAll(log), batches)
    for (const from of [0, 1, 2, 3, 299, 300, 301, 598, 599]) {
      const [first] = await log.read(at(from), 1, log.durable)
      assert.deepEqual(first, batches[Math.floor(from / 3)], `from ${from}`)
    }
    const more = await fill(log, 3)
    assert.deepEqual(await readAll(log, 600), more)
    await store.close()
  },
)

onEachDisk('a read stops before upTo and gives at least one batch', async ({ open }) => {
  const store = await open({ hotBytes: 0 })
  const log = store.partition('orders~1/0', config)
  const batches = await fill(log, 20)
  assert.equal((await log.read(at(0), 1, log.durable)).length, 1)
  assert.equal((await log.read(at(0), 1e9, at(9))).length, 3)
  const bytes = (await log.read(at(0), 2000, log.durable)).reduce((sum, each) => sum + each.length, 0)
  assert.ok(bytes <= 2000 && bytes > 2000 - batches[0]!.length)
  await store.close()
})

onEachDisk('a batch larger than a segment has one of its own', async ({ open }) => {
  const store = await open({ hotBytes: 0 })
  const log = store.partition('orders~1/0', config)
  await fill(log, 2)
  const large = batch(1, 1, 300_000)
  log.append(large)
  await fill(log, 2)
  const all = await readAll(log)
  assert.equal(all.length, 5)
  assert.deepEqual(all[2], large)
  await store.close()
})

onEachDisk('log-append-time stamps a batch and its checksum', async ({ open, world }) => {
  const store = await open({ hotBytes: 0 })
  const log = store.partition('orders~1/0', { ...config, timestampType: 'log-append-time' })
  const before = world.clock.now()
  const { appendTimeMs } = log.append(batch(2, 1000))
  assert.ok(appendTimeMs >= before)
  await log.whenDurable(log.end)
  const [stored] = await readAll(log)
  assert.equal(readBatchHeader(stored!).maxTimeMs, appendTimeMs)
  assert.equal(readBatchHeader(stored!).attributes & 0x08, 0x08)
  await store.close()
})

onEachDisk('headers come from the batch that holds an offset', async ({ open }) => {
  const store = await open()
  const log = store.partition('orders~1/0', config)
  await fill(log, 100)
  const bases = Array.from(log.headers(at(100)), (header) => readBatchHeader(header).baseOffset)
  assert.equal(bases[0], 99)
  assert.equal(bases.length, 67)
  assert.deepEqual([...log.headers(log.end)], [])
  await store.close()
})

onEachDisk('times are found in and out of order', async ({ open }) => {
  const store = await open({ hotBytes: 0 })
  const log = store.partition('orders~1/0', config)
  assert.equal(log.largestTime(), null)
  assert.equal(log.findTime(0), null)
  await fill(log, 100, 5000)
  log.append(batch(3, 9000))
  log.append(batch(3, 100))
  await log.whenDurable(log.end)
  await fill(log, 100, 6000)
  assert.equal(log.findTime(0), 0)
  assert.equal(log.findTime(5002), 0)
  assert.equal(log.findTime(5003), 3)
  assert.equal(log.findTime(5101), 297)
  assert.equal(log.findTime(5102), 300)
  assert.equal(log.findTime(9002), 300)
  assert.equal(log.findTime(9003), null)
  assert.deepEqual(log.largestTime(), { offset: 300, timeMs: 9002 })
  await store.close()
})

onEachDisk('a trimmed log begins where it was trimmed, also after a restart', async ({ open, world, dir }) => {
  let store = await open()
  let log = store.partition('orders~1/0', config)
  const batches = await fill(log, 200)
  const before = log.sizeBytes
  await log.trim(at(301))
  assert.equal(log.start, 301)
  assert.ok(log.sizeBytes < before * 0.6)
  assert.equal(store.sizeBytes(), log.sizeBytes)
  await assert.rejects(log.read(at(300), 1e6, log.durable), { code: 'log.offset-out-of-range' })
  await assert.rejects(log.trim(at(601)), { code: 'log.offset-out-of-range' })
  await log.trim(at(10))
  assert.equal(log.start, 301)
  await store.close()

  store = await open()
  log = store.partition('orders~1/0', config)
  assert.equal(log.start, 301)
  assert.deepEqual(await readAll(log), batches.slice(100))
  await log.trim(log.end)
  await store.close()

  store = await open()
  log = store.partition('orders~1/0', config)
  assert.equal(log.start, 600)
  assert.equal(log.append(batch(1)).baseOffset, 600)
  await store.close()
  assert.ok(world.disk.list(`${dir}/topics/orders~1/0`).length < 10)
})

onEachDisk('a snapshot comes back; one that is not as written does not', async ({ open, world, dir, faults }) => {
  let store = await open()
  let log = store.partition('orders~1/0', config)
  assert.equal(log.loadSnapshot('producers'), null)
  await fill(log, 10)
  await log.saveSnapshot('producers', at(12), Buffer.from('one'))
  await log.saveSnapshot('producers', at(30), Buffer.from('two'))
  await store.close()

  store = await open()
  log = store.partition('orders~1/0', config)
  const found = log.loadSnapshot('producers')!
  assert.equal(found.at, 30)
  assert.equal(Buffer.from(found.bytes).toString(), 'two')
  assert.equal(faults.length, 0)

  const file = world.disk.open(`${dir}/topics/orders~1/0/producers.snapshot`, 'write')
  file.write([Buffer.from('x')], 17)
  file.close()
  assert.equal(log.loadSnapshot('producers'), null)
  assert.deepEqual(
    faults.map((fault) => fault.code),
    ['store.damaged'],
  )
  await store.close()
})

onEachDisk('a dropped partition is gone, and so is its folder', async ({ open, world, dir }) => {
  let store = await open()
  const log = store.partition('orders~1/0', config)
  const other = store.partition('orders~1/1', config)
  await fill(log, 50)
  await fill(other, 1)
  log.append(batch(1))
  const lost = log.whenDurable(log.end)
  const dropping = store.drop('orders~1/0')
  await assert.rejects(lost, { code: 'log.closed' })
  await dropping
  assert.throws(() => log.append(batch(1)), { code: 'log.closed' })
  assert.deepEqual(store.partitions(), ['orders~1/1'])
  assert.equal(store.sizeBytes(), other.sizeBytes)
  await store.drop('never~1/0')
  await store.close()

  store = await open()
  assert.deepEqual(store.partitions(), ['orders~1/1'])
  await store.drop('orders~1/1')
  assert.deepEqual(store.partitions(), [])
  assert.deepEqual(world.disk.list(`${dir}/topics`), [])
  assert.equal(store.partition('orders~1/1', config).end, 0)
  await store.close()
})

onEachDisk('a closed store takes nothing and can be closed again', async ({ open }) => {
  const store = await open()
  const log = store.partition('orders~1/0', config)
  log.append(batch(1))
  await Promise.all([store.close(), store.close()])
  assert.equal(log.durable, 1)
  assert.throws(() => log.append(batch(1)), { code: 'log.closed' })
  assert.throws(() => store.partition('orders~1/1', config), { code: 'log.closed' })
})

onEachDisk('a folder is held by one store at a time', async ({ open }) => {
  const store = await open()
  await assert.rejects(open(), { code: 'store.locked' })
  await store.close()
  await (await open()).close()
})

onEachDisk('more partitions than open files are written at once', async ({ open }) => {
  let store = await open({ handlesMax: 4, hotBytes: 0 })
  const names = Array.from({ length: 40 }, (_, i) => `t~${i}/0`)
  const logs = names.map((name) => store.partition(name, config))
  for (let round = 0; round < 3; round++) {
    for (const log of logs) log.append(batch(2, round))
    await Promise.all(logs.map((log) => log.whenDurable(log.end)))
  }
  for (const log of logs) assert.equal((await readAll(log)).length, 3)
  await store.close()
  store = await open({ handlesMax: 4 })
  assert.equal(store.recovery.scannedBytes, 0)
  for (const name of names) assert.equal((await readAll(store.partition(name, config))).length, 3)
  await store.close()
})

onEachDisk(
  'leased memory is given back once it is written, out of the hot tail, and let go by readers',
  async ({ open }) => {
    const pool = new BufferPool(1e6, { wipes: true })
    const store = await open({ hotBytes: 20_000, pool })
    const log = store.partition('orders~1/0', config)
    const append = (): Buffer => {
      // Small ones are copied.
      const bytes = batch(3, 1_700_000_000_000, 1_000)
      const lease = pool.take(bytes.length)
      const view = lease.bytes.subarray(0, bytes.length)
      view.set(bytes)
      log.append(view, lease)
      lease.release()
      return view
    }
    const isGivenBack = (view: Buffer): boolean => view.every((byte) => byte === 0xdb)
    const first = append()
    // Out of the hot tail before the turn is over, but not written yet.
    for (let i = 0; i < 20; i++) append()
    assert.ok(!isGivenBack(first))
    await log.whenDurable(log.end)
    assert.ok(isGivenBack(first))
    const last = append()
    await log.whenDurable(log.end)
    const lent = await log.lend(at(63), 1e6, log.durable)
    const read = await log.lend(at(0), 16_000, log.durable)
    for (let i = 0; i < 20; i++) append()
    await log.whenDurable(log.end)
    assert.equal(lent.buffers[0], last)
    assert.ok(!isGivenBack(last), 'a reader looks at it still')
    lent.release()
    assert.ok(isGivenBack(last))
    const fromFile = Buffer.from(read.buffers[0]!)
    await log.lend(at(0), 16_000, log.durable)
    assert.deepEqual(Buffer.from(read.buffers[0]!), fromFile)
    read.release()
    assert.ok(isGivenBack(read.buffers[0] as Buffer))
    // Read without a word about the end: never given back.
    const kept = await log.read(at(0), 16_000, log.durable)
    for (let i = 0; i < 5; i++) (await log.lend(at(0), 16_000, log.durable)).release()
    assert.deepEqual(Buffer.from(kept[0]!), fromFile)
    await store.close()
  },
)
