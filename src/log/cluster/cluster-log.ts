/** `Log` over a Kafka cluster, put together. */
import type { Offset } from '../../lib/brand.ts'
import { limits } from '../../lib/limits.ts'
import type { LogMeter } from '../broker.ts'
import type {
  Bounds,
  Groups,
  JoinOptions,
  Log,
  Membership,
  Owner,
  Partition,
  Reader,
  ReaderOptions,
  ReaderPort,
  Topics,
  Writer,
} from '../log.ts'
import { type PortServer, servePort } from '../local/reader-port.ts'
import { ClusterOwner, type OwnerHost } from './commit/owner.ts'
import type { Settling } from './commit/settling.ts'
import { initTransactionalId, transactionalIdOf } from './commit/transactions.ts'
import type { ClusterGroups } from './group/groups.ts'
import type { Members } from './group/members.ts'
import type { Peers } from './group/peers.ts'
import { boundsOf, findByTime } from './list-offsets.ts'
import type { Coordinators } from './net/coordinators.ts'
import type { Metadata } from './net/metadata.ts'
import { type Network, closedFault } from './net/network.ts'
import { ClusterReader, type ReaderHost } from './read/reader.ts'
import type { TopicWatch } from './topic-watch.ts'
import { ClusterWriter } from './write/writer.ts'

export interface ClusterLogParts {
  readonly network: Network
  readonly metadata: Metadata
  readonly coordinators: Coordinators
  readonly topics: Topics
  readonly watch: TopicWatch
  readonly groups: ClusterGroups
  readonly members: Members
  readonly peers: Peers
  readonly settling: Settling
  readonly meter: LogMeter | null
  /** Names this process, until it ends. */
  readonly process: string
}
/** A transaction costs some ten ms whatever it holds: shorter ticks would queue. */
const tickFloorMs = 100

export class ClusterLog implements Log {
  readonly topics: Topics
  readonly groups: Groups
  readonly limits = { batchBytes: limits.batchBytes, tickFloorMs, transactionBytes: limits.transactionBytes }
  readonly #parts: ClusterLogParts
  /** All that write share these: a partition has one sequence, and one queue. */
  readonly #writers: { readonly all: ClusterWriter; readonly leader: ClusterWriter }
  readonly #owners = new Set<ClusterOwner>()
  readonly #ports = new Set<PortServer>()
  #nextOwner = 0
  #closing: Promise<void> | null = null

  constructor(parts: ClusterLogParts) {
    this.#parts = parts
    this.topics = parts.topics
    this.groups = parts.groups
    this.#writers = { all: new ClusterWriter(parts, -1), leader: new ClusterWriter(parts, 1) }
  }

  /** 'none' waits for the leader too: nobody else could say where the batch lies. */
  writer(options?: { acks?: 'all' | 'leader' | 'none' }): Writer {
    return (options?.acks ?? 'all') === 'all' ? this.#writers.all : this.#writers.leader
  }
  reader(options?: ReaderOptions): Reader {
    const { network, metadata, meter, settling } = this.#parts
    const host: ReaderHost = {
      network,
      metadata,
      meter,
      restore: (reader, partition, claim, from) => settling.restore(reader, partition, claim, from),
    }
    return new ClusterReader(host, options)
  }
  readerPort(options?: ReaderOptions): ReaderPort {
    this.#requireOpen()
    const server = servePort(this.reader(options), () => this.#ports.delete(server))
    this.#ports.add(server)
    return server.port
  }
  bounds(of: readonly Partition[]): Promise<Bounds[]> {
    return boundsOf(this.#parts, of)
  }
  findTime(of: readonly Partition[], timeMs: number): Promise<({ offset: Offset; timeMs: number } | null)[]> {
    return findByTime(this.#parts, of, timeMs)
  }
  join(group: string, options: JoinOptions): Membership {
    this.#requireOpen()
    return this.#parts.members.join(group, options)
  }
  async owner(): Promise<Owner> {
    this.#requireOpen()
    const { members, groups, process } = this.#parts
    const transactionalId = transactionalIdOf(process, this.#nextOwner++)
    const host: OwnerHost = {
      ...this.#parts,
      settled: (claim) => members.settled(claim),
      lose: (claims) => members.lose(claims),
      moved: (group, partitions) => groups.moved(group, partitions),
      released: (owner) => void this.#owners.delete(owner),
    }
    const owner = new ClusterOwner(host, transactionalId, await initTransactionalId(this.#parts, transactionalId))
    this.#owners.add(owner)
    return owner
  }
  #requireOpen(): void {
    if (this.#closing !== null) throw closedFault()
  }
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }
  async #close(): Promise<void> {
    const { network, members, peers, watch } = this.#parts
    for (const port of this.#ports) port.close()
    for (const owner of this.#owners) await owner.close()
    // In good order: who takes over need not wait for a timeout.
    await members.close()
    watch.close()
    network.close()
    await peers.close()
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
