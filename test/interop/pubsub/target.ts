/** Millrace with its Pub/Sub listener, as a process of its own. `MILLRACE_TEST_PUBSUB` (HOST:PORT) names another server. */
import { type Millrace, type StartOptions, startMillrace } from '../setup/index.ts'

export interface PubsubTarget extends AsyncDisposable {
  /** HOST:PORT */
  readonly address: string
  readonly millrace: Millrace | null
}
export async function startPubsub(options: StartOptions = {}): Promise<PubsubTarget> {
  const other = process.env['MILLRACE_TEST_PUBSUB']
  if (other !== undefined) return { address: other, millrace: null, [Symbol.asyncDispose]: async () => undefined }
  const { args = [] } = options
  const millrace = await startMillrace({ ...options, args: [...args, '--listen', 'pubsub=127.0.0.1:0'] })
  return { address: millrace.listen['pubsub']!, millrace, [Symbol.asyncDispose]: () => millrace.stop() }
}
