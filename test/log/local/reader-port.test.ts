import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { BufferPool } from '../../../src/lib/buffer-pool.ts'
import { Fault } from '../../../src/lib/fault.ts'
import { decodeBatch } from '../../../src/log/batch.ts'
import { openReaderPort } from '../../../src/log/local/reader-port.ts'
import { giveBack } from '../../../src/log/remote/reader.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import { openStore } from '../../../src/store/open.ts'
import { batch, memoryLog, memoryWorld, off, produceOne, withTopic } from './support.ts'

const here = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href)
const worker = `
const { workerData, parentPort } = require('node:worker_threads')
;(async () => {
  const { openReaderPort } = await import(${here('../../../src/log/local/reader-port.ts')})
  const { decodeBatch } = await import(${here('../../../src/log/batch.ts')})
  const reader = openReaderPort(workerData.port)
  const partition = { topic: 't', index: 0 }
  const values = []
  for (let offset = 0; values.length < 2; ) {
    const [chunk] = await reader.read([{ partition, offset }], { ms: 5000 })
    for (const one of chunk.batches) values.push(...decodeBatch(one).map(({ value }) => Buffer.from(value).toString()))
    offset = chunk.next
  }
  const restored = []
  for await (const chunk of reader.restore(partition, workerData.claim))
    for (const one of chunk.batches) restored.push(...decodeBatch(one).map(({ value }) => Buffer.from(value).toString()))
  reader.close()
  parentPort.postMessage({ values, restored })
})()
`

test('a worker reads through a port what comes while it waits, and restores', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log)
  const changes = log
    .join('g', { topics: ['t'], warm: () => [] })
    .changes()
    [Symbol.asyncIterator]()
  const { value: change } = await changes.next()
  change!.accept()
  const port = log.readerPort() as unknown as MessagePort
  const thread = new Worker(worker, { eval: true, workerData: { port, claim: change!.claim }, transferList: [port] })
  const answer = new Promise((resolve, reject) => thread.once('message', resolve).once('error', reject))
  await produceOne(log, partition, batch(['one']))
  await produceOne(log, partition, batch(['two']))
  assert.deepEqual(await answer, { values: ['one', 'two'], restored: ['one', 'two'] })
  await thread.terminate()
  await log.close()
})
test('a port of a closed log rejects', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log)
  const reader = openReaderPort(log.readerPort())
  const waiting = reader.read([{ partition, offset: off(0) }], { ms: 60_000 })
  const closed = assert.rejects(waiting, (error) => error instanceof Fault && error.code === 'log.closed')
  await new Promise((resolve) => setTimeout(resolve, 20))
  await log.close()
  await closed
  await assert.rejects(reader.read([{ partition, offset: off(0) }]), Fault)
})

test('what lies in no memory of others goes over without a copy, and is used again when it is read', async () => {
  const pool = new BufferPool(16 * 1024 * 1024)
  const world = memoryWorld()
  const store = await openStore({ world, dir: '/data', hotBytes: 100_000, pool })
  const log = await openLocalLog({ world, dir: '/data', store })
  const partition = await withTopic(log)
  const other = await withTopic(log, 'u')
  const filler = 'x'.repeat(100_000)
  const wanted = Array.from({ length: 60 }, (_, i) => `${i} ${filler}`)
  for (const value of wanted) {
    await produceOne(log, partition, batch([value]))
    await produceOne(log, other, batch([value]))
  }
  const valuesOf = (batches: readonly Uint8Array[]): string[] =>
    batches.flatMap((one) => decodeBatch(one).map(({ value }) => Buffer.from(value!).toString()))
  const [kept] = await log.reader().read([{ partition, offset: off(0) }])
  assert.ok(kept !== undefined && 'next' in kept)
  const reader = openReaderPort(log.readerPort())
  const next = new Map([
    ['t', 0],
    ['u', 0],
  ])
  const found = new Map<string, string[]>([
    ['t', []],
    ['u', []],
  ])
  let readBefore: Uint8Array[] = []
  let wentBack = 0
  while ([...found.values()].some(({ length }) => length < wanted.length)) {
    const from = [...next].map(([topic, offset]) => ({ partition: { topic, index: 0 }, offset: off(offset) }))
    const chunks = await reader.read(from, { ms: 5_000 })
    wentBack += readBefore.filter(({ length }) => length === 0).length
    readBefore = []
    for (const chunk of chunks) {
      assert.ok('next' in chunk)
      found.get(chunk.partition.topic)!.push(...valuesOf(chunk.batches))
      next.set(chunk.partition.topic, chunk.next)
      readBefore.push(...chunk.batches)
    }
    for (const memory of new Set(readBefore.map((one) => one.buffer))) giveBack(memory)
  }
  assert.deepEqual(found.get('t'), wanted)
  assert.deepEqual(found.get('u'), wanted)
  assert.ok(wentBack > 50, `${wentBack} batches lay in memory that went back`)
  assert.deepEqual(valuesOf(kept.batches), wanted.slice(0, kept.batches.length), 'others keep what they have read')
  assert.ok(pool.idleBytes > 0, 'the log has it again')
  await log.close()
})
