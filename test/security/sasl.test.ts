/** Authentication by its negatives: what must not let anybody in. */
import assert from 'node:assert/strict'
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { test } from 'node:test'
import { Fault } from '../../src/lib/fault.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { type SaslMechanism, saslServer } from '../../src/security/sasl.ts'
import type { ScramMechanism } from '../../src/security/scram.ts'
import { CatalogUsers } from '../../src/security/users.ts'
import { memoryCatalog } from '../schema/memory-catalog.ts'

const { random } = realWorld()
async function usersWith(...names: readonly string[]): Promise<CatalogUsers> {
  const users = new CatalogUsers({ catalog: memoryCatalog(), random, superUsers: new Set(['root']) })
  for (const name of names) await users.change([{ name, scram: await users.credentials(`${name}-secret`) }])
  users.read()
  return users
}
const refuses = (why: RegExp) => (error: unknown) =>
  error instanceof Fault && error.code === 'security.authentication-failed' && why.test(error.message)
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8')
const bytes = (value: string): Buffer => Buffer.from(value, 'utf8')

/** A client of RFC 5802, that can be told to do wrong. */
function scramClient(mechanism: ScramMechanism, name: string, password: string, header = 'n,,') {
  const hash = mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha512'
  const hmac = (key: Uint8Array, of: string): Buffer => createHmac(hash, key).update(of).digest()
  const nonce = Buffer.from(random.bytes(12)).toString('base64url')
  const bare = `n=${name.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  return {
    first: header + bare,
    final(serverFirst: string, wrong: { nonce?: string; binding?: string } = {}) {
      const [, theirs = '', salt = '', count = ''] = /^r=([^,]*),s=([^,]*),i=(\d+)$/.exec(serverFirst) ?? []
      assert.ok(theirs.startsWith(nonce) && theirs.length > nonce.length, serverFirst)
      const length = hash === 'sha256' ? 32 : 64
      const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(count), length, hash)
      const clientKey = hmac(salted, 'Client Key')
      const storedKey = createHash(hash).update(clientKey).digest()
      const binding = wrong.binding ?? Buffer.from(header).toString('base64')
      const withoutProof = `c=${binding},r=${wrong.nonce ?? theirs}`
      const signed = `${bare},${serverFirst},${withoutProof}`
      const signature = hmac(storedKey, signed)
      const proof = Buffer.from(clientKey.map((byte, i) => byte ^ signature[i]!))
      return {
        message: `${withoutProof},p=${proof.toString('base64')}`,
        verifier: `v=${hmac(hmac(salted, 'Server Key'), signed).toString('base64')}`,
        serverNonce: theirs,
      }
    },
  }
}
const serverOf = (users: CatalogUsers, mechanism: SaslMechanism) =>
  saslServer(mechanism, { users, oauth: null, random })

for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const)
  test(`${mechanism}: both sides prove that they know the password`, async () => {
    for (const name of ['alice', 'a,b=c']) {
      const users = await usersWith(name)
      const client = scramClient(mechanism, name, `${name}-secret`)
      const server = serverOf(users, mechanism)
      const first = await server.step(bytes(client.first))
      assert.equal(first.identity, null)
      const { message, verifier } = client.final(text(first.reply))
      const last = await server.step(bytes(message))
      assert.equal(text(last.reply), verifier)
      assert.deepEqual(last.identity, { principal: { type: 'User', name }, expiresMs: null })
    }
  })

test('SCRAM: the test vector of RFC 7677', async () => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  const { credentialOf, ScramServer } = await import('../../src/security/scram.ts')
  const by = { salt, iterations: 4096 }
  const credential = credentialOf('SCRAM-SHA-256', pbkdf2Sync('pencil', salt, 4096, 32, 'sha256'), by)
  const server = new ScramServer({
    mechanism: 'SCRAM-SHA-256',
    nonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
    lookup: () => ({ credential, known: true }),
  })
  assert.equal(
    server.first('n,,n=user,r=rOprNGfwEbeRWgbNEkqO'),
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  )
  const { answer } = server.final(
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  )
  assert.equal(answer, 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
})

test('CVE-2024-56128: a final message with another nonce is refused', async () => {
  const users = await usersWith('alice')
  for (const change of [
    (nonce: string) => nonce.slice(0, -1),
    (nonce: string) => `${nonce}x`,
    () => 'other',
    () => '',
  ]) {
    const client = scramClient('SCRAM-SHA-256', 'alice', 'alice-secret')
    const server = serverOf(users, 'SCRAM-SHA-256')
    const first = text((await server.step(bytes(client.first))).reply)
    const nonce = change(client.final(first).serverNonce)
    // The proof itself is right for what is sent: only the nonce is not ours.
    const { message } = client.final(first, { nonce })
    await assert.rejects(server.step(bytes(message)), refuses(/nonce/))
  }
})

test('SCRAM: an exchange that was heard is worth nothing, in another connection or again in the same', async () => {
  const users = await usersWith('alice')
  const client = scramClient('SCRAM-SHA-256', 'alice', 'alice-secret')
  const server = serverOf(users, 'SCRAM-SHA-256')
  const { message } = client.final(text((await server.step(bytes(client.first))).reply))
  await server.step(bytes(message))
  await assert.rejects(server.step(bytes(message)), refuses(/another form/))
  const other = serverOf(users, 'SCRAM-SHA-256')
  await other.step(bytes(client.first))
  await assert.rejects(other.step(bytes(message)), refuses(/nonce/))
})

test('SCRAM: channel binding, other identities and broken messages are refused', async () => {
  const users = await usersWith('alice')
  const first = async (message: string): Promise<unknown> => serverOf(users, 'SCRAM-SHA-256').step(bytes(message))
  await assert.rejects(first('p=tls-unique,,n=alice,r=abc'), refuses(/channel binding is not offered/))
  await assert.rejects(first('x,,n=alice,r=abc'), refuses(/flag/))
  await assert.rejects(first('n,a=bob,n=alice,r=abc'), refuses(/another user/))
  await assert.rejects(first('n,,m=must,n=alice,r=abc'), refuses(/must be understood/))
  await assert.rejects(first('n,,n=alice,r=abc,tokenauth=true'), refuses(/delegation/))
  for (const odd of ['', 'n', 'n,,', 'n,,n=,r=abc', 'n,,n=alice', 'n,,n=alice,r=', 'n,,n=a=b,r=x', 'n,,n=alice,r=a\tb'])
    await assert.rejects(first(odd), refuses(/SCRAM/), JSON.stringify(odd))
  await first('y,a=alice,n=alice,r=abc')
  const client = scramClient('SCRAM-SHA-256', 'alice', 'alice-secret', 'y,,')
  const server = serverOf(users, 'SCRAM-SHA-256')
  const reply = text((await server.step(bytes(client.first))).reply)
  // A man in the middle took the flag out.
  await assert.rejects(server.step(bytes(client.final(reply, { binding: 'biws' }).message)), refuses(/channel binding/))
  await assert.rejects(serverOf(users, 'SCRAM-SHA-256').step(Buffer.from([0xff, 0xfe])), refuses(/UTF-8/))
})

test('SCRAM: iterations below 4096 and above 16384 are no credential', async () => {
  const users = await usersWith()
  const credential = (await users.credentials('x'))['SCRAM-SHA-256']!
  for (const iterations of [0, 1, 4095, 16_385, 2 ** 31, 4096.5])
    assert.equal(
      users.check([{ name: 'a', scram: { 'SCRAM-SHA-256': { ...credential, iterations } } }])?.code,
      'security.unacceptable-credential',
      String(iterations),
    )
  for (const iterations of [4096, 16_384])
    assert.equal(users.check([{ name: 'a', scram: { 'SCRAM-SHA-256': { ...credential, iterations } } }]), null)
})

test('nothing said tells an unknown user from a wrong password', async () => {
  const users = await usersWith('alice')
  const words = async (mechanism: ScramMechanism, name: string): Promise<string> => {
    const client = scramClient(mechanism, name, 'wrong')
    const server = serverOf(users, mechanism)
    const first = text((await server.step(bytes(client.first))).reply)
    assert.match(first, /,s=.{24},i=8192$/)
    return server.step(bytes(client.final(first).message)).then(
      () => assert.fail('let in'),
      (error: unknown) => (error as Error).message,
    )
  }
  for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const)
    assert.equal(await words(mechanism, 'alice'), await words(mechanism, 'nobody'))
  const plain = (name: string): Promise<unknown> => serverOf(users, 'PLAIN').step(bytes(`\0${name}\0wrong`))
  await assert.rejects(plain('alice'), refuses(/invalid user name or password$/))
  await assert.rejects(plain('nobody'), refuses(/invalid user name or password$/))
  // The salt of a name that is not there is the same each time, as that of a user is.
  const salt = (name: string): string => users.scram('SCRAM-SHA-256', name).credential.salt
  assert.equal(salt('nobody'), salt('nobody'))
  assert.notEqual(salt('nobody'), salt('nobody2'))
})

test('CVE-2021-38153: time tells no unknown user from a wrong password', async () => {
  const users = await usersWith('alice')
  const take = async (name: string): Promise<number> => {
    const start = performance.now()
    assert.equal(await users.hasPassword(name, `wrong ${start}`), false)
    return performance.now() - start
  }
  const times = { known: [] as number[], unknown: [] as number[] }
  // In turn, so that the machine's moods meet both.
  for (let i = 0; i < 40; i++) {
    times.known.push(await take('alice'))
    times.unknown.push(await take('nobody'))
  }
  const low = (list: number[]): number => list.toSorted((a, b) => a - b)[Math.floor(list.length / 4)]!
  const ratio = low(times.unknown) / low(times.known)
  assert.ok(ratio > 0.5 && ratio < 2, `unknown ÷ known = ${ratio.toFixed(2)}`)
})

test('PLAIN: a password proves who it is, nothing else does', async () => {
  const users = await usersWith('alice', 'bob')
  const plain = (message: string) => serverOf(users, 'PLAIN').step(bytes(message))
  assert.equal((await plain('\0alice\0alice-secret')).identity?.principal.name, 'alice')
  assert.equal((await plain('alice\0alice\0alice-secret')).identity?.principal.name, 'alice')
  await assert.rejects(plain('bob\0alice\0alice-secret'), refuses(/another user/))
  for (const odd of ['', '\0', '\0alice', '\0alice\0', '\0\0x', '\0alice\0alice-secret\0', '\0alice\0bob-secret'])
    await assert.rejects(plain(odd), refuses(/./), JSON.stringify(odd))
  // A proof that was remembered ends with the password.
  await users.change([{ name: 'alice', scram: await users.credentials('new') }])
  users.read()
  await assert.rejects(plain('\0alice\0alice-secret'), refuses(/invalid/))
  assert.equal((await plain('\0alice\0new')).identity?.principal.name, 'alice')
})

test('the first user must be a super user; passwords are kept as salted forms only', async () => {
  const catalog = memoryCatalog()
  const users = new CatalogUsers({ catalog, random, superUsers: new Set() })
  const scram = await users.credentials('hunter2')
  assert.equal(users.check([{ name: 'alice', scram }])?.code, 'security.first-user')
  await users.change([{ name: 'alice', super: true, scram }])
  users.read()
  await users.change([{ name: 'bob', scram }])
  const kept = JSON.stringify(catalog.all('user'))
  assert.ok(!kept.includes('hunter2') && !kept.includes(Buffer.from('hunter2').toString('base64')))
  for (const name of ['', 'a\nb', 'x'.repeat(256)])
    assert.equal(users.check([{ name, scram }])?.code, 'security.invalid-user')
})
