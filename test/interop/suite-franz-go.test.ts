/** The integration tests of franz-go's client (package kgo), unchanged, against Millrace. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, test } from 'node:test'
import { createInterface } from 'node:readline'
import { sharedTarget } from './kafka/target.ts'
import { goTests } from './setup/index.ts'

const version = 'v1.22.3'
const skip = process.env['MILLRACE_QUICK'] === '1' ? 'minutes long: only in the full form' : false
const target = sharedTarget({ before, after })
/** Their own default is 500,000. */
const records = 50_000

test(`franz-go ${version}: kgo`, { skip, timeout: 570_000 }, async (t) => {
  const { binary, folder } = await goTests('github.com/twmb/franz-go', version, 'pkg/kgo')
  const env = { KGO_TEST_RF: '1', KGO_TEST_RECORDS: String(records), KGO_LOG_LEVEL: 'none' }
  const child = spawn(binary, ['-test.v', '-test.timeout=540s'], {
    cwd: folder,
    env: { ...process.env, ...env, KGO_SEEDS: target().address },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise((done) => child.once('close', done))
  const tail: string[] = []
  let passed = 0
  for await (const line of createInterface(child.stdout)) {
    tail.push(line)
    if (tail.length > 60) tail.shift()
    const found = /^--- (PASS|FAIL|SKIP): (\S+)/.exec(line)
    if (found === null) continue
    const [, how, name] = found
    if (how === 'PASS') passed++
    if (how === 'SKIP') t.diagnostic(`${name} skips itself`)
    if (how === 'FAIL') await t.test(name!, () => assert.fail('see what it says below'))
  }
  t.diagnostic(`${passed} of their tests passed`)
  assert.equal(await ended, 0, tail.join('\n'))
  assert.ok(passed > 100, `only ${passed} ran`)
})
