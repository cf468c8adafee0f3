/**
 * Topics of the cluster. What is answered as created or removed here is so on every broker that runs: whoever asks next,
 * anywhere, sees it.
 */
import { Fault } from '../../lib/fault.ts'
import { createTopicsApi } from '../../wire/kafka/messages/19-create-topics.ts'
import { deleteTopicsApi } from '../../wire/kafka/messages/20-delete-topics.ts'
import { deleteRecordsApi } from '../../wire/kafka/messages/21-delete-records.ts'
import { createPartitionsApi } from '../../wire/kafka/messages/37-create-partitions.ts'
import type { At, TopicInfo, TopicSpec, Topics } from '../log.ts'
import { code, faultOf } from './errors.ts'
import type { Broker } from './net/broker.ts'
import { askLeaders, byTopic, orThrow } from './net/leaders.ts'
import type { Metadata, TopicMeta } from './net/metadata.ts'
import type { Network } from './net/network.ts'
import { changeConfigs, configFault, configsOf, seesConfig } from './topic-configs.ts'
import type { TopicWatch } from './topic-watch.ts'

const timeoutMs = 30_000
/** A broker that does not know of a change by then is left to learn it later. */
const settleMs = 5_000
/** What was looked up stands for so long: requests that name a topic come in crowds. */
const freshMs = 1_000

export interface TopicsHost {
  readonly network: Network
  readonly metadata: Metadata
  readonly watch: TopicWatch
}

export class ClusterTopics implements Topics {
  readonly #host: TopicsHost
  readonly #looked = new Map<string, { readonly atMs: number; readonly info: Promise<TopicInfo | null> }>()

  constructor(host: TopicsHost) {
    this.#host = host
  }

  async create(specs: readonly TopicSpec[]): Promise<(Fault | null)[]> {
    const { metadata } = this.#host
    const answers: (Fault | null)[] = specs.map(checkSpec)
    const wanted = specs.filter((spec, i) => answers[i] === null && specs.indexOf(firstNamed(specs, spec.name)) === i)
    const refused = wanted.length === 0 ? new Map<string, Fault>() : await this.#create(wanted)
    specs.forEach((spec, i) => {
      if (answers[i] !== null) return
      answers[i] = wanted.includes(spec)
        ? (refused.get(spec.name) ?? null)
        : new Fault('log.topic-exists', { topic: spec.name })
    })
    const created = wanted.filter(({ name }) => !refused.has(name))
    const made = created.map(({ name }) => name)
    await this.#everywhere(made, async (broker) => {
      const seen = await metadata.seenBy(broker, made)
      return created.every(({ name, partitions }) => hasLeaders(seen, name, partitions))
    })
    return answers
  }
  async #create(specs: readonly TopicSpec[]): Promise<ReadonlyMap<string, Fault>> {
    const { topics } = await this.#host.network.askAny(createTopicsApi, {
      topics: specs.map(({ name, partitions, config = {} }) => ({
        name,
        numPartitions: partitions,
        replicationFactor: -1,
        assignments: [],
        configs: Object.entries(config).map(([key, value]) => ({ name: key, value })),
      })),
      timeoutMs,
      validateOnly: false,
    })
    const refused = new Map<string, Fault>()
    for (const { name, errorCode, errorMessage } of topics) {
      if (errorCode === code.none) continue
      const { config = {}, partitions } = firstNamed(specs, name)
      refused.set(
        name,
        errorCode === code.invalidPartitions
          ? new Fault('log.invalid-partitions', { partitions, why: errorMessage ?? 'the cluster refuses it' })
          : configFault(errorCode, errorMessage, name, config),
      )
    }
    return refused
  }

  async alter(
    name: string,
    change: { partitions?: number; config?: Readonly<Record<string, string | null>> },
  ): Promise<void> {
    const { network, metadata } = this.#host
    const [topic] = await metadata.fetch([name])
    if (topic === undefined) throw new Fault('log.unknown-topic', { topic: name })
    const { partitions = topic.partitions.length, config = {} } = change
    await changeConfigs(network, name, config, true)
    if (partitions !== topic.partitions.length) await this.#grow(name, partitions)
    await changeConfigs(network, name, config, false)
    await this.#everywhere([name], async (broker) => {
      const seen = await metadata.seenBy(broker, [name])
      return hasLeaders(seen, name, partitions) && (await seesConfig(broker, name, config))
    })
  }
  async #grow(name: string, partitions: number): Promise<void> {
    const { results } = await this.#host.network.askAny(createPartitionsApi, {
      topics: [{ name, count: partitions, assignments: null }],
      timeoutMs,
      validateOnly: false,
    })
    for (const { errorCode, errorMessage } of results) {
      if (errorCode === code.invalidPartitions)
        throw new Fault('log.invalid-partitions', { partitions, why: errorMessage ?? 'the cluster refuses it' })
      if (errorCode !== code.none)
        throw faultOf(errorCode, { what: `adding partitions to ${name}`, topic: name }, errorMessage)
    }
  }

  async list(): Promise<TopicInfo[]> {
    const found = (await this.#host.metadata.fetch(null)).filter(({ isInternal }) => !isInternal)
    return this.#described(found)
  }
  async get(name: string): Promise<TopicInfo | null> {
    const { clock } = this.#host.network
    const known = this.#looked.get(name)
    if (known !== undefined && clock.monotonic() - known.atMs < freshMs) return known.info
    if (this.#looked.size > 10_000) this.#looked.clear()
    const info = this.#look(name)
    this.#looked.set(name, { atMs: clock.monotonic(), info })
    // A topic that is not there may be made by anybody at any time.
    info.then(
      (found) => found === null && this.#looked.delete(name),
      () => this.#looked.delete(name),
    )
    return info
  }
  async #look(name: string): Promise<TopicInfo | null> {
    const [info] = await this.#described(await this.#host.metadata.fetch([name]))
    return info ?? null
  }
  async #described(topics: readonly TopicMeta[]): Promise<TopicInfo[]> {
    const configs = await configsOf(
      this.#host.network,
      topics.map(({ name }) => name),
    )
    return topics
      .filter(({ name }) => configs.has(name))
      .map(({ name, id, partitions }) => ({ name, id, partitions: partitions.length, config: configs.get(name)! }))
  }

  async remove(names: readonly string[]): Promise<(Fault | null)[]> {
    const { metadata } = this.#host
    const { responses } = await this.#host.network.askAny(deleteTopicsApi, {
      topics: names.map((name) => ({ name, topicId: '00000000-0000-0000-0000-000000000000' })),
      topicNames: [...new Set(names)],
      timeoutMs,
    })
    const faults = new Map(
      responses.map(({ name, errorCode, errorMessage }) => [
        name,
        errorCode === code.none
          ? null
          : faultOf(errorCode, { what: `removing topic ${name}`, topic: name ?? '' }, errorMessage),
      ]),
    )
    const gone = names.filter((name) => faults.get(name) === null)
    await this.#everywhere(gone, async (broker) => (await metadata.seenBy(broker, gone)).length === 0)
    return names.map((name) => faults.get(name) ?? null)
  }

  async trim(to: readonly At[]): Promise<void> {
    const answers = await askLeaders(this.#host, 'trimming', to, async (broker, asked) => {
      const items = asked.map(({ item }) => item)
      const { topics } = await broker.ask('produce', deleteRecordsApi, {
        topics: byTopic(items).map(({ topic, items: of }) => ({
          name: topic,
          partitions: of.map(({ partition, offset }) => ({ partitionIndex: partition.index, offset })),
        })),
        timeoutMs,
      })
      const errors = new Map(
        topics.flatMap(({ name, partitions }) =>
          partitions.map((one) => [`${name}/${one.partitionIndex}`, one.errorCode] as const),
        ),
      )
      return items.map(({ partition: { topic, index } }) => {
        const error = errors.get(`${topic}/${index}`) ?? code.unknownServerError
        return error === code.none ? { value: null } : { error }
      })
    })
    orThrow(answers)
  }
  watch(signal: AbortSignal): AsyncIterable<{ readonly changed: readonly string[] }> {
    return this.#host.watch.watch(signal)
  }

  async #changed(names: readonly string[]): Promise<void> {
    if (names.length > 0) await this.#host.metadata.refresh(names)
    for (const name of names) this.#looked.delete(name)
    this.#host.watch.look(names)
  }
  /** Until every broker that answers sees it so. */
  async #everywhere(names: readonly string[], seesIt: (broker: Broker) => Promise<boolean>): Promise<void> {
    if (names.length === 0) return
    const { network } = this.#host
    const patience = network.patience(settleMs)
    let waiting = network.all()
    do {
      const seen = await Promise.all(waiting.map((broker) => seesIt(broker).catch(() => true)))
      waiting = waiting.filter((_, i) => seen[i] === false)
    } while (waiting.length > 0 && (await patience.wait()))
    await this.#changed(names)
  }
}

const firstNamed = (specs: readonly TopicSpec[], name: string): TopicSpec => specs.find((spec) => spec.name === name)!
/** −1 would ask the cluster for its own number. */
function checkSpec({ partitions }: TopicSpec): Fault | null {
  if (Number.isInteger(partitions) && partitions >= 1) return null
  return new Fault('log.invalid-partitions', { partitions, why: 'a topic has at least one' })
}
function hasLeaders(seen: readonly TopicMeta[], name: string, count: number): boolean {
  const partitions = seen.find((topic) => topic.name === name)?.partitions ?? []
  return partitions.length >= count && partitions.every(({ leader }) => leader >= 0)
}
