/** Eclipse Paho's Python client, versions 3.1.1 and 5: `mqtt/paho_client.py` has the behaviours. */
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { reportBehaviours } from './kafka/behaviours.ts'
import { type MqttTarget, startTarget } from './mqtt/target.ts'
import { pahoPython } from './setup/index.ts'

let target: MqttTarget
before(async () => {
  target = await startTarget()
})
after(() => target.millrace?.[Symbol.asyncDispose]())

test('paho-mqtt', async (t) => {
  const script = join(import.meta.dirname, 'mqtt', 'paho_client.py')
  await reportBehaviours(t, await pahoPython(), ['-u', script, target.host, String(target.port), '/mqtt'], 31)
})
