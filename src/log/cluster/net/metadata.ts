/** Which topics there are and who leads their partitions, as a broker said it last. */
import { Fault } from '../../../lib/fault.ts'
import type { Decoded, Encoded } from '../../../wire/kafka/codec/shape.ts'
import { metadataApi } from '../../../wire/kafka/messages/03-metadata.ts'
import type { Partition } from '../../log.ts'
import { code, faultOf } from '../errors.ts'
import type { Broker } from './broker.ts'
import type { Network } from './network.ts'

export interface TopicMeta {
  readonly name: string
  readonly id: string
  readonly isInternal: boolean
  /** By index. */
  readonly partitions: readonly { readonly leader: number; readonly epoch: number }[]
}
export interface Route {
  readonly broker: Broker
  readonly epoch: number
}

export class Metadata {
  readonly #network: Network
  readonly #topics = new Map<string, TopicMeta>()
  #asking: { names: Set<string>; done: Promise<void> } | null = null

  constructor(network: Network) {
    this.#network = network
  }

  /** Who leads it; null = nobody now. Throws Fault log.unknown-topic, log.unknown-partition. */
  async route(partition: Partition): Promise<Route | null> {
    const { topic, index } = partition
    let known = this.#topics.get(topic)
    if (known?.partitions[index] === undefined) {
      await this.refresh([topic])
      known = this.#topics.get(topic)
    }
    if (known === undefined) throw new Fault('log.unknown-topic', { topic })
    const place = known.partitions[index]
    if (place === undefined) throw new Fault('log.unknown-partition', { topic, partition: index })
    const broker = this.#network.broker(place.leader)
    return broker === null ? null : { broker, epoch: place.epoch }
  }
  known(topic: string): TopicMeta | null {
    return this.#topics.get(topic) ?? null
  }
  /** Asks again about these; those who ask while a question is being put share the next one. */
  async refresh(names: readonly string[]): Promise<void> {
    if (this.#asking === null) {
      const wanted = new Set(names)
      const asking = { names: wanted, done: Promise.resolve().then(() => this.#ask(wanted)) }
      this.#asking = asking
      return asking.done
    }
    for (const name of names) this.#asking.names.add(name)
    return this.#asking.done
  }
  async #ask(names: ReadonlySet<string>): Promise<void> {
    this.#asking = null
    await this.fetch([...names])
  }
  /** Every topic there is when `names` is null. A topic that is not there is not in the answer. */
  async fetch(names: readonly string[] | null, withinMs?: number): Promise<readonly TopicMeta[]> {
    const found = this.#learn(await this.#network.askAny(metadataApi, questionAbout(names), withinMs))
    for (const name of names ?? this.#topics.keys())
      if (!found.some((topic) => topic.name === name)) this.#topics.delete(name)
    return found
  }
  /** The same as one broker sees it. */
  async seenBy(broker: Broker, names: readonly string[]): Promise<readonly TopicMeta[]> {
    return topicsOf(await broker.ask('quick', metadataApi, questionAbout(names)))
  }
  #learn(answer: Decoded<typeof metadataApi.response>): readonly TopicMeta[] {
    this.#network.learn(answer.brokers)
    const found = topicsOf(answer)
    for (const topic of found) this.#topics.set(topic.name, withNewest(this.#topics.get(topic.name), topic))
    return found
  }
}

const noId = '00000000-0000-0000-0000-000000000000'
const questionAbout = (names: readonly string[] | null): Encoded<typeof metadataApi.request> => ({
  topics: names?.map((name) => ({ topicId: noId, name })) ?? null,
  allowAutoTopicCreation: false,
  includeClusterAuthorizedOperations: false,
  includeTopicAuthorizedOperations: false,
})

function topicsOf(answer: Decoded<typeof metadataApi.response>): TopicMeta[] {
  const found: TopicMeta[] = []
  for (const { errorCode, name, topicId, isInternal, partitions } of answer.topics) {
    if (name === null || errorCode === code.unknownTopicOrPartition || errorCode === code.invalidTopic) continue
    if (errorCode !== code.none && errorCode !== code.leaderNotAvailable)
      throw faultOf(errorCode, { what: `looking for topic ${name}`, topic: name })
    const places: { leader: number; epoch: number }[] = []
    for (const { partitionIndex, leaderId, leaderEpoch } of partitions)
      places[partitionIndex] = { leader: leaderId, epoch: leaderEpoch }
    found.push({ name, id: topicId, isInternal, partitions: places })
  }
  return found
}
/** A broker that lags behind must not bring back a leader that another one knows to be gone. */
function withNewest(known: TopicMeta | undefined, found: TopicMeta): TopicMeta {
  if (known === undefined || known.id !== found.id) return found
  const partitions = found.partitions.map((place, i) => {
    const before = known.partitions[i]
    return before !== undefined && before.epoch > place.epoch ? before : place
  })
  return { ...found, partitions }
}
