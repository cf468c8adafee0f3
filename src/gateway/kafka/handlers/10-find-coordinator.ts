import { code, handler, nodeId } from '../handler.ts'
import { findCoordinatorApi } from '../../../wire/kafka/messages/10-find-coordinator.ts'

const groupKey = 0
const transactionKey = 1
const firstVersionOfSeveral = 4

/** We coordinate every group and would every transaction; share groups have no coordinator here. */
export const findCoordinator = handler({
  api: findCoordinatorApi,
  versions: [0, 6],
  access: { needs: ['describe group'], shows: ['describe transactional-id'] },
  handle(request, { access, node, version }) {
    const answer = (key: string) => {
      const refused = { nodeId: -1, host: '', port: -1 }
      if (request.keyType === groupKey) {
        if (!access.may('describe', 'group', key))
          return { ...refused, errorCode: code.groupAuthorizationFailed, errorMessage: 'Group authorization failed.' }
      } else if (request.keyType === transactionKey) {
        if (!access.may('describe', 'transactional-id', key)) {
          const errorMessage = 'Transactional Id authorization failed.'
          return { ...refused, errorCode: code.transactionalIdAuthorizationFailed, errorMessage }
        }
      } else {
        const errorMessage = `coordinators of key type ${request.keyType} are not offered`
        return { ...refused, errorCode: code.invalidRequest, errorMessage }
      }
      return { nodeId, host: node.host, port: node.port, errorCode: code.none, errorMessage: null }
    }
    if (version < firstVersionOfSeveral) return { coordinators: [], ...answer(request.key) }
    const coordinators = request.coordinatorKeys.map((key) => ({ key, ...answer(key) }))
    return { coordinators, errorCode: code.none, errorMessage: null, nodeId: -1, host: '', port: -1 }
  },
})
