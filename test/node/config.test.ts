import assert from 'node:assert/strict'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { Fault } from '../../src/lib/fault.ts'
import { silent } from '../../src/lib/logger.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { type Protocol, environmentSettings, resolveConfig } from '../../src/node/config.ts'
import { startMillrace } from '../../src/node/millrace.ts'

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

test('who says nothing has all protocols; who says where something listens has only those beside HTTP and Kafka', () => {
  const ports = (resolved: ReturnType<typeof resolveConfig>): [string, number][] =>
    Object.entries(resolved.config.listen).flatMap(([name, at]) => (at === null ? [] : [[name, at.port]]))
  const all = { kafka: 9092, http: 8080, eventhubs: 5672, kinesis: 4567, mqtt: 1883, pubsub: 8085 }
  assert.deepEqual(Object.fromEntries(ports(resolveConfig({}, {}, {}))), all)
  const some = resolveConfig({}, {}, { listen: ['mqtt=127.0.0.1:7'] })
  assert.deepEqual(Object.fromEntries(ports(some)), { kafka: 9092, http: 8080, mqtt: 7 })
  assert.deepEqual(some.config.listensUnasked, [])
  assert.deepEqual(Object.fromEntries(ports(resolveConfig({ log: 'kafka://a:1' }, {}, {}))), { http: 8080, peer: 0 })
})
test('a port that nobody asked for and another has is done without; one that was asked for is not', async (t) => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  t.after(() => other.close())
  const taken = { host: '127.0.0.1', port: (other.address() as AddressInfo).port }
  const { config } = resolveConfig(
    { data: ':memory:', workers: '0', listen: ['kafka=off', 'http=127.0.0.1:0'] },
    {},
    {},
  )
  const warned: string[] = []
  const logger = { ...silent, warn: (message: string) => void warned.push(message) }
  const start = (listensUnasked: readonly Protocol[]) =>
    startMillrace({
      config: { ...config, listen: { ...config.listen, mqtt: taken }, listensUnasked },
      world: realWorld(),
      logger,
    })
  const running = await start(['mqtt'])
  t.after(() => running.close())
  assert.deepEqual(Object.keys(running.listening()), ['http'])
  assert.match(warned.join(), /mqtt cannot listen on .*another program listens there/)
  await assert.rejects(start([]), /mqtt cannot listen/)
})

test('each protocol is decided by itself', () => {
  const resolved = resolveConfig(
    { listen: ['kafka=localhost:0'] },
    environmentSettings({ MILLRACE_LISTEN: 'http=off,kafka=127.0.0.1:1' }),
    {},
  )
  const listening = Object.entries(resolved.config.listen).filter(([, at]) => at !== null)
  assert.deepEqual(listening, [['kafka', { host: 'localhost', port: 0 }]])
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
  for (const log of ['cloud', 'kafka://', 'kafka://localhost', 'kafka://h:1?zone=3', 'kafka://h:1?sasl=SCRAM-SHA-512'])
    assert.throws(() => resolveConfig({ log }, {}, {}), /config|log/, log)
})

test('a Kafka cluster takes the place of our own log, and its clients go there', () => {
  const { config } = resolveConfig({ log: 'kafka://a:9092,[::1]:9093' }, {}, {})
  assert.ok(config.log !== 'local')
  assert.deepEqual(config.log.brokers, [
    { host: 'a', port: 9092 },
    { host: '::1', port: 9093 },
  ])
  assert.deepEqual([config.log.tls, config.log.sasl], [null, null])
  assert.deepEqual([config.listen.kafka, config.listen.peer], [null, { host: '127.0.0.1', port: 0 }])
  assert.equal(resolveConfig({}, {}, {}).config.listen.peer, null)
  assert.throws(() => resolveConfig({ log: 'kafka://a:1', listen: ['kafka=localhost:0'] }, {}, {}), /brokers/)
  assert.throws(() => resolveConfig({ listen: ['peer=localhost:0'] }, {}, {}), /share a Kafka cluster/)
  assert.equal(resolveConfig({ log: 'kafka://a:1', listen: ['peer=10.0.0.7:0'] }, {}, {}).config.listen.peer?.port, 0)
})

test('TLS and credentials come with it; the password by the environment, and is never shown', () => {
  const environment = environmentSettings({
    MILLRACE_LOG: 'kafka://a:1?ca=/ca.pem&sasl=SCRAM-SHA-512&user=app',
    MILLRACE_LOG_PASSWORD: 'geheim',
  })
  const resolved = resolveConfig({}, environment, {})
  assert.ok(resolved.config.log !== 'local')
  assert.deepEqual(resolved.config.log.tls, { ca: '/ca.pem', own: null })
  const password = { text: 'geheim' }
  assert.deepEqual(resolved.config.log.sasl, { mechanism: 'SCRAM-SHA-512', username: 'app', password })
  assert.doesNotMatch(JSON.stringify(resolved.origins), /geheim/)
  const file = { kafka: ['a:1'], tls: {}, sasl: { mechanism: 'PLAIN', username: 'u', password: 'p' } } as const
  const { config } = resolveConfig({}, {}, { log: file })
  assert.deepEqual(config.log !== 'local' && [config.log.tls, config.log.sasl?.password], [
    { ca: null, own: null },
    { text: 'p' },
  ])
  const bare = { kafka: ['a:1'], sasl: { mechanism: 'PLAIN', username: 'u', password: 'p' } } as const
  assert.throws(() => resolveConfig({}, {}, { log: bare }), /use TLS/)
  const byFile = resolveConfig({ logPasswordFile: '/run/password' }, environment, { log: file }).config.log
  assert.deepEqual(byFile !== 'local' && byFile.sasl?.password, { file: '/run/password' })
})

test('a certificate of our own comes with its key', () => {
  const { config } = resolveConfig({ log: 'kafka://a:1?cert=/c.pem&key=/k.pem' }, {}, {})
  assert.deepEqual(config.log !== 'local' && config.log.tls, { ca: null, own: { cert: '/c.pem', key: '/k.pem' } })
  for (const query of ['cert=/c.pem', 'tls=false&ca=/ca.pem', 'tls=yes'])
    assert.throws(() => resolveConfig({ log: `kafka://a:1?${query}` }, {}, {}), /config|log/, query)
})

test('a data folder without a name is refused: a variable that is not set is no folder', () => {
  for (const data of ['', ' '])
    assert.throws(
      () => resolveConfig({ data }, {}, {}),
      (error) => error instanceof Fault && error.code === 'config.invalid',
    )
})
test('what Kafka clients get who make a topic without describing it is checked', () => {
  assert.deepEqual(resolveConfig({}, {}, {}).config.kafkaTopics, { autoCreate: true, partitions: 1 })
  const environment = environmentSettings({ MILLRACE_KAFKA_PARTITIONS: '12', MILLRACE_KAFKA_AUTO_CREATE: 'off' })
  assert.deepEqual(resolveConfig({}, environment, {}).config.kafkaTopics, { autoCreate: false, partitions: 12 })
  for (const settings of [
    { kafkaPartitions: '0' },
    { kafkaPartitions: '1.5' },
    { kafkaPartitions: '10001' },
    { kafkaPartitions: '' },
    { kafkaAutoCreate: 'true' },
  ])
    assert.throws(
      () => resolveConfig(settings, {}, {}),
      (error) => error instanceof Fault && error.code === 'config.invalid',
      JSON.stringify(settings),
    )
})
test('a group begins when no member has come for as long as is said', () => {
  assert.equal(resolveConfig({}, {}, {}).config.kafkaRebalanceDelayMs, 200)
  const environment = environmentSettings({ MILLRACE_KAFKA_REBALANCE_DELAY: '3s' })
  assert.equal(resolveConfig({}, environment, {}).config.kafkaRebalanceDelayMs, 3_000)
  assert.equal(resolveConfig({ kafkaRebalanceDelay: '0ms' }, environment, {}).config.kafkaRebalanceDelayMs, 0)
  for (const kafkaRebalanceDelay of ['', '5', '-1s', '61m'])
    assert.throws(
      () => resolveConfig({ kafkaRebalanceDelay }, {}, {}),
      (error) => error instanceof Fault && error.code === 'config.invalid',
      kafkaRebalanceDelay,
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

test('rules of MQTT topics are filters and log topics', () => {
  const { config } = resolveConfig(
    { mqttTopics: ['plant/+/temp=temperatures', 'a=b=c'], mqttKeepAlive: '60s', mqttPersistentClientExpiration: '14d' },
    {},
    {},
  )
  assert.deepEqual(config.mqttTopics, [
    { filter: 'plant/+/temp', topic: 'temperatures' },
    { filter: 'a=b', topic: 'c' },
  ])
  assert.equal(config.mqttKeepAliveS, 60)
  assert.equal(config.mqttSessionExpiryMaxS, 14 * 24 * 60 * 60)
  assert.equal(resolveConfig({}, {}, {}).config.mqttSessionExpiryMaxS, null)
  for (const settings of [
    { mqttTopics: ['plant'] },
    { mqttTopics: ['a/#/b=c'] },
    { mqttTopics: ['a=no topic'] },
    { mqttTopics: ['$share/g/a=b'] },
    { mqttKeepAlive: '1500ms' },
    { mqttKeepAlive: '19h' },
    { mqttPersistentClientExpiration: '1500ms' },
    { mqttPersistentClientExpiration: '50000d' },
  ])
    assert.throws(() => resolveConfig(settings, {}, {}), { code: 'config.invalid' })
})
