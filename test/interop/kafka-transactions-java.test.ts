/** The Java client of Apache Kafka 4.3.1 in transactions: `kafka/Transactions.java` has the behaviours. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { reportBehaviours } from './kafka/behaviours.ts'
import { sharedTarget } from './kafka/target.ts'
import { kafkaDir, run } from './setup/index.ts'

const target = sharedTarget({ before, after })
const classes = mkdtempSync(join(tmpdir(), 'kafka-transactions-'))
after(() => rmSync(classes, { recursive: true, force: true }))

test('the Java client, transactional.id', async (t) => {
  const dir = await kafkaDir()
  const sources = ['Client.java', 'Transactions.java'].map((file) => join(import.meta.dirname, 'kafka', file))
  await run('javac', ['-cp', `${dir}/lib/*`, '-d', classes, ...sources])
  const words = ['-Xmx512M', `-Dlog4j2.configurationFile=${dir}/log4j2-tools.xml`, '-cp', `${classes}:${dir}/lib/*`]
  await reportBehaviours(t, 'java', [...words, 'Transactions', target().address], 12)
})
