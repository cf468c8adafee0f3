/**
 * What goes wrong on the other side of a connector, beside a real Kafka and mosquitto: it is not there at the start, it is
 * killed in the middle (SIGKILL), topics are deleted and widened, records are huge or not to its taste. `--quick` kills less.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import mqtt from 'mqtt'
import { Volume, volumesMissing } from '../faults/volume.ts'
import { create, makeTopic, recordsOf, shown, until, write } from './connect-helpers.ts'
import { type KafkaBroker, type Millrace, freePorts, startKafka, startMillrace, startMosquitto } from './setup/index.ts'
import { type Kafka, kafkaClient } from './connect-peer.ts'

const isQuick = process.env['MILLRACE_QUICK'] === '1'
const data = mkdtempSync(join(tmpdir(), 'millrace-connect-trouble-'))
const soon = { 'restart.delay': '100ms', 'restart.delay.max': '1s' }
const values = async (millrace: Millrace, topic: string): Promise<string[]> =>
  (await recordsOf(millrace, topic)).map(({ value }) => value ?? '')
const numbered = (from: number, count: number): { key: string; value: string }[] =>
  Array.from({ length: count }, (_, i) => ({ key: `k${(from + i) % 7}`, value: String(from + i) }))
const upTo = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i))
const sorted = (all: readonly string[]): string[] => all.toSorted((a, b) => Number(a) - Number(b))

describe('a connector in trouble', () => {
  after(() => rmSync(data, { recursive: true, force: true }))

  test('a Kafka that is not there yet is waited for, killed in the middle it is gone on with: each record once', async () => {
    const folder = join(data, 'kafka')
    const ports = await freePorts()
    const [http] = await freePorts()
    const home = join(data, 'millrace')
    const serve = () => startMillrace({ data: home, http: `127.0.0.1:${http}` })
    let millrace = await serve()
    let kafka: KafkaBroker | null = null
    let there: Kafka | null = null
    try {
      await makeTopic(millrace, 'totals', 3)
      const brokers = `127.0.0.1:${ports[0]}`
      await create(millrace, 'out', {
        kind: 'kafka',
        direction: 'sink',
        settings: { brokers, topics: 'totals', ...soon },
      })
      await create(millrace, 'in', {
        kind: 'kafka',
        direction: 'source',
        settings: { brokers, topics: 'orders', refresh: '300ms', ...soon },
      })
      await write(millrace, 'totals', numbered(0, 200))
      await until('both say that it is away', async () => {
        const both = [await shown(millrace, 'in'), await shown(millrace, 'out')]
        return both.every(({ fault }) => fault?.code === 'cluster.unavailable')
      })
      kafka = await startKafka(folder, [], ports)
      there = await kafkaClient(kafka.address)
      await there.make('orders', 3)
      let written = 200
      let sent = 0
      for (let round = 0; round < (isQuick ? 2 : 5); round++) {
        await there.topic('orders').send(numbered(sent, 300))
        sent += 300
        for (let i = 0; i < 5; i++) await write(millrace, 'totals', numbered(written + i * 100, 100))
        written += 500
        await sleep(Math.random() * 400)
        await there.close()
        if (round % 2 === 0) {
          process.kill(kafka.pid, 'SIGKILL')
          await sleep(500)
          kafka = await startKafka(folder, [], ports)
        } else {
          await millrace.kill('SIGKILL')
          millrace = await serve()
        }
        there = await kafkaClient(kafka.address)
      }
      const away = there
      await until('all came', async () => (await values(millrace, 'orders')).length >= sent)
      await until('all are there', async () => (await away.topic('totals').values()).length >= written)
      await sleep(1_000)
      assert.deepEqual(sorted(await values(millrace, 'orders')), upTo(sent))
      assert.deepEqual(sorted(await away.topic('totals').values()), upTo(written))
      for (const of of await away.topic('totals').byPartition()) assert.deepEqual(of, sorted(of))
      assert.equal((await shown(millrace, 'out')).status, 'running')
    } finally {
      await there?.close()
      await millrace.stop()
      await kafka?.stop()
    }
  })

  test('topics that are deleted and made anew, widened on either side, and records that one side will not have', async () => {
    const kafka = await startKafka(join(data, 'second'), ['message.max.bytes=40000000'])
    const there = await kafkaClient(kafka.address)
    const millrace = await startMillrace()
    try {
      const brokers = kafka.address
      let orders = await there.make('orders', 1)
      await orders.send(numbered(0, 50))
      await create(millrace, 'in', {
        kind: 'kafka',
        direction: 'source',
        settings: { brokers, topics: 'orders', refresh: '300ms', into: 'west.{topic}', ...soon },
      })
      await until('the first came', async () => (await values(millrace, 'west.orders')).length === 50)
      await there.remove('orders')
      await sleep(1_000)
      orders = await there.make('orders', 2)
      await orders.send(numbered(50, 50))
      await until('those of the new one came', async () => (await values(millrace, 'west.orders')).length >= 100)
      assert.deepEqual(sorted(await values(millrace, 'west.orders')), upTo(100))

      await makeTopic(millrace, 'totals', 1)
      await write(millrace, 'totals', numbered(0, 50))
      await create(millrace, 'out', {
        kind: 'kafka',
        direction: 'sink',
        settings: { brokers, topics: 'totals', ...soon },
      })
      await until('they are there', async () => (await there.topic('totals').values()).length === 50)
      await there.remove('totals')
      await sleep(1_000)
      await write(millrace, 'totals', numbered(50, 50))
      await until(
        'those after it was deleted are there',
        async () => (await there.topic('totals').values()).length === 50,
        200_000,
      )
      await fetch(`http://${millrace.http}/v1/topics/totals`, {
        method: 'PATCH',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ partitions: 4 }),
      })
      await write(millrace, 'totals', numbered(100, 50))
      await until(
        'those of the new partitions are there',
        async () => (await there.topic('totals').values()).length === 100,
      )
      assert.equal((await there.topic('totals').byPartition()).length, 4)
      assert.equal((await shown(millrace, 'out')).status, 'running')

      const huge = 'x'.repeat(30_000_000)
      await orders.send([{ key: 'k0', value: huge }, ...numbered(100, 1)])
      await until('what is behind the huge one came', async () =>
        (await values(millrace, 'west.orders')).includes('100'),
      )
      const [kept] = await recordsOf(millrace, 'in.dlq')
      assert.equal(kept?.value?.length, huge.length)

      await there.make('compact', 1, { 'cleanup.policy': 'compact' })
      await makeTopic(millrace, 'compact', 1)
      await write(millrace, 'compact', [
        { key: 'a', value: '1' },
        { key: null, value: 'poison' },
        { key: 'b', value: '2' },
      ])
      await create(millrace, 'poisoned', {
        kind: 'kafka',
        direction: 'sink',
        settings: { brokers, topics: 'compact', ...soon },
      })
      await until(
        'what is behind the poison is there',
        async () => (await there.topic('compact').values()).length === 2,
      )
      assert.deepEqual(await values(millrace, 'poisoned.dlq'), ['poison'])
    } finally {
      await there.close()
      await millrace.stop()
      await kafka.stop()
    }
  })

  test('a mosquitto that is not there yet, and goes and comes back, loses nothing of either direction', async () => {
    const folder = join(data, 'mosquitto')
    mkdirSync(folder)
    const [port] = await freePorts()
    const millrace = await startMillrace()
    let broker: Awaited<ReturnType<typeof startMosquitto>> | null = null
    const url = `mqtt://127.0.0.1:${port}`
    const client = mqtt.connect(url, {
      protocolVersion: 5,
      clientId: 'tester',
      clean: false,
      reconnectPeriod: 100,
      properties: { sessionExpiryInterval: 600 },
    })
    client.on('error', () => {})
    const got: string[] = []
    client.on('message', (_topic, payload) => got.push(payload.toString()))
    try {
      await makeTopic(millrace, 'totals', 1)
      await create(millrace, 'in', {
        kind: 'mqtt',
        direction: 'source',
        settings: { url, topics: 'in/#', into: 'in', ...soon },
      })
      await create(millrace, 'out', {
        kind: 'mqtt',
        direction: 'sink',
        settings: { url, topics: 'totals', into: 'out/{key}', ...soon },
      })
      await until('both say that it is away', async () => {
        const both = [await shown(millrace, 'in'), await shown(millrace, 'out')]
        return both.every(({ fault }) => fault?.code === 'connect.unavailable')
      })
      broker = await startMosquitto(folder, { at: port })
      await client.subscribeAsync('out/#', { qos: 1 })
      await until('it is subscribed', async () => {
        await client.publishAsync('in/x', '-1', { qos: 1 })
        return (await values(millrace, 'in')).length > 0
      })
      let count = 0
      for (let round = 0; round < (isQuick ? 2 : 5); round++) {
        const under = numbered(count, 300).map(({ key, value }) => client.publishAsync(`in/${key}`, value, { qos: 1 }))
        await write(millrace, 'totals', numbered(count, 300))
        count += 300
        await sleep(Math.random() * 100)
        await broker.stop()
        await sleep(300)
        broker = await startMosquitto(folder, { at: port })
        await Promise.all(under)
      }
      const firsts = (all: readonly string[]): string[] => [...new Set(all)].filter((value) => value !== '-1')
      await until('all came', async () => firsts(await values(millrace, 'in')).length >= count)
      await until('all are there', () => firsts(got).length >= count)
      assert.deepEqual(firsts(await values(millrace, 'in')), upTo(count))
      assert.deepEqual(firsts(got), upTo(count))
    } finally {
      await client.endAsync(true)
      await millrace.stop()
      await broker?.stop()
    }
  })

  test('a mosquitto that refuses the password is asked once; with the right one it goes on', async () => {
    const folder = join(data, 'guarded')
    mkdirSync(folder)
    const user = { name: 'bridge', password: 'right-one' }
    const broker = await startMosquitto(folder, { user })
    const millrace = await startMillrace()
    try {
      await makeTopic(millrace, 'totals', 1)
      await write(millrace, 'totals', numbered(0, 5))
      const login = { url: `mqtt://${broker.address}`, username: user.name, password: 'wrong-one', ...soon }
      await create(millrace, 'in', {
        kind: 'mqtt',
        direction: 'source',
        settings: { ...login, topics: 'out/#', into: 'in' },
      })
      await create(millrace, 'out', {
        kind: 'mqtt',
        direction: 'sink',
        settings: { ...login, topics: 'totals', into: 'out/{key}' },
      })
      const both = ['in', 'out']
      await until('both are refused', async () => {
        const seen = await Promise.all(both.map((name) => shown(millrace, name)))
        return seen.every(({ status, fault }) => status === 'failed' && fault?.code === 'connect.refused')
      })
      for (const name of both) {
        const said = (await (await fetch(`http://${millrace.http}/v1/connectors/${name}/doctor`)).json()) as object[]
        assert.match(JSON.stringify(said), /"code":"failed".*not authorized|"code":"failed".*password/)
        assert.ok(!JSON.stringify(said).includes('wrong-one'))
        const changed = await fetch(`http://${millrace.http}/v1/connectors/${name}`, {
          method: 'PATCH',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ settings: { password: user.password } }),
        })
        assert.equal(changed.status, 200)
        if (name === 'in')
          await until('it is subscribed', async () => (await shown(millrace, name)).status === 'running')
      }
      await sleep(500)
      await write(millrace, 'totals', numbered(5, 5))
      await until('the last came round', async () => (await values(millrace, 'in')).includes('9'))
    } finally {
      await millrace.stop()
      await broker.stop()
    }
  })

  test('the disk of Millrace fills up under a source: it waits, says so, and brings each record once', async (t) => {
    const missing = await volumesMissing(data)
    if (missing !== null) return t.skip(missing)
    const volume = await Volume.make(join(data, 'small'), 'ext4', 192)
    const there = await startMillrace()
    const millrace = await startMillrace({ data: join(volume.path, 'data') })
    const ballast = join(volume.path, 'ballast')
    try {
      await makeTopic(there, 'orders', 2)
      const filling = 'x'.repeat(100_000)
      for (let i = 0; i < 600; i += 5)
        await write(
          there,
          'orders',
          Array.from({ length: 5 }, (_, j) => ({ key: `k${j}`, value: `${i + j} ${filling}` })),
        )
      writeFileSync(ballast, Buffer.alloc(Math.max(0, volume.freeBytes() - 30_000_000), 1))
      await create(millrace, 'in', {
        kind: 'kafka',
        direction: 'source',
        settings: { brokers: there.kafka, topics: 'orders', into: 'west', ...soon },
      })
      await until('it says that there is no room', async () => {
        const { status, fault } = await shown(millrace, 'in')
        return status === 'failed' && fault !== null && /disk|space|full/i.test(fault.detail)
      })
      const said = await fetch(`http://${millrace.http}/v1/connectors/in/doctor`)
      const [cause] = (await said.json()) as { code: string; remedy: string }[]
      assert.equal(cause?.code, 'restarting')
      rmSync(ballast)
      const numbers = async () => (await values(millrace, 'west')).map((value) => value.split(' ')[0]!)
      await until('all came', async () => (await numbers()).length >= 600)
      assert.deepEqual(sorted(await numbers()), upTo(600))
    } finally {
      await millrace.stop()
      await there.stop()
      await volume.unmount()
    }
  })
})
