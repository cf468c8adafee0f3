/** Numbers in place of topics, for one connection, each way by itself. */
import { limits } from '../../lib/limits.ts'
import type { Publish } from '../../wire/mqtt/packets.ts'
import { MqttError, protocolError, reason } from '../../wire/mqtt/reason.ts'
import { isTopicName } from '../../wire/mqtt/topics.ts'

const badName = (): MqttError =>
  new MqttError(reason.topicNameInvalid, 'a topic name has at least one character and no wildcard')

export class TopicAliases {
  /** That the client takes. */
  #outMax = 0
  #in: Map<number, string> | null = null
  #out: Map<string, number> | null = null
  /** Of the topics. */
  heldBytes = 0

  allow(outMax: number): void {
    this.#outMax = Math.min(outMax, limits.mqttTopicAliases)
  }
  /** The topic of what a client sends. Throws MqttError. */
  topicOf({ topic, properties }: Publish): string {
    const alias = properties?.topicAlias
    if (properties?.subscriptionIds !== undefined) throw protocolError('a client sends no subscription identifier')
    const response = properties?.responseTopic
    if (response !== undefined && !isTopicName(response))
      throw new MqttError(reason.topicNameInvalid, 'the response topic is not a topic name')
    if (alias === undefined) {
      if (!isTopicName(topic)) throw badName()
      return topic
    }
    if (alias === 0 || alias > limits.mqttTopicAliases)
      throw new MqttError(reason.topicAliasInvalid, `topic aliases are from 1 to ${limits.mqttTopicAliases}`)
    if (topic !== '') {
      if (!isTopicName(topic)) throw badName()
      this.#in ??= new Map()
      this.heldBytes += topic.length - (this.#in.get(alias)?.length ?? 0)
      this.#in.set(alias, topic)
      return topic
    }
    const known = this.#in?.get(alias)
    if (known === undefined)
      throw new MqttError(reason.topicAliasInvalid, `the topic alias ${alias} has no topic on this connection`)
    return known
  }
  /** What goes to the client in place of a topic; `alias` 0: none. A new one counts when it is `given`. */
  for(topic: string): { readonly topic: string; readonly alias: number; readonly isNew: boolean } {
    const known = this.#out?.get(topic)
    if (known !== undefined) return { topic: '', alias: known, isNew: false }
    const used = this.#out?.size ?? 0
    return used < this.#outMax ? { topic, alias: used + 1, isNew: true } : { topic, alias: 0, isNew: false }
  }
  given(topic: string, alias: number): void {
    this.#out ??= new Map()
    this.heldBytes += topic.length
    this.#out.set(topic, alias)
  }
}
