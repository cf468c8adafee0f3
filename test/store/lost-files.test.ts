/** Files that are gone, or in the place of others: what is intact beside them is never lost without a word. */
import assert from 'node:assert/strict'
import { offset } from '../../src/lib/brand.ts'
import { readBatchHeader } from '../../src/store/batch-header.ts'
import { examine } from '../../src/store/examine.ts'
import type { Store } from '../../src/store/store.ts'
import { afterKill, batch, config, fill, flip, fileBytes, overwrite, type Place, readAll } from './support.ts'

const name = 'orders~1/0'
const other = 'orders~1/1'
const folder = `topics/${name}`
const segments = (place: Place): string[] =>
  place.world.disk.list(`${place.dir}/${folder}`).filter((file) => file.endsWith('.log'))
const basesOf = (batches: readonly Uint8Array[]): number[] => batches.map((one) => readBatchHeader(one).baseOffset)

/** Batches in several segments; no checkpoint has seen any of them. */
async function written(place: Place): Promise<{ store: Store; batches: Buffer[] }> {
  const store = await place.open()
  const batches = await fill(store.partition(name, config), 200)
  await fill(store.partition(other, config), 200)
  return { store, batches }
}
async function damageAt(place: Place): Promise<number | null> {
  const store = await place.open()
  const log = store.partition(name, config)
  // After a clean stop files are looked at when they are needed.
  await log.read(log.start, 1, log.end).catch(() => null)
  const { damage } = log
  await store.close()
  return damage === null ? null : damage.at
}
/** Ranges of offsets that a look and a repair say are lost. */
async function repaired({ world, dir }: Place): Promise<(readonly [number, number])[]> {
  const looked = await examine({ world, dir, mode: 'look' })
  const seen = looked.check(name).damaged.map(({ from, to }) => [from, to] as const)
  await looked.close()
  const mending = await examine({ world, dir, mode: 'mend' })
  const mended = (await mending.mend(name)).map(({ from, to }) => [from, to] as const)
  assert.deepEqual(mended, seen, 'what a look says is what a repair does')
  await mending.close()
  return mended
}
/** What can be read after a repair, without the empty batches in the place of what is lost. */
async function leftOf(place: Place): Promise<number[]> {
  const store = await place.open()
  const log = store.partition(name, config)
  assert.equal(log.damage, null)
  const all = await readAll(log)
  const next = log.append(batch(1))
  assert.equal(next.baseOffset, 600, 'no offset is given out twice')
  await log.whenDurable(log.end)
  await store.close()
  return basesOf(all.filter((one) => readBatchHeader(one).recordCount > 0))
}

afterKill('the first segment is gone: every start says so, and a repair keeps the others', async (place, kill) => {
  const { batches } = await written(place)
  const after = kill()
  const [first, second] = segments(after) as [string, string]
  after.world.disk.remove(`${after.dir}/${folder}/${first}`)
  const begin = Number(second.slice(0, 20))
  for (let i = 0; i < 3; i++) assert.equal(await damageAt(after), 0, `start ${i}`)
  assert.deepEqual(await repaired(after), [[0, begin]])
  assert.deepEqual(
    await leftOf(after),
    basesOf(batches).filter((base) => base >= begin),
  )
})

afterKill('the first segment is put back after starts without it', async (place, kill) => {
  const { batches } = await written(place)
  const after = kill()
  const [first] = segments(after) as [string]
  const kept = fileBytes(after, `${folder}/${first}`)
  after.world.disk.remove(`${after.dir}/${folder}/${first}`)
  for (let i = 0; i < 2; i++) assert.equal(await damageAt(after), 0)
  overwrite(after, `${folder}/${first}`, 0, kept)
  assert.equal(await damageAt(after), null)
  assert.deepEqual(await leftOf(after), basesOf(batches))
})

for (const clean of [true, false])
  afterKill(
    `the folder is gone (${clean ? 'clean stop' : 'killed'}): a repair says what that is`,
    async (place, kill) => {
      const { store } = await written(place)
      if (clean) await store.close()
      const after = clean ? place : kill()
      after.world.disk.remove(`${after.dir}/${folder}`)
      assert.equal(await damageAt(after), 0)
      const lost = await repaired(after)
      assert.deepEqual([lost[0]![0], lost.at(-1)![1]], [0, 600])
      assert.deepEqual(await leftOf(after), [])
    },
  )

afterKill(
  'the journal is gone and a segment damaged: a repair keeps all else, the last segment too',
  async (place, kill) => {
    const { batches } = await written(place)
    const after = kill()
    after.world.disk.remove(`${after.dir}/synced.log`)
    const [, second] = segments(after) as [string, string]
    const path = `${folder}/${second}`
    overwrite(after, path, 0, flip(fileBytes(after, path), 100))
    const begin = Number(second.slice(0, 20))
    assert.equal(await damageAt(after), begin)
    const [broken] = await repaired(after)
    assert.deepEqual(broken, [begin, begin + 3])
    assert.deepEqual(
      await leftOf(after),
      basesOf(batches).filter((base) => base !== begin),
    )
  },
)

afterKill('the start of another partition moves none', async (place, kill) => {
  const { store, batches } = await written(place)
  await store.partition(other, config).trim(offset(300))
  const after = kill()
  overwrite(after, `${folder}/log-start`, 0, fileBytes(after, `topics/${other}/log-start`))
  assert.equal(await damageAt(after), null)
  assert.deepEqual(await leftOf(after), basesOf(batches))
})

afterKill(
  'a segment under a name of compaction is kept where the one it would replace is gone',
  async (place, kill) => {
    await written(place)
    const after = kill()
    const [first] = segments(after) as [string]
    const path = `${after.dir}/${folder}/${first}`
    after.world.disk.rename(path, path.replace('.log', '.c1.log'))
    const stray = path.replace('.log', '.c1.log')
    assert.equal(await damageAt(after), 0)
    assert.notEqual(after.world.disk.stat(stray), null)
  },
)

afterKill('a folder with the name of a segment is none', async (place, kill) => {
  const { batches } = await written(place)
  const after = kill()
  after.world.disk.makeDirectory(`${after.dir}/${folder}/${'11'.padStart(20, '0')}.log`)
  assert.equal(await damageAt(after), null)
  assert.deepEqual(await repaired(after), [])
  assert.deepEqual(await leftOf(after), basesOf(batches))
})
