/** The Java client of Apache Kafka 4.3.1 on its defaults: `kafka/Client.java` has the behaviours. */
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { reportBehaviours } from './kafka/behaviours.ts'
import { sharedTarget } from './kafka/target.ts'
import { kafkaDir } from './setup/index.ts'

const target = sharedTarget({ before, after })

test('the Java client', async (t) => {
  const dir = await kafkaDir()
  const program = join(import.meta.dirname, 'kafka', 'Client.java')
  const words = ['-Xmx512M', `-Dlog4j2.configurationFile=${dir}/log4j2-tools.xml`, '-cp', `${dir}/lib/*`, program]
  await reportBehaviours(t, 'java', [...words, target().address], 35)
})
