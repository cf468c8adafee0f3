/** Kafka's command-line tools for share groups, as they come. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Ended, execute, freshName, sharedTarget } from './kafka/target.ts'
import { kafkaTool } from './setup/index.ts'

const target = sharedTarget({ before, after })
const folder = mkdtempSync(join(tmpdir(), 'kafka-share-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const shareGroups = 'org.apache.kafka.tools.consumer.group.ShareGroupCommand'
const consoleShareConsumer = 'org.apache.kafka.tools.consumer.ConsoleShareConsumer'
const verifiable = 'org.apache.kafka.tools.VerifiableShareConsumer'

async function tool(name: string, args: readonly string[], input = ''): Promise<Ended> {
  const [command, words] = await kafkaTool(name, '--bootstrap-server', target().address, ...args)
  return execute(command, words, { input, withinMs: 90_000, env: { JVM_OPTS: '-XX:TieredStopAtLevel=1' } })
}
async function ok(name: string, args: readonly string[], input = ''): Promise<string> {
  const ended = await tool(name, args, input)
  assert.equal(ended.code, 0, `${name} ${args.join(' ')}\n${ended.stdout}${ended.stderr}`)
  return ended.stdout
}
/** Rows of a table by the names in its first line. */
function rows(text: string): Record<string, string>[] {
  const all = text.split('\n').map((line) => line.trim().split(/\s+/))
  const head = all.findIndex((words) => words[0] === 'GROUP')
  assert.ok(head >= 0, text)
  const filled = all.slice(head + 1).filter((words) => words.length > 1)
  return filled.map((words) => Object.fromEntries(all[head]!.map((name, i) => [name, words[i] ?? ''])))
}
async function topic(values: string, partitions = 1): Promise<string> {
  const name = freshName('share')
  await ok('topics', ['--create', '--topic', name, '--partitions', String(partitions)])
  await ok('console-producer', ['--topic', name], values)
  return name
}
async function group(): Promise<string> {
  const name = freshName('share')
  const entity = ['--entity-type', 'groups', '--entity-name', name]
  await ok('configs', ['--alter', ...entity, '--add-config', 'share.auto.offset.reset=earliest'])
  return name
}

test('kafka-console-share-consumer: accepts, releases and rejects what it is told to', async () => {
  const [name, sharing] = [await topic('a\nb\nc\n'), await group()]
  const consume = (count: number, ...more: string[]): Promise<Ended> => {
    const words = ['--topic', name, '--group', sharing, '--max-messages', String(count), '--timeout-ms', '30000']
    return tool(consoleShareConsumer, [...words, ...more])
  }
  const released = await consume(3, '--release')
  assert.deepEqual(released.stdout.trim().split('\n'), ['a', 'b', 'c'], released.stderr)
  const rejected = await consume(1, '--reject', '--formatter-property', 'print.delivery=true')
  assert.match(rejected.stdout, /Delivery:2\s+a/)
  const read = await consume(2)
  assert.deepEqual(read.stdout.trim().split('\n'), ['b', 'c'])
  const [row] = rows(await ok(shareGroups, ['--describe', '--group', sharing]))
  assert.deepEqual([row!['START-OFFSET'], row!['LAG']], ['3', '0'])
})
test('kafka-share-groups: listed, described in every way, reset and deleted', async () => {
  const [name, sharing] = [await topic('a\nb\nc\nd\n'), await group()]
  const words = ['--topic', name, '--group', sharing, '--max-messages', '9', '--timeout-ms', '40000']
  const waiting = tool(consoleShareConsumer, words)
  const of = ['--describe', '--group', sharing]
  const giveUp = performance.now() + 30_000
  let members: Record<string, string>[] = []
  while (members[0]?.['ASSIGNMENT'] !== `${name}:0` && performance.now() < giveUp) {
    const ended = await tool(shareGroups, [...of, '--members'])
    members = ended.stdout.includes('CONSUMER-ID') ? rows(ended.stdout) : []
  }
  assert.equal(members[0]?.['ASSIGNMENT'], `${name}:0`)
  const [verbose] = rows(await ok(shareGroups, [...of, '--members', '--verbose']))
  assert.ok(Number(verbose!['MEMBER-EPOCH']) >= 2)
  const [state] = rows(await ok(shareGroups, [...of, '--state', '--verbose']))
  assert.deepEqual([state!['STATE'], state!['ASSIGNMENT-STRATEGY'] ?? 'simple'], ['Stable', 'simple'])
  assert.match(await ok(shareGroups, ['--list']), new RegExp(`^${sharing}$`, 'm'))
  assert.match(await ok(shareGroups, ['--list', '--state', 'stable']), new RegExp(`${sharing}\\s+Stable`))
  const groups = await ok('org.apache.kafka.tools.GroupsCommand', ['--list', '--share'])
  assert.match(groups, new RegExp(`${sharing}\\s+Share\\s+share`))
  const refused = await tool(shareGroups, ['--delete', '--group', sharing])
  assert.match(refused.stdout + refused.stderr, /not empty/i)
  const busy = ['--reset-offsets', '--group', sharing, '--to-earliest', '--all-topics', '--execute']
  assert.match(JSON.stringify(await tool(shareGroups, busy)), /not empty|active/i)
  await waiting
  const reset = async (...how: string[]): Promise<string | undefined> =>
    rows(await ok(shareGroups, ['--reset-offsets', '--group', sharing, ...how]))[0]!['NEW-OFFSET']
  assert.equal(await reset('--to-earliest', '--all-topics', '--dry-run'), '0')
  const offsets = async (): Promise<string[]> => {
    const [row] = rows(await ok(shareGroups, [...of, '--offsets', '--verbose']))
    return [row!['START-OFFSET']!, row!['LAG']!]
  }
  assert.deepEqual(await offsets(), ['4', '0'], 'a dry run changes nothing')
  assert.equal(await reset('--to-earliest', '--topic', name, '--execute'), '0')
  assert.deepEqual(await offsets(), ['0', '4'])
  assert.equal(await reset('--to-latest', '--topic', name, '--execute'), '4')
  assert.equal(await reset('--to-datetime', '2000-01-01T00:00:00.000', '--topic', name, '--execute'), '0')
  await ok(shareGroups, ['--delete-offsets', '--group', sharing, '--topic', name])
  assert.doesNotMatch(await ok(shareGroups, [...of, '--offsets']), new RegExp(name))
  assert.match(await ok(shareGroups, ['--delete', '--group', sharing]), /successful/)
  assert.doesNotMatch(await ok(shareGroups, ['--list']), new RegExp(`^${sharing}$`, 'm'))
})
for (const mode of ['auto', 'sync', 'async'])
  test(`kafka-verifiable-share-consumer acknowledges all it reads (${mode})`, async () => {
    const [name, sharing] = [await topic('a\nb\nc\n'), freshName('share')]
    const words = ['--topic', name, '--group-id', sharing, '--max-messages', '3', '--acknowledgement-mode', mode]
    const said = await ok(verifiable, [...words, '--offset-reset-strategy', 'earliest'])
    const events = said
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as { name: string; count?: number; success?: boolean })
    const acknowledged = events.filter((event) => event.name === 'offsets_acknowledged')
    assert.ok(
      acknowledged.every(({ success }) => success === true),
      said,
    )
    assert.equal(
      acknowledged.reduce((sum, { count = 0 }) => sum + count, 0),
      3,
      said,
    )
  })
test('kafka-share-consumer-perf-test reads what it is told to', async () => {
  const [name, sharing] = [freshName('share'), await group()]
  await ok('topics', ['--create', '--topic', name, '--partitions', '3'])
  const load = ['--num-records', '20000', '--record-size', '100', '--throughput', '-1']
  await ok('producer-perf', ['--topic', name, ...load])
  const said = await ok('share-consumer-perf', ['--topic', name, '--num-records', '20000', '--group', sharing])
  const [, , , , , count] = said.trim().split('\n').at(-1)!.split(', ')
  assert.equal(count, '20000', said)
  const found = rows(await ok(shareGroups, ['--describe', '--group', sharing]))
  assert.equal(
    found.reduce((sum, row) => sum + Number(row['LAG']), 0),
    0,
  )
})
test('kafka-configs and kafka-features know share groups', async () => {
  const sharing = await group()
  const entity = ['--entity-type', 'groups', '--entity-name', sharing]
  const all = await ok('configs', ['--describe', '--all', ...entity])
  for (const [name, value] of [
    ['share.auto.offset.reset', 'earliest'],
    ['share.record.lock.duration.ms', '30000'],
    ['share.isolation.level', 'read_uncommitted'],
    ['share.delivery.count.limit', '5'],
    ['share.partition.max.record.locks', '2000'],
    ['share.renew.acknowledge.enable', 'true'],
  ])
    assert.match(all, new RegExp(`${name}=${value}`))
  const odd = await tool('configs', ['--alter', ...entity, '--add-config', 'share.isolation.level=none'])
  assert.notEqual(odd.code, 0)
  assert.match(await ok('features', ['describe']), /share\.version.*FinalizedVersionLevel: 1/)
  const file = join(folder, 'groups.properties')
  writeFileSync(file, 'share.record.lock.duration.ms=20000\n')
  await ok('configs', ['--alter', ...entity, '--add-config-file', file])
  assert.match(await ok('configs', ['--describe', ...entity]), /share\.record\.lock\.duration\.ms=20000/)
})
