import { Fault } from '../../../lib/fault.ts'
import { grantText } from '../../../security/audit-text.ts'
import type { GrantFilter } from '../../../security/grants.ts'
import { filterOf, numbered } from '../grant-numbers.ts'
import { attempt, code, errorCode, errorMessage, handler } from '../handler.ts'
import { deleteAclsApi } from '../../../wire/kafka/messages/31-delete-acls.ts'

export const deleteAcls = handler({
  api: deleteAclsApi,
  versions: [1, 3],
  access: { needs: ['alter cluster'] },
  async handle({ filters }, exchange) {
    const { access, security } = exchange
    const none = (error: number, message: string | null) => ({
      errorCode: error,
      errorMessage: message,
      matchingAcls: [],
    })
    if (!access.onCluster('alter')) {
      const refused = none(code.clusterAuthorizationFailed, 'Cluster authorization failed.')
      return { filterResults: filters.map(() => refused) }
    }
    const asked = filters.map(filterOf)
    const known = asked.filter((one): one is GrantFilter => one !== null)
    const removed = await attempt(exchange, () => security.grants.remove(known))
    if (!(removed instanceof Fault)) access.says(removed.flat().map(grantText))
    let next = 0
    const filterResults = asked.map((one) => {
      if (one === null) return none(code.invalidRequest, 'The filter contains UNKNOWN elements.')
      if (removed instanceof Fault) return none(errorCode(removed), errorMessage(removed))
      const outcome = { errorCode: code.none, errorMessage: null }
      return { ...outcome, matchingAcls: removed[next++]!.map((grant) => ({ ...outcome, ...numbered(grant) })) }
    })
    return { filterResults }
  },
})
