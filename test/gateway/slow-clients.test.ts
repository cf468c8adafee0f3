/** Clients that begin something and do not go on with it: each listener lets go of them, over each of its protocols. */
import assert from 'node:assert/strict'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { silent } from '../../src/lib/logger.ts'
import { limits } from '../../src/lib/limits.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import type { World } from '../../src/lib/world.ts'
import { type Settings, resolveConfig } from '../../src/node/config.ts'
import { startMillrace } from '../../src/node/millrace.ts'
import { authority, temporaryFolder } from '../security/certificates.ts'
import { kinesisCaller } from './kinesis/fixture.ts'

/** Waits of a minute take half a second. */
function hasty(): World {
  const world = realWorld()
  const { clock } = world
  const after: World['clock']['after'] = (ms, call) => clock.after(ms >= 10_000 ? ms / 100 : ms, call)
  return { ...world, clock: Object.assign(Object.create(clock), { after }) as World['clock'] }
}
async function started(
  t: TestContext,
  settings: Settings = {},
): Promise<{ kinesis: number; pubsub: number; eventhubs: number }> {
  const own = limits as { -readonly [K in keyof typeof limits]: number }
  for (const name of ['httpHeaderMs', 'httpBodyMs', 'httpStalledMs', 'tlsHandshakeMs'] as const) {
    const before = own[name]
    own[name] = before / 50
    t.after(() => (own[name] = before))
  }
  const listen = ['http=off', 'kafka=off', 'kinesis=127.0.0.1:0', 'pubsub=127.0.0.1:0', 'eventhubs=127.0.0.1:0']
  const { config } = resolveConfig({ data: ':memory:', listen, workers: '0', ...settings }, {}, {})
  const running = await startMillrace({ config, world: hasty(), logger: silent })
  t.after(() => running.close())
  const at = running.listening()
  const port = (name: 'kinesis' | 'pubsub' | 'eventhubs'): number => Number(at[name]!.split(':').at(-1))
  return { kinesis: port('kinesis'), pubsub: port('pubsub'), eventhubs: port('eventhubs') }
}
/** Resolves when the server has closed it; half of the connection stays open on this side until then. */
function closed(port: number, first: string | Buffer, drip?: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const dripping = setInterval(() => drip !== undefined && socket.write(drip), 200)
    const late = setTimeout(() => {
      reject(new Error(`still open after ${JSON.stringify(first.toString('latin1').slice(0, 60))}`))
      socket.destroy()
    }, 15_000)
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearInterval(dripping)
      clearTimeout(late)
      resolve()
    })
    socket.resume()
    socket.write(first)
  })
}
const preface = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
])
const halfHeaders = Buffer.from([0, 0, 1, 1, 0, 0, 0, 0, 1, 0x83])

test('requests that begin and do not come to an end are given up', async (t) => {
  const { kinesis, pubsub, eventhubs } = await started(t)
  const head = 'POST /v1/projects/p/topics/t:publish HTTP/1.1\r\nHost: localhost\r\n'
  const all = [kinesis, pubsub, eventhubs].flatMap((port) => [
    closed(port, head),
    closed(port, head, 'x-more: 1\r\n'),
    closed(port, `${head}Content-Length: 1000\r\n\r\nx`),
    closed(port, `${head}Transfer-Encoding: chunked\r\n\r\n`, '1\r\nx\r\n'),
  ])
  const framed = [kinesis, pubsub].flatMap((port) => [
    closed(port, preface),
    closed(port, Buffer.concat([preface, halfHeaders])),
  ])
  await Promise.all([...all, ...framed])
})
test('handshakes of TLS that begin and do not come to an end are given up', async (t) => {
  const files = authority(temporaryFolder(t), 'ca').issue('server', '/CN=localhost')
  const { kinesis, pubsub, eventhubs } = await started(t, { tlsCert: files.certFile, tlsKey: files.keyFile })
  const half = Buffer.from([0x16, 3, 1, 2, 0])
  await Promise.all([kinesis, pubsub, eventhubs].flatMap((port) => [closed(port, half), closed(port, '')]))
})
test('calls of Pub/Sub whose request does not come are given up', async (t) => {
  const { pubsub } = await started(t)
  const session = connectHttp2(`http://127.0.0.1:${pubsub}`)
  t.after(() => session.destroy())
  for (const path of ['Publisher/Publish', 'Subscriber/StreamingPull']) {
    const headers = { ':method': 'POST', ':path': `/google.pubsub.v1.${path}`, 'content-type': 'application/grpc' }
    const stream = session.request(headers)
    stream.on('error', () => undefined)
    stream.write(Buffer.from([0, 0, 1, 0, 0, 1, 2, 3]))
    const status = await new Promise((resolve) => {
      stream.on('response', (said) => resolve(said['grpc-status']))
      stream.on('close', () => resolve('closed'))
    })
    assert.equal(status, '4', path)
  }
})
test('an answer of Kinesis that is never taken is thrown away', async (t) => {
  const { kinesis } = await started(t)
  const f = kinesisCaller(kinesis)
  t.after(() => f.close())
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 1 })
  await f.ok('PutRecord', { StreamName: 's', PartitionKey: 'k', Data: Buffer.alloc(100_000, 65) })
  const at = { StreamName: 's', ShardId: '0', ShardIteratorType: 'TRIM_HORIZON' }
  const { ShardIterator } = await f.ok('GetShardIterator', at)
  const session = connectHttp2(`http://127.0.0.1:${kinesis}`, { settings: { initialWindowSize: 0 } })
  t.after(() => session.destroy())
  const signature =
    'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0'
  const stream = session.request({
    ':method': 'POST',
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': 'Kinesis_20131202.GetRecords',
    'x-amz-date': '20260101T000000Z',
    authorization: signature,
  })
  stream.on('error', () => undefined)
  stream.end(JSON.stringify({ ShardIterator }))
  const beganMs = performance.now()
  await new Promise<void>((resolve, reject) => {
    stream.on('close', resolve)
    setTimeout(() => reject(new Error('the stream is still there')), 15_000).unref()
  })
  assert.ok(performance.now() - beganMs > 300)
})
test('a WebSocket that is asked for at the wrong place does not keep its connection', async (t) => {
  const { eventhubs } = await started(t)
  const socket = connect({ port: eventhubs, host: '127.0.0.1', allowHalfOpen: true })
  t.after(() => socket.destroy())
  const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
  socket.write(`GET /x HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${key}\r\n\r\n`)
  const came: Buffer[] = []
  for await (const part of socket) came.push(part as Buffer)
  assert.match(Buffer.concat(came).toString(), /^HTTP\/1\.1 404 /)
  // Ours is still open: what is sent on it finds nobody.
  const reset = new Promise<void>((resolve, reject) => {
    socket.on('error', () => resolve())
    setTimeout(() => reject(new Error('it takes what it is sent')), 5_000).unref()
  })
  const again = setInterval(() => socket.write('x'), 50)
  await reset.finally(() => clearInterval(again))
})
