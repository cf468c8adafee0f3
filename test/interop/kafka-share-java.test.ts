/** The Java client of Apache Kafka 4.3.1 in share groups: `kafka/Share.java` has the behaviours. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { reportBehaviours } from './kafka/behaviours.ts'
import { sharedTarget } from './kafka/target.ts'
import { kafkaDir, run } from './setup/index.ts'

const target = sharedTarget({ before, after })
const classes = mkdtempSync(join(tmpdir(), 'kafka-share-'))
after(() => rmSync(classes, { recursive: true, force: true }))

test('the Java client, share groups', async (t) => {
  const dir = await kafkaDir()
  const sources = ['Client.java', 'Share.java'].map((file) => join(import.meta.dirname, 'kafka', file))
  await run('javac', ['-cp', `${dir}/lib/*`, '-d', classes, ...sources])
  const words = ['-Xmx512M', `-Dlog4j2.configurationFile=${dir}/log4j2-tools.xml`, '-cp', `${classes}:${dir}/lib/*`]
  const { address, millrace } = target()
  await reportBehaviours(t, 'java', [...words, 'Share', address, millrace === null ? 'kafka' : 'millrace'], 15)
})
