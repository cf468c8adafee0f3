import { code, handler, shortened } from '../handler.ts'
import { electLeadersApi } from '../../../wire/kafka/messages/43-elect-leaders.ts'

const electionTypes = [0, 1]

/** The only broker leads everything already. */
export const electLeaders = handler({
  api: electLeadersApi,
  versions: [0, 2],
  access: { needs: ['alter cluster'] },
  handle({ electionType, topicPartitions }, { access, broker }) {
    if (!access.onCluster('alter')) {
      const errorMessage = 'Cluster authorization failed.'
      const errorCode = code.clusterAuthorizationFailed
      const replicaElectionResults = (topicPartitions ?? []).map(({ topic, partitions }) => ({
        topic,
        partitionResult: partitions.map((partitionId) => ({ partitionId, errorCode, errorMessage })),
      }))
      return { errorCode, replicaElectionResults }
    }
    const isKnownType = electionTypes.includes(electionType)
    // Where all are asked for, those that need no election are left out of the answer.
    const asked = topicPartitions ?? broker.catalog.all().map(({ name }) => ({ topic: name, partitions: [] }))
    return {
      errorCode: isKnownType ? code.none : code.invalidRequest,
      replicaElectionResults: asked.map(({ topic, partitions }) => {
        const count = broker.catalog.byName(topic)?.partitions ?? null
        return {
          topic,
          partitionResult: partitions.map((partitionId) => ({
            partitionId,
            ...(isKnownType
              ? outcome(topic, partitionId, count)
              : { errorCode: code.invalidRequest, errorMessage: `Unknown election type ${electionType}` }),
          })),
        }
      }),
    }
  },
})

function outcome(topic: string, index: number, count: number | null): { errorCode: number; errorMessage: string } {
  if (count === null)
    return { errorCode: code.unknownTopicOrPartition, errorMessage: shortened(`No such topic as ${topic}`) }
  if (index < 0 || index >= count)
    return {
      errorCode: code.unknownTopicOrPartition,
      errorMessage: shortened(`No such partition as ${topic}-${index}`),
    }
  return { errorCode: code.electionNotNeeded, errorMessage: 'Leader election not needed for topic partition.' }
}
