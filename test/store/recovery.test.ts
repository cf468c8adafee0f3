import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../../src/lib/sim/world.ts'
import type { Offset } from '../../src/lib/brand.ts'
import { Fault } from '../../src/lib/fault.ts'
import { limits } from '../../src/lib/limits.ts'
import { placeBatch } from '../../src/store/batch-header.ts'
import { openStore } from '../../src/store/open.ts'
import type { PartitionLog, Store } from '../../src/store/store.ts'
import {
  afterKill,
  batch,
  config,
  fileBytes,
  fill,
  flip,
  inSimulation,
  onEachDisk,
  overwrite,
  type Place,
  readAll,
  truncate,
} from './support.ts'

const at = (offset: number): Offset => offset as Offset
const name = 'orders~1/0'
const path = (base: number, ending = 'log'): string => `topics/${name}/${String(base).padStart(20, '0')}.${ending}`
const oneSegment = { ...config, segmentBytes: 1e6 }

/** A store with 40 durable batches in one segment, of a process that was then killed. */
async function killed(place: Place, kill: () => Place): Promise<{ after: Place; batches: Buffer[] }> {
  const store = await place.open()
  const batches = await fill(store.partition(name, oneSegment), 40)
  return { after: kill(), batches }
}
async function reopened(place: Place): Promise<{ store: Store; log: PartitionLog }> {
  const store = await place.open({ hotBytes: 0 })
  return { store, log: store.partition(name, oneSegment) }
}
async function inSegments(place: Place): Promise<{ store: Store; log: PartitionLog }> {
  const store = await place.open({ hotBytes: 0 })
  return { store, log: store.partition(name, config) }
}
/** It takes more, and that is there after another kill. */
async function takesMore(log: PartitionLog): Promise<void> {
  const before = log.end
  await fill(log, 5)
  assert.equal(log.durable, before + 15)
}

afterKill('a killed store has all that was durable, and a higher epoch', async (place, kill) => {
  const { after, batches } = await killed(place, kill)
  const { store, log } = await reopened(after)
  assert.equal(store.recovery.clean, false)
  assert.ok(store.recovery.scannedBytes > 0)
  assert.deepEqual(store.recovery.torn, [])
  assert.deepEqual(store.recovery.damaged, [])
  assert.equal(log.end, 120)
  assert.equal(log.leaderEpoch, 1)
  assert.deepEqual(await readAll(log), batches)
  await takesMore(log)
  await store.close()
  const again = await reopened(after)
  assert.equal(again.store.recovery.clean, true)
  assert.equal(again.log.leaderEpoch, 1)
  assert.equal((await readAll(again.log)).length, 45)
  await again.store.close()
})

const tails: readonly (readonly [string, (next: Buffer) => Buffer])[] = [
  ['half of a batch', (next) => next.subarray(0, next.length >> 1)],
  ['a few bytes', (next) => next.subarray(0, 13)],
  ['more zeros than are written ahead', () => Buffer.alloc(limits.storeRoomBytes + 5000)],
  ['zeros with a byte among them', () => Buffer.concat([Buffer.alloc(900), Buffer.from([1]), Buffer.alloc(900)])],
  ['a batch with a wrong byte, and a good one after it', (next) => Buffer.concat([flip(next, 80), next])],
  ['a batch of another offset', (next) => (placeBatch(next, 4711, 0), next)],
  ['a batch of another epoch', (next) => (placeBatch(next, 120, 9), next)],
  ['a length beyond all limits', (next) => (next.writeInt32BE(0x7fff_fff0, 8), next)],
  ['a negative length', (next) => (next.writeInt32BE(-100, 8), next)],
  ['a length smaller than a header', (next) => (next.writeInt32BE(20, 8), next)],
]
for (const [what, tailOf] of tails)
  afterKill(`a torn tail is kept aside and cut: ${what}`, async (place, kill) => {
    const { after, batches } = await killed(place, kill)
    const size = fileBytes(after, path(0)).length
    const next = batch(3)
    placeBatch(next, 120, 0)
    const tail = Buffer.from(tailOf(next))
    overwrite(after, path(0), size, tail)

    const { store, log } = await reopened(after)
    assert.equal(log.end, 120)
    assert.equal(log.damage, null)
    assert.deepEqual(await readAll(log), batches)
    const kept = `${after.dir}/${path(0, 'torn')}`
    assert.deepEqual(store.recovery.torn, [{ file: `${after.dir}/${path(0)}`, keptAs: kept, bytes: tail.length }])
    assert.deepEqual(fileBytes(after, path(0, 'torn')), tail)
    assert.equal(fileBytes(after, path(0)).length, size)
    await takesMore(log)
    await store.close()
  })

afterKill('a good batch behind the durable end is part of the log', async (place, kill) => {
  const { after, batches } = await killed(place, kill)
  const next = batch(3)
  placeBatch(next, 120, 0)
  overwrite(after, path(0), fileBytes(after, path(0)).length, next)
  const { store, log } = await reopened(after)
  assert.equal(log.end, 123)
  assert.equal(log.durable, 123)
  assert.deepEqual(await readAll(log), [...batches, next])
  await store.close()
})

afterKill('a second torn tail of the same segment does not replace the first', async (place, kill) => {
  const { after } = await killed(place, kill)
  overwrite(after, path(0, 'torn'), 0, Buffer.from('older'))
  overwrite(after, path(0), fileBytes(after, path(0)).length, Buffer.from('newer'))
  const { store } = await reopened(after)
  assert.equal(fileBytes(after, path(0, 'torn')).toString(), 'older')
  assert.equal(fileBytes(after, path(0, 'torn.1')).toString(), 'newer')
  await store.close()
})

for (const [what, spoil] of [
  [
    'a flipped bit',
    (place: Place) => overwrite(place, path(0), 3000, flip(fileBytes(place, path(0)).subarray(3000, 3001), 0)),
  ],
  ['zeros', (place: Place) => overwrite(place, path(0), 3000, Buffer.alloc(500))],
  ['a lost end', (place: Place) => truncate(place, path(0), 3000)],
] as const)
  afterKill(`damage below the durable end is refused and reported: ${what}`, async (place, kill) => {
    const { after, batches } = await killed(place, kill)
    spoil(after)
    const bytes = fileBytes(after, path(0))
    const { store, log } = await reopened(after)
    assert.equal(store.recovery.torn.length, 0)
    const [fault] = store.recovery.damaged
    assert.equal(fault?.code, 'store.damaged')
    const damage = log.damage!
    assert.ok(damage.at > 0 && damage.at < 120)
    assert.ok(fault!.message.includes(path(0)), fault!.message)
    assert.match(fault!.message, /at byte \d+/)
    assert.equal(log.end, 120)
    const good = await readAll(log, 0, damage.at)
    assert.deepEqual(good, batches.slice(0, damage.at / 3))
    await assert.rejects(log.read(damage.at, 1e6, log.durable), { code: 'store.damaged' })
    await assert.rejects(log.read(at(119), 1e6, log.durable), { code: 'store.damaged' })
    assert.throws(() => log.append(batch(1)), { code: 'store.damaged' })
    // The rest of the store works.
    await takesMore(store.partition('orders~1/1', config))
    await store.close()
    assert.deepEqual(fileBytes(after, path(0)), bytes)

    const again = await reopened(after)
    assert.equal(again.log.damage?.at, damage.at)
    assert.deepEqual(fileBytes(after, path(0)), bytes)
    await again.store.close()
  })

onEachDisk('damage found by a reader after a clean stop is a fault that names file and position', async (place) => {
  let { store, log } = await reopened(place)
  const batches = await fill(log, 40)
  await store.close()
  const size = batches[0]!.length
  overwrite(place, path(0), size * 10 + 70, flip(fileBytes(place, path(0)).subarray(size * 10 + 70), 0).subarray(0, 1))
  ;({ store, log } = await reopened(place))
  assert.equal(store.recovery.clean, true)
  assert.deepEqual(await readAll(log, 0, 30), batches.slice(0, 10))
  await assert.rejects(log.read(at(30), 1e6, log.durable), (fault: unknown) => {
    assert.ok(fault instanceof Fault && fault.code === 'store.damaged')
    assert.deepEqual(fault.facts, {
      file: `${place.dir}/${path(0)}`,
      position: size * 10,
      what: 'the checksum is wrong',
    })
    return true
  })
  assert.equal(place.faults.at(-1)?.code, 'store.damaged')
  await store.close()
})

onEachDisk('where a reader has found damage nothing is appended, also after a restart', async (place) => {
  let { store, log } = await inSegments(place)
  const batches = await fill(log, 300)
  const size = batches[0]!.length
  await store.close()
  const whole = fileBytes(place, path(0))
  overwrite(place, path(0), size * 10 + 70, flip(whole.subarray(size * 10 + 70), 0).subarray(0, 1))
  const files = (): string[] => place.world.disk.list(`${place.dir}/topics/orders~1/0`)
  const before = files()
  for (let start = 0; start < 4; start++) {
    ;({ store, log } = await inSegments(place))
    if (start === 0) {
      // Nobody has looked at it yet.
      assert.equal(log.damage, null)
      await assert.rejects(log.read(at(30), 1e6, log.durable), { code: 'store.damaged' })
    }
    assert.equal(log.damage?.at, 30)
    assert.equal(log.end, 900)
    assert.equal(store.recovery.damaged.length, 1)
    assert.deepEqual(await readAll(log, 0, 30), batches.slice(0, 10))
    for (const from of [30, 400, 897])
      await assert.rejects(log.read(at(from), 1e6, log.durable), { code: 'store.damaged' })
    assert.throws(() => log.append(batch(1)), { code: 'store.damaged' })
    assert.deepEqual(log.sealed(log.end), [])
    await takesMore(store.partition('orders~1/1', config))
    await store.close()
    assert.deepEqual(
      files().filter((name) => !/offsets|times/.test(name)),
      before.filter((name) => !/offsets|times/.test(name)),
    )
  }
  // The file is put back: the log is whole.
  overwrite(place, path(0), 0, whole)
  ;({ store, log } = await inSegments(place))
  assert.equal(log.damage, null)
  assert.deepEqual(await readAll(log), batches)
  assert.equal(log.append(batch(1)).baseOffset, 900)
  await log.whenDurable(log.end)
  await store.close()
})

afterKill(
  'damage in one of several segments leaves the later ones alone, and goes when it is mended',
  async (place, kill) => {
    const { store, log } = await inSegments(place)
    const batches = await fill(log, 300)
    // A checkpoint that knows of some of the segments, then more.
    await store.close()
    const again = await inSegments(place)
    batches.push(...(await fill(again.log, 100)))
    const after = kill()
    const folder = (): string[] =>
      after.world.disk.list(`${after.dir}/topics/orders~1/0`).filter((name) => name.endsWith('.log'))
    const before = folder()
    const damaged = `topics/orders~1/0/${before.at(-2)!}`
    const whole = fileBytes(after, damaged)
    overwrite(after, damaged, 500, Buffer.alloc(300))
    for (let start = 0; start < 3; start++) {
      const { store: found, log: bad } = await inSegments(after)
      assert.equal(found.recovery.damaged.length, 1, `start ${start}`)
      assert.equal(bad.end, 1200)
      assert.ok(bad.damage !== null && bad.damage.at < 1200)
      assert.throws(() => bad.append(batch(1)), { code: 'store.damaged' })
      await found.close()
      assert.deepEqual(folder(), before, `start ${start}`)
    }
    overwrite(after, damaged, 0, whole)
    const mended = await inSegments(after)
    assert.equal(mended.log.damage, null)
    assert.deepEqual(await readAll(mended.log), batches)
    assert.equal(mended.log.append(batch(1)).baseOffset, 1200)
    await mended.store.close()
  },
)

for (const [what, spoil] of [
  ['is gone', (place: Place) => place.world.disk.remove(`${place.dir}/${path(0)}`)],
  ['is shorter', (place: Place) => truncate(place, path(0), 5000)],
] as const)
  onEachDisk(`a segment that ${what} after a clean stop is damage`, async (place) => {
    let { store, log } = await reopened(place)
    await fill(log, 40)
    await store.close()
    spoil(place)
    ;({ store, log } = await reopened(place))
    assert.throws(() => log.append(batch(1)), { code: 'store.damaged' })
    await assert.rejects(log.read(at(100), 1e6, log.durable), { code: 'store.damaged' })
    assert.equal(log.end, 120)
    await store.close()
    ;({ store, log } = await reopened(place))
    assert.equal(store.recovery.damaged[0]?.code, 'store.damaged')
    assert.throws(() => log.append(batch(1)), { code: 'store.damaged' })
    await store.close()
  })

onEachDisk('indexes that are gone or wrong are made again', async (place) => {
  let { store, log } = await reopened(place)
  const batches = await fill(log, 200)
  await store.close()
  for (const [i, spoil] of [
    () => place.world.disk.remove(`${place.dir}/${path(0, 'offsets')}`),
    () => place.world.disk.remove(`${place.dir}/${path(0, 'times')}`),
    () => overwrite(place, path(0, 'offsets'), 41, Buffer.from('?')),
    () => overwrite(place, path(0, 'times'), 41, Buffer.from('?')),
    () => truncate(place, path(0, 'offsets'), 70),
    () => truncate(place, path(0, 'times'), 40),
  ].entries()) {
    spoil()
    ;({ store, log } = await reopened(place))
    assert.deepEqual(await readAll(log, 300), batches.slice(100), `case ${i}`)
    assert.equal(log.findTime(1_700_000_000_150), 447 - 3, `case ${i}`)
    log.append(batch(1))
    await log.whenDurable(log.end)
    await store.close()
    batches.push(
      ...(await (async () => {
        const again = await reopened(place)
        const last = await readAll(again.log, again.log.end - 1)
        await again.store.close()
        return last
      })()),
    )
  }
})

onEachDisk('a journal whose beginning is damaged is reported, kept and made again', async (place) => {
  let { store, log } = await reopened(place)
  const batches = await fill(log, 40)
  await log.trim(at(10))
  await store.close()
  overwrite(place, 'synced.log', 20, Buffer.from('?'))
  ;({ store, log } = await reopened(place))
  assert.equal(store.recovery.clean, false)
  assert.equal(store.recovery.damaged[0]?.code, 'store.damaged')
  assert.equal(log.damage, null)
  assert.equal(log.leaderEpoch, 1)
  assert.equal(log.start, 10)
  assert.deepEqual(await readAll(log), batches.slice(3))
  await takesMore(log)
  await store.close()
  assert.notEqual(place.world.disk.stat(`${place.dir}/synced.log.damaged`), null)
  ;({ store, log } = await reopened(place))
  assert.equal(store.recovery.clean, true)
  await store.close()
})

for (const [what, text, code] of [
  ['of a newer program', '{"format":2,"instanceId":"x","crc32c":"00000000"}', 'store.format-too-new'],
  ['with a wrong checksum', '{"format":1,"instanceId":"x","crc32c":"00000000"}', 'store.damaged'],
  ['that is no JSON', 'nonsense', 'store.damaged'],
  ['that is empty', '', 'store.damaged'],
] as const)
  onEachDisk(`a folder with a meta.json ${what} is not opened`, async (place) => {
    const { store, log } = await reopened(place)
    await fill(log, 1)
    await store.close()
    truncate(place, 'meta.json', 0)
    overwrite(place, 'meta.json', 0, Buffer.from(text))
    await assert.rejects(place.open(), { code })
    assert.equal(fileBytes(place, 'meta.json').toString(), text)
    place.world.disk.remove(`${place.dir}/meta.json`)
    await assert.rejects(place.open(), { code: 'store.damaged' })
    assert.equal(place.world.disk.stat(`${place.dir}/meta.json`), null)
  })

test('a failed sync fences the log until a new segment could be synced, and its file is never written again', () =>
  inSimulation(async (place, machine) => {
    const store = await place.open({ hotBytes: 0 })
    const log = store.partition(name, oneSegment)
    const batches = await fill(log, 10)
    let failures = 5
    const writes: string[] = []
    machine.disk.plan = ({ operation, path: file }) => {
      if (operation === 'write') writes.push(file)
      return operation === 'datasync' && file.includes(name) && failures-- > 0 ? { code: 'EIO' } : null
    }
    const cuts: number[] = []
    log.onCut((end) => void cuts.push(end))
    log.append(batch(3))
    log.append(batch(3))
    const waits = [log.whenDurable(at(33)), log.whenDurable(at(36))]
    for (const wait of waits) await assert.rejects(wait, { code: 'store.failed' })
    assert.equal(log.end, 30)
    assert.equal(log.durable, 30)
    assert.deepEqual(cuts, [30])
    assert.throws(() => log.append(batch(1)), { code: 'store.failed' })
    assert.deepEqual(await readAll(log), batches)
    writes.length = 0
    await machine.clock.sleep(10_000)
    const more = await fill(log, 3)
    assert.ok(!writes.some((file) => file.endsWith(path(0))), 'the file that failed was written again')
    assert.deepEqual(await readAll(log), [...batches, ...more])
    machine.disk.plan = null
    await store.close()
    const again = await reopened(place)
    assert.deepEqual(await readAll(again.log), [...batches, ...more])
    await again.store.close()
  }))

test('a fence with nothing durable puts the file aside', () =>
  inSimulation(async (place, machine) => {
    const store = await place.open()
    const log = store.partition(name, oneSegment)
    let failures = 1
    machine.disk.plan = ({ operation, path: file }) =>
      operation === 'datasync' && file.endsWith(path(0)) && failures-- > 0 ? { code: 'EIO' } : null
    log.append(batch(3))
    await assert.rejects(log.whenDurable(at(3)), { code: 'store.failed' })
    await machine.clock.sleep(1000)
    const batches = await fill(log, 3)
    assert.deepEqual(await readAll(log), batches)
    assert.notEqual(machine.disk.stat(`/data/${path(0, 'torn')}`), null)
    await store.close()
  }))

test('a file that could not be put aside at once does not take its successor with it later', async () => {
  const machine = simulate(7)
  const open = (): Promise<Store> => openStore({ world: machine, dir: '/data', hotBytes: 0 })
  let batches: Buffer[] = []
  await machine.run(async () => {
    const log = (await open()).partition(name, oneSegment)
    // The first write makes the file and fails; so does putting it aside.
    let failing = ['write', 'rename']
    machine.disk.plan = ({ operation, path: file }) => {
      if (!file.includes(name) || operation !== failing[0]) return null
      failing = failing.slice(1)
      return { code: operation === 'write' ? 'ENOSPC' : 'EIO', written: 20 }
    }
    log.append(batch(3))
    await assert.rejects(log.whenDurable(at(3)), { code: 'store.full' })
    assert.deepEqual(failing, [])
    // Intake goes on when the guard has seen free space; offset 0 is then written to a file of the same name.
    await machine.clock.sleep(10_000)
    batches = await fill(log, 10)
    let failures = 1
    machine.disk.plan = ({ operation, path: file }) =>
      operation === 'datasync' && file.endsWith(path(0)) && failures-- > 0 ? { code: 'EIO' } : null
    log.append(batch(3))
    await assert.rejects(log.whenDurable(at(33)), { code: 'store.failed' })
    assert.deepEqual(await readAll(log), batches)
  })
  machine.kill()
  machine.disk.plan = null
  await machine.run(async () => {
    const store = await open()
    assert.deepEqual(store.recovery.damaged, [])
    assert.deepEqual(await readAll(store.partition(name, oneSegment)), batches)
    await store.close()
  })
})

test('a process that dies behind a fence does not believe the rest of the file', async () => {
  const machine = simulate(5)
  const open = (): Promise<Store> => openStore({ world: machine, dir: '/data' })
  await machine.run(async () => {
    const log = (await open()).partition(name, oneSegment)
    await fill(log, 10)
    // Nothing can be synced any more, nor any new file made.
    machine.disk.plan = ({ operation, path: file }) =>
      (operation === 'datasync' || operation === 'open') && file.includes(name) ? { code: 'EIO' } : null
    log.append(batch(3))
    await assert.rejects(log.whenDurable(at(33)), { code: 'store.failed' })
  })
  machine.kill()
  machine.disk.plan = null
  await machine.run(async () => {
    const store = await open()
    const log = store.partition(name, oneSegment)
    assert.equal(log.end, 30)
    await fill(log, 2)
    await store.close()
  })
})

test('intake stops before the disk is full, says so, and goes on when there is space', () =>
  inSimulation(async (place, machine) => {
    machine.disk.capacityBytes = 200_000
    const store = await place.open({ reserveBytes: 50_000, hotBytes: 0 })
    const log = store.partition(name, config)
    let full: unknown = null
    let batches: Buffer[] = []
    while (full === null) {
      try {
        batches.push(...(await fill(log, 1)))
      } catch (error) {
        full = error
      }
    }
    assert.ok(full instanceof Fault && full.code === 'store.full')
    assert.ok(machine.disk.free('/data') >= 45_000, String(machine.disk.free('/data')))
    assert.deepEqual(await readAll(log), batches)
    assert.throws(() => log.append(batch(1)), { code: 'store.full' })
    await log.trim(at(200))
    await machine.clock.sleep(1000)
    batches = batches.slice(66)
    batches.push(...(await fill(log, 10)))
    assert.deepEqual(await readAll(log), batches)
    await store.close()
  }))

test('a disk that fills up all the same takes nothing back that was answered', () =>
  inSimulation(async (place, machine) => {
    machine.disk.capacityBytes = 60_000
    const store = await place.open({ reserveBytes: 0, hotBytes: 0 })
    const log = store.partition(name, config)
    const batches: Buffer[] = []
    const codes = new Set<string>()
    for (let i = 0; i < 400; i++) {
      try {
        batches.push(...(await fill(log, 1)))
      } catch (error) {
        assert.ok(error instanceof Fault)
        codes.add(error.code)
        await machine.clock.sleep(100)
      }
    }
    assert.deepEqual([...codes], ['store.full'])
    assert.deepEqual(await readAll(log), batches)
    machine.disk.capacityBytes = 1e9
    await machine.clock.sleep(1000)
    batches.push(...(await fill(log, 10)))
    assert.deepEqual(await readAll(log), batches)
    await store.close()
  }))

test('every failing call of a recovery is a clear fault, and the next one finds everything', async () => {
  let isReached = true
  let call = 0
  for (; isReached; call++) {
    for (const code of ['EIO', 'power'] as const) {
      const machine = simulate(call % 7)
      const open = (): Promise<Store> => openStore({ world: machine, dir: '/data' })
      let batches: Buffer[] = []
      await machine.run(async () => {
        const log = (await open()).partition(name, { ...config, segmentBytes: 3000 })
        batches = await fill(log, 20)
        for (let i = 0; i < 10; i++) log.append(batch(3))
        await log.whenWritten(log.end)
      })
      machine.powerCut()
      const first = machine.disk.calls
      isReached = false
      machine.disk.plan = ({ number }) => {
        if (number !== first + call) return null
        isReached = true
        return { code, written: 1 }
      }
      const opening = open().then(
        () => {},
        (error: unknown) => assert.ok(error instanceof Fault || code === 'power', String(error)),
      )
      await machine.run(() => Promise.race([opening, machine.clock.sleep(10_000)]))
      machine.disk.plan = null
      if (code === 'power') machine.powerCut()
      else machine.kill()
      await machine.run(async () => {
        const store = await open()
        assert.deepEqual(store.recovery.damaged, [], `call ${call}`)
        const log = store.partition(name, config)
        assert.deepEqual((await readAll(log)).slice(0, 20), batches, `call ${call}`)
        await takesMore(log)
        await store.close()
      })
    }
  }
  assert.ok(call > 20)
})
