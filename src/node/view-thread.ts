/** What a thread for views loads (`flow/workers`). */
import { prepareLoading } from './loading.ts'

prepareLoading()
const [{ serveViews }, { ownThread }, { realWorld }] = await Promise.all([
  import('../flow/workers/view-thread.ts'),
  import('../lib/real/threads.ts'),
  import('../lib/real/world.ts'),
])
const { port, data } = ownThread()
serveViews(port, data as import('../flow/workers/view-thread.ts').ViewThreadData, realWorld())
