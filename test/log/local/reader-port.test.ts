import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { Fault } from '../../../src/lib/fault.ts'
import { openReaderPort } from '../../../src/log/local/reader-port.ts'
import { batch, memoryLog, off, produceOne, withTopic } from './support.ts'

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
