/** The official library, and its errors as faults. */
import { Fault } from '../../lib/fault.ts'
import type { SinkHost, SourceHost } from '../kind.ts'
import { loadPackage } from '../packages.ts'

export type Library = typeof import('@azure/event-hubs')
const version = '6'

/** Throws Fault connect.missing-package. */
export const openLibrary = (host: SourceHost | SinkHost): Promise<Library> =>
  loadPackage<Library>(host.load, '@azure/event-hubs', version)

/** What asking again does not mend, whatever the library thinks of it. */
const lasting = new Set(['UnauthorizedError', 'MessagingEntityNotFoundError', 'MessagingEntityDisabledError'])
export function faultOf(what: string, error: unknown): Fault {
  if (error instanceof Fault) return error
  const { code = '', name = '', message = '' } = error as { code?: string; name?: string; message?: string }
  const why = `${code === '' ? name : code}: ${message}`
  return new Fault(lasting.has(code) ? 'connect.refused' : 'connect.unavailable', { what, why }, error)
}
