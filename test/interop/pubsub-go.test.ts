/** cloud.google.com/go/pubsub/v2, unmodified, against Millrace. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { startPubsub } from './pubsub/target.ts'
import { goProgram, repository } from './setup/index.ts'

const cases = 16
const skip = process.env['MILLRACE_QUICK'] === '1' ? 'builds a program in Go: only in the full form' : false

test('cloud.google.com/go/pubsub/v2 v2.9.0', { skip, timeout: 570_000 }, async (t) => {
  const source = join(repository, 'test/interop/pubsub/goclient/main.go')
  const program = await goProgram('pubsub-client', source, 'cloud.google.com/go/pubsub/v2@v2.9.0')
  await using target = await startPubsub()
  const env = { ...process.env, PUBSUB_EMULATOR_HOST: target.address }
  const child = spawn(program, [], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let held = 0
  for await (const line of createInterface(child.stdout)) {
    const [, how, name, why = ''] = /^(ok|failed) ([^:]+)(?:: (.*))?$/s.exec(line) ?? []
    if (name === undefined) continue
    if (how === 'ok') held++
    await t.test(name, () => assert.equal(how, 'ok', why))
  }
  assert.equal(held, cases)
})
