/** azure-messaging-eventhubs for Java with its checkpoint store: `eventhubs/Behaviours.java` has the behaviours. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { livesThroughKills } from './eventhubs/kills.ts'
import { startSecureHubs } from './eventhubs/secure.ts'
import { reportBehaviours } from './kafka/behaviours.ts'
import { eventHubsJava, run, startMillrace } from './setup/index.ts'

const classes = mkdtempSync(join(tmpdir(), 'eventhubs-java-'))
after(() => rmSync(classes, { recursive: true, force: true }))
let classPath = ''
const jvm = ['-Xmx512M', '-XX:TieredStopAtLevel=1']

before(async () => {
  const dir = await eventHubsJava()
  const source = join(import.meta.dirname, 'eventhubs', 'Behaviours.java')
  await run('javac', ['-Xlint:-deprecation', '-nowarn', '-cp', `${dir}/lib/*`, '-d', classes, source])
  classPath = `${classes}:${dir}/lib/*`
})

test('azure-messaging-eventhubs for Java', async (t) => {
  await using millrace = await startMillrace({ args: ['--listen', 'eventhubs=127.0.0.1:0'] })
  const words = [...jvm, '-cp', classPath, 'Behaviours', 'plain', millrace.listen['eventhubs']!, millrace.http]
  await reportBehaviours(t, 'java', words, 26)
  await millrace.stop()
})

const fullOnly = process.env['MILLRACE_QUICK'] === '1' ? 'takes half a minute: only in the full form' : false
test('azure-messaging-eventhubs for Java, over TLS with keys', { skip: fullOnly }, async (t) => {
  await using hubs = await startSecureHubs(t)
  const trusted = join(hubs.folder, 'trusted.p12')
  const store = ['-keystore', trusted, '-storetype', 'PKCS12', '-storepass', 'public']
  await run('keytool', ['-importcert', '-noprompt', '-alias', 'ours', '-file', hubs.caFile, ...store])
  const trust = [`-Djavax.net.ssl.trustStore=${trusted}`, '-Djavax.net.ssl.trustStorePassword=public']
  const words = [...jvm, ...trust, '-cp', classPath, 'Behaviours', 'secure', hubs.address, hubs.keyName, hubs.key]
  await reportBehaviours(t, 'java', [...words, hubs.hub, await hubs.token(15), await hubs.token(600)], 8)
})

test('a producer and a processor of Java live through kills of Millrace', { skip: fullOnly }, (t) =>
  livesThroughKills(t, (address, hub) => ['java', ...jvm, '-cp', classPath, 'Behaviours', 'steady', address, hub]),
)
