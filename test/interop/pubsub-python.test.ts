/** google-cloud-pubsub (Python), unmodified, against Millrace. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { startPubsub } from './pubsub/target.ts'
import { pythonWith, repository } from './setup/index.ts'

const cases = 18

test('google-cloud-pubsub 2.44.0', { timeout: 300_000 }, async (t) => {
  const python = await pythonWith('pubsub', 'google-cloud-pubsub==2.44.0')
  await using target = await startPubsub()
  const env = { ...process.env, PUBSUB_EMULATOR_HOST: target.address, GRPC_VERBOSITY: 'NONE' }
  const script = join(repository, 'test/interop/pubsub/clients.py')
  const child = spawn(python, [script], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stderr.on('data', (bytes: Buffer) => (said = `${said}${bytes.toString()}`.slice(-4_000)))
  let held = 0
  for await (const line of createInterface(child.stdout)) {
    const [, how, name, why = ''] = /^(ok|failed) (\w+)(?:: (.*))?$/s.exec(line) ?? []
    if (name === undefined) continue
    if (how === 'ok') held++
    await t.test(name.replaceAll('_', ' '), () => assert.equal(how, 'ok', why))
  }
  assert.equal(held, cases, said)
})
