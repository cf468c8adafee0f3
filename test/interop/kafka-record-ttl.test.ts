/** Records with a time to live, read by librdkafka and the Java client: what is over leaves holes that they go past. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { execute } from './kafka/target.ts'
import { kafkaTool, need, startMillrace } from './setup/index.ts'

test('kcat and kafka-console-consumer read on behind records that are over', async () => {
  await using millrace = await startMillrace()
  const { kcat } = await need('kcat')
  const address = ['--bootstrap-server', millrace.kafka]
  const tool = async (name: string, ...args: string[]): Promise<string> => {
    const [command, words] = await kafkaTool(name, ...address, ...args)
    const ended = await execute(command, words, { withinMs: 60_000, env: { JVM_OPTS: '-XX:TieredStopAtLevel=1' } })
    assert.equal(ended.code, 0, ended.stdout + ended.stderr)
    return ended.stdout
  }
  const rd = async (input: string, ...args: string[]): Promise<string[]> => {
    const ended = await execute(kcat, ['-b', millrace.kafka, ...args], { input, withinMs: 30_000 })
    assert.equal(ended.code, 0, ended.stderr)
    return ended.stdout.split('\n').filter((line) => line !== '')
  }
  await tool('topics', '--create', '--topic', 't')
  // kafka-topics knows Kafka's settings alone.
  const entity = ['--entity-type', 'topics', '--entity-name', 't']
  await tool('configs', '--alter', ...entity, '--add-config', 'record.ttl.enable=true')
  await rd('a\nb\n', '-P', '-t', 't', '-z', 'zstd', '-H', 'mr-ttl=1s')
  await rd('c\n', '-P', '-t', 't')
  await rd('d\ne\n', '-P', '-t', 't', '-H', 'mr-ttl=1000')
  assert.deepEqual(await rd('', '-C', '-q', '-e', '-t', 't'), ['a', 'b', 'c', 'd', 'e'])
  await sleep(1_100)
  assert.deepEqual(await rd('', '-C', '-q', '-e', '-t', 't'), ['c'])
  assert.deepEqual(await rd('', '-C', '-q', '-e', '-t', 't', '-o', '1'), ['c'], 'from the middle of what is over')
  await rd('f\n', '-P', '-t', 't')
  const java = await tool(
    'console-consumer',
    '--topic',
    't',
    '--from-beginning',
    '--max-messages',
    '2',
    '--timeout-ms',
    '30000',
  )
  assert.deepEqual(java.trim().split('\n'), ['c', 'f'])
  const odd = await execute(kcat, ['-b', millrace.kafka, '-P', '-t', 't', '-H', 'mr-ttl=soon'], { input: 'g\n' })
  assert.match(odd.stderr, /failed to validate record/)
})
