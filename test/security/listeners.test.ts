/** Listeners that ask who somebody is, over real sockets: TLS, client certificates, SASL, what comes before it. */
import assert from 'node:assert/strict'
import { copyFileSync, writeFileSync } from 'node:fs'
import { connect as connectNet } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, type TLSSocket, connect } from 'node:tls'
import { Kafka, logLevel } from 'kafkajs'
import { Fault } from '../../src/lib/fault.ts'
import { environmentSettings, resolveConfig } from '../../src/node/config.ts'
import { metadataApi } from '../../src/wire/kafka/messages/03-metadata.ts'
import { apiVersionsApi } from '../../src/wire/kafka/messages/18-api-versions.ts'
import { saslHandshakeApi } from '../../src/wire/kafka/messages/17-sasl-handshake.ts'
import { saslAuthenticateApi } from '../../src/wire/kafka/messages/36-sasl-authenticate.ts'
import { describeClusterApi } from '../../src/wire/kafka/messages/60-describe-cluster.ts'
import { until } from '../gateway/kafka/local-gateway.ts'
import { WireClient } from '../gateway/kafka/wire-client.ts'
import { authority, temporaryFolder } from './certificates.ts'
import { type Platform, makeUser, platform } from './platform.ts'

const noTopics = {
  topics: [],
  allowAutoTopicCreation: false,
  includeTopicAuthorizedOperations: false,
  includeClusterAuthorizedOperations: false,
}
const software = { clientSoftwareName: '', clientSoftwareVersion: '' }
const isFault = (code: string) => (error: unknown) => error instanceof Fault && error.code === code

function secure(p: Platform, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...p.kafka, servername: 'localhost', ...options })
    socket.once('secureConnect', () => resolve(socket)).once('error', reject)
  })
}
/** Gets an answer over it: with TLS 1.3 a client learns only then that its certificate was refused. */
async function answers(t: TestContext, p: Platform, options: ConnectionOptions): Promise<boolean> {
  try {
    const client = WireClient.over(await secure(p, options))
    t.after(() => client.close())
    await client.ask(apiVersionsApi, 0, software)
    return true
  } catch {
    return false
  }
}
async function authenticate(client: WireClient, message: string, mechanism = 'PLAIN') {
  assert.equal((await client.ask(saslHandshakeApi, 1, { mechanism })).errorCode, 0)
  return client.ask(saslAuthenticateApi, 2, { authBytes: Buffer.from(message) })
}
/** A super user, so that what a test makes is not refused to it. */
async function withRoot(t: TestContext, settings: Parameters<typeof platform>[1] = {}): Promise<Platform> {
  const p = await platform(t, settings)
  await makeUser(p, 'root', 'root-secret', true)
  return p
}

test('beyond loopback nothing listens without authentication', () => {
  const resolve = (settings: object) => resolveConfig({ ...settings }, environmentSettings({}), {})
  const kafka = { listen: ['kafka=0.0.0.0:0', 'http=off'] }
  const files = { tlsCert: 'c', tlsKey: 'k' }
  assert.throws(() => resolve(kafka), isFault('config.not-loopback'))
  assert.throws(() => resolve({ ...kafka, ...files }), isFault('config.not-loopback'))
  assert.throws(() => resolve({ listen: ['http=0.0.0.0:0'], kafkaSasl: ['PLAIN'] }), isFault('config.not-loopback'))
  // What sends the secret itself is not for a wire that others can listen to.
  assert.throws(() => resolve({ ...kafka, kafkaSasl: ['PLAIN'] }), isFault('config.invalid'))
  resolve({ ...kafka, kafkaSasl: ['SCRAM-SHA-512'] })
  resolve({ ...kafka, ...files, kafkaSasl: ['PLAIN'] })
  resolve({ ...kafka, ...files, tlsClientCa: 'a' })
  resolve({ listen: ['http=0.0.0.0:0', 'kafka=off'], ...files })
  for (const odd of [
    { kafkaSasl: ['GSSAPI'] },
    { tlsCert: 'c' },
    { tls: ['kafka'] },
    { superUsers: ['alice'] },
    { principalMapping: 'RULE:(/x/' },
    { kafkaSasl: ['OAUTHBEARER'] },
    { tlsClientAuth: 'required', ...files },
  ])
    assert.throws(
      () => {
        const { config } = resolve({ listen: ['kafka=127.0.0.1:0'], ...odd })
        if ('principalMapping' in odd)
          throw new Fault('config.invalid', { setting: config.security.principalMapping, value: '', why: '' })
      },
      isFault('config.invalid'),
      JSON.stringify(odd),
    )
})

test('SASL_SSL: a client comes in by each mechanism, and by none with a wrong password', async (t) => {
  const dir = temporaryFolder(t)
  const ca = authority(dir, 'ca')
  const { certFile, keyFile } = ca.issue('server', '/CN=localhost')
  const p = await withRoot(t, {
    tlsCert: certFile,
    tlsKey: keyFile,
    kafkaSasl: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'],
  })
  const client = (mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512', password: string): Kafka =>
    new Kafka({
      brokers: [`localhost:${p.kafka.port}`],
      ssl: { ca: [ca.cert] },
      sasl: { mechanism: mechanism as 'plain', username: 'root', password },
      logLevel: logLevel.NOTHING,
      retry: { retries: 0 },
    })
  for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512'] as const) {
    const admin = client(mechanism, 'root-secret').admin()
    await admin.connect()
    await admin.createTopics({ topics: [{ topic: mechanism }] })
    assert.ok((await admin.listTopics()).includes(mechanism))
    await admin.disconnect()
    const wrong = client(mechanism, 'wrong').admin()
    await assert.rejects(wrong.connect(), /authentication failed/)
  }
  // The words of a failure have no password, and neither does what was said in the log.
  assert.ok(!p.said.join('\n').includes('secret') && !p.said.join('\n').includes('wrong'))
})

test('client certificates: of our authority yes; of another, over, or none no', async (t) => {
  const dir = temporaryFolder(t)
  const ca = authority(dir, 'ca')
  const other = authority(dir, 'other')
  const { certFile, keyFile } = ca.issue('server', '/CN=localhost')
  const p = await platform(t, {
    tlsCert: certFile,
    tlsKey: keyFile,
    tlsClientCa: ca.certFile,
    principalMapping: 'RULE:^CN=([^,]*),OU=robots.*$/$1/L,DEFAULT',
    superUsers: ['User:r2d2'],
    tls: ['kafka'],
  })
  const own = { ca: ca.cert }
  const robot = ca.issue('robot', '/C=CH/O=Acme/OU=robots/CN=R2D2')
  assert.equal(await answers(t, p, { ...own, cert: robot.cert, key: robot.key }), true)
  assert.equal(await answers(t, p, own), false, 'no certificate')
  const stranger = other.issue('stranger', '/CN=R2D2')
  assert.equal(await answers(t, p, { ...own, cert: stranger.cert, key: stranger.key }), false, 'of another authority')
  const over = ca.issue('over', '/OU=robots/CN=R2D2', { days: -1 })
  assert.equal(await answers(t, p, { ...own, cert: over.cert, key: over.key }), false, 'over')
  // Kafka's principal, by the mapping: a super user may see the cluster, another certificate may not.
  const operations = async ({ cert, key }: { cert: string; key: string }): Promise<number> => {
    const client = WireClient.over(await secure(p, { ...own, cert, key }))
    t.after(() => client.close())
    const request = { includeClusterAuthorizedOperations: true, endpointType: 1, includeFencedBrokers: false }
    return (await client.ask(describeClusterApi, 1, request)).clusterAuthorizedOperations
  }
  assert.notEqual(await operations(robot), 0)
  assert.equal(await operations(ca.issue('person', '/OU=people/CN=R2D2')), 0)
})

test('a certificate that changes is shown from then on; a bad one is reported and the old one stays', async (t) => {
  const dir = temporaryFolder(t)
  const ca = authority(dir, 'ca')
  const [tlsCert, tlsKey] = [join(dir, 'shown.crt'), join(dir, 'shown.key')]
  const show = ({ certFile, keyFile }: { certFile: string; keyFile: string }): void => {
    copyFileSync(keyFile, tlsKey)
    copyFileSync(certFile, tlsCert)
  }
  show(ca.issue('first', '/O=first/CN=localhost'))
  const p = await withRoot(t, { tlsCert, tlsKey })
  const shown = async (): Promise<string> => {
    const socket = await secure(p, { ca: ca.cert })
    const { O } = socket.getPeerCertificate().subject
    socket.destroy()
    return String(O)
  }
  assert.equal(await shown(), 'first')
  show(ca.issue('second', '/O=second/CN=localhost'))
  await until('the second certificate', async () => (await shown()) === 'second')
  writeFileSync(tlsCert, 'no certificate')
  await until('the complaint', () => p.said.some((line) => line.startsWith('tls: the new certificate cannot be used')))
  assert.equal(await shown(), 'second')
  show(ca.issue('third', '/O=third/CN=localhost'))
  await until('the third certificate', async () => (await shown()) === 'third')
})

test('before authentication nothing but ApiVersions and SASL is answered, and little memory is given', async (t) => {
  const p = await withRoot(t, { kafkaSasl: ['PLAIN'] })
  const open = async (): Promise<WireClient> => {
    const client = await WireClient.open(p.kafka)
    t.after(() => client.close())
    return client
  }
  const asks = await open()
  assert.equal((await asks.ask(apiVersionsApi, 0, software)).errorCode, 0)
  await assert.rejects(asks.ask(metadataApi, 1, noTopics), /closed/)
  // CVE-2022-34917: a frame of 2 MiB, also behind a first request that was fine.
  const large = await open()
  await large.ask(apiVersionsApi, 0, software)
  const length = Buffer.alloc(4)
  length.writeInt32BE(2 * 1024 * 1024)
  large.socket.write(length)
  await large.closed
  // Authenticate without handshake, another mechanism, a wrong password: told, then the end.
  const early = await open()
  assert.equal((await early.ask(saslAuthenticateApi, 2, { authBytes: Buffer.from('x') })).errorCode, 34)
  await early.closed
  const other = await open()
  const refused = await other.ask(saslHandshakeApi, 1, { mechanism: 'GSSAPI' })
  assert.deepEqual([refused.errorCode, refused.mechanisms], [33, ['PLAIN']])
  await other.closed
  const wrong = await open()
  const { errorCode, errorMessage } = await authenticate(wrong, '\0root\0wrong')
  assert.equal(errorCode, 58)
  assert.equal(errorMessage, 'authentication failed: invalid user name or password')
  await wrong.closed
  const right = await open()
  assert.equal((await authenticate(right, '\0root\0root-secret')).errorCode, 0)
  assert.equal((await right.ask(metadataApi, 1, noTopics)).brokers.length, 1)
  // CVE-2017-12610: who has come in as one cannot go on as another.
  const { errorCode: again } = await right.ask(saslHandshakeApi, 1, { mechanism: 'PLAIN' })
  assert.equal(again, 34, 'where a proof holds as long as the connection, it is not renewed')
})

test('a session that was given a time ends, unless its client proves itself again', async (t) => {
  const p = await withRoot(t, { kafkaSasl: ['PLAIN'], kafkaReauth: '1500ms' })
  await makeUser(p, 'alice', 'alice-secret')
  const client = await WireClient.open(p.kafka)
  t.after(() => client.close())
  const { sessionLifetimeMs } = await authenticate(client, '\0root\0root-secret')
  assert.equal(sessionLifetimeMs, 1500)
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  assert.equal((await authenticate(client, '\0root\0root-secret')).errorCode, 0)
  await new Promise((resolve) => setTimeout(resolve, 700))
  await client.ask(metadataApi, 1, noTopics)
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  await assert.rejects(client.ask(metadataApi, 1, noTopics), /closed/)
  const other = await WireClient.open(p.kafka)
  t.after(() => other.close())
  await authenticate(other, '\0root\0root-secret')
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  assert.equal((await authenticate(other, '\0alice\0alice-secret')).errorCode, 58, 'as somebody else')
  await other.closed
})

test('a session is renewed at once the first time, then once a second at most', async (t) => {
  const p = await withRoot(t, { kafkaSasl: ['PLAIN'], kafkaReauth: '1h' })
  const client = await WireClient.open(p.kafka)
  t.after(() => client.close())
  for (const _ of ['first', 'renewed']) assert.equal((await authenticate(client, '\0root\0root-secret')).errorCode, 0)
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  assert.equal((await authenticate(client, '\0root\0root-secret')).errorCode, 0)
  assert.equal((await client.ask(saslHandshakeApi, 1, { mechanism: 'PLAIN' })).errorCode, 34)
  await client.closed
})

test('where SASL is wanted from the first start, an admin is there to make users; who is there already stays', async (t) => {
  const dir = temporaryFolder(t)
  const adminPasswordFile = join(dir, 'admin.txt')
  writeFileSync(adminPasswordFile, 'admin-secret\n')
  const data = join(dir, 'data')
  const settings = { data, kafkaSasl: ['PLAIN'], adminPasswordFile }
  const p = await platform(t, settings)
  const by = (password: string) => ({ authorization: `Basic ${Buffer.from(`admin:${password}`).toString('base64')}` })
  const users = (at: Platform, password: string): Promise<Response> =>
    fetch(`${at.http}/v1/users`, { headers: by(password) })
  assert.equal((await fetch(`${p.http}/v1/users`)).status, 401)
  assert.equal((await users(p, 'admin-secret')).status, 200)
  const client = await WireClient.open(p.kafka)
  t.after(() => client.close())
  assert.equal((await authenticate(client, '\0admin\0admin-secret')).errorCode, 0)
  const audit = { partition: { topic: '_millrace_audit', index: 0 }, offset: 0 as never }
  await until('the record of the new admin', async () => {
    const [chunk] = await p.log.reader().read([audit], { ms: 0 })
    if (chunk === undefined || 'fault' in chunk) return false
    return chunk.batches.some((batch) => Buffer.from(batch).includes('user:admin super=true'))
  })
  await p.close()
  writeFileSync(adminPasswordFile, 'another')
  const again = await platform(t, settings)
  assert.equal((await users(again, 'another')).status, 401)
  assert.equal((await users(again, 'admin-secret')).status, 200)
  await again.close()
  await assert.rejects(
    platform(t, { ...settings, data: ':memory:', adminPasswordFile: join(dir, 'none') }),
    isFault('config.invalid'),
  )
})

test('SaslHandshake v0: the messages come without headers', async (t) => {
  const p = await withRoot(t, { kafkaSasl: ['PLAIN'] })
  const client = await WireClient.open(p.kafka)
  t.after(() => client.close())
  assert.equal((await client.ask(saslHandshakeApi, 0, { mechanism: 'PLAIN' })).errorCode, 0)
  const message = Buffer.from('\0root\0root-secret')
  const length = Buffer.alloc(4)
  length.writeInt32BE(message.length)
  client.socket.write(Buffer.concat([length, message]))
  assert.equal((await client.frame()).length, 0)
  assert.equal((await client.ask(metadataApi, 1, noTopics)).brokers.length, 1)
})

test('connections that have not said who they are are counted for themselves', async (t) => {
  const p = await withRoot(t, { kafkaSasl: ['PLAIN'] })
  const known = await WireClient.open(p.kafka)
  t.after(() => known.close())
  await authenticate(known, '\0root\0root-secret')
  const sockets = Array.from({ length: 300 }, () => connectNet(p.kafka.port, p.kafka.host).on('error', () => {}))
  t.after(() => sockets.forEach((socket) => socket.destroy()))
  await until('the end of those beyond 250', () => sockets.filter(({ closed }) => closed).length === 50)
  assert.equal((await known.ask(metadataApi, 1, noTopics)).brokers.length, 1)
})

test('HTTP: open until there is a user, then by password; a page asks for it', async (t) => {
  const p = await platform(t)
  const call = (path: string, init: RequestInit = {}) => fetch(new URL(path, p.http), init)
  const by = (name: string, password: string) => ({
    authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
  })
  const put = (body: object, headers: Record<string, string> = {}) => ({
    method: 'PUT',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  assert.equal((await call('/v1/overview')).status, 200)
  assert.equal((await call('/v1/users/alice', put({ password: 'alice-secret' }))).status, 409)
  assert.equal((await call('/v1/users/root', put({ password: 'root-secret', super: true }))).status, 201)
  const asked = await call('/v1/overview')
  assert.equal(asked.status, 401)
  assert.match(asked.headers.get('www-authenticate') ?? '', /^Basic realm=/)
  const root = by('root', 'root-secret')
  assert.equal((await call('/v1/users/alice', put({ password: 'alice-secret' }, root))).status, 201)
  assert.equal((await call('/v1/users/alice', put({ password: 'other' }, root))).status, 409)
  assert.equal((await call('/v1/topics/secret', put({}, root))).status, 201)
  const alice = by('alice', 'alice-secret')
  assert.equal((await call('/v1/overview', { headers: alice })).status, 403)
  assert.deepEqual(await (await call('/v1/topics', { headers: alice })).json(), [])
  assert.equal((await call('/v1/topics/secret', { headers: alice })).status, 403)
  assert.equal((await call('/v1/topics/secret/records', { headers: alice })).status, 403)
  for (const wrong of [
    by('alice', 'wrong'),
    by('nobody', 'x'),
    { authorization: 'Basic !' },
    { authorization: 'Bearer x' },
  ])
    assert.equal((await call('/v1/topics', { headers: wrong })).status, 401, JSON.stringify(wrong))
  for (const path of ['/health/live', '/health/ready', '/openapi.json']) assert.equal((await call(path)).status, 200)
  assert.equal((await call('/metrics')).status, 401)
  const grant = { pattern: 'literal', principal: 'User:alice', host: '*', permission: 'allow' } as const
  await p.security.grants.add([{ ...grant, resource: 'topic', name: 'secret', operation: 'read' }])
  assert.equal((await call('/v1/topics/secret/records', { headers: alice })).status, 200)
  assert.equal(((await (await call('/v1/topics', { headers: alice })).json()) as unknown[]).length, 1)
  const users = await (await call('/v1/users', { headers: root })).text()
  assert.ok(users.includes('SCRAM-SHA-512') && !/storedKey|salt|secret/.test(users), users)
  assert.equal((await call('/v1/users/alice', { method: 'DELETE', headers: root })).status, 204)
  assert.equal((await call('/v1/topics', { headers: alice })).status, 401)
})
