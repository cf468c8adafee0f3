/**
 * The kafka connector beside a real Kafka: topics of it into Millrace and topics of Millrace into it, while Millrace is killed
 * (SIGKILL) again and again. At the end both sides hold the same records, each once. `--quick` writes and kills less.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { realWorld } from '../../src/lib/real/world.ts'
import type { Address } from '../../src/lib/world.ts'
import { type LogRecord, type RecordInput, Unread, encodeBatch } from '../../src/log/batch.ts'
import { type ClusterClient, openClusterClient } from '../../src/log/cluster/client.ts'
import {
  type KafkaBroker,
  type Millrace,
  type SecureKafka,
  freePorts,
  startKafka,
  startMillrace,
  startSecureKafka,
} from './setup/index.ts'

const isQuick = process.env['MILLRACE_QUICK'] === '1'
const rounds = isQuick ? 3 : 8
const recordsPerRound = isQuick ? 300 : 2_000
const partitions = 3
const data = mkdtempSync(join(tmpdir(), 'millrace-connect-kafka-'))
const addressOf = (text: string): Address => {
  const [host = '', port = ''] = text.split(':')
  return { host, port: Number(port) }
}
const client = (at: string): Promise<ClusterClient> =>
  openClusterClient({ world: realWorld(), brokers: [addressOf(at)] })

function recordsOf(round: number): RecordInput[] {
  return Array.from({ length: recordsPerRound }, (_, i) => ({
    key: i % 5 === 0 ? null : Buffer.from(`key-${i % 50}`),
    value: i % 97 === 96 && i % 5 !== 0 ? null : Buffer.from(`${round}-${i}`),
    headers: [
      ['round', Buffer.from(String(round))],
      ['empty', null],
    ],
    timeMs: 1_700_000_000_000 + round * 1_000_000 + i,
  }))
}
async function write(to: ClusterClient, topic: string, round: number): Promise<void> {
  const all = recordsOf(round)
  for (let at = 0; at < all.length; at += 100) {
    const batch = encodeBatch(all.slice(at, at + 100), at % 200 === 0 ? 'lz4' : 'none')
    const [done] = await to.writer().append([{ partition: { topic, index: (at / 100) % partitions }, batch }])
    if (done !== undefined && 'fault' in done) throw done.fault
  }
}
/** Of each partition, in order. */
async function readAll(from: ClusterClient, topic: string): Promise<LogRecord[][]> {
  const [info] = await from.topics([topic])
  const all: LogRecord[][] = []
  for (let index = 0; index < (info?.partitions ?? 0); index++) {
    const partition = { topic, index }
    const [bounds] = await from.bounds([partition])
    const found: LogRecord[] = []
    const reader = from.reader()
    for (let at = bounds!.start; at < bounds!.stable;) {
      const [chunk] = await reader.read([{ partition, offset: at }], { ms: 2_000 })
      if (chunk === undefined) continue
      if ('fault' in chunk) throw chunk.fault
      for (const unread = new Unread(chunk.batches); !unread.isEmpty;)
        found.push(...unread.next().filter(({ offset }) => offset >= at))
      at = chunk.next
    }
    all.push(found)
  }
  return all
}
const bare = (all: readonly (readonly LogRecord[])[]): unknown[] =>
  all.map((of) =>
    of.map(({ key, value, timeMs, headers }) => [
      key === null ? null : Buffer.from(key).toString(),
      value === null ? null : Buffer.from(value).toString(),
      timeMs,
      headers.map(([name, content]) => [name, content === null ? null : Buffer.from(content).toString()]),
    ]),
  )
const countOf = (all: readonly (readonly LogRecord[])[]): number => all.reduce((sum, of) => sum + of.length, 0)

async function put(millrace: Millrace, name: string, connector: object): Promise<void> {
  const response = await fetch(`http://${millrace.http}/v1/connectors/${name}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(connector),
  })
  assert.equal(response.status, 201, await response.text())
}
async function shown(millrace: Millrace, name: string): Promise<{ status: string; lag: number; fault: unknown }> {
  return (await (await fetch(`http://${millrace.http}/v1/connectors/${name}`)).json()) as never
}
async function until(what: string, is: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (await is()) return
    await sleep(200)
  }
  assert.fail(`not within two minutes: ${what}`)
}

describe('the kafka connector beside a real Kafka', () => {
  let kafka: KafkaBroker
  let theirs: ClusterClient
  let secure: SecureKafka | null = null

  before(async () => {
    kafka = await startKafka(join(data, 'kafka'))
    theirs = await client(kafka.address)
  })
  after(async () => {
    await theirs?.close()
    await kafka?.stop()
    await secure?.stop()
    rmSync(data, { recursive: true, force: true })
  })

  test('a source brings each record once, in order, however often Millrace is killed', async () => {
    await theirs.create([{ name: 'orders', partitions }])
    const [port] = await freePorts()
    const serve = () => startMillrace({ data: join(data, 'source'), kafka: `127.0.0.1:${port}` })
    let millrace = await serve()
    await put(millrace, 'west', {
      kind: 'kafka',
      direction: 'source',
      settings: { brokers: kafka.address, topics: 'orders', into: 'west.{topic}', 'restart.delay': '100ms' },
    })
    for (let round = 0; round < rounds; round++) {
      const writing = write(theirs, 'orders', round)
      await sleep(100 + Math.random() * 400)
      await millrace.kill('SIGKILL')
      millrace = await serve()
      await writing
    }
    const ours = await client(millrace.kafka)
    try {
      const wanted = await readAll(theirs, 'orders')
      assert.equal(countOf(wanted), rounds * recordsPerRound)
      await until('all came', async () => countOf(await readAll(ours, 'west.orders')) >= countOf(wanted))
      await sleep(500)
      assert.deepEqual(bare(await readAll(ours, 'west.orders')), bare(wanted))
      const info = await shown(millrace, 'west')
      assert.deepEqual([info.status, info.lag], ['running', 0])
    } finally {
      await ours.close()
      await millrace.stop()
    }
  })

  test('a sink writes each record once, in order, however often Millrace is killed', async () => {
    const [port] = await freePorts()
    const serve = () => startMillrace({ data: join(data, 'sink'), kafka: `127.0.0.1:${port}` })
    let millrace = await serve()
    let ours = await client(millrace.kafka)
    await ours.create([{ name: 'totals', partitions }])
    await put(millrace, 'out', {
      kind: 'kafka',
      direction: 'sink',
      settings: { brokers: kafka.address, topics: 'totals', into: 'copy.{topic}', 'restart.delay': '100ms' },
    })
    for (let round = 0; round < rounds; round++) {
      await write(ours, 'totals', round)
      await ours.close()
      // Somewhere in the carrying of it.
      await sleep(Math.random() * 300)
      await millrace.kill('SIGKILL')
      millrace = await serve()
      ours = await client(millrace.kafka)
    }
    try {
      const wanted = await readAll(ours, 'totals')
      assert.equal(countOf(wanted), rounds * recordsPerRound)
      await until('all are there', async () => countOf(await readAll(theirs, 'copy.totals')) >= countOf(wanted))
      await sleep(500)
      assert.deepEqual(bare(await readAll(theirs, 'copy.totals')), bare(wanted))
    } finally {
      await ours.close()
      await millrace.stop()
    }
  })

  test('a Kafka that is killed is waited for, and the rest comes when it is back', async () => {
    const folder = join(data, 'again')
    const ports = await freePorts()
    let second = await startKafka(folder, [], ports)
    const millrace = await startMillrace()
    const ours = await client(millrace.kafka)
    try {
      let there = await client(second.address)
      await there.create([{ name: 'orders', partitions }])
      await write(there, 'orders', 0)
      const settings = {
        brokers: second.address,
        topics: 'orders',
        'restart.delay': '100ms',
        'restart.delay.max': '1s',
      }
      await put(millrace, 'west', { kind: 'kafka', direction: 'source', settings })
      await until('the first came', async () => countOf(await readAll(ours, 'orders')) === recordsPerRound)
      await there.close()
      process.kill(second.pid, 'SIGKILL')
      await sleep(2_000)
      second = await startKafka(folder, [], ports)
      there = await client(second.address)
      await write(there, 'orders', 1)
      await until('the rest came', async () => countOf(await readAll(ours, 'orders')) >= 2 * recordsPerRound)
      assert.deepEqual(bare(await readAll(ours, 'orders')), bare(await readAll(there, 'orders')))
      await there.close()
    } finally {
      await ours.close()
      await millrace.stop()
      await second.stop()
    }
  })

  test('over TLS by SCRAM, the password in a file; a wrong one is a fault that says so and stays', async () => {
    const folder = join(data, 'secure')
    secure = await startSecureKafka(folder)
    const ca = join(folder, 'tls', 'ca.pem')
    const there = await openClusterClient({
      world: realWorld(),
      brokers: [addressOf(secure.address)],
      tls: { ca: secure.ca },
      sasl: { mechanism: 'SCRAM-SHA-256', username: 'admin', password: secure.password },
    })
    const millrace = await startMillrace()
    const ours = await client(millrace.kafka)
    const file = join(data, 'password')
    writeFileSync(file, `${secure.password}\n`)
    try {
      await there.create([{ name: 'orders', partitions }])
      await write(there, 'orders', 0)
      const settings = { brokers: secure.address, 'tls.ca': ca, 'sasl.mechanism': 'SCRAM-SHA-256', username: 'admin' }
      const source = { kind: 'kafka', direction: 'source' }
      await put(millrace, 'wrong', { ...source, settings: { ...settings, topics: 'orders', password: 'not-this-one' } })
      await put(millrace, 'west', { ...source, settings: { ...settings, topics: 'orders', 'password.file': file } })
      await until('all came', async () => countOf(await readAll(ours, 'orders')) >= recordsPerRound)
      const sink = { kind: 'kafka', direction: 'sink' }
      const out = { ...settings, topics: 'orders', into: 'back', 'password.file': file }
      await put(millrace, 'out', { ...sink, settings: out })
      await until('all went', async () => countOf(await readAll(there, 'back')) >= recordsPerRound)
      assert.deepEqual(bare(await readAll(there, 'back')), bare(await readAll(there, 'orders')))
      await until('it is refused', async () => (await shown(millrace, 'wrong')).status === 'failed')
      const { fault } = await shown(millrace, 'wrong')
      assert.match(JSON.stringify(fault), /cluster.authentication-failed/)
      assert.ok(
        !JSON.stringify(await (await fetch(`http://${millrace.http}/v1/connectors`)).json()).includes('not-this-one'),
      )
    } finally {
      await there.close()
      await ours.close()
      await millrace.stop()
    }
  })
})
