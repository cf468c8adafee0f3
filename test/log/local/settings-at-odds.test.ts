/** Settings that are fine alone and not together; settings of things that one node does not do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../../src/lib/fault.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import { memoryWorld, withTopic } from './support.ts'

const whyOf = (fault: unknown): string => (fault instanceof Fault ? `${fault.code}: ${fault.message}` : String(fault))

test('a record cannot have to stay uncompacted for longer than it may', async () => {
  const log = await openLocalLog({ world: memoryWorld(), dir: '/data' })
  const lags = (min: string, max: string) => ({ 'min.compaction.lag.ms': min, 'max.compaction.lag.ms': max })
  const refused = 'log.invalid-config: min.compaction.lag.ms=2: it is more than max.compaction.lag.ms=1'
  const [fault] = await log.topics.create([{ name: 'bad', partitions: 1, config: lags('2', '1') }])
  assert.equal(whyOf(fault), refused)
  await withTopic(log, 't', lags('1', '1'))
  await assert.rejects(log.topics.alter('t', { config: { 'min.compaction.lag.ms': '2' } }), (error) => {
    assert.equal(whyOf(error), refused)
    return true
  })
  await log.topics.alter('t', { config: lags('2', '3') })
  assert.equal(whyOf(log.checkAlter('t', { config: { 'max.compaction.lag.ms': '1' } })), refused)
  await log.close()
})

test('limits of replication are kept, and may be taken back', async () => {
  const log = await openLocalLog({ world: memoryWorld(), dir: '/data' })
  for (const name of [
    'leader.replication.throttled.rate',
    'follower.replication.throttled.rate',
    'replica.alter.log.dirs.io.max.bytes.per.second',
  ]) {
    const isShown = (): boolean => log.brokerConfigs.describe('1').some((entry) => entry.name === name)
    assert.equal(log.brokerConfigs.effective(name), '9223372036854775807')
    assert.ok(!isShown(), 'as in Kafka')
    await log.brokerConfigs.alter('1', { [name]: '10000' })
    assert.equal(log.brokerConfigs.effective(name), '10000')
    assert.ok(isShown())
    assert.equal(log.brokerConfigs.check('1', { [name]: 'fast' })?.code, 'log.invalid-config')
    assert.equal(log.brokerConfigs.check('1', { [name]: '9300000000000000000' })?.code, 'log.invalid-config')
    assert.equal(log.brokerConfigs.check('1', { [name]: '-1' })?.code, 'log.invalid-config')
    await log.brokerConfigs.alter('1', { [name]: null })
    assert.equal(log.brokerConfigs.effective(name), '9223372036854775807')
  }
  await log.close()
})
