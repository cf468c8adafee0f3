/**
 * Who asks, and whether they may. A password (Basic), a token (Bearer) or a client's certificate; nobody in particular
 * otherwise. The grants are those of the Kafka gateway: what a route needs is declared with it.
 */
import { Fault } from '../../lib/fault.ts'
import type { Rights } from '../../query/engine.ts'
import type { Subject } from '../../security/authorizer.ts'
import { type Operation, type ResourceType, clusterName } from '../../security/grants.ts'
import { type Principal, anonymous, principalText, user } from '../../security/principal.ts'
import type { Security } from '../../security/security.ts'
import type { Route } from './route.ts'

export interface Needed {
  readonly operation: Operation
  readonly type: ResourceType
  /** The parameter of the path that names the resource; the cluster has one name. */
  readonly parameter: string | null
}
/** Nobody needs anything. */
export const open: readonly Needed[] = []
/** Somebody who is known, or may see some topic as nobody: what is needed is found out while it is served. */
export const byContent = 'by-content'
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

  /** Of one request: `action` is the id of its route. */
  of(subject: Subject, action: string): RequestAccess {
    return new RequestAccess(subject, action, this.#security)
  }
}

/** Such an act is noted in the audit topic. */
const changing: ReadonlySet<Operation> = new Set(['create', 'delete', 'alter', 'alter-configs'])
/** Of one request; the audit takes no more. */
const notedMax = 1_000

/** What one request may do, and what of it the audit is to know. */
export class RequestAccess {
  readonly #subject: Subject
  readonly #action: string
  readonly #security: Security
  readonly #changes = new Set<string>()
  readonly #said: string[] = []
  /** What was demanded and granted, for streams, which ask again. */
  readonly #granted: (readonly [Operation, ResourceType, string])[] = []

  constructor(subject: Subject, action: string, security: Security) {
    this.#subject = subject
    this.#action = action
    this.#security = security
  }
  sees(operation: Operation, type: ResourceType, name: string): boolean {
    return this.#security.authorizer.allows(this.#subject, operation, { type, name })
  }
  /** Throws Fault security.not-authenticated, security.not-authorized. */
  demand(operation: Operation, type: ResourceType, name: string): void {
    if (!this.sees(operation, type, name)) throw this.#refusal(operation, type, name)
    if (changing.has(operation) && this.#changes.size < notedMax) this.#changes.add(`${type}:${name}`)
    this.#granted.push([operation, type, name])
  }
  /** Throws as `demand` does where something that was granted is no more. */
  demandAgain(): void {
    for (const [operation, type, name] of this.#granted)
      if (!this.sees(operation, type, name)) throw this.#refusal(operation, type, name)
  }
  /**
   * What a route declares. `nameOf`: the resource that a part of the path names; `path`: what is changed, for the audit.
   * Throws as `demand` does.
   */
  demandAll(
    needed: Route['access'],
    params: Readonly<Record<string, string>>,
    nameOf: (parameter: string) => string,
    path: string,
  ): void {
    const { principal } = this.#subject
    if (needed === byContent) {
      if (principal === anonymous && !this.#security.authorizer.allowsAny(this.#subject, 'describe', 'topic'))
        throw this.#refusal('describe', 'topic', '*')
      return
    }
    for (const { operation, type, parameter } of needed) {
      const name = parameter === null ? clusterName : nameOf(parameter)
      if (this.sees(operation, type, name)) {
        this.#granted.push([operation, type, name])
        continue
      }
      // A stream does not give away its topic.
      const said = this.sees('describe', type, name) ? name : (params[parameter ?? ''] ?? name)
      throw this.#refusal(operation, type, name, said)
    }
    if (needed.some(({ operation }) => changing.has(operation))) this.#changes.add(path)
  }
  /** For the engine, which asks about what statements name. */
  readonly rights: Rights = {
    sees: (topic) => this.sees('describe', 'topic', topic),
    seesCluster: () => this.sees('describe', 'cluster', clusterName),
    demand: (operation, topic) => {
      // As for Kafka's CreateTopics: on the cluster it is allowed for every name.
      const onAll = operation === 'create' && this.sees('create', 'cluster', clusterName)
      if (onAll) this.#changes.add(`topic:${topic}`)
      else this.demand(operation, 'topic', topic)
    },
    demandCluster: (operation) => this.demand(operation, 'cluster', clusterName),
    missed: (topic) => {
      if (!this.#security.authorizer.enforced) return
      if (this.#subject.principal === anonymous) throw this.#refusal('describe', 'topic', topic ?? '')
      if (topic !== null) this.#refusal('describe', 'topic', topic)
    },
  }

  /** Noted. `said`: the name for who asks. */
  #refusal(operation: Operation, type: ResourceType, name: string, said = name): Fault {
    const subject = this.#subject
    const resources = [`${operation} ${type}:${name}`]
    this.#security.audit.note({ subject, via: 'http', action: this.#action, resources, outcome: 'refused' })
    if (subject.principal === anonymous) return new Fault('security.not-authenticated', {})
    const principal = principalText(subject.principal)
    return new Fault('security.not-authorized', { principal, operation, resource: `${type} ${said}` })
  }
  /** What is changed, for the audit: more than the names of resources say. */
  says(changes: readonly string[]): void {
    this.#said.push(...changes.slice(0, notedMax - this.#said.length))
  }
  /** What the audit is to know of the changes, when the request is over. */
  note(failed: boolean): void {
    if (this.#changes.size === 0) return
    const outcome = failed ? 'failed' : 'done'
    const resources = [...this.#changes]
    const [subject, action, changes] = [this.#subject, this.#action, this.#said]
    this.#security.audit.note({ subject, via: 'http', action, resources, outcome, changes })
  }
}
