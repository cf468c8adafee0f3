/** A thread for views that a test can break: `{ crash: true }` and `{ hang: true }` as messages. */
import { parentPort } from 'node:worker_threads'
import '../../../src/node/view-thread.ts'

parentPort!.on('message', (message: { crash?: true; hang?: true }) => {
  if (message.crash === true) throw new Error('broken by a test')
  if (message.hang === true) for (;;);
})
