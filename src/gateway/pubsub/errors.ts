/** What a call fails with, in the words of the service: a status, a sentence, and details where clients read them. */
import { Fault, asFault, faults } from '../../lib/fault.ts'
import type { ErrorInfo, StatusName } from '../../wire/grpc/status.ts'

export class RpcError extends Error {
  readonly status: StatusName
  readonly info: ErrorInfo | null

  constructor(status: StatusName, message: string, info: ErrorInfo | null = null) {
    super(message)
    this.name = 'RpcError'
    this.status = status
    this.info = info
  }
}
export const invalid = (message: string): RpcError => new RpcError('INVALID_ARGUMENT', message)
export const notFound = (resource: string): RpcError =>
  new RpcError('NOT_FOUND', `Resource not found (resource=${resource}).`)
export const alreadyExists = (resource: string): RpcError =>
  new RpcError('ALREADY_EXISTS', `Resource already exists in the project (resource=${resource}).`)
export const precondition = (message: string): RpcError => new RpcError('FAILED_PRECONDITION', message)

const byHttp: Readonly<Record<number, StatusName>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ALREADY_EXISTS',
  413: 'INVALID_ARGUMENT',
  422: 'INVALID_ARGUMENT',
  429: 'RESOURCE_EXHAUSTED',
  499: 'CANCELLED',
  503: 'UNAVAILABLE',
  507: 'RESOURCE_EXHAUSTED',
}
/** Throws RpcError RESOURCE_EXHAUSTED where there are as many as there may be. */
export function checkRoom(what: string, count: number, countMax: number): void {
  if (count >= countMax)
    throw new RpcError('RESOURCE_EXHAUSTED', `There are ${countMax} ${what}, and may be no more: delete some first.`)
}
/** What the layers below say, by the table of faults. */
export function rpcErrorOf(error: unknown): RpcError {
  if (error instanceof RpcError) return error
  if (error instanceof TypeError && !(error instanceof Fault) && isOfInput(error)) return invalid(error.message)
  const fault = asFault(error)
  const { http, retry } = faults[fault.code]
  // The one status that official clients try every call again after.
  if (fault.code === 'log.closed' || fault.code === 'store.full') return new RpcError('UNAVAILABLE', fault.message)
  return new RpcError(byHttp[http] ?? (retry ? 'UNAVAILABLE' : 'INTERNAL'), fault.message)
}
/** Thrown by the JSON mapping: a message of ours, not of the engine's. */
const isOfInput = ({ stack = '' }: TypeError): boolean => stack.includes('wire/protobuf/')
