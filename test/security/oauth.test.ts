/** Tokens: what is signed by the issuer, for us, and now; nothing else. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CryptoKey, type JWK, SignJWT, UnsecuredJWT, exportJWK, generateKeyPair } from 'jose'
import { Fault } from '../../src/lib/fault.ts'
import { type Logger, silent } from '../../src/lib/logger.ts'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import type { Disk, HttpRequest, Net } from '../../src/lib/world.ts'
import { JwksOAuth, type OAuthOptions, checkOAuth } from '../../src/security/oauth.ts'
import { saslServer } from '../../src/security/sasl.ts'
import { openToAll } from '../../src/security/security.ts'

interface Key {
  readonly kid: string
  readonly secret: CryptoKey
  readonly shown: JWK
}
async function makeKey(kid: string, alg = 'ES256'): Promise<Key> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  return { kid, secret: privateKey, shown: { ...(await exportJWK(publicKey)), kid, alg } }
}
const own: OAuthOptions = {
  jwks: 'keys.json',
  issuer: 'https://issuer.example',
  audiences: ['millrace'],
  principalClaim: 'sub',
  clockSkewMs: 30_000,
  allow: [],
}
const write = (disk: Disk, path: string, text: string): void => {
  const file = disk.open(path, 'write')
  file.truncate(0)
  file.write([Buffer.from(text)], 0)
  file.close()
}
async function setUp(options: Partial<OAuthOptions> = {}) {
  const key = await makeKey('one')
  const disk = memoryDisk()
  write(disk, 'keys.json', JSON.stringify({ keys: [key.shown] }))
  const { clock, net } = realWorld()
  return { key, disk, oauth: new JwksOAuth({ ...own, ...options }, { clock, disk, net }, silent) }
}
const token = (
  key: Key,
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): Promise<string> => {
  const now = Math.floor(Date.now() / 1000)
  const payload = { iss: own.issuer, aud: 'millrace', sub: 'alice', exp: now + 60, ...claims }
  return new SignJWT(payload).setProtectedHeader({ alg: key.shown.alg!, kid: key.kid, ...header }).sign(key.secret)
}
const refuses = (error: unknown): boolean => error instanceof Fault && error.code === 'security.authentication-failed'

test('a token of the issuer, for us, is who its subject says, until it is over', async () => {
  const { key, oauth } = await setUp()
  const exp = Math.floor(Date.now() / 1000) + 300
  assert.deepEqual(await oauth.check(await token(key, { exp })), { name: 'alice', expiresMs: exp * 1000 })
  for (const alg of ['RS256', 'PS512', 'EdDSA']) {
    const other = await makeKey(alg, alg)
    const disk = memoryDisk()
    write(disk, 'keys.json', JSON.stringify({ keys: [other.shown] }))
    const { clock, net } = realWorld()
    const named = new JwksOAuth({ ...own, principalClaim: 'azp' }, { clock, disk, net }, silent)
    assert.equal((await named.check(await token(other, { azp: 'robot' }))).name, 'robot')
  }
})

test('what is not signed, or with a secret or by another key, is refused', async () => {
  const { key, oauth } = await setUp()
  const claims = { iss: own.issuer, aud: 'millrace', sub: 'alice', exp: Math.floor(Date.now() / 1000) + 60 }
  await assert.rejects(oauth.check(new UnsecuredJWT(claims).encode()), refuses)
  const [, payload] = (await token(key)).split('.')
  const none = Buffer.from(JSON.stringify({ alg: 'none' })).toString('base64url')
  for (const odd of [`${none}.${payload}.`, `${none}.${payload}.x`, `.${payload}.`, '', 'a.b.c', 'x'.repeat(20_000)])
    await assert.rejects(oauth.check(odd), refuses)
  // The public key taken for a secret.
  const asSecret = new TextEncoder().encode(JSON.stringify(key.shown))
  const confused = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'one' }).sign(asSecret)
  await assert.rejects(oauth.check(confused), refuses)
  const stranger = await makeKey('one')
  await assert.rejects(oauth.check(await token(stranger)), refuses)
  // A token that brings its own key, or says where to look for it.
  await assert.rejects(
    oauth.check(await token(stranger, {}, { jwk: stranger.shown, jku: 'https://evil.example' })),
    refuses,
  )
  await assert.rejects(oauth.check((await token(key)).replace(/\.[^.]*$/, '.AAAA')), refuses)
})

test('issuer, audience, times and name must be right', async () => {
  const { key, oauth } = await setUp()
  const now = Math.floor(Date.now() / 1000)
  const wrong: Record<string, unknown>[] = [
    { iss: 'https://other.example' },
    { iss: undefined },
    { aud: 'other' },
    { aud: ['other'] },
    { aud: undefined },
    { exp: now - 31 },
    { exp: undefined },
    { nbf: now + 60 },
    { sub: undefined },
    { sub: '' },
    { sub: 7 },
    { sub: 'x'.repeat(256) },
  ]
  for (const claims of wrong)
    await assert.rejects(oauth.check(await token(key, claims)), refuses, JSON.stringify(claims))
  await oauth.check(await token(key, { aud: ['other', 'millrace'] }))
  // Clocks differ a little.
  await oauth.check(await token(key, { exp: now - 5, nbf: now + 5 }))
})

test('keys are read again when the file changes', async () => {
  const { key, disk, oauth } = await setUp()
  await oauth.check(await token(key))
  const next = await makeKey('next')
  await assert.rejects(oauth.check(await token(next)), refuses)
  await new Promise((resolve) => setTimeout(resolve, 5))
  write(disk, 'keys.json', JSON.stringify({ keys: [next.shown] }))
  await oauth.check(await token(next))
  await assert.rejects(oauth.check(await token(key)), refuses)
})

test('CVE-2025-27817: keys come from a file or by https from a public address', async () => {
  for (const jwks of ['http://issuer.example/keys', 'file:///etc/passwd', 'ftp://issuer.example/keys', 'data:,x'])
    assert.throws(() => checkOAuth({ ...own, jwks }), /config|oauthJwks/)
  assert.throws(() => checkOAuth({ ...own, issuer: '' }), /oauthIssuer/)
  assert.throws(() => checkOAuth({ ...own, audiences: [] }), /oauthAudience/)
  const key = await makeKey('one')
  const asked: string[] = []
  const net = (addresses: readonly string[]): Net => ({
    ...realWorld().net,
    resolve: async () => [...addresses],
    request: async ({ url }: HttpRequest, address: string) => {
      asked.push(`${url} ${address}`)
      return { status: 200, headers: {}, body: Buffer.from(JSON.stringify({ keys: [key.shown] })) }
    },
  })
  const { clock } = realWorld()
  const make = (addresses: readonly string[], allow: readonly string[] = []): JwksOAuth =>
    new JwksOAuth(
      { ...own, jwks: 'https://issuer.example/keys', allow },
      { clock, disk: memoryDisk(), net: net(addresses) },
      silent,
    )
  for (const inside of ['127.0.0.1', '169.254.169.254', '10.0.0.1', '::1', 'fd00::1', '::ffff:192.168.0.1'])
    await assert.rejects(make([inside]).check(await token(key)), refuses, inside)
  await assert.rejects(make(['203.0.114.1', '10.0.0.1']).check(await token(key)), refuses)
  assert.deepEqual(asked, [])
  const fine = make(['203.0.114.1'])
  assert.equal((await fine.check(await token(key))).name, 'alice')
  // Tokens of unknown keys do not make it ask each time.
  for (let i = 0; i < 5; i++) await assert.rejects(fine.check(await token(await makeKey(`made up ${i}`))), refuses)
  assert.deepEqual(asked, ['https://issuer.example/keys 203.0.114.1'])
  await make(['10.0.0.1'], ['10.0.0.0/8']).check(await token(key))
})

test('a key set that is not there stops the start; one that cannot be read is told to the operator, once', async () => {
  const { clock, net } = realWorld()
  const disk = memoryDisk()
  const said: string[] = []
  const logger: Logger = { ...silent, warn: (message, facts) => void said.push(`${message} ${facts?.['jwks']}`) }
  assert.throws(() => new JwksOAuth(own, { clock, disk, net }, logger), /oauthJwks.*no such file/)
  write(disk, 'keys.json', 'not JSON')
  const oauth = new JwksOAuth(own, { clock, disk, net }, logger)
  const key = await makeKey('one')
  for (let i = 0; i < 3; i++) await assert.rejects(oauth.check(await token(key)), refuses)
  assert.deepEqual(said, ['the keys of the issuer cannot be had keys.json'])
})

test('OAUTHBEARER: a refused token is said so, then the exchange ends', async () => {
  const { key, oauth } = await setUp()
  const make = () => saslServer('OAUTHBEARER', { users: openToAll.users, oauth, random: realWorld().random })
  const message = (value: string, header = 'n,,'): Buffer => Buffer.from(`${header}\x01auth=Bearer ${value}\x01\x01`)
  const good = await token(key)
  assert.equal((await make().step(message(good))).identity?.principal.name, 'alice')
  assert.equal((await make().step(message(good, 'n,a=alice,'))).identity?.principal.name, 'alice')
  const server = make()
  const { reply, identity } = await server.step(message(good, 'n,a=bob,'))
  assert.equal(identity, null)
  assert.deepEqual(JSON.parse(Buffer.from(reply).toString()), { status: 'invalid_token' })
  await assert.rejects(server.step(Buffer.from('\x01')), refuses)
  for (const odd of [
    '',
    'n,,',
    'n,,\x01auth=Basic x\x01\x01',
    `y,,\x01auth=Bearer ${good}\x01\x01`,
    `n,,\x01auth=Bearer ${good}`,
  ])
    await assert.rejects(make().step(Buffer.from(odd)), refuses, JSON.stringify(odd))
})
