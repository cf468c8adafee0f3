/** Who asks, and whether they may: a bearer token, a password (Basic) or a certificate; nobody in particular otherwise. */
import type { Subject } from '../../security/authorizer.ts'
import { type Operation, type ResourceType, clusterName } from '../../security/grants.ts'
import { type Principal, anonymous, principalText, user } from '../../security/principal.ts'
import type { Client } from '../../security/quotas.ts'
import type { Security } from '../../security/security.ts'
import { Fault } from '../../lib/fault.ts'
import { RpcError } from './errors.ts'

export interface Peer {
  readonly host: string
  /** Of a certificate that somebody vouches for. */
  readonly subject: string | null
}
type ByteRate = 'producer_byte_rate' | 'consumer_byte_rate'
const changing: ReadonlySet<Operation> = new Set(['create', 'delete', 'alter', 'alter-configs'])

/** Who it is and, by the wall clock, until when. */
interface Caller {
  readonly principal: Principal
  readonly expiresMs: number
}
const always = (principal: Principal): Caller => ({ principal, expiresMs: Infinity })

/** Throws RpcError UNAUTHENTICATED. */
export async function accessOf(
  security: Security,
  action: string,
  { authorization, peer }: { readonly authorization: string | undefined; readonly peer: Peer },
): Promise<Access> {
  const { host } = peer
  if (!security.authorizer.enforced) return new Access(security, { ...always(anonymous), host }, action)
  try {
    return new Access(security, { ...(await callerOf(security, authorization, peer)), host }, action)
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'security.authentication-failed') throw error
    const subject = { principal: anonymous, host }
    const detail = error.message
    security.audit.note({ subject, via: 'pubsub', action: 'authenticate', resources: [], outcome: 'refused', detail })
    throw new RpcError('UNAUTHENTICATED', `Request had invalid authentication credentials: ${detail}`)
  }
}
async function callerOf(security: Security, header: string | undefined, { subject }: Peer): Promise<Caller> {
  if (header === undefined) return always((subject === null ? null : security.bySubject(subject)) ?? anonymous)
  const [, scheme = '', value = ''] = /^(\w+) +(\S+)$/.exec(header) ?? []
  if (scheme.toLowerCase() === 'bearer' && security.oauth !== null) {
    const { name, expiresMs } = await security.oauth.check(value)
    return { principal: user(name), expiresMs }
  }
  if (scheme.toLowerCase() === 'basic') {
    const text = Buffer.from(value, 'base64').toString('utf8')
    const colon = text.indexOf(':')
    const name = text.slice(0, Math.max(0, colon))
    if (colon >= 1 && (await security.users.hasPassword(name, text.slice(colon + 1)))) return always(user(name))
    throw new Fault('security.authentication-failed', { why: 'invalid user name or password' })
  }
  throw new Fault('security.authentication-failed', {
    why: 'the authorization is neither a bearer token nor a password',
  })
}

/** Of one call. */
export class Access {
  readonly subject: Subject
  /** By the wall clock, when what the caller has shown is over. */
  readonly expiresMs: number
  readonly #action: string
  readonly #security: Security
  /** What it may change. */
  readonly #changed = new Set<string>()

  constructor(security: Security, { principal, host, expiresMs }: Caller & { readonly host: string }, action: string) {
    this.#security = security
    this.subject = { principal, host }
    this.expiresMs = expiresMs
    this.#action = action
  }
  sees(operation: Operation, type: ResourceType, name: string): boolean {
    return this.#security.authorizer.allows(this.subject, operation, { type, name })
  }
  /** Throws RpcError PERMISSION_DENIED, UNAUTHENTICATED. */
  demand(operation: Operation, type: ResourceType, name: string): void {
    const { subject } = this
    const note = { subject, via: 'pubsub', action: this.#action }
    if (this.sees(operation, type, name)) {
      if (changing.has(operation)) this.#changed.add(`${type}:${name}`)
      return
    }
    this.#security.audit.note({ ...note, resources: [`${operation} ${type}:${name}`], outcome: 'refused' })
    if (subject.principal === anonymous)
      throw new RpcError('UNAUTHENTICATED', 'Request is missing required authentication credential.')
    const who = principalText(subject.principal)
    throw new RpcError(
      'PERMISSION_DENIED',
      `User not authorized to perform this action: ${who} may not ${operation} ${type} ${name}.`,
    )
  }
  /** For so many milliseconds nothing more of it should be used. */
  overQuotaMs(quota: ByteRate): number {
    return this.#security.quotas.wait(quota, this.#client())
  }
  /** Throws RpcError RESOURCE_EXHAUSTED, after which official clients try again. */
  demandQuota(quota: ByteRate): void {
    const ms = this.overQuotaMs(quota)
    const who = principalText(this.subject.principal)
    if (ms > 0) throw new RpcError('RESOURCE_EXHAUSTED', `The quota ${quota} of ${who} is used up for ${ms} ms.`)
  }
  used(quota: ByteRate, bytes: number): void {
    this.#security.quotas.charge(quota, this.#client(), bytes)
  }
  #client(): Client {
    return { user: this.subject.principal.name, clientId: '' }
  }
  /** The same of what changes something, although it needs no more than this. */
  demandChange(operation: Operation, type: ResourceType, name: string): void {
    this.demand(operation, type, name)
    this.#changed.add(`${type}:${name}`)
  }
  /** What the audit is to know, when the call is over. */
  note(failed: boolean): void {
    if (this.#changed.size === 0) return
    const { subject } = this
    const outcome = failed ? 'failed' : 'done'
    this.#security.audit.note({ subject, via: 'pubsub', action: this.#action, resources: [...this.#changed], outcome })
  }
  demandCluster(operation: Operation): void {
    this.demand(operation, 'cluster', clusterName)
  }
  /** On the cluster it is allowed for every name. */
  demandCreate(topic: string): void {
    if (this.sees('create', 'cluster', clusterName)) this.demandCluster('create')
    else this.demand('create', 'topic', topic)
  }
}
