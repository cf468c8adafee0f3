/** A folder that nobody holds: looked at without a byte of it being changed, and mended without a byte being lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../src/lib/sim/random.ts'
import { type Simulation, simulate } from '../../src/lib/sim/world.ts'
import type { World } from '../../src/lib/world.ts'
import { readBatchHeader } from '../../src/store/batch-header.ts'
import { type DamagedRange, examine, type PartitionReport } from '../../src/store/examine.ts'
import { openStore } from '../../src/store/open.ts'
import {
  batch,
  config,
  fileBytes,
  fill,
  flip,
  onEachDisk,
  overwrite,
  type Place,
  readAll,
  truncate,
} from './support.ts'

const name = 'orders~1/0'
const folder = `topics/${name}`
const segments = (place: Place): string[] =>
  place.world.disk.list(`${place.dir}/${folder}`).filter((file) => file.endsWith('.log'))

/** 300 batches of 3 records in several segments, closed cleanly. */
async function filled(place: Place): Promise<Buffer[]> {
  const store = await place.open()
  const batches = await fill(store.partition(name, config), 300)
  await fill(store.partition('orders~1/1', config), 5)
  await store.close()
  return batches
}
async function look({ world, dir }: { world: World; dir: string }): Promise<PartitionReport> {
  const folder = await examine({ world, dir, mode: 'look' })
  try {
    return folder.check(name)
  } finally {
    await folder.close()
  }
}
async function mend({ world, dir }: { world: World; dir: string }): ReturnType<typeof mended> {
  return mended(world, dir)
}
async function mended(world: World, dir: string) {
  const folder = await examine({ world, dir, mode: 'mend' })
  try {
    return await folder.mend(name)
  } finally {
    await folder.close()
  }
}
function everything(place: Place): Map<string, string> {
  const found = new Map<string, string>()
  const visit = (path: string): void => {
    for (const each of place.world.disk.list(`${place.dir}${path}`)) {
      const at = `${path}/${each}`
      if (at === '/lock') continue
      if (place.world.disk.stat(`${place.dir}${at}`)!.directory) visit(at)
      else found.set(at, fileBytes(place, at.slice(1)).toString('base64'))
    }
  }
  visit('')
  return found
}
const baseOf = (bytes: Buffer): number => Number(bytes.readBigInt64BE(0))
/** Those of which no offset is lost. */
const withoutLost = (batches: readonly Buffer[], lost: readonly DamagedRange[]): Buffer[] =>
  batches.filter((bytes) => !lost.some(({ from, to }) => baseOf(bytes) < to && baseOf(bytes) + 3 > from))

onEachDisk('a whole folder is called whole, and nothing of it is changed', async (place) => {
  const batches = await filled(place)
  const before = everything(place)
  const report = await look(place)
  assert.deepEqual(everything(place), before)
  assert.deepEqual(report.damaged, [])
  assert.deepEqual([report.start, report.end, report.batches, report.records], [0, 900, 300, 900])
  assert.equal(report.bytes, Buffer.concat(batches).length)
  assert.equal(report.segments, segments(place).length)
  assert.ok(report.indexEntries > 10)
  assert.equal(report.badIndexEntries, 0)
  await assert.rejects(
    async () => {
      const store = await place.open()
      try {
        await look(place)
      } finally {
        await store.close()
      }
    },
    { code: 'store.locked' },
  )
})

onEachDisk('what a start would do is said and not done', async (place) => {
  await filled(place)
  // As a process that died would leave it: no clean end of synced.log, and a torn tail.
  overwrite(place, 'synced.log', fileBytes(place, 'synced.log').length, Buffer.from([0]))
  truncate(place, 'synced.log', fileBytes(place, 'synced.log').length - 1)
  const store = await place.open()
  await fill(store.partition(name, config), 1)
  const copy = everything(place)
  await store.close()
  for (const [path, bytes] of copy) {
    truncate(place, path.slice(1), 0)
    overwrite(place, path.slice(1), 0, Buffer.from(bytes, 'base64'))
  }
  const last = `${folder}/${segments(place).at(-1)!}`
  overwrite(place, last, fileBytes(place, last).length, Buffer.from('torn'))
  const before = everything(place)
  const { world, dir } = place
  const examined = await examine({ world, dir, mode: 'look' })
  assert.equal(examined.recovery.clean, false)
  assert.deepEqual(
    examined.recovery.torn.map(({ bytes }) => bytes),
    [4],
  )
  assert.deepEqual(examined.check(name).damaged, [])
  assert.equal(examined.check(name).end, 903)
  assert.equal(examined.check(name).setAside.length, 1)
  await examined.close()
  assert.deepEqual(everything(place), before)
})

const spoilers: readonly [
  what: string,
  spoil: (place: Place, path: string, size: number) => void,
  lost: [from: number, to: number],
][] = [
  [
    'a flipped bit',
    (place, path, size) =>
      overwrite(place, path, size * 4 + 70, flip(fileBytes(place, path).subarray(size * 4 + 70), 0).subarray(0, 1)),
    [12, 15],
  ],
  [
    'zeros over two batches',
    (place, path, size) => overwrite(place, path, size * 4 + 50, Buffer.alloc(size)),
    [12, 18],
  ],
  ['a lost end', (place, path, size) => truncate(place, path, size * 4 + 10), [12, Infinity]],
  ['a lost file', (place, path) => place.world.disk.remove(`${place.dir}/${path}`), [0, Infinity]],
]
for (const [what, spoil, [from, to]] of spoilers)
  for (const which of [0, 1, -1])
    onEachDisk(`${what} in segment ${which} is found, kept and given up`, async (place) => {
      const batches = await filled(place)
      const size = batches[0]!.length
      const names = segments(place)
      const file = `${folder}/${names.at(which)!}`
      const base = Number(names.at(which)!.slice(0, 20))
      const next = which === -1 ? 900 : Number(names[which + 1]!.slice(0, 20))
      const whole = fileBytes(place, file)
      spoil(place, file, size)
      const spoiled = place.world.disk.stat(`${place.dir}/${file}`) === null ? null : fileBytes(place, file)
      const report = await look(place)
      const expected = { from: base + from, to: Math.min(next, base + to) }
      assert.deepEqual(
        report.damaged.map(({ from: first, to: last, file: path }) => ({ from: first, to: last, path })),
        [{ from: expected.from, to: expected.to, path: `${place.dir}/${file}` }],
      )
      const [range] = report.damaged
      const kept = await mend(place)
      assert.equal(kept.length, 1)
      const bytes = spoiled?.subarray(range!.position, range!.position + range!.bytes) ?? Buffer.alloc(0)
      if (kept[0]!.keptAs === null) assert.equal(bytes.length, 0)
      else assert.deepEqual(fileBytes(place, kept[0]!.keptAs.slice(place.dir.length + 1)), bytes)
      if (what === 'a flipped bit') assert.equal(bytes.length, size)

      assert.deepEqual((await look(place)).damaged, [])
      for (let start = 0; start < 2; start++) {
        const store = await place.open({ hotBytes: 0 })
        const log = store.partition(name, config)
        assert.equal(log.damage, null)
        assert.deepEqual(store.recovery.damaged, [])
        const found = (await readAll(log, 0, 900)).filter((one) => readBatchHeader(one).recordCount > 0)
        assert.deepEqual(found, withoutLost(batches, report.damaged))
        assert.equal(log.append(batch(3)).baseOffset, 900 + 3 * start)
        await log.whenDurable(log.end)
        await store.close()
      }
      assert.ok(whole.length > 0)
    })

onEachDisk('small files that are not what was written are named, and set aside', async (place) => {
  await filled(place)
  overwrite(place, `${folder}/producers.snapshot`, 0, Buffer.from('nonsense'))
  assert.deepEqual((await look(place)).badFiles, ['producers.snapshot'])
  await mend(place)
  assert.deepEqual((await look(place)).badFiles, [])
  assert.equal(fileBytes(place, `${folder}/producers.snapshot.damaged`).toString(), 'nonsense')
})

/** A folder on a simulated disk with bytes of some segments overwritten at random; returns its batches. */
async function spoiledAtRandom(machine: Simulation, random: SeededRandom): Promise<Buffer[]> {
  const batches = await machine.run(async () => {
    const store = await openStore({ world: machine, dir: '/data' })
    const written = await fill(store.partition(name, config), 120)
    if (random.chance(0.5)) await store.close()
    return written
  })
  machine.kill()
  const files = machine.disk.paths(`/data/${folder}`).filter((path) => path.endsWith('.log'))
  for (let count = random.between(1, 4); count > 0; count--) {
    const path = random.pick(files)
    const size = machine.disk.contents(path).length
    if (size === 0) continue
    const file = machine.disk.open(path, 'write')
    const position = random.between(0, size - 1)
    const length = random.pick([1, 20, 400, 2000])
    if (random.chance(0.2)) file.truncate(position)
    else file.write([random.chance(0.3) ? Buffer.alloc(length) : Buffer.from(random.bytes(length))], position)
    file.close()
  }
  machine.disk.settle()
  return batches
}
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32))

test('whatever was overwritten: every batch that is as written is there after a repair, and no other', async (t) => {
  t.diagnostic(`SEED=${seed}`)
  let damagedRuns = 0
  for (let run = 0; run < 60; run++) {
    const machine = simulate(seed + run)
    const random = new SeededRandom(seed + run, 'spoil')
    const batches = await spoiledAtRandom(machine, random)
    await machine.run(async () => {
      const world = { world: machine, dir: '/data' }
      const report = await look(world)
      if (report.damaged.length > 0) damagedRuns++
      await mend(world)
      const store = await openStore({ world: machine, dir: '/data', hotBytes: 0 })
      const log = store.partition(name, config)
      assert.equal(log.damage, null)
      const found = (await readAll(log)).filter((one) => readBatchHeader(one).recordCount > 0)
      // A torn tail, above what was durable, is cut as at any start.
      const expected = withoutLost(batches, report.damaged).filter((one) => baseOf(one) < report.end)
      assert.deepEqual(found.map(baseOf), expected.map(baseOf), `run ${run}`)
      assert.deepEqual(found, expected, `run ${run}`)
      await store.close()
    })
  }
  assert.ok(damagedRuns > 20, `${damagedRuns} runs with damage`)
})

test('a power cut or a kill at any call of a repair leaves it to be done again, with nothing lost', async (t) => {
  let at = 0
  for (let isReached = true; isReached; at++) {
    const machine = simulate(7)
    const batches = await spoiledAtRandom(machine, new SeededRandom(4, 'spoil'))
    const world = { world: machine, dir: '/data' }
    const report = await machine.run(() => look(world))
    assert.ok(report.damaged.length > 0)
    const lost = report.damaged.map(({ file, position, bytes }) =>
      bytes === 0
        ? ''
        : machine.disk
            .contents(file)
            .subarray(position, position + bytes)
            .toString('hex'),
    )
    const first = machine.disk.calls + at
    isReached = false
    machine.disk.plan = ({ number }) => {
      if (number < first) return null
      isReached = true
      return { code: 'power', written: 100 }
    }
    const repairing = mend(world).catch(() => undefined)
    await machine.run(() => Promise.race([repairing, machine.clock.sleep(10_000)]))
    machine.disk.plan = null
    if (at % 2 === 0) machine.powerCut()
    else machine.kill()
    await machine.run(async () => {
      await mend(world)
      const store = await openStore({ world: machine, dir: '/data', hotBytes: 0 })
      const log = store.partition(name, config)
      assert.equal(log.damage, null, `call ${at}`)
      const found = (await readAll(log)).filter((one) => readBatchHeader(one).recordCount > 0)
      assert.deepEqual(found.map(baseOf), withoutLost(batches, report.damaged).map(baseOf), `call ${at}`)
      await store.close()
    })
    const kept = machine.disk
      .paths(`/data/${folder}`)
      .filter((path) => path.includes('.damaged'))
      .map((path) => machine.disk.contents(path).toString('hex'))
    for (const bytes of lost) assert.ok(bytes === '' || kept.includes(bytes), `call ${at}: damaged bytes are kept`)
  }
  t.diagnostic(`${at} calls`)
  assert.ok(at > 20)
})
