import { Fault } from '../../../lib/fault.ts'
import { nullUuid } from '../../../wire/kafka/codec/shape.ts'
import { attempt, code, errorCode, errorMessage, handler, keptTopic } from '../handler.ts'
import { deleteTopicsApi } from '../../../wire/kafka/messages/20-delete-topics.ts'

const firstVersionById = 6

export const deleteTopics = handler({
  api: deleteTopicsApi,
  versions: [1, 6],
  async handle(request, exchange) {
    const { broker, version } = exchange
    const asked =
      version >= firstVersionById ? request.topics : request.topicNames.map((name) => ({ name, topicId: nullUuid }))
    const seen = new Set<string>()
    const plans = asked.map(({ name, topicId }) => {
      const byId = name === null
      if (byId === (topicId === nullUuid)) return { name, topicId, error: code.invalidRequest }
      const topic = byId ? broker.catalog.byId(topicId) : broker.catalog.byName(name)
      if (topic === null) return { name, topicId, error: byId ? code.unknownTopicId : code.unknownTopicOrPartition }
      const error = seen.has(topic.name) ? code.invalidRequest : errorCode(keptTopic(exchange, topic.name))
      seen.add(topic.name)
      return { name: topic.name, topicId: topic.id, error }
    })
    const names = plans.flatMap((plan) => (plan.error === code.none ? [plan.name!] : []))
    const outcome = names.length === 0 ? [] : await attempt(exchange, () => broker.topics.remove(names))
    let next = 0
    return {
      responses: plans.map(({ name, topicId, error }) => {
        if (error !== code.none) return { name, topicId, errorCode: error }
        const fault = outcome instanceof Fault ? outcome : outcome[next++]!
        return { name, topicId, errorCode: errorCode(fault), errorMessage: errorMessage(fault) }
      }),
    }
  },
})
