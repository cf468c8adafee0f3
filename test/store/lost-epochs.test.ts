/** Without a journal only the files say which leader epochs there were: a repair keeps what was written under each of them. */
import assert from 'node:assert/strict'
import { encodeBatch } from '../../src/log/batch.ts'
import { batchHeaderBytes, placeBatch, readBatchHeader } from '../../src/store/batch-header.ts'
import { examine } from '../../src/store/examine.ts'
import { afterKill, config, fileBytes, fill, flip, overwrite, type Place, readAll } from './support.ts'

const name = 'orders~1/0'
const folder = `topics/${name}`
const segments = (place: Place): string[] =>
  place.world.disk.list(`${place.dir}/${folder}`).filter((file) => file.endsWith('.log'))

/** Several starts, none of which finds a clean end: each begins an epoch. Their batches share segments. */
async function written(place: Place, kill: () => Place): Promise<Place> {
  for (const [life, count] of [15, 5, 60].entries()) {
    place.world.disk.remove(`${place.dir}/synced.log`)
    const store = await place.open()
    await fill(store.partition(name, config), count, 1_700_000_000_000 + life * 1_000)
    if (life < 2) await store.close()
  }
  return kill()
}
interface Batch {
  readonly position: number
  readonly base: number
  readonly epoch: number
  readonly bytes: Buffer
}
function batchesIn(place: Place, file: string): Batch[] {
  const bytes = fileBytes(place, `${folder}/${file}`)
  const found: Batch[] = []
  for (let position = 0; position + batchHeaderBytes <= bytes.length;) {
    const header = readBatchHeader(bytes, position)
    const { baseOffset: base, leaderEpoch: epoch } = header
    found.push({ position, base, epoch, bytes: Buffer.from(bytes.subarray(position, position + header.bytes)) })
    position += header.bytes
  }
  return found
}
const all = (place: Place): Batch[] => segments(place).flatMap((file) => batchesIn(place, file))
async function repairedWithoutJournal(
  place: Place,
): Promise<{ lost: [number, number][]; left: Buffer[]; end: number }> {
  const { world, dir } = place
  world.disk.remove(`${dir}/synced.log`)
  const folderNow = await examine({ world, dir, mode: 'mend' })
  const lost = (await folderNow.mend(name)).map(({ from, to }): [number, number] => [from, to])
  await folderNow.close()
  const store = await place.open()
  const log = store.partition(name, config)
  assert.equal(log.damage, null)
  const left = (await readAll(log)).filter((bytes) => readBatchHeader(bytes).recordCount > 0)
  const { end } = log
  await store.close()
  return { lost, left, end }
}

for (const [what, where] of [
  ['before the first of another epoch', (epochs: number[]) => epochs.lastIndexOf(0)],
  ['at the first of another epoch', (epochs: number[]) => epochs.indexOf(1)],
  ['at the only ones of an epoch', (epochs: number[]) => epochs.indexOf(1)],
  ['at the beginning', () => 0],
] as const)
  afterKill(`the journal is gone, and damage ${what}: all else is kept`, async (place, kill) => {
    const after = await written(place, kill)
    const [first] = segments(after) as [string, ...string[]]
    const before = all(after)
    const inFirst = batchesIn(after, first)
    const epochs = inFirst.map(({ epoch }) => epoch)
    assert.ok(new Set(epochs).size === 3, `one segment of three epochs, not ${[...new Set(epochs)].join()}`)
    const at = where(epochs)
    const broken = what === 'at the only ones of an epoch' ? inFirst.filter(({ epoch }) => epoch === 1) : [inFirst[at]!]
    for (const { position } of broken) {
      const bytes = fileBytes(after, `${folder}/${first}`)
      overwrite(after, `${folder}/${first}`, 0, flip(bytes, position + 100))
    }
    const { lost, left, end } = await repairedWithoutJournal(after)
    assert.deepEqual(lost, [[broken[0]!.base, broken.at(-1)!.base + 3]])
    assert.equal(end, before.at(-1)!.base + 3)
    assert.deepEqual(
      left,
      before.filter((one) => !broken.some(({ base }) => base === one.base)).map(({ bytes }) => bytes),
    )
  })

afterKill('a batch inside of a record that claims an epoch to come is not taken for one', async (place, kill) => {
  const after = await written(place, kill)
  const [first] = segments(after) as [string, ...string[]]
  const before = all(after)
  const [victim, next] = batchesIn(after, first) as [Batch, Batch]
  // A whole batch of one offset with a right checksum, as whoever wrote the record may have it there.
  const forged = Buffer.from(encodeBatch([{ key: null, value: Buffer.from('forged'), timeMs: 1 }]))
  placeBatch(forged, victim.base + 1, 1_000_000)
  const path = `${folder}/${first}`
  overwrite(after, path, victim.position + batchHeaderBytes, forged)
  const { lost, left } = await repairedWithoutJournal(after)
  assert.deepEqual(lost, [[victim.base, next.base]])
  assert.deepEqual(
    left,
    before.slice(1).map(({ bytes }) => bytes),
  )
})
