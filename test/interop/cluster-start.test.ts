/** What stands in the way of a start on a Kafka cluster is said in one line that names it, and the program ends. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type SecureKafka, freePorts, repository, startSecureKafka } from './setup/index.ts'

const data = mkdtempSync(join(tmpdir(), 'millrace-cluster-start-'))
const ca = join(data, 'kafka', 'tls', 'ca.pem')
let kafka: SecureKafka

interface Ended {
  readonly code: number | null
  readonly said: string
}
/** `millrace serve` until it is ready, or has ended. */
function serve(log: string, password: string, args: readonly string[] = []): Promise<Ended> {
  const words = ['serve', '--data', ':memory:', '--listen', 'http=127.0.0.1:0', '--log', log, ...args, '-o', 'json']
  const child = spawn(process.execPath, [join(repository, 'src/cli/main.ts'), ...words], {
    env: { ...process.env, ...(password === '' ? {} : { MILLRACE_LOG_PASSWORD: password }) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  let isReady = false
  const take = (bytes: Buffer): void => {
    said += bytes.toString()
    if (!isReady && said.includes('"ready"')) {
      isReady = true
      child.kill('SIGTERM')
    }
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  return new Promise((done) => child.once('close', (code) => done({ code, said })))
}
const where = (query: string): string => `kafka://${kafka.address}?${query}`

describe('a start on a Kafka cluster', () => {
  before(async () => {
    kafka = await startSecureKafka(join(data, 'kafka'))
  })
  after(async () => {
    await kafka.stop()
    rmSync(data, { recursive: true, force: true })
  })

  test('succeeds with the right password, from the environment or from a file', async () => {
    const file = join(data, 'password')
    writeFileSync(file, `${kafka.password}\n`)
    const log = where(`ca=${ca}&sasl=SCRAM-SHA-512&user=admin`)
    const [byEnvironment, byFile] = [
      await serve(log, kafka.password),
      await serve(log, '', ['--log-password-file', file]),
    ]
    for (const { code, said } of [byEnvironment, byFile]) {
      assert.equal(code, 0, said)
      assert.match(said, /"ready"/)
      assert.ok(!said.includes(kafka.password))
    }
  })
  const refused: Readonly<Record<string, readonly [query: () => string, password: string, says: RegExp]>> = {
    'a wrong password': [
      () => where(`ca=${ca}&sasl=SCRAM-SHA-256&user=admin`),
      'wrong',
      /does not let admin in by SCRAM-SHA-256/,
    ],
    'a mechanism that is not offered': [
      () => where(`ca=${ca}&sasl=PLAIN&user=admin`),
      'secret-pw',
      /does not let admin in by PLAIN: the cluster takes .*SCRAM-SHA-256/,
    ],
    'a user without rights': [
      () => where(`ca=${ca}&sasl=SCRAM-SHA-256&user=alice`),
      'secret-pw',
      /the Kafka cluster does not allow it: /,
    ],
    'a certificate that nobody vouches for': [
      () => where('tls=true&sasl=SCRAM-SHA-256&user=admin'),
      'secret-pw',
      /did not do it: .*certificate/,
    ],
    'an authority that cannot be read': [() => where('ca=/nowhere/ca.pem'), '', /log\.tls\.ca.*cannot be read/],
  }
  for (const [what, [query, password, says]] of Object.entries(refused))
    test(`does not succeed with ${what}`, async () => {
      const { code, said } = await serve(query(), password)
      assert.equal(code, what.includes('cannot be read') ? 2 : 1, said)
      assert.match(said, says)
      assert.ok(password === '' || !said.includes(password), 'the password is not shown')
    })
  test('does not succeed where nobody listens', async () => {
    const [port] = await freePorts()
    const started = performance.now()
    const { code, said } = await serve(`kafka://127.0.0.1:${port}`, '')
    assert.equal(code, 1, said)
    assert.match(said, /did not do it: .*ECONNREFUSED/)
    assert.ok(performance.now() - started < 40_000, 'it does not try for ever')
  })
})
