/** What a full disk does to clients: they are told, what was accepted stays, and all goes on when there is room. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { startHubs } from './local-hubs.ts'
import { RawClient, message } from './raw-client.ts'

/** The guard of the disk asks again after this. */
const askedAgainMs = 400
const from = 'hub/ConsumerGroups/$Default/Partitions/0'

test('a full disk refuses by itself, and all goes on when there is room', async () => {
  let free = 1024 * 1024 * 1024
  await using hubs = await startHubs({ hubs: { hub: 1 }, disk: memoryDisk({ free: () => free }) })
  await using client = await RawClient.open({ port: hubs.port })
  const sender = await client.sender('hub')
  assert.equal(await sender.send(message({ body: Buffer.from('0') })), null)
  const owner = await client.receiver(from, { epoch: 1, credit: 10 })
  await owner.take(1)
  const put = async (): Promise<number> => {
    const url = `http://127.0.0.1:${hubs.port}/any/checks/n/hub/$default/checkpoint/0`
    const headers = { 'x-ms-version': '2025-01-05', 'x-ms-blob-type': 'BlockBlob', 'x-ms-meta-sequencenumber': '0' }
    const { status } = await fetch(url, { method: 'PUT', headers, body: '' })
    return status
  }
  const container = `http://127.0.0.1:${hubs.port}/any/checks?restype=container`
  await fetch(container, { method: 'PUT', headers: { 'x-ms-version': '2025-01-05' } })
  assert.equal(await put(), 201)

  free = 0
  await sleep(askedAgainMs)
  assert.equal(await sender.send(message({ body: Buffer.from('lost') })), 'com.microsoft:server-busy')
  assert.equal(await put(), 503)
  await client.receiver(from, { epoch: 2 })
  assert.equal((await client.detached()).condition, 'com.microsoft:server-busy')
  // The owner that leaves cannot be noted; its connection goes on.
  owner.detach()
  assert.equal((await client.detached()).condition, null)
  await sleep(50)
  assert.equal(client.isClosed, false)

  free = 1024 * 1024 * 1024
  await sleep(askedAgainMs)
  assert.equal(await sender.send(message({ body: Buffer.from('1') })), null)
  assert.equal(await put(), 201)
  const next = await client.receiver(from, { epoch: 3, credit: 10 })
  const events = await next.take(2)
  assert.deepEqual(
    events.map(({ data }) => data?.toString()),
    ['0', '1'],
  )
  assert.deepEqual(
    hubs.complaints.filter((text) => text.includes('a fault of Millrace')),
    [],
  )
})
