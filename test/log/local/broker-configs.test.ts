/** Settings of the broker that can be changed while it runs: what topics have that do not say otherwise. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openLocalLog } from '../../../src/log/local/open.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { brokerSynonyms } from '../../../src/log/local/broker-configs.ts'
import { settings } from '../../../src/log/local/topic-settings.ts'
import { batch, memoryWorld, produceOne, said, withTopic } from './support.ts'

const open = (world = memoryWorld()) => openLocalLog({ world, dir: '/data' })
const sourcesOf = (log: LocalLog, topic: string, setting: string): string[] =>
  log
    .describeConfig(topic)
    .find(({ name }) => name === setting)!
    .synonyms!.map(({ name, value, source }) => `${source} ${name}=${value}`)

test('a topic without its own setting has that of this broker, of all brokers, the default, in this order', async () => {
  const world = memoryWorld()
  let log = await open(world)
  await withTopic(log, 'own', { 'max.message.bytes': '300000' })
  await withTopic(log, 't')
  await log.brokerConfigs.alter('', { 'message.max.bytes': '200000' })
  await log.brokerConfigs.alter('1', { 'message.max.bytes': '100000' })
  await log.close()
  log = await open(world)
  const big = batch(['x'.repeat(150_000)])
  const put = async (topic: string): Promise<number | string> =>
    said(await produceOne(log, { topic, index: 0 }, Buffer.from(big)))
  assert.equal(await put('t'), 'log.batch-too-large', 'this broker says less, also after a restart')
  assert.equal(await put('own'), 0)
  assert.deepEqual(sourcesOf(log, 't', 'max.message.bytes'), [
    'broker message.max.bytes=100000',
    'all-brokers message.max.bytes=200000',
    'default message.max.bytes=1048588',
  ])
  assert.equal(sourcesOf(log, 'own', 'max.message.bytes')[0], 'topic max.message.bytes=300000')
  await log.brokerConfigs.alter('1', { 'message.max.bytes': null })
  assert.equal(await put('t'), 0, 'what all brokers have is enough')
  await log.brokerConfigs.alter('', { 'message.max.bytes': '1000' })
  assert.equal(await put('t'), 'log.batch-too-large')
  await log.brokerConfigs.alter('', { 'message.max.bytes': null })
  assert.equal(await put('t'), 1)
  assert.deepEqual(sourcesOf(log, 't', 'max.message.bytes'), ['default message.max.bytes=1048588'])
  await log.close()
})
test('a default that Kafka works out of several settings is no synonym; what was set is', async () => {
  const log = await open()
  await withTopic(log, 't')
  for (const name of ['flush.ms', 'retention.ms', 'segment.jitter.ms', 'segment.ms'])
    assert.deepEqual(sourcesOf(log, 't', name), [], name)
  await log.brokerConfigs.alter('', { 'log.retention.ms': '60000' })
  assert.deepEqual(sourcesOf(log, 't', 'retention.ms'), ['all-brokers log.retention.ms=60000'])
  await log.close()
})
test('what Millrace keeps for itself does not follow', async () => {
  const log = await open()
  await log.brokerConfigs.alter('', { 'log.retention.ms': '1', 'log.cleanup.policy': 'delete' })
  await withTopic(log, '_millrace_own')
  await withTopic(log, 't')
  const value = (topic: string): string | null | undefined =>
    log.describeConfig(topic).find(({ name }) => name === 'retention.ms')?.value
  assert.deepEqual([value('_millrace_own'), value('t')], ['-1', '1'])
  await log.close()
})
test('values are checked as those of topics are, names and brokers too', async () => {
  const log = await open()
  const code = (name: string, change: Record<string, string | null>): string =>
    log.brokerConfigs.check(name, change)?.code ?? 'ok'
  assert.equal(code('', { 'log.retention.ms': 'soon' }), 'log.invalid-config')
  assert.equal(code('', { 'min.insync.replicas': '2' }), 'log.invalid-config')
  assert.equal(code('1', { 'log.cleanup.policy': 'compact,delete' }), 'ok')
  assert.equal(code('7', { 'log.retention.ms': '1' }), 'log.invalid-config')
  assert.equal(code('1', { 'num.io.threads': '9' }), 'log.invalid-config')
  assert.equal(code('1', { 'num.io.threads': null }), 'ok', 'what is not there may be taken away')
  assert.equal(code('1', { 'max.connections': '0' }), 'log.invalid-config')
  assert.equal(code('1', { 'sasl.kerberos.min.time.before.relogin': '58000' }), 'ok')
  assert.equal(code('1', { 'sasl.kerberos.min.time.before.relogin': '5.8' }), 'log.invalid-config')
  assert.equal(code('1', { 'sasl.kerberos.ticket.renew.jitter': '0.1' }), 'ok')
  assert.equal(code('1', { 'sasl.kerberos.ticket.renew.jitter': 'much' }), 'log.invalid-config')
  assert.equal(log.brokerConfigs.effective('max.connections.per.ip'), '12500')
  await log.brokerConfigs.alter('', { 'max.connections.per.ip': '3' })
  assert.equal(log.brokerConfigs.effective('max.connections.per.ip'), '3')
  assert.deepEqual(
    log.brokerConfigs.describe('').map(({ name, value }) => `${name}=${value}`),
    ['max.connections.per.ip=3'],
  )
  await log.close()
})
test('every synonym is of a setting that topics have', () => {
  const names = new Set(settings.map(({ name }) => name))
  for (const name of Object.keys(brokerSynonyms)) assert.ok(names.has(name), name)
})
