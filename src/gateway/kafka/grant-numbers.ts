/** Grants as Kafka's messages have them: numbers, of which 1 stands for any in a filter. */
import {
  type Grant,
  type GrantFilter,
  operations,
  patternTypes,
  permissions,
  resourceTypes,
} from '../../security/grants.ts'

const any = 1
const first = 2
const match = 2
const firstPattern = 3

export interface NumberedGrant {
  readonly resourceType: number
  readonly patternType: number
  readonly resourceName: string
  readonly principal: string
  readonly host: string
  readonly operation: number
  readonly permissionType: number
}
export interface NumberedFilter {
  readonly resourceTypeFilter: number
  readonly patternTypeFilter: number
  readonly resourceNameFilter: string | null
  readonly principalFilter: string | null
  readonly hostFilter: string | null
  readonly operation: number
  readonly permissionType: number
}

export const numbered = (grant: Grant): NumberedGrant => ({
  resourceType: resourceTypes.indexOf(grant.resource) + first,
  patternType: patternTypes.indexOf(grant.pattern) + firstPattern,
  resourceName: grant.name,
  principal: grant.principal,
  host: grant.host,
  operation: operations.indexOf(grant.operation) + first,
  permissionType: permissions.indexOf(grant.permission) + first,
})
/** What is wrong with it as a text. */
export function grantOf(by: NumberedGrant): Grant | string {
  const resource = resourceTypes[by.resourceType - first]
  const pattern = patternTypes[by.patternType - firstPattern]
  const operation = operations[by.operation - first]
  const permission = permissions[by.permissionType - first]
  if (resource === undefined) return `Invalid resource type ${by.resourceType}`
  if (pattern === undefined) return `Invalid pattern type ${by.patternType}`
  if (operation === undefined) return `Invalid operation ${by.operation}`
  if (permission === undefined) return `Invalid permission type ${by.permissionType}`
  return { resource, pattern, name: by.resourceName, principal: by.principal, host: by.host, operation, permission }
}
/** null: there is no such filter. */
export function filterOf(by: NumberedFilter): GrantFilter | null {
  const resource = by.resourceTypeFilter === any ? null : resourceTypes[by.resourceTypeFilter - first]
  const pattern = patternOf(by.patternTypeFilter)
  const operation = by.operation === any ? null : operations[by.operation - first]
  const permission = by.permissionType === any ? null : permissions[by.permissionType - first]
  if (resource === undefined || pattern === undefined || operation === undefined || permission === undefined)
    return null
  const { resourceNameFilter: name, principalFilter: principal, hostFilter: host } = by
  return { resource, pattern, name, principal, host, operation, permission }
}
function patternOf(number: number): GrantFilter['pattern'] | undefined {
  if (number === any) return null
  return number === match ? 'match' : patternTypes[number - firstPattern]
}
