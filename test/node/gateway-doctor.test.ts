/** What the doctor finds at those who read through gateways, over the whole program: each is planted, and has a twin that is well. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as kinesis from '@aws-sdk/client-kinesis'
import mqtt from 'mqtt'
import type { Diagnosis, GatewayInfo, TopicReader } from '../../src/gateway/http/api.ts'
import { limits } from '../../src/lib/limits.ts'
import { silent } from '../../src/lib/logger.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { resolveConfig } from '../../src/node/config.ts'
import { startMillrace } from '../../src/node/millrace.ts'
import { millraceAt } from '../cli/run.ts'
import { put, until } from '../connect/millraces.ts'
import { RawClient } from '../gateway/eventhubs/raw-client.ts'

const hourMs = 3_600_000
/** With what a terminal would take for a command. */
const gone = 'gone\u009b31m'

test('the doctor names who reads through a gateway and does not get on, and nobody else', async () => {
  await using stack = new AsyncDisposableStack()
  const protocols = ['http', 'mqtt', 'pubsub', 'kinesis', 'eventhubs']
  const listen = ['kafka=off', ...protocols.map((protocol) => `${protocol}=127.0.0.1:0`)]
  const { config } = resolveConfig({ data: ':memory:', listen, workers: '0' }, {}, {})
  const running = await startMillrace({ config, world: realWorld(), logger: silent })
  stack.defer(() => running.close())
  const at = running.listening()
  for (const name of ['mqtt.shop', 'mqtt.quiet']) await running.log.topics.create([{ name, partitions: 1 }])
  const get = async <T>(path: string): Promise<T> => (await (await fetch(`http://${at.http}${path}`)).json()) as T
  const doctor = (gateway: string): Promise<Diagnosis[]> => get(`/v1/gateways/${gateway}/doctor`)
  const names = (await get<GatewayInfo[]>('/v1/gateways')).map(({ protocol }) => protocol)
  assert.deepEqual(names, ['eventhubs', 'kinesis', 'mqtt', 'pubsub'])
  for (const name of names) assert.deepEqual(await doctor(name), [], name)
  assert.equal((await fetch(`http://${at.http}/v1/gateways/kafka/doctor`)).status, 404)

  for (const clientId of [gone, 'little']) {
    const client = await mqtt.connectAsync(`mqtt://${at.mqtt}`, { clientId, clean: false })
    await client.subscribeAsync(clientId === gone ? 'shop/#' : 'shop/last', { qos: 1 })
    await client.endAsync()
  }
  for (const [id, topic] of [
    ['mailers', 'mqtt.shop'],
    ['idle', 'mqtt.quiet'],
  ]) {
    const made = await fetch(`http://${at.pubsub}/v1/projects/p/subscriptions/${id}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ topic: `projects/p/topics/${topic}` }),
    })
    assert.equal(made.status, 200, await made.text())
  }
  const streams = new kinesis.KinesisClient({
    region: 'eu-central-1',
    endpoint: `http://${at.kinesis}`,
    credentials: { accessKeyId: 'AKID', secretAccessKey: 'not-a-secret-here' },
  })
  stack.defer(() => streams.destroy())
  const StreamARN = (await streams.send(new kinesis.DescribeStreamSummaryCommand({ StreamName: 'mqtt.shop' })))
    .StreamDescriptionSummary!.StreamARN!
  await streams.send(new kinesis.RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'archive' }))
  const port = Number(at.eventhubs!.split(':')[1])
  const client = await RawClient.open({ port })
  stack.defer(() => client[Symbol.asyncDispose]())
  const from = 'mqtt.shop/ConsumerGroups/$Default/Partitions/0'
  const selector = "amqp.annotation.x-opt-offset > '-1'"
  await client.receiver(from, { selector, name: 'hangs' })
  await client.receiver(from, { selector, name: 'takes', credit: 5_000 })

  const count = limits.mqttQueued + 5
  const timeMs = Date.now() - 3 * hourMs
  const record = (_: unknown, n: number) => ({ key: Buffer.from(`shop/${n}`), value: Buffer.from('x'), timeMs })
  await put(running, 'mqtt.shop', 0, ...Array.from({ length: count }, record))

  await until('the session is behind', async () => (await doctor('mqtt')).length === 1)
  const [session] = await doctor('mqtt')
  assert.deepEqual([session!.code, session!.sure], ['away-and-waiting', 'likely'])
  assert.match(session!.evidence[0]!, /^gone\u009b31m: 1000 or more, away for \d+\w+, and it does not end by itself$/)
  assert.equal(session!.evidence.length, 1)

  const subscriptions = await doctor('pubsub')
  assert.deepEqual(
    subscriptions.map(({ code }) => code),
    ['unacknowledged'],
  )
  assert.match(subscriptions[0]!.says, /^The subscription mailers is read, and 1005 messages wait/)
  assert.match(subscriptions[0]!.evidence[0]!, /^the oldest is (180|181)m old$|^the oldest is 4h old$/)

  const consumers = await doctor('kinesis')
  assert.deepEqual(
    consumers.map(({ code }) => code),
    ['nobody-subscribed'],
  )
  assert.match(consumers[0]!.says, /archive.*mqtt\.shop/)

  await until('one receiver has all', async () => (await doctor('eventhubs')).length === 1)
  const [receiver] = await doctor('eventhubs')
  assert.match(
    receiver!.says,
    /^The receiver hangs of partition 0 of mqtt\.shop, group \$default, is 1005 events behind/i,
  )
  assert.match(receiver!.evidence[1]!, /no credit/)
  const readers = await get<TopicReader[]>('/v1/topics/mqtt.shop/readers')
  const lags = readers.filter(({ protocol }) => protocol === 'eventhubs').map(({ name, lag }) => [name, lag])
  assert.deepEqual(lags.toSorted(), [
    ['hangs', count],
    ['takes', 0],
  ])

  const millrace = millraceAt(at.http!)
  const one = await millrace('doctor', 'kinesis')
  assert.match(one.stdout, /^kinesis: probably nobody-subscribed\n.*archive.*\n.*\n +To do: /)
  assert.match((await millrace('doctor', 'mqtt')).stdout, /- gone\\x9b31m: 1000 or more/)
  assert.match((await millrace('mqtt-session', 'show', gone)).stdout, /client +gone\\x9b31m\n/)
  const all = (await millrace('doctor', '-o', 'jsonl')).stdout.trim().split('\n')
  assert.deepEqual(
    all.map((line) => (JSON.parse(line) as { gateway: string }).gateway),
    ['eventhubs', 'kinesis', 'mqtt', 'pubsub'],
  )
  assert.equal((await millrace('doctor', 'amqp')).code, 3)
})
