import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Calls, type Fixture, type RpcFailure, startFixture, textOf } from './fixture.ts'

let fixture: Fixture
let calls: Calls
before(async () => {
  fixture = await startFixture()
  calls = new Calls(fixture.client)
})
after(() => fixture[Symbol.asyncDispose]())
let made = 0
const udf = (code: string, functionName = 'f') => ({ messageTransforms: [{ javascriptUdf: { functionName, code } }] })
async function through(code: string, ...data: string[]): Promise<string[]> {
  const [topic, sub] = [`topic${made}`, `sub${made++}`]
  await calls.topic(topic, udf(code))
  await calls.subscription(sub, topic)
  await calls.publish(topic, ...data)
  return (await calls.pull(sub, 100, true)).map(textOf)
}

test('a topic changes what is published', async () => {
  const code = 'function f(message, metadata) { message.data = message.data.toUpperCase(); return message }'
  assert.deepEqual(await through(code, 'a', 'ü'), ['A', 'Ü'])
})
test('what a function gives nothing for is dropped', async () => {
  assert.deepEqual(await through("function f(m) { return m.data === 'no' ? null : m }", 'no', 'yes'), ['yes'])
})
test('a subscription changes what it delivers, with what is known of the message', async () => {
  await calls.topic('seen')
  const code = 'function f(m, d) { m.attributes.id = d.message_id; m.attributes.key = d.ordering_key ?? ""; return m }'
  await calls.subscription('seen-sub', 'seen', udf(code))
  const [id] = await calls.publish('seen', { data: Buffer.from('x'), orderingKey: 'k' })
  const [message] = await calls.pull('seen-sub')
  assert.deepEqual(
    [...message!.message!.attributes],
    [
      ['id', id],
      ['key', 'k'],
    ],
  )
})
test('several functions run one after another; one that is disabled does not', async () => {
  const add = (letter: string) => ({
    javascriptUdf: { functionName: `f${letter}`, code: `function f${letter}(m) { m.data += '${letter}'; return m }` },
  })
  await calls.topic('many', { messageTransforms: [add('1'), { ...add('2'), disabled: true }, add('3')] })
  await calls.subscription('many-sub', 'many')
  await calls.publish('many', 'x')
  assert.deepEqual((await calls.pull('many-sub')).map(textOf), ['x13'])
  await assert.rejects(calls.topic('twice', { messageTransforms: [add('1'), add('1')] }), /two have f1/)
})
test('code that does not parse, has no such function, or fails as it is read is refused', async () => {
  for (const [code, why] of [
    ['function f( {', /SyntaxError/],
    ['const g = 1', /f is no function/],
    ['throw new Error("no")', /no/],
    ['for (;;);', /more than/],
  ] as const)
    await assert.rejects(calls.topic(`refused${made++}`, udf(code)), (error: Error) => why.test(error.message))
})
test('a function that fails, or returns what is no message, refuses the publish; the next message passes', async () => {
  const code = `function f(m) {
    if (m.data === 'throw') throw new TypeError('I do not like it')
    if (m.data === 'loop') for (;;);
    if (m.data === 'deep') return f(m)
    if (m.data === 'odd') return { data: '', attributes: { a: 1 } }
    if (m.data === 'none') return { attributes: { a: '1' } }
    return m
  }`
  await calls.topic('failing', udf(code))
  for (const [data, why] of [
    ['throw', /TypeError: I do not like it/],
    ['loop', /more than 100 ms/],
    ['deep', /overflow|recursion|more than/],
    ['odd', /attribute that is no text/],
    ['none', /data that is no text/],
  ] as const)
    await assert.rejects(calls.publish('failing', data), (error: Error) => why.test(error.message), data)
  assert.equal((await calls.publish('failing', 'fine')).length, 1)
  // Near its limit QuickJS looks for memory at each step, for seconds and without looking at the time.
  const eats = 'function f() { const all = []; for (;;) all.push(new Array(100000).fill(1)) }'
  await calls.topic('eating', udf(eats))
  await assert.rejects(calls.publish('eating', 'x'), /memory|more than/)
  assert.equal((await calls.publish('failing', 'fine')).length, 1)
})
test('a function sees nothing of the program around it, nor of another function', async () => {
  const code = `globalThis.count = (globalThis.count ?? 0) + 1
    function f(m) {
      m.data = [typeof process, typeof require, typeof fetch, typeof setTimeout, typeof globalThis.secret, count].join()
      try { m.data += ',' + typeof [].constructor.constructor('return process')() } catch (error) { m.data += ',' + error.name }
      return m
    }`
  await calls.topic('other', udf('globalThis.secret = 1; function f(m) { return m }'))
  assert.deepEqual(await through(code, 'x'), ['undefined,undefined,undefined,undefined,undefined,1,ReferenceError'])
})
test('while functions take their time with many messages, others are served', async () => {
  const slow = 'function f(m) { const end = Date.now() + 40; while (Date.now() < end); return m }'
  await calls.topic('slow-topic')
  await calls.subscription('slow-sub', 'slow-topic', udf(slow))
  await calls.subscription('other-sub', 'slow-topic')
  await calls.publish('slow-topic', ...Array.from({ length: 30 }, (_, i) => String(i)))
  const pulling = calls.pull('slow-sub', 30)
  let [answered, worstMs] = [0, 0]
  let isOver = false
  void pulling.finally(() => (isOver = true))
  for (; !isOver; answered++) {
    const beganMs = performance.now()
    await calls.pull('other-sub', 1, true)
    worstMs = Math.max(worstMs, performance.now() - beganMs)
  }
  assert.equal((await pulling).length, 30)
  assert.ok(answered >= 5 && worstMs < 900, `${answered} answers meanwhile, ${Math.round(worstMs)} ms at most`)
})
test('what cannot be stopped from within is ended from without: the rest goes on, and other functions run again', async () => {
  const code = (work: string): string => `function f(m) { if (m.data === 'x') ${work}; return m }`
  const endless = ['new Array(4294967295).indexOf(1)', "'a'.repeat(4e6).indexOf('a'.repeat(2e6) + 'b')"]
  await calls.topic('quick', udf('function f(m) { m.data += "!"; return m }'))
  await calls.topic('plain')
  await calls.subscription('quick-sub', 'quick')
  for (const work of endless) {
    const topic = `endless${made++}`
    await calls.topic(topic, udf(code(work)))
    let isOver = false
    const refused = assert.rejects(calls.publish(topic, 'x'), /took more than 100 ms, and could not be stopped/)
    void refused.finally(() => (isOver = true))
    let worstMs = 0
    while (!isOver) {
      const beganMs = performance.now()
      await calls.publish('plain', 'y')
      worstMs = Math.max(worstMs, performance.now() - beganMs)
    }
    await refused
    // Ten seconds are what it runs.
    assert.ok(worstMs < 3_000, `others waited ${Math.round(worstMs)} ms`)
    // Not once more, until some time has passed.
    const beganMs = performance.now()
    await assert.rejects(calls.publish(topic, 'x'), /could not be stopped/)
    assert.ok(performance.now() - beganMs < 500)
    await calls.publish('quick', 'z')
  }
  assert.deepEqual((await calls.pull('quick-sub', 10)).map(textOf), ['z!', 'z!'])
})
test('odd things that are thrown and returned refuse the message, and break nothing', async () => {
  const odd = [
    'throw { message: { toString: 1 }, name: { toString: 2 } }',
    "JSON.stringify = () => '{'",
    "JSON.parse('['.repeat(200000))",
    "m.attributes = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`k${i}`, 'v']))",
    "m.data = ''",
  ]
  for (const work of odd) {
    const topic = `odd${made++}`
    await calls.topic(topic, udf(`function f(m) { ${work}; return m }`))
    await assert.rejects(calls.publish(topic, 'x'), (error: RpcFailure) => error.status === 3, work)
  }
  assert.deepEqual(await through('function f(m) { return m }', 'fine'), ['fine'])
})
test('functions that keep memory do not take more than there is for all of them', async () => {
  const keeps = (i: number): string =>
    `const kept = new Uint8Array(14e6).fill(${i}); function f(m) { return kept && m }`
  const before = process.memoryUsage().rss
  for (let i = 0; i < 60; i++) {
    const topic = `keeps${i}`
    await calls.topic(topic, udf(keeps(i)))
    await calls.publish(topic, 'x')
  }
  const grownMiB = (process.memoryUsage().rss - before) / 2 ** 20
  assert.ok(grownMiB < 700, `${Math.round(grownMiB)} MiB more`)
})
