/** Microsoft's blob client and checkpoint store for JavaScript, unmodified, over the gateway in this process. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, test } from 'node:test'
import {
  type CheckpointStore,
  EventHubConsumerClient,
  EventHubProducerClient,
  type PartitionOwnership,
  earliestEventPosition,
} from '@azure/event-hubs'
import { BlobCheckpointStore } from '@azure/eventhubs-checkpointstore-blob'
import {
  BlobServiceClient,
  ContainerSASPermissions,
  StorageSharedKeyCredential,
  generateBlobSASQueryParameters,
} from '@azure/storage-blob'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { type LocalHubs, startHubs } from './local-hubs.ts'

const key = Buffer.alloc(32, 'k').toString('base64')
const serviceOf = ({ port }: LocalHubs, account = 'checkpoints', secret = key): BlobServiceClient =>
  BlobServiceClient.fromConnectionString(
    `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${secret};BlobEndpoint=http://127.0.0.1:${port}/${account}`,
    { retryOptions: { maxTries: 1 } },
  )
const codeOf = (error: unknown): unknown =>
  (error as { code?: string; details?: { errorCode?: string } }).details?.errorCode ?? (error as { code?: string }).code
const is = (code: string) => (error: unknown) => {
  assert.equal(codeOf(error), code)
  return true
}
let hubs: LocalHubs
before(async () => {
  hubs = await startHubs({ hubs: { hub: 4 } })
})
after(() => hubs[Symbol.asyncDispose]())

test('a container is made once, is listed, and goes with its blobs', async () => {
  const service = serviceOf(hubs)
  const container = service.getContainerClient('made-once')
  assert.equal(await container.exists(), false)
  await container.create()
  assert.equal(await container.exists(), true)
  assert.equal((await container.createIfNotExists()).succeeded, false)
  await assert.rejects(container.create(), is('ContainerAlreadyExists'))
  await assert.rejects(service.getContainerClient('No_Good').create(), is('InvalidResourceName'))
  await container.getBlockBlobClient('a').upload('', 0)
  const names: string[] = []
  for await (const { name } of service.listContainers()) names.push(name)
  assert.ok(names.includes('made-once'))
  await container.delete()
  await assert.rejects(container.getBlockBlobClient('a').getProperties(), is('ContainerNotFound'))
})
test('a blob has its content, metadata and a new ETag with each change', async () => {
  const container = serviceOf(hubs).getContainerClient('contents')
  await container.create()
  const blob = container.getBlockBlobClient('a/b c/ä&<x>')
  const first = await blob.upload('hello', 5, {
    metadata: { ownerid: 'me', Other: '1' },
    blobHTTPHeaders: { blobContentType: 'text/plain' },
  })
  const found = await blob.getProperties()
  assert.deepEqual(found.metadata, { ownerid: 'me', other: '1' })
  assert.equal(found.contentType, 'text/plain')
  assert.equal(found.contentLength, 5)
  assert.equal(found.etag, first.etag)
  assert.equal((await blob.downloadToBuffer()).toString(), 'hello')
  const second = await blob.setMetadata({ ownerid: 'you' })
  assert.notEqual(second.etag, first.etag)
  assert.deepEqual((await blob.getProperties()).metadata, { ownerid: 'you' })
  assert.equal((await blob.downloadToBuffer()).toString(), 'hello')
  await blob.delete()
  await assert.rejects(blob.setMetadata({ a: 'b' }), is('BlobNotFound'))
})
test('conditions hold, or nothing is changed', async () => {
  const container = serviceOf(hubs).getContainerClient('conditions')
  await container.create()
  const blob = container.getBlockBlobClient('one')
  const { etag } = await blob.upload('', 0, { conditions: { ifNoneMatch: '*' } })
  await assert.rejects(blob.upload('', 0, { conditions: { ifNoneMatch: '*' } }), is('BlobAlreadyExists'))
  await blob.setMetadata({ n: '1' }, { conditions: { ifMatch: etag! } })
  await assert.rejects(blob.setMetadata({ n: '2' }, { conditions: { ifMatch: etag! } }), is('ConditionNotMet'))
  await assert.rejects(blob.upload('', 0, { conditions: { ifMatch: etag! } }), is('ConditionNotMet'))
  assert.deepEqual((await blob.getProperties()).metadata, { n: '1' })
})
test('of many who claim at once by one ETag exactly one wins', async () => {
  const container = serviceOf(hubs).getContainerClient('claims')
  await container.create()
  const blob = container.getBlockBlobClient('one')
  const { etag } = await blob.upload('', 0)
  const claims = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => blob.setMetadata({ owner: `${i}` }, { conditions: { ifMatch: etag! } })),
  )
  assert.equal(claims.filter(({ status }) => status === 'fulfilled').length, 1)
  const winner = claims.findIndex(({ status }) => status === 'fulfilled')
  assert.deepEqual((await blob.getProperties()).metadata, { owner: `${winner}` })
})
test('lists come by prefix, with metadata, page by page', async () => {
  const container = serviceOf(hubs).getContainerClient('lists')
  await container.create()
  for (let i = 0; i < 7; i++) await container.getBlockBlobClient(`p/${i}`).upload('', 0, { metadata: { n: `${i}` } })
  await container.getBlockBlobClient('q/other').upload('', 0)
  const pages: string[][] = []
  for await (const page of container.listBlobsFlat({ prefix: 'p/', includeMetadata: true }).byPage({ maxPageSize: 3 }))
    pages.push(page.segment.blobItems.map(({ name, metadata }) => `${name}=${metadata?.['n']}`))
  assert.deepEqual(pages, [['p/0=0', 'p/1=1', 'p/2=2'], ['p/3=3', 'p/4=4', 'p/5=5'], ['p/6=6']])
})
test('a checkpoint store claims, loses, and remembers what was reached', async () => {
  const container = serviceOf(hubs).getContainerClient('store')
  await container.create()
  const store: CheckpointStore = new BlobCheckpointStore(container)
  const of = { fullyQualifiedNamespace: 'NS.example', eventHubName: 'Hub', consumerGroup: '$Default' }
  const asked: PartitionOwnership = { ...of, partitionId: '0', ownerId: 'one' }
  const [first] = await store.claimOwnership([asked])
  assert.ok(first?.etag !== undefined)
  const [listed] = await store.listOwnership('NS.example', 'Hub', '$Default')
  assert.equal(listed?.ownerId, 'one')
  const [second] = await store.claimOwnership([{ ...listed!, ownerId: 'two' }])
  assert.equal(second?.ownerId, 'two')
  assert.deepEqual(await store.claimOwnership([{ ...listed!, ownerId: 'late' }]), [])
  await store.updateCheckpoint({ ...of, partitionId: '0', offset: '41', sequenceNumber: 41 })
  await store.updateCheckpoint({ ...of, partitionId: '0', offset: '42', sequenceNumber: 42 })
  const checkpoints = await store.listCheckpoints('NS.example', 'Hub', '$Default')
  assert.deepEqual(checkpoints, [{ ...of, partitionId: '0', offset: '42', sequenceNumber: 42 }])
})

const producerOf = ({ connectionString }: LocalHubs): EventHubProducerClient =>
  new EventHubProducerClient(connectionString, 'hub')
function consumerOf({ connectionString }: LocalHubs, store: CheckpointStore): EventHubConsumerClient {
  return new EventHubConsumerClient('$Default', connectionString, 'hub', store, {
    loadBalancingOptions: {
      updateIntervalInMs: 200,
      partitionOwnershipExpirationIntervalInMs: 5_000,
      strategy: 'greedy',
    },
  })
}
test('two processors share the partitions, and whoever comes later goes on where they were', async () => {
  const container = serviceOf(hubs).getContainerClient('processors')
  await container.create()
  const producer = producerOf(hubs)
  const seen = new Map<string, number>()
  const owners = new Map<string, Set<string>>()
  const start = (name: string) => {
    const consumer = consumerOf(hubs, new BlobCheckpointStore(container))
    const subscription = consumer.subscribe(
      {
        async processInitialize({ partitionId }) {
          owners.set(name, (owners.get(name) ?? new Set()).add(partitionId))
        },
        async processEvents(events, context) {
          for (const { body } of events) seen.set(String(body), (seen.get(String(body)) ?? 0) + 1)
          const last = events.at(-1)
          if (last !== undefined) await context.updateCheckpoint(last)
        },
        async processError() {},
      },
      { startPosition: earliestEventPosition, maxWaitTimeInSeconds: 1 },
    )
    return { stop: () => subscription.close().then(() => consumer.close()) }
  }
  const send = async (from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i++) await producer.sendBatch([{ body: `e${i}` }], { partitionId: String(i % 4) })
  }
  const until = async (count: number): Promise<void> => {
    for (const giveUp = performance.now() + 30_000; seen.size < count;) {
      assert.ok(performance.now() < giveUp, `${seen.size} of ${count} came`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  await send(0, 40)
  const one = start('one')
  await until(40)
  const two = start('two')
  while ((owners.get('two')?.size ?? 0) < 2) await new Promise((resolve) => setTimeout(resolve, 50))
  await send(40, 80)
  await until(80)
  await one.stop()
  await two.stop()
  await send(80, 100)
  const before = new Map(seen)
  const three = start('three')
  await until(100)
  await three.stop()
  const again = [...before].filter(([body, times]) => seen.get(body)! > times)
  assert.deepEqual(again, [], 'checkpoints were passed over')
  await producer.close()
})
test('blobs outlive the process', async () => {
  const disk = memoryDisk()
  let running = await startHubs({ disk })
  const container = serviceOf(running).getContainerClient('kept')
  await container.create()
  const { etag } = await container.getBlockBlobClient('a').upload('x', 1, { metadata: { m: '1' } })
  await running[Symbol.asyncDispose]()
  running = await startHubs({ disk })
  const found = await serviceOf(running).getContainerClient('kept').getBlockBlobClient('a').getProperties()
  assert.deepEqual([found.etag, found.metadata], [etag, { m: '1' }])
  await running[Symbol.asyncDispose]()
})

test('where nobody is let in without a key, keys and signatures are verified and grants are asked', async () => {
  await using locked = await startHubs({ authenticates: true })
  const { users, accessKeys, grants } = locked.security
  await users.change([
    { name: 'root', super: true },
    { name: 'reader', scram: await users.credentials('password of reader') },
  ])
  await accessKeys.create({ user: 'root', id: 'root', secret: key })
  const readerKey = Buffer.alloc(32, 'r').toString('base64')
  await accessKeys.create({ user: 'reader', id: 'reader', secret: readerKey })
  const container = serviceOf(locked, 'root').getContainerClient('locked')
  await container.create({ metadata: { a: 'b' } })
  await container.getBlockBlobClient('any').upload('x', 1, { metadata: { zz: '1', a: '2', a_b: '3' } })
  await assert.rejects(
    serviceOf(locked, 'root', readerKey).getContainerClient('other').create(),
    is('AuthenticationFailed'),
  )
  await assert.rejects(serviceOf(locked, 'nobody').getContainerClient('other').create(), is('AuthenticationFailed'))
  const reader = serviceOf(locked, 'reader', readerKey).getContainerClient('locked')
  await assert.rejects(reader.getBlockBlobClient('any').getProperties(), is('AuthorizationPermissionMismatch'))
  const path = reader.getBlockBlobClient('ns/hub/billing/checkpoint/0')
  await assert.rejects(path.upload('', 0), is('AuthorizationPermissionMismatch'))
  await grants.add([
    {
      ...{ resource: 'group', pattern: 'literal', name: 'billing', principal: 'User:reader' },
      ...{ host: '*', operation: 'read', permission: 'allow' },
    },
  ] as never)
  await path.upload('', 0)
  const credential = new StorageSharedKeyCredential('root', key)
  const signed = (permissions: string, ms: number): BlobServiceClient =>
    new BlobServiceClient(
      `http://127.0.0.1:${locked.port}/root?${generateBlobSASQueryParameters(
        {
          containerName: 'locked',
          permissions: ContainerSASPermissions.parse(permissions),
          expiresOn: new Date(Date.now() + ms),
        },
        credential,
      ).toString()}`,
      undefined,
      { retryOptions: { maxTries: 1 } },
    )
  const bySignature = signed('rl', 60_000).getContainerClient('locked')
  assert.equal((await bySignature.getBlockBlobClient('any').getProperties()).contentLength, 1)
  await assert.rejects(bySignature.getBlockBlobClient('any').delete(), is('AuthorizationPermissionMismatch'))
  const late = signed('rl', -1_000).getContainerClient('locked').getBlockBlobClient('any')
  await assert.rejects(late.getProperties(), is('AuthenticationFailed'))
})

test('a checkpoint is a position of a group in every list; a group that is removed begins anew', async () => {
  await hubs.log.topics.create([{ name: 'Orders', partitions: 2 }])
  const container = serviceOf(hubs).getContainerClient('groups')
  await container.create()
  const store = new BlobCheckpointStore(container)
  for (const [consumerGroup, partitionId, sequenceNumber] of [
    ['$Default', '0', 41],
    ['$Default', '1', 7],
    ['Billing', '1', 5],
  ] as const) {
    const of = { fullyQualifiedNamespace: 'ns.example', eventHubName: 'Orders', consumerGroup }
    await store.claimOwnership([{ ...of, partitionId, ownerId: 'me' }])
    await store.updateCheckpoint({ ...of, partitionId, offset: String(sequenceNumber), sequenceNumber })
  }
  const positions = async (group: string): Promise<unknown[]> =>
    (await hubs.log.groups.positions(group)).flatMap(({ partition: { topic, index }, offset }) =>
      topic === 'Orders' ? [[topic, index, offset]] : [],
    )
  const all = async (): Promise<number> =>
    [...(await positions('eventhubs.billing')), ...(await positions('eventhubs.$Default'))].length
  for (let turn = 0; turn < 100 && (await all()) < 3; turn++) await sleep(10)
  assert.deepEqual(await positions('eventhubs.$Default'), [
    ['Orders', 0, 42],
    ['Orders', 1, 8],
  ])
  assert.deepEqual(await positions('eventhubs.billing'), [['Orders', 1, 6]])
  await hubs.log.groups.remove('eventhubs.$Default')
  const names = async (): Promise<string[]> => {
    const found: string[] = []
    for await (const { name } of container.listBlobsFlat()) found.push(name)
    return found
  }
  for (let turn = 0; turn < 100 && (await names()).length > 2; turn++) await sleep(10)
  assert.deepEqual(await names(), ['ns.example/orders/billing/checkpoint/1', 'ns.example/orders/billing/ownership/1'])
  assert.deepEqual(await store.listCheckpoints('ns.example', 'Orders', '$Default'), [])
  assert.equal((await store.listCheckpoints('ns.example', 'Orders', 'Billing')).length, 1)
})
