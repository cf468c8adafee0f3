/**
 * What a request may do. A handler declares its needs; here they are asked about one by one, for the resources that the
 * request names. What is asked without having been declared is a mistake of the handler, and said as one. What was refused,
 * and what was allowed and changes the platform, is kept for the audit.
 */
import { assert } from '../../lib/assert.ts'
import type { Subject } from '../../security/authorizer.ts'
import { type Operation, type ResourceType, clusterName, operations, operationsOf } from '../../security/grants.ts'
import type { Security } from '../../security/security.ts'
import { outcomeOf } from './outcome.ts'

type Need = `${Operation} ${ResourceType}`
export interface Access {
  /** Without one of them (of a list: without all of it) something of the request is refused with an error. */
  readonly needs: readonly (Need | readonly Need[])[]
  /** Without one of them an answer shows less. */
  readonly shows?: readonly Need[]
  /** Where nothing is needed: why not. */
  readonly open?: string
}
/** Such an act is noted in the audit topic. */
const changing: ReadonlySet<Operation> = new Set(['create', 'delete', 'alter', 'alter-configs'])
/** Of one request; the audit takes no more. */
const notedMax = 1_000

/** Kafka's number of an operation; `all` is 2. */
const bitsOf = (list: readonly Operation[]): number =>
  list.reduce((sum, operation) => sum | (1 << (operations.indexOf(operation) + 2)), 0)

export class RequestAccess {
  readonly subject: Subject
  readonly #security: Security
  readonly #declared: Access
  #refused: Set<string> | null = null
  #changed: Set<string> | null = null
  #changes: string[] | null = null

  constructor(subject: Subject, security: Security, declared: Access) {
    this.subject = subject
    this.#security = security
    this.#declared = declared
  }

  /** Whether it is allowed; that it is not will be noted. */
  may(operation: Operation, type: ResourceType, name: string): boolean {
    const allowed = this.sees(operation, type, name)
    if (!allowed) this.#refused = noted(this.#refused, `${operation} ${type}:${name}`)
    else if (changing.has(operation)) this.#changed = noted(this.#changed, `${type}:${name}`)
    return allowed
  }
  /** The same where not being allowed only means to be shown less, or to need something else. */
  sees(operation: Operation, type: ResourceType, name: string): boolean {
    const { authorizer } = this.#security
    this.#check(operation, type)
    return !authorizer.enforced || authorizer.allows(this.subject, operation, { type, name })
  }
  onCluster(operation: Operation): boolean {
    return this.may(operation, 'cluster', clusterName)
  }
  seesCluster(operation: Operation): boolean {
    return this.sees(operation, 'cluster', clusterName)
  }
  /** On any resource of the type. */
  mayAny(operation: Operation, type: ResourceType): boolean {
    this.#check(operation, type)
    const allowed = this.#security.authorizer.allowsAny(this.subject, operation, type)
    if (!allowed) this.#refused = noted(this.#refused, `${operation} any ${type}`)
    return allowed
  }
  /** As bits, by Kafka's numbers: what clients are told they may do. */
  operations(type: ResourceType, name: string): number {
    const { authorizer } = this.#security
    if (!authorizer.enforced) return bitsOf(operationsOf[type])
    return bitsOf(operationsOf[type].filter((operation) => authorizer.allows(this.subject, operation, { type, name })))
  }
  clusterOperations(): number {
    return this.operations('cluster', clusterName)
  }

  /** What is changed, for the audit: more than the names of resources say. */
  says(changes: readonly string[]): void {
    this.#changes ??= []
    for (const one of changes) if (this.#changes.length < notedMax) this.#changes.push(one)
  }
  /** What the audit is to know of the request, by what it was answered. */
  note(action: string, answer: unknown): void {
    const { subject } = this
    const via = 'kafka'
    if (this.#refused !== null)
      this.#security.audit.note({ subject, via, action, resources: [...this.#refused], outcome: 'refused' })
    if (this.#changed !== null) {
      const outcome = outcomeOf(answer)
      const changes = this.#changes ?? []
      this.#security.audit.note({ subject, via, action, resources: [...this.#changed], outcome, changes })
    }
  }
  #check(operation: Operation, type: ResourceType): void {
    const need: Need = `${operation} ${type}`
    const { needs, shows = [] } = this.#declared
    const isDeclared = needs.some((one) => one === need || (typeof one !== 'string' && one.includes(need)))
    assert(isDeclared || shows.includes(need), `a handler asks for ${need} without declaring it`)
  }
}
function noted(set: Set<string> | null, what: string): Set<string> {
  const to = set ?? new Set()
  return to.size < notedMax ? to.add(what) : to
}
