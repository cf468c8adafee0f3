/**
 * The mqtt connector beside mosquitto, written to and read from by mqtt.js, while Millrace is killed (SIGKILL) again and again:
 * nothing is lost, what is repeated is what was under way, and the order of first arrivals is that of the sender.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import mqtt from 'mqtt'
import { create, makeTopic, recordsOf, shown, until, write } from './connect-helpers.ts'
import { type Mosquitto, freePorts, startMillrace, startMosquitto } from './setup/index.ts'

const isQuick = process.env['MILLRACE_QUICK'] === '1'
const rounds = isQuick ? 3 : 8
const perRound = isQuick ? 300 : 2_000
const data = mkdtempSync(join(tmpdir(), 'millrace-connect-mqtt-'))
const firsts = (all: readonly (string | null)[]): string[] => [...new Set(all.map((one) => one ?? ''))]

describe('the mqtt connector beside mosquitto', () => {
  let broker: Mosquitto
  before(async () => {
    const folder = join(data, 'mosquitto')
    mkdirSync(folder)
    broker = await startMosquitto(folder)
  })
  after(async () => {
    await broker?.stop()
    rmSync(data, { recursive: true, force: true })
  })

  for (const [version, qos] of [
    ['5', 1],
    ['3.1.1', 1],
    ['5', 2],
    ['3.1.1', 2],
  ] as const)
    test(`a source of version ${version} with QoS ${qos} loses nothing, however often Millrace is killed`, async () => {
      const [port] = await freePorts()
      const serve = () => startMillrace({ data: join(data, `source-${version}-${qos}`), http: `127.0.0.1:${port}` })
      let millrace = await serve()
      const sender = await mqtt.connectAsync(`mqtt://${broker.address}`, { protocolVersion: version === '5' ? 5 : 4 })
      const root = `v${version.replaceAll('.', '')}q${qos}`
      try {
        await create(millrace, 'in', {
          kind: 'mqtt',
          direction: 'source',
          settings: {
            url: `mqtt://${broker.address}`,
            topics: `${root}/#`,
            into: root,
            version,
            qos: String(qos),
            'restart.delay': '100ms',
          },
        })
        await until('it is subscribed', async () => {
          await sender.publishAsync(`${root}/ping`, 'ping', { qos: 1 })
          return (await recordsOf(millrace, root)).length > 0
        })
        const wanted: string[] = []
        for (let round = 0; round < rounds; round++) {
          const sending = (async () => {
            const under: Promise<unknown>[] = []
            for (let i = 0; i < perRound; i++) {
              const value = `${round}-${i}`
              wanted.push(value)
              under.push(sender.publishAsync(`${root}/${i % 7}`, value, { qos }))
              if (i % 50 === 49) await sleep(2)
              // More than it takes of QoS 2 at once mosquitto drops, for every subscriber.
              if (qos === 2 && i % 10 === 9) await Promise.all(under.splice(0))
            }
            await Promise.all(under)
          })()
          await sleep(100 + Math.random() * 300)
          await millrace.kill('SIGKILL')
          millrace = await serve()
          await sending
        }
        const values = async () =>
          (await recordsOf(millrace, root)).map(({ value }) => value).filter((v) => v !== 'ping')
        await until('all came', async () => firsts(await values()).length >= wanted.length)
        const all = await values()
        assert.deepEqual(firsts(all), wanted)
        if (qos === 2) assert.equal(all.length, wanted.length, 'each comes once')
        // In flight at a kill are at most what the window holds; of 3.1.1 the broker alone knows how many it sends ahead.
        if (version === '5')
          assert.ok(all.length <= wanted.length + rounds * 1_000, `${all.length} of ${wanted.length}`)
        const [record] = (await recordsOf(millrace, root)).filter(({ value }) => value === '0-3')
        assert.equal(record?.key, `${root}/3`)
        assert.equal((await shown(millrace, 'in')).status, 'running')
      } finally {
        await sender.endAsync(true)
        await millrace.stop()
      }
    })

  test('a sink loses nothing and keeps the order, however often Millrace is killed', async () => {
    const [port] = await freePorts()
    const serve = () => startMillrace({ data: join(data, 'sink'), http: `127.0.0.1:${port}` })
    let millrace = await serve()
    const receiver = await mqtt.connectAsync(`mqtt://${broker.address}`, { protocolVersion: 5 })
    const got: string[] = []
    receiver.on('message', (_topic, payload) => got.push(payload.toString()))
    try {
      await receiver.subscribeAsync('out/#', { qos: 1 })
      await makeTopic(millrace, 'totals', 1)
      await create(millrace, 'out', {
        kind: 'mqtt',
        direction: 'sink',
        settings: { url: `mqtt://${broker.address}`, topics: 'totals', into: 'out/{key}', 'restart.delay': '100ms' },
      })
      const wanted: string[] = []
      for (let round = 0; round < rounds; round++) {
        const values = Array.from({ length: perRound }, (_, i) => `${round}-${i}`)
        await write(
          millrace,
          'totals',
          values.map((value, i) => ({ key: `k${i % 5}`, value })),
        )
        wanted.push(...values)
        await sleep(Math.random() * 200)
        await millrace.kill('SIGKILL')
        millrace = await serve()
      }
      await until('all are there', () => firsts(got).length >= wanted.length)
      assert.deepEqual(firsts(got), wanted)
      await until('it is noted', async () => (await shown(millrace, 'out')).lag === 0)
    } finally {
      await receiver.endAsync(true)
      await millrace.stop()
    }
  })
})
