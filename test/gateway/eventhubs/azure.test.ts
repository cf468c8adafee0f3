/** Microsoft's own client for JavaScript, unmodified, over the gateway in this process. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  EventHubBufferedProducerClient,
  EventHubConsumerClient,
  EventHubProducerClient,
  type EventPosition,
  type PartitionContext,
  type ReceivedEventData,
  type SubscribeOptions,
  earliestEventPosition,
  latestEventPosition,
} from '@azure/event-hubs'
import { type LocalHubs, startHubs } from './local-hubs.ts'

let hubs: LocalHubs
before(async () => {
  hubs = await startHubs({ hubs: {} })
})
after(() => hubs[Symbol.asyncDispose]())

let names = 0
async function freshHub(partitions = 2): Promise<string> {
  const name = `azure-${names++}`
  await hubs.log.topics.create([{ name, partitions }])
  return name
}
const retryOptions = { maxRetries: 0, timeoutInMs: 10_000 }
const producerOf = (hub: string): EventHubProducerClient =>
  new EventHubProducerClient(hubs.connectionString, hub, { retryOptions })
const consumerOf = (hub: string, group = '$Default'): EventHubConsumerClient =>
  new EventHubConsumerClient(group, hubs.connectionString, hub, { retryOptions })
interface Received {
  readonly events: ReceivedEventData[]
  readonly contexts: PartitionContext[]
}
/** So many events of all partitions, or of one. */
async function receive(
  hub: string,
  count: number,
  options: { group?: string; partition?: string; position?: EventPosition } & SubscribeOptions = {},
): Promise<Received> {
  const { group, partition, position: startPosition = earliestEventPosition, ...more } = options
  const consumer = consumerOf(hub, group)
  const found: Received = { events: [], contexts: [] }
  const done = Promise.withResolvers<void>()
  const handlers = {
    processEvents: async (events: ReceivedEventData[], context: PartitionContext) => {
      found.events.push(...events)
      found.contexts.push(context)
      if (found.events.length >= count) done.resolve()
    },
    processError: async (error: Error) => done.reject(error),
  }
  const asked = { startPosition, ...more }
  const subscription =
    partition === undefined ? consumer.subscribe(handlers, asked) : consumer.subscribe(partition, handlers, asked)
  try {
    await done.promise
  } finally {
    await subscription.close()
    await consumer.close()
  }
  return found
}

test('a hub and its partitions say what they are', async () => {
  const hub = await freshHub(3)
  const producer = producerOf(hub)
  const { name, partitionIds } = await producer.getEventHubProperties()
  assert.deepEqual([name, partitionIds], [hub, ['0', '1', '2']])
  assert.equal((await producer.getPartitionProperties('2')).isEmpty, true)
  await producer.sendBatch([{ body: 1 }, { body: 2 }], { partitionId: '2' })
  const filled = await producer.getPartitionProperties('2')
  assert.equal(filled.isEmpty, false)
  assert.equal(filled.lastEnqueuedSequenceNumber, 1)
  assert.equal(filled.lastEnqueuedOffset, '1')
  assert.ok(Math.abs(filled.lastEnqueuedOnUtc.getTime() - Date.now()) < 60_000)
  await assert.rejects(producer.getPartitionProperties('7'), { name: 'MessagingError' })
  await producer.close()
})
test('a batch with all that an event has comes back as it was sent', async () => {
  const hub = await freshHub()
  const producer = producerOf(hub)
  const batch = await producer.createBatch({ partitionKey: 'k' })
  assert.equal(batch.maxSizeInBytes, 1024 * 1024)
  const event = {
    body: { deep: [1, 'two', null] },
    properties: { text: 'x', whole: 5, half: 0.5, yes: true },
    contentType: 'application/json',
    messageId: 'id',
    correlationId: 'with',
  }
  assert.ok(batch.tryAdd(event))
  assert.ok(batch.tryAdd({ body: Buffer.from([1, 2, 3]) }))
  await producer.sendBatch(batch)
  const { events } = await receive(hub, 2)
  const [first, second] = events
  assert.deepEqual(
    { ...event, ...first, systemProperties: undefined },
    { ...first, ...event, systemProperties: undefined },
  )
  assert.equal(first!.partitionKey, 'k')
  assert.deepEqual([first!.sequenceNumber, second!.sequenceNumber], [0, 1])
  assert.deepEqual(Buffer.from(second!.body as Uint8Array), Buffer.from([1, 2, 3]))
  await producer.close()
})
test('a batch that is full says so, and an event that fits none is refused', async () => {
  const hub = await freshHub()
  const producer = producerOf(hub)
  const batch = await producer.createBatch()
  assert.equal(batch.tryAdd({ body: Buffer.alloc(2 * 1024 * 1024) }), false)
  let count = 0
  while (batch.tryAdd({ body: Buffer.alloc(50_000, count) })) count++
  assert.equal(count, 20)
  await producer.sendBatch(batch)
  assert.equal((await receive(hub, count)).events.length, count)
  await producer.close()
})
test('subscriptions begin at an offset, a number, a time, the beginning or the end', async () => {
  const hub = await freshHub(1)
  const producer = producerOf(hub)
  for (let i = 0; i < 4; i++) {
    await producer.sendBatch([{ body: i }])
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
  const all = (await receive(hub, 4)).events
  const from = async (position: EventPosition, count: number): Promise<unknown[]> =>
    (await receive(hub, count, { partition: '0', position })).events.map(({ body }) => body as unknown)
  assert.deepEqual(await from({ offset: all[1]!.offset }, 2), [2, 3])
  assert.deepEqual(await from({ offset: all[1]!.offset, isInclusive: true }, 3), [1, 2, 3])
  assert.deepEqual(await from({ sequenceNumber: 2 }, 1), [3])
  assert.deepEqual(await from({ sequenceNumber: 2, isInclusive: true }, 2), [2, 3])
  assert.deepEqual(await from({ enqueuedOn: all[2]!.enqueuedTimeUtc }, 1), [3])
  const latest = from(latestEventPosition, 1)
  const timer = setInterval(() => void producer.sendBatch([{ body: 'new' }]), 100)
  assert.deepEqual(await latest, ['new'])
  clearInterval(timer)
  await producer.close()
})
test('groups read for themselves, and one that reads again begins anew', async () => {
  const hub = await freshHub()
  const producer = producerOf(hub)
  await producer.sendBatch([{ body: 'a' }, { body: 'b' }])
  for (const group of ['$Default', 'other', 'other'])
    assert.deepEqual(
      (await receive(hub, 2, { group })).events.map(({ body }) => body as unknown),
      ['a', 'b'],
    )
  await producer.close()
})
test('a higher owner level takes a partition over; a lower one is refused', async () => {
  const hub = await freshHub(1)
  const low = consumerOf(hub)
  const lost = Promise.withResolvers<Error>()
  const opened = Promise.withResolvers<void>()
  const first = low.subscribe(
    '0',
    {
      processInitialize: async () => opened.resolve(),
      processEvents: async () => {},
      processError: async (error) => lost.resolve(error),
    },
    { ownerLevel: 1, startPosition: latestEventPosition },
  )
  await opened.promise
  await new Promise((resolve) => setTimeout(resolve, 300))
  const high = consumerOf(hub)
  const second = high.subscribe(
    '0',
    { processEvents: async () => {}, processError: async () => {} },
    { ownerLevel: 2, startPosition: latestEventPosition },
  )
  assert.equal(((await lost.promise) as { code?: string }).code, 'ReceiverDisconnectedError')
  const again = consumerOf(hub)
  const refused = Promise.withResolvers<Error>()
  const third = again.subscribe(
    '0',
    { processEvents: async () => {}, processError: async (error) => refused.resolve(error) },
    { ownerLevel: 1, startPosition: latestEventPosition },
  )
  assert.equal(((await refused.promise) as { code?: string }).code, 'ReceiverDisconnectedError')
  for (const one of [first, second, third]) await one.close()
  for (const one of [low, high, again]) await one.close()
})
test('what is last in the partition is told with each event where it is asked for', async () => {
  const hub = await freshHub(1)
  const producer = producerOf(hub)
  await producer.sendBatch([{ body: 0 }, { body: 1 }, { body: 2 }])
  const { contexts } = await receive(hub, 3, { trackLastEnqueuedEventProperties: true })
  const told = contexts.at(-1)!.lastEnqueuedEventProperties
  assert.equal(told?.sequenceNumber, 2)
  assert.equal(told?.offset, '2')
  await producer.close()
})
test('the buffered producer sends what it holds', async () => {
  const hub = await freshHub()
  const failures: unknown[] = []
  const producer = new EventHubBufferedProducerClient(hubs.connectionString, hub, {
    onSendEventsErrorHandler: async ({ error }) => void failures.push(error),
  })
  for (let i = 0; i < 500; i++) await producer.enqueueEvent({ body: i }, { partitionKey: `k${i % 7}` })
  await producer.flush()
  await producer.close()
  assert.deepEqual(failures, [])
  assert.equal((await receive(hub, 500)).events.length, 500)
})
test('a hub that is not there is an error that says so', async () => {
  const producer = producerOf('nowhere')
  await assert.rejects(producer.sendBatch([{ body: 1 }]), (error) => {
    assert.equal((error as { code?: string }).code, 'MessagingEntityNotFoundError')
    return true
  })
  await producer.close()
})
test('bodies that are values and sequences come back as such', async () => {
  const hub = await freshHub(1)
  const producer = producerOf(hub)
  await producer.sendBatch([
    { body: { a: 1 }, bodyType: 'value' },
    { body: [[1, 2], ['x']], bodyType: 'sequence' },
  ])
  const { events } = await receive(hub, 2)
  assert.deepEqual(
    events.map(({ getRawAmqpMessage }) => getRawAmqpMessage().bodyType),
    ['value', 'sequence'],
  )
  assert.deepEqual(events[0]!.body, { a: 1 })
  await producer.close()
})
