import { Fault } from '../lib/fault.ts'

/** What a disk says as a Fault; a mistake of ours stays what it is. */
export function diskFault(error: unknown, path: string): unknown {
  if (error instanceof Fault || typeof (error as { code?: unknown } | null)?.code !== 'string') return error
  return new Fault('store.failed', { what: (error as Error).message, path }, error)
}
