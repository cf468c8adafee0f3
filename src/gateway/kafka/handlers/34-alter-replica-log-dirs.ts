import { code, dataFolder, handler } from '../handler.ts'
import { alterReplicaLogDirsApi } from '../../../wire/kafka/messages/34-alter-replica-log-dirs.ts'

/** There is one folder, so a partition is moved to where it is, or nowhere. */
export const alterReplicaLogDirs = handler({
  api: alterReplicaLogDirsApi,
  versions: [1, 2],
  access: { needs: ['alter cluster'] },
  handle({ dirs }, { access, broker }) {
    const mayAlter = access.onCluster('alter')
    const results = dirs.flatMap(({ path, topics }) =>
      topics.map(({ name, partitions }) => {
        const count = broker.catalog.byName(name)?.partitions ?? 0
        const errorOf = (index: number): number => {
          if (!mayAlter) return code.clusterAuthorizationFailed
          if (path !== dataFolder) return code.logDirNotFound
          return index >= 0 && index < count ? code.none : code.unknownTopicOrPartition
        }
        return {
          topicName: name,
          partitions: partitions.map((index) => ({ partitionIndex: index, errorCode: errorOf(index) })),
        }
      }),
    )
    return { results }
  },
})
