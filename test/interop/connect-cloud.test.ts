/**
 * The connectors that stand on official packages (AWS, Google, Azure), between two Millraces: one is the service, by its
 * gateways; the other carries in and out and is killed (SIGKILL) again and again. What is exactly once is compared record by
 * record; what is at least once by first arrivals.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ReadRecord, create, makeTopic, recordsOf, shown, until, write } from './connect-helpers.ts'
import { type Millrace, freePortRow, npmFolder, startMillrace } from './setup/index.ts'

const isQuick = process.env['MILLRACE_QUICK'] === '1'
const rounds = isQuick ? 2 : 6
const perRound = isQuick ? 200 : 1_000
const data = mkdtempSync(join(tmpdir(), 'millrace-connect-cloud-'))
const values = (records: readonly ReadRecord[]): string[] => records.map(({ value }) => value ?? '')
const sorted = (all: readonly string[]): string[] => all.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
const firsts = (all: readonly string[]): string[] => [...new Set(all)]

describe('connectors on official packages', () => {
  let service: Millrace
  let bridge: Millrace
  let ports: { kinesis: string; pubsub: string; eventhubs: string }
  let bridgeHttp = ''
  let nodePath = ''
  const startBridge = (): Promise<Millrace> =>
    startMillrace({ data: join(data, 'bridge'), http: bridgeHttp, env: { NODE_PATH: nodePath } })
  const kill = async (): Promise<void> => {
    await bridge.kill('SIGKILL')
    bridge = await startBridge()
  }
  const kinds = () => ({
    kinesis: {
      ...{ region: 'eu-central-1', endpoint: `http://${ports.kinesis}`, 'restart.delay': '100ms' },
      ...{ 'access.key.id': 'AKID', 'secret.access.key': 'some-secret-or-other' },
    },
    pubsub: { project: 'p', endpoint: ports.pubsub, plaintext: 'true', 'restart.delay': '100ms' },
    eventhubs: {
      'connection.string': `Endpoint=sb://${ports.eventhubs};SharedAccessKeyName=key;SharedAccessKey=secret;UseDevelopmentEmulator=true`,
      'restart.delay': '100ms',
    },
  })

  before(async () => {
    nodePath = join(await npmFolder('@google-cloud/pubsub@6.3.0'), 'node_modules')
    const first = await freePortRow(4)
    ports = { kinesis: `127.0.0.1:${first}`, pubsub: `127.0.0.1:${first + 1}`, eventhubs: `127.0.0.1:${first + 2}` }
    bridgeHttp = `127.0.0.1:${first + 3}`
    const args = Object.entries(ports).flatMap(([protocol, at]) => ['--listen', `${protocol}=${at}`])
    service = await startMillrace({ data: join(data, 'service'), args })
    bridge = await startBridge()
  })
  after(async () => {
    await bridge?.stop()
    await service?.stop()
    rmSync(data, { recursive: true, force: true })
  })

  const records = (round: number) =>
    Array.from({ length: perRound }, (_, i) => ({
      key: `k${i % 10}`,
      value: `${String(round).padStart(2, '0')}-${String(i).padStart(5, '0')}`,
      headers: [['round', String(round)]] as const,
    }))
  /** Into the service, with kills of the bridge in between. */
  async function sendRounds(to: () => Millrace, topic: string): Promise<string[]> {
    const wanted: string[] = []
    for (let round = 0; round < rounds; round++) {
      const some = records(round)
      const writing = write(to(), topic, some)
      if (to() !== bridge) await sleep(Math.random() * 200)
      else await writing
      wanted.push(...some.map(({ value }) => value))
      await sleep(Math.random() * 300)
      await kill()
      await writing
    }
    return wanted
  }

  test('kinesis: a source brings each record once, in the order of its key', async () => {
    await makeTopic(service, 'kin', 2)
    await create(bridge, 'kin-in', {
      kind: 'kinesis',
      direction: 'source',
      settings: { ...kinds().kinesis, stream: 'kin', poll: '200ms' },
    })
    const wanted = await sendRounds(() => service, 'kin')
    await until('all came', async () => (await recordsOf(bridge, 'kin')).length >= wanted.length)
    await sleep(500)
    const got = await recordsOf(bridge, 'kin')
    assert.deepEqual(sorted(values(got)), sorted(wanted))
    for (const of of Map.groupBy(got, ({ key }) => key).values()) assert.deepEqual(values(of), sorted(values(of)))
  })
  test('kinesis: a sink loses nothing', async () => {
    await makeTopic(service, 'kin-copy', 2)
    await makeTopic(bridge, 'kin-out', 1)
    const settings = { ...kinds().kinesis, topics: 'kin-out', stream: 'kin-copy' }
    await create(bridge, 'kin-out', { kind: 'kinesis', direction: 'sink', settings })
    const wanted = await sendRounds(() => bridge, 'kin-out')
    const got = async () => values(await recordsOf(service, 'kin-copy'))
    await until('all are there', async () => firsts(await got()).length >= wanted.length)
    assert.deepEqual(sorted(firsts(await got())), sorted(wanted))
  })

  test('pubsub: a source loses nothing, and what goes along comes along', async () => {
    await makeTopic(service, 'pub', 2)
    const made = await fetch(`http://${ports.pubsub}/v1/projects/p/subscriptions/pub-sub`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ topic: 'projects/p/topics/pub', enableMessageOrdering: true, ackDeadlineSeconds: 10 }),
    })
    assert.equal(made.status, 200, await made.text())
    await create(bridge, 'pub-in', {
      kind: 'pubsub',
      direction: 'source',
      settings: { ...kinds().pubsub, subscription: 'pub-sub', into: 'pub' },
    })
    const wanted = await sendRounds(() => service, 'pub')
    const got = async () => recordsOf(bridge, 'pub')
    await until('all came', async () => firsts(values(await got())).length >= wanted.length)
    const all = await got()
    assert.deepEqual(sorted(firsts(values(all))), sorted(wanted))
    const one = all.find(({ value }) => value === wanted[3])
    assert.deepEqual([one?.key, one?.headers], ['k3', [['round', '0']]])
    assert.equal((await shown(bridge, 'pub-in')).status, 'running')
  })
  test('pubsub: a sink loses nothing and keeps the order of each key', async () => {
    await makeTopic(service, 'pub-copy', 2)
    await makeTopic(bridge, 'pub-out', 1)
    const settings = { ...kinds().pubsub, topics: 'pub-out', into: 'pub-copy' }
    await create(bridge, 'pub-out', { kind: 'pubsub', direction: 'sink', settings })
    const wanted = await sendRounds(() => bridge, 'pub-out')
    const got = async () => recordsOf(service, 'pub-copy')
    await until('all are there', async () => firsts(values(await got())).length >= wanted.length)
    const all = await got()
    assert.deepEqual(sorted(firsts(values(all))), sorted(wanted))
    for (const of of Map.groupBy(all, ({ key }) => key).values())
      assert.deepEqual(firsts(values(of)), sorted(firsts(values(of))))
  })

  test('eventhubs: a source brings each event once, in order', async () => {
    await makeTopic(service, 'hub', 2)
    await create(bridge, 'hub-in', {
      kind: 'eventhubs',
      direction: 'source',
      settings: { ...kinds().eventhubs, hub: 'hub' },
    })
    const wanted = await sendRounds(() => service, 'hub')
    await until('all came', async () => (await recordsOf(bridge, 'hub')).length >= wanted.length)
    await sleep(500)
    const byPlace = (all: readonly ReadRecord[]) =>
      Map.groupBy(all, ({ partition }) => partition)
        .values()
        .map((of) => of.map(({ key, value }) => [key, value]))
        .toArray()
    const [theirs, ours] = [await recordsOf(service, 'hub'), await recordsOf(bridge, 'hub')]
    assert.equal(ours.length, wanted.length)
    const inPlace = (all: readonly ReadRecord[]) => byPlace(all.toSorted((a, b) => a.partition - b.partition))
    assert.deepEqual(inPlace(ours), inPlace(theirs))
  })
  test('eventhubs: a sink loses nothing and keeps the order of each key', async () => {
    await makeTopic(service, 'hub-copy', 2)
    await makeTopic(bridge, 'hub-out', 1)
    const settings = { ...kinds().eventhubs, topics: 'hub-out', hub: 'hub-copy' }
    await create(bridge, 'hub-out', { kind: 'eventhubs', direction: 'sink', settings })
    const wanted = await sendRounds(() => bridge, 'hub-out')
    const got = async () => recordsOf(service, 'hub-copy')
    await until('all are there', async () => firsts(values(await got())).length >= wanted.length)
    const all = await got()
    assert.deepEqual(sorted(firsts(values(all))), sorted(wanted))
    for (const of of Map.groupBy(all, ({ key }) => key).values())
      assert.deepEqual(firsts(values(of)), sorted(firsts(values(of))))
  })

  test('without its package a connector says what to type, and stays failed', async () => {
    const bare = await startMillrace({ env: { NODE_PATH: '' } })
    try {
      await create(bare, 'in', {
        kind: 'pubsub',
        direction: 'source',
        settings: { ...kinds().pubsub, subscription: 'pub-sub' },
      })
      await until('it says so', async () => (await shown(bare, 'in')).status === 'failed')
      const { fault } = await shown(bare, 'in')
      assert.equal(fault?.code, 'connect.missing-package')
      assert.match(fault.detail, /npm install @google-cloud\/pubsub@6\.3\.0$/)
    } finally {
      await bare.stop()
    }
  })
})
