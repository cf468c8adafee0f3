import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../src/lib/fault.ts'
import { environmentSettings, resolveConfig } from '../../src/node/config.ts'

const origin = (resolved: ReturnType<typeof resolveConfig>, setting: string): string | undefined =>
  resolved.origins.find((one) => one.setting === setting)?.origin

test('a flag goes over the environment, that over the file, that over the default', () => {
  const resolved = resolveConfig({ data: 'flag' }, environmentSettings({ MILLRACE_DATA: 'environment' }), {
    data: 'file',
  })
  assert.equal(resolved.config.data, 'flag')
  assert.equal(origin(resolved, 'data'), 'flag')
  assert.equal(resolveConfig({}, { data: 'environment' }, { data: 'file' }).config.data, 'environment')
  assert.equal(resolveConfig({}, {}, { data: 'file' }).config.data, 'file')
  assert.equal(resolveConfig({}, {}, {}).config.data, './.millrace')
})

test('each protocol is decided by itself', () => {
  const resolved = resolveConfig(
    { listen: ['kafka=localhost:0'] },
    environmentSettings({ MILLRACE_LISTEN: 'http=off,kafka=127.0.0.1:1' }),
    {},
  )
  assert.deepEqual(resolved.config.listen, { http: null, kafka: { host: 'localhost', port: 0 } })
  assert.equal(origin(resolved, 'listen.kafka'), 'flag')
  assert.equal(origin(resolved, 'listen.http'), 'environment')
})

test('an address that others can reach is refused', () => {
  for (const host of ['0.0.0.0', '192.168.1.5', 'example.org', '[::]', '[::ffff:10.0.0.1]', '127.0.0.1.example.org'])
    assert.throws(
      () => resolveConfig({ listen: [`kafka=${host}:9092`] }, {}, {}),
      (error) => error instanceof Fault && error.code === 'config.not-loopback',
      host,
    )
  for (const host of ['127.0.0.1', '127.8.9.10', 'localhost', '[::1]'])
    resolveConfig({ listen: [`http=${host}:0`] }, {}, {})
})

test('what does not parse is named', () => {
  for (const text of ['kafka', 'kafka=', 'kafka=localhost', 'kafka=localhost:70000', 'amqp=localhost:1', '=:1'])
    assert.throws(
      () => resolveConfig({ listen: [text] }, {}, {}),
      (error) => error instanceof Fault && error.code === 'config.invalid',
      text,
    )
  assert.throws(() => resolveConfig({ log: 'kafka://localhost:9092' }, {}, {}), /log = kafka:/)
})

test('a data folder without a name is refused: a variable that is not set is no folder', () => {
  for (const data of ['', ' '])
    assert.throws(
      () => resolveConfig({ data }, {}, {}),
      (error) => error instanceof Fault && error.code === 'config.invalid',
    )
})
test('hosts and origins that HTTP lets in are named exactly', () => {
  const { config } = resolveConfig(
    {},
    environmentSettings({ MILLRACE_HTTP_ORIGINS: 'https://App.example,http://localhost:3000/' }),
    { httpHosts: ['events.example', '[::1]'] },
  )
  assert.deepEqual(config.httpHosts, ['events.example', '[::1]'])
  assert.deepEqual(config.httpOrigins, ['https://app.example', 'http://localhost:3000'])
  for (const settings of [
    { httpHosts: ['events.example:8080'] },
    { httpHosts: ['*'] },
    { httpHosts: ['https://events.example'] },
    { httpOrigins: ['app.example'] },
    { httpOrigins: ['https://app.example/path'] },
    { httpOrigins: ['*'] },
    { httpOrigins: ['null'] },
    { httpOrigins: ['file:///'] },
  ])
    assert.throws(
      () => resolveConfig(settings, {}, {}),
      (error) => error instanceof Fault && error.code === 'config.invalid',
      JSON.stringify(settings),
    )
})
