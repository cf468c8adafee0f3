/**
 * Eclipse Paho's interoperability suites, unchanged: `client_test.py` (3.1.1) and `client_test5.py` (5) of
 * https://github.com/eclipse/paho.mqtt.testing. They are in no package registry: PAHO_MQTT_TESTING names a checkout.
 *
 * Two tests want a server that is set up for them: clients are told to be heard every 60 seconds, and nobody may subscribe
 * to `test/nosubscribe`.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { anonymous, principalText } from '../../src/security/principal.ts'
import { makeUser, platform } from '../security/platform.ts'
import { pahoPython } from './setup/index.ts'

const checkout = process.env['PAHO_MQTT_TESTING'] ?? ''
const skip = checkout === '' ? 'PAHO_MQTT_TESTING names no checkout of eclipse/paho.mqtt.testing' : false

/** `unittest` would take the port for an option of its own: it is shown none. */
const run = `
import runpy, sys, unittest
main = unittest.main
def alone():
    sys.argv[1:] = ["-v"]
    main()
unittest.main = alone
sys.argv = sys.argv[1:]
sys.path.insert(0, ".")
runpy.run_path(sys.argv[0], run_name="__main__")
`

async function server(t: TestContext): Promise<string> {
  const p = await platform(t, {
    listen: ['kafka=127.0.0.1:0', 'http=127.0.0.1:0', 'mqtt=127.0.0.1:0'],
    mqttKeepAlive: '60s',
  })
  await makeUser(p, 'admin', 'secret', true)
  const principal = principalText(anonymous)
  const grant = { principal, host: '*', resource: 'topic', pattern: 'literal' } as const
  await p.security.grants.add([
    { ...grant, name: '*', operation: 'all', permission: 'allow' },
    { ...grant, name: 'mqtt.test', operation: 'read', permission: 'deny' },
  ])
  return p.listening().mqtt!.split(':')[1]!
}
async function suite(script: string, port: string): Promise<string> {
  const child = spawn(await pahoPython(), ['-W', 'ignore', '-c', run, script, '-p', port], {
    cwd: join(checkout, 'interoperability'),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (said += data.toString()))
  await new Promise((done) => child.once('close', done))
  return said
}

/** Of version 5 the suite's own client takes no code in SUBACK but 0, 1, 2 and 0x80; the standard (3.9.3) has 0x87 for it. */
const failing: Readonly<Record<string, readonly string[]>> = {
  'client_test.py': [],
  'client_test5.py': ['test_subscribe_failure'],
}
for (const [script, count] of [
  ['client_test.py', 10],
  ['client_test5.py', 27],
] as const)
  test(`${script}: ${count} tests`, { skip, timeout: 300_000 }, async (t) => {
    const said = await suite(script, await server(t))
    const failed = [...said.matchAll(/^(?:FAIL|ERROR): (\w+) /gm)].map(([, name]) => name)
    assert.deepEqual(failed, failing[script], said.slice(-4_000))
    assert.match(said, new RegExp(`Ran ${count} tests`))
  })
