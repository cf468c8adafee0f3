/** KIP-714: which clients are asked for what, what of a push is refused, and what of it is shown. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { ClientTelemetry, type Push, type TelemetryCaller } from '../../../src/gateway/kafka/client-telemetry.ts'
import { Fault } from '../../../src/lib/fault.ts'
import { limits } from '../../../src/lib/limits.ts'
import { silent } from '../../../src/lib/logger.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { compress } from '../../../src/log/compression.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openTelemetry } from '../../../src/telemetry/telemetry.ts'
import { nullUuid } from '../../../src/wire/kafka/codec/shape.ts'
import { memoryWorld } from '../../log/local/support.ts'
import { metricsData } from '../../wire/otlp-samples.ts'
import { HandClock } from './memory-net.ts'

async function start() {
  const clock = new HandClock()
  const world = memoryWorld()
  const log = await openLocalLog({ world, dir: '/data' })
  const telemetry = openTelemetry({ clock, version: 'test' })
  const { random } = realWorld()
  const clients = new ClientTelemetry({
    clock,
    random,
    configs: log.clientMetrics,
    sink: telemetry.clients,
    log: silent,
  })
  const shown = async (): Promise<string[]> =>
    (await telemetry.metrics.scrape()).text.split('\n').filter((line) => line.startsWith('kafka_client_'))
  return { clock, log, clients, shown, world, telemetry }
}
const caller = (given: Partial<TelemetryCaller> = {}): TelemetryCaller => ({
  client_id: 'orders',
  client_software_name: 'apache-kafka-java',
  client_software_version: '4.3.1',
  client_source_address: '10.0.0.7',
  client_source_port: '4711',
  signal: new AbortController().signal,
  ...given,
})
const codeOf = (call: () => unknown): string => {
  try {
    call()
    return 'ok'
  } catch (error) {
    assert.ok(error instanceof Fault)
    return error.code
  }
}
const pushOf = (of: { instanceId: string; subscriptionId: number }, more: Partial<Push> = {}): Push => ({
  clientInstanceId: of.instanceId,
  subscriptionId: of.subscriptionId,
  terminating: false,
  compressionType: 0,
  metrics: metricsData([{ name: 'org.apache.kafka.producer.record.send.rate', gauge: 12.5 }]),
  ...more,
})
const everything = (log: LocalLog) => log.clientMetrics.alter('all', { metrics: '*', 'interval.ms': '1000' })

test('nobody is asked for anything until a resource says so; then those that it matches are', async () => {
  const { clients, log } = await start()
  const first = clients.ask(nullUuid, caller())
  assert.notEqual(first.instanceId, nullUuid)
  assert.deepEqual([first.metrics, first.intervalMs], [[], 300_000])
  const alter = (name: string, match: string, metrics: string, interval: string) =>
    log.clientMetrics.alter(name, { match, metrics, 'interval.ms': interval })
  await alter('java', 'client_software_name=apache.*,client_software_version=4\\.3\\..*', 'b.,a.', '60000')
  await alter('orders', 'client_id=ord.*', 'a.,c.', '20000')
  await alter('elsewhere', 'client_source_address=192\\..*', 'd.', '100')
  await alter('part', 'client_id=rder', 'e.', '100')
  const again = clients.ask(first.instanceId, caller())
  assert.deepEqual([again.metrics, again.intervalMs], [['a.', 'b.', 'c.'], 20_000])
  assert.notEqual(again.subscriptionId, first.subscriptionId)
  const other = clients.ask(nullUuid, caller({ client_id: 'x', client_software_name: 'librdkafka' }))
  assert.deepEqual(other.metrics, [])
  await log.clientMetrics.alter('one', { match: `client_instance_id=${other.instanceId}`, metrics: '*,a.' })
  assert.deepEqual(
    clients.ask(other.instanceId, caller({ client_id: 'x', client_software_name: 'librdkafka' })).metrics,
    ['*'],
  )
  await log.close()
})
test('settings of client metrics are checked', async () => {
  const { log } = await start()
  const check = (name: string, change: Record<string, string>): string =>
    log.clientMetrics.check(name, change)?.code ?? 'ok'
  assert.equal(check('a', { 'interval.ms': '99' }), 'log.invalid-config')
  assert.equal(check('a', { 'interval.ms': '3600001' }), 'log.invalid-config')
  assert.equal(
    check('a', { 'interval.ms': '3600000', metrics: 'a,b', match: ' client_id = x , client_source_port=1.*' }),
    'ok',
  )
  assert.equal(check('a', { match: 'nonsense=b' }), 'log.invalid-config')
  assert.equal(check('a', { match: 'client_id' }), 'log.invalid-config')
  assert.equal(check('a', { match: 'client_id=(a' }), 'log.invalid-config')
  assert.equal(check('a', { match: 'client_id=a=b' }), 'log.invalid-config')
  assert.equal(check('a', { foo: 'b' }), 'log.invalid-config')
  assert.equal(check('', { metrics: 'b' }), 'log.invalid-config')
  assert.equal(check('a', { metrics: 'a.b,'.repeat(limits.clientSubscriptionMetrics + 1) }), 'log.invalid-config')
  await log.close()
})
test('they are there after a restart, and gone when the last one is taken away', async () => {
  const { log, world } = await start()
  await everything(log)
  await log.clientMetrics.alter('gone', { metrics: 'a' })
  await log.clientMetrics.alter('gone', { metrics: null })
  await log.close()
  const again = await openLocalLog({ world, dir: '/data' })
  assert.deepEqual(again.clientMetrics.names(), ['all'])
  assert.deepEqual(again.clientMetrics.current('all'), { metrics: '*', 'interval.ms': '1000' })
  await again.close()
})
test('who comes too early is told so; the last push may come any time, and nothing after it', async () => {
  const { clients, clock, log } = await start()
  await everything(log)
  const asked = clients.ask(nullUuid, caller())
  const push = (more: Partial<Push> = {}): string => codeOf(() => clients.push(pushOf(asked, more), caller()))
  clock.advance(500)
  assert.equal(
    codeOf(() => clients.ask(asked.instanceId, caller())),
    'kafka.telemetry-too-early',
  )
  assert.equal(push(), 'ok', 'the first push after asking')
  clock.advance(999)
  assert.equal(push(), 'kafka.telemetry-too-early')
  clock.advance(1)
  assert.equal(push(), 'ok')
  assert.equal(push({ terminating: true }), 'ok')
  clock.advance(5_000)
  assert.equal(push(), 'kafka.telemetry-refused')
  await log.close()
})
test('a push that nobody asked for, too large, in an unknown codec, or of nonsense is refused', async () => {
  const { clients, clock, log, shown } = await start()
  await everything(log)
  const asked = clients.ask(nullUuid, caller())
  const push = (more: Partial<Push> = {}): string => {
    clock.advance(1_000)
    return codeOf(() => clients.push(pushOf(asked, more), caller()))
  }
  assert.equal(push({ clientInstanceId: nullUuid }), 'kafka.telemetry-refused')
  assert.equal(push({ subscriptionId: asked.subscriptionId + 1 }), 'kafka.telemetry-unknown-subscription')
  assert.equal(
    codeOf(() => clients.ask(asked.instanceId, caller())),
    'ok',
    'it may ask again at once',
  )
  assert.equal(push({ compressionType: 9 }), 'kafka.telemetry-codec')
  assert.equal(push({ metrics: Buffer.alloc(limits.telemetryBytes + 1) }), 'kafka.telemetry-too-large')
  assert.equal(push({ metrics: Buffer.from('not protobuf at all') }), 'kafka.telemetry-unreadable')
  assert.equal(push({ compressionType: 1 }), 'kafka.telemetry-unreadable', 'it is not gzip')
  const bomb = gzipSync(Buffer.alloc(limits.telemetryUnpackedBytes + 1))
  assert.equal(push({ compressionType: 1, metrics: bomb }), 'kafka.telemetry-unreadable')
  assert.deepEqual(await shown(), [])
  await log.close()
})
test('what is pushed is shown to Prometheus, in every codec, with what the client is', async () => {
  const { clients, clock, log, shown } = await start()
  await everything(log)
  const asked = clients.ask(nullUuid, caller())
  const samples = (rate: number, total: number, delta: number) =>
    metricsData(
      [
        {
          name: 'org.apache.kafka.producer.record.send.rate',
          gauge: rate,
          attributes: { topic: 'a"b\\c', n: 3, le: 'x' },
        },
        { name: 'org.apache.kafka.producer.record.send.total', counter: total },
        { name: 'own metric', counter: delta, isDelta: true },
        { name: 'org.apache.kafka.latency', histogram: { sum: 7.5, bounds: [1, 2], counts: [3, 2, 1] }, isDelta: true },
      ],
      { client_rack: 'r1' },
    )
  for (const [i, codec] of (['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const).entries()) {
    clock.advance(1_000)
    const metrics = compress(codec, samples(i, 10 * i, 2))
    clients.push(pushOf(asked, { compressionType: i, metrics }), caller())
  }
  const who = `client_id="orders",client_instance_id="${asked.instanceId}",client_rack="r1"`
  assert.deepEqual(await shown(), [
    `kafka_client_info{client_instance_id="${asked.instanceId}",client_id="orders",software="apache-kafka-java",version="4.3.1"} 1`,
    `kafka_client_producer_record_send_rate{${who},n="3",topic="a\\"b\\\\c"} 4`,
    `kafka_client_producer_record_send_total{${who}} 40`,
    `kafka_client_own_metric_total{${who}} 10`,
    `kafka_client_latency_bucket{${who},le="1"} 15`,
    `kafka_client_latency_bucket{${who},le="2"} 25`,
    `kafka_client_latency_bucket{${who},le="+Inf"} 30`,
    `kafka_client_latency_sum{${who}} 37.5`,
    `kafka_client_latency_count{${who}} 30`,
  ])
  clock.advance(60_000)
  assert.equal((await shown()).length, 9)
  clock.advance(1)
  assert.deepEqual(await shown(), [], 'a client that is silent is forgotten')
  await log.close()
})
test('series are bounded, for one client and over all', async () => {
  const { clients, log, shown, telemetry } = await start()
  await everything(log)
  const push = (count: number, { labels = 1, length = 1 } = {}): void => {
    const asked = clients.ask(nullUuid, caller())
    const samples = Array.from({ length: count }, (_, i) => ({
      name: `m${i}`.padEnd(length, 'x'),
      gauge: i,
      attributes: Object.fromEntries(Array.from({ length: labels }, (_none, n) => [`l${n}`, 'v'.repeat(length)])),
    }))
    const metrics = compress('zstd', metricsData(samples))
    clients.push(pushOf(asked, { compressionType: 4, metrics }), caller())
  }
  push(limits.telemetrySeriesPerClient + 5)
  assert.equal((await shown()).length, limits.telemetrySeriesPerClient + 1)
  assert.match((await telemetry.metrics.scrape()).text, /^millrace_client_metrics_dropped_total 5$/m)
  push(1, { labels: 30, length: 5_000 })
  const long = (await shown()).find((line) => line.includes('l0="vv'))!
  assert.ok(long.length < (limits.telemetryLabels + 4) * (limits.telemetryTextLength + 20), 'names and labels are cut')
  assert.equal(long.match(/="/g)!.length, limits.telemetryLabels + 2)
  for (let i = 0; i < limits.telemetrySeries / limits.telemetrySeriesPerClient; i++)
    push(limits.telemetrySeriesPerClient)
  const lines = await shown()
  assert.equal(lines.filter((line) => !line.startsWith('kafka_client_info')).length, limits.telemetrySeries)
  await log.close()
})
test('what is asked of a client goes with its connection, and of clients that are silent', async () => {
  const { clients, clock, log } = await start()
  await everything(log)
  const connection = new AbortController()
  const mine = caller({ signal: connection.signal })
  const asked = clients.ask(nullUuid, mine)
  clients.push(pushOf(asked), mine)
  assert.equal(
    codeOf(() => clients.push(pushOf(asked), mine)),
    'kafka.telemetry-too-early',
  )
  connection.abort()
  assert.equal(
    codeOf(() => clients.push(pushOf(asked), caller())),
    'ok',
    'its subscription is the same as before',
  )
  assert.equal(
    codeOf(() => clients.push(pushOf(asked), caller())),
    'kafka.telemetry-too-early',
  )
  clients.push(pushOf(asked, { terminating: true }), caller())
  clock.advance(60_001)
  assert.equal(
    codeOf(() => clients.push(pushOf(asked), caller())),
    'ok',
    'that it had ended is forgotten',
  )
  await log.close()
})
test('no bytes make the reader do more than refuse them', async () => {
  const { clients, clock, log } = await start()
  await everything(log)
  const asked = clients.ask(nullUuid, caller())
  const good = metricsData([
    { name: 'a', gauge: 1, attributes: { b: 'c' } },
    { name: 'h', histogram: { sum: 1, bounds: [1], counts: [1, 2] } },
  ])
  let refused = 0
  for (let i = 0; i < 20_000; i++) {
    const bytes = Buffer.from(good)
    for (let n = 0; n <= i % 4; n++) bytes[Math.floor(Math.random() * bytes.length)] = Math.floor(Math.random() * 256)
    clock.advance(1_000)
    const code = codeOf(() =>
      clients.push(pushOf(asked, { metrics: bytes.subarray(0, i % 3 === 0 ? i % 50 : bytes.length) }), caller()),
    )
    if (code !== 'ok') refused++
    assert.ok(code === 'ok' || code === 'kafka.telemetry-unreadable', code)
  }
  assert.ok(refused > 1_000)
  await log.close()
})
