import { Fault } from '../../../lib/fault.ts'
import { nullUuid } from '../../../wire/kafka/codec/shape.ts'
import { attempt, code, errorCode, errorMessage, handler, keptTopic, readTopic } from '../handler.ts'
import { deleteTopicsApi } from '../../../wire/kafka/messages/20-delete-topics.ts'

const firstVersionById = 6
const firstStrictVersion = 5

export const deleteTopics = handler({
  api: deleteTopicsApi,
  versions: [1, 6],
  access: { needs: ['delete topic'], shows: ['describe topic'] },
  async handle(request, exchange) {
    const { access, broker, version } = exchange
    const asked =
      version >= firstVersionById ? request.topics : request.topicNames.map((name) => ({ name, topicId: nullUuid }))
    const seen = new Set<string>()
    const plans = asked.map(({ name, topicId }) => {
      const byId = name === null
      if (byId === (topicId === nullUuid)) return { name, topicId, error: code.invalidRequest }
      if (!byId && !access.may('delete', 'topic', name)) return { name, topicId, error: code.topicAuthorizationFailed }
      const topic = byId ? broker.catalog.byId(topicId) : broker.catalog.byName(name)
      if (topic === null) return { name, topicId, error: byId ? code.unknownTopicId : code.unknownTopicOrPartition }
      if (byId && !access.may('delete', 'topic', topic.name)) {
        const shown = access.sees('describe', 'topic', topic.name) ? topic.name : null
        return { name: shown, topicId, error: code.topicAuthorizationFailed }
      }
      if (seen.has(topic.name)) return { name: topic.name, topicId: topic.id, error: code.invalidRequest }
      seen.add(topic.name)
      const why = keptTopic(exchange, topic.name) ?? readTopic(exchange, topic.name)
      return { name: topic.name, topicId: topic.id, error: errorCode(why), message: errorMessage(why) }
    })
    const names = plans.flatMap((plan) => (plan.error === code.none ? [plan.name!] : []))
    const unmade = names.reduce((sum, name) => sum + (broker.catalog.byName(name)?.partitions ?? 0), 0)
    if (unmade > 0 && !exchange.mutations(unmade, version >= firstStrictVersion))
      return {
        responses: plans.map(({ name, topicId, error }) => ({
          name,
          topicId,
          errorCode: error === code.none ? code.throttlingQuotaExceeded : error,
        })),
      }
    const outcome = names.length === 0 ? [] : await attempt(exchange, () => broker.topics.remove(names))
    let next = 0
    return {
      responses: plans.map(({ name, topicId, error, message = null }) => {
        if (error !== code.none) return { name, topicId, errorCode: error, errorMessage: message }
        const fault = outcome instanceof Fault ? outcome : outcome[next++]!
        return { name, topicId, errorCode: errorCode(fault), errorMessage: errorMessage(fault) }
      }),
    }
  },
})
