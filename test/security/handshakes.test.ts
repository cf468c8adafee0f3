/** Handshakes that fail are said in the log; certificates that are refused stand in the audit. */
import assert from 'node:assert/strict'
import { connect as connectNet } from 'node:net'
import { test } from 'node:test'
import { type ConnectionOptions, connect } from 'node:tls'
import { decodeBatch } from '../../src/log/batch.ts'
import { until } from '../gateway/kafka/local-gateway.ts'
import { authority, temporaryFolder } from './certificates.ts'
import { type Platform, platform } from './platform.ts'

interface Entry {
  readonly action: string
  readonly outcome: string
  readonly detail?: string
}
async function refusals(p: Platform): Promise<string[]> {
  const partition = { topic: '_millrace_audit', index: 0 }
  if ((await p.log.topics.get(partition.topic)) === null) return []
  const [chunk] = await p.log.reader().read([{ partition, offset: 0 as never }], { ms: 0 })
  if (chunk === undefined || 'fault' in chunk) return []
  return chunk.batches
    .flatMap((batch) => decodeBatch(batch).map(({ value }) => JSON.parse(Buffer.from(value!).toString()) as Entry))
    .map(({ action, outcome, detail }) => `${action} ${outcome} ${detail}`)
}
type Protocol = 'kafka' | 'http'
/** Until the connection is over, whoever ends it. */
const attempt = (p: Platform, to: Protocol, options: ConnectionOptions): Promise<void> =>
  new Promise((done) => {
    const { hostname, port } = new URL(p.http)
    const at = to === 'kafka' ? p.kafka : { host: hostname, port: Number(port) }
    const socket = connect({ ...at, servername: 'localhost', ...options })
    socket.on('error', () => {}).once('close', () => done())
  })

for (const [clientAuth, to] of [
  ['required', 'kafka'],
  ['requested', 'kafka'],
  ['required', 'http'],
  ['requested', 'http'],
] as const)
  test(`${to}: where certificates are ${clientAuth}, one that nobody vouches for is refused, said and kept`, async (t) => {
    const dir = temporaryFolder(t)
    const ca = authority(dir, 'ca')
    const other = authority(dir, 'other')
    const { certFile: tlsCert, keyFile: tlsKey } = ca.issue('server', '/CN=localhost')
    const settings = { tlsCert, tlsKey, tlsClientCa: ca.certFile, tlsClientAuth: clientAuth, tls: [to] }
    const p = await platform(t, settings)
    const { cert, key } = other.issue('stranger', '/CN=alice')
    await attempt(p, to, { ca: ca.cert, cert, key })
    await until('the refusal', async () => (await refusals(p)).length > 0)
    const [refused] = await refusals(p)
    assert.match(refused!, /^authenticate refused (UNABLE_TO|SELF_SIGNED)/)
    assert.ok(p.said.some((line) => line.startsWith(`${to}: no TLS with a client {"client":"127.0.0.1"`)))
    if (clientAuth === 'requested') return
    await attempt(p, to, { ca: ca.cert })
    await until('the second refusal', async () => (await refusals(p)).length > 1)
    assert.match((await refusals(p))[1]!, /^authenticate refused ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE$/)
  })

test('who speaks no TLS is said, and is no refusal; who only looks whether the port is open is neither', async (t) => {
  const dir = temporaryFolder(t)
  const ca = authority(dir, 'ca')
  const { certFile: tlsCert, keyFile: tlsKey } = ca.issue('server', '/CN=localhost')
  const p = await platform(t, { tlsCert, tlsKey, tls: ['kafka'] })
  const over = (bytes: string | null): Promise<void> =>
    new Promise((done) => {
      const socket = connectNet(p.kafka, () => (bytes === null ? socket.destroy() : socket.write(bytes)))
      socket.on('error', () => {}).once('close', () => done())
    })
  await over(null)
  await over('GET / HTTP/1.1\r\n\r\n')
  await until('what was said', () => p.said.some((line) => line.startsWith('kafka: no TLS')))
  const said = p.said.filter((line) => line.startsWith('kafka: no TLS'))
  assert.equal(said.length, 1)
  assert.match(said[0]!, /"why":"ERR_SSL_/)
  assert.deepEqual(await refusals(p), [])
})
