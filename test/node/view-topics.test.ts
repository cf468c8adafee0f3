/** What a view writes it alone writes: messages of devices, and what connectors bring, go elsewhere or nowhere. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type MqttClient, connectAsync } from 'mqtt'
import { opened, plain, put, until } from '../connect/millraces.ts'

const definitions = `
  CREATE STREAM sold (item text) WITH (topic = 'sold', format = 'json');
  CREATE MATERIALIZED VIEW "mqtt.counts" AS SELECT item, count(*) AS n FROM sold GROUP BY item;`

test('a message to the topic of a view is refused', async () => {
  await using stack = new AsyncDisposableStack()
  const running = await opened(stack, 'mqtt')
  await running.log.topics.create([{ name: 'sold', partitions: 1 }])
  await running.engine.run(definitions)
  const client: MqttClient = await connectAsync(`mqtt://${running.listening().mqtt}`, { protocolVersion: 5 })
  stack.defer(() => client.endAsync(true))
  await assert.rejects(client.publishAsync('counts/lamp', '5', { qos: 1 }), { code: 0x87 })
  await assert.rejects(client.publishAsync('counts/lamp', '5', { qos: 2, retain: true }), { code: 0x87 })
  await client.publishAsync('others/lamp', '5', { qos: 1 })
  assert.deepEqual(await plain(running, 'mqtt.counts'), [])
})

test('what a source would bring into the topic of a view is set aside', async () => {
  await using stack = new AsyncDisposableStack()
  const [there, here] = [await opened(stack, 'kinesis'), await opened(stack, 'kafka')]
  await there.log.topics.create([{ name: 'sold', partitions: 1 }])
  await put(there, 'sold', 0, { key: null, value: Buffer.from('intruder'), timeMs: 1_700_000_000_000 })
  await here.log.topics.create([{ name: 'sold', partitions: 1 }])
  await here.engine.run(definitions)
  const settings = {
    ...{
      region: 'eu-central-1',
      endpoint: `http://${there.listening().kinesis!}`,
      stream: 'sold',
      into: 'mqtt.counts',
    },
    ...{ 'access.key.id': 'AKID', 'secret.access.key': 'not-a-secret-here', poll: '100ms' },
  }
  await here.connectors.create({ name: 'in', kind: 'kinesis', direction: 'source', settings })
  await until('it is set aside', async () => (await here.connectors.get('in'))?.refused === 1)
  assert.deepEqual(await plain(here, 'in.dlq'), ['intruder'])
  assert.deepEqual(await plain(here, 'mqtt.counts'), [])
})
