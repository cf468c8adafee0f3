/** Acknowledgements and deadlines, with the service's own errors. */
import { limits } from '../../lib/limits.ts'
import { RpcError, invalid } from './errors.ts'
import { InvalidAckId, type Refused, type Subscription } from './subscription.ts'

/** Throws RpcError INVALID_ARGUMENT. */
export function checkDeadline(seconds: number, field: string, min = 10): void {
  if (seconds < min || seconds > 600)
    throw invalid(
      `Invalid ${field} given (${field}=${seconds}). The value must be between ${min} and 600 seconds, inclusive.`,
    )
}
/** Ids that nothing became of; only where exactly once is promised are there any. */
export async function acknowledged(subscription: Subscription, ids: readonly string[]): Promise<Refused> {
  checkCount(ids)
  return said(() => subscription.acknowledge(ids))
}
export async function deadlineModified(
  subscription: Subscription,
  ids: readonly string[],
  seconds: number,
): Promise<Refused> {
  checkCount(ids)
  checkDeadline(seconds, 'ack_deadline_seconds', 0)
  return said(() => subscription.modifyDeadline(ids, seconds))
}
function checkCount(ids: readonly string[]): void {
  if (ids.length === 0) throw invalid('No ack ids specified in the request.')
  if (ids.length > limits.pubsubAckIds)
    throw invalid(`Too many ack ids in one request: ${ids.length}, and the limit is ${limits.pubsubAckIds}.`)
}
async function said(settle: () => Promise<Refused>): Promise<Refused> {
  try {
    return await settle()
  } catch (error) {
    throw error instanceof InvalidAckId ? invalid(error.message) : error
  }
}
/** What a unary call answers where some ids were not valid: the others are done. */
export function someRefused(refused: Refused): RpcError {
  return new RpcError(
    'FAILED_PRECONDITION',
    'Some acknowledgement ids in the request were invalid. This could be because the acknowledgement ids have expired or the acknowledgement ids were malformed.',
    {
      reason: 'EXACTLY_ONCE_ACKID_FAILURE',
      domain: 'pubsub.googleapis.com',
      metadata: new Map(Array.from(refused, ([id, why]) => [id, reasons[why]])),
    },
  )
}
const reasons = {
  invalid: 'PERMANENT_FAILURE_INVALID_ACK_ID',
  unordered: 'TRANSIENT_FAILURE_UNORDERED_ACK_ID',
} as const
