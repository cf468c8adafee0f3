/**
 * Grants as Kafka has them: a principal may, or may not, do an operation on the resources of a pattern, coming from a
 * host. Refusals win over allowances, whichever is nearer.
 */
import { Fault } from '../lib/fault.ts'
import { parsePrincipal } from './principal.ts'

export const operations = [
  'all',
  'read',
  'write',
  'create',
  'delete',
  'alter',
  'describe',
  'cluster-action',
  'describe-configs',
  'alter-configs',
  'idempotent-write',
  'create-tokens',
  'describe-tokens',
  'two-phase-commit',
] as const
/** What can be asked for; `all` is only what a grant can give. */
export type Operation = Exclude<(typeof operations)[number], 'all'>
export const resourceTypes = ['topic', 'group', 'cluster', 'transactional-id', 'delegation-token', 'user'] as const
export type ResourceType = (typeof resourceTypes)[number]
export const patternTypes = ['literal', 'prefixed'] as const
export const permissions = ['deny', 'allow'] as const

export interface Grant {
  readonly resource: ResourceType
  readonly pattern: (typeof patternTypes)[number]
  readonly name: string
  /** `User:name`, or `User:*` for everybody. */
  readonly principal: string
  /** An address, or `*`. */
  readonly host: string
  readonly operation: Operation | 'all'
  readonly permission: (typeof permissions)[number]
}
/** The one name that the cluster has as a resource. */
export const clusterName = 'kafka-cluster'
export const everything = '*'
export const everybody = 'User:*'

/** What can be done to a resource of a type; what `all` gives. */
export const operationsOf: Readonly<Record<ResourceType, readonly Operation[]>> = {
  topic: ['read', 'write', 'create', 'delete', 'alter', 'describe', 'describe-configs', 'alter-configs'],
  group: ['read', 'delete', 'describe', 'describe-configs', 'alter-configs'],
  cluster: ['create', 'alter', 'describe', 'cluster-action', 'describe-configs', 'alter-configs', 'idempotent-write'],
  'transactional-id': ['write', 'describe', 'two-phase-commit'],
  'delegation-token': ['describe'],
  user: ['create-tokens', 'describe-tokens'],
}
/** Who is allowed one of these may also do what it needs. Only allowances imply; refusing to read does not hide. */
const impliedBy: Readonly<Partial<Record<Operation, readonly Operation[]>>> = {
  describe: ['read', 'write', 'delete', 'alter'],
  'describe-configs': ['alter-configs'],
}
export function covers(grant: Grant, operation: Operation): boolean {
  if (grant.operation === 'all' || grant.operation === operation) return true
  const { operation: granted, permission } = grant
  return permission === 'allow' && (impliedBy[operation] ?? []).includes(granted)
}
export const isOf = (grant: Grant, principal: string, host: string): boolean =>
  (grant.principal === principal || grant.principal === everybody) && (grant.host === host || grant.host === everything)

/** The name of its entry in the catalogue: the same grant is there once. */
export const grantKey = (grant: Grant): string =>
  JSON.stringify([
    grant.resource,
    grant.pattern,
    grant.name,
    grant.principal,
    grant.host,
    grant.operation,
    grant.permission,
  ])

const nameLengthMax = 1024
/** Throws Fault security.invalid-grant. */
export function checkGrant({ resource, pattern, name, principal, host }: Grant): void {
  const invalid = (why: string): Fault => new Fault('security.invalid-grant', { why })
  if (name === '' || name.length > nameLengthMax) throw invalid('the name of the resource is empty or too long')
  if (resource === 'cluster' && (name !== clusterName || pattern !== 'literal'))
    throw invalid(`the only name of the cluster is ${clusterName}`)
  if (parsePrincipal(principal) === null || principal.length > nameLengthMax)
    throw invalid('a principal has the form User:NAME')
  if (host === '' || host.length > 255) throw invalid('the host is an address, or *')
}

/** Which grants are asked for; null = any. `match`: every pattern that holds for the name. */
export interface GrantFilter {
  readonly resource: ResourceType | null
  readonly pattern: Grant['pattern'] | 'match' | null
  readonly name: string | null
  readonly principal: string | null
  readonly host: string | null
  readonly operation: Grant['operation'] | null
  readonly permission: Grant['permission'] | null
}
export function fits(filter: GrantFilter, grant: Grant): boolean {
  const same = <T>(wanted: T | null, found: T): boolean => wanted === null || wanted === found
  return (
    same(filter.resource, grant.resource) &&
    fitsName(filter, grant) &&
    same(filter.principal, grant.principal) &&
    same(filter.host, grant.host) &&
    same(filter.operation, grant.operation) &&
    same(filter.permission, grant.permission)
  )
}
function fitsName({ pattern, name }: GrantFilter, grant: Grant): boolean {
  if (pattern === 'match') return name === null || holdsFor(grant, name)
  return (pattern === null || pattern === grant.pattern) && (name === null || name === grant.name)
}
export const holdsFor = (grant: Grant, name: string): boolean =>
  grant.pattern === 'prefixed' ? name.startsWith(grant.name) : grant.name === everything || grant.name === name
