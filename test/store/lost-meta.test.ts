/** A folder without its meta.json is not opened to be served; it is looked at, and a repair gives it another one. */
import assert from 'node:assert/strict'
import { examine } from '../../src/store/examine.ts'
import { config, fileBytes, fill, onEachDisk, overwrite, readAll, truncate } from './support.ts'

const name = 'orders~1/0'

for (const [what, text] of [
  ['is missing', null],
  ['has a wrong checksum', '{"format":1,"instanceId":"x","crc32c":"00000000"}'],
  ['is empty', ''],
] as const)
  onEachDisk(`meta.json ${what}: verify says so, repair goes on with another`, async (place) => {
    const { world, dir } = place
    const store = await place.open()
    const { instanceId } = store
    const batches = await fill(store.partition(name, config), 100)
    await store.close()
    if (text === null) world.disk.remove(`${dir}/meta.json`)
    else {
      truncate(place, 'meta.json', 0)
      overwrite(place, 'meta.json', 0, Buffer.from(text))
    }
    await assert.rejects(place.open(), { code: 'store.damaged' })

    const looked = await examine({ world, dir, mode: 'look' })
    assert.deepEqual(
      looked.damagedFiles.map(({ facts }) => facts.file),
      [`${dir}/meta.json`],
    )
    assert.deepEqual([looked.check(name).batches, looked.check(name).damaged], [100, []])
    await looked.close()
    assert.equal(world.disk.stat(`${dir}/meta.json`)?.size ?? null, text?.length ?? null, 'a look changes nothing')
    await assert.rejects(place.open(), { code: 'store.damaged' })

    const mended = await examine({ world, dir, mode: 'mend' })
    assert.equal(mended.damagedFiles.length, 1)
    await mended.close()
    if (text === null) assert.equal(world.disk.stat(`${dir}/meta.json.damaged`), null)
    else assert.equal(fileBytes(place, 'meta.json.damaged').toString(), text)
    const again = await place.open()
    assert.notEqual(again.instanceId, instanceId)
    assert.equal(again.recovery.clean, true)
    assert.deepEqual(await readAll(again.partition(name, config)), batches)
    await again.close()
    const whole = await examine({ world, dir, mode: 'look' })
    assert.deepEqual(whole.damagedFiles, [])
    await whole.close()
  })

onEachDisk('a folder of a newer program is neither looked at nor mended', async (place) => {
  const { world, dir } = place
  const store = await place.open()
  await fill(store.partition(name, config), 1)
  await store.close()
  const newer = '{"format":2,"instanceId":"x","crc32c":"00000000"}'
  truncate(place, 'meta.json', 0)
  overwrite(place, 'meta.json', 0, Buffer.from(newer))
  for (const mode of ['look', 'mend'] as const)
    await assert.rejects(examine({ world, dir, mode }), { code: 'store.format-too-new' })
  assert.equal(fileBytes(place, 'meta.json').toString(), newer)
})
