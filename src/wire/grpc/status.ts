/** gRPC's status codes, how a status is said on the wire, and what REST makes of it. */
import { type Input, bytes, encode, int32, list, message, string, stringMap } from '../protobuf/message.ts'

export const statusCodes = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const
export type StatusName = keyof typeof statusCodes

/** As googleapis map them. */
export const httpStatuses: Readonly<Record<StatusName, number>> = {
  OK: 200,
  CANCELLED: 499,
  UNKNOWN: 500,
  INVALID_ARGUMENT: 400,
  DEADLINE_EXCEEDED: 504,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  PERMISSION_DENIED: 403,
  RESOURCE_EXHAUSTED: 429,
  FAILED_PRECONDITION: 400,
  ABORTED: 409,
  OUT_OF_RANGE: 400,
  UNIMPLEMENTED: 501,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  DATA_LOSS: 500,
  UNAUTHENTICATED: 401,
}

export const errorInfo = message('google.rpc.ErrorInfo', {
  reason: string(1),
  domain: string(2),
  metadata: stringMap(3),
})
export interface ErrorInfo {
  readonly reason: string
  readonly domain: string
  readonly metadata: ReadonlyMap<string, string>
}
const any = message('google.protobuf.Any', { typeUrl: string(1), value: bytes(2) })
const status = message('google.rpc.Status', { code: int32(1), message: string(2), details: list(3, any) })

const typeOf = (name: string): string => `type.googleapis.com/${name}`
/** The trailer `grpc-status-details-bin`. */
export function statusDetails(code: StatusName, said: string, info: ErrorInfo): string {
  const details: Input<{ typeUrl: string; value: Uint8Array }>[] = [
    { typeUrl: typeOf(errorInfo.name), value: encode(errorInfo, info) },
  ]
  return encode(status, { code: statusCodes[code], message: said, details }).toString('base64')
}
/** The trailer `grpc-message`: what is not printable ASCII, and %, as percent and two digits for each byte. */
export function statusMessage(said: string): string {
  return Array.from(Buffer.from(said, 'utf8'), (byte) =>
    byte >= 0x20 && byte <= 0x7e && byte !== 0x25
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
  ).join('')
}
/** The header `grpc-timeout`; null when there is none that can be understood. */
export function timeoutMs(header: string | undefined): number | null {
  const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(header ?? '') ?? []
  return digits === undefined ? null : Number(digits) * unitMs[unit]!
}
const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 }
