/** What faults are called in AMQP and by Event Hubs' clients, which decide by it whether to try again. */
import { asFault, faults, type Fault } from '../../lib/fault.ts'
import { error, valueOf } from '../../wire/amqp/composites.ts'
import type { Value } from '../../wire/amqp/values.ts'

export interface Refusal {
  readonly condition: string
  readonly description: string
}
export const condition = {
  notFound: 'amqp:not-found',
  unauthorized: 'amqp:unauthorized-access',
  stolen: 'amqp:link:stolen',
  detachForced: 'amqp:link:detach-forced',
  messageSize: 'amqp:link:message-size-exceeded',
  transferLimit: 'amqp:link:transfer-limit-exceeded',
  resourceLimit: 'amqp:resource-limit-exceeded',
  notAllowed: 'amqp:not-allowed',
  notImplemented: 'amqp:not-implemented',
  invalidField: 'amqp:invalid-field',
  decode: 'amqp:decode-error',
  internal: 'amqp:internal-error',
  framing: 'amqp:connection:framing-error',
  forced: 'amqp:connection:forced',
  unattached: 'amqp:session:unattached-handle',
  handleInUse: 'amqp:session:handle-in-use',
  windowViolation: 'amqp:session:window-violation',
  outOfRange: 'com.microsoft:argument-out-of-range',
  argument: 'com.microsoft:argument-error',
  busy: 'com.microsoft:server-busy',
  timeout: 'com.microsoft:timeout',
  disabled: 'com.microsoft:entity-disabled',
} as const

const byCode: Readonly<Record<string, string>> = {
  'log.unknown-topic': condition.notFound,
  'log.unknown-partition': condition.outOfRange,
  'log.batch-too-large': condition.messageSize,
  'wire.too-large': condition.messageSize,
  'wire.malformed': condition.decode,
  // Of the others that would fit, official clients try none again.
  'store.full': condition.busy,
  'log.closed': condition.busy,
  internal: condition.internal,
}

/** An answer of our own, thrown where a request is looked at. */
export class Refused extends Error {
  readonly refusal: Refusal

  constructor(condition: string, description: string) {
    super(description)
    this.name = 'Refused'
    this.refusal = { condition, description }
  }
}
export function refusalOf(thrown: unknown): Refusal {
  if (thrown instanceof Refused) return thrown.refusal
  const fault = asFault(thrown)
  return { condition: conditionOf(fault), description: `${fault.message} (${fault.code})` }
}
function conditionOf(fault: Fault): string {
  const known = byCode[fault.code]
  if (known !== undefined) return known
  if (fault.code.startsWith('security.')) return condition.unauthorized
  if (fault.retry) return condition.busy
  return faults[fault.code].http < 500 ? condition.argument : condition.internal
}
export const errorValue = ({ condition, description }: Refusal): Value => valueOf(error, { condition, description })

/** HTTP's numbers, which the management and token nodes answer with. */
export function statusOf({ condition: what }: Refusal): number {
  switch (what) {
    case condition.notFound:
      return 404
    case condition.unauthorized:
      return 401
    case condition.busy:
      return 503
    case condition.internal:
      return 500
    case condition.resourceLimit:
      return 403
    default:
      return 400
  }
}
