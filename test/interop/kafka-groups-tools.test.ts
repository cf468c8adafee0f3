/** Kafka's command-line tools for groups: both protocols, every way to set positions, settings of groups. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Ended, execute, freshName, sharedTarget } from './kafka/target.ts'
import { kafkaTool } from './setup/index.ts'

const target = sharedTarget({ before, after })
const folder = mkdtempSync(join(tmpdir(), 'kafka-groups-'))
after(() => rmSync(folder, { recursive: true, force: true }))

async function tool(name: string, args: readonly string[], input = '', withinMs = 90_000): Promise<Ended> {
  const [command, words] = await kafkaTool(name, '--bootstrap-server', target().address, ...args)
  return execute(command, words, { input, withinMs, env: { JVM_OPTS: '-XX:TieredStopAtLevel=1' } })
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
async function topic(partitions: number, values = ''): Promise<string> {
  const name = freshName('groups')
  await ok('topics', ['--create', '--topic', name, '--partitions', String(partitions)])
  if (values !== '') await ok('console-producer', ['--topic', name], values)
  return name
}
const modern = ['--command-property', 'group.protocol=consumer']
/** The tool may wait twice its --timeout-ms before it gives up: it starts to count anew when a poll comes back empty. */
const consume = (name: string, group: string, count: number, ...more: string[]): Promise<Ended> => {
  const words = ['--topic', name, '--group', group, '--from-beginning', '--max-messages', String(count)]
  return tool('console-consumer', [...words, '--timeout-ms', '90000', ...more], '', 200_000)
}

test('kafka-consumer-groups: a group of the consumer protocol, described in every way', async () => {
  const [name, group] = [await topic(2, 'a\nb\nc\n'), freshName('group')]
  const waiting = consume(name, group, 9, ...modern)
  const of = ['--describe', '--group', group]
  const giveUp = performance.now() + 40_000
  let members: Record<string, string>[] = []
  while (members[0]?.['#PARTITIONS'] !== '2' && performance.now() < giveUp) {
    const ended = await tool('groups', [...of, '--members', '--verbose'])
    members = ended.stdout.includes('GROUP') ? rows(ended.stdout) : []
  }
  const [member] = members
  assert.equal(member?.['GROUP'], group)
  assert.equal(member['CURRENT-EPOCH'], '2')
  assert.equal(member['CURRENT-ASSIGNMENT'], `${name}:0,1`)
  assert.equal(member['TARGET-ASSIGNMENT'], `${name}:0,1`)
  const [state] = rows(await ok('groups', [...of, '--state', '--verbose']))
  assert.equal(state!['STATE'], 'Stable')
  assert.equal(state!['ASSIGNMENT-STRATEGY'], 'uniform')
  assert.equal(rows(await ok('groups', [...of, '--offsets', '--verbose'])).length, 2)
  assert.match(await ok('groups', ['--list', '--type', 'consumer']), new RegExp(`${group}\\s+Consumer`))
  assert.doesNotMatch(await ok('groups', ['--list', '--type', 'classic']), new RegExp(group))
  assert.match(await ok('groups', ['--list', '--state']), new RegExp(`${group}\\s+Stable`))
  assert.match(
    await ok('org.apache.kafka.tools.GroupsCommand', ['--list']),
    new RegExp(`${group}\\s+Consumer\\s+consumer`),
  )
  const refused = await tool('groups', ['--delete', '--group', group])
  assert.match(refused.stdout + refused.stderr, /not empty/i)
  await ok('console-producer', ['--topic', name], 'd\ne\nf\ng\nh\ni\n')
  assert.match((await waiting).stderr, /Processed a total of 9 messages/)
})
for (const protocol of ['classic', 'consumer'])
  test(`kafka-consumer-groups --reset-offsets in every way (${protocol})`, async () => {
    const [name, group] = [await topic(1, 'a\nb\nc\nd\n'), freshName('group')]
    const read = await consume(name, group, 4, '--command-property', `group.protocol=${protocol}`)
    assert.match(read.stderr, /Processed a total of 4 messages/)
    const [row] = rows(await ok('groups', ['--describe', '--group', group]))
    assert.deepEqual([row!['CURRENT-OFFSET'], row!['LOG-END-OFFSET'], row!['LAG']], ['4', '4', '0'])
    const reset = async (...how: string[]): Promise<string | undefined> => {
      const words = ['--reset-offsets', '--group', group, ...how]
      return rows(await ok('groups', words))[0]!['NEW-OFFSET']
    }
    const [all, run] = [['--all-topics'], ['--topic', name, '--execute']]
    assert.equal(await reset('--to-earliest', ...all, '--dry-run'), '0')
    assert.equal(await reset('--to-current', ...all, '--dry-run'), '4', 'a dry run changes nothing')
    assert.equal(await reset('--to-earliest', ...run), '0')
    assert.equal(await reset('--shift-by', '3', ...run), '3')
    assert.equal(await reset('--shift-by', '-1', ...run), '2')
    assert.equal(await reset('--to-offset', '1', '--topic', `${name}:0`, '--execute'), '1')
    assert.equal(await reset('--to-offset', '99', ...run), '4', 'the end is the most')
    assert.equal(await reset('--to-datetime', '2000-01-01T00:00:00.000', ...run), '0')
    assert.equal(await reset('--by-duration', 'PT0S', ...run), '4')
    assert.equal(await reset('--by-duration', 'P1D', ...run), '0')
    assert.equal(await reset('--to-latest', ...run), '4')
    const file = join(folder, `${group}.csv`)
    writeFileSync(
      file,
      await ok('groups', ['--reset-offsets', '--group', group, '--to-earliest', ...all, '--export', '--dry-run']),
    )
    assert.match(readFileSync(file, 'utf8'), new RegExp(`"?${name}"?,0,0`))
    assert.equal(await reset('--from-file', file, '--execute'), '0')
    await ok('groups', ['--delete-offsets', '--group', group, '--topic', name])
    assert.match(await ok('groups', ['--delete', '--group', group]), /successful/)
    assert.doesNotMatch(await ok('groups', ['--list']), new RegExp(`^${group}$`, 'm'))
  })
test('kafka-configs: of a group, described, set, refused and removed', async () => {
  const group = freshName('group')
  const entity = ['--entity-type', 'groups', '--entity-name', group]
  await ok('configs', ['--alter', ...entity, '--add-config', 'consumer.session.timeout.ms=50000'])
  assert.match(await ok('configs', ['--describe', ...entity]), /consumer\.session\.timeout\.ms=50000/)
  assert.match(await ok('configs', ['--describe', '--all', ...entity]), /consumer\.heartbeat\.interval\.ms=5000/)
  const odd = await tool('configs', ['--alter', ...entity, '--add-config', 'no.such=1'])
  assert.notEqual(odd.code, 0)
  await ok('configs', ['--alter', ...entity, '--delete-config', 'consumer.session.timeout.ms'])
  assert.doesNotMatch(await ok('configs', ['--describe', ...entity]), /session\.timeout\.ms=50000/)
})
