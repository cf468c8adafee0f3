import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { connect as connectSocket } from 'node:net'
import { test } from 'node:test'
import { SignJWT } from 'jose'
import { authority, temporaryFolder } from '../../security/certificates.ts'
import { makeUser, platform } from '../../security/platform.ts'
import { type Broker, broker, connect, memoryWorld, quiet } from './fixture.ts'

const grant = (name: string, operation: 'read' | 'write', user: string) =>
  ({
    resource: 'topic',
    pattern: 'literal',
    name,
    principal: `User:${user}`,
    host: '*',
    operation,
    permission: 'allow',
  }) as const

async function withUsers({ security }: Broker): Promise<void> {
  await security.users.change([
    { name: 'admin', super: true, scram: await security.users.credentials('secret') },
    { name: 'device', scram: await security.users.credentials('device-secret') },
    { name: 'other', scram: await security.users.credentials('other-secret') },
  ])
  await security.grants.add([grant('mqtt.plant', 'write', 'device'), grant('mqtt.orders', 'read', 'device')])
}
const device = { protocolVersion: 5, username: 'device', password: 'device-secret' } as const

test('a wrong password is refused, in each version with its own code', async (t) => {
  const here = await broker(t)
  await withUsers(here)
  await assert.rejects(here.client({ ...device, password: 'wrong' }), { code: 0x86 })
  await assert.rejects(here.client({ ...device, password: 'wrong', protocolVersion: 4 }), { code: 4 })
  await assert.rejects(here.client({ ...device, username: 'nobody' }), { code: 0x86 })
  await here.client(device)
})

test('publishing wants write and subscribing read, on the log topic', async (t) => {
  const here = await broker(t)
  await withUsers(here)
  const { mqtt } = await here.client(device)
  await mqtt.publishAsync('plant/1', 'x', { qos: 1 })
  await assert.rejects(mqtt.publishAsync('orders/1', 'x', { qos: 1 }), { code: 0x87 })
  const granted = await mqtt.subscribeAsync({ 'orders/#': { qos: 1 } })
  assert.equal(granted[0]!.qos, 1)
  for (const filter of ['plant/#', '#', '$share/g/plant/1'])
    await assert.rejects(mqtt.subscribeAsync(filter, { qos: 1 }), /Not authorized/, filter)
  const admin = await here.client({ protocolVersion: 5, username: 'admin', password: 'secret' })
  await admin.mqtt.subscribeAsync('#', { qos: 1 })
  // Before version 5 a refusal has no words: the connection ends.
  const old = await here.client({ ...device, protocolVersion: 4 })
  const closed = new Promise((resolve) => old.mqtt.once('close', () => resolve('closed')))
  old.mqtt.publish('orders/1', 'x', { qos: 1 })
  assert.equal(await Promise.race([closed, quiet(3_000)]), 'closed')
})

test('a session belongs to the user who made it', async (t) => {
  const here = await broker(t)
  await withUsers(here)
  const kept = { clientId: 'mine', clean: false, properties: { sessionExpiryInterval: 100 } }
  await here.client({ ...device, ...kept })
  await assert.rejects(here.client({ protocolVersion: 5, username: 'other', password: 'other-secret', ...kept }), {
    code: 0x87,
  })
})

test('a message that does not fit the contract of its topic is refused, or kept in the quarantine', async (t) => {
  const { client, contracts, log, records } = await broker(t)
  await log.topics.create([
    { name: 'mqtt.strict', partitions: 1 },
    { name: 'mqtt.lenient', partitions: 1 },
  ])
  const schema = { type: 'object', required: ['id'] }
  await contracts.change('mqtt.strict', { schema, onInvalid: 'reject' })
  await contracts.change('mqtt.lenient', { schema, onInvalid: 'quarantine' })
  const { mqtt } = await client({ protocolVersion: 5 })
  await mqtt.publishAsync('strict/1', '{"id":1}', { qos: 1 })
  await assert.rejects(mqtt.publishAsync('strict/1', '{}', { qos: 1 }), { code: 0x99 })
  await assert.rejects(mqtt.publishAsync('strict/1', 'no json', { qos: 2 }), { code: 0x99 })
  await mqtt.publishAsync('lenient/1', '{}', { qos: 1 })
  assert.equal((await records('mqtt.strict')).length, 1)
  assert.equal((await records('mqtt.lenient')).length, 0)
  const [kept] = await records('mqtt.lenient.quarantine')
  assert.equal(Buffer.from(kept!.value!).toString(), '{}')
})

test('over TLS, a certificate says who a client is', async (t) => {
  const folder = temporaryFolder(t)
  const ca = authority(folder, 'ca')
  const { certFile, keyFile } = ca.issue('server', '/CN=localhost')
  const p = await platform(t, {
    listen: ['kafka=127.0.0.1:0', 'http=127.0.0.1:0', 'mqtt=127.0.0.1:0'],
    tls: ['mqtt'],
    tlsCert: certFile,
    tlsKey: keyFile,
    tlsClientCa: ca.certFile,
    tlsClientAuth: 'requested',
    principalMapping: 'RULE:^CN=(.*)$/$1/',
  })
  await makeUser(p, 'admin', 'secret', true)
  await p.security.grants.add([grant('mqtt.plant', 'write', 'sensor')])
  const url = `mqtts://localhost:${p.listening().mqtt!.split(':')[1]}`
  const sensor = ca.issue('sensor', '/CN=sensor')
  const own = await connect(url, { ca: ca.cert, cert: sensor.cert, key: sensor.key, protocolVersion: 5 })
  t.after(() => own.mqtt.end(true))
  await own.mqtt.publishAsync('plant/1', 'x', { qos: 1 })
  const stranger = await connect(url, { ca: ca.cert, protocolVersion: 5 })
  t.after(() => stranger.mqtt.end(true))
  await assert.rejects(stranger.mqtt.publishAsync('plant/1', 'x', { qos: 1 }), { code: 0x87 })
  const admin = await connect(url, { ca: ca.cert, username: 'admin', password: 'secret', protocolVersion: 5 })
  t.after(() => admin.mqtt.end(true))
  await admin.mqtt.publishAsync('anything', 'x', { qos: 1 })
})

/** The first line of what a WebSocket's handshake is answered. */
function shake(port: number, path: string, headers: Readonly<Record<string, string>>): Promise<string> {
  const key = createHash('md5').update(path).digest('base64')
  const lines = Object.entries({
    host: `127.0.0.1:${port}`,
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-version': '13',
    'sec-websocket-key': key,
    'sec-websocket-protocol': 'mqtt',
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  return new Promise((resolve, reject) => {
    const socket = connectSocket(port, '127.0.0.1', () => socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`))
    socket.once('data', (data) => {
      resolve(data.toString().split('\r\n')[0]!)
      socket.destroy()
    })
    socket.once('error', reject)
  })
}
test('a WebSocket is opened for pages of its own, and for those that are allowed', async (t) => {
  const { port } = await broker(t, { origins: ['https://app.example'] })
  const opened = 'HTTP/1.1 101 Switching Protocols'
  assert.equal(await shake(port, '/mqtt', {}), opened)
  assert.equal(await shake(port, '/mqtt', { origin: `http://127.0.0.1:${port}` }), opened)
  assert.equal(await shake(port, '/mqtt', { origin: 'https://app.example' }), opened)
  assert.equal(await shake(port, '/mqtt', { origin: 'https://evil.example' }), 'HTTP/1.1 403 Forbidden')
  // Another name for this machine: a page of that name is another's.
  const rebound = { host: `evil.example:${port}`, origin: `http://evil.example:${port}` }
  assert.equal(await shake(port, '/mqtt', rebound), 'HTTP/1.1 403 Forbidden')
  assert.equal(await shake(port, '/', {}), 'HTTP/1.1 404 Not Found')
  assert.equal(await shake(port, '/mqtt', { 'sec-websocket-protocol': 'chat' }), 'HTTP/1.1 400 Bad Request')
  assert.equal(await shake(port, '/mqtt', { upgrade: 'h2c' }), 'HTTP/1.1 426 Upgrade Required')
})

test('a token is a password, of the user it names, and the connection ends with it', async (t) => {
  const world = memoryWorld()
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const keys = world.disk.open('keys.json', 'write')
  const shown = { ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256' }
  keys.write([Buffer.from(JSON.stringify({ keys: [shown] }))], 0)
  keys.close()
  const oauth = {
    ...{ jwks: 'keys.json', issuer: 'https://issuer.example', audiences: ['us'], principalClaim: 'sub' },
    ...{ clockSkewMs: 0, allow: [] },
  }
  const here = await broker(t, { world, oauth })
  await withUsers(here)
  const token = (sub: string, seconds: number): Promise<string> =>
    new SignJWT({ iss: oauth.issuer, aud: 'us', sub, exp: Math.floor(Date.now() / 1_000) + seconds })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .sign(privateKey)
  const good = await token('device', 60)
  for (const username of ['device', '']) {
    const { mqtt } = await here.client({ protocolVersion: 5, username, password: good })
    await mqtt.publishAsync('plant/1', 'x', { qos: 1 })
    await assert.rejects(mqtt.publishAsync('orders/1', 'x', { qos: 1 }), { code: 0x87 })
  }
  const cut = good.length - 10
  const forged = `${good.slice(0, cut)}${good[cut] === 'A' ? 'B' : 'A'}${good.slice(cut + 1)}`
  for (const [username, password] of [
    ['other', good],
    ['device', forged],
    ['device', await token('device', -5)],
  ] as const)
    await assert.rejects(here.client({ protocolVersion: 5, username, password }), { code: 0x86 })
  // A user's own password still is one.
  await here.client(device)
  const brief = await here.client({ protocolVersion: 5, username: 'device', password: await token('device', 2) })
  const said = await new Promise<number | undefined>((resolve) =>
    brief.mqtt.once('disconnect', (packet) => resolve(packet.reasonCode)),
  )
  assert.equal(said, 0xa0)
})

test('what is retained comes to who may read its topic now, also when the log topic is gone', async (t) => {
  const here = await broker(t)
  await withUsers(here)
  const admin = await here.client({ protocolVersion: 5, username: 'admin', password: 'secret' })
  await admin.mqtt.publishAsync('orders/1', 'for all', { qos: 1, retain: true })
  await admin.mqtt.publishAsync('secret/1', 'for few', { qos: 1, retain: true })
  await here.log.topics.remove(['mqtt.secret'])
  const { mqtt, messages } = await here.client(device)
  await mqtt.subscribeAsync('+/1', { qos: 1 })
  await quiet(500)
  assert.deepEqual(
    messages.map(({ topic }) => topic),
    ['orders/1'],
  )
})
