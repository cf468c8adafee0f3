/** Codes of transactions where older clients know others, or none. */
import { Fault } from '../../lib/fault.ts'
import { code, groupErrorCode } from './handler.ts'

/** `knowsFenced`: the version of the request has PRODUCER_FENCED. */
export function transactionErrorCode(fault: Fault | null, knowsFenced: boolean): number {
  if (fault?.code === 'log.producer-fenced' && !knowsFenced) return code.invalidProducerEpoch
  return groupErrorCode(fault)
}

/** What the version of a request that writes in a transaction can be told. */
export interface Writes {
  readonly knowsAbortable: boolean
  readonly knowsConcurrent: boolean
}
/**
 * For those who write in a transaction: a producer that was fenced may still abort and go on with the next epoch, which is
 * what INVALID_PRODUCER_EPOCH means to it. Null: it has the code that it always has.
 */
export function writeErrorCode(fault: Fault, { knowsAbortable, knowsConcurrent }: Writes): number | null {
  switch (fault.code) {
    case 'log.producer-fenced':
      return code.invalidProducerEpoch
    case 'log.transaction-abortable':
      return knowsAbortable ? null : code.invalidTxnState
    case 'log.concurrent-transactions':
      return knowsConcurrent ? null : code.notEnoughReplicas
    default:
      return null
  }
}

const ownPrefix = '_millrace_'
/** Why clients may not be the producer of a transactional id: Millrace's own have them. */
export function keptTransactionalId(transactionalId: string): Fault | null {
  if (!transactionalId.startsWith(ownPrefix)) return null
  return new Fault('log.invalid-transactional-id', { transactionalId, why: 'Millrace keeps it for itself' })
}
