/**
 * A segment of 1 MiB with its index, a snapshot and the folder's own files, damaged: every bit of it (by batch, as a read
 * checks it), zeroed blocks, blocks that changed places, an end that is cut off. What a reader gets is what was written or a
 * fault, and no bytes are deleted for being unreadable. A part of it each time; MILLRACE_BITS=all takes all.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import type { Offset } from '../../src/lib/brand.ts'
import { Fault } from '../../src/lib/fault.ts'
import type { Disk } from '../../src/lib/world.ts'
import { batchBytes, batchEnd, batchEpoch, batchProblem, lengthProblem } from '../../src/store/batch-walk.ts'
import { openStore } from '../../src/store/open.ts'
import { SeededRandom } from '../../src/lib/sim/random.ts'
import { batch, config } from './support.ts'

const all = process.env['MILLRACE_BITS'] === 'all'
const name = 'orders~1/0'
const segmentBytes = 1024 * 1024
const blockBytes = 4096
const settings = { ...config, segmentBytes: 2 * segmentBytes, indexIntervalBytes: 4096 }
const random = new SeededRandom(20, 'damage')

interface Folder {
  /** By path. */
  readonly files: ReadonlyMap<string, Buffer>
  readonly segment: string
  /** By base offset. */
  readonly batches: ReadonlyMap<number, Buffer>
  readonly end: number
}
async function written(isClean: boolean): Promise<Folder> {
  const disk = memoryDisk()
  const store = await openStore({ world: { ...realWorld(), disk }, dir: '/data', hotBytes: 0 })
  const log = store.partition(name, settings)
  const batches = new Map<number, Buffer>()
  for (let bytes = 0; bytes < segmentBytes;) {
    const next = batch(random.between(1, 40), 1_700_000_000_000 + batches.size, random.between(10, 200))
    const { baseOffset } = log.append(next)
    batches.set(baseOffset, Buffer.from(next))
    bytes += next.length
  }
  await log.whenDurable(log.end)
  await log.saveSnapshot('state', log.end, Buffer.alloc(5_000, 'snapshot '))
  const { end } = log
  if (isClean) await store.close()
  const files = new Map(paths(disk, '/data').map((path) => [path, contents(disk, path)]))
  if (!isClean) await store.close()
  const segment = [...files.keys()].find((path) => path.endsWith('.log') && path.includes('/topics/'))!
  return { files, segment, batches, end }
}
function paths(disk: Disk, folder: string): string[] {
  return disk.list(folder).flatMap((each) => {
    const path = `${folder}/${each}`
    if (disk.stat(path)?.directory === true) return paths(disk, path)
    return each === 'lock' ? [] : [path]
  })
}
function contents(disk: Disk, path: string): Buffer {
  const file = disk.open(path, 'read')
  const bytes = Buffer.alloc(file.size())
  file.read(bytes, 0)
  file.close()
  return bytes
}

/** Opens a folder of which one file is another, and reads all that it gives. Whether anything was noticed. */
async function isNoticed(folder: Folder, path: string, bytes: Buffer): Promise<boolean> {
  const disk = memoryDisk()
  for (const [each, own] of folder.files) {
    disk.makeDirectory(each.slice(0, each.lastIndexOf('/')))
    const file = disk.open(each, 'write')
    file.write([each === path ? bytes : own], 0)
    file.close()
  }
  let isKnown = false
  try {
    const store = await openStore({
      world: { ...realWorld(), disk },
      dir: '/data',
      hotBytes: 0,
      onFault: () => (isKnown = true),
    })
    const log = store.partition(name, settings)
    try {
      if (store.recovery.torn.length > 0 || log.damage !== null) isKnown = true
      assert.ok(log.end <= folder.end)
      for (let at: number = log.start; at < log.durable;) {
        const found = await log.read(at as Offset, 256 * 1024, log.durable)
        assert.ok(found.length > 0, `nothing at ${at}`)
        for (const one of found) {
          const read = Buffer.from(one)
          const base = Number(read.readBigInt64BE(0))
          assert.ok(folder.batches.get(base)?.equals(read), `other bytes at ${base}`)
          at = batchEnd(read)
        }
      }
      const snapshot = log.loadSnapshot('state')
      if (snapshot === null) isKnown = true
      else assert.equal(Buffer.compare(Buffer.from(snapshot.bytes), Buffer.alloc(5_000, 'snapshot ')), 0)
    } finally {
      await store.close()
    }
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    isKnown = true
  }
  if (path === folder.segment) {
    // What cannot be read is kept, where it was or beside.
    const kept = paths(disk, '/data/topics').filter((each) => /\.(log|torn|damaged)/.test(each))
    const size = kept.reduce((sum, each) => sum + contents(disk, each).length, 0)
    assert.ok(size >= bytes.length, `${bytes.length - size} bytes are gone`)
  }
  return isKnown
}

/** What a walk says of the batch at `position` that must begin at `offset`. */
function problemAt(bytes: Buffer, position: number, offset: number, epoch: number): string | null {
  const size = batchBytes(bytes, position)
  const wrong = lengthProblem(size)
  if (wrong !== null) return wrong
  if (position + size > bytes.length) return 'the file ends inside of a batch'
  return batchProblem(bytes.subarray(position, position + size), offset, () => epoch)
}

test('no bit of a segment can change without its batch failing the check of a read', async (t) => {
  const folder = await written(true)
  const bytes = Buffer.from(folder.files.get(folder.segment)!)
  assert.ok(bytes.length >= segmentBytes)
  let [position, offset, bits] = [0, 0, 0]
  while (position < bytes.length) {
    const size = batchBytes(bytes, position)
    const epoch = batchEpoch(bytes, position)
    const end = batchEnd(bytes, position)
    assert.equal(problemAt(bytes, position, offset, epoch), null)
    for (let bit = all ? 0 : bits % 37; bit < size * 8; bit += all ? 1 : 37) {
      const at = position + (bit >> 3)
      bytes[at]! ^= 1 << (bit & 7)
      assert.notEqual(problemAt(bytes, position, offset, epoch), null, `byte ${at}, bit ${bit & 7}`)
      bytes[at]! ^= 1 << (bit & 7)
      bits++
    }
    position += size
    offset = end
  }
  t.diagnostic(`${bits} bits`)
  assert.ok(bits > (bytes.length * 8) / 40)
})

for (const isClean of [true, false]) {
  const after = isClean ? 'a clean stop' : 'a kill'

  test(`flipped bits of every file after ${after}: what is read is what was written`, async (t) => {
    const folder = await written(isClean)
    for (const [path, own] of folder.files) {
      const isSegment = path === folder.segment
      const count = Math.min(own.length * 8, isSegment ? (all ? 2_000 : 60) : all ? Infinity : 60)
      const step = (own.length * 8) / count
      let noticed = 0
      for (let i = 0; i < count; i++) {
        const bit = Math.floor(i * step)
        const bytes = Buffer.from(own)
        bytes[bit >> 3]! ^= 1 << (bit & 7)
        if (await isNoticed(folder, path, bytes)) noticed++
      }
      t.diagnostic(`${path.split('/').at(-1)}: ${count} bits, ${noticed} noticed`)
      if (isSegment || path.endsWith('meta.json') || path.endsWith('.snapshot')) assert.equal(noticed, count, path)
    }
  })

  test(`zeroed blocks, blocks that changed places, a cut end, after ${after}: what is read is what was written`, async (t) => {
    const folder = await written(isClean)
    const own = folder.files.get(folder.segment)!
    const blocks = Math.floor(own.length / blockBytes)
    const counts = { zeroed: 0, moved: 0, cut: 0 }
    for (let block = 0; block < blocks; block += all ? 1 : 23) {
      const zeroed = Buffer.from(own).fill(0, block * blockBytes, (block + 1) * blockBytes)
      assert.ok(await isNoticed(folder, folder.segment, zeroed), `block ${block} is zero`)
      counts.zeroed++
      const other = (block + 1 + random.between(0, blocks - 2)) % blocks
      const moved = Buffer.from(own)
      own.copy(moved, block * blockBytes, other * blockBytes, (other + 1) * blockBytes)
      own.copy(moved, other * blockBytes, block * blockBytes, (block + 1) * blockBytes)
      assert.ok(await isNoticed(folder, folder.segment, moved), `blocks ${block} and ${other} changed places`)
      counts.moved++
    }
    for (let i = 0; i < (all ? 2_000 : 40); i++) {
      const length = random.between(0, own.length - 1)
      assert.ok(await isNoticed(folder, folder.segment, Buffer.from(own.subarray(0, length))), `cut to ${length}`)
      counts.cut++
    }
    // Every byte of the last batch.
    const last = [...folder.batches.values()].at(-1)!.length
    for (let lost = 1; lost <= last; lost += all ? 1 : 61) {
      const cut = Buffer.from(own.subarray(0, own.length - lost))
      assert.ok(await isNoticed(folder, folder.segment, cut), `${lost} bytes are missing`)
      counts.cut++
    }
    t.diagnostic(JSON.stringify(counts))
  })
}
