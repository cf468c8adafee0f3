/** azeventhubs for Go with its checkpoint store: `eventhubs/goclient/main.go` has the behaviours. */
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { livesThroughKills } from './eventhubs/kills.ts'
import { startSecureHubs } from './eventhubs/secure.ts'
import { reportBehaviours } from './kafka/behaviours.ts'
import { goProgram, orSkip, repository, startMillrace } from './setup/index.ts'

const skip = process.env['MILLRACE_QUICK'] === '1' ? 'builds a program in Go: only in the full form' : false
const program = (t: TestContext): Promise<string | null> => {
  const source = join(repository, 'test/interop/eventhubs/goclient/main.go')
  const module = 'github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2@v2.0.2'
  return orSkip(t, goProgram('eventhubs-client', source, module))
}

test('azeventhubs for Go', { skip, timeout: 570_000 }, async (t) => {
  const binary = await program(t)
  if (binary === null) return
  await using millrace = await startMillrace({ args: ['--listen', 'eventhubs=127.0.0.1:0'] })
  await reportBehaviours(t, binary, ['plain', millrace.listen['eventhubs']!, millrace.http], 22)
  await millrace.stop()
})

test('azeventhubs for Go, over TLS with keys', { skip, timeout: 570_000 }, async (t) => {
  const binary = await program(t)
  if (binary === null) return
  await using hubs = await startSecureHubs(t)
  const { address, keyName, key, hub, caFile } = hubs
  await reportBehaviours(t, binary, ['secure', address, keyName, key, hub, caFile, await hubs.token(600)], 5)
})

test('a producer and a processor of Go live through kills of Millrace', { skip, timeout: 570_000 }, async (t) => {
  const binary = await program(t)
  if (binary !== null) await livesThroughKills(t, (address, hub) => [binary, 'steady', address, hub])
})
