/** kcat (librdkafka) with no option but the address and what a user asks for. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { type Ended, execute, freshName, sharedTarget } from './kafka/target.ts'
import { need } from './setup/index.ts'

const target = sharedTarget({ before, after })
let program = ''
before(async () => {
  program = (await need('kcat')).kcat
})

const kcat = (args: readonly string[], input?: string | Uint8Array): Promise<Ended> =>
  execute(program, ['-b', target().address, ...args], input === undefined ? {} : { input })
async function ok(args: readonly string[], input?: string | Uint8Array): Promise<string> {
  const ended = await kcat(args, input)
  assert.equal(ended.code, 0, `${ended.stderr}${ended.stdout}`)
  return ended.stdout
}
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '')
const produce = (topic: string, input: string, ...args: string[]): Promise<string> =>
  ok(['-P', '-t', topic, ...args], input)
const consume = async (topic: string, ...args: string[]): Promise<string[]> =>
  lines(await ok(['-C', '-q', '-e', '-t', topic, ...args]))
async function topicOf(partitions: number): Promise<string> {
  const { Admin } = await import('@platformatic/kafka')
  const admin = new Admin({ clientId: 'setup', bootstrapBrokers: [target().address] })
  const name = freshName('kcat')
  await admin.createTopics({ topics: [name], partitions, replicas: 1 })
  await admin.close()
  return name
}

test('-L lists the broker', async () => {
  const said = await ok(['-L'])
  assert.match(said, /1 brokers:/)
  assert.ok(said.includes(`broker 1 at ${target().address}`), said)
})
test('-L -J gives the same as JSON', async () => {
  const topic = freshName('kcat')
  await produce(topic, 'x\n')
  const said = JSON.parse(await ok(['-L', '-J', '-t', topic])) as {
    brokers: { id: number; name: string }[]
    topics: { topic: string; partitions: { leader: number }[] }[]
  }
  assert.deepEqual(said.brokers, [{ id: 1, name: target().address }])
  assert.deepEqual([said.topics[0]!.topic, said.topics[0]!.partitions[0]!.leader], [topic, 1])
})
test('producing to a topic that nobody created creates it', async () => {
  const topic = freshName('kcat')
  await produce(topic, 'one\ntwo\nthree\n')
  assert.deepEqual(await consume(topic), ['one', 'two', 'three'])
})
test('consuming from a topic that does not exist creates none and says so', async () => {
  const ended = await kcat(['-C', '-e', '-t', freshName('kcat-none')])
  assert.notEqual(ended.code, 0)
  assert.match(ended.stderr, /Unknown topic or partition/)
})
for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd'])
  test(`-z ${codec}: compressed messages are read again`, async () => {
    const topic = freshName('kcat')
    const messages = Array.from({ length: 200 }, (_, i) => `message ${i} ${'again and again '.repeat(10)}`.trim())
    await produce(topic, `${messages.join('\n')}\n`, '-z', codec)
    assert.deepEqual(await consume(topic), messages)
  })
test('-K: keys', async () => {
  const topic = freshName('kcat')
  await produce(topic, 'a:1\nb:2\n:3\n', '-K:')
  assert.deepEqual(await consume(topic, '-K', ':'), ['a:1', 'b:2', ':3'])
})
test('-H: headers', async () => {
  const topic = freshName('kcat')
  await produce(topic, 'x\n', '-H', 'one=1', '-H', 'two=zwei', '-H', 'one=again')
  assert.deepEqual(await consume(topic, '-f', '%h %s\n'), ['one=1,two=zwei,one=again x'])
})
test('-Z: an empty value is null', async () => {
  const topic = freshName('kcat')
  await produce(topic, 'gone:\nkept:v\n', '-K:', '-Z')
  assert.deepEqual(await consume(topic, '-f', '%k %S\n'), ['gone -1', 'kept 1'])
})
test('timestamps are those of the producer', async () => {
  const topic = freshName('kcat')
  const from = Date.now()
  await produce(topic, 'x\n')
  const at = Number((await consume(topic, '-f', '%T\n'))[0])
  assert.ok(at >= from - 1000 && at <= Date.now() + 1000)
})
test('-p: partitions are written and read one by one', async () => {
  const topic = await topicOf(3)
  for (const index of ['0', '1', '2']) await produce(topic, `to ${index}\n`, '-p', index)
  assert.deepEqual(await consume(topic, '-p', '1'), ['to 1'])
  assert.deepEqual((await consume(topic, '-f', '%p %s\n')).toSorted(), ['0 to 0', '1 to 1', '2 to 2'])
})
test('-o: from an offset, from the end backwards, a number of messages', async () => {
  const topic = freshName('kcat')
  await produce(topic, '0\n1\n2\n3\n4\n')
  assert.deepEqual(await consume(topic, '-o', '3'), ['3', '4'])
  assert.deepEqual(await consume(topic, '-o', '-2'), ['3', '4'])
  assert.deepEqual(await consume(topic, '-o', 'beginning', '-c', '2'), ['0', '1'])
  assert.deepEqual(await consume(topic, '-o', 'end'), [])
  assert.deepEqual(await consume(topic, '-f', '%o\n'), ['0', '1', '2', '3', '4'])
})
test('-o s@ and e@: between two times', async () => {
  const topic = freshName('kcat')
  const times: number[] = []
  for (const text of ['a', 'b', 'c']) {
    await produce(topic, `${text}\n`)
    times.push(Date.now() + 1)
    await new Promise((done) => setTimeout(done, 20))
  }
  assert.deepEqual(await consume(topic, '-o', `s@${times[0]}`), ['b', 'c'])
  assert.deepEqual(await consume(topic, '-o', `s@${times[0]}`, '-o', `e@${times[1]}`), ['b'])
})
test('-Q: the offset at a time', async () => {
  const topic = freshName('kcat')
  await produce(topic, 'a\nb\n')
  assert.match(await ok(['-Q', '-t', `${topic}:0:-2`]), /offset 0/)
  assert.match(await ok(['-Q', '-t', `${topic}:0:-1`]), /offset 2/)
  assert.match(await ok(['-Q', '-t', `${topic}:0:1000`]), /offset 0/)
})
test('-G: a group reads, and goes on where it stopped', async () => {
  const [topic, group] = [freshName('kcat'), freshName('group')]
  await produce(topic, 'a\nb\n')
  const read = async (): Promise<string[]> =>
    lines(await ok(['-G', group, '-q', '-e', '-X', 'auto.offset.reset=earliest', topic]))
  assert.deepEqual(await read(), ['a', 'b'])
  await produce(topic, 'c\n')
  assert.deepEqual(await read(), ['c'])
  assert.deepEqual(await read(), [])
})
test('-G: two members share the partitions', async () => {
  const [topic, group] = [await topicOf(4), freshName('group')]
  const seen: string[][] = [[], []]
  const members = seen.map((list) => {
    const words = ['-b', target().address, '-G', group, '-u', '-q', '-X', 'auto.offset.reset=earliest', topic]
    const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'ignore'] })
    createInterface(child.stdout).on('line', (line) => void list.push(line))
    return child
  })
  try {
    const giveUp = performance.now() + 30_000
    for (let round = 0; !seen.every((list) => list.length > 0); round++) {
      assert.ok(performance.now() < giveUp, 'one of them got nothing')
      for (const index of ['0', '1', '2', '3']) await produce(topic, `${round}-${index}\n`, '-p', index)
      await new Promise((done) => setTimeout(done, 200))
    }
    const both = [...seen[0]!, ...seen[1]!]
    assert.equal(new Set(both).size, both.length, 'nothing came twice')
  } finally {
    for (const child of members) child.kill('SIGTERM')
    await Promise.all(members.map((child) => new Promise((done) => child.once('exit', done))))
  }
})
test('a consumer that waits gets a message soon after it is written', async () => {
  const topic = freshName('kcat')
  await produce(topic, 'first\n')
  const child = spawn(program, ['-b', target().address, '-C', '-u', '-q', '-t', topic], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  try {
    const reader = createInterface(child.stdout)[Symbol.asyncIterator]()
    assert.equal((await reader.next()).value, 'first')
    const from = performance.now()
    await produce(topic, 'second\n')
    assert.equal((await reader.next()).value, 'second')
    assert.ok(performance.now() - from < 2000)
  } finally {
    child.kill('SIGTERM')
  }
})
for (const acks of ['0', '1', 'all'])
  test(`acks=${acks} writes`, async () => {
    const topic = freshName('kcat')
    await produce(topic, 'x\n', '-X', `acks=${acks}`)
    const giveUp = performance.now() + 5000
    let found: string[] = []
    while (found.length === 0 && performance.now() < giveUp) {
      const ended = await kcat(['-C', '-q', '-e', '-t', topic])
      if (ended.code === 0) found = lines(ended.stdout)
    }
    assert.deepEqual(found, ['x'])
  })
test('an idempotent producer writes everything once and in order', async () => {
  const topic = freshName('kcat')
  const messages = Array.from({ length: 5000 }, (_, i) => String(i))
  await produce(topic, `${messages.join('\n')}\n`, '-X', 'enable.idempotence=true', '-X', 'batch.num.messages=50')
  assert.deepEqual(await consume(topic), messages)
})
test('100,000 small messages and some of a megabyte', async () => {
  const topic = freshName('kcat')
  const small = Array.from({ length: 100_000 }, (_, i) => `small ${i}`)
  await produce(topic, `${small.join('\n')}\n`)
  assert.equal((await consume(topic)).length, small.length)
  const large = freshName('kcat')
  await produce(large, `${'x'.repeat(990_000)}\n${'y'.repeat(990_000)}\n`)
  assert.deepEqual(
    (await consume(large)).map((line) => [line[0], line.length]),
    [
      ['x', 990_000],
      ['y', 990_000],
    ],
  )
})
test('a message beyond max.message.bytes is refused by the broker', async () => {
  const topic = freshName('kcat')
  await produce(topic, 'x\n')
  const args = ['-P', '-t', topic, '-X', 'message.max.bytes=3000000']
  const ended = await kcat(args, `${'x'.repeat(2_000_000)}\n`)
  assert.match(ended.stderr, /Message size too large/)
})
test('bytes of any kind pass unchanged', async () => {
  const topic = freshName('kcat')
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i).filter((byte) => byte !== 10))
  await ok(['-P', '-t', topic], bytes)
  const ended = await execute(program, ['-b', target().address, '-C', '-q', '-e', '-t', topic, '-f', '%S %R%s'])
  assert.match(ended.stdout, /^255 /)
})
