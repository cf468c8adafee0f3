import { code, handler, nodeId, operationsUnknown } from '../handler.ts'
import { describeClusterApi } from '../../../wire/kafka/messages/60-describe-cluster.ts'

const brokers = 1

export const describeCluster = handler({
  api: describeClusterApi,
  versions: [0, 2],
  access: { needs: [], shows: ['describe cluster'], open: 'a client must find the brokers' },
  handle(request, { access, broker, node }) {
    if (request.endpointType !== brokers)
      return {
        errorCode: code.mismatchedEndpointType,
        errorMessage: 'this listener is one of brokers; there is none of controllers',
        endpointType: brokers,
        clusterId: '',
        brokers: [],
      }
    const operations = access.seesCluster('describe') ? access.clusterOperations() : 0
    return {
      errorCode: code.none,
      endpointType: brokers,
      clusterId: broker.clusterId,
      controllerId: nodeId,
      brokers: [{ brokerId: nodeId, host: node.host, port: node.port, isFenced: false }],
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? operations : operationsUnknown,
    }
  },
})
