/**
 * Records with a time to live, read by librdkafka and the Java client: what is over leaves holes that they go past. And
 * records that are delivered at their time.
 */
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
test('a record sent to a topic with deliver.to comes to the other one when its time has come', async () => {
  await using millrace = await startMillrace()
  const { kcat } = await need('kcat')
  const topics = `http://${millrace.http}/v1/topics`
  const put = async (topic: string, config: object): Promise<number> => {
    const headers = { 'content-type': 'application/json' }
    return (await fetch(`${topics}/${topic}`, { method: 'PUT', headers, body: JSON.stringify({ config }) })).status
  }
  assert.equal(await put('later', { 'deliver.to': 'orders' }), 400, 'there is no such topic yet')
  assert.equal(await put('orders', {}), 201)
  assert.equal(await put('later', { 'deliver.to': 'orders' }), 201)
  const words = ['-b', millrace.kafka, '-P', '-t', 'later', '-K:']
  const send = async (input: string, ...more: string[]): Promise<void> => {
    const ended = await execute(kcat, [...words, ...more], { input })
    assert.equal(ended.code, 0, ended.stderr)
  }
  const sentAt = Date.now()
  await send('k:slow\n', '-H', 'mr-deliver-after=2s', '-H', 'mine=x')
  await send('k:fast\n')
  const reading = ['-b', millrace.kafka, '-C', '-q', '-t', 'orders', '-c', '2', '-f', '%k %s %T %h\n']
  const ended = await execute(kcat, reading, { withinMs: 30_000 })
  const [fast, slow] = ended.stdout.split('\n').map((line) => line.split(' '))
  assert.deepEqual([fast![0], fast![1], slow![0], slow![1]], ['k', 'fast', 'k', 'slow'])
  const waitedMs = Number(slow![2]) - sentAt
  assert.ok(waitedMs >= 2_000 && waitedMs < 5_000, `${waitedMs} ms`)
  assert.match(slow![3]!, /^mine=x,mr-origin=/)
})
