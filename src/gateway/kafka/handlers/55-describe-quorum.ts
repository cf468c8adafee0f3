import { catalogTopic } from '../../../log/catalog.ts'
import { nullUuid } from '../../../wire/kafka/codec/shape.ts'
import { describeQuorumApi } from '../../../wire/kafka/messages/55-describe-quorum.ts'
import { code, handler, nodeId } from '../handler.ts'

/** What Kafka's controllers keep there stands in our catalogue. */
const metadataTopic = '__cluster_metadata'

export const describeQuorum = handler({
  api: describeQuorumApi,
  versions: [0, 2],
  access: { needs: ['describe cluster'] },
  async handle(request, { access, broker }) {
    if (!access.onCluster('describe'))
      return {
        errorCode: code.clusterAuthorizationFailed,
        errorMessage: 'Cluster authorization failed.',
        topics: [],
        nodes: [],
      }
    const catalog = { topic: catalogTopic, index: 0 }
    const [bounds] = await broker.bounds([catalog])
    const voter = { replicaId: nodeId, replicaDirectoryId: nullUuid, logEndOffset: bounds!.end }
    const quorum = {
      leaderId: nodeId,
      leaderEpoch: broker.leaderEpoch(catalog),
      highWatermark: bounds!.stable,
      currentVoters: [voter],
      observers: [],
    }
    const unknown = { leaderId: -1, leaderEpoch: -1, highWatermark: -1, currentVoters: [], observers: [] }
    return {
      errorCode: code.none,
      topics: request.topics.map(({ topicName, partitions }) => ({
        topicName,
        partitions: partitions.map(({ partitionIndex }) =>
          topicName === metadataTopic && partitionIndex === 0
            ? { partitionIndex, errorCode: code.none, ...quorum }
            : { partitionIndex, errorCode: code.unknownTopicOrPartition, ...unknown },
        ),
      })),
      // No controller listens.
      nodes: [{ nodeId, listeners: [] }],
    }
  },
})
