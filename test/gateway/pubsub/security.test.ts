/** Who calls, and what they may: tokens, passwords, certificates, grants. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { get as httpsGet } from 'node:https'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SignJWT, exportJWK, generateKeyPair } from 'jose'
import * as messages from '../../../src/wire/pubsub/messages.ts'
import { type Authority, authority, temporaryFolder } from '../../security/certificates.ts'
import { Calls, type Fixture, GrpcClient, startFixture } from './fixture.ts'

const issuer = 'https://issuer.example'
async function secured(t: TestContext) {
  const folder = temporaryFolder(t)
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const oauthJwks = join(folder, 'keys.json')
  writeFileSync(oauthJwks, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }] }))
  const f = await startFixture(':memory:', { oauthJwks, oauthIssuer: issuer, oauthAudience: ['millrace'] })
  t.after(() => f[Symbol.asyncDispose]())
  const { users } = f.running.security
  const scram = await users.credentials('a password')
  await users.change([{ name: 'root', super: true, scram }])
  await users.change([{ name: 'alice', scram }])
  const token = async (sub: string, claims: object = {}, key = privateKey): Promise<Record<string, string>> => {
    const payload = { iss: issuer, aud: 'millrace', sub, exp: Math.floor(Date.now() / 1000) + 60, ...claims }
    const signed = await new SignJWT(payload).setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(key)
    return { authorization: `Bearer ${signed}` }
  }
  return { f, token }
}
const basic = (name: string, password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
})
const getTopic = (f: Fixture, headers: Record<string, string>, client = f.client) =>
  client.call('Publisher/GetTopic', [messages.getTopicRequest, messages.topicMessage], topicName, headers)
const topicName = { topic: 'projects/p/topics/orders' }
const createTopic = (f: Fixture, headers: Record<string, string>) =>
  f.client.call(
    'Publisher/CreateTopic',
    [messages.topicMessage, messages.topicMessage],
    { name: topicName.topic },
    headers,
  )
const unauthenticated = { status: 16 }
const denied = { status: 7 }

test('a token of the issuer, or a password, says who calls; nothing else does', async (t) => {
  const { f, token } = await secured(t)
  await createTopic(f, await token('root'))
  await getTopic(f, basic('root', 'a password'))
  const other = (await generateKeyPair('ES256')).privateKey
  const minute = Math.floor(Date.now() / 1000) - 120
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  const claims = Buffer.from(JSON.stringify({ iss: issuer, aud: 'millrace', sub: 'root' })).toString('base64url')
  const wrong = [
    {},
    basic('root', 'another'),
    basic('nobody', 'a password'),
    await token('root', {}, other),
    await token('root', { exp: minute }),
    await token('root', { aud: 'somebody else' }),
    await token('root', { iss: 'https://other.example' }),
    { authorization: `Bearer ${none}.${claims}.` },
    { authorization: 'Bearer ' },
    { authorization: 'Digest x' },
  ]
  for (const headers of wrong) await assert.rejects(getTopic(f, headers), unauthenticated, JSON.stringify(headers))
})
test('publishing and subscribing need their grants; a stream ends when they are taken away', async (t) => {
  const { f, token } = await secured(t)
  const [root, alice] = [await token('root'), await token('alice')]
  await createTopic(f, root)
  const subscription = { name: 'projects/p/subscriptions/sub', topic: topicName.topic }
  const types = [messages.subscriptionMessage, messages.subscriptionMessage] as const
  await f.client.call('Subscriber/CreateSubscription', types, subscription, root)
  const publish = (headers: Record<string, string>) =>
    f.client.call(
      'Publisher/Publish',
      [messages.publishRequest, messages.publishResponse],
      { ...topicName, messages: [{ data: Buffer.from('x') }] },
      headers,
    )
  await assert.rejects(publish(alice), denied)
  const grant = { principal: 'User:alice', host: '*', pattern: 'literal', permission: 'allow' } as const
  await f.running.security.grants.add([{ ...grant, resource: 'topic', name: 'orders', operation: 'write' }])
  await publish(alice)
  const first = { subscription: subscription.name, streamAckDeadlineSeconds: 10 }
  assert.equal((await f.client.stream(first, alice).ended)?.status, 7)
  const read = [
    { ...grant, resource: 'topic', name: 'orders', operation: 'read' },
    { ...grant, resource: 'group', name: 'pubsub.sub', operation: 'read' },
  ] as const
  await f.running.security.grants.add(read)
  const stream = f.client.stream(first, alice)
  await stream.until(() => stream.received.length === 1)
  await f.running.security.grants.remove([read[0]])
  await publish(alice)
  assert.equal((await stream.ended)?.status, 7)
  assert.equal(stream.received.length, 1)
})
test('encrypted: who is certified by the authority is who the certificate says', async (t) => {
  const folder = temporaryFolder(t)
  const ca: Authority = authority(folder, 'ca')
  const server = ca.issue('server', '/CN=localhost')
  const client = ca.issue('client', '/CN=alice')
  const f = await startFixture(':memory:', {
    tlsCert: server.certFile,
    tlsKey: server.keyFile,
    tlsClientCa: ca.certFile,
    tlsClientAuth: 'requested',
  })
  t.after(() => f[Symbol.asyncDispose]())
  const { users } = f.running.security
  await users.change([{ name: 'root', super: true, scram: await users.credentials('a password') }])
  const address = f.address.replace('127.0.0.1', 'localhost')
  const open = (more: object = {}): GrpcClient => {
    const made = new GrpcClient(address, { ca: ca.cert, ...more })
    t.after(() => made.close())
    return made
  }
  const calls = new Calls(open({ cert: client.cert, key: client.key }))
  await assert.rejects(calls.topic('orders'), (error: Error) => /alice may not create/.test(error.message))
  await assert.rejects(new Calls(open()).topic('orders'), unauthenticated)
  await open().call(
    'Publisher/CreateTopic',
    [messages.topicMessage, messages.topicMessage],
    { name: topicName.topic },
    basic('root', 'a password'),
  )
  // The REST form, over HTTP/1.1.
  const [host, port] = address.split(':')
  const status = await new Promise((resolve, reject) => {
    const at = { host, port, path: '/.well-known/jwks.json', ca: ca.cert, headers: { host: 'localhost' } }
    httpsGet(at, (answer) => resolve(answer.resume().statusCode)).on('error', reject)
  })
  assert.equal(status, 200)
  // Without encryption nobody is spoken to.
  await assert.rejects(new Calls(f.client).topic('orders'))
})
