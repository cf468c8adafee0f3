/** Who may read and write which log topic. What is refused is kept for the audit. */
import type { Subject } from '../../security/authorizer.ts'
import type { Security } from '../../security/security.ts'

export class Access {
  readonly #security: Security

  constructor(security: Security) {
    this.#security = security
  }
  get isEnforced(): boolean {
    return this.#security.authorizer.enforced
  }
  /** Without a word where it is not allowed. */
  allows(subject: Subject, operation: 'read' | 'write', topic: string): boolean {
    const { authorizer } = this.#security
    return !authorizer.enforced || authorizer.allows(subject, operation, { type: 'topic', name: topic })
  }
  may(subject: Subject, operation: 'read' | 'write', topic: string): boolean {
    if (this.allows(subject, operation, topic)) return true
    const action = operation === 'write' ? 'publish' : 'subscribe'
    const resources = [`${operation} topic:${topic}`]
    this.#security.audit.note({ subject, via: 'mqtt', action, resources, outcome: 'refused' })
    return false
  }
}
