import { code, handler, nodeId } from '../handler.ts'
import { findCoordinatorApi } from '../../../wire/kafka/messages/10-find-coordinator.ts'

const groupKey = 0
const transactionKey = 1

/** We coordinate every group and would every transaction; share groups have no coordinator here. */
export const findCoordinator = handler({
  api: findCoordinatorApi,
  versions: [0, 6],
  handle(request, { node, version }) {
    const known = request.keyType === groupKey || request.keyType === transactionKey
    const at = known ? { nodeId, host: node.host, port: node.port } : { nodeId: -1, host: '', port: -1 }
    const outcome = known
      ? { errorCode: code.none, errorMessage: null }
      : { errorCode: code.invalidRequest, errorMessage: `coordinators of key type ${request.keyType} are not offered` }
    return {
      coordinators: version < 4 ? [] : request.coordinatorKeys.map((key) => ({ key, ...at, ...outcome })),
      ...outcome,
      ...at,
    }
  },
})
