/** The records of groups of the consumer protocol, held against the descriptors in Kafka's group coordinator, and its tool. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { realWorld } from '../../src/lib/real/world.ts'
import { consumerRecords } from '../../src/log/local/groups/consumer/records.ts'
import { openLocalLog } from '../../src/log/local/open.ts'
import { type AnyShape, fallbackOf } from '../../src/wire/kafka/codec/shape.ts'
import { withTopic } from '../log/local/support.ts'
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
const names: Readonly<Record<keyof typeof consumerRecords, string>> = {
  epoch: 'ConsumerGroupMetadata',
  info: 'ConsumerGroupMemberMetadata',
  assignment: 'ConsumerGroupTargetAssignmentMetadata',
  target: 'ConsumerGroupTargetAssignmentMember',
  progress: 'ConsumerGroupCurrentMemberAssignment',
  pattern: 'ConsumerGroupRegularExpression',
}
const folder = mkdtempSync(join(tmpdir(), 'group-records-'))
after(() => rmSync(folder, { recursive: true, force: true }))
before(async () => {
  const jars = join(await kafkaDir(), 'lib')
  const jar = readdirSync(jars).find((file) => /^kafka-group-coordinator-\d/.test(file))!
  await promisify(execFile)('jar', ['xf', join(jars, jar), 'common/message'], { cwd: folder })
})
function descriptor(name: string): Descriptor {
  const text = readFileSync(join(folder, 'common', 'message', `${name}.json`), 'utf8')
  return JSON.parse(text.replaceAll(/^\s*\/\/.*$/gm, '')) as Descriptor
}
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
  return node.fields.map(({ name, shape }) => {
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
for (const [kind, name] of Object.entries(names))
  test(`${name} is as Kafka has it`, () => {
    const { key, keyShape, value } = consumerRecords[kind as keyof typeof consumerRecords]
    const [theirKey, theirValue] = [descriptor(`${name}Key`), descriptor(`${name}Value`)]
    assert.equal(key, theirKey.apiKey)
    assert.deepEqual(ours(keyShape), theirs(theirKey.fields, theirKey))
    assert.deepEqual(ours(value), theirs(theirValue.fields, theirValue))
    const { node } = value
    assert.ok(node.kind === 'struct')
    node.fields.forEach(({ name: field, shape }, i) => {
      const { default: given } = theirValue.fields[i]!
      if (given !== undefined) assert.deepEqual(fallbackOf(shape), given === 'null' ? null : given, field)
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
  const files = readdirSync(dir, { recursive: true, encoding: 'utf8' })
  const segment = files.find((file) => file.includes('__consumer_offsets~') && file.endsWith('.log'))!
  const [command, words] = await kafkaTool('dump-log', '--offsets-decoder', '--files', join(dir, segment))
  const said = await run(command, words)
  rmSync(dir, { recursive: true })
  assert.doesNotMatch(said, /isvalid: false/)
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
