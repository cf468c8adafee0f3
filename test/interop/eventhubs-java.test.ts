/** azure-messaging-eventhubs for Java with its checkpoint store: `eventhubs/Behaviours.java` has the behaviours. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startHubs } from '../gateway/eventhubs/local-hubs.ts'
import { tokenIssuer } from '../gateway/eventhubs/token-issuer.ts'
import { authority, temporaryFolder } from '../security/certificates.ts'
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

const skip = process.env['MILLRACE_QUICK'] === '1' ? 'waits until a token is over: only in the full form' : false
test('azure-messaging-eventhubs for Java, over TLS with keys', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  const ours = authority(folder, 'ours')
  const server = ours.issue('server', '/CN=localhost')
  const trusted = join(folder, 'trusted.p12')
  const store = ['-keystore', trusted, '-storetype', 'PKCS12', '-storepass', 'public']
  await run('keytool', ['-importcert', '-noprompt', '-alias', 'ours', '-file', ours.certFile, ...store])
  const tls = { cert: server.cert, key: server.key, clientAuth: 'none' } as const
  const { disk, oauth, token } = await tokenIssuer()
  await using hubs = await startHubs({ authenticates: true, hubs: { secure: 2 }, tls, disk, oauth })
  await hubs.security.users.change([{ name: 'root', super: true }])
  const { id, secret } = await hubs.security.accessKeys.create({ user: 'root' })
  const trust = [`-Djavax.net.ssl.trustStore=${trusted}`, '-Djavax.net.ssl.trustStorePassword=public']
  const words = [...jvm, ...trust, '-cp', classPath, 'Behaviours', 'secure', `localhost:${hubs.port}`]
  await reportBehaviours(
    t,
    'java',
    [...words, id, secret, 'secure', await token('root', 15), await token('root', 600)],
    8,
  )
})
