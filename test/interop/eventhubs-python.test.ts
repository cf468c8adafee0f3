/** azure-eventhub for Python with its checkpoint store, both kinds of it, over TCP and over WebSockets: `eventhubs/clients.py` has the behaviours. */
import { join } from 'node:path'
import { test } from 'node:test'
import { reportBehaviours } from './kafka/behaviours.ts'
import { pythonWith, startMillrace } from './setup/index.ts'

const packages = [
  'azure-eventhub==5.15.1',
  'azure-eventhub-checkpointstoreblob==1.2.0',
  'azure-eventhub-checkpointstoreblob-aio==1.2.0',
  'aiohttp==3.14.5',
  'websocket-client==1.9.2',
] as const

const quick = process.env['MILLRACE_QUICK'] === '1' ? 'the same over TCP is in the quick form' : false
for (const [kind, transport, behaviours, skip] of [
  ['sync', 'tcp', 20, false],
  ['aio', 'tcp', 17, false],
  ['sync', 'websocket', 20, quick],
  ['aio', 'websocket', 17, quick],
] as const)
  test(`azure-eventhub, ${kind}, ${transport}`, { skip }, async (t) => {
    const python = await pythonWith('azure', ...packages)
    await using millrace = await startMillrace({ args: ['--listen', 'eventhubs=127.0.0.1:0'] })
    const script = join(import.meta.dirname, 'eventhubs', 'clients.py')
    const args = ['-u', script, kind, millrace.listen['eventhubs']!, millrace.http, transport]
    await reportBehaviours(t, python, args, behaviours)
    await millrace.stop()
  })
