/** Every metric of a running instance against the rules of Prometheus' own linter (`promtool check metrics`). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silent } from '../../src/lib/logger.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { resolveConfig } from '../../src/node/config.ts'
import { startMillrace } from '../../src/node/millrace.ts'

interface Family {
  help: string
  type: string
  readonly series: Map<string, number>
}
/** The text format, strictly: HELP, then TYPE, then the samples of that family alone. */
function families(text: string): Map<string, Family> {
  const all = new Map<string, Family>()
  let current = ''
  for (const line of text.split('\n')) {
    if (line === '') continue
    const meta = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line)
    if (meta !== null) {
      const [, what, name, rest] = meta as unknown as [string, string, string, string]
      if (what === 'HELP') {
        assert.ok(!all.has(name), `${name} stands twice`)
        all.set((current = name), { help: rest, type: '', series: new Map() })
      } else {
        assert.equal(name, current, line)
        all.get(name)!.type = rest
      }
      continue
    }
    const sample = /^([a-zA-Z_:][\w:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*\})? (\S+)$/.exec(line)
    assert.ok(sample !== null, `no sample: ${line}`)
    const [, name, labels = '', value] = sample
    const family = all.get(current)!
    const own = family.type === 'histogram' ? [`${current}_bucket`, `${current}_sum`, `${current}_count`] : [current]
    assert.ok(own.includes(name!), `${line} stands under ${current}`)
    assert.ok(!family.series.has(name! + labels), `${line} stands twice`)
    family.series.set(name! + labels, Number(value))
  }
  return all
}
const notBase =
  /(^|_)(ms|millis|milliseconds?|us|microseconds?|ns|nanoseconds?|minutes?|hours?|days?|kb|kib|mb|mib|gb|gib|kilobytes?|megabytes?|bits?|percent|ratio_percent)(_|$)/

test('names, units, types and help of every metric are those of the field', async (t) => {
  const { config } = resolveConfig({ data: ':memory:', listen: ['http=127.0.0.1:0', 'kafka=127.0.0.1:0'] }, {}, {})
  const running = await startMillrace({ config, world: realWorld(), logger: silent })
  t.after(() => running.close())
  const url = `http://${running.listening().http}`
  const post = async (path: string, type: string, body: string): Promise<void> => {
    const response = await fetch(url + path, { method: 'POST', headers: { 'content-type': type }, body })
    assert.equal(response.status, 200, await response.text())
  }
  await post(
    '/v1/sql',
    'application/sql',
    `CREATE STREAM s (a int) WITH (topic = 's', format = 'json');
     CREATE MATERIALIZED VIEW v AS SELECT a, count(*) AS n FROM s GROUP BY a;
     CREATE ALERT al AS SELECT a FROM s WHERE a > 1 NOTIFY CONSOLE`,
  )
  await post('/v1/topics/s/records', 'application/json', '[{"a":1},{"a":2}]')
  assert.equal((await fetch(`${url}/v1/topics`, { headers: { origin: 'http://evil.example' } })).status, 403)
  // The view's group has a lag once the view has read something.
  while (running.engine.relation('v')!.stats.rowsIn < 2) await new Promise((resolve) => setTimeout(resolve, 20))
  const scraped = await fetch(`${url}/metrics`)
  assert.match(scraped.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/)
  const all = families(await scraped.text())
  assert.ok(all.size > 35, `only ${all.size} metrics`)
  const prefix = /^(millrace|process|nodejs)_[a-z][a-z0-9_]*[a-z0-9]$/
  for (const [name, { help, type, series }] of all) {
    assert.match(name, prefix)
    assert.match(help, /^[A-Z0-9].*[^ ]$/, `${name}: ${help}`)
    assert.match(type, /^(counter|gauge|histogram)$/, name)
    assert.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`)
    assert.doesNotMatch(name, notBase)
    assert.doesNotMatch(name, /_(bucket|count|sum|info_total)$|(^|_)(counter|gauge|histogram)(_|$)|__/)
    assert.ok(!name.endsWith('_info') || [...series.values()].every((value) => value === 1), name)
    for (const [id, value] of series) {
      assert.ok(!Number.isNaN(value), id)
      assert.ok(type === 'gauge' || value >= 0, id)
      assert.equal(/[{,]le="/.test(id), id.startsWith(`${name}_bucket`), id)
    }
  }
  for (const wanted of [
    'millrace_topic_records_in_total{topic="s"}',
    'millrace_topic_bytes_in_total{topic="s"}',
    'millrace_http_requests_total{route="/v1/topics/{topic}/records",method="POST",status="200"}',
    'millrace_http_refused_total{what="origin"}',
    'millrace_view_running{view="v"}',
    'millrace_alerts_fired_total{alert="al"}',
    'millrace_consumer_group_lag_records{group="_millrace_view.v",topic="s"}',
    'millrace_kafka_connections',
    'millrace_store_sync_rounds_total',
    'process_cpu_seconds_total',
  ])
    assert.ok(all.get(wanted.replace(/\{.*/, ''))?.series.has(wanted), `${wanted} is missing`)
})
