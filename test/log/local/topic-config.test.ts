import { realWorld } from '../../../src/lib/real/world.ts'
import { LocalTopics } from '../../../src/log/local/topics.ts'
import type { TopicInfo } from '../../../src/log/log.ts'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '../../../src/lib/fault.ts'
import { checkConfig, describeConfig, policyOf } from '../../../src/log/local/topic-config.ts'
import { settings } from '../../../src/log/local/topic-settings.ts'
import { checkTopicName, idOfFolder, newTopicId, partitionFolder } from '../../../src/log/local/topic-name.ts'
import { SeededRandom } from '../../../src/lib/sim/random.ts'

/** Kafka 4.3's LogConfig, without those marked internal. */
const kafkas = `cleanup.policy compression.gzip.level compression.lz4.level compression.type compression.zstd.level
  delete.retention.ms file.delete.delay.ms flush.messages flush.ms follower.replication.throttled.replicas
  index.interval.bytes leader.replication.throttled.replicas local.retention.bytes local.retention.ms
  max.compaction.lag.ms max.message.bytes message.timestamp.after.max.ms message.timestamp.before.max.ms
  message.timestamp.type min.cleanable.dirty.ratio min.compaction.lag.ms min.insync.replicas preallocate
  remote.log.copy.disable remote.log.delete.on.disable remote.storage.enable retention.bytes retention.ms segment.bytes
  segment.index.bytes segment.jitter.ms segment.ms unclean.leader.election.enable`.split(/\s+/)

const refuses = (name: string, value: string): boolean => {
  try {
    checkConfig({ [name]: value })
    return false
  } catch (error) {
    assert.ok(error instanceof Fault && error.code === 'log.invalid-config')
    assert.match(error.message, new RegExp(`^${name}=`))
    return true
  }
}

test('every setting of Kafka 4.3 is described, and one of our own', () => {
  const described = describeConfig({ config: { 'retention.ms': '5' } })
  assert.deepEqual(
    described.map(({ name }) => name).sort(),
    [...kafkas, 'ack.before.sync', 'closed.partitions', 'deliver.to', 'record.ttl.enable'].sort(),
  )
  for (const entry of described) assert.ok(entry.documentation.length > 20, entry.name)
  const retention = described.find(({ name }) => name === 'retention.ms')
  assert.deepEqual([retention?.value, retention?.isDefault], ['5', false])
})
test('every default may be set', () => {
  for (const { name, default: value } of settings) assert.equal(refuses(name, value), false, name)
})
test('values that cannot be had are refused by name', () => {
  for (const [name, value] of [
    ['no.such.setting', '1'],
    ['retention.ms', '-2'],
    ['retention.ms', '1.5'],
    ['retention.ms', ''],
    ['retention.ms', '9223372036854775808'],
    ['segment.bytes', '1000'],
    ['segment.bytes', '2147483648'],
    ['max.message.bytes', String(64 * 1024 * 1024 + 1)],
    ['cleanup.policy', 'delete,burn'],
    ['compression.type', 'rar'],
    ['message.timestamp.type', 'createtime'],
    ['min.cleanable.dirty.ratio', '1.1'],
    ['min.insync.replicas', '2'],
    ['preallocate', 'true'],
    ['preallocate', 'yes'],
    ['remote.storage.enable', 'true'],
    ['local.retention.ms', '1000'],
    ['compression.zstd.level', '19'],
    ['segment.index.bytes', '100'],
    ['__proto__', 'x'],
  ] as const)
    assert.equal(refuses(name, value), true, `${name}=${value}`)
})
test('values mean what they say', () => {
  const policy = policyOf({
    'cleanup.policy': 'compact, delete',
    'retention.ms': '1000',
    'retention.bytes': '2000',
    'segment.bytes': '1048576',
    'flush.messages': '5',
    'compression.type': 'uncompressed',
    'message.timestamp.type': 'LogAppendTime',
    'ack.before.sync': 'TRUE',
  })
  assert.deepEqual(
    [
      policy.compact,
      policy.deletes,
      policy.compression,
      policy.timestampType,
      policy.ackBeforeSync,
      policy.flushMessages,
    ],
    [true, true, 'none', 'log-append-time', true, 5],
  )
  assert.deepEqual(
    [policy.store.retentionMs, policy.store.retentionBytes, policy.store.segmentBytes],
    [1000, 2000, 1_048_576],
  )
  const plain = policyOf({})
  assert.deepEqual(
    [plain.compact, plain.store.retentionMs, plain.store.segmentBytes, plain.timestampBeforeMaxMs, plain.flushMessages],
    [false, -1, 128 * 1024 * 1024, Infinity, Infinity],
  )
  assert.equal(policyOf({ 'cleanup.policy': 'compact', 'retention.ms': '5' }).store.retentionMs, -1)
  assert.equal(policyOf({ 'cleanup.policy': '', 'retention.ms': '5' }).store.retentionMs, -1)
  assert.equal(policyOf({ 'segment.ms': '1000', 'segment.jitter.ms': '500' }, 0.5).store.segmentMs, 750)
})
test('topic names are those of Kafka', () => {
  for (const name of ['a', 'A.b_c-9', '...', 'x'.repeat(249)]) checkTopicName(name)
  for (const name of ['', '.', '..', 'a/b', 'a b', 'ä', 'a\0', 'x'.repeat(250), '../../etc'])
    assert.throws(() => checkTopicName(name), Fault)
})
test('no topic name leaves its folder or meets another on a disk that ignores case', () => {
  const random = new SeededRandom(1)
  const name = fc.stringMatching(/^[A-Za-z0-9._-]{1,249}$/).filter((one) => one !== '.' && one !== '..')
  fc.assert(
    fc.property(name, (topic) => {
      const id = newTopicId(random)
      const folder = partitionFolder(topic, id, 12)
      assert.match(folder, /^[a-z0-9+._-]+~[0-9a-f-]{36}\/12$/)
      assert.ok(!folder.startsWith('.') && folder.split('/')[0]!.length <= 255)
      assert.equal(idOfFolder(folder), id)
    }),
  )
  const id = newTopicId(random)
  assert.notEqual(partitionFolder('Aa', id, 0).toLowerCase(), partitionFolder('aA', id, 0).toLowerCase())
})

test('a misspelt setting is answered with the one that was meant', () => {
  assert.throws(() => checkConfig({ 'retention.mss': '1' }), /there is no such setting; did you mean retention\.ms\?$/)
  assert.throws(() => checkConfig({ zzzzzzzz: '1' }), /there is no such setting$/)
})

test('the default that topics of Kafka clients once had written down as a setting is a default', () => {
  const seen: TopicInfo[] = []
  const registry = { set: (info: TopicInfo) => void seen.push(info) }
  const topics = new LocalTopics(realWorld(), { registry } as never)
  const restore = (name: string, more: object): void => {
    const value = { id: 'i', partitions: 1, config: { 'retention.ms': '604800000' }, ...more }
    topics.restore(`topic/${name}`, Buffer.from(JSON.stringify(value)))
  }
  restore('old', {})
  restore('said', { defaults: {} })
  restore('ours', { config: { 'retention.ms': '-1' } })
  assert.deepEqual(
    seen.map(({ config, defaults }) => [config, defaults]),
    [
      [{}, { 'retention.ms': '604800000' }],
      [{ 'retention.ms': '604800000' }, {}],
      [{ 'retention.ms': '-1' }, undefined],
    ],
  )
})
