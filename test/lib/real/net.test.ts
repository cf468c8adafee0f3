import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { Connection } from '../../../src/lib/world.ts'

const { net, clock, random } = realWorld()

const pem = (name: string): string => readFileSync(new URL(`../../fixtures/tls/${name}`, import.meta.url), 'utf8')
const kinds = ['plain', 'TLS'] as const

async function pair(
  kind: (typeof kinds)[number] = 'plain',
): Promise<{ near: Connection; far: Connection; close(): Promise<void> }> {
  const accepted = Promise.withResolvers<Connection>()
  const own = { cert: pem('server.pem'), key: pem('server.key'), clientAuth: 'none' } as const
  const [server, client] = kind === 'plain' ? [] : [own, { ca: pem('ca.pem') }]
  const listener = await net.listen({ host: '127.0.0.1', port: 0 }, accepted.resolve, server)
  const near = await net.connect(listener.at, undefined, client)
  return { near, far: await accepted.promise, close: () => listener.close() }
}

for (const kind of kinds)
  test(`a connection carries bytes both ways, knows its ends, and closes (${kind})`, async () => {
    const { near, far, close } = await pair(kind)
    assert.deepEqual(near.remote, far.local)
    assert.deepEqual(near.local, far.remote)
    far.onBytes((bytes) => void far.write([Buffer.from('<'), Buffer.from(bytes), Buffer.from('>')]))
    const answered = new Promise<string>((resolve) => {
      let text = ''
      near.onBytes((bytes) => {
        text += Buffer.from(bytes).toString()
        if (text.endsWith('>')) resolve(text)
      })
    })
    near.write([Buffer.from('hello')])
    assert.equal(await answered, '<hello>')
    const closed = new Promise<Error | null>((resolve) => near.onClose(resolve))
    far.onClose(() => {})
    far.end()
    near.end()
    assert.equal(await closed, null)
    await close()
  })

for (const kind of kinds)
  test(`a peer that pauses fills the backlog; drain follows when it reads on (${kind})`, async () => {
    const { near, far, close } = await pair(kind)
    let bytes = 0
    far.onBytes((piece) => (bytes += piece.length))
    far.pause()
    let sent = 0
    while (near.write([Buffer.alloc(1 << 20)])) {
      sent += 1 << 20
      assert.ok(sent < 1e9, 'nothing holds the writer back')
      await clock.sleep(0)
    }
    sent += 1 << 20
    assert.ok(near.backlogBytes > 0)
    const drained = new Promise<void>((resolve) => near.onDrain(resolve))
    far.resume()
    await drained
    const closed = new Promise<unknown>((resolve) => far.onClose(resolve))
    near.end()
    far.end()
    await closed
    assert.equal(bytes, sent)
    await close()
  })

for (const kind of kinds)
  test(`bytes go to the room that is offered, others to a place that is used again (${kind})`, async () => {
    const { near, far, close } = await pair(kind)
    const room = Buffer.alloc(1_000_000)
    const got: Buffer[] = []
    let filled = 0
    let isOffered = false
    far.onBytes(
      (bytes) => {
        got.push(Buffer.from(bytes))
        if (bytes.buffer === room.buffer) {
          assert.equal(bytes.byteOffset, room.byteOffset + filled)
          filled += bytes.length
        }
        isOffered = filled < room.length
      },
      () => (isOffered ? room.subarray(filled) : null),
    )
    const sent = Buffer.from(random.bytes(3_000_000))
    let sentCalls = 0
    near.write([sent.subarray(0, 10), sent.subarray(10)], () => sentCalls++)
    const closed = new Promise<unknown>((resolve) => far.onClose(resolve))
    near.end()
    await closed
    assert.ok(Buffer.concat(got).equals(sent))
    assert.equal(filled, room.length)
    assert.equal(sentCalls, 1)
    await close()
  })

for (const kind of kinds)
  test(`what could not be sent is not called sent (${kind})`, async () => {
    const { near, far, close } = await pair(kind)
    const closed = new Promise<unknown>((resolve) => near.onClose(resolve))
    near.onBytes(() => {})
    far.pause()
    for (let i = 0; i < 20; i++) near.write([Buffer.alloc(1 << 20)])
    near.write([Buffer.alloc(1)], () => assert.fail('sent'))
    far.destroy()
    await closed
    await close()
  })

for (const kind of kinds)
  test(`nothing is lost before there is a handler, and pauses lose nothing (${kind})`, async () => {
    const { near, far, close } = await pair(kind)
    near.write([Buffer.from('early')])
    await clock.sleep(20)
    let text = ''
    far.onBytes((bytes) => {
      text += Buffer.from(bytes).toString()
      far.pause()
      void clock.sleep(1).then(() => far.resume())
    })
    const closed = new Promise<unknown>((resolve) => far.onClose(resolve))
    for (let i = 0; i < 5; i++) {
      near.write([Buffer.from(` ${i}`)])
      await clock.sleep(5)
    }
    near.end()
    await closed
    assert.equal(text, 'early 0 1 2 3 4')
    await close()
  })

test('what came with the end of a handshake is kept for a handler that is set later', async () => {
  const server = { cert: pem('server.pem'), key: pem('server.key'), clientAuth: 'none' } as const
  const taken = Promise.withResolvers<string>()
  const listener = await net.listen(
    { host: '127.0.0.1', port: 0 },
    (connection) => {
      const take = (): void => {
        let text = ''
        connection.onBytes((bytes) => {
          text += Buffer.from(bytes).toString()
          if (text.length >= 'hello, again'.length) taken.resolve(text)
        })
      }
      void clock.sleep(20).then(take)
    },
    server,
  )
  // A client that writes before its handshake is over: the words follow its last message at once.
  const client = connectTls({ ...listener.at, ca: pem('ca.pem') })
  client.write('hello')
  await clock.sleep(10)
  client.write(', again')
  assert.equal(await taken.promise, 'hello, again')
  client.destroy()
  await listener.close()
})

test('a destroyed connection is heard at the other end; a write to it is no error', async () => {
  const { near, far, close } = await pair()
  const closed = new Promise<unknown>((resolve) => far.onClose(resolve))
  far.onBytes(() => {})
  near.destroy()
  assert.equal(near.write([Buffer.from('x')]), true)
  await closed
  await close()
})

test('a refused or aborted connection says so', async () => {
  const listener = await net.listen({ host: '127.0.0.1', port: 0 }, () => {})
  await assert.rejects(
    net.listen(listener.at, () => {}),
    { code: 'EADDRINUSE' },
  )
  await listener.close()
  await assert.rejects(net.connect(listener.at), { code: 'ECONNREFUSED' })
  await assert.rejects(net.connect({ host: '127.0.0.1', port: 1 }, AbortSignal.abort(new Error('no'))), /no/)
})

test('a request goes to the address it is given, follows no redirect, and bounds the answer', async () => {
  const server = createServer((asked, answer) => {
    if (asked.url === '/away') return answer.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()
    answer.end(`${asked.method} ${asked.headers.host} ${asked.headers['x-a']} `.padEnd(100_000, '.'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const ask = (path: string, host = 'nowhere.invalid') =>
    net.request(
      {
        method: 'PUT',
        url: `http://${host}:${port}${path}`,
        headers: { 'x-a': 'b' },
        body: Buffer.from('c'),
        answerBytesMax: 40,
      },
      '127.0.0.1',
      AbortSignal.timeout(5000),
    )
  const answer = await ask('/')
  assert.equal(answer.status, 200)
  assert.equal(answer.body.length, 40)
  assert.ok(Buffer.from(answer.body).toString().startsWith(`PUT nowhere.invalid:${port} b .`))
  // Not even a literal address in the URL is connected to.
  assert.equal((await ask('/', '192.0.2.1')).status, 200)
  assert.equal((await ask('/away')).status, 302)
  server.close()
  server.closeAllConnections()
  await assert.rejects(ask('/'), { code: 'ECONNREFUSED' })
})

test('names and literal addresses resolve', async () => {
  assert.deepEqual(await net.resolve('127.0.0.1'), ['127.0.0.1'])
  assert.deepEqual(await net.resolve('::1'), ['::1'])
  assert.ok((await net.resolve('localhost')).length > 0)
})

test('time and chance', async () => {
  const before = clock.monotonic()
  await clock.sleep(5)
  assert.ok(clock.monotonic() - before >= 4)
  await assert.rejects(clock.sleep(1e9, AbortSignal.timeout(5)), { name: 'TimeoutError' })
  clock.after(1, () => assert.fail('cancelled'))()
  await new Promise<void>((resolve) => clock.soon(resolve))
  assert.ok(Math.abs(clock.now() - Date.now()) < 1000)
  assert.match(random.uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4/)
  assert.equal(random.bytes(7).length, 7)
  for (let i = 0; i < 100; i++) assert.ok(random.fraction() >= 0 && random.fraction() < 1)
})
