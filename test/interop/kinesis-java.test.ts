/** AWS's SDK for Java 2, asynchronous: CBOR over HTTP/2 with prior knowledge. `kinesis/Behaviours.java` has the behaviours. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { reportBehaviours } from './kafka/behaviours.ts'
import { kinesisJava, run, startMillrace } from './setup/index.ts'

const millrace = await startMillrace({ args: ['--listen', 'kinesis=127.0.0.1:0'] })
after(() => millrace.stop())
const classes = mkdtempSync(join(tmpdir(), 'kinesis-java-'))
after(() => rmSync(classes, { recursive: true, force: true }))

test('the AWS SDK for Java 2', async (t) => {
  const dir = await kinesisJava()
  await run('javac', ['-cp', `${dir}/lib/*`, '-d', classes, join(import.meta.dirname, 'kinesis', 'Behaviours.java')])
  const words = ['-Xmx512M', '-cp', `${classes}:${dir}/lib/*`, 'Behaviours', millrace.listen['kinesis']!]
  await reportBehaviours(t, 'java', words, 15)
})
