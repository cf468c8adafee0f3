import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import { test } from 'node:test'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { TlsClient } from '../../../src/lib/world.ts'

const { net } = realWorld()
const pem = (name: string): string => readFileSync(new URL(`../../fixtures/tls/${name}`, import.meta.url), 'utf8')
const ca = pem('ca.pem')

async function echo(host: string, tls: TlsClient): Promise<string> {
  const server = createServer({ cert: pem('server.pem'), key: pem('server.key') }, (socket) => {
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const connection = await net.connect({ host, port: (server.address() as AddressInfo).port }, undefined, tls)
    const answered = new Promise<string>((resolve) =>
      connection.onBytes((bytes) => resolve(Buffer.from(bytes).toString())),
    )
    connection.write([Buffer.from('hello')])
    const text = await answered
    connection.destroy()
    return text
  } finally {
    server.close()
  }
}

test('an encrypted connection carries bytes when an authority that is trusted vouches for the host', async () => {
  assert.equal(await echo('localhost', { ca }), 'hello')
  assert.equal(await echo('127.0.0.1', { ca }), 'hello')
  assert.equal(await echo('127.0.0.1', { ca, serverName: 'localhost' }), 'hello')
})

test('a certificate that nobody trusted vouches for, or of another host, is refused', async () => {
  await assert.rejects(echo('localhost', {}), /self-signed|unable to verify|unable to get/)
  await assert.rejects(echo('localhost', { ca, serverName: 'elsewhere.example' }), /elsewhere\.example/)
})
