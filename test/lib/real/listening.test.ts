import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ServerResponse, createServer as createHttp, get } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { bind, byVersion, drained } from '../../../src/lib/real/listening.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { Clock } from '../../../src/lib/world.ts'

/** Timers come due when the test says so. */
function handClock(): { clock: Clock; ring(): void } {
  const due = new Set<() => void>()
  const clock: Clock = {
    ...realWorld().clock,
    after(_ms, call) {
      due.add(call)
      return () => void due.delete(call)
    },
  }
  return { clock, ring: () => due.forEach((call) => call()) }
}
async function both(t: TestContext, clock: Clock): Promise<{ readonly port: number }> {
  const http1 = createHttp((_, response) => void response.end('one'))
  const http2 = createHttp2((_, response) => void response.end('two'))
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => {})
    byVersion(socket, clock, { http1, http2 })
  })
  const { port } = await bind(server, { host: '127.0.0.1', port: 0 }, () => {})
  t.after(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return { port }
}

test('each version gets the server that speaks it, also when its first bytes come one by one', async (t) => {
  const { port } = await both(t, realWorld().clock)
  const [response] = (await once(get({ port, host: '127.0.0.1' }), 'response')) as [NodeJS.ReadableStream]
  assert.equal(String((await once(response, 'data'))[0]), 'one')
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  t.after(() => session.destroy())
  const stream = session.request({ ':path': '/' })
  assert.equal(String((await once(stream, 'data'))[0]), 'two')
  const slow = connect(port, '127.0.0.1')
  t.after(() => slow.destroy())
  for (const byte of 'GET / HTTP/1.1\r\nHost: a\r\n\r\n') {
    slow.write(byte)
    await sleep(2)
  }
  assert.match(String((await once(slow, 'data'))[0]), /^HTTP\/1\.1 200/)
})

test('who says nothing, or ends within the first bytes, is cut off', async (t) => {
  const { clock, ring } = handClock()
  const { port } = await both(t, clock)
  const silent = connect(port, '127.0.0.1').resume()
  await once(silent, 'connect')
  silent.write('PR')
  await sleep(50)
  const closed = once(silent, 'close')
  ring()
  await closed
  const short = connect(port, '127.0.0.1').resume()
  await once(short, 'connect')
  const ended = once(short, 'close')
  short.end('G')
  await ended
})

test('an address that is taken rejects; what fails later is told and is no end', async (t) => {
  const first = createServer()
  const failures: Error[] = []
  const at = await bind(first, { host: '127.0.0.1', port: 0 }, (error) => failures.push(error))
  t.after(() => first.close())
  assert.equal(at.port, (first.address() as AddressInfo).port)
  await assert.rejects(
    bind(createServer(), at, () => {}),
    { code: 'EADDRINUSE' },
  )
  first.emit('error', new Error('no file handles left'))
  assert.deepEqual(
    failures.map(({ message }) => message),
    ['no file handles left'],
  )
})

test('a client that takes again lets its answer go on; one that takes nothing for long, or has gone, does not', async (t) => {
  const { clock, ring } = handClock()
  const answers: ServerResponse[] = []
  const server = createHttp((_, response) => void answers.push(response))
  const { port } = await bind(server, { host: '127.0.0.1', port: 0 }, () => {})
  t.after(() => server.close())
  const ask = async (): Promise<[Socket, ServerResponse]> => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.pause()
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    while (answers.length === 0) await sleep(5)
    const response = answers.pop()!
    while (response.write(Buffer.alloc(1 << 20)));
    return [socket, response]
  }
  const [slow, response] = await ask()
  const room = drained(response, clock)
  slow.resume()
  assert.equal(await room, true)
  slow.destroy()
  const [stuck, other] = await ask()
  const never = drained(other, clock)
  ring()
  assert.equal(await never, false)
  assert.equal(other.destroyed, true)
  assert.equal(await drained(other, clock), false)
  stuck.destroy()
})
