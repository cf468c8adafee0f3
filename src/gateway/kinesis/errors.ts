/** What the service says when it cannot do what was asked. */
import { Fault, faults } from '../../lib/fault.ts'

type ErrorType =
  | 'AccessDeniedException'
  | 'DryRunOperationException'
  | 'ExpiredIteratorException'
  | 'ExpiredNextTokenException'
  | 'IncompleteSignatureException'
  | 'InternalFailure'
  | 'InvalidArgumentException'
  | 'InvalidSignatureException'
  | 'LimitExceededException'
  | 'MissingAuthenticationTokenException'
  | 'ProvisionedThroughputExceededException'
  | 'ResourceInUseException'
  | 'ResourceNotFoundException'
  | 'SerializationException'
  | 'ServiceUnavailable'
  | 'ThrottlingException'
  | 'UnrecognizedClientException'
  | 'ValidationException'

export class ServiceError extends Error {
  readonly type: ErrorType
  readonly status: number

  constructor(type: ErrorType, message: string, status = 400) {
    super(message)
    this.type = type
    this.status = status
  }
}
export const invalid = (message: string): ServiceError => new ServiceError('InvalidArgumentException', message)
export const notFound = (message: string): ServiceError => new ServiceError('ResourceNotFoundException', message)
export const inUse = (message: string): ServiceError => new ServiceError('ResourceInUseException', message)
export const overLimit = (message: string): ServiceError => new ServiceError('LimitExceededException', message)

/** What a fault of the layers below is to the service's clients. What may go better later is theirs to try again. */
export function serviceError(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error
  if (!(error instanceof Fault)) return new ServiceError('InternalFailure', '', 500)
  const fault: Fault = error
  const { http, retry } = faults[fault.code]
  switch (fault.code) {
    case 'log.unknown-topic':
    case 'log.unknown-partition':
      return notFound(fault.message)
    case 'log.topic-in-use':
      return inUse(`${fault.message}: ${fault.hint}`)
    // Made by another protocol meanwhile.
    case 'log.topic-exists':
      return inUse(fault.message)
    case 'security.throttled':
      return new ServiceError('ProvisionedThroughputExceededException', fault.message)
    case 'wire.too-large':
    case 'schema.invalid':
    case 'schema.key-mismatch':
    case 'json.malformed':
    case 'log.invalid-topic':
    case 'log.invalid-config':
      return invalid(fault.message)
    default:
      return http < 500 && !retry
        ? invalid(fault.message)
        : new ServiceError('InternalFailure', fault.message, retry ? 503 : 500)
  }
}
