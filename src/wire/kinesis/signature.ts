/**
 * AWS Signature Version 4, as the one who checks it needs it: what was signed is put together again from the request as it
 * came, and signed with the secret that both sides know.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

export interface SignedRequest {
  readonly method: string
  /** As it stood in the request: path and query. */
  readonly target: string
  /** Names in lower case. Of HTTP/2: `host` is its `:authority`. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Uint8Array
}
export interface Signature {
  readonly keyId: string
  /** Date, region, service, `aws4_request`. */
  readonly scope: readonly [string, string, string, string]
  readonly signedHeaders: readonly string[]
  /** In hexadecimal. */
  readonly signature: string
  /** When it was signed, `20260131T100000Z`. */
  readonly at: string
  /** It stands in the query: then it is no part of what was signed. */
  readonly inQuery: boolean
}

export const algorithm = 'AWS4-HMAC-SHA256'
const hmac = (key: Uint8Array | string, text: string): Buffer => createHmac('sha256', key).update(text).digest()
const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

/** What stands behind a name in the header Authorization. */
export function authorizationParts(header: string): ReadonlyMap<string, string> {
  const parts = new Map<string, string>()
  for (const part of header.split(/[, ]/).slice(1)) {
    const at = part.indexOf('=')
    if (at > 0) parts.set(part.slice(0, at), part.slice(at + 1))
  }
  return parts
}
export function scopeOf(credential: string): { keyId: string; scope: Signature['scope'] } | null {
  const parts = credential.split('/')
  if (parts.length < 5) return null
  const [date, region, service, end] = parts.slice(-4) as [string, string, string, string]
  return { keyId: parts.slice(0, -4).join('/'), scope: [date, region, service, end] }
}
/** Milliseconds since 1970 of `20260131T100000Z`; null: it is no such time. */
export function signedAtMs(at: string): number | null {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(at) ?? []
  if (year === undefined) return null
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(ms) ? null : ms
}
export const timeText = (ms: number): string => new Date(ms).toISOString().replaceAll(/[-:]|\.\d{3}/g, '')

/** Whether it is what somebody with this secret signs the request with. */
export function isSignedBy(secret: string, request: SignedRequest, signature: Signature): boolean {
  const expected = Buffer.from(signatureOf(secret, request, signature), 'latin1')
  const given = Buffer.from(signature.signature, 'latin1')
  return expected.length === given.length && timingSafeEqual(expected, given)
}
export function signatureOf(
  secret: string,
  request: SignedRequest,
  { scope, signedHeaders, at, inQuery }: Pick<Signature, 'scope' | 'signedHeaders' | 'at' | 'inQuery'>,
): string {
  const text = [algorithm, at, scope.join('/'), sha256(canonical(request, signedHeaders, inQuery))].join('\n')
  const key = scope.reduce<Buffer | string>((before, part) => hmac(before, part), `AWS4${secret}`)
  return hmac(key, text).toString('hex')
}
function canonical(request: SignedRequest, signedHeaders: readonly string[], inQuery: boolean): string {
  const { method, target, headers, body } = request
  const question = target.indexOf('?')
  const path = question < 0 ? target : target.slice(0, question)
  const query = question < 0 ? '' : target.slice(question + 1)
  const lines = signedHeaders.map((name) => `${name}:${(headers[name] ?? '').trim().replaceAll(/ +/g, ' ')}\n`)
  return [
    method,
    path === ''
      ? '/'
      : path
          .split('/')
          .map((part) => encoded(decoded(part)))
          .join('/'),
    canonicalQuery(query, inQuery),
    lines.join(''),
    signedHeaders.join(';'),
    sha256(body),
  ].join('\n')
}
function canonicalQuery(query: string, inQuery: boolean): string {
  const pairs = query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const at = part.indexOf('=')
      const [name, value] = at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)]
      return [encoded(decoded(name)), encoded(decoded(value))] as const
    })
    .filter(([name]) => !inQuery || name !== 'X-Amz-Signature')
  return pairs
    .toSorted(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
const encoded = (text: string): string =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`)
