/** What a thread for views loads (`flow/workers`). */
import { type ViewThreadData, serveViews } from '../flow/workers/view-thread.ts'
import { ownThread } from '../lib/real/threads.ts'
import { realWorld } from '../lib/real/world.ts'

const { port, data } = ownThread()
serveViews(port, data as ViewThreadData, realWorld())
