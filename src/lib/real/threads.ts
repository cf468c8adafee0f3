import { Worker, parentPort, workerData } from 'node:worker_threads'
import { assert } from '../assert.ts'
import { type Port, portOf } from '../line.ts'
import type { Thread, Threads } from '../world.ts'

export const realThreads: Threads = {
  start(module, data): Thread {
    // What the process was started with may be of no use to a module: `--eval`, `--input-type`.
    const worker = new Worker(module, { workerData: data, execArgv: [] })
    const { promise: ended, resolve } = Promise.withResolvers<string | null>()
    let why: string | null = null
    let isTold = false
    worker.on('error', (error: unknown) => (why = error instanceof Error ? error.message : String(error)))
    worker.once('exit', (code) => resolve(isTold ? null : (why ?? `it ended with code ${code}`)))
    const port = portOf(worker)
    return {
      port: {
        ...port,
        hear: (call) => {
          port.hear(call)
          // Listening has taken hold of the process.
          worker.unref()
        },
      },
      ended,
      end: async () => {
        isTold = true
        await worker.terminate()
      },
    }
  },
}

/** In a thread: what it was started with. */
export function ownThread(): { readonly port: Port; readonly data: unknown } {
  assert(parentPort !== null, 'a thread that was started by another')
  return { port: portOf(parentPort), data: workerData }
}
