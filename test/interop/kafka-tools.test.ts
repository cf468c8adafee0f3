/** Apache Kafka's own command-line tools, started with no option but the address and what the command needs. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Ended, execute, freshName, sharedTarget } from './kafka/target.ts'
import { kafkaTool } from './setup/index.ts'

const target = sharedTarget({ before, after })
/** Each tool lives for a second: compiling it well takes longer. */
const quickStart = '-XX:TieredStopAtLevel=1'
const folder = mkdtempSync(join(tmpdir(), 'kafka-tools-'))
after(() => rmSync(folder, { recursive: true, force: true }))

async function tool(name: string, args: readonly string[], input = ''): Promise<Ended> {
  const [command, words] = await kafkaTool(name, '--bootstrap-server', target().address, ...args)
  return execute(command, words, { input, withinMs: 90_000, env: { JVM_OPTS: quickStart } })
}
async function ok(name: string, args: readonly string[], input = ''): Promise<string> {
  const ended = await tool(name, args, input)
  assert.equal(ended.code, 0, `${name} ${args.join(' ')}\n${ended.stdout}${ended.stderr}`)
  return ended.stdout
}
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '')
/** Rows of a table by the names in its first line. */
function rows(text: string): Record<string, string>[] {
  const all = lines(text).map((line) => line.trim().split(/\s+/))
  const head = all.findIndex((words) => words[0] === 'GROUP')
  assert.ok(head >= 0, text)
  return all.slice(head + 1).map((words) => Object.fromEntries(all[head]!.map((name, i) => [name, words[i] ?? ''])))
}
async function topic(partitions = 1, ...args: string[]): Promise<string> {
  const name = freshName('tools')
  await ok('topics', ['--create', '--topic', name, '--partitions', String(partitions), ...args])
  return name
}
const produce = (name: string, input: string, ...args: string[]): Promise<string> =>
  ok('console-producer', ['--topic', name, ...args], input)
async function consume(name: string, count: number, ...args: string[]): Promise<string[]> {
  const words = ['--topic', name, '--max-messages', String(count), '--timeout-ms', '20000', ...args]
  const ended = await tool('console-consumer', words)
  assert.match(ended.stderr, new RegExp(`Processed a total of ${count} messages`), ended.stderr)
  return lines(ended.stdout).filter((line) => !line.startsWith('The consumer rebalance protocol'))
}

test('kafka-topics: create, list, describe, alter, delete', async () => {
  const name = await topic(3, '--replication-factor', '1', '--config', 'retention.ms=60000')
  assert.ok(lines(await ok('topics', ['--list'])).includes(name))
  const described = await ok('topics', ['--describe', '--topic', name])
  assert.match(described, /PartitionCount: 3\s+ReplicationFactor: 1\s+Configs: retention\.ms=60000/)
  assert.equal(described.match(/Leader: 1\s+Replicas: 1\s+Isr: 1/g)?.length, 3)
  await ok('topics', ['--alter', '--topic', name, '--partitions', '5'])
  assert.match(await ok('topics', ['--describe', '--topic', name]), /PartitionCount: 5/)
  await ok('topics', ['--delete', '--topic', name])
  assert.ok(!lines(await ok('topics', ['--list'])).includes(name))
})
test('kafka-topics: what is refused is said', async () => {
  const name = await topic()
  const twice = await tool('topics', ['--create', '--topic', name])
  assert.notEqual(twice.code, 0)
  assert.match(twice.stdout + twice.stderr, /already exists/)
  await ok('topics', ['--create', '--topic', name, '--if-not-exists'])
  const replicated = await tool('topics', ['--create', '--topic', freshName('t'), '--replication-factor', '3'])
  assert.match(replicated.stdout + replicated.stderr, /replication factor/i)
  const odd = await tool('topics', ['--create', '--topic', freshName('t'), '--config', 'no.such=1'])
  assert.notEqual(odd.code, 0)
  const fewer = await tool('topics', ['--alter', '--topic', name, '--partitions', '1'])
  assert.notEqual(fewer.code, 0)
  const none = await tool('topics', ['--describe', '--topic', freshName('none')])
  assert.match(none.stdout + none.stderr, /does not exist/)
})
test('kafka-topics: none is under-replicated or without a leader', async () => {
  for (const which of ['--under-replicated-partitions', '--unavailable-partitions', '--under-min-isr-partitions'])
    assert.equal((await ok('topics', ['--describe', which])).trim(), '')
})
test('kafka-configs: of a topic, described, set and removed', async () => {
  const name = await topic()
  const entity = ['--entity-type', 'topics', '--entity-name', name]
  await ok('configs', ['--alter', ...entity, '--add-config', 'segment.bytes=1048576,retention.ms=90000'])
  const described = await ok('configs', ['--describe', ...entity])
  assert.match(described, /segment\.bytes=1048576/)
  assert.match(described, /retention\.ms=90000/)
  await ok('configs', ['--alter', ...entity, '--delete-config', 'segment.bytes'])
  assert.doesNotMatch(await ok('configs', ['--describe', ...entity]), /segment\.bytes/)
  assert.match(await ok('configs', ['--describe', '--all', ...entity]), /segment\.bytes=\d+/)
  const odd = await tool('configs', ['--alter', ...entity, '--add-config', 'retention.ms=soon'])
  assert.notEqual(odd.code, 0)
})
test('kafka-configs: of the broker', async () => {
  const said = await ok('configs', ['--describe', '--all', '--entity-type', 'brokers', '--entity-name', '1'])
  assert.match(said, /message\.max\.bytes=1048588/)
})
test('kafka-console-producer and -consumer: a topic that nobody created', async () => {
  const name = freshName('tools')
  await produce(name, 'one\ntwo\nthree\n')
  assert.deepEqual(await consume(name, 3, '--from-beginning'), ['one', 'two', 'three'])
})
for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd'])
  test(`kafka-console-producer: --compression-codec ${codec}`, async () => {
    const name = freshName('tools')
    const messages = Array.from({ length: 300 }, (_, i) => `message ${i} ${'and again '.repeat(8)}`.trim())
    await produce(name, `${messages.join('\n')}\n`, '--compression-codec', codec)
    assert.deepEqual(await consume(name, messages.length, '--from-beginning'), messages)
  })
test('kafka-console-consumer: keys, headers, timestamps, partitions, offsets', async () => {
  const name = await topic()
  const reader = ['parse.key=true', 'parse.headers=true']
  await produce(name, 'h1:a,h2:b\tk1\tv1\nh1:c\tk2\tv2\n', ...reader.flatMap((one) => ['--reader-property', one]))
  const shown = ['print.key', 'print.headers', 'print.timestamp', 'print.partition', 'print.offset']
  const args = shown.flatMap((one) => ['--formatter-property', `${one}=true`])
  const [first, second] = await consume(name, 2, '--from-beginning', ...args)
  assert.match(first!, /^CreateTime:\d{13}\tPartition:0\tOffset:0\th1:a,h2:b\tk1\tv1$/)
  assert.match(second!, /Offset:1\th1:c\tk2\tv2$/)
  assert.deepEqual(await consume(name, 1, '--partition', '0', '--offset', '1'), ['v2'])
})
test('kafka-console-consumer: in a group it goes on where it stopped', async () => {
  const [name, group] = [await topic(), freshName('group')]
  await produce(name, 'a\nb\n')
  const args = ['--group', group, '--from-beginning']
  assert.deepEqual(await consume(name, 2, ...args), ['a', 'b'])
  await produce(name, 'c\n')
  assert.deepEqual(await consume(name, 1, ...args), ['c'])
})
test('kafka-console-consumer: --isolation-level read_committed', async () => {
  const name = await topic()
  await produce(name, 'a\n')
  assert.deepEqual(await consume(name, 1, '--from-beginning', '--isolation-level', 'read_committed'), ['a'])
})
test('kafka-console-producer: every --request-required-acks', async () => {
  const name = await topic()
  for (const acks of ['0', '1', 'all']) await produce(name, `acks ${acks}\n`, '--request-required-acks', acks)
  assert.deepEqual((await consume(name, 3, '--from-beginning')).toSorted(), ['acks 0', 'acks 1', 'acks all'])
})
test('kafka-consumer-groups: lag, members, state, new positions, deletion', async () => {
  const [name, group] = [await topic(), freshName('group')]
  await produce(name, 'a\nb\n')
  await consume(name, 2, '--group', group, '--from-beginning')
  await produce(name, 'c\nd\ne\n')
  const of = ['--group', group]
  assert.ok(lines(await ok('groups', ['--list'])).includes(group))
  const [row] = rows(await ok('groups', ['--describe', ...of]))
  assert.deepEqual([row!['CURRENT-OFFSET'], row!['LOG-END-OFFSET'], row!['LAG']], ['2', '5', '3'])
  const state = await ok('groups', ['--describe', '--state', ...of])
  assert.match(state, new RegExp(`${target().address.replaceAll('.', '\\.')}.*Empty`))
  const reset = async (...how: string[]): Promise<string | undefined> => {
    const topicWords = ['--topic', name, '--execute']
    return rows(await ok('groups', ['--reset-offsets', ...of, ...how, ...topicWords]))[0]!['NEW-OFFSET']
  }
  assert.equal(await reset('--to-earliest'), '0')
  assert.equal(await reset('--shift-by', '4'), '4')
  assert.equal(await reset('--to-offset', '3'), '3')
  assert.equal(await reset('--to-datetime', '2000-01-01T00:00:00.000'), '0')
  assert.equal(await reset('--to-latest'), '5')
  await ok('groups', ['--delete-offsets', ...of, '--topic', name])
  await ok('groups', ['--delete', ...of])
  assert.ok(!lines(await ok('groups', ['--list'])).includes(group))
})
test('kafka-consumer-groups: --members and --verbose show who holds what', async () => {
  const [name, group] = [await topic(2), freshName('group')]
  const waiting = tool('console-consumer', ['--topic', name, '--group', group, '--timeout-ms', '15000'])
  const giveUp = performance.now() + 40_000
  let held = ''
  while (!held.includes(`${name}(0,1)`) && performance.now() < giveUp) {
    const ended = await tool('groups', ['--describe', '--members', '--verbose', '--group', group])
    held = ended.stdout
    if (held.includes(`${name}:0,1`)) held = `${name}(0,1)`
  }
  assert.ok(held.includes(`${name}(0,1)`), held)
  const refused = await tool('groups', ['--delete', '--group', group])
  assert.match(refused.stdout + refused.stderr, /not empty|has active members|could not be deleted/i)
  await waiting
})
test('kafka-get-offsets: earliest, latest, at a time, of the largest time', async () => {
  const name = await topic()
  await produce(name, 'a\n')
  await produce(name, 'b\n')
  const at = async (...time: string[]): Promise<string> => (await ok('offsets', ['--topic', name, ...time])).trim()
  assert.equal(await at(), `${name}:0:2`)
  assert.equal(await at('--time', 'earliest'), `${name}:0:0`)
  assert.equal(await at('--time', '1000'), `${name}:0:0`)
  assert.equal(await at('--time', 'max-timestamp'), `${name}:0:1`)
})
test('kafka-broker-api-versions: what is offered, and nothing else', async () => {
  const said = await ok('api-versions', [])
  assert.ok(said.includes(`${target().address} (id: 1`), said)
  assert.match(said, /Produce\(0\): 0 to 13 \[usable: 13\]/)
  assert.match(said, /StreamsGroupHeartbeat\(88\): UNSUPPORTED/)
})
test('kafka-log-dirs: bytes of each partition', async () => {
  const name = await topic()
  await produce(name, `${'x'.repeat(1000)}\n`)
  const said = await ok('org.apache.kafka.tools.LogDirsCommand', ['--describe', '--topic-list', name])
  const found = JSON.parse(said.slice(said.indexOf('{'))) as {
    brokers: { logDirs: { partitions: { partition: string; size: number }[] }[] }[]
  }
  const [partition] = found.brokers[0]!.logDirs[0]!.partitions
  assert.equal(partition!.partition, `${name}-0`)
  assert.ok(partition!.size > 1000)
})
test('kafka-delete-records: up to an offset', async () => {
  const name = await topic()
  await produce(name, 'a\nb\nc\n')
  const file = join(folder, 'delete.json')
  writeFileSync(file, JSON.stringify({ version: 1, partitions: [{ topic: name, partition: 0, offset: 2 }] }))
  const said = await ok('org.apache.kafka.tools.DeleteRecordsCommand', ['--offset-json-file', file])
  assert.match(said, /low_watermark: 2/)
  assert.deepEqual(await consume(name, 1, '--from-beginning'), ['c'])
})
test('kafka-cluster: the id', async () => {
  const [command, words] = await kafkaTool('org.apache.kafka.tools.ClusterTool', 'cluster-id')
  const ended = await execute(command, [...words, '--bootstrap-server', target().address])
  assert.match(ended.stdout, /Cluster ID: [\w-]{22}/)
})
test('kafka-features: what this program can do, and no other level', async () => {
  const said = await ok('features', ['describe'])
  assert.match(said, /metadata\.version\s.*FinalizedVersionLevel: 4\.3-IV0/)
  const refused = await tool('features', ['upgrade', '--feature', 'metadata.version=29'])
  assert.equal(refused.code, 1, refused.stdout)
  assert.match(refused.stdout + refused.stderr, /only supports versions 30-30/)
})
test('kafka-metadata-quorum: one voter, which leads', async () => {
  const command = 'org.apache.kafka.tools.MetadataQuorumCommand'
  const status = await ok(command, ['describe', '--status'])
  assert.match(status, /LeaderId:\s+1\n[\s\S]*MaxFollowerLag:\s+0\n/)
  assert.match(await ok(command, ['describe', '--replication']), /^1\s.*Leader/m)
})
test('kafka-leader-election: nothing to elect', async () => {
  const name = await topic(2)
  const words = ['--election-type', 'preferred', '--topic', name, '--partition', '1']
  assert.match(await ok('org.apache.kafka.tools.LeaderElectionCommand', words), /Valid replica already elected/)
})
test('kafka-reassign-partitions: stays where it is; another broker is refused', async () => {
  const name = await topic()
  const command = 'org.apache.kafka.tools.reassign.ReassignPartitionsCommand'
  const file = join(folder, 'reassign.json')
  const to = (...replicas: number[]): void =>
    writeFileSync(file, JSON.stringify({ version: 1, partitions: [{ topic: name, partition: 0, replicas }] }))
  to(1)
  assert.match(await ok(command, ['--reassignment-json-file', file, '--execute']), /Successfully started/)
  assert.match(await ok(command, ['--reassignment-json-file', file, '--verify']), /is completed/)
  assert.match(await ok(command, ['--list']), /No partition reassignments found/)
  to(2)
  const refused = await tool(command, ['--reassignment-json-file', file, '--execute'])
  assert.notEqual(refused.code, 0)
  assert.match(refused.stdout + refused.stderr, /Unknown broker id 2|no such broker/)
})
test('kafka-producer-perf-test and kafka-consumer-perf-test', async () => {
  const name = await topic()
  const [command, words] = await kafkaTool('producer-perf', '--topic', name, '--num-records', '20000')
  const load = ['--record-size', '1000', '--throughput', '-1', '--command-property']
  const produced = await execute(command, [...words, ...load, `bootstrap.servers=${target().address}`])
  assert.match(produced.stdout, /20000 records sent/)
  const consumed = await ok('consumer-perf', ['--topic', name, '--num-records', '20000'])
  assert.match(lines(consumed).at(-1)!, /20000/)
})
test('kafka-verifiable-producer: every value acknowledged once', async () => {
  const name = await topic()
  const said = await ok('org.apache.kafka.tools.VerifiableProducer', ['--topic', name, '--max-messages', '500'])
  const results = lines(said).map((line) => JSON.parse(line) as { name: string; sent?: number; acked?: number })
  const summary = results.find((one) => one.name === 'tool_data')!
  assert.deepEqual([summary.sent, summary.acked], [500, 500])
})
test('kafka-dump-log: our segments are Kafka segments', async (t) => {
  const { millrace } = target()
  if (millrace === null) return t.skip('the broker under test is another one')
  const name = await topic()
  await produce(name, 'readable\n', '--compression-codec', 'gzip')
  const files = readdirSync(millrace.data, { recursive: true, encoding: 'utf8' })
  const segment = files.find((file) => file.includes(name) && file.endsWith('.log'))!
  const words = ['--print-data-log', '--deep-iteration', '--files', join(millrace.data, segment)]
  const [command, args] = await kafkaTool('dump-log', ...words)
  const said = (await execute(command, args)).stdout
  assert.match(said, /isvalid: true/)
  assert.match(said, /compresscodec: gzip/i)
  assert.match(said, /payload: readable/)
})
