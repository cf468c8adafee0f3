import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, test } from 'node:test'
import { EventHubProducerClient } from '@azure/event-hubs'
import { decodeBatch } from '../../../src/log/batch.ts'
import { type Value, int, text } from '../../../src/wire/amqp/values.ts'
import { type LocalHubs, startHubs } from './local-hubs.ts'
import { type Answered, RawClient, message } from './raw-client.ts'

const secret = 'c2VjcmV0IG9mIHRoZSBrZXkgc2VuZGVy'
let hubs: LocalHubs
before(async () => {
  hubs = await startHubs({ hubs: { hub: 1, other: 1 }, authenticates: true })
  const { users, accessKeys, grants } = hubs.security
  await users.change([
    { name: 'root', super: true },
    { name: 'writer', scram: await users.credentials('password of writer') },
  ])
  await accessKeys.create({ user: 'writer', id: 'sender', secret })
  const grant = (operation: string, name: string, resource = 'topic') =>
    ({
      resource,
      pattern: 'literal',
      name,
      principal: 'User:writer',
      host: '*',
      operation,
      permission: 'allow',
    }) as never
  await grants.add([grant('write', 'hub'), grant('read', 'hub'), grant('read', 'mine', 'group')])
})
after(() => hubs[Symbol.asyncDispose]())

const now = (): number => Math.floor(Date.now() / 1000)
function sas(resource: string, expires: number, key = secret, name = 'sender'): string {
  const sr = encodeURIComponent(resource)
  const signature = createHmac('sha256', key).update(`${sr}\n${expires}`).digest('base64')
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(signature)}&se=${expires}&skn=${name}`
}
const put = (
  client: RawClient,
  token: string,
  audience: string,
  type = 'servicebus.windows.net:sastoken',
): Promise<Answered> =>
  client.ask(
    '$cbs',
    [
      [text('operation'), text('put-token')],
      [text('type'), text(type)],
      [text('name'), text(audience)],
    ],
    text(token),
  )
const event = message({ body: Buffer.from('x') })
const open = (): Promise<RawClient> => RawClient.open({ port: hubs.port })

test('without a token nothing may be done; with one what its user may', async () => {
  await using client = await open()
  await client.sender('hub')
  assert.equal((await client.detached()).condition, 'amqp:unauthorized-access')
  assert.equal((await put(client, sas('sb://h/hub', now() + 60), 'sb://h/hub')).status, 202)
  assert.equal(await (await client.sender('hub')).send(event), null)
  await client.receiver('hub/ConsumerGroups/other/Partitions/0')
  assert.equal((await client.detached()).condition, 'amqp:unauthorized-access')
  const receiver = await client.receiver('hub/ConsumerGroups/mine/Partitions/0', { credit: 1 })
  assert.equal((await receiver.take(1)).length, 1)
  const ask = (type: string, name: string) =>
    client.ask('$management', [
      [text('operation'), text('READ')],
      [text('type'), text(type)],
      [text('name'), text(name)],
    ])
  assert.equal((await ask('com.microsoft:eventhub', 'hub')).status, 200)
  assert.equal((await ask('com.microsoft:eventhub', 'other')).status, 401)
  assert.equal((await ask('com.microsoft:what', 'hub')).status, 400)
})
test('a request to $management may bring its own token', async () => {
  await using client = await open()
  const ask = async (token: string | null, name = 'hub'): Promise<number> => {
    const asked = [
      [text('operation'), text('READ')],
      [text('type'), text('com.microsoft:eventhub')],
      [text('name'), text(name)],
    ] as const
    const own = token === null ? [] : [[text('security_token'), text(token)] as const]
    return (await client.ask('$management', [...asked, ...own])).status
  }
  const right = sas('amqp://h/hub', now() + 60)
  assert.equal(await ask(null), 401)
  assert.equal(await ask(right), 200)
  // It is for this request alone.
  assert.equal(await ask(null), 401)
  assert.equal(await ask(right, 'other'), 401)
  assert.equal(await ask(sas('amqp://h/hub', now() - 1)), 401)
  assert.equal(await ask(sas('amqp://h/hub', now() + 60, 'another key')), 401)
  assert.equal(await ask('a.b.c'), 401)
  assert.equal((await put(client, sas('sb://h/hub', now() + 60), 'sb://h/hub')).status, 202)
  assert.equal(await ask(sas('amqp://h/hub', now() - 1)), 401)
  assert.equal(await ask(null), 200)
})
test('a token is for its path and what lies below, and no other', async () => {
  await using client = await open()
  assert.equal((await put(client, sas('sb://h/hub/Partitions/0', now() + 60), 'sb://h/hub')).status, 401)
  assert.equal((await put(client, sas('sb://h/other', now() + 60), 'sb://h/other')).status, 202)
  await client.sender('hub')
  assert.equal((await client.detached()).condition, 'amqp:unauthorized-access')
  assert.equal((await put(client, sas('sb://h/', now() + 60), 'sb://h/hub')).status, 202)
  assert.equal(await (await client.sender('hub/Partitions/0')).send(event), null)
})
test('a wrong key, an unknown name, a token that is over or is none are refused alike', async () => {
  await using client = await open()
  const audience = 'sb://h/hub'
  for (const token of [
    sas(audience, now() + 60, 'another key'),
    sas(audience, now() + 60, secret, 'nobody'),
    sas(audience, now() - 1),
    'SharedAccessSignature sr=x',
    'nothing of the kind',
  ]) {
    const { status, condition } = await put(client, token, audience)
    assert.deepEqual([status, condition], [401, 'amqp:unauthorized-access'], token)
  }
  assert.equal((await put(client, sas(audience, now() + 60), audience, 'saml')).status, 400)
  assert.equal((await put(client, 'a.b.c', audience, 'jwt')).status, 401)
  const strange: Value = int(5)
  assert.equal((await client.ask('$cbs', [[text('operation'), text('put-token')]], strange)).status, 400)
  assert.equal((await client.ask('$cbs', [[text('operation'), text('drop-token')]])).status, 400)
})
test('a link ends when its token is over, unless a newer one came', async () => {
  await using client = await open()
  const soon = now() + 2
  assert.equal((await put(client, sas('sb://h/hub', soon), 'sb://h/hub')).status, 202)
  const sender = await client.sender('hub')
  assert.equal(await sender.send(event), null)
  const { handle, condition, description } = await client.detached(6_000)
  assert.deepEqual([handle, condition], [sender.handle, 'amqp:unauthorized-access'])
  assert.match(description!, /ExpiredToken/)
  await using renewing = await open()
  assert.equal((await put(renewing, sas('sb://h/hub', now() + 2), 'sb://h/hub')).status, 202)
  const kept = await renewing.sender('hub')
  assert.equal((await put(renewing, sas('sb://h/hub', now() + 60), 'sb://h/hub')).status, 202)
  await new Promise((resolve) => setTimeout(resolve, 3_500))
  assert.equal(await kept.send(event), null)
})
test('PLAIN takes a key or a password, and nothing else', async () => {
  const plain = (name: string, password: string): Promise<RawClient> =>
    RawClient.open({
      port: hubs.port,
      sasl: { mechanism: 'PLAIN', response: Buffer.from(`\0${name}\0${password}`) },
    })
  for (const [name, password] of [
    ['sender', secret],
    ['writer', 'password of writer'],
  ] as const) {
    await using client = await plain(name, password)
    assert.equal(await (await client.sender('hub')).send(event), null)
  }
  for (const [name, password] of [
    ['sender', 'wrong'],
    ['nobody', secret],
    ['writer', secret],
  ] as const) {
    await using client = await plain(name, password)
    assert.equal(client.saslCode, 1)
  }
  await using strange = await RawClient.open({ port: hubs.port, sasl: { mechanism: 'GSSAPI' } })
  assert.equal(strange.saslCode, 1)
})
test('without SASL the client is nobody, until it shows a token', async () => {
  await using client = await RawClient.open({ port: hubs.port, sasl: null })
  assert.equal((await put(client, sas('sb://h/hub', now() + 60), 'amqps://h/hub')).status, 202)
  assert.equal(await (await client.sender('hub')).send(event), null)
})
test("Microsoft's client comes in with the key, and is told where the key is wrong", async () => {
  const of = (key: string): EventHubProducerClient =>
    new EventHubProducerClient(
      `Endpoint=sb://127.0.0.1:${hubs.port};SharedAccessKeyName=sender;SharedAccessKey=${key};UseDevelopmentEmulator=true`,
      'hub',
      { retryOptions: { maxRetries: 0 } },
    )
  const good = of(secret)
  await good.sendBatch([{ body: 1 }])
  assert.deepEqual(await good.getPartitionIds(), ['0'])
  await good.close()
  const bad = of('wrong')
  await assert.rejects(bad.sendBatch([{ body: 1 }]), { code: 'UnauthorizedError' })
  await bad.close()
})
test('over HTTPS the same tokens hold', async () => {
  const send = (authorization: string | null, hub = 'hub'): Promise<number> =>
    fetch(`http://127.0.0.1:${hubs.port}/${hub}/messages`, {
      method: 'POST',
      body: 'x',
      headers: authorization === null ? {} : { authorization },
    }).then(({ status }) => status)
  assert.equal(await send(sas('http://h/hub', now() + 60)), 201)
  assert.equal(await send(sas('http://h/hub/messages', now() + 60)), 401)
  assert.equal(await send(sas('http://h/', now() + 60)), 201)
  assert.equal(await send(sas('http://h/hub', now() + 60, 'wrong')), 401)
  assert.equal(await send(null), 401)
  assert.equal(await send(sas('http://h/other', now() + 60), 'other'), 401)
})
test('who may not read or write a hub does not learn whether it is there', async () => {
  await using client = await open()
  await put(client, sas('sb://h/', now() + 60), 'sb://h/')
  const said: (string | undefined)[] = []
  for (const hub of ['other', 'nowhere']) {
    await client.sender(hub)
    said.push((await client.detached()).description?.replace(hub, 'HUB'))
    await client.receiver(`${hub}/ConsumerGroups/mine/Partitions/0`)
    said.push((await client.detached()).description?.replace(hub, 'HUB'))
  }
  assert.match(said[0]!, /Unauthorized access/)
  assert.deepEqual(said.slice(2), said.slice(0, 2))
})
test('a receiver ends when its grant does', async () => {
  const of = { principal: 'User:writer', host: '*', permission: 'allow' } as const
  const grant = { ...of, resource: 'topic', pattern: 'literal', name: 'other', operation: 'read' } as const
  await hubs.security.grants.add([grant])
  await using client = await open()
  await put(client, sas('sb://h/other', now() + 60), 'sb://h/other')
  await client.receiver('other/ConsumerGroups/mine/Partitions/0', { credit: 10 })
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  await hubs.security.grants.remove([grant])
  const { condition, description } = await client.detached(6_000)
  assert.equal(condition, 'amqp:unauthorized-access')
  assert.match(description!, /'read' of the topic 'other'/)
})
/** As a storage account signs it. */
function sharedKey(method: string, path: string, query: string, signedMs: number): Record<string, string> {
  const date = new Date(signedMs).toUTCString()
  const headers = { 'x-ms-date': date, 'x-ms-version': '2021-08-06' }
  const ours = `x-ms-date:${date}\nx-ms-version:2021-08-06\n`
  const text = `${method}\n${'\n'.repeat(11)}${ours}/sender${path}${query}`
  const signature = createHmac('sha256', Buffer.from(secret, 'base64')).update(text).digest('base64')
  return { ...headers, authorization: `SharedKey sender:${signature}` }
}
test('containers are for who keeps checkpoints of some group; a signature holds for a quarter of an hour', async () => {
  const container = async (name: string, signedMs = Date.now()): Promise<number> => {
    const path = `/sender/${name}`
    const headers = sharedKey('PUT', path, '\nrestype:container', signedMs)
    return (await fetch(`http://127.0.0.1:${hubs.port}${path}?restype=container`, { method: 'PUT', headers })).status
  }
  assert.equal(await container('mine'), 201)
  assert.equal(await container('late', Date.now() - 16 * 60_000), 403)
  assert.equal(await container('early', Date.now() + 16 * 60_000), 403)
  const groups = { resource: 'group', pattern: 'literal', name: 'mine', principal: 'User:writer', host: '*' } as const
  await hubs.security.grants.remove([{ ...groups, operation: 'read', permission: 'allow' }])
  assert.equal(await container('another'), 403)
  const listed = await fetch(`http://127.0.0.1:${hubs.port}/sender?comp=list`, {
    headers: sharedKey('GET', '/sender', '\ncomp:list', Date.now()),
  })
  assert.equal(listed.status, 403)
  await hubs.security.grants.add([{ ...groups, operation: 'read', permission: 'allow' }])
})
test('what was refused is in the audit, however it was tried', async () => {
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  await put(await open(), sas('sb://h/hub', now() + 60, 'wrong'), 'sb://h/hub')
  await new Promise((resolve) => setTimeout(resolve, 2_200))
  const partition = { topic: '_millrace_audit', index: 0 }
  const chunks = await hubs.log.reader().read([{ partition, offset: 0 as never }])
  const entries = chunks.flatMap((chunk) =>
    'fault' in chunk
      ? []
      : chunk.batches.flatMap((batch) =>
          [...decodeBatch(batch)].map(
            ({ value }) => JSON.parse(Buffer.from(value!).toString()) as Record<string, unknown>,
          ),
        ),
  )
  const said = new Set(entries.map(({ via, action, outcome, detail }) => [via, action, outcome, detail].join()))
  assert.ok(
    [...said].some((one) => one.startsWith('eventhubs,write,refused')),
    [...said].join('\n'),
  )
  assert.ok(said.has('eventhubs,authenticate,refused,Invalid signature.'), [...said].join('\n'))
  assert.ok(said.has('eventhubs,authenticate,refused,MissingToken: The Authorization header is missing.'))
  assert.ok([...said].some((one) => one.startsWith('eventhubs,blobs,refused')))
})
