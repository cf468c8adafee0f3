import { filterOf, numbered } from '../grant-numbers.ts'
import { code, handler } from '../handler.ts'
import { describeAclsApi } from '../../../wire/kafka/messages/29-describe-acls.ts'

export const describeAcls = handler({
  api: describeAclsApi,
  versions: [1, 3],
  access: { needs: ['describe cluster'] },
  handle(request, { access, security }) {
    const refused = (errorCode: number, errorMessage: string) => ({ errorCode, errorMessage, resources: [] })
    if (!access.onCluster('describe')) return refused(code.clusterAuthorizationFailed, 'Cluster authorization failed.')
    const filter = filterOf(request)
    if (filter === null) return refused(code.invalidRequest, 'The filter contains UNKNOWN elements.')
    const grants = security.grants.find(filter).map(numbered)
    const byResource = Map.groupBy(grants, ({ resourceType, patternType, resourceName }) =>
      JSON.stringify([resourceType, patternType, resourceName]),
    )
    const resources = [...byResource.values()].map((acls) => {
      const { resourceType, patternType, resourceName } = acls[0]!
      return { resourceType, patternType, resourceName, acls }
    })
    return { errorCode: code.none, errorMessage: null, resources }
  },
})
