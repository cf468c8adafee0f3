/** What a task reads of many partitions, whatever their batches unpack to. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Input } from '../../src/flow/runtime/input.ts'
import { limits } from '../../src/lib/limits.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { at, memoryLog, off, withTopic } from '../log/local/support.ts'

test('partitions whose batches unpack to a lot are decoded some at a time, and none is forgotten', async () => {
  const log = await memoryLog()
  const count = 12
  await withTopic(log, 't', {}, count)
  const value = Buffer.alloc(limits.inputBytes / 16)
  const writer = log.writer()
  for (let index = 0; index < count; index++)
    for (const name of ['first', 'second']) {
      const records = [
        { key: Buffer.from(`${name} ${index}`), value, timeMs: 1 },
        { key: Buffer.from(`${name} ${index} again`), value, timeMs: 1 },
      ]
      await writer.append([{ partition: at('t', index), batch: encodeBatch(records, 'gzip') }])
    }
  const input = new Input(log.reader())
  input.open(Array.from({ length: count }, (_, index) => ({ partition: at('t', index), offset: off(0) })))
  const seen: string[] = []
  let largest = 0
  const signal = new AbortController().signal
  for (let i = 0; seen.length < 4 * count && i < 100; i++) {
    await input.fill(0, signal)
    const slices = input.take(1_000)
    largest = Math.max(
      largest,
      slices.reduce(
        (sum, { records }) => sum + records.records().reduce((bytes, one) => bytes + one.value!.length, 0),
        0,
      ),
    )
    for (const { records } of slices) for (const { key } of records.records()) seen.push(Buffer.from(key!).toString())
    input.settled()
  }
  assert.deepEqual(
    seen.toSorted(),
    Array.from({ length: count }, (_, i) => [`first ${i}`, `first ${i} again`, `second ${i}`, `second ${i} again`])
      .flat()
      .toSorted(),
  )
  assert.ok(largest <= limits.inputBytes + 2 * value.length, `${largest} bytes at once`)
  assert.deepEqual(
    input.positions().map(({ offset }) => offset),
    [],
    'everything that was taken is settled',
  )
  await log.close()
})
