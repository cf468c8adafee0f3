import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../../src/lib/limits.ts'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { Health, diskCheck } from '../../src/telemetry/health.ts'
import { openMetrics } from '../../src/telemetry/metrics.ts'
import { Rate } from '../../src/telemetry/rate.ts'
import { openTelemetry } from '../../src/telemetry/telemetry.ts'
import { Traffic, kafkaMeter, storeMeter } from '../../src/telemetry/traffic.ts'
import { simulate } from '../../src/lib/sim/world.ts'

const textOf = async (metrics: ReturnType<typeof openMetrics>): Promise<string> => (await metrics.scrape()).text
const valueOf = (text: string, series: string): number =>
  Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${series} `))
      ?.slice(series.length + 1),
  )

test('a rate is the mean of the last full seconds and falls to nothing after them', async () => {
  const machine = simulate(1)
  await machine.run(async () => {
    const rate = new Rate(machine.clock)
    rate.add(10)
    assert.equal(rate.perSecond(), 10, 'the running second stands in')
    await machine.clock.sleep(1000)
    assert.equal(rate.perSecond(), 10)
    rate.add(30)
    await machine.clock.sleep(1000)
    assert.equal(rate.perSecond(), 20)
    await machine.clock.sleep(3000)
    assert.equal(rate.perSecond(), 8)
    await machine.clock.sleep(60_000)
    assert.equal(rate.perSecond(), 0)
    rate.add(5)
    await machine.clock.sleep(1000)
    assert.equal(rate.perSecond(), 1)
    assert.equal(rate.total, 45)
  })
})

test('topics without number share one series, and no counter falls', async () => {
  const metrics = openMetrics()
  const traffic = new Traffic(simulate(1).clock, metrics)
  const total = limits.metricSeries + 500
  for (let i = 0; i < total; i++) traffic.appended(`t${i}`, 2, 100)
  const first = await textOf(metrics)
  const lines = (text: string): string[] =>
    text.split('\n').filter((line) => line.startsWith('millrace_topic_records_in_total{'))
  assert.equal(lines(first).length, limits.metricSeries + 1)
  assert.equal(valueOf(first, 'millrace_topic_records_in_total{topic="(other)"}'), 1000)
  traffic.appended('t3', 1, 1)
  traffic.appended(`t${total - 1}`, 1, 1)
  const second = await textOf(metrics)
  assert.equal(valueOf(second, 'millrace_topic_records_in_total{topic="t3"}'), 3)
  assert.equal(valueOf(second, 'millrace_topic_records_in_total{topic="(other)"}'), 1001)
  assert.equal(lines(second).length, limits.metricSeries + 1)
  traffic.keep(new Set(['t4']))
  traffic.appended('t3', 5, 1)
  assert.equal(
    valueOf(await textOf(metrics), 'millrace_topic_records_in_total{topic="t3"}'),
    8,
    'made anew, it counts on',
  )
})

test('a total that is kept elsewhere shows as it is, and never falls when its source starts again', async () => {
  const metrics = openMetrics()
  const counter = metrics.counter({ name: 'x_total', help: 'x', labels: ['a'] as const })
  counter.set({ a: '1' }, 5)
  counter.set({ a: '1' }, 7)
  assert.equal(valueOf(await textOf(metrics), 'x_total{a="1"}'), 7)
  counter.set({ a: '1' }, 2)
  assert.equal(valueOf(await textOf(metrics), 'x_total{a="1"}'), 7)
})

test('whatever stands in a label or a help, the text can be read and series stay apart', async () => {
  const metrics = openMetrics()
  const gauge = metrics.gauge({ name: 'g', help: 'one\ntwo \\ three', labels: ['a', 'b'] as const })
  gauge.set({ a: '1', b: '21:3' }, 1)
  gauge.set({ a: '11:2', b: '3' }, Infinity)
  gauge.set({ a: 'x\0"', b: '\n\\' }, -0.5)
  const histogram = metrics.histogram({ name: 'h_seconds', help: 'h', labels: ['a'] as const, buckets: [1, 2] })
  for (const value of [1, 1.5, 2, 100]) histogram.observe({ a: 'x' }, value)
  assert.equal(
    await textOf(metrics),
    [
      '# HELP g one\\ntwo \\\\ three',
      '# TYPE g gauge',
      'g{a="1",b="21:3"} 1',
      'g{a="11:2",b="3"} +Inf',
      'g{a="x\0\\"",b="\\n\\\\"} -0.5',
      '# HELP h_seconds h',
      '# TYPE h_seconds histogram',
      'h_seconds_bucket{le="1",a="x"} 1',
      'h_seconds_bucket{le="2",a="x"} 3',
      'h_seconds_bucket{le="+Inf",a="x"} 4',
      'h_seconds_sum{a="x"} 104.5',
      'h_seconds_count{a="x"} 4',
      '',
    ].join('\n'),
  )
})

test('a gauge that is cleared shows what is set after that alone, a counter refuses to fall', async () => {
  const metrics = openMetrics()
  const gauge = metrics.gauge({ name: 'g', help: 'g', labels: ['a'] as const })
  gauge.set({ a: '1' }, 1)
  gauge.clear()
  gauge.set({ a: '2' }, 2)
  const counter = metrics.counter({ name: 'c_total', help: 'c' })
  assert.throws(() => counter.add({}, -1))
  const samples = (await textOf(metrics)).split('\n').filter((line) => !line.startsWith('#'))
  assert.deepEqual(samples, ['g{a="2"} 2', 'c_total 0', ''])
  assert.throws(() => metrics.gauge({ name: 'g', help: 'again' }))
})

test('a collector that throws spoils nothing else', async () => {
  const metrics = openMetrics()
  const gauge = metrics.gauge({ name: 'good', help: 'good' })
  metrics.onScrape(() => Promise.reject(new Error('broken')))
  metrics.onScrape(() => gauge.set({}, 1))
  assert.equal(valueOf(await textOf(metrics), 'good'), 1)
})

test('the meters of store and Kafka count', async () => {
  const metrics = openMetrics()
  const store = storeMeter(metrics)
  store.synced(2, 3)
  store.syncFailed()
  const kafka = kafkaMeter(metrics)
  kafka.request('Produce', 9, 0.002, 0)
  kafka.request('Produce', 9, 0.004, 87)
  const text = await textOf(metrics)
  assert.equal(valueOf(text, 'millrace_store_sync_rounds_total'), 1)
  assert.equal(valueOf(text, 'millrace_store_synced_files_total'), 3)
  assert.equal(valueOf(text, 'millrace_store_sync_failures_total'), 1)
  assert.equal(valueOf(text, 'millrace_store_sync_duration_seconds_bucket{le="0.0025"}'), 1)
  assert.equal(valueOf(text, 'millrace_kafka_requests_total{api="Produce",version="9"}'), 2)
  assert.equal(valueOf(text, 'millrace_kafka_errors_total{api="Produce",error="87"}'), 1)
  assert.equal(valueOf(text, 'millrace_kafka_request_duration_seconds_count{api="Produce"}'), 2)
})

test('names, helps and units follow the habits', async () => {
  const telemetry = openTelemetry({ clock: simulate(1).clock, version: '1' })
  const { text, contentType } = await telemetry.metrics.scrape()
  assert.match(contentType, /^text\/plain; version=0\.0\.4/)
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!] as const)
  assert.ok(types.length > 15)
  for (const [name, type] of types) {
    assert.match(name, /^(millrace|process|nodejs)_[a-z0-9_]+$/)
    assert.equal(type === 'counter', name.endsWith('_total'), name)
    if (type === 'histogram') assert.match(name, /_(seconds|bytes)$/)
  }
})

test('ready means that every part is; a full disk is not', () => {
  const health = new Health()
  assert.equal(health.ready().ready, false, 'nothing has said that it is there')
  let free = 100
  const disk = memoryDisk({ free: () => free })
  health.part('disk', diskCheck(disk, '/data', 50))
  assert.deepEqual(health.ready(), { ready: true, parts: [{ name: 'disk', ready: true, reason: null }] })
  free = 10
  assert.match(health.ready().parts[0]!.reason!, /10 bytes are free/)
  const leave = health.part('log', () => {
    throw new Error('gone')
  })
  free = 100
  assert.equal(health.ready().parts[1]!.reason, 'gone')
  leave()
  assert.equal(health.ready().ready, true)
})

test('the speed of several topics together is theirs alone', () => {
  const traffic = new Traffic(simulate(1).clock, openMetrics())
  traffic.appended('a', 2, 0.1)
  traffic.appended('b', 3, 0.2)
  traffic.appended('_millrace_state.v', 1_000, 10_000)
  traffic.read('b', 4, 100)
  assert.deepEqual(traffic.overall(['a', 'b', 'gone']), {
    recordsInPerSecond: 5,
    bytesInPerSecond: 0.3,
    recordsOutPerSecond: 4,
  })
})
