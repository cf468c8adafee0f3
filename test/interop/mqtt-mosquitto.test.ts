/** mosquitto_pub and mosquitto_sub, as people type them. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, test } from 'node:test'
import { type MqttTarget, startTarget } from './mqtt/target.ts'
import { need } from './setup/index.ts'

let target: MqttTarget
before(async () => {
  await need('mosquitto_pub', 'mosquitto_sub')
  target = await startTarget()
})
after(() => target.millrace?.[Symbol.asyncDispose]())

interface Ended {
  readonly code: number | null
  readonly lines: string[]
  readonly error: string
}
function run(program: 'mosquitto_pub' | 'mosquitto_sub', args: readonly string[], input = ''): Promise<Ended> {
  const child = spawn(program, ['-h', target.host, '-p', String(target.port), ...args])
  let out = ''
  let error = ''
  child.stdout.on('data', (data: Buffer) => (out += data.toString()))
  child.stderr.on('data', (data: Buffer) => (error += data.toString()))
  // It may be gone before it has read anything.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  return new Promise((resolve) =>
    child.on('close', (code) => resolve({ code, lines: out.split('\n').filter((line) => line !== ''), error })),
  )
}
/** Ends by itself when so many messages have come, at the latest after ten seconds. */
async function subscribe(count: number, args: readonly string[]): Promise<() => Promise<Ended>> {
  const ended = run('mosquitto_sub', ['-C', String(count), '-W', '10', ...args])
  await sleep(400)
  return () => ended
}
async function publish(args: readonly string[], input?: string): Promise<void> {
  const { code, error } = await run('mosquitto_pub', args, input)
  assert.equal(code, 0, error)
}

for (const version of ['mqttv31', 'mqttv311', 'mqttv5']) {
  const speaks = ['-V', version]
  for (const qos of ['0', '1', '2'])
    test(`${version}: a message with QoS ${qos} arrives with it`, async () => {
      const topic = `m/${version}/${qos}`
      const got = await subscribe(1, [...speaks, '-t', topic, '-q', '2', '-F', '%t %q %p'])
      await publish([...speaks, '-t', topic, '-q', qos, '-m', 'hello'])
      assert.deepEqual((await got()).lines, [`${topic} ${qos} hello`])
    })
}
test('wildcards match levels', async () => {
  const got = await subscribe(3, ['-t', 'w/+/x', '-t', 'w/all/#', '-v'])
  for (const topic of ['w/1/x', 'w/1/y', 'w/all', 'w/all/a/b']) await publish(['-t', topic, '-m', 'm', '-q', '1'])
  assert.deepEqual((await got()).lines.toSorted(), ['w/1/x m', 'w/all m', 'w/all/a/b m'])
})
test('a retained message comes with its flag to who subscribes later, and is taken away by an empty one', async () => {
  await publish(['-t', 'keep/a', '-m', 'kept', '-r', '-q', '1'])
  const { lines } = await run('mosquitto_sub', ['-t', 'keep/#', '-C', '1', '-W', '5', '-F', '%t %r %p'])
  assert.deepEqual(lines, ['keep/a 1 kept'])
  await publish(['-t', 'keep/a', '-n', '-r', '-q', '1'])
  const { code, lines: none } = await run('mosquitto_sub', ['-t', 'keep/#', '-C', '1', '-W', '1'])
  assert.deepEqual([code, none], [27, []])
})
test('--retained-only and --remove-retained', async () => {
  await publish(['-t', 'old/a', '-m', 'x', '-r', '-q', '1'])
  const only = await run('mosquitto_sub', ['-t', 'old/#', '--retained-only', '-W', '2', '-v'])
  assert.deepEqual(only.lines, ['old/a x'])
  await run('mosquitto_sub', ['-t', 'old/#', '--remove-retained', '-W', '1'])
  await sleep(200)
  const { lines } = await run('mosquitto_sub', ['-t', 'old/#', '-W', '1'])
  assert.deepEqual(lines, [])
})
test('a session with an identifier (-c) gets what came while it was away', async () => {
  const session = ['-i', 'away', '-c', '-t', 'away/#', '-q', '1']
  await run('mosquitto_sub', [...session, '-W', '1'])
  for (const text of ['one', 'two']) await publish(['-t', 'away/x', '-m', text, '-q', '1'])
  const { lines } = await run('mosquitto_sub', [...session, '-C', '2', '-W', '5'])
  assert.deepEqual(lines, ['one', 'two'])
})
test('a session of version 5 ends when its time is over (-x)', async () => {
  const session = ['-V', 'mqttv5', '-i', 'brief', '-c', '-x', '1', '-t', 'brief/#', '-q', '1']
  await run('mosquitto_sub', [...session, '-W', '1'])
  await publish(['-t', 'brief/x', '-m', 'early', '-q', '1'])
  await sleep(2_500)
  const { lines } = await run('mosquitto_sub', [...session, '-W', '1'])
  assert.deepEqual(lines, [])
})
test('a will is sent for a client that is killed', async () => {
  const got = await subscribe(1, ['-t', 'wills/#', '-v'])
  const will = ['--will-topic', 'wills/me', '--will-payload', 'gone', '--will-qos', '1']
  const child = spawn('mosquitto_sub', ['-h', target.host, '-p', String(target.port), '-t', 'nothing', ...will])
  await sleep(400)
  child.kill('SIGKILL')
  assert.deepEqual((await got()).lines, ['wills/me gone'])
})
test('a shared subscription divides messages', async () => {
  const both = await Promise.all(
    [1, 2].map(() => subscribe(5, ['-V', 'mqttv5', '-t', '$share/team/jobs/#', '-q', '1'])),
  )
  for (let i = 0; i < 10; i++) await publish(['-t', `jobs/${i}`, '-m', String(i), '-q', '1'])
  const lines = (await Promise.all(both.map((one) => one()))).flatMap((ended) => ended.lines)
  assert.deepEqual(
    lines.toSorted(),
    Array.from({ length: 10 }, (_, i) => String(i)),
  )
})
test('properties of version 5 go through: content type, response topic, correlation data, user properties, expiry', async () => {
  const got = await subscribe(1, ['-V', 'mqttv5', '-t', 'props', '-F', '%C|%R|%D|%P|%E'])
  await publish([
    ...['-V', 'mqttv5', '-t', 'props', '-m', 'x', '-q', '1'],
    ...['-D', 'publish', 'content-type', 'text/plain'],
    ...['-D', 'publish', 'response-topic', 'answers'],
    ...['-D', 'publish', 'correlation-data', 'abc'],
    ...['-D', 'publish', 'user-property', 'color', 'red'],
    ...['-D', 'publish', 'message-expiry-interval', '60'],
  ])
  const [line] = (await got()).lines
  assert.match(line!, /^text\/plain\|answers\|abc\|color:red\|(59|60)$/)
})
test('lines of standard input are messages (-l), and all of it is one (-s)', async () => {
  const lines = await subscribe(3, ['-t', 'lines', '-q', '1'])
  await publish(['-t', 'lines', '-l', '-q', '1'], 'a\nb\nc\n')
  assert.deepEqual((await lines()).lines, ['a', 'b', 'c'])
  const whole = await subscribe(1, ['-t', 'whole', '-q', '1'])
  await publish(['-t', 'whole', '-s', '-q', '1'], 'a\nb\n')
  assert.deepEqual((await whole()).lines, ['a', 'b'])
})
test('a large message goes through whole, and one that is too large ends its connection', async () => {
  const got = await subscribe(1, ['-t', 'large', '-q', '1', '-F', '%l'])
  await publish(['-t', 'large', '-s', '-q', '1'], 'x'.repeat(1_000_000))
  assert.deepEqual((await got()).lines, ['1000000'])
  const { code, error } = await run('mosquitto_pub', ['-t', 'large', '-s', '-q', '1'], 'x'.repeat(1_100_000))
  assert.equal(code, 7, error)
})
test('request and response (mosquitto_rr)', async () => {
  const got = await subscribe(1, ['-V', 'mqttv5', '-t', 'ask', '-F', '%R'])
  const asked = spawn('mosquitto_rr', [
    ...['-h', target.host, '-p', String(target.port), '-V', 'mqttv5'],
    ...['-t', 'ask', '-e', 'answer', '-m', 'question', '-W', '5', '-q', '1'],
  ])
  let answer = ''
  asked.stdout.on('data', (data: Buffer) => (answer += data.toString()))
  const ended = new Promise((resolve) => asked.on('close', resolve))
  const [topic] = (await got()).lines
  await publish(['-V', 'mqttv5', '-t', topic!, '-m', 'forty-two', '-q', '1'])
  await ended
  assert.equal(answer.trim(), 'forty-two')
})
test('$SYS has numbers of the broker', async () => {
  const { lines } = await run('mosquitto_sub', ['-t', '$SYS/broker/clients/connected', '-C', '1', '-W', '5'])
  assert.match(lines[0] ?? '', /^\d+$/)
})
test(
  'what is published is a record in the log',
  { skip: process.env['MILLRACE_TEST_MQTT'] !== undefined },
  async () => {
    await publish(['-t', 'plant/3/temp', '-m', '21.5', '-q', '1'])
    const answer = await fetch(`http://${target.millrace!.http}/v1/topics/mqtt.plant/records?from=earliest`)
    const { records } = (await answer.json()) as { records: { key: { text: string }; value: { json: number } }[] }
    assert.deepEqual(
      records.map(({ key, value }) => [key.text, value.json]),
      [['plant/3/temp', 21.5]],
    )
  },
)
