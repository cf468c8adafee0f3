/** Real clients and Kafka's own tools against a listener that takes SASL over TLS alone. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, after, before, test } from 'node:test'
import { Admin, Producer, SASLMechanisms, stringSerializers } from '@platformatic/kafka'
import { SignJWT, exportJWK, generateKeyPair } from 'jose'
import { authority, temporaryFolder } from '../security/certificates.ts'
import { type Platform, makeUser, platform } from '../security/platform.ts'
import { type Ended, execute } from './kafka/target.ts'
import { kafkaTool, python } from './setup/index.ts'

const hooks: (() => Promise<void> | void)[] = []
after(async () => {
  for (const call of hooks.toReversed()) await call()
})
/** For what lasts as long as the file. */
const file = { after: (call: () => Promise<void> | void) => void hooks.push(call) } as unknown as TestContext

let p: Platform
let ca = ''
let folder = ''
const address = (): string => `localhost:${p.kafka.port}`
before(async () => {
  folder = temporaryFolder(file)
  const own = authority(folder, 'ca')
  ca = own.certFile
  const { certFile, keyFile } = own.issue('server', '/CN=localhost')
  p = await platform(file, {
    tlsCert: certFile,
    tlsKey: keyFile,
    tls: ['kafka'],
    kafkaSasl: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'],
  })
  await makeUser(p, 'root', 'root-secret', true)
})

type Mechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
function properties(user: string, mechanism: Mechanism, password = `${user}-secret`): string {
  const path = join(folder, `${user}-${mechanism}-${password}.properties`)
  const login = mechanism === 'PLAIN' ? 'plain.PlainLoginModule' : 'scram.ScramLoginModule'
  const lines = [
    'security.protocol=SASL_SSL',
    `sasl.mechanism=${mechanism}`,
    'ssl.truststore.type=PEM',
    `ssl.truststore.location=${ca}`,
    `sasl.jaas.config=org.apache.kafka.common.security.${login} required username="${user}" password="${password}";`,
    'default.api.timeout.ms=20000',
    'request.timeout.ms=15000',
  ]
  writeFileSync(path, lines.join('\n'))
  return path
}
async function tool(
  name: string,
  who: string,
  args: readonly string[],
  { input = '', at = address(), jvm = '' } = {},
): Promise<Ended> {
  const [command, words] = await kafkaTool(name, '--bootstrap-server', at, '--command-config', who, ...args)
  return execute(command, words, { input, withinMs: 90_000, env: { JVM_OPTS: `-XX:TieredStopAtLevel=1 ${jvm}` } })
}
async function ok(name: string, who: string, args: readonly string[], input = ''): Promise<string> {
  const ended = await tool(name, who, args, { input })
  assert.equal(ended.code, 0, `${name} ${args.join(' ')}\n${ended.stdout}${ended.stderr}`)
  return ended.stdout
}

test('kafka-configs makes users; the Java client comes in by each mechanism', async () => {
  const root = properties('root', 'SCRAM-SHA-512')
  const user = ['--entity-type', 'users', '--entity-name', 'alice']
  const scram = 'SCRAM-SHA-256=[password=alice-secret],SCRAM-SHA-512=[iterations=4096,password=alice-secret]'
  await ok('configs', root, ['--alter', ...user, '--add-config', scram])
  const described = await ok('configs', root, ['--describe', ...user])
  assert.match(described, /SCRAM-SHA-256=iterations=4096|SCRAM-SHA-256=iterations=8192/)
  assert.ok(!described.includes('alice-secret'))
  for (const mechanism of ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const)
    await ok('topics', properties('alice', mechanism), ['--list'])
  const wrong = await tool('topics', properties('alice', 'SCRAM-SHA-256', 'wrong'), ['--list'])
  assert.notEqual(wrong.code, 0)
  assert.match(wrong.stdout + wrong.stderr, /authentication failed: invalid user name or password/)
})

test('kafka-acls: what is not granted is refused, what is granted works, what is taken away is refused again', async () => {
  const root = properties('root', 'SCRAM-SHA-256')
  const alice = properties('alice', 'SCRAM-SHA-256')
  await ok('topics', root, ['--create', '--topic', 'orders'])
  assert.equal((await ok('topics', alice, ['--list'])).trim(), '')
  const refused = await tool('topics', alice, ['--create', '--topic', 'mine'])
  assert.match(refused.stdout + refused.stderr, /Authorization failed|TopicAuthorizationException/)
  const acls = 'org.apache.kafka.tools.AclCommand'
  const rights = ['--allow-principal', 'User:alice', '--topic', 'orders', '--producer']
  await ok(acls, root, ['--add', ...rights])
  await ok(acls, root, [
    '--add',
    '--allow-principal',
    'User:alice',
    '--topic',
    'ord',
    '--resource-pattern-type',
    'prefixed',
    '--operation',
    'Read',
  ])
  await ok(acls, root, ['--add', '--allow-principal', 'User:alice', '--group', 'billing', '--operation', 'Read'])
  const listed = await ok(acls, root, ['--list', '--topic', 'orders', '--resource-pattern-type', 'match'])
  assert.match(listed, /principal=User:alice, host=\*, operation=WRITE, permissionType=ALLOW/)
  assert.match(listed, /patternType=PREFIXED/)
  await ok('console-producer', alice, ['--topic', 'orders'], 'one\ntwo\n')
  const read = ['--topic', 'orders', '--from-beginning', '--max-messages', '2', '--timeout-ms', '20000']
  assert.match(await ok('console-consumer', alice, [...read, '--group', 'billing']), /one\ntwo/)
  const other = await tool('console-consumer', alice, [...read, '--group', 'other'])
  assert.match(other.stdout + other.stderr, /Not authorized to access group: other/)
  const taken = await tool(acls, root, ['--remove', '--force', ...rights])
  assert.equal(taken.code, 0, taken.stderr)
  // The producer is idempotent by default: it asks for its id first, which needs to write to anything.
  const again = await tool('console-producer', alice, ['--topic', 'orders'], { input: 'three\n' })
  assert.match(again.stdout + again.stderr, /ClusterAuthorizationException/)
})

test('kafka-configs: quotas of users, clients, pairs, defaults and addresses', async () => {
  const root = properties('root', 'SCRAM-SHA-256')
  const entities = [
    [['--entity-type', 'users', '--entity-name', 'alice'], 'producer_byte_rate=1048576'],
    [['--entity-type', 'users', '--entity-default'], 'consumer_byte_rate=2097152'],
    [['--entity-type', 'clients', '--entity-name', 'app'], 'request_percentage=50'],
    [
      ['--entity-type', 'users', '--entity-name', 'alice', '--entity-type', 'clients', '--entity-default'],
      'controller_mutation_rate=5',
    ],
    [['--entity-type', 'ips', '--entity-name', '127.0.0.9'], 'connection_creation_rate=7'],
  ] as const
  for (const [entity, config] of entities) {
    await ok('configs', root, ['--alter', ...entity, '--add-config', config])
    assert.match(await ok('configs', root, ['--describe', ...entity]), new RegExp(config))
  }
  const [entity, config] = entities[0]
  await ok('configs', root, ['--alter', ...entity, '--delete-config', config.split('=')[0]!])
  assert.ok(!(await ok('configs', root, ['--describe', ...entity])).includes('producer_byte_rate'))
})

test('librdkafka: PLAIN and SCRAM over TLS; unsecured tokens are refused', async () => {
  const program = await python()
  const script = join(import.meta.dirname, 'kafka', 'security.py')
  const ask = (mechanism: string, password: string): Promise<Ended> =>
    execute(program, [script, address(), ca, mechanism, 'root', password])
  for (const mechanism of ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']) {
    const fine = await ask(mechanism, 'root-secret')
    assert.match(fine.stdout, /'orders'/, fine.stderr)
    const wrong = await ask(mechanism, 'wrong')
    assert.equal(wrong.code, 1, mechanism)
    assert.match(wrong.stderr, /authentication failed: invalid user name or password/)
  }
  assert.equal((await ask('OAUTHBEARER', '')).code, 1)
})

test('@platformatic/kafka: PLAIN and SCRAM over TLS', async () => {
  for (const mechanism of [SASLMechanisms.PLAIN, SASLMechanisms.SCRAM_SHA_256, SASLMechanisms.SCRAM_SHA_512]) {
    const options = (password: string) => ({
      clientId: 'interop',
      bootstrapBrokers: [address()],
      tls: { ca: readFileSync(ca, 'utf8') },
      sasl: { mechanism, username: 'root', password },
      retries: 0,
    })
    const producer = new Producer({ ...options('root-secret'), serializers: stringSerializers })
    const sent = await producer.send({ messages: [{ topic: 'orders', value: 'x' }], acks: -1 })
    assert.equal(sent.offsets?.length, 1)
    await producer.close()
    const wrong = new Admin(options('wrong'))
    await assert.rejects(wrong.listTopics())
    await wrong.close()
  }
})

/** Whoever gives tokens: by the client's credentials (RFC 6749, 4.4), for as long as it lives. */
async function issuer(t: TestContext) {
  const { publicKey, privateKey } = await generateKeyPair('RS256')
  const jwks = join(folder, 'jwks.json')
  writeFileSync(jwks, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'RS256' }] }))
  const token = (audience = 'millrace'): Promise<string> =>
    new SignJWT({ sub: 'alice', scope: 'kafka' })
      .setProtectedHeader({ alg: 'RS256', kid: 'one' })
      .setIssuer('https://issuer.example')
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey)
  const known = `Basic ${Buffer.from('alice:alice-secret').toString('base64')}`
  const server = createServer((request, response) => {
    const isKnown = request.method === 'POST' && request.headers.authorization === known
    const audience = request.url === '/others' ? 'others' : 'millrace'
    void token(audience).then((text) => {
      const answer = { access_token: text, token_type: 'Bearer', expires_in: 300 }
      response.writeHead(isKnown ? 200 : 401, { 'content-type': 'application/json' })
      response.end(JSON.stringify(isKnown ? answer : { error: 'invalid_client' }))
    })
  })
  await new Promise<void>((listens) => server.listen(0, '127.0.0.1', listens))
  t.after(() => server.close())
  return { jwks, token, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

test('OAUTHBEARER: the Java client and librdkafka bring tokens of an endpoint, @platformatic/kafka one of its own', async (t) => {
  const { jwks, token, url } = await issuer(t)
  const own = authority(folder, 'oauth-ca')
  const { certFile, keyFile } = own.issue('oauth-server', '/CN=localhost')
  const q = await platform(t, {
    tlsCert: certFile,
    tlsKey: keyFile,
    tls: ['kafka'],
    kafkaSasl: ['OAUTHBEARER'],
    oauthJwks: jwks,
    oauthIssuer: 'https://issuer.example',
    oauthAudience: ['millrace'],
    superUsers: ['User:alice'],
  })
  const at = `localhost:${q.kafka.port}`
  const java = async (endpoint: string, secret: string): Promise<Ended> => {
    const path = join(folder, `oauth${endpoint.replaceAll(/\W/g, '-')}${secret}.properties`)
    const login = 'org.apache.kafka.common.security.oauthbearer'
    const lines = [
      'security.protocol=SASL_SSL',
      'sasl.mechanism=OAUTHBEARER',
      'ssl.truststore.type=PEM',
      `ssl.truststore.location=${own.certFile}`,
      `sasl.login.callback.handler.class=${login}.OAuthBearerLoginCallbackHandler`,
      `sasl.oauthbearer.token.endpoint.url=${endpoint}`,
      `sasl.jaas.config=${login}.OAuthBearerLoginModule required clientId="alice" clientSecret="${secret}";`,
      'default.api.timeout.ms=20000',
      'request.timeout.ms=15000',
    ]
    writeFileSync(path, lines.join('\n'))
    return tool('topics', path, ['--create', '--topic', 'by-java', '--if-not-exists'], {
      at,
      jvm: `-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${endpoint}`,
    })
  }
  const fine = await java(`${url}/ours`, 'alice-secret')
  assert.equal(fine.code, 0, fine.stdout + fine.stderr)
  const others = await java(`${url}/others`, 'alice-secret')
  assert.notEqual(others.code, 0)
  assert.match(others.stdout + others.stderr, /SaslAuthenticationException/)

  const script = join(import.meta.dirname, 'kafka', 'security.py')
  const program = await python()
  const librdkafka = (endpoint: string): Promise<Ended> =>
    execute(program, [script, at, own.certFile, 'OAUTHBEARER', endpoint, 'alice-secret'])
  const listed = await librdkafka(`${url}/ours`)
  assert.match(listed.stdout, /'by-java'/, listed.stderr)
  assert.equal((await librdkafka(`${url}/others`)).code, 1)

  const admin = (text: string): Admin =>
    new Admin({
      clientId: 'interop',
      bootstrapBrokers: [at],
      tls: { ca: readFileSync(own.certFile, 'utf8') },
      sasl: { mechanism: SASLMechanisms.OAUTHBEARER, token: text },
      retries: 0,
    })
  const lets = admin(await token())
  assert.deepEqual(await lets.listTopics(), ['by-java'])
  await lets.close()
  const refused = admin(await token('others'))
  await assert.rejects(refused.listTopics())
  await refused.close()
})
