/**
 * Microsoft's client for JavaScript with its checkpoint store while Millrace is killed and comes back: producers and
 * processors go on by themselves, nothing that was sent is lost, no partition is read by two, and the order per key stays.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, test } from 'node:test'
import { EventHubConsumerClient, EventHubProducerClient, earliestEventPosition } from '@azure/event-hubs'
import { BlobCheckpointStore } from '@azure/eventhubs-checkpointstore-blob'
import { ContainerClient } from '@azure/storage-blob'
import { type Millrace, freePorts, startMillrace } from './setup/index.ts'

// Timers of the client outlive its close by minutes.
after(() => void setTimeout(() => process.exit(), 1_000).unref())

const partitions = 4
const kills = 4
const keys = 6
const eventsMin = 300

test('processors and producers live through kills: all events come, those of a key in order', async (t) => {
  const [port, http] = await freePorts()
  const start = (data?: string): Promise<Millrace> =>
    startMillrace({
      http: `127.0.0.1:${http}`,
      args: ['--listen', `eventhubs=127.0.0.1:${port}`],
      ...(data === undefined ? {} : { data }),
    })
  let millrace = await start()
  t.after(() => millrace[Symbol.asyncDispose]())
  await fetch(`http://${millrace.http}/v1/topics/hub`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ partitions }),
  })
  const connection = `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=any;SharedAccessKey=any;UseDevelopmentEmulator=true`
  const account = `AccountName=any;AccountKey=YW55;BlobEndpoint=http://127.0.0.1:${port}/any`
  const container = new ContainerClient(`DefaultEndpointsProtocol=http;${account}`, 'checkpoints')
  await container.create()

  const seen = new Map<string, number>()
  /** The highest number of each key that was read, with how often one came behind a higher one for the first time. */
  const highest = new Map<string, number>()
  const disorder: string[] = []
  // The client waits so long for a connection to close that is gone already.
  const retryOptions = { maxRetries: 20, retryDelayInMs: 200, maxRetryDelayInMs: 1_000, timeoutInMs: 5_000 }
  const processor = () => {
    const consumer = new EventHubConsumerClient('workers', connection, 'hub', new BlobCheckpointStore(container), {
      retryOptions,
      loadBalancingOptions: {
        updateIntervalInMs: 300,
        partitionOwnershipExpirationIntervalInMs: 3_000,
        strategy: 'greedy',
      },
    })
    const subscription = consumer.subscribe(
      {
        async processEvents(events, context) {
          for (const { body } of events) {
            const id = String(body)
            const [key, number] = id.split('/') as [string, string]
            const times = seen.get(id) ?? 0
            seen.set(id, times + 1)
            if (times === 0 && Number(number) < (highest.get(key) ?? -1)) disorder.push(id)
            highest.set(key, Math.max(Number(number), highest.get(key) ?? -1))
          }
          const last = events.at(-1)
          // What cannot be noted now is read again.
          if (last !== undefined) await context.updateCheckpoint(last).catch(() => {})
        },
        async processError() {},
      },
      { startPosition: earliestEventPosition, maxWaitTimeInSeconds: 1 },
    )
    return { stop: () => subscription.close().then(() => consumer.close()) }
  }
  let running = [processor(), processor()]
  const sent: string[] = []
  const stop = new AbortController()
  const producing = (async () => {
    const producer = new EventHubProducerClient(connection, 'hub', { retryOptions })
    for (let number = 0; !stop.signal.aborted; number++) {
      for (let key = 0; key < keys; key++) {
        const id = `${key}/${number}`
        for (;;) {
          try {
            await producer.sendBatch([{ body: id }], { partitionKey: String(key) })
            break
          } catch {
            await sleep(200)
          }
        }
        sent.push(id)
      }
      await sleep(20)
    }
    await producer.close()
  })()
  for (let kill = 0; kill < kills; kill++) {
    await sleep(1_500 + Math.random() * 1_000)
    if (kill % 2 === 0) {
      await millrace.kill('SIGKILL')
      millrace = await start(millrace.data)
    } else {
      const [gone, ...others] = running
      await gone!.stop()
      running = [...others, processor()]
    }
  }
  for (const giveUp = performance.now() + 200_000; sent.length < eventsMin; await sleep(200))
    assert.ok(performance.now() < giveUp, `only ${sent.length} were sent`)
  stop.abort()
  await producing
  for (const giveUp = performance.now() + 60_000; sent.some((id) => !seen.has(id));) {
    const missing = sent.filter((id) => !seen.has(id))
    assert.ok(
      performance.now() < giveUp,
      `${missing.length} of ${sent.length} did not come: ${missing.slice(0, 5).join(' ')}`,
    )
    await sleep(200)
  }
  await Promise.all(running.map((one) => one.stop()))
  assert.deepEqual(disorder, [])
  await millrace.stop()
})
