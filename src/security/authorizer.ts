/**
 * Decides by grants. Nobody is refused anything until authentication is set up or the first user is made; from then on
 * everybody is refused what no grant allows, super users aside.
 */
import {
  type Grant,
  type Operation,
  type ResourceType,
  clusterName,
  covers,
  everything,
  holdsFor,
  isOf,
} from './grants.ts'
import { type Principal, principalText } from './principal.ts'

export interface Resource {
  readonly type: ResourceType
  readonly name: string
}
const cluster: Resource = { type: 'cluster', name: clusterName }
/** Somebody who asks: who, and from where. */
export interface Subject {
  readonly principal: Principal
  /** Without a port. */
  readonly host: string
}
export interface Authorizer {
  /** Whether anything is refused to anybody. */
  readonly enforced: boolean
  allows(subject: Subject, operation: Operation, resource: Resource): boolean
  /** Whether there is any resource of the type on which it is allowed. */
  allowsAny(subject: Subject, operation: Operation, type: ResourceType): boolean
}
/** Everything is allowed. */
export const openAuthorizer: Authorizer = { enforced: false, allows: () => true, allowsAny: () => true }

/** Decisions that are remembered; then all are forgotten and made again. */
const decisionsMax = 20_000
/** The salted credentials, who did what, and the keys of the Pub/Sub gateway: only for those who may change users and grants. */
const restricted = new Set(['_millrace_catalog', '_millrace_audit', '_millrace_pubsub'])

interface OfType {
  readonly literal: Map<string, Grant[]>
  readonly prefixed: Grant[]
}

export class GrantAuthorizer implements Authorizer {
  readonly #enforced: () => boolean
  readonly #isSuper: (principal: Principal) => boolean
  #byType = new Map<ResourceType, OfType>()
  readonly #decisions = new Map<string, boolean>()

  constructor(options: { enforced: () => boolean; isSuper: (principal: Principal) => boolean }) {
    this.#enforced = options.enforced
    this.#isSuper = options.isSuper
  }
  get enforced(): boolean {
    return this.#enforced()
  }

  replace(grants: readonly Grant[]): void {
    this.#byType = new Map()
    this.#decisions.clear()
    for (const grant of grants) {
      const { resource, name } = grant
      if (!this.#byType.has(resource)) this.#byType.set(resource, { literal: new Map(), prefixed: [] })
      const { literal, prefixed } = this.#byType.get(resource)!
      if (grant.pattern === 'prefixed') prefixed.push(grant)
      else if (literal.has(name)) literal.get(name)!.push(grant)
      else literal.set(name, [grant])
    }
  }

  allows(subject: Subject, operation: Operation, resource: Resource): boolean {
    if (!this.#enforced() || this.#isSuper(subject.principal)) return true
    const key = [principalText(subject.principal), subject.host, operation, resource.type, resource.name].join('\0')
    const known = this.#decisions.get(key)
    if (known !== undefined) return known
    const decided = this.#decide(subject, operation, resource)
    if (this.#decisions.size >= decisionsMax) this.#decisions.clear()
    this.#decisions.set(key, decided)
    return decided
  }
  #decide(subject: Subject, operation: Operation, resource: Resource): boolean {
    const isRestricted = resource.type === 'topic' && restricted.has(resource.name) && operation !== 'describe'
    if (isRestricted && !this.allows(subject, 'alter', cluster)) return false
    const principal = principalText(subject.principal)
    const of = this.#byType.get(resource.type)
    if (of === undefined) return false
    let allowed = false
    for (const grants of [of.literal.get(resource.name) ?? [], of.literal.get(everything) ?? [], of.prefixed])
      for (const grant of grants) {
        if (!holdsFor(grant, resource.name)) continue
        if (!isOf(grant, principal, subject.host) || !covers(grant, operation)) continue
        if (grant.permission === 'deny') return false
        allowed = true
      }
    return allowed
  }

  /** An allowance counts unless a refusal covers all of its pattern. */
  allowsAny(subject: Subject, operation: Operation, type: ResourceType): boolean {
    if (!this.#enforced() || this.#isSuper(subject.principal)) return true
    const of = this.#byType.get(type)
    if (of === undefined) return false
    const principal = principalText(subject.principal)
    const relevant = [...[...of.literal.values()].flat(), ...of.prefixed].filter(
      (grant) => isOf(grant, principal, subject.host) && covers(grant, operation),
    )
    const denied = relevant.filter(({ permission }) => permission === 'deny')
    return relevant.some((grant) => grant.permission === 'allow' && !denied.some((deny) => swallows(deny, grant)))
  }
}
/** Everything that `grant` is about, `deny` is about as well. */
function swallows(deny: Grant, grant: Grant): boolean {
  if (deny.pattern === 'literal' && deny.name === everything) return true
  if (deny.pattern === 'literal') return grant.pattern === 'literal' && deny.name === grant.name
  if (grant.pattern === 'literal' && grant.name === everything) return false
  return grant.name.startsWith(deny.name)
}
