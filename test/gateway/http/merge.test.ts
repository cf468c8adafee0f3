/** Pages over many partitions: merged by time, whatever the sizes of batches and records, and held within a limit. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Merge, startOf } from '../../../src/gateway/http/record-source.ts'
import { type RecordInput, encodeBatch } from '../../../src/log/batch.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { at, memoryLog, withTopic } from '../../log/local/support.ts'

const heldMax = 8 * 1024 * 1024
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
/** What is collected is given back a little later, by another thread: what is held stays, however often one looks. */
async function heldBytes(enough: number): Promise<number> {
  let held = Infinity
  for (let look = 0; look < 20 && held > enough; look++) {
    collect()
    if (look > 0) await sleep(look)
    held = Math.min(held, process.memoryUsage().arrayBuffers)
  }
  return held
}
async function append(log: LocalLog, index: number, records: readonly RecordInput[]): Promise<void> {
  await log.writer().append([{ partition: at('t', index), batch: encodeBatch(records, 'gzip') }])
}
async function merged(log: LocalLog): Promise<Merge> {
  const topic = log.catalog.byName('t')!
  return new Merge(log, 't', await startOf(log, topic, 'earliest', null), null, heldMax)
}
/** The most memory beside the heap that is held while the merge runs, and what it gave, in order. */
async function drain(merge: Merge): Promise<{ numbers: number[]; bytes: number }> {
  const numbers: number[] = []
  const before = await heldBytes(0)
  let bytes = 0
  for (let found = await merge.next(); found !== null; found = merge.ready() ?? (await merge.next())) {
    numbers.push(found.record.timeMs)
    if (numbers.length % 16 === 1) bytes = Math.max(bytes, (await heldBytes(before + heldMax)) - before)
  }
  return { numbers, bytes }
}

test('a page over 24 partitions of batches that unpack to a MiB holds a share of each', async () => {
  const log = await memoryLog()
  await withTopic(log, 't', {}, 24)
  const value = Buffer.alloc(64 * 1024)
  // Record i of partition p has the time 40 i + p: every one comes from another partition than the one before.
  for (let p = 0; p < 24; p++)
    await append(
      log,
      p,
      Array.from({ length: 16 }, (_, i) => ({ key: null, value, timeMs: 24 * i + p + 1 })),
    )
  using merge = await merged(log)
  const { numbers, bytes } = await drain(merge)
  assert.deepEqual(
    numbers,
    Array.from({ length: 384 }, (_, i) => i + 1),
  )
  assert.ok(merge.atEnd)
  // All of it unpacked: 24 MiB. One batch is unpacked besides.
  assert.ok(bytes > heldMax / 4 && bytes < 1.5 * heldMax, `${bytes} bytes`)
  await log.close()
})
test('records larger than the share of a partition are given all the same, each in its turn', async () => {
  const log = await memoryLog()
  await withTopic(log, 't', {}, 100)
  const value = Buffer.alloc(heldMax / 32)
  for (let p = 0; p < 100; p++)
    await append(log, p, [
      { key: null, value: Buffer.from('small'), timeMs: 1000 - p },
      { key: null, value, timeMs: 2000 + p },
      { key: Buffer.from('k'), value: Buffer.from('small'), timeMs: 3000 - p },
    ])
  using merge = await merged(log)
  const places: number[] = []
  const numbers: number[] = []
  for (let found = await merge.next(); found !== null; found = merge.ready() ?? (await merge.next())) {
    numbers.push(found.record.timeMs)
    const sum = [...merge.places().values()].reduce((total, offset) => total + offset, 0)
    places.push(sum)
    if (found.record.timeMs >= 2000 && found.record.timeMs < 2900)
      assert.equal(found.record.value!.length, value.length)
  }
  assert.deepEqual(
    numbers,
    numbers.toSorted((a, b) => a - b),
  )
  assert.equal(numbers.length, 300)
  assert.deepEqual(
    places,
    Array.from({ length: 300 }, (_, i) => i + 1),
    'the places to go on behind each record are right',
  )
  await log.close()
})
