/** Who signed a request (Signature Version 4, by the access keys of `security/`). While everything is open, whoever did. */
import type { Clock } from '../../lib/world.ts'
import type { Subject } from '../../security/authorizer.ts'
import { anonymous, user } from '../../security/principal.ts'
import type { Security } from '../../security/security.ts'
import {
  type Signature,
  type SignedRequest,
  algorithm,
  authorizationParts,
  isSignedBy,
  scopeOf,
  signedAtMs,
  timeText,
} from '../../wire/kinesis/signature.ts'
import { ServiceError } from './errors.ts'

const skewMs = 5 * 60_000
const missing = (): ServiceError =>
  new ServiceError('MissingAuthenticationTokenException', 'Missing Authentication Token')
const incomplete = (message: string): ServiceError => new ServiceError('IncompleteSignatureException', message)
const wrong = (message: string): ServiceError => new ServiceError('InvalidSignatureException', message)
const shownMax = 1_000
const hostNames = ['host', ':authority']

/** Whether a signature is there and whole, not whose it is. Throws ServiceError. */
export function signatureIn(request: SignedRequest): Signature {
  const { authorization } = request.headers
  const question = request.target.indexOf('?')
  const query = new URLSearchParams(question < 0 ? '' : request.target.slice(question + 1))
  const inQuery = query.has('X-Amz-Algorithm')
  if (authorization !== undefined && inQuery)
    throw wrong("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")
  if (authorization !== undefined) return inHeader(authorization, request.headers)
  if (!inQuery) throw missing()
  return inParameters(query)
}
function inHeader(authorization: string, headers: SignedRequest['headers']): Signature {
  const parts = authorizationParts(authorization)
  const at = headers['x-amz-date'] ?? headers['date']
  const lacks = ['Credential', 'Signature', 'SignedHeaders']
    .filter((name) => !parts.get(name))
    .map((name) => `Authorization header requires '${name}' parameter. `)
  if (at === undefined || at === '')
    lacks.push("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
  if (lacks.length > 0) throw incomplete(`${lacks.join('')}Authorization=${authorization.slice(0, shownMax)}`)
  return signature(parts.get('Credential')!, {
    signedHeaders: parts.get('SignedHeaders')!.toLowerCase().split(';'),
    signature: parts.get('Signature')!,
    at: at!,
    inQuery: false,
  })
}
function inParameters(query: URLSearchParams): Signature {
  const lacks = ['X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Signature', 'X-Amz-SignedHeaders', 'X-Amz-Date']
    .filter((name) => !query.get(name))
    .map((name) => `AWS query-string parameters must include '${name}'. `)
  if (lacks.length > 0) throw incomplete(`${lacks.join('')}Re-examine the query-string parameters.`)
  return signature(query.get('X-Amz-Credential')!, {
    signedHeaders: query.get('X-Amz-SignedHeaders')!.toLowerCase().split(';'),
    signature: query.get('X-Amz-Signature')!,
    at: query.get('X-Amz-Date')!,
    inQuery: true,
  })
}
function signature(credential: string, rest: Omit<Signature, 'keyId' | 'scope'>): Signature {
  const { keyId, scope } = scopeOf(credential) ?? { keyId: credential, scope: ['', '', '', ''] as const }
  return { keyId, scope, ...rest }
}

/** Throws ServiceError. */
export function signer(
  request: SignedRequest,
  signed: Signature,
  { security, clock, host }: { security: Security; clock: Clock; host: string },
): Subject {
  if (!security.authorizer.enforced) return { principal: anonymous, host }
  try {
    return { principal: user(check(request, signed, security, clock)), host }
  } catch (error) {
    security.audit.note({
      subject: { principal: anonymous, host },
      via: 'kinesis',
      action: 'authenticate',
      resources: [],
      outcome: 'refused',
      detail: (error as Error).message,
    })
    throw error
  }
}
function check(request: SignedRequest, signed: Signature, { accessKeys }: Security, clock: Clock): string {
  const isOurs = (request.headers['authorization'] ?? algorithm).startsWith(algorithm)
  const key = isOurs ? accessKeys.secret(signed.keyId) : null
  if (key === null)
    throw new ServiceError('UnrecognizedClientException', 'The security token included in the request is invalid.')
  const { scope, at } = signed
  const ms = signedAtMs(at)
  if (ms === null || scope[2] !== 'kinesis' || scope[3] !== 'aws4_request' || scope[0] !== at.slice(0, 8))
    throw wrong("Credential should be scoped to a valid region and to service 'kinesis', on the day of the signature.")
  // What was signed for another host is not for this one.
  if (!hostNames.some((name) => signed.signedHeaders.includes(name)))
    throw wrong("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
  // A header of the service's that was not signed may be somebody else's: X-Amz-Target says what is done.
  const unsigned = Object.keys(request.headers).filter(
    (name) => name.startsWith('x-amz-') && !signed.signedHeaders.includes(name),
  )
  if (unsigned.length > 0)
    throw wrong(
      `There were headers present in the request which were not signed: ${unsigned.join(', ').slice(0, shownMax)}`,
    )
  const nowMs = clock.now()
  if (ms < nowMs - skewMs)
    throw wrong(
      `Signature expired: ${at} is now earlier than ${timeText(nowMs - skewMs)} (${timeText(nowMs)} - 5 min.)`,
    )
  if (ms > nowMs + skewMs)
    throw wrong(
      `Signature not yet current: ${at} is still later than ${timeText(nowMs + skewMs)} (${timeText(nowMs)} + 5 min.)`,
    )
  if (!isSignedBy(key.secret, request, signed))
    throw wrong(
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and ' +
        'signing method. Consult the service documentation for details.',
    )
  return key.user
}
