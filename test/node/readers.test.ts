/** Who reads a topic through a gateway, whichever it is, as the HTTP interface lists it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as kinesis from '@aws-sdk/client-kinesis'
import { EventHubConsumerClient, earliestEventPosition } from '@azure/event-hubs'
import mqtt from 'mqtt'
import type { TopicReader } from '../../src/gateway/http/api.ts'
import { silent } from '../../src/lib/logger.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { resolveConfig } from '../../src/node/config.ts'
import { startMillrace } from '../../src/node/millrace.ts'
import { put, until } from '../connect/millraces.ts'

test('sessions, subscriptions, consumers and receivers of a topic are listed', async () => {
  await using stack = new AsyncDisposableStack()
  const protocols = ['http', 'mqtt', 'pubsub', 'kinesis', 'eventhubs']
  const listen = ['kafka=off', ...protocols.map((protocol) => `${protocol}=127.0.0.1:0`)]
  const { config } = resolveConfig({ data: ':memory:', listen, workers: '0' }, {}, {})
  const running = await startMillrace({ config, world: realWorld(), logger: silent })
  stack.defer(() => running.close())
  const at = running.listening()
  const topic = 'mqtt.shop'
  await running.log.topics.create([{ name: topic, partitions: 1 }])
  const readers = async (of = topic): Promise<TopicReader[]> =>
    (await (await fetch(`http://${at.http}/v1/topics/${of}/readers`)).json()) as TopicReader[]
  assert.deepEqual(await readers(), [])
  assert.equal((await fetch(`http://${at.http}/v1/topics/none/readers`)).status, 404)

  const client = await mqtt.connectAsync(`mqtt://${at.mqtt}`, { clientId: 'till-7', clean: false })
  stack.defer(() => client.endAsync(true))
  await client.subscribeAsync(['shop/+/sold', '$share/g/shop/#', 'other/#'], { qos: 1 })
  const made = await fetch(`http://${at.pubsub}/v1/projects/p/subscriptions/mailers`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ topic: `projects/p/topics/${topic}` }),
  })
  assert.equal(made.status, 200, await made.text())
  const record = (value: string) => ({ key: null, value: Buffer.from(value), timeMs: 1 })
  await put(running, topic, 0, record('a'), record('b'))
  const streams = new kinesis.KinesisClient({
    region: 'eu-central-1',
    endpoint: `http://${at.kinesis}`,
    credentials: { accessKeyId: 'AKID', secretAccessKey: 'not-a-secret-here' },
  })
  stack.defer(() => streams.destroy())
  const StreamARN = (await streams.send(new kinesis.DescribeStreamSummaryCommand({ StreamName: topic })))
    .StreamDescriptionSummary!.StreamARN!
  await streams.send(new kinesis.RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'archive' }))
  const secret = `Endpoint=sb://${at.eventhubs};SharedAccessKeyName=key;SharedAccessKey=secret;UseDevelopmentEmulator=true`
  const hub = new EventHubConsumerClient('$Default', secret, topic)
  stack.defer(() => hub.close())
  const idle = async (): Promise<void> => {}
  hub.subscribe(
    '0',
    { processEvents: idle, processError: idle },
    { startPosition: earliestEventPosition, ownerLevel: 3 },
  )

  await until('all are there', async () => (await readers()).length === 4)
  const found = new Map((await readers()).map((one) => [one.protocol, one]))
  assert.deepEqual(found.get('mqtt'), {
    ...{ protocol: 'mqtt', kind: 'session', name: 'till-7', about: 'shop/+/sold $share/g/shop/#' },
    ...{ isConnected: true, lag: null },
  })
  const subscription = found.get('pubsub')!
  assert.deepEqual([subscription.name, subscription.about, subscription.lag], ['mailers', 'pull', 2])
  const consumer = found.get('kinesis')!
  assert.deepEqual([consumer.name, consumer.isConnected], ['archive', false])
  assert.match(found.get('eventhubs')!.about, /^group \$default, partition 0, owner level 3$/i)
  await client.endAsync(true)
  await until('it is away', async () => (await readers()).some((one) => one.protocol === 'mqtt' && !one.isConnected))
})
