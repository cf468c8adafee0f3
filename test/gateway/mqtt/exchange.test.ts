/** Enhanced authentication: SCRAM and tokens through CONNECT and AUTH, again on an open connection, and what is refused. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { callbackify } from 'node:util'
import { SignJWT } from 'jose'
import mqtt from 'mqtt'
import type { IAuthPacket, Packet } from 'mqtt-packet'
import { Scram } from '../../../src/log/cluster/net/scram.ts'
import { decodeBatch } from '../../../src/log/batch.ts'
import { type Broker, broker, memoryWorld, quiet } from './fixture.ts'
import { RawClient } from './raw.ts'

const method = 'SCRAM-SHA-256'
async function withUsers(t: TestContext, options: Parameters<typeof broker>[1] = {}): Promise<Broker> {
  const here = await broker(t, options)
  const { users } = here.security
  await users.change([
    { name: 'admin', super: true, scram: await users.credentials('secret') },
    { name: 'other', super: true, scram: await users.credentials('other-secret') },
  ])
  return here
}
interface Said {
  readonly cmd: string
  readonly reasonCode?: number
  readonly properties?: { readonly authenticationMethod?: string; readonly authenticationData?: Buffer }
}
const dataOf = (packet: Packet): string => String((packet as Said).properties?.authenticationData ?? '')
const said = (packet: Packet): readonly [string, number | undefined] => [packet.cmd, (packet as Said).reasonCode]
function raw(t: TestContext, port: number): RawClient {
  const client = new RawClient(port, 5)
  t.after(() => client.socket.destroy())
  return client
}
const auth = (client: RawClient, reasonCode: number, data: string, by = method): void =>
  client.send({
    cmd: 'auth',
    reasonCode,
    properties: { authenticationMethod: by, authenticationData: Buffer.from(data) },
  } as Packet)
const scram = (username = 'admin', password = 'secret', by: 'SCRAM-SHA-256' | 'SCRAM-SHA-512' = method): Scram =>
  new Scram(by, { username, password }, randomBytes(18))
const connectWith = (client: RawClient, data: string, by: string = method): Promise<Packet> =>
  client.connect('x', { properties: { authenticationMethod: by, authenticationData: Buffer.from(data) } })
/** As far as CONNACK. */
async function connected(client: RawClient, proof = scram(), by: string = method): Promise<Packet> {
  const challenge = await connectWith(client, proof.first(), by)
  assert.deepEqual(said(challenge), ['auth', 0x18])
  assert.equal((challenge as Said).properties?.authenticationMethod, by)
  auth(client, 0x18, await proof.proof(dataOf(challenge)), by)
  const connack = await client.next()
  if (said(connack)[1] === 0) proof.finish(dataOf(connack))
  return connack
}
async function ping(client: RawClient): Promise<void> {
  client.send({ cmd: 'pingreq' })
  assert.equal((await client.next()).cmd, 'pingresp')
}

test('SCRAM: each side proves that it knows the password, with either digest', async (t) => {
  const { port } = await withUsers(t)
  for (const by of ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const) {
    const client = raw(t, port)
    const connack = await connected(client, scram('admin', 'secret', by), by)
    assert.deepEqual([...said(connack), (connack as Said).properties?.authenticationMethod], ['connack', 0, by])
    await ping(client)
  }
})

test('mqtt.js connects with SCRAM', async (t) => {
  const { port } = await withUsers(t)
  const proof = scram()
  const own = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
    protocolVersion: 5,
    reconnectPeriod: 0,
    manualConnect: true,
    properties: { authenticationMethod: method, authenticationData: Buffer.from(proof.first()) },
  })
  t.after(() => own.end(true))
  const answered = async (packet: IAuthPacket): Promise<IAuthPacket> => {
    const answer = await proof.proof(String(packet.properties!.authenticationData))
    const properties = { authenticationMethod: method, authenticationData: Buffer.from(answer) }
    return { cmd: 'auth', reasonCode: 0x18, properties } as IAuthPacket
  }
  own.handleAuth = callbackify(answered) as typeof own.handleAuth
  const there = new Promise<void>((resolve, reject) => {
    own.once('connect', () => resolve())
    own.once('error', reject)
  })
  own.connect()
  await there
  await own.publishAsync('plant/1', 'x', { qos: 1 })
})

test('a wrong password is refused with CONNACK, and the audit knows of it', async (t) => {
  const here = await withUsers(t)
  for (const proof of [scram('admin', 'wrong'), scram('nobody', 'x')]) {
    const client = raw(t, here.port)
    assert.deepEqual(said(await connected(client, proof)), ['connack', 0x86])
    await client.closed()
  }
  const partition = { topic: '_millrace_audit', index: 0 }
  let refused = 0
  for (let i = 0; i < 100 && refused < 2; i++) {
    await quiet(20)
    const [chunk] = await here.log.reader().read([{ partition, offset: 0 as never }], { ms: 0 })
    if (chunk === undefined || 'fault' in chunk) continue
    const texts = chunk.batches.flatMap((batch) => [...decodeBatch(batch)].map(({ value }) => String(value)))
    refused = texts.filter((text) => /"via":"mqtt".*"refused"/.test(text)).length
  }
  assert.equal(refused, 2)
})

test('while it shows who it is a client sends AUTH of its method, and nothing else', async (t) => {
  const { port } = await withUsers(t)
  const cases: readonly ((client: RawClient) => void)[] = [
    (client) => client.send({ cmd: 'pingreq' }),
    (client) => client.send({ cmd: 'publish', topic: 'a', payload: 'x', qos: 0, dup: false, retain: false }),
    (client) => auth(client, 0x18, 'x', 'SCRAM-SHA-512'),
    (client) => auth(client, 0x19, scram().first()),
    (client) => auth(client, 0x00, 'x'),
  ]
  for (const [i, wrong] of cases.entries()) {
    const client = raw(t, port)
    assert.deepEqual(said(await connectWith(client, scram().first())), ['auth', 0x18])
    wrong(client)
    assert.deepEqual(said(await client.next()), ['connack', 0x82], `case ${i}`)
    await client.closed()
  }
  const leaves = raw(t, port)
  await connectWith(leaves, scram().first())
  leaves.send(Uint8Array.from([0xe0, 0]))
  await leaves.closed()
  const empty = raw(t, port)
  assert.deepEqual(said(await empty.connect('x', { properties: { authenticationMethod: method } })), ['connack', 0x86])
})

test('methods that are not offered are refused by name', async (t) => {
  const open = await broker(t)
  const { port } = await withUsers(t)
  for (const [at, by] of [
    [port, 'PLAIN'],
    [port, 'GSSAPI'],
    // No issuer of tokens is known here, and there nobody has a password.
    [port, 'OAUTHBEARER'],
    [open.port, method],
  ] as const) {
    const client = raw(t, at)
    assert.deepEqual(said(await connectWith(client, 'x', by)), ['connack', 0x8c], by)
    await client.closed()
  }
})

test('on an open connection a client shows again who it is; as somebody else, or wrongly, it is cut off', async (t) => {
  const { port } = await withUsers(t)
  const client = raw(t, port)
  await connected(client)
  const again = async (proof: Scram): Promise<Packet> => {
    auth(client, 0x19, proof.first())
    const challenge = await client.next()
    assert.deepEqual(said(challenge), ['auth', 0x18])
    auth(client, 0x18, await proof.proof(dataOf(challenge)))
    return client.next()
  }
  const proof = scram()
  const done = await again(proof)
  assert.deepEqual(said(done), ['auth', 0])
  proof.finish(dataOf(done))
  await ping(client)
  assert.deepEqual(said(await again(scram('other', 'other-secret'))), ['disconnect', 0x87])
  await client.closed()

  const wrong = raw(t, port)
  await connected(wrong)
  auth(wrong, 0x19, scram().first())
  await wrong.next()
  auth(wrong, 0x18, 'c=biws,r=x,p=eA==')
  assert.deepEqual(said(await wrong.next()), ['disconnect', 0x87])

  for (const [code, by] of [
    [0x18, method],
    [0x19, 'SCRAM-SHA-512'],
    [0x00, method],
  ] as const) {
    const other = raw(t, port)
    await connected(other)
    auth(other, code, scram().first(), by)
    assert.deepEqual(said(await other.next()), ['disconnect', 0x82])
  }
})

test('a new token keeps the connection open beyond the end of the first', async (t) => {
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
  const { port } = await withUsers(t, { world, oauth })
  const bearer = async (seconds: number): Promise<string> => {
    const token = await new SignJWT({ iss: oauth.issuer, aud: 'us', sub: 'admin', exp: Date.now() / 1_000 + seconds })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .sign(privateKey)
    return `n,,\x01auth=Bearer ${token}\x01\x01`
  }
  const by = 'OAUTHBEARER'
  const renewed = raw(t, port)
  assert.deepEqual(said(await connectWith(renewed, await bearer(2), by)), ['connack', 0])
  auth(renewed, 0x19, await bearer(60), by)
  assert.deepEqual(said(await renewed.next()), ['auth', 0])
  const brief = new RawClient(port, 5)
  t.after(() => brief.socket.destroy())
  const settings = { authenticationMethod: by, authenticationData: Buffer.from(await bearer(2)) }
  await brief.connect('brief', { properties: settings })
  assert.deepEqual(said(await brief.next(5_000)), ['disconnect', 0xa0])
  await ping(renewed)

  // RFC 7628: a token that does not hold is said in a message, which the client answers.
  const over = raw(t, port)
  const answer = await connectWith(over, await bearer(-5), by)
  assert.deepEqual([...said(answer), dataOf(answer)], ['auth', 0x18, '{"status":"invalid_token"}'])
  auth(over, 0x18, '\x01', by)
  assert.deepEqual(said(await over.next()), ['connack', 0x86])
})
