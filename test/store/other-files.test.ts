/** Segments that changed places between partitions: their names, offsets and checksums are right, and they are others. */
import assert from 'node:assert/strict'
import { Fault } from '../../src/lib/fault.ts'
import { examine } from '../../src/store/examine.ts'
import type { PartitionLog } from '../../src/store/store.ts'
import {
  afterKill,
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

const one = 'orders~1/0'
const two = 'orders~1/1'
const dirs = [one, two] as const
const segments = (place: Place, dir = one): string[] =>
  place.world.disk.list(`${place.dir}/topics/${dir}`).filter((file) => file.endsWith('.log'))
const baseOf = (file: string): number => Number(file.slice(0, 20))

/** Two partitions of the same offsets, sizes and times; only what their records hold differs. */
async function written(place: Place): Promise<readonly [Buffer[], Buffer[]]> {
  const store = await place.open()
  const of = async (dir: string, timeMs: number): Promise<Buffer[]> => fill(store.partition(dir, config), 200, timeMs)
  const all = [await of(one, 1_700_000_000_000), await of(two, 1_800_000_000_000)] as const
  await store.close()
  return all
}
function put(place: Place, path: string, bytes: Buffer): void {
  truncate(place, path, 0)
  overwrite(place, path, 0, bytes)
}
function swap(place: Place, file: string): void {
  const [a, b] = dirs.map((dir) => fileBytes(place, `topics/${dir}/${file}`))
  put(place, `topics/${one}/${file}`, b!)
  put(place, `topics/${two}/${file}`, a!)
}
const refused = (call: () => unknown): string => {
  try {
    call()
    return 'done'
  } catch (error) {
    assert.ok(error instanceof Fault)
    return error.message.includes('of another partition') ? 'of another partition' : error.message
  }
}
/** Reads as far as it goes. */
async function readable(log: PartitionLog): Promise<{ batches: Buffer[]; damagedAt: number | null }> {
  const batches = await readAll(log).catch(() => null)
  if (batches !== null) return { batches, damagedAt: null }
  assert.ok(log.damage !== null)
  return { batches: await readAll(log, log.start, log.damage.at), damagedAt: log.damage.at }
}
async function lookedAt(place: Place): Promise<Map<string, { from: number; to: number; what: string }[]>> {
  const folder = await examine({ world: place.world, dir: place.dir, mode: 'look' })
  try {
    return new Map(
      dirs.map((dir) => [dir, folder.check(dir).damaged.map(({ from, to, what }) => ({ from, to, what }))]),
    )
  } finally {
    await folder.close()
  }
}

onEachDisk('a segment in the middle: nothing of it is served, and what was put back is whole again', async (place) => {
  const [mine, others] = await written(place)
  const [, middle, next] = segments(place) as [string, string, string]
  swap(place, middle)
  const lost = { from: baseOf(middle), to: baseOf(next) }
  assert.deepEqual(
    await lookedAt(place),
    new Map([
      [one, [{ ...lost, what: `the file begins as that of ${two} did` }]],
      [two, [{ ...lost, what: `the file begins as that of ${one} did` }]],
    ]),
  )
  for (let start = 0; start < 3; start++) {
    const store = await place.open()
    for (const [dir, batches] of [
      [one, mine],
      [two, others],
    ] as const) {
      const log = store.partition(dir, config)
      const found = await readable(log)
      assert.equal(found.damagedAt, baseOf(middle), `start ${start}`)
      assert.deepEqual(found.batches, batches.slice(0, found.batches.length))
      assert.notEqual(
        refused(() => log.append(batch())),
        'done',
      )
    }
    await store.close()
  }
  swap(place, middle)
  const store = await place.open()
  for (const [dir, batches] of [
    [one, mine],
    [two, others],
  ] as const)
    assert.deepEqual(await readable(store.partition(dir, config)), { batches, damagedAt: null })
  await store.close()
})

onEachDisk('the segment that grows: nothing is appended to it', async (place) => {
  const [mine] = await written(place)
  const last = segments(place).at(-1)!
  swap(place, last)
  const store = await place.open()
  const log = store.partition(one, config)
  assert.equal(
    refused(() => log.append(batch())),
    'of another partition',
  )
  assert.equal(log.damage!.at, baseOf(last))
  const found = await readable(log)
  assert.deepEqual(found.batches, mine.slice(0, found.batches.length))
  await store.close()
  swap(place, last)
  const again = await place.open()
  const whole = again.partition(one, config)
  assert.equal(
    refused(() => whole.append(batch())),
    'done',
  )
  assert.deepEqual(await readAll(whole, 0, 600), mine)
  await again.close()
})

onEachDisk('a repair goes on without them and keeps their bytes', async (place) => {
  const [mine] = await written(place)
  const [, middle, next] = segments(place) as [string, string, string]
  swap(place, middle)
  const foreign = fileBytes(place, `topics/${one}/${middle}`)
  const folder = await examine({ world: place.world, dir: place.dir, mode: 'mend' })
  const mended = await folder.mend(one)
  await folder.close()
  assert.deepEqual(
    mended.map(({ from, to, bytes }) => [from, to, bytes]),
    [[baseOf(middle), baseOf(next), foreign.length]],
  )
  assert.deepEqual(fileBytes(place, mended[0]!.keptAs!.slice(place.dir.length + 1)), foreign)
  const store = await place.open()
  const log = store.partition(one, config)
  const all = (await readAll(log)).filter((bytes) => bytes.readInt32BE(57) > 0)
  const isLost = (bytes: Buffer): boolean => {
    const base = Number(bytes.readBigInt64BE(0))
    return base >= baseOf(middle) && base < baseOf(next)
  }
  assert.deepEqual(
    all,
    mine.filter((bytes) => !isLost(bytes)),
  )
  assert.equal(
    refused(() => log.append(batch())),
    'done',
  )
  await store.close()
})

onEachDisk('bits that flip in the first batch are damage of that batch alone', async (place) => {
  const [mine] = await written(place)
  const [, middle] = segments(place) as [string, string]
  const path = `topics/${one}/${middle}`
  put(place, path, flip(fileBytes(place, path), 18))
  const [range] = (await lookedAt(place)).get(one)!
  assert.deepEqual([range!.from, range!.to], [baseOf(middle), baseOf(middle) + 3])
  const store = await place.open()
  const found = await readable(store.partition(one, config))
  assert.equal(found.damagedAt, baseOf(middle))
  assert.deepEqual(found.batches, mine.slice(0, found.batches.length))
  await store.close()
})

onEachDisk('a folder from before such were noted opens, and from then on they are', async (place) => {
  const [mine] = await written(place)
  // As a checkpoint without them: nothing is known of a segment but where it ends.
  const path = `${place.dir}/synced.log`
  const file = place.world.disk.open(path, 'read')
  const bytes = Buffer.alloc(file.size())
  file.read(bytes, 0)
  file.close()
  const stored = JSON.parse(bytes.toString('utf8', 9)) as { partitions: { segments: { head?: number }[] }[] }
  for (const { segments: list } of stored.partitions)
    for (const segment of list) {
      assert.equal(typeof segment.head, 'number')
      delete segment.head
    }
  const { crc32c } = await import('@node-rs/crc32')
  const body = Buffer.concat([Buffer.of(1), Buffer.from(JSON.stringify(stored))])
  const head = Buffer.alloc(8)
  head.writeUInt32BE(body.length, 0)
  head.writeUInt32BE(crc32c(body, crc32c(Buffer.alloc(4))), 4)
  put(place, 'synced.log', Buffer.concat([head, body]))

  const [, middle] = segments(place) as [string, string]
  const store = await place.open()
  assert.deepEqual(await readAll(store.partition(one, config)), mine)
  await store.close()
  swap(place, middle)
  const again = await place.open()
  assert.equal((await readable(again.partition(one, config))).damagedAt, baseOf(middle))
  // Nobody had looked at this one.
  assert.equal((await readable(again.partition(two, config))).damagedAt, null)
  await again.close()
})

afterKill('after a kill: what a checkpoint knows is told apart', async (place, kill) => {
  const [mine] = await written(place)
  const store = await place.open()
  const log = store.partition(one, config)
  await fill(log, 20, 1_700_000_001_000)
  await fill(store.partition(two, config), 20, 1_800_000_001_000)
  const after = kill()
  const [, middle] = segments(after) as [string, string]
  swap(after, middle)
  for (let start = 0; start < 2; start++) {
    const opened = await after.open()
    const found = await readable(opened.partition(one, config))
    assert.equal(found.damagedAt, baseOf(middle), `start ${start}`)
    assert.deepEqual(found.batches, mine.slice(0, found.batches.length))
    await opened.close()
  }
})
