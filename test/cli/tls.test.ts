/** The command line beside TLS: what starts says https, who does not trust a certificate is told how; lists with commas. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { authority, temporaryFolder } from '../security/certificates.ts'
import { run } from './run.ts'

const main = 'src/cli/main.ts'

test('with TLS the start says https, and a certificate that is not trusted is said as that', async (t) => {
  const dir = temporaryFolder(t)
  const ca = authority(dir, 'ca')
  const { certFile, keyFile } = ca.issue('server', '/CN=localhost')
  const files = ['--tls-cert', certFile, '--tls-key', keyFile]
  const listen = ['--data', ':memory:', '--listen', 'kafka=off', '--listen', 'http=127.0.0.1:0']
  const root = resolve(import.meta.dirname, '../..')
  const child = spawn(process.execPath, [main, 'serve', ...listen, ...files], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(async () => {
    child.kill()
    await once(child, 'exit')
  })
  let said = ''
  for await (const line of createInterface(child.stdout)) {
    said = line
    if (line.startsWith('  http')) break
  }
  const [, port] = /^  http   https:\/\/127\.0\.0\.1:(\d+)\/ {2}\(console\)$/.exec(said) ?? assert.fail(said)
  const list = (env: NodeJS.ProcessEnv) =>
    run(main, ['topic', 'list', '--server', `https://localhost:${port}`], { ...process.env, ...env })
  const stranger = await list({})
  assert.equal(stranger.code, 1)
  assert.match(stranger.stderr, /certificate of https:\/\/localhost:\d+ is not trusted.*\n.*NODE_EXTRA_CA_CERTS/)
  const friend = await list({ NODE_EXTRA_CA_CERTS: ca.certFile })
  assert.deepEqual([friend.code, friend.stderr], [0, ''])
})

test('a list is named several times or has commas, by a flag and by a variable', async () => {
  const of = async (words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Record<string, string>> => {
    const ran = await run(main, ['config', '-o', 'json', ...words], { ...process.env, ...env })
    assert.equal(ran.code, 0, ran.stderr)
    const rows = JSON.parse(ran.stdout) as { setting: string; value: string }[]
    return Object.fromEntries(rows.map(({ setting, value }) => [setting, value]))
  }
  const once = await of(['--kafka-sasl', 'SCRAM-SHA-256,SCRAM-SHA-512', '--listen', 'kafka=off,http=127.0.0.1:8181'])
  assert.equal(once['kafkaSasl'], 'SCRAM-SHA-256,SCRAM-SHA-512')
  assert.deepEqual([once['listen.kafka'], once['listen.http']], ['off', '127.0.0.1:8181'])
  const twice = await of(['--kafka-sasl', 'SCRAM-SHA-256', '--kafka-sasl', 'SCRAM-SHA-512'])
  assert.equal(twice['kafkaSasl'], 'SCRAM-SHA-256,SCRAM-SHA-512')
  // Of certificates the whole subject is the name, commas and all.
  const names = 'User:CN=root,O=Shop,User:admin'
  assert.equal((await of(['--super-users', names]))['superUsers'], names)
  assert.equal((await of([], { MILLRACE_SUPER_USERS: names }))['superUsers'], names)
})
