import { Fault } from '../../../lib/fault.ts'
import type { TopicInfo } from '../../../log/log.ts'
import { type Encoded, nullUuid } from '../../../wire/kafka/codec/shape.ts'
import {
  type Exchange,
  attempt,
  code,
  errorCode,
  handler,
  isInternal,
  nodeId,
  operationsUnknown,
  reservedName,
} from '../handler.ts'
import { metadataApi } from '../../../wire/kafka/messages/03-metadata.ts'
import { topicSpec } from '../topic-defaults.ts'

type Topic = Encoded<typeof metadataApi.response>['topics'][number]
type Asked = { readonly topicId: string; readonly name: string | null }

/** Names asked for that do not exist are created here, where the client allows it, and answered in the same breath. */
export const metadata = handler({
  api: metadataApi,
  versions: [0, 13],
  access: { needs: ['describe topic'], shows: ['create cluster', 'create topic', 'describe cluster'] },
  async handle(request, exchange) {
    const { broker, node, version } = exchange
    const withOperations = request.includeTopicAuthorizedOperations
    const all = request.topics === null || (version === 0 && request.topics.length === 0)
    const topics = all
      ? broker.catalog
          .all()
          .filter(({ name }) => exchange.access.sees('describe', 'topic', name))
          .map((topic) => describe(topic, exchange, withOperations))
      : await Promise.all(
          request.topics!.map((asked) => find(asked, exchange, request.allowAutoTopicCreation, withOperations)),
        )
    return {
      brokers: [{ nodeId, host: node.host, port: node.port }],
      clusterId: broker.clusterId,
      controllerId: nodeId,
      topics,
      errorCode: code.none,
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
        ? clusterOperations(exchange)
        : operationsUnknown,
    }
  },
})

async function find(asked: Asked, exchange: Exchange, mayCreate: boolean, withOperations: boolean): Promise<Topic> {
  const { catalog } = exchange.broker
  if (asked.topicId !== nullUuid) {
    const topic = catalog.byId(asked.topicId)
    // Who may not see it is not told that there is one.
    if (topic === null || !exchange.access.may('describe', 'topic', topic.name))
      return missing(asked, code.unknownTopicId)
    return describe(topic, exchange, withOperations)
  }
  if (asked.name === null) return missing(asked, code.invalidRequest)
  if (!exchange.access.may('describe', 'topic', asked.name)) return missing(asked, code.topicAuthorizationFailed)
  const topic = catalog.byName(asked.name)
  if (topic !== null) return describe(topic, exchange, withOperations)
  if (!mayCreate || !exchange.topicDefaults.autoCreate) return missing(asked, code.unknownTopicOrPartition)
  if (!exchange.access.seesCluster('create') && !exchange.access.may('create', 'topic', asked.name))
    return missing(asked, code.topicAuthorizationFailed)
  const fault = await create(asked.name, exchange)
  if (fault !== null && fault.code !== 'log.topic-exists') return missing(asked, errorCode(fault))
  const created = catalog.byName(asked.name)
  return created === null ? missing(asked, code.leaderNotAvailable) : describe(created, exchange, withOperations)
}
async function create(name: string, exchange: Exchange): Promise<Fault | null> {
  const reserved = reservedName(name)
  if (reserved !== null) return reserved
  const { broker, topicDefaults } = exchange
  const outcome = await attempt(exchange, () => broker.topics.create([topicSpec(name, topicDefaults)]))
  return outcome instanceof Fault ? outcome : outcome[0]!
}

/** As Kafka says it: nothing to who may not describe the cluster. */
const clusterOperations = ({ access }: Exchange): number =>
  access.seesCluster('describe') ? access.clusterOperations() : 0

const missing = (asked: Asked, error: number): Topic => ({
  errorCode: error,
  name: asked.name ?? '',
  topicId: asked.topicId,
  isInternal: false,
  partitions: [],
})

function describe(topic: TopicInfo, { broker, access }: Exchange, withOperations: boolean): Topic {
  return {
    errorCode: code.none,
    name: topic.name,
    topicId: topic.id,
    isInternal: isInternal(topic.name),
    partitions: Array.from({ length: topic.partitions }, (_, index) => ({
      errorCode: code.none,
      partitionIndex: index,
      leaderId: nodeId,
      leaderEpoch: broker.leaderEpoch({ topic: topic.name, index }),
      replicaNodes: [nodeId],
      isrNodes: [nodeId],
      offlineReplicas: [],
    })),
    topicAuthorizedOperations: withOperations ? access.operations('topic', topic.name) : operationsUnknown,
  }
}
