import { code, handler } from '../handler.ts'
import { listPartitionReassignmentsApi } from '../../../wire/kafka/messages/46-list-partition-reassignments.ts'

/** Nothing moves where there is one broker. */
export const listPartitionReassignments = handler({
  api: listPartitionReassignmentsApi,
  versions: [0, 0],
  access: { needs: ['describe cluster'] },
  handle: (_, { access }) =>
    access.onCluster('describe')
      ? { errorCode: code.none, errorMessage: null, topics: [] }
      : { errorCode: code.clusterAuthorizationFailed, errorMessage: 'Cluster authorization failed.', topics: [] },
})
