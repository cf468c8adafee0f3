import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { WebSocket } from 'ws'
import { text } from '../../../src/wire/amqp/values.ts'
import { protocolHeader, protocolId } from '../../../src/wire/amqp/frames.ts'
import { authority, temporaryFolder } from '../../security/certificates.ts'
import { startHubs } from './local-hubs.ts'
import { RawClient, message } from './raw-client.ts'
import { tokenIssuer } from './token-issuer.ts'

const event = message({ body: Buffer.from('x') })

test('over TLS a certificate says who the client is, by EXTERNAL or without SASL', async (t) => {
  const ours = authority(temporaryFolder(t), 'ours')
  const server = ours.issue('server', '/CN=localhost')
  const alice = ours.issue('alice', '/CN=alice')
  await using hubs = await startHubs({
    authenticates: true,
    tls: { cert: server.cert, key: server.key, ca: ours.cert, clientAuth: 'requested' },
  })
  const { grants, users } = hubs.security
  await users.change([{ name: 'root', super: true }])
  const grant = { resource: 'topic', pattern: 'literal', name: 'hub', host: '*', permission: 'allow' }
  await grants.add([{ ...grant, principal: 'User:CN=alice', operation: 'write' }] as never)
  const open = async (sasl: { mechanism: string } | null, shown: object): Promise<RawClient> => {
    const socket = connect({ host: '127.0.0.1', port: hubs.port, ca: ours.cert, ...shown })
    await once(socket, 'secureConnect')
    return RawClient.open({ port: hubs.port, sasl, socket })
  }
  for (const sasl of [{ mechanism: 'EXTERNAL' }, null]) {
    await using client = await open(sasl, { cert: alice.cert, key: alice.key })
    assert.equal(await (await client.sender('hub')).send(event), null)
  }
  await using nobody = await open(null, {})
  await nobody.sender('hub')
  assert.equal((await nobody.detached()).condition, 'amqp:unauthorized-access')
  const web = new WebSocket(`wss://127.0.0.1:${hubs.port}/$servicebus/websocket`, ['AMQPWSB10'], { ca: ours.cert })
  await once(web, 'open')
  assert.equal(web.protocol, 'AMQPWSB10')
  const answer = once(web, 'message')
  web.send(protocolHeader(protocolId.amqp))
  assert.deepEqual((await answer)[0], protocolHeader(protocolId.amqp))
  web.close()
  await once(web, 'close')
})

test('a client that speaks TLS where there is none is cut off, and the log says why', async () => {
  await using hubs = await startHubs()
  const socket = connect({ host: '127.0.0.1', port: hubs.port, rejectUnauthorized: false })
  await once(socket, 'error')
  assert.match(hubs.complaints.join(), /speaks TLS/)
})

test('a token of the issuer is who its subject says, until it is over', async () => {
  const { disk, oauth, token } = await tokenIssuer()
  await using hubs = await startHubs({ disk, oauth, authenticates: true })
  const { grants, users } = hubs.security
  await users.change([{ name: 'root', super: true }])
  const grant = { resource: 'topic', pattern: 'literal', name: 'hub', host: '*', permission: 'allow' }
  await grants.add([{ ...grant, principal: 'User:bob', operation: 'write' }] as never)
  await using client = await RawClient.open({ port: hubs.port })
  const put = async (given: string): Promise<number> => {
    const asked = [
      [text('operation'), text('put-token')],
      [text('type'), text('jwt')],
      [text('name'), text('amqps://host/hub')],
    ] as const
    return (await client.ask('$cbs', asked, text(given))).status
  }
  assert.equal(await put(await token('bob', -5)), 401)
  assert.equal(await put(`${await token('bob', 60)}x`), 401)
  assert.equal(await put(await token('carol', 60)), 202)
  await client.sender('hub')
  assert.equal((await client.detached()).condition, 'amqp:unauthorized-access')
  assert.equal(await put(await token('bob', 2)), 202)
  const sender = await client.sender('hub')
  assert.equal(await sender.send(event), null)
  assert.equal((await client.detached(6_000)).condition, 'amqp:unauthorized-access')
  const posted = await fetch(`http://127.0.0.1:${hubs.port}/hub/messages`, {
    method: 'POST',
    body: 'x',
    headers: { authorization: `Bearer ${await token('bob', 60)}` },
  })
  assert.equal(posted.status, 201)
})
