/**
 * A client of some other Kafka cluster: topics, reading, writing, ticks. Without groups, definitions and what a log needs of
 * a cluster besides: for reading and writing Kafka 3.0 will do, ticks ask for 4.0 when they are first wanted.
 */
import { Fault } from '../../lib/fault.ts'
import { silent } from '../../lib/logger.ts'
import type { Bounds, Log, Owner, Partition, Reader, Topics } from '../log.ts'
import { ClusterOwner, type OwnerHost } from './commit/owner.ts'
import { initTransactionalId } from './commit/transactions.ts'
import { boundsOf } from './list-offsets.ts'
import { Coordinators } from './net/coordinators.ts'
import { Metadata } from './net/metadata.ts'
import { Network, closedFault } from './net/network.ts'
import { requireTicks } from './net/requirements.ts'
import { ClusterReader } from './read/reader.ts'
import type { ClusterSettings } from './settings.ts'
import { TopicWatch } from './topic-watch.ts'
import { ClusterTopics } from './topics.ts'
import { ClusterWriter } from './write/writer.ts'

export interface ForeignTopic {
  readonly name: string
  readonly id: string
  readonly partitions: number
}
export interface ClusterClient extends Pick<Log, 'writer' | 'bounds'> {
  reader(options?: { readonly maxBytes?: number }): Pick<Reader, 'read'>
  /** Those of these names that there are; null: all but the cluster's own. */
  topics(names: readonly string[] | null): Promise<readonly ForeignTopic[]>
  create: Topics['create']
  /** It has so many partitions then. */
  widen(topic: string, partitions: number): Promise<void>
  /** Fences whoever had the name before; what that one left open is rolled back. Throws Fault cluster.too-old. */
  owner(transactionalId: string): Promise<Owner>
  close(): Promise<void>
}

const openMs = 15_000

/** The signal closes it, also while it is being opened. Throws Fault cluster.unavailable, cluster.authentication-failed. */
export async function openClusterClient(settings: ClusterSettings, signal?: AbortSignal): Promise<ClusterClient> {
  if (signal?.aborted === true) throw closedFault()
  const network = new Network({ logger: silent, ...settings })
  signal?.addEventListener('abort', () => network.close(), { once: true })
  const metadata = new Metadata(network)
  try {
    await metadata.fetch([], openMs)
  } catch (error) {
    network.close()
    throw error
  }
  return new Client(network, metadata)
}

class Client implements ClusterClient {
  readonly #host: { network: Network; metadata: Metadata; coordinators: Coordinators; meter: null }
  readonly #watch: TopicWatch
  readonly #topics: ClusterTopics
  readonly #writer: ClusterWriter
  readonly #owners = new Set<Owner>()

  constructor(network: Network, metadata: Metadata) {
    this.#host = { network, metadata, coordinators: new Coordinators(network), meter: null }
    this.#watch = new TopicWatch(network, metadata)
    this.#topics = new ClusterTopics({ network, metadata, watch: this.#watch })
    this.#writer = new ClusterWriter(this.#host, -1)
  }
  writer(): ClusterWriter {
    return this.#writer
  }
  reader(options: { readonly maxBytes?: number } = {}): Pick<Reader, 'read'> {
    const restore = (): never => {
      throw new Fault('internal', { what: 'nothing is restored from another cluster' })
    }
    return new ClusterReader({ ...this.#host, restore }, options)
  }
  bounds(of: readonly Partition[]): Promise<Bounds[]> {
    return boundsOf(this.#host, of)
  }
  async topics(names: readonly string[] | null): Promise<readonly ForeignTopic[]> {
    const found = await this.#host.metadata.fetch(names)
    return found
      .filter(({ isInternal }) => names !== null || !isInternal)
      .map(({ name, id, partitions }) => ({ name, id, partitions: partitions.length }))
  }
  create(...of: Parameters<Topics['create']>): ReturnType<Topics['create']> {
    return this.#topics.create(...of)
  }
  widen(topic: string, partitions: number): Promise<void> {
    return this.#topics.alter(topic, { partitions })
  }
  async owner(transactionalId: string): Promise<Owner> {
    await requireTicks(this.#host.network)
    const host: OwnerHost = {
      ...this.#host,
      settled: () => Promise.resolve(),
      lose: () => {},
      moved: () => {},
      released: (released) => void this.#owners.delete(released),
    }
    const owner = new ClusterOwner(host, transactionalId, await initTransactionalId(this.#host, transactionalId))
    this.#owners.add(owner)
    return owner
  }
  async close(): Promise<void> {
    for (const owner of this.#owners) await owner.close()
    this.#watch.close()
    this.#host.network.close()
  }
}
