import { code, handler, nodeId, shortened } from '../handler.ts'
import { alterPartitionReassignmentsApi } from '../../../wire/kafka/messages/45-alter-partition-reassignments.ts'

/** A partition can stay where it is: on the only broker. */
export const alterPartitionReassignments = handler({
  api: alterPartitionReassignmentsApi,
  versions: [0, 1],
  access: { needs: ['alter cluster'] },
  handle({ topics, allowReplicationFactorChange }, { access, broker }) {
    if (!access.onCluster('alter')) {
      const errorMessage = 'Cluster authorization failed.'
      return { allowReplicationFactorChange, errorCode: code.clusterAuthorizationFailed, errorMessage, responses: [] }
    }
    return {
      allowReplicationFactorChange,
      errorCode: code.none,
      errorMessage: null,
      responses: topics.map(({ name, partitions }) => {
        const count = broker.catalog.byName(name)?.partitions ?? null
        return {
          name,
          partitions: partitions.map(({ partitionIndex, replicas }) => {
            const problem = placeProblem(name, partitionIndex, count) ?? replicasProblem(replicas)
            return { partitionIndex, errorCode: code.none, errorMessage: null, ...problem }
          }),
        }
      }),
    }
  },
})

interface Problem {
  readonly errorCode: number
  readonly errorMessage: string | null
}
function placeProblem(topic: string, index: number, count: number | null): Problem | null {
  const errorCode = code.unknownTopicOrPartition
  if (count === null) return { errorCode, errorMessage: shortened(`Unable to find a topic named ${topic}.`) }
  if (index < 0 || index >= count)
    return { errorCode, errorMessage: shortened(`Unable to find partition ${topic}:${index}.`) }
  return null
}
function replicasProblem(replicas: readonly number[] | null): Problem | null {
  // Null cancels what is under way: nothing ever is.
  if (replicas === null) return { errorCode: code.noReassignmentInProgress, errorMessage: null }
  const refused = (what: string): Problem => ({
    errorCode: code.invalidReplicaAssignment,
    errorMessage: `The manual partition assignment includes ${what}.`,
  })
  if (replicas.length === 0) return refused('an empty replica list')
  const other = replicas.find((replica) => replica !== nodeId)
  if (other !== undefined) return refused(`broker ${other}, but no such broker is registered`)
  return replicas.length > 1 ? refused(`the broker ${nodeId} more than once`) : null
}
