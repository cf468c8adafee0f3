/** azure-messaging-eventhubs for Java with its checkpoint store: `eventhubs/Behaviours.java` has the behaviours. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, after, test } from 'node:test'
import { livesThroughKills } from './eventhubs/kills.ts'
import { startSecureHubs } from './eventhubs/secure.ts'
import { reportBehaviours } from './kafka/behaviours.ts'
import { eventHubsJava, orSkip, run, startMillrace } from './setup/index.ts'

const classes = mkdtempSync(join(tmpdir(), 'eventhubs-java-'))
after(() => rmSync(classes, { recursive: true, force: true }))
const jvm = ['-Xmx512M', '-XX:TieredStopAtLevel=1']
/** The words of a JVM up to the class; null: the test is passed over. */
async function compiled(t: TestContext): Promise<readonly string[] | null> {
  const dir = await orSkip(t, eventHubsJava())
  if (dir === null) return null
  const source = join(import.meta.dirname, 'eventhubs', 'Behaviours.java')
  await run('javac', ['-Xlint:-deprecation', '-nowarn', '-cp', `${dir}/lib/*`, '-d', classes, source])
  return [...jvm, '-cp', `${classes}:${dir}/lib/*`]
}

const fullOnly = process.env['MILLRACE_QUICK'] === '1' ? 'takes half a minute: only in the full form' : false
for (const [what, behaviours, skip] of [
  ['plain', 25, false],
  ['more', 2, fullOnly],
] as const)
  test(`azure-messaging-eventhubs for Java, ${what}`, { skip }, async (t) => {
    const java = await compiled(t)
    if (java === null) return
    await using millrace = await startMillrace({ args: ['--listen', 'eventhubs=127.0.0.1:0'] })
    const words = [...java, 'Behaviours', what, millrace.listen['eventhubs']!, millrace.http]
    await reportBehaviours(t, 'java', words, behaviours)
    await millrace.stop()
  })

test('azure-messaging-eventhubs for Java, over TLS with keys', { skip: fullOnly }, async (t) => {
  const java = await compiled(t)
  if (java === null) return
  await using hubs = await startSecureHubs(t)
  const trusted = join(hubs.folder, 'trusted.p12')
  const store = ['-keystore', trusted, '-storetype', 'PKCS12', '-storepass', 'public']
  await run('keytool', ['-importcert', '-noprompt', '-alias', 'ours', '-file', hubs.caFile, ...store])
  const trust = [`-Djavax.net.ssl.trustStore=${trusted}`, '-Djavax.net.ssl.trustStorePassword=public']
  const words = [...trust, ...java, 'Behaviours', 'secure', hubs.address, hubs.keyName, hubs.key]
  await reportBehaviours(t, 'java', [...words, hubs.hub, await hubs.token(15), await hubs.token(600)], 8)
})

test('a producer and a processor of Java live through kills of Millrace', { skip: fullOnly }, async (t) => {
  const java = await compiled(t)
  if (java !== null)
    await livesThroughKills(t, (address, hub) => ['java', ...java, 'Behaviours', 'steady', address, hub])
})
