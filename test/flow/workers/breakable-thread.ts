/** A thread for views that a test can break: `{ crash: true }` and `{ hang: true }` as messages; `begun`: it is at it. */
import { parentPort } from 'node:worker_threads'
import '../../../src/node/view-thread.ts'

parentPort!.on('message', (message: { crash?: true; hang?: true; begun?: Int32Array }) => {
  if (message.begun !== undefined) Atomics.store(message.begun, 0, 1)
  if (message.crash === true) throw new Error('broken by a test')
  if (message.hang === true) for (;;);
})
