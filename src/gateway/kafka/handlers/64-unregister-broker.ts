import { code, handler, nodeId } from '../handler.ts'
import { unregisterBrokerApi } from '../../../wire/kafka/messages/64-unregister-broker.ts'

export const unregisterBroker = handler({
  api: unregisterBrokerApi,
  versions: [0, 0],
  access: { needs: ['alter cluster'] },
  handle: ({ brokerId }, { access }) => {
    if (!access.onCluster('alter'))
      return { errorCode: code.clusterAuthorizationFailed, errorMessage: 'Cluster authorization failed.' }
    return brokerId === nodeId
      ? { errorCode: code.invalidRequest, errorMessage: `broker ${nodeId} is the only one and runs` }
      : { errorCode: code.brokerIdNotRegistered, errorMessage: `Broker ID ${brokerId} is not currently registered` }
  },
})
