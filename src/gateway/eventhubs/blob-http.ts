/** The part of Azure Blob Storage's REST that the official checkpoint stores use, over `blobs.ts`. */
import { type Subject } from '../../security/authorizer.ts'
import { anonymous, user } from '../../security/principal.ts'
import { accessText, isSignedBy, sharedKeyOf, sharedKeyText } from './blob-signatures.ts'
import { type Blob, BlobRefused, Blobs, type Conditions, type Metadata, checkConditions } from './blobs.ts'
import { Refused } from './conditions.ts'
import type { HttpAnswer, HttpRequest } from './exchange.ts'
import type { Hubs } from './hubs.ts'
import { Positions } from './positions.ts'
import { asFault, faults } from '../../lib/fault.ts'

const version = '2025-01-05'
const pageMax = 5_000
/** As the service has it. */
const signedSkewMs = 15 * 60_000

/** A request is about blobs when it says a version of their service, by header or by its signature. */
export const isAboutBlobs = ({ headers, url }: HttpRequest): boolean =>
  headers['x-ms-version'] !== undefined || (url.searchParams.has('sv') && url.searchParams.has('sig'))

interface Place {
  readonly account: string
  /** '' : the account itself. */
  readonly container: string
  /** '' : the container itself. */
  readonly blob: string
}

export class BlobService {
  readonly #hubs: Hubs
  readonly #blobs: Blobs
  readonly #positions: Positions

  constructor(hubs: Hubs) {
    this.#hubs = hubs
    this.#blobs = new Blobs(hubs.kept, hubs.parts.world)
    this.#positions = new Positions(hubs, this.#blobs)
  }
  close(): void {
    this.#positions.close()
  }

  async answer(request: HttpRequest): Promise<HttpAnswer> {
    const common = {
      'x-ms-version': request.headers['x-ms-version'] ?? version,
      'x-ms-request-id': this.#hubs.parts.world.random.uuid(),
      ...(request.headers['x-ms-client-request-id'] === undefined
        ? {}
        : { 'x-ms-client-request-id': request.headers['x-ms-client-request-id'] }),
    }
    let answer: HttpAnswer
    try {
      answer = await this.#answer(request)
    } catch (error) {
      answer = refusal(error, request.method === 'HEAD')
    }
    return { ...answer, headers: { ...answer.headers, ...common } }
  }
  async #answer(request: HttpRequest): Promise<HttpAnswer> {
    const place = placeOf(request)
    const subject = await this.#known(request, place)
    const { container, blob } = place
    if (container === '') {
      this.#allow(subject, '')
      return this.#ofAccount(request, place)
    }
    if (blob !== '') {
      this.#allow(subject, blob)
      return this.#ofBlob(request, container, blob)
    }
    if (request.url.searchParams.get('comp') === 'list') {
      this.#allow(subject, request.url.searchParams.get('prefix') ?? '')
      return this.#list(request, place)
    }
    return this.#ofContainer(request, container, subject)
  }

  /** Throws BlobRefused; the attempt is in the audit. */
  async #known(request: HttpRequest, place: Place): Promise<Subject> {
    try {
      return await this.#subject(request, place)
    } catch (error) {
      if (error instanceof BlobRefused || error instanceof Refused) this.#hubs.unknown(request.host, error.message)
      throw error
    }
  }
  /** Throws BlobRefused. */
  async #subject(request: HttpRequest, { account, container, blob }: Place): Promise<Subject> {
    const { security, world } = this.#hubs.parts
    const { host, headers, url } = request
    const { authorization } = headers
    const bearer = /^Bearer\s+(\S+)$/i.exec(authorization ?? '')?.[1]
    if (bearer !== undefined) {
      const { principal } = await this.#hubs.tokens.check('jwt', bearer, url.pathname)
      return { principal, host }
    }
    const shared = authorization === undefined ? null : sharedKeyOf(authorization)
    const isAccess = shared === null && url.searchParams.has('sig')
    const key = security.accessKeys.secret(shared?.account ?? account)
    if (key === null || (shared === null && !isAccess)) {
      if (security.authorizer.enforced) throw unauthenticated()
      return { principal: anonymous, host }
    }
    if (isAccess) {
      const { searchParams } = url
      const text = accessText(searchParams, account, container, blob)
      if (!isSignedBy(key.secret, text, searchParams.get('sig') ?? '')) throw unauthenticated()
      const until = Date.parse(searchParams.get('se') ?? '')
      const since = Date.parse(searchParams.get('st') ?? '1970-01-01')
      const now = world.clock.now()
      if (!(until > now) || since > now) throw unauthenticated()
      if (!isPermitted(searchParams.get('sp') ?? '', request.method, searchParams.get('comp')))
        throw new BlobRefused(
          403,
          'AuthorizationPermissionMismatch',
          'This request is not authorized to perform this operation.',
        )
    } else {
      if (!isSignedBy(key.secret, sharedKeyText(request, shared!.account), shared!.signature)) throw unauthenticated()
      // What somebody has seen of it once is of no use for long.
      const signedMs = Date.parse(headers['x-ms-date'] ?? headers['date'] ?? '')
      if (!(Math.abs(world.clock.now() - signedMs) <= signedSkewMs)) throw unauthenticated()
    }
    return { principal: user(key.user), host }
  }
  /** What is kept for a consumer group is as much as its positions: Read of the group; all else is for those who run this. */
  #allow(subject: Subject, path: string): void {
    const [, , group, kind] = path.split('/')
    const isOfGroup = group !== undefined && (kind === 'checkpoint' || kind === 'ownership')
    const { authorizer } = this.#hubs.parts.security
    const name = group === '$default' ? '$Default' : (group ?? '')
    const resource = isOfGroup ? `read group:${name}` : 'alter cluster:kafka-cluster'
    const isAllowed = isOfGroup
      ? authorizer.allows(subject, 'read', { type: 'group', name })
      : authorizer.allows(subject, 'alter', { type: 'cluster', name: 'kafka-cluster' })
    if (!isAllowed) throw this.#refused(subject, resource)
  }
  /** A container is there for whoever keeps the checkpoints of some group. */
  #allowContainer(subject: Subject): void {
    const { authorizer } = this.#hubs.parts.security
    if (!authorizer.allowsAny(subject, 'read', 'group')) this.#allow(subject, '')
  }
  #refused(subject: Subject, resource: string): BlobRefused {
    const { audit } = this.#hubs.parts.security
    audit.note({ subject, via: 'eventhubs', action: 'blobs', resources: [resource], outcome: 'refused' })
    return new BlobRefused(
      403,
      'AuthorizationPermissionMismatch',
      'This request is not authorized to perform this operation.',
    )
  }

  #ofAccount({ method, url }: HttpRequest, { account }: Place): HttpAnswer {
    if (method !== 'GET' || url.searchParams.get('comp') !== 'list') throw unsupported()
    const containers = this.#blobs.containers().map((name) => {
      const { etag, modifiedMs } = this.#blobs.container(name)!
      return `<Container><Name>${escaped(name)}</Name><Properties>${times(etag, modifiedMs)}</Properties></Container>`
    })
    const head = `<EnumerationResults ServiceEndpoint="${escaped(`${url.origin}/${account}`)}">`
    return xml(`${head}<Containers>${containers.join('')}</Containers><NextMarker/></EnumerationResults>`)
  }
  async #ofContainer({ method, url, rawHeaders }: HttpRequest, name: string, subject: Subject): Promise<HttpAnswer> {
    if (url.searchParams.get('restype') !== 'container') throw unsupported()
    if (method !== 'DELETE') this.#allowContainer(subject)
    switch (method) {
      case 'PUT': {
        const { etag, modifiedMs } = await this.#blobs.createContainer(name, metadataOf(rawHeaders))
        return { status: 201, headers: stamps(etag, modifiedMs), body: '' }
      }
      case 'HEAD':
      case 'GET': {
        const found = this.#blobs.container(name)
        if (found === null) throw new BlobRefused(404, 'ContainerNotFound', 'The specified container does not exist.')
        const headers = { ...stamps(found.etag, found.modifiedMs), ...metadataHeaders(found.metadata) }
        return {
          status: 200,
          headers: { ...headers, 'x-ms-lease-status': 'unlocked', 'x-ms-lease-state': 'available' },
          body: '',
        }
      }
      case 'DELETE':
        this.#allow(subject, '')
        await this.#blobs.removeContainer(name)
        return { status: 202, headers: {}, body: '' }
      default:
        throw unsupported()
    }
  }
  #list({ url }: HttpRequest, { account, container }: Place): HttpAnswer {
    const { searchParams } = url
    const prefix = searchParams.get('prefix') ?? ''
    const marker = searchParams.get('marker') ?? ''
    const asked = Number(searchParams.get('maxresults') ?? pageMax)
    if (!Number.isInteger(asked) || asked < 1)
      throw new BlobRefused(
        400,
        'OutOfRangeQueryParameterValue',
        'One of the query parameters is outside the permissible range.',
      )
    const max = Math.min(asked, pageMax)
    const withMetadata = (searchParams.get('include') ?? '').split(',').includes('metadata')
    const names = this.#blobs.list(container, prefix).filter((name) => name >= marker)
    const items = names.slice(0, max).map((name) => itemOf(name, this.#blobs.get(container, name), withMetadata))
    const next = names[max] ?? ''
    const head = `<EnumerationResults ServiceEndpoint="${escaped(`${url.origin}/${account}`)}" ContainerName="${escaped(container)}">`
    const given = `<Prefix>${escaped(prefix)}</Prefix><MaxResults>${max}</MaxResults>`
    return xml(
      `${head}${given}<Blobs>${items.join('')}</Blobs><NextMarker>${escaped(next)}</NextMarker></EnumerationResults>`,
    )
  }

  async #ofBlob(request: HttpRequest, container: string, name: string): Promise<HttpAnswer> {
    const { method, url, headers, rawHeaders, body: content } = request
    const comp = url.searchParams.get('comp')
    const conditions = conditionsOf(headers)
    if (method === 'PUT' && comp === 'metadata') {
      const { etag, modifiedMs } = await this.#blobs.setMetadata(container, name, metadataOf(rawHeaders), conditions)
      this.#positions.note(name, metadataOf(rawHeaders))
      return { status: 200, headers: { ...stamps(etag, modifiedMs), ...encrypted }, body: '' }
    }
    if (method === 'PUT' && comp === null) {
      if ((headers['x-ms-blob-type'] ?? '').toLowerCase() !== 'blockblob') throw unsupported()
      const contentType = headers['x-ms-blob-content-type'] ?? headers['content-type'] ?? 'application/octet-stream'
      const given = { content: Buffer.from(content), contentType, metadata: metadataOf(rawHeaders) }
      const { etag, modifiedMs } = await this.#blobs.put(container, name, given, conditions)
      this.#positions.note(name, given.metadata)
      return { status: 201, headers: { ...stamps(etag, modifiedMs), ...encrypted }, body: '' }
    }
    if ((method === 'GET' || method === 'HEAD') && (comp === null || comp === 'metadata')) {
      const blob = this.#blobs.get(container, name)
      checkConditions(blob, conditions)
      const isMetadata = comp === 'metadata' || method === 'HEAD'
      return { status: 200, headers: blobHeaders(blob), body: isMetadata ? '' : blob.content }
    }
    if (method === 'DELETE' && comp === null) {
      await this.#blobs.remove(container, name, conditions)
      return { status: 202, headers: {}, body: '' }
    }
    throw unsupported()
  }
}
const encrypted = { 'x-ms-request-server-encrypted': 'false' }
const unsupported = (): BlobRefused =>
  new BlobRefused(501, 'NotImplemented', 'Only what checkpoint stores need of blobs is offered here.')
const unauthenticated = (): BlobRefused =>
  new BlobRefused(403, 'AuthenticationFailed', 'Server failed to authenticate the request.')

/** `/account/container/blob`, or without the account where the host names it. */
function placeOf({ url, headers }: HttpRequest): Place {
  const [, ofHost] = /^([a-z0-9]+)\.blob\./i.exec(headers['host'] ?? '') ?? []
  const path = url.pathname.slice(1).split('/')
  const account = ofHost ?? decoded(path.shift() ?? '')
  const [container = '', ...blob] = path
  return { account, container: decoded(container), blob: decoded(blob.join('/')) }
}
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new BlobRefused(400, 'InvalidUri', 'The requested URI does not represent any resource on the server.')
  }
}
/** Letters of `sp`: read, add, create, write, delete, list. */
function isPermitted(permissions: string, method: string, comp: string | null): boolean {
  if (comp === 'list') return permissions.includes('l')
  if (method === 'GET' || method === 'HEAD') return permissions.includes('r')
  if (method === 'DELETE') return permissions.includes('d')
  return permissions.includes('w') || (permissions.includes('c') && comp !== 'metadata')
}
function conditionsOf(headers: HttpRequest['headers']): Conditions {
  const etag = (name: string): string | null => headers[name]?.replaceAll('"', '') ?? null
  const time = (name: string): number | null => {
    const ms = Date.parse(headers[name] ?? '')
    return Number.isNaN(ms) ? null : ms
  }
  return {
    ifMatch: etag('if-match'),
    ifNoneMatch: etag('if-none-match'),
    ifModifiedSinceMs: time('if-modified-since'),
    ifUnmodifiedSinceMs: time('if-unmodified-since'),
  }
}
const metadataPrefix = 'x-ms-meta-'
function metadataOf(rawHeaders: HttpRequest['rawHeaders']): Metadata {
  const found = rawHeaders
    .filter(([name]) => name.toLowerCase().startsWith(metadataPrefix))
    .map(([name, value]) => [name.slice(metadataPrefix.length), value])
  return Object.fromEntries(found) as Metadata
}
const metadataHeaders = (metadata: Metadata): Record<string, string> =>
  Object.fromEntries(Object.entries(metadata).map(([name, value]) => [`${metadataPrefix}${name}`, value]))
const httpTime = (ms: number): string => new Date(ms).toUTCString()
const stamps = (etag: string, modifiedMs: number): Record<string, string> => ({
  etag: `"${etag}"`,
  'last-modified': httpTime(modifiedMs),
})
const blobHeaders = ({
  etag,
  modifiedMs,
  createdMs,
  contentType,
  content,
  metadata,
}: Blob): Record<string, string> => ({
  ...stamps(etag, modifiedMs),
  'content-type': contentType,
  'content-length': String(content.length),
  'accept-ranges': 'bytes',
  'x-ms-blob-type': 'BlockBlob',
  'x-ms-creation-time': httpTime(createdMs),
  'x-ms-lease-status': 'unlocked',
  'x-ms-lease-state': 'available',
  ...metadataHeaders(metadata),
})

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escaped = (text: string): string =>
  text.replaceAll(/[&<>"]/g, (one) => escapes[one]!).replaceAll(/[^\t\n\r\x20-\uffff]/g, '?')
/** In lists an ETag has no quotes. */
const times = (etag: string, modifiedMs: number): string =>
  `<Last-Modified>${httpTime(modifiedMs)}</Last-Modified><Etag>${etag}</Etag>`
function itemOf(name: string, blob: Blob, withMetadata: boolean): string {
  const { createdMs, content, contentType, etag, modifiedMs, metadata } = blob
  const facts = [
    `<Creation-Time>${httpTime(createdMs)}</Creation-Time>${times(etag, modifiedMs)}`,
    `<Content-Length>${content.length}</Content-Length><Content-Type>${escaped(contentType)}</Content-Type>`,
    '<BlobType>BlockBlob</BlobType><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>',
  ]
  const pairs = Object.entries(metadata).map(([key, value]) => `<${key}>${escaped(value)}</${key}>`)
  const told = withMetadata ? `<Metadata>${pairs.join('')}</Metadata>` : ''
  return `<Blob><Name>${escaped(name)}</Name><Properties>${facts.join('')}</Properties>${told}</Blob>`
}
const xml = (body: string, status = 200): HttpAnswer => ({
  status,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0" encoding="utf-8"?>${body}`,
})
function refusal(thrown: unknown, isHead: boolean): HttpAnswer {
  const { status, code, message } = refusedOf(thrown)
  const answer = xml(`<Error><Code>${code}</Code><Message>${escaped(message)}</Message></Error>`, status)
  return { ...answer, headers: { ...answer.headers, 'x-ms-error-code': code }, body: isHead ? '' : answer.body }
}
function refusedOf(thrown: unknown): Pick<BlobRefused, 'status' | 'code' | 'message'> {
  if (thrown instanceof BlobRefused) return thrown
  if (thrown instanceof Refused) return { status: 403, code: 'AuthenticationFailed', message: thrown.message }
  const fault = asFault(thrown)
  const { http } = faults[fault.code]
  // Of 500 and above, official clients try only 500 and 503 again.
  const status = http >= 500 && fault.retry ? 503 : http
  return { status, code: fault.retry ? 'ServerBusy' : 'InternalError', message: fault.message }
}
