import { code, dataFolder, handler } from '../handler.ts'
import { describeLogDirsApi } from '../../../wire/kafka/messages/35-describe-log-dirs.ts'

export const describeLogDirs = handler({
  api: describeLogDirsApi,
  versions: [1, 5],
  access: { needs: ['describe cluster'] },
  handle(request, { access, broker }) {
    if (!access.onCluster('describe')) return { errorCode: code.clusterAuthorizationFailed, results: [] }
    const asked =
      request.topics?.map(({ topic, partitions }) => ({ name: topic, partitions })) ??
      broker.catalog.all().map(({ name, partitions }) => ({ name, partitions: [...Array(partitions).keys()] }))
    const topics = asked.flatMap(({ name, partitions }) => {
      const count = broker.catalog.byName(name)?.partitions ?? 0
      const known = partitions.filter((index) => index >= 0 && index < count)
      if (known.length === 0) return []
      const sizes = known.map((index) => ({
        partitionIndex: index,
        partitionSize: broker.sizeBytes({ topic: name, index }),
        offsetLag: 0,
        isFutureKey: false,
      }))
      return [{ name, partitions: sizes }]
    })
    return {
      errorCode: code.none,
      results: [{ errorCode: code.none, logDir: dataFolder, topics, isCordoned: false }],
    }
  },
})
