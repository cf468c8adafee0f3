/** The records of groups and of queues, held against the descriptors in Kafka's coordinators, and its tool. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { realWorld } from '../../src/lib/real/world.ts'
import { consumerRecords } from '../../src/log/local/groups/consumer/records.ts'
import { shareRecords } from '../../src/log/local/groups/share/records.ts'
import { openLocalLog } from '../../src/log/local/open.ts'
import { queueRecords } from '../../src/log/queues/records.ts'
import { type AnyShape, fallbackOf } from '../../src/wire/kafka/codec/shape.ts'
import { batch, withTopic } from '../log/local/support.ts'
import { kafkaDir, kafkaTool, run } from './setup/index.ts'

interface Field {
  readonly name: string
  readonly type: string
  readonly nullableVersions?: string
  readonly tag?: number
  readonly default?: unknown
  readonly fields?: readonly Field[]
}
interface Descriptor {
  readonly apiKey: number
  readonly fields: readonly Field[]
  readonly commonStructs?: readonly { name: string; fields: readonly Field[] }[]
}
const consumerNames: Readonly<Record<keyof typeof consumerRecords, string>> = {
  epoch: 'ConsumerGroupMetadata',
  info: 'ConsumerGroupMemberMetadata',
  assignment: 'ConsumerGroupTargetAssignmentMetadata',
  target: 'ConsumerGroupTargetAssignmentMember',
  progress: 'ConsumerGroupCurrentMemberAssignment',
  pattern: 'ConsumerGroupRegularExpression',
}
const shareNames: Readonly<Record<keyof typeof shareRecords, string>> = {
  info: 'ShareGroupMemberMetadata',
  epoch: 'ShareGroupMetadata',
  assignment: 'ShareGroupTargetAssignmentMetadata',
  target: 'ShareGroupTargetAssignmentMember',
  progress: 'ShareGroupCurrentMemberAssignment',
}
const queueNames: Readonly<Record<keyof typeof queueRecords, string>> = {
  snapshot: 'ShareSnapshot',
  update: 'ShareUpdate',
}
interface Declared {
  readonly key: number
  readonly keyShape: AnyShape
  readonly value: AnyShape
}
const declared = <K extends string>(records: Readonly<Record<K, Declared>>, of: Readonly<Record<K, string>>) =>
  (Object.entries(of) as [K, string][]).map(([kind, name]) => [name, records[kind]] as const)
const folder = mkdtempSync(join(tmpdir(), 'group-records-'))
after(() => rmSync(folder, { recursive: true, force: true }))
before(async () => {
  const jars = join(await kafkaDir(), 'lib')
  for (const jar of readdirSync(jars).filter((file) => /^kafka-(group|share)-coordinator-\d/.test(file)))
    await promisify(execFile)('jar', ['xf', join(jars, jar), 'common/message'], { cwd: folder })
})
function descriptor(name: string): Descriptor {
  const text = readFileSync(join(folder, 'common', 'message', `${name}.json`), 'utf8')
  return JSON.parse(text.replaceAll(/^\s*\/\/.*$/gm, '')) as Descriptor
}
/** From this number on, tagged fields are ours. */
const ownTags = 10_000
/** What matters on the wire, of theirs and of ours, in one form. */
function theirs(fields: readonly Field[], of: Descriptor): unknown {
  return fields.map((field) => {
    const item = field.type.replace(/^\[\]/, '')
    const common = of.commonStructs?.find(({ name }) => name === item)?.fields
    const inner = field.fields ?? common
    return {
      name: field.name.toLowerCase(),
      type: inner === undefined ? item : theirs(inner, of),
      array: field.type.startsWith('[]'),
      nullable: field.nullableVersions !== undefined,
      tag: field.tag ?? null,
    }
  })
}
function ours({ node }: AnyShape): unknown {
  assert.ok(node.kind === 'struct')
  // A tagged field of ours is passed over by their readers.
  return node.fields
    .filter(({ shape }) => (shape.tag ?? 0) < ownTags)
    .map(({ name, shape }) => {
      const item = shape.node.kind === 'array' ? shape.node.item : shape
      return {
        name: name.toLowerCase(),
        type: item.node.kind === 'struct' ? ours(item) : item.node.kind,
        array: shape.node.kind === 'array',
        nullable: shape.nullableSince === 0,
        tag: shape.tag,
      }
    })
}
for (const [name, { key, keyShape, value }] of [
  ...declared(consumerRecords, consumerNames),
  ...declared(shareRecords, shareNames),
  ...declared(queueRecords, queueNames),
])
  test(`${name} is as Kafka has it`, () => {
    const [theirKey, theirValue] = [descriptor(`${name}Key`), descriptor(`${name}Value`)]
    assert.equal(key, theirKey.apiKey)
    assert.deepEqual(ours(keyShape), theirs(theirKey.fields, theirKey))
    assert.deepEqual(ours(value), theirs(theirValue.fields, theirValue))
    const { node } = value
    assert.ok(node.kind === 'struct')
    node.fields.forEach(({ name: field, shape }, i) => {
      const { default: given } = theirValue.fields[i]!
      if (given === undefined) return
      const fallback = fallbackOf(shape)
      const expected = typeof fallback === 'number' ? Number(given) : given
      assert.deepEqual(fallback, expected === 'null' ? null : expected, field)
    })
  })
test('kafka-dump-log decodes a group of the consumer protocol', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-groups-'))
  const log = await openLocalLog({ world: realWorld(), dir })
  await withTopic(log)
  const answer = await log.coordinator.consumerHeartbeat({
    group: 'g',
    memberId: 'a',
    epoch: 0,
    instanceId: 'i',
    rackId: 'r',
    rebalanceTimeoutMs: 60_000,
    topics: ['t'],
    pattern: 'x.*',
    assignor: 'uniform',
    owned: [],
    clientId: 'c',
    host: '/127.0.0.1',
  })
  assert.ok('epoch' in answer)
  // The pattern is resolved a moment later: nothing matches it.
  await new Promise((resolve) => setTimeout(resolve, 100))
  await log.close()
  const said = await dump(dir, '__consumer_offsets', '--offsets-decoder')
  rmSync(dir, { recursive: true })
  assert.match(
    said,
    /"instanceId":"i","rackId":"r","clientId":"c".*"subscribedTopicNames":\["t"\],"subscribedTopicRegex":"x\.\*"/,
  )
  assert.match(said, /"type":"3","data":\{"groupId":"g"\}.*"epoch":2/)
  assert.match(said, /"type":"6",.*"assignmentEpoch":2/)
  assert.match(said, /"type":"7",.*"partitions":\[0\]/)
  assert.match(said, /"type":"8",.*"memberEpoch":2,"previousMemberEpoch":0,"state":0/)
  assert.match(said, /"type":"16",.*"regularExpression":"x\.\*".*"topics":\[\]/)
})

test('kafka-dump-log decodes a share group and the states of its queues', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-shares-'))
  const log = await openLocalLog({ world: realWorld(), dir })
  const partition = await withTopic(log)
  const group = 's'
  await log.groupConfigs.alter(group, { 'share.auto.offset.reset': 'earliest', 'share.release.delay.ms': '60000' })
  const said = { rackId: 'r', topics: ['t'], clientId: 'c', host: '/127.0.0.1' }
  const answer = await log.coordinator.shareHeartbeat({ group, memberId: 'a', epoch: 0, ...said })
  assert.ok('epoch' in answer)
  await log.writer().append([{ partition, batch: batch(['a', 'b', 'c']) }])
  const of = { topicId: log.catalog.byName('t')!.id, index: 0 }
  const asked = { group, member: 'a', of: [of], recordsMax: 3, bytesMax: 1_000, waitMs: 0 }
  assert.equal((await log.queues.receive(asked)).length, 3)
  const settlements = [{ first: 0, last: 2, outcomes: ['accept', 'release', 'reject'] as const }]
  assert.deepEqual(await log.queues.settle(group, 'a', [{ of, settlements }]), [null])
  await log.close()
  const groups = await dump(dir, '__consumer_offsets', '--offsets-decoder')
  const states = await dump(dir, '__share_group_state', '--share-group-state-decoder')
  rmSync(dir, { recursive: true })
  assert.match(groups, /"type":"10",.*"rackId":"r","clientId":"c".*"subscribedTopicNames":\["t"\]/)
  assert.match(groups, /"type":"11",.*"epoch":2/)
  assert.match(groups, /"type":"13",.*"partitions":\[0\]/)
  assert.match(groups, /"type":"14",.*"memberEpoch":2/)
  assert.match(states, /"type":"0",.*"groupId":"s".*"startOffset":0/)
  const batches = [0, 1, 2].map(
    (at, i) => `"firstOffset":${at},"lastOffset":${at},"deliveryState":${[2, 0, 4][i]},"deliveryCount":1`,
  )
  assert.match(states, new RegExp(`"type":"1",.*${batches.join('.*')}`))
})

async function dump(dir: string, topic: string, decoder: string): Promise<string> {
  const files = readdirSync(dir, { recursive: true, encoding: 'utf8' })
  const segment = files.find((file) => file.includes(`${topic}~`) && file.endsWith('.log'))!
  const [command, words] = await kafkaTool('dump-log', decoder, '--files', join(dir, segment))
  const said = await run(command, words)
  assert.doesNotMatch(said, /isvalid: false/)
  return said
}
