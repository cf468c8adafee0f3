/** aiokafka on its defaults: `kafka/aio.py` has the behaviours. */
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { reportBehaviours } from './kafka/behaviours.ts'
import { sharedTarget } from './kafka/target.ts'
import { python } from './setup/index.ts'

const target = sharedTarget({ before, after })

test('aiokafka', async (t) => {
  const script = join(import.meta.dirname, 'kafka', 'aio.py')
  await reportBehaviours(t, await python(), ['-u', script, target().address], 26)
})
