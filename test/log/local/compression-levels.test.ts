/** Levels of compression that a topic asks for are kept to, where the codec has levels. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../../src/lib/fault.ts'
import { decodeBatch } from '../../../src/log/batch.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import { readBatchHeader } from '../../../src/store/batch-header.ts'
import { batch, memoryWorld, produceOne, said, withTopic } from './support.ts'

const texts = Array.from({ length: 3000 }, (_, i) =>
  JSON.stringify({ id: (i * 48_271) % 99_991, item: `item ${i % 97}` }),
)

test('a higher level packs smaller, and what is packed is what was sent', async () => {
  const log = await openLocalLog({ world: memoryWorld(), dir: '/data' })
  const stored = async (topic: string, config: Record<string, string>): Promise<number> => {
    await withTopic(log, topic, config)
    const partition = { topic, index: 0 }
    assert.equal(said(await produceOne(log, partition, Buffer.from(batch(texts)))), 0)
    const [chunk] = await log.reader().read([{ partition, offset: 0 as never }])
    assert.ok(chunk !== undefined && !('fault' in chunk))
    const [bytes] = chunk.batches
    assert.deepEqual(
      decodeBatch(bytes!).map(({ value }) => Buffer.from(value!).toString()),
      texts,
    )
    return readBatchHeader(bytes!).bytes
  }
  const zstd = (level: string) => ({ 'compression.type': 'zstd', 'compression.zstd.level': level })
  const gzip = (level: string) => ({ 'compression.type': 'gzip', 'compression.gzip.level': level })
  const fast = await stored('zstd-fast', zstd('-50'))
  const high = await stored('zstd-high', zstd('12'))
  assert.ok(high < fast, `${high} of ${fast}`)
  assert.equal(await stored('zstd-default', { 'compression.type': 'zstd' }), await stored('zstd-3', zstd('3')))
  const [low, most] = [await stored('gzip-1', gzip('1')), await stored('gzip-9', gzip('9'))]
  assert.ok(most < low, `${most} of ${low}`)
  assert.equal(await stored('gzip-default', { 'compression.type': 'gzip' }), await stored('gzip-6', gzip('6')))
  await log.close()
})

test('what would hold up everybody, or has no levels, is refused with the reason', async () => {
  const log = await openLocalLog({ world: memoryWorld(), dir: '/data' })
  for (const [name, value, why] of [
    ['compression.zstd.level', '13', /at most 12: batches are packed on the thread that all clients share/],
    ['compression.zstd.level', '-131073', /at least -131072/],
    ['compression.gzip.level', '0', /-1 \(the default\) or from 1 to 9/],
    ['compression.gzip.level', '10', /at most 9/],
    ['compression.lz4.level', '3', /there is one level of lz4 here/],
  ] as const) {
    const [fault] = await log.topics.create([{ name: 't', partitions: 1, config: { [name]: value } }])
    assert.ok(fault instanceof Fault, `${name}=${value}`)
    assert.match(fault.message, why)
  }
  await log.close()
})
