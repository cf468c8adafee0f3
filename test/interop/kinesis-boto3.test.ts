/** boto3 on its defaults, over HTTP/1.1: `kinesis/boto.py` has the behaviours. */
import { join } from 'node:path'
import { after, test } from 'node:test'
import { reportBehaviours } from './kafka/behaviours.ts'
import { kinesisPython, startMillrace } from './setup/index.ts'

const millrace = await startMillrace({ args: ['--listen', 'kinesis=127.0.0.1:0'] })
after(() => millrace.stop())

test('boto3', async (t) => {
  const script = join(import.meta.dirname, 'kinesis', 'boto.py')
  await reportBehaviours(t, await kinesisPython(), ['-u', script, millrace.listen['kinesis']!], 20)
})
