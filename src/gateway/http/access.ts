/**
 * Who asks, and whether they may. A password (Basic), a token (Bearer) or a client's certificate; nobody in particular
 * otherwise. The grants are those of the Kafka gateway: what a route needs is declared with it.
 */
import { Fault } from '../../lib/fault.ts'
import type { Subject } from '../../security/authorizer.ts'
import { type Operation, type ResourceType, clusterName } from '../../security/grants.ts'
import { type Principal, anonymous, principalText, user } from '../../security/principal.ts'
import type { ClientQuota } from '../../security/quotas.ts'
import type { Security } from '../../security/security.ts'

export interface Needed {
  readonly operation: Operation
  readonly type: ResourceType
  /** The parameter of the path that names the resource; the cluster has one name. */
  readonly parameter: string | null
}
/** Nobody needs anything. */
export const open: readonly Needed[] = []
export const onCluster = (operation: Operation): readonly Needed[] => [{ operation, type: 'cluster', parameter: null }]
export const onTopic = (...all: readonly Operation[]): readonly Needed[] =>
  all.map((operation) => ({ operation, type: 'topic', parameter: 'topic' }))
export const onGroup = (operation: Operation): readonly Needed[] => [{ operation, type: 'group', parameter: 'group' }]
/** A relation is what the topic of it is. */
export const onView = (operation: Operation): readonly Needed[] => [{ operation, type: 'topic', parameter: 'view' }]

/** Where the request comes from. */
export interface Peer {
  readonly host: string
  /** Of a certificate that somebody vouches for. */
  readonly subject: string | null
}
type Headers = Readonly<Record<string, string | undefined>>

type ByteQuota = Extract<ClientQuota, 'producer_byte_rate' | 'consumer_byte_rate'>

export class HttpAccess {
  readonly #security: Security

  constructor(security: Security) {
    this.#security = security
  }
  /** Throws Fault security.authentication-failed, http.too-many. Nobody is asked while everything is open. */
  async subject(headers: Headers, peer: Peer): Promise<Subject> {
    const { host } = peer
    if (!this.#security.authorizer.enforced) return { principal: anonymous, host }
    try {
      return { principal: await this.#principal(headers['authorization'], peer), host }
    } catch (error) {
      if (error instanceof Fault && error.code === 'security.authentication-failed')
        this.#security.audit.note({
          subject: { principal: anonymous, host },
          via: 'http',
          action: 'authenticate',
          resources: [],
          outcome: 'refused',
          detail: error.message,
        })
      throw error
    }
  }
  async #principal(header: string | undefined, { subject }: Peer): Promise<Principal> {
    if (header === undefined) return (subject === null ? null : this.#security.bySubject(subject)) ?? anonymous
    const [, scheme = '', value = ''] = /^(\w+) +(\S+)$/.exec(header) ?? []
    if (scheme.toLowerCase() === 'basic') return this.#byPassword(value)
    if (scheme.toLowerCase() === 'bearer' && this.#security.oauth !== null)
      return user((await this.#security.oauth.check(value)).name)
    throw new Fault('security.authentication-failed', { why: 'the Authorization header is neither Basic nor Bearer' })
  }
  async #byPassword(value: string): Promise<Principal> {
    const text = Buffer.from(value, 'base64').toString('utf8')
    const colon = text.indexOf(':')
    const name = text.slice(0, Math.max(0, colon))
    if (colon < 1 || !(await this.#security.users.hasPassword(name, text.slice(colon + 1))))
      throw new Fault('security.authentication-failed', { why: 'invalid user name or password' })
    return user(name)
  }

  sees(subject: Subject, operation: Operation, type: ResourceType, name: string): boolean {
    return this.#security.authorizer.allows(subject, operation, { type, name })
  }
  /** Throws Fault security.not-authenticated, security.not-authorized. */
  demand(subject: Subject, needed: readonly Needed[], nameOf: (parameter: string) => string, action: string): void {
    for (const { operation, type, parameter } of needed) {
      const name = parameter === null ? clusterName : nameOf(parameter)
      if (this.sees(subject, operation, type, name)) continue
      const resources = [`${operation} ${type}:${name}`]
      this.#security.audit.note({ subject, via: 'http', action, resources, outcome: 'refused' })
      if (subject.principal === anonymous) throw new Fault('security.not-authenticated', {})
      const principal = principalText(subject.principal)
      throw new Fault('security.not-authorized', { principal, operation, resource: `${type} ${name}` })
    }
  }
  /** Throws Fault security.throttled while a quota is used up: HTTP has no way to make a client wait but to say so. */
  demandQuota(subject: Subject, quota: ByteQuota): void {
    const ms = this.charge(subject, quota, 0)
    if (ms > 0) throw new Fault('security.throttled', { what: quota, ms })
  }
  charge({ principal }: Subject, quota: ByteQuota, bytes: number): number {
    return this.#security.quotas.charge(quota, { user: principal.name, clientId: '' }, bytes)
  }
  /** A request that was let in and changes something. */
  changed(subject: Subject, action: string, target: string, failed: boolean): void {
    const outcome = failed ? 'failed' : 'done'
    this.#security.audit.note({ subject, via: 'http', action, resources: [target], outcome })
  }
}
