/** One log under all protocols: what is sent by any of them is read by every other, with key, headers and time. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { GetRecordsCommand, GetShardIteratorCommand, KinesisClient, PutRecordCommand } from '@aws-sdk/client-kinesis'
import { EventHubConsumerClient, EventHubProducerClient, earliestEventPosition } from '@azure/event-hubs'
import { Kafka, logLevel } from 'kafkajs'
import { connectAsync } from 'mqtt'
import { silent } from '../../src/lib/logger.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { type Protocol, resolveConfig } from '../../src/node/config.ts'
import { type Running, startMillrace } from '../../src/node/millrace.ts'

/** The MQTT topic `shop/till` is the log topic `mqtt.shop`, the key is the MQTT topic. */
const topic = 'mqtt.shop'
const key = 'shop/till'

interface Event {
  readonly key: string | null
  readonly value: string
  /** Of the application; null: the protocol has none. */
  readonly header: string | null
}
interface PubsubMessage {
  readonly publishTime: string
  readonly orderingKey?: string
  readonly data?: string
  readonly attributes?: { readonly trace?: string }
}
type Send = (event: Event) => Promise<void>
/** All events of the topic, by value. */
type Read = (count: number) => Promise<Event[]>

let running: Running
const at = (protocol: Protocol): string => running.listening()[protocol]!
const stops: (() => Promise<unknown>)[] = []
const startedMs = Date.now()

async function http(
  protocol: Protocol,
  path: string,
  body?: object,
  method = 'POST',
): Promise<Record<string, unknown>> {
  const answer = await fetch(`http://${at(protocol)}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  assert.ok(answer.ok, `${path}: ${text}`)
  return JSON.parse(text === '' ? '{}' : text) as Record<string, unknown>
}
const kafka = (): Kafka => new Kafka({ brokers: [at('kafka')], logLevel: logLevel.NOTHING })
const kinesis = (): KinesisClient =>
  new KinesisClient({
    endpoint: `http://${at('kinesis')}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  })
const hubs = (): string =>
  `Endpoint=sb://${at('eventhubs')};SharedAccessKeyName=any;SharedAccessKey=any;UseDevelopmentEmulator=true`
const subscription = '/v1/projects/p/subscriptions/all'

const senders: Readonly<Record<string, Send>> = {
  async kafka({ value, header }) {
    const producer = kafka().producer()
    await producer.connect()
    await producer.send({ topic, messages: [{ key, value, headers: { trace: header! } }] })
    await producer.disconnect()
  },
  async http({ value, header }) {
    const answer = await fetch(`http://${at('http')}/v1/topics/${topic}/records`, {
      method: 'POST',
      headers: {
        'content-type': 'application/vnd.millrace.records+json',
      },
      body: JSON.stringify({ records: [{ key, value: { base64: btoa(value) }, headers: { trace: header } }] }),
    })
    assert.ok(answer.ok, await answer.text())
  },
  async mqtt({ value, header }) {
    const client = await connectAsync(`mqtt://${at('mqtt')}`, { protocolVersion: 5 })
    await client.publishAsync(key, value, { qos: 1, properties: { userProperties: { trace: header! } } })
    await client.endAsync()
  },
  async kinesis({ value }) {
    const client = kinesis()
    await client.send(new PutRecordCommand({ StreamName: topic, PartitionKey: key, Data: Buffer.from(value) }))
    client.destroy()
  },
  async pubsub({ value, header }) {
    const message = { data: btoa(value), attributes: { trace: header }, orderingKey: key }
    await http('pubsub', `/v1/projects/p/topics/${topic}:publish`, { messages: [message] })
  },
  async eventhubs({ value, header }) {
    const client = new EventHubProducerClient(hubs(), topic)
    const body = Buffer.from(value)
    await client.sendBatch([{ body, properties: { trace: header } }], { partitionKey: key })
    await client.close()
  },
}
const readers: Readonly<Record<string, Read>> = {
  async kafka(count) {
    const consumer = kafka().consumer({ groupId: 'side-by-side' })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    const found: Event[] = []
    await new Promise<void>((resolve, reject) => {
      consumer
        .run({
          async eachMessage({ message }) {
            assert.ok(Number(message.timestamp) >= startedMs && Number(message.timestamp) <= Date.now())
            found.push({
              key: message.key?.toString() ?? null,
              value: message.value!.toString(),
              header: message.headers?.['trace']?.toString() ?? null,
            })
            if (found.length === count) resolve()
          },
        })
        .catch(reject)
    })
    await consumer.disconnect()
    return found
  },
  async http() {
    const answer = await fetch(`http://${at('http')}/v1/topics/${topic}/records?from=earliest&limit=100`)
    const { records } = (await answer.json()) as {
      records: {
        key: { text: string } | null
        value: { text: string }
        headers: { name: string; value: { text: string } }[]
      }[]
    }
    return records.map((record) => ({
      key: record.key?.text ?? null,
      value: record.value.text,
      header: record.headers.find(({ name }) => name === 'trace')?.value.text ?? null,
    }))
  },
  async mqtt(count) {
    const client = await connectAsync(`mqtt://${at('mqtt')}`, { protocolVersion: 5, clientId: 'reader', clean: false })
    const found: Event[] = []
    const all = new Promise<void>((resolve) => {
      client.on('message', (name, payload, { properties }) => {
        const trace = properties?.userProperties?.['trace']
        found.push({ key: name, value: payload.toString(), header: (trace as string | undefined) ?? null })
        if (found.length === count) resolve()
      })
    })
    await client.subscribeAsync('shop/#', { qos: 1 })
    await all
    await client.endAsync()
    return found
  },
  async kinesis(count) {
    const client = kinesis()
    const shard = { StreamName: topic, ShardId: 'shardId-000000000000' }
    const begin = await client.send(new GetShardIteratorCommand({ ...shard, ShardIteratorType: 'TRIM_HORIZON' }))
    const found: Event[] = []
    for (let next = begin.ShardIterator; found.length < count;) {
      const { Records = [], NextShardIterator } = await client.send(new GetRecordsCommand({ ShardIterator: next }))
      for (const { Data, PartitionKey, ApproximateArrivalTimestamp } of Records) {
        assert.ok(+ApproximateArrivalTimestamp! >= startedMs && +ApproximateArrivalTimestamp! <= Date.now())
        found.push({ key: PartitionKey!, value: Buffer.from(Data!).toString(), header: null })
      }
      next = NextShardIterator
    }
    client.destroy()
    return found
  },
  async pubsub(count) {
    const found: Event[] = []
    while (found.length < count) {
      const { receivedMessages = [] } = (await http('pubsub', `${subscription}:pull`, { maxMessages: 100 })) as {
        receivedMessages?: { ackId: string; message: PubsubMessage }[]
      }
      for (const { message } of receivedMessages) {
        const { publishTime, orderingKey = null, data = '', attributes: { trace = null } = {} } = message
        assert.ok(Date.parse(publishTime) >= startedMs && Date.parse(publishTime) <= Date.now())
        found.push({ key: orderingKey, value: atob(data), header: trace })
      }
      const ackIds = receivedMessages.map(({ ackId }) => ackId)
      if (ackIds.length > 0) await http('pubsub', `${subscription}:acknowledge`, { ackIds })
    }
    return found
  },
  async eventhubs(count) {
    const client = new EventHubConsumerClient('$Default', hubs(), topic)
    const found: Event[] = []
    await new Promise<void>((resolve, reject) => {
      client.subscribe(
        {
          async processEvents(events) {
            for (const { body, partitionKey, properties, enqueuedTimeUtc } of events) {
              assert.ok(+enqueuedTimeUtc >= startedMs && +enqueuedTimeUtc <= Date.now())
              found.push({ key: partitionKey, value: textOf(body), header: properties?.['trace'] ?? null })
            }
            if (found.length >= count) resolve()
          },
          processError: async (error) => reject(error),
        },
        { startPosition: earliestEventPosition, maxWaitTimeInSeconds: 1 },
      )
    })
    await client.close()
    return found
  },
}
const textOf = (body: unknown): string =>
  Buffer.isBuffer(body) || body instanceof Uint8Array ? Buffer.from(body).toString() : JSON.stringify(body)

describe('one log under all protocols', { timeout: 120_000 }, () => {
  before(async () => {
    const listen = ['http', 'kafka', 'mqtt', 'kinesis', 'pubsub', 'eventhubs'].map((one) => `${one}=127.0.0.1:0`)
    const { config } = resolveConfig({ data: ':memory:', workers: '0', listen }, {}, {})
    running = await startMillrace({ config, world: realWorld(), logger: silent })
    stops.push(() => running.close())
    await http('http', `/v1/topics/${topic}`, { partitions: 1 }, 'PUT')
    await http('pubsub', subscription, { topic: `projects/p/topics/${topic}` }, 'PUT')
    // A session that is kept: what is sent before its reader comes waits for it.
    const session = await connectAsync(`mqtt://${at('mqtt')}`, {
      protocolVersion: 5,
      clientId: 'reader',
      clean: false,
      properties: { sessionExpiryInterval: 600 },
    })
    await session.subscribeAsync('shop/#', { qos: 1 })
    await session.endAsync()
    for (const [name, send] of Object.entries(senders)) await send({ key, value: `by ${name}`, header: `of ${name}` })
  })
  after(async () => {
    for (const stop of stops) await stop()
  })

  for (const [reader, read] of Object.entries(readers))
    test(`${reader} reads what every protocol has sent, in the order of the log`, async () => {
      const names = Object.keys(senders)
      const found = await read(names.length)
      const expected = names.map((name) => ({
        key,
        value: `by ${name}`,
        header: name === 'kinesis' || reader === 'kinesis' ? null : `of ${name}`,
      }))
      assert.deepEqual(found, expected)
    })
})
