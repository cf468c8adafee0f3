/** What a client of MQTT 5 is told of a fault. */
import { Fault, asFault } from '../../lib/fault.ts'
import { MqttError, type Reason, reason } from '../../wire/mqtt/reason.ts'

/** Reason code and reason string, and whether it may go better later. */
export function reasonOf(error: unknown): [code: Reason, why: string, mayPass: boolean] {
  if (error instanceof MqttError) return [error.reason, error.message, false]
  const fault = asFault(error)
  return [codeOf(fault.code), fault.code === 'internal' ? 'an error inside the server' : fault.message, fault.retry]
}
/** The disk did not take it, and may take it later. */
export const isOfDisk = (error: unknown): boolean =>
  error instanceof Fault && (error.code === 'store.full' || error.code === 'store.failed')
function codeOf(code: string): Reason {
  switch (code) {
    case 'security.authentication-failed':
    case 'security.not-authenticated':
      return reason.badUserOrPassword
    case 'security.not-authorized':
      return reason.notAuthorized
    case 'http.too-many':
    case 'security.throttled':
      return reason.serverBusy
    case 'log.batch-too-large':
    case 'wire.too-large':
      return reason.packetTooLarge
    case 'store.full':
      return reason.quotaExceeded
    case 'log.closed':
      return reason.serverShuttingDown
    case 'log.invalid-topic':
      return reason.topicNameInvalid
    case 'log.invalid-batch':
    case 'json.malformed':
    case 'schema.invalid':
    case 'schema.key-mismatch':
      return reason.payloadFormatInvalid
    default:
      return reason.unspecified
  }
}
