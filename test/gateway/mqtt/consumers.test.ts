/**
 * Subscribers whose connections are cut at random while messages come: sessions that are kept lose nothing, each topic comes in
 * order, QoS 2 comes once; members of a shared subscription have everything between them.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import mqtt, { type MqttClient } from 'mqtt'
import { randomFrom } from '../../faults/case.ts'
import { broker, quiet } from './fixture.ts'

const topics = 4
const ofTopic = 1_000
const cuts = 60

interface Consumer {
  readonly client: MqttClient
  /** Topic → sequences, as they came. */
  readonly came: Map<string, number[]>
}
async function consumer(port: number, clientId: string, filter: string, qos: 1 | 2): Promise<Consumer> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
    protocolVersion: 5,
    clientId,
    clean: false,
    reconnectPeriod: 10,
    properties: { sessionExpiryInterval: 600, receiveMaximum: 20 },
  })
  const came = new Map<string, number[]>()
  client.on('error', () => {})
  client.on('message', (topic, payload) => {
    const of = came.get(topic) ?? []
    came.set(topic, of)
    of.push(Number(payload.toString()))
  })
  await client.subscribeAsync(filter, { qos })
  return { client, came }
}
const firsts = (sequences: readonly number[]): number[] => [...new Set(sequences)]
const all = Array.from({ length: ofTopic }, (_, i) => i)

test('consumers are cut off at random', { timeout: 120_000 }, async (t) => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`SEED=${seed}`)
  const random = randomFrom(seed)
  const { port, client, complaints } = await broker(t)
  const consumers = {
    one: await consumer(port, 'one', 'o/#', 1),
    two: await consumer(port, 'two', 'o/#', 2),
    'member 1': await consumer(port, 'member-1', '$share/g/o/#', 1),
    'member 2': await consumer(port, 'member-2', '$share/g/o/#', 1),
  }
  t.after(() => Object.values(consumers).forEach((each) => each.client.end(true)))
  const from = await client({ protocolVersion: 5 })
  const publishing = Promise.all(
    Array.from({ length: topics }, async (_, topic) => {
      for (const i of all) {
        const sent = from.mqtt.publishAsync(`o/${topic}`, `${i}`, { qos: topic % 2 === 0 ? 1 : 2 })
        if (i % 20 === 19) await sent
      }
    }),
  )
  for (let cut = 0; cut < cuts; cut++) {
    await quiet(5 + random() * 40)
    const chosen = Object.values(consumers)[Math.floor(random() * 4)]!
    chosen.client.stream.destroy()
  }
  await publishing
  const { one, two } = consumers
  const members = [consumers['member 1'], consumers['member 2']]
  const names = Array.from({ length: topics }, (_, topic) => `o/${topic}`)
  const between = (name: string): number[] => members.flatMap(({ came }) => came.get(name) ?? [])
  const isDone = (): boolean =>
    names.every(
      (name) =>
        [one, two].every(({ came }) => firsts(came.get(name) ?? []).length === ofTopic) &&
        firsts(between(name)).length === ofTopic,
    )
  const giveUp = performance.now() + 30_000
  while (!isDone() && performance.now() < giveUp) await quiet(20)
  await quiet(300)
  for (const name of names) {
    assert.deepEqual(firsts(one.came.get(name) ?? []), all, `QoS 1, ${name}, SEED=${seed}`)
    const qos2 = two.came.get(name) ?? []
    // A message that was published with QoS 1 is delivered with QoS 1.
    if (name === 'o/1' || name === 'o/3') assert.deepEqual(qos2, all, `QoS 2, ${name}, SEED=${seed}`)
    else assert.deepEqual(firsts(qos2), all, `${name}, SEED=${seed}`)
    assert.deepEqual(
      firsts(between(name)).toSorted((a, b) => a - b),
      all,
      `shared, ${name}, SEED=${seed}`,
    )
  }
  assert.deepEqual(
    complaints.filter((text) => !text.includes('takes nothing')),
    [],
  )
})
