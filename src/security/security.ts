/** Who may do what: users, grants, quotas, and the record of what was done. Knows nothing of protocols. */
import { Fault } from '../lib/fault.ts'
import type { Logger } from '../lib/logger.ts'
import type { World } from '../lib/world.ts'
import type { Catalog } from '../log/catalog.ts'
import type { Log } from '../log/log.ts'
import { type AccessKeys, CatalogAccessKeys } from './access-keys.ts'
import { type Audit, TopicAudit, noAudit } from './audit.ts'
import { type Authorizer, GrantAuthorizer, openAuthorizer } from './authorizer.ts'
import { type Grant, type GrantFilter, checkGrant, fits, grantKey } from './grants.ts'
import { JwksOAuth, type OAuth, type OAuthOptions, checkOAuth } from './oauth.ts'
import { type Principal, user } from './principal.ts'
import { type PrincipalMapping, principalMapping } from './principal-mapping.ts'
import { CatalogQuotas, type Quotas, noQuotas } from './quotas.ts'
import { type SaslMechanism, type SaslServer, saslServer } from './sasl.ts'
import { CatalogUsers, type Users } from './users.ts'

export interface SecurityOptions {
  readonly superUsers: readonly Principal[]
  /** Kafka's `ssl.principal.mapping.rules`. */
  readonly principalMapping: string
  readonly oauth: OAuthOptions | null
  /** Listeners ask who somebody is: then nobody may do anything without a grant, also while there are no users. */
  readonly authenticates: boolean
}
export interface Grants {
  /** Throws Fault security.invalid-grant. */
  add(grants: readonly Grant[]): Promise<void>
  find(filter: GrantFilter): readonly Grant[]
  /** Those that were there and fit one of the filters, filter by filter. */
  remove(filters: readonly GrantFilter[]): Promise<readonly (readonly Grant[])[]>
}
export interface Security {
  readonly authorizer: Authorizer
  readonly users: Users
  readonly accessKeys: AccessKeys
  readonly grants: Grants
  readonly quotas: Quotas
  readonly audit: Audit
  readonly oauth: OAuth | null
  sasl(mechanism: SaslMechanism): SaslServer
  /** Who shows a certificate of that subject; null: by the mapping nobody. */
  bySubject(subject: string): Principal | null
}
export interface OpenSecurity extends Security {
  close(): Promise<void>
}
interface Parts {
  readonly world: World
  readonly log: Log
  readonly catalog: Catalog
  readonly logger: Logger
}

/** Throws Fault config.invalid. */
export function openSecurity(parts: Parts, options: SecurityOptions): OpenSecurity {
  return new CatalogSecurity(parts, options)
}

class CatalogSecurity implements OpenSecurity {
  readonly authorizer: GrantAuthorizer
  readonly users: CatalogUsers
  readonly accessKeys: CatalogAccessKeys
  readonly grants: Grants
  readonly quotas: CatalogQuotas
  readonly audit: TopicAudit
  readonly oauth: OAuth | null
  readonly #random: World['random']
  readonly #mapping: PrincipalMapping
  readonly #stop: () => void

  constructor({ world, log, catalog, logger }: Parts, options: SecurityOptions) {
    if (options.oauth !== null) checkOAuth(options.oauth)
    this.#random = world.random
    this.#mapping = principalMapping(options.principalMapping)
    const superUsers = new Set(options.superUsers.map(({ name }) => name))
    const users = new CatalogUsers({ catalog, random: world.random, superUsers })
    const grants = new CatalogGrants(catalog)
    this.users = users
    this.accessKeys = new CatalogAccessKeys({
      catalog,
      random: world.random,
      now: () => world.clock.now(),
      isUser: (name) => superUsers.has(name) || users.get(name) !== null,
    })
    this.grants = grants
    this.quotas = new CatalogQuotas({ catalog, clock: world.clock })
    this.audit = new TopicAudit({ log, clock: world.clock, logger, newChain: () => world.random.uuid() })
    this.oauth = options.oauth === null ? null : new JwksOAuth(options.oauth, world, logger)
    this.authorizer = new GrantAuthorizer({
      enforced: () => options.authenticates || !users.isEmpty,
      isSuper: ({ name }) => superUsers.has(name) || users.get(name)?.super === true,
    })
    this.authorizer.replace(grants.all())
    this.#stop = catalog.onChange((changed) => {
      const kinds = new Set(changed.map(({ kind }) => kind))
      if (kinds.has('user')) users.read()
      if (kinds.has('access-key')) this.accessKeys.read()
      if (kinds.has('quota')) this.quotas.read()
      // Decisions are remembered, and a super user may be none any more.
      if (kinds.has('grant') || kinds.has('user')) this.authorizer.replace(grants.all())
    })
  }
  sasl(mechanism: SaslMechanism): SaslServer {
    return saslServer(mechanism, { users: this.users, oauth: this.oauth, random: this.#random })
  }
  bySubject(subject: string): Principal | null {
    const name = this.#mapping(subject)
    return name === null || name === '' ? null : user(name)
  }
  async close(): Promise<void> {
    this.#stop()
    await this.audit.close()
  }
}

class CatalogGrants implements Grants {
  readonly #catalog: Catalog

  constructor(catalog: Catalog) {
    this.#catalog = catalog
  }
  all(): readonly Grant[] {
    return this.#catalog.all('grant').map(({ value }) => value as Grant)
  }
  find(filter: GrantFilter): readonly Grant[] {
    return this.all().filter((grant) => fits(filter, grant))
  }
  async add(grants: readonly Grant[]): Promise<void> {
    for (const grant of grants) checkGrant(grant)
    await this.#catalog.change(grants.map((grant) => ({ kind: 'grant', name: grantKey(grant), value: grant })))
  }
  async remove(filters: readonly GrantFilter[]): Promise<readonly (readonly Grant[])[]> {
    const all = this.all()
    const byName = Map.groupBy(all, ({ name }) => name)
    // Few filters are about every name, and many may come at once.
    const found = filters.map((filter) => {
      const { name, pattern } = filter
      const some = name === null || pattern === 'match' ? all : (byName.get(name) ?? [])
      return some.filter((grant) => fits(filter, grant))
    })
    const names = new Set(found.flat().map(grantKey))
    await this.#catalog.change([...names].map((name) => ({ kind: 'grant', name, value: null })))
    return found
  }
}

const unavailable = (): Promise<never> => Promise.reject(new Fault('security.unavailable', {}))
/** Where no catalogue keeps users: everything is allowed to everybody. */
export const openToAll: Security = {
  authorizer: openAuthorizer,
  users: {
    all: () => [],
    get: () => null,
    scram: () => {
      throw new Fault('security.unavailable', {})
    },
    hasPassword: async () => false,
    credentials: unavailable,
    check: () => new Fault('security.unavailable', {}),
    change: unavailable,
    remove: unavailable,
  },
  accessKeys: { all: () => [], get: () => null, secret: () => null, create: unavailable, remove: unavailable },
  grants: { add: unavailable, remove: unavailable, find: () => [] },
  quotas: noQuotas,
  audit: noAudit,
  oauth: null,
  sasl: () => ({ step: unavailable }),
  bySubject: () => null,
}
